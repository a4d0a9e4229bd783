//! What a provider gets to read. Never 410, which some take for an order to forget the URL; and no word
//! of what would have been right.

use axum::{body::Body, response::Response};
use domain::source::Acknowledgement;
use http::{HeaderValue, StatusCode, header};
use providers::{Reply, row::Ack};

/// Why a request is not taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such source, or it is disabled: nobody learns which.
    Unknown,
    /// Not genuine. With the status that the source has for that.
    NotGenuine(StatusCode),
    /// Genuine, and no event.
    Method,
    /// Longer than the source takes.
    TooLarge,
    /// It did not come to its end in time.
    Slow,
    /// It broke off, or is no HTTP.
    Broken,
    /// Its `content-type` is none.
    ContentType,
    /// More than the source may get. Come again after so many seconds.
    Throttled(u64),
    /// The store cannot, or a key could not be fetched: come again.
    Unavailable,
    /// The application has too much pending.
    OverQuota,
}

/// How long a provider is asked to wait where nothing better is known, in seconds.
const RETRY_AFTER: u64 = 5;
/// Methods that a source may be asked with.
const ALLOW: &str = "POST, GET, HEAD, OPTIONS";

impl Refusal {
    /// Its status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::NotGenuine(status) => *status,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Throttled(_) | Self::OverQuota => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn words(&self) -> (&'static str, &'static str) {
        match self {
            Self::Unknown => ("not_found", "There is no such source."),
            Self::NotGenuine(_) => ("not_genuine", "The request could not be verified."),
            Self::Method => ("method_not_allowed", "Events are posted."),
            Self::TooLarge => ("payload_too_large", "The body is longer than this source takes."),
            Self::Slow => ("request_timeout", "The body took too long."),
            Self::Broken => ("generic_error", "The body could not be read."),
            Self::ContentType => ("unsupported_media_type", "The content type cannot be read."),
            Self::Throttled(_) => ("too_many_requests", "More than this source takes at a time."),
            Self::OverQuota => ("too_many_requests", "Too much is pending."),
            Self::Unavailable => ("unavailable", "It could not be stored. Try again."),
        }
    }

    /// As a response.
    pub fn response(&self) -> Response {
        let (code, detail) = self.words();
        let body = format!(r#"{{"code":"{code}","detail":"{detail}"}}"#);
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let retry_after = match self {
            Self::Throttled(seconds) => Some(*seconds),
            Self::Unavailable | Self::OverQuota => Some(RETRY_AFTER),
            _ => None,
        };
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        match self {
            Self::Method => {
                headers.insert(header::ALLOW, HeaderValue::from_static(ALLOW));
            }
            // The rest of the body is not read.
            Self::TooLarge | Self::Slow | Self::Broken => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

/// The answer to an event that is stored, now or before: the source's own, or else the provider's.
pub fn acknowledge(own: Option<&Acknowledgement>, provider: &Ack) -> Response {
    let (status, content_type, body) = match own {
        Some(own) => (own.status, own.content_type.as_deref().unwrap_or(""), &own.body),
        None => (provider.status, provider.content_type.as_str(), &provider.body),
    };
    plain(status, content_type, body.clone())
}

/// The answer to a question.
pub fn reply(reply: &Reply) -> Response {
    let mut response = plain(reply.status, reply.content_type, reply.body.clone());
    for (name, value) in &reply.headers {
        let name = http::HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

fn plain(status: u16, content_type: &str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    if let Ok(value) = HeaderValue::from_str(content_type)
        && !content_type.is_empty()
    {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}
