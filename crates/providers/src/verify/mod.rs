//! The engine: one function for each scheme, driven by the provider's rules.

pub(crate) mod jwt;
pub(crate) mod pair;
pub(crate) mod signature;
pub(crate) mod signed;
mod token;

use domain::clock::Timestamp;

use crate::{
    Genuine, Keys, Provider, Reason, Request, Secret, Verdict, code,
    row::Rule,
    verdict::{Proof, Unproven},
    view::{Beside, View},
};

/// More secrets than this are not tried.
const MOST_SECRETS: usize = 16;

impl Provider {
    /// Whether a request is genuine. Any of the secrets may have signed it, so that one can be
    /// replaced while it is in use; at most 16 are tried. `now` is what timestamps are judged
    /// against, in both directions. `keys` are the key sets and certificates fetched so far.
    ///
    /// Comparisons take the same time wherever the first difference is. No input makes it panic.
    pub fn verify(
        &self,
        request: &Request<'_>,
        secrets: &[Secret],
        now: Timestamp,
        keys: &Keys,
    ) -> Verdict {
        let view = View::new(*request);
        match self.prove(&view, secrets, now, keys) {
            Ok(proof) => Verdict::Genuine(self.genuine(&view, proof)),
            Err(Unproven::Refused(reason)) => Verdict::Refused(reason),
            Err(Unproven::NeedsKey(key)) => Verdict::NeedsKey(key),
        }
    }

    fn prove(
        &self,
        view: &View<'_>,
        secrets: &[Secret],
        now: Timestamp,
        keys: &Keys,
    ) -> Result<Proof, Unproven> {
        if !self.missing_settings().is_empty() {
            return Err(Reason::NotConfigured.into());
        }
        let secrets = secrets.get(..MOST_SECRETS).unwrap_or(secrets);
        let rules = self.rules();
        if self.needs_secret() && secrets.is_empty() {
            return Err(Reason::NoSecret.into());
        }
        match &rules.rule {
            Rule::Signed(rule) => Ok(signed::verify(rule, view, secrets, now)?),
            Rule::Jwt(rule) => jwt::verify(rule, view, secrets, now, keys),
            Rule::Token(places) => Ok(token::equal(places, view, secrets)?),
            Rule::Basic => Ok(token::basic(view, secrets)?),
            Rule::Bearer => Ok(token::bearer(view, secrets)?),
            Rule::Open => Ok(Proof::default()),
            Rule::Code { code, tolerance_s } => {
                let given = code::Given {
                    view,
                    secrets,
                    settings: self.settings(),
                    now,
                    keys,
                    tolerance_s: *tolerance_s,
                };
                code::verify(*code, &given)
            }
        }
    }

    fn genuine(&self, view: &View<'_>, proof: Proof) -> Genuine {
        let beside = Beside {
            signature: &[],
            claims: proof.claims.as_ref(),
            document: proof.document.as_deref(),
        };
        let read = |expression: &Option<_>| {
            expression.as_ref().and_then(|e: &crate::row::Expression| view.expression(e, beside))
        };
        Genuine {
            secret: proof.secret,
            sent_at: proof.sent_at,
            event_id: read(&self.rules().event_id),
            event_type: read(&self.rules().event_type),
        }
    }
}

/// Whether `sent` is near enough to now, before or after.
pub(crate) fn judge_time(
    sent: Timestamp,
    now: Timestamp,
    tolerance_s: Option<u32>,
) -> Result<(), Reason> {
    let Some(tolerance) = tolerance_s else { return Ok(()) };
    let ago = now.as_micros().saturating_sub(sent.as_micros());
    let seconds = ago.unsigned_abs().div_ceil(1_000_000);
    if ago.unsigned_abs() <= u64::from(tolerance) * 1_000_000 {
        return Ok(());
    }
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    Err(if ago > 0 {
        Reason::TooOld { seconds, tolerance }
    } else {
        Reason::TooNew { seconds, tolerance }
    })
}
