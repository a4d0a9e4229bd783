//! Why a request is not genuine. The doctor tries what usually goes wrong between a sender and a
//! verifier, and says which of it makes the signature fit. It never shows a signature, a secret or a
//! signed text: what it says may go into a ticket.

mod bodies;
mod finding;
mod secrets;
mod urls;

use domain::clock::Timestamp;

use crate::{
    Keys, Provider, Reason, Request, Secret, Verdict, catalogue,
    row::{Place, Rule},
};

pub use bodies::BodyChange;
pub use finding::{Diagnosis, Finding};
pub use secrets::SecretChange;
pub use urls::UrlChange;

/// Names of other providers that are told.
const MOST_NAMES: usize = 5;

/// Says whether a request is genuine, and if not, why. Costs up to some hundred verifications; bodies
/// over 1 MiB are not spelt otherwise.
pub fn diagnose(
    provider: &Provider,
    request: &Request<'_>,
    secrets: &[Secret],
    now: Timestamp,
    keys: &Keys,
) -> Diagnosis {
    let verdict = provider.verify(request, secrets, now, keys);
    let Verdict::Refused(reason) = verdict else {
        return Diagnosis { verdict, findings: Vec::new() };
    };
    let patient = Patient { provider, request: *request, secrets, now, keys };
    let mut findings = match reason {
        Reason::TooOld { .. } | Reason::TooNew { .. } => clock(reason).into_iter().collect(),
        Reason::MissingSignature | Reason::MissingToken => {
            let mut findings = vec![Finding::Refused(reason)];
            findings.extend(patient.other_provider());
            findings
        }
        Reason::Mismatch | Reason::BodyHash | Reason::UnusableSecret | Reason::WrongToken => {
            patient.try_everything(reason)
        }
        _ => vec![Finding::Refused(reason)],
    };
    if reason == Reason::Mismatch && patient.decompressed() {
        findings.push(Finding::Decompressed);
    }
    Diagnosis { verdict, findings }
}

/// A request that does not verify, and what could be changed about it.
pub(crate) struct Patient<'p> {
    provider: &'p Provider,
    request: Request<'p>,
    secrets: &'p [Secret],
    now: Timestamp,
    keys: &'p Keys,
}

impl Patient<'_> {
    fn try_everything(&self, reason: Reason) -> Vec<Finding> {
        let bodies = bodies::spellings(self.request.body);
        let secrets = secrets::readings(self.provider, self.secrets);
        // One change first; then two, of which the body is one.
        for (change, body) in &bodies {
            if let Some(late) = self.fits(self.provider, body, self.request.url, self.secrets) {
                return with(late, [Finding::Body(*change)]);
            }
        }
        for reading in &secrets {
            let secret = std::slice::from_ref(&reading.secret);
            let finding = || Finding::Secret { index: reading.index, change: reading.change };
            let (body, url) = (self.request.body, self.request.url);
            if let Some(late) = self.fits(&reading.provider, body, url, secret) {
                return with(late, [finding()]);
            }
            for (change, body) in &bodies {
                if let Some(late) = self.fits(&reading.provider, body, url, secret) {
                    return with(late, [finding(), Finding::Body(*change)]);
                }
            }
        }
        if self.signs_the_url() {
            for (change, url) in urls::spellings(&self.request) {
                if let Some(late) = self.fits(self.provider, self.request.body, &url, self.secrets)
                {
                    return with(late, [Finding::Url(change)]);
                }
            }
        }
        match reason {
            Reason::Mismatch => {
                let mut findings = vec![Finding::NothingFits];
                findings.extend(self.other_provider());
                findings
            }
            _ => vec![Finding::Refused(reason)],
        }
    }

    /// Whether the changed request verifies: then, what remains to be said about its time.
    fn fits(
        &self,
        provider: &Provider,
        body: &[u8],
        url: &str,
        secrets: &[Secret],
    ) -> Option<Option<Finding>> {
        let request = Request { body, url, ..self.request };
        match provider.verify(&request, secrets, self.now, self.keys) {
            Verdict::Genuine(_) => Some(None),
            Verdict::Refused(reason) => clock(reason).map(Some),
            Verdict::NeedsKey(_) => None,
        }
    }

    fn signs_the_url(&self) -> bool {
        match &self.provider.rules().rule {
            Rule::Signed(rule) => rule.template.contains(&crate::row::Piece::Url),
            Rule::Jwt(rule) => rule.request_claim.is_some(),
            Rule::Code { .. } => true,
            Rule::Token(_) | Rule::Basic | Rule::Bearer | Rule::Open => false,
        }
    }

    /// Providers whose signature header the request has, if it is not one of this provider's.
    fn other_provider(&self) -> Option<Finding> {
        let ours = header_places(self.provider);
        let mut names: Vec<String> = catalogue::all()
            .iter()
            .filter(|p| p.row().id != self.provider.row().id)
            .filter(|p| {
                header_places(p).iter().any(|name| {
                    !name.eq_ignore_ascii_case("authorization")
                        && !ours.iter().any(|o| o.eq_ignore_ascii_case(name))
                        && self.request.headers_named(name).next().is_some()
                })
            })
            .map(|p| p.row().name.clone())
            .collect();
        names.truncate(MOST_NAMES);
        (!names.is_empty()).then_some(Finding::OtherProvider(names))
    }

    fn decompressed(&self) -> bool {
        let gzip = self.request.header_text("content-encoding").is_some_and(|e| e != "identity");
        gzip && !self.request.body.starts_with(&[0x1f, 0x8b])
    }
}

fn header_places(provider: &Provider) -> Vec<&str> {
    let places = match &provider.rules().rule {
        Rule::Signed(rule) => rule.places.as_slice(),
        Rule::Jwt(rule) => rule.places.as_deref().unwrap_or_default(),
        Rule::Token(places) => places.as_slice(),
        Rule::Basic | Rule::Bearer | Rule::Open | Rule::Code { .. } => &[],
    };
    places
        .iter()
        .filter_map(|place| match place {
            Place::Header(name) => Some(name.as_str()),
            _ => None,
        })
        .collect()
}

fn clock(reason: Reason) -> Option<Finding> {
    match reason {
        Reason::TooOld { seconds, tolerance } => Some(Finding::Clock { ago: seconds, tolerance }),
        Reason::TooNew { seconds, tolerance } => Some(Finding::Clock { ago: -seconds, tolerance }),
        _ => None,
    }
}

fn with(late: Option<Finding>, found: impl IntoIterator<Item = Finding>) -> Vec<Finding> {
    found.into_iter().chain(late).collect()
}
