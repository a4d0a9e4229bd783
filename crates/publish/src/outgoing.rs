//! What goes over the wire: the `prepare` step between lane and signature (the body as it is, today),
//! and the request made of it. And the same once more, of an attempt that is long over.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use domain::{
    attempt::Attempt,
    clock::Timestamp,
    destination::{self, Request, leads_to_listener},
    endpoint::EndpointSecret,
    id::SecretId,
    message::{Body, Message},
    signature::{self, HeaderStyle, SigningSecret},
};
use url::Url;

use crate::PreparedEndpoint;

/// Makes requests; holds the names of the headers, to be shared.
pub struct RequestBuilder {
    content_type: Arc<str>,
    accept: Arc<str>,
    user_agent: (Arc<str>, String),
    signature_names: Vec<[Arc<str>; 3]>,
}

/// A request and what its attempt's record says of it.
pub struct Signed {
    /// What is sent.
    pub request: Request,
    /// What it was signed with.
    pub secrets: Vec<SecretId>,
    /// First 16 bytes of the SHA-256 of the body.
    pub body_hash: [u8; 16],
}

/// The headers of an attempt, calculated again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recalculated {
    /// By their names in lower case; values of one name are joined by `, `, as they may be in HTTP.
    pub headers: BTreeMap<String, String>,
    /// `authorization` was made of the URL's credentials. They are not on record.
    pub authorization: bool,
    /// What cannot be told.
    pub unknown: BTreeSet<Unknown>,
}

/// What cannot be told of an attempt's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unknown {
    /// The endpoint's own: it was changed since, and what it had is not on record.
    EndpointHeaders,
    /// Whatever the body decides: it has expired, was deleted, or is not the one that was sent.
    Body,
    /// The signature: a secret that it was made with is gone.
    Secret,
}

impl RequestBuilder {
    /// With signature headers of this style.
    pub fn new(style: HeaderStyle, user_agent: &str) -> Self {
        Self {
            content_type: "content-type".into(),
            accept: "accept".into(),
            user_agent: ("user-agent".into(), user_agent.to_owned()),
            signature_names: style.names().iter().map(|set| set.map(Arc::from)).collect(),
        }
    }

    /// Signs `message` for `endpoint` at `now`, to be carried out within `deadline`. `body` is the
    /// message's, prepared.
    pub fn build(
        &self,
        message: &Message,
        body: &Body,
        endpoint: &PreparedEndpoint,
        now: Timestamp,
        deadline: Duration,
    ) -> Signed {
        let id = message.id.to_string();
        let secrets: Vec<_> = endpoint.endpoint.valid_secrets(now).collect();
        let signature = signature::sign(secrets.iter().map(|s| &*s.secret), &id, now, &body.bytes);
        Signed {
            request: Request {
                app: message.app,
                url: endpoint.url.clone(),
                headers: self.headers(&id, now, Some(&signature), Some(body), &endpoint.headers),
                body: body.bytes.clone(),
                deadline,
            },
            secrets: secrets.iter().map(|s| s.id).collect(),
            body_hash: body.hash(),
        }
    }

    /// What an attempt was sent with, as far as it can be told: names of headers and the user agent are
    /// those of now. `body` is its message's, `secrets` are those that its endpoint still has, `own` are
    /// the headers that the endpoint had.
    pub fn recalculate(
        &self,
        attempt: &Attempt,
        body: Option<&Body>,
        secrets: &[EndpointSecret],
        own: Option<&BTreeMap<String, String>>,
    ) -> Recalculated {
        let (at, id) = (attempt.started_at, attempt.message.to_string());
        let mut unknown = BTreeSet::new();
        let body = body.filter(|body| body.hash() == attempt.body_hash);
        if body.is_none() {
            unknown.insert(Unknown::Body);
        }
        let signed_with: Option<Vec<&SigningSecret>> = attempt
            .secrets
            .iter()
            .map(|id| secrets.iter().find(|s| s.id == *id).map(|s| &*s.secret))
            .collect();
        if signed_with.is_none() {
            unknown.insert(Unknown::Secret);
        }
        let signature = body
            .zip(signed_with)
            .map(|(body, secrets)| signature::sign(secrets, &id, at, &body.bytes));
        let known: Vec<(Arc<str>, String)> = own
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.as_str().into(), value.clone()))
            .collect();
        let mut all = self.headers(&id, at, signature.as_deref(), body, &known);
        if own.is_none() {
            unknown.insert(Unknown::EndpointHeaders);
            // One of them may have been in its place.
            all.retain(|(name, _)| *name != self.accept);
        }
        let mut authorization = false;
        // Listeners get the headers as they are. What is on record is a URL, credentials hidden.
        if let Ok(url) = attempt.url.parse::<Url>()
            && !leads_to_listener(&url)
        {
            all.push(("host".into(), destination::host(&url).to_owned()));
            all.extend(body.map(|body| ("content-length".into(), body.bytes.len().to_string())));
            let given = all.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
            authorization = destination::has_credentials(&url) && !given;
        }
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in all {
            headers
                .entry(name.to_ascii_lowercase())
                .and_modify(|values| *values = format!("{values}, {value}"))
                .or_insert(value);
        }
        Recalculated { headers, authorization, unknown }
    }

    /// In the order they are sent. What is not known is left out.
    fn headers(
        &self,
        id: &str,
        at: Timestamp,
        signature: Option<&str>,
        body: Option<&Body>,
        own: &[(Arc<str>, String)],
    ) -> Vec<(Arc<str>, String)> {
        let of_body = body.map_or(0, |body| body.headers.len());
        let mut headers =
            Vec::with_capacity(3 + 3 * self.signature_names.len() + of_body + own.len());
        if let Some(body) = body {
            headers.push((self.content_type.clone(), body.content_type.as_ref().to_owned()));
        }
        // An endpoint may ask for something else. Other headers that are set here it cannot have.
        if !own.iter().any(|(name, _)| name.eq_ignore_ascii_case(&self.accept)) {
            headers.push((self.accept.clone(), "*/*".to_owned()));
        }
        headers.push(self.user_agent.clone());
        for [id_name, timestamp_name, signature_name] in &self.signature_names {
            headers.push((id_name.clone(), id.to_owned()));
            headers.push((timestamp_name.clone(), at.as_secs().to_string()));
            headers.extend(signature.map(|value| (signature_name.clone(), value.to_owned())));
        }
        for (name, value) in body.iter().flat_map(|body| &body.headers) {
            headers.push((name.clone(), value.as_ref().to_owned()));
        }
        headers.extend_from_slice(own);
        headers
    }
}
