//! What goes over the wire: the `prepare` step between lane and signature (the body as it is, today),
//! and the request made of it.

use std::sync::Arc;

use domain::{
    clock::Timestamp,
    destination::Request,
    id::SecretId,
    message::{Body, Message},
    signature::{self, HeaderStyle},
};
use publish::PreparedEndpoint;

use crate::options::DispatchOptions;

/// Makes requests; holds the names of the headers, to be shared.
pub struct RequestBuilder {
    content_type: Arc<str>,
    accept: Arc<str>,
    user_agent: (Arc<str>, String),
    signature_names: Vec<[Arc<str>; 3]>,
    deadline: std::time::Duration,
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

impl RequestBuilder {
    /// As configured.
    pub fn new(options: &DispatchOptions) -> Self {
        let style: HeaderStyle = options.header_style;
        Self {
            content_type: "content-type".into(),
            accept: "accept".into(),
            user_agent: ("user-agent".into(), options.user_agent.clone()),
            signature_names: style.names().iter().map(|set| set.map(Arc::from)).collect(),
            deadline: options.request_timeout,
        }
    }

    /// Signs `message` for `endpoint` at `now`. `body` is the message's, prepared.
    pub fn build(
        &self,
        message: &Message,
        body: &Body,
        endpoint: &PreparedEndpoint,
        now: Timestamp,
    ) -> Signed {
        let id = message.id.to_string();
        let secrets: Vec<_> = endpoint.endpoint.valid_secrets(now).collect();
        let signature = signature::sign(secrets.iter().map(|s| &*s.secret), &id, now, &body.bytes);
        let mut headers = Vec::with_capacity(
            3 + 3 * self.signature_names.len() + body.headers.len() + endpoint.headers.len(),
        );
        headers.push((self.content_type.clone(), body.content_type.as_ref().to_owned()));
        // An endpoint may ask for something else. Other headers that are set here it cannot have.
        let own = |name: &str| endpoint.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        if !own(&self.accept) {
            headers.push((self.accept.clone(), "*/*".to_owned()));
        }
        headers.push(self.user_agent.clone());
        for [id_name, timestamp_name, signature_name] in &self.signature_names {
            headers.push((id_name.clone(), id.clone()));
            headers.push((timestamp_name.clone(), now.as_secs().to_string()));
            headers.push((signature_name.clone(), signature.clone()));
        }
        for (name, value) in &body.headers {
            headers.push((name.clone(), value.as_ref().to_owned()));
        }
        headers.extend_from_slice(&endpoint.headers);
        Signed {
            request: Request {
                app: message.app,
                url: endpoint.url.clone(),
                headers,
                body: body.bytes.clone(),
                deadline: self.deadline,
            },
            secrets: secrets.iter().map(|s| s.id).collect(),
            body_hash: body.hash(),
        }
    }
}
