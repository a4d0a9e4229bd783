//! Refused requests that are judged again, once what was wrong with the source is put right: by its secrets
//! of now, and by the time at which they came.

use http::{HeaderMap, HeaderName, HeaderValue, Method, request::Parts};
use store::rejected::RejectedRequest;

use crate::{
    PATH,
    answer::Refusal,
    door::{Gateway, Received},
    judge::Judged,
};

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// It is an event, and stored: now or before.
    Stored,
    /// Still not genuine: why.
    NotGenuine(String),
    /// It is no event, or not all of its body was kept.
    Unusable(&'static str),
    /// The source is gone, or the store cannot.
    Refused(Refusal),
}

impl Gateway {
    /// Judges a kept request again.
    pub async fn replay(&self, kept: &RejectedRequest) -> Replayed {
        if kept.body_bytes != kept.body.len() as u64 {
            return Replayed::Unusable("its body was too long to be kept");
        }
        let source = match self.sources.of(kept.org, kept.app).await {
            Ok(Some(source)) => source,
            Ok(None) => return Replayed::Refused(Refusal::Unknown),
            Err(_) => return Replayed::Refused(Refusal::Unavailable),
        };
        let Some(parts) = parts(kept) else {
            return Replayed::Unusable("it cannot be read");
        };
        let url = self.url(&source.source, &parts);
        let received = Received { parts, url, body: kept.body.clone(), _room: None };
        match self.judge(&source, &received, kept.at).await {
            Judged::Event(genuine) if received.parts.method == Method::POST => {
                match self.take_in(&source, &genuine, received).await {
                    Ok(_) => Replayed::Stored,
                    Err(refusal) => Replayed::Refused(refusal),
                }
            }
            Judged::Event(_) | Judged::Question(_) => Replayed::Unusable("it is no event"),
            Judged::Refused(reason) => Replayed::NotGenuine(reason.to_string()),
            Judged::NoKey => Replayed::Refused(Refusal::Unavailable),
        }
    }
}

/// The head of the request. The token of its URL was not kept: whoever signs it is given `public_url`.
fn parts(kept: &RejectedRequest) -> Option<Parts> {
    let query = kept.url.split_once('?').map_or(String::new(), |(_, query)| format!("?{query}"));
    let uri = format!("{PATH}{query}");
    let request = http::Request::builder().method(kept.method.as_str()).uri(uri).body(()).ok()?;
    let (mut parts, ()) = request.into_parts();
    parts.headers = HeaderMap::new();
    for (name, value) in &kept.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        parts.headers.append(name, HeaderValue::from_str(value).ok()?);
    }
    Some(parts)
}
