//! The request that goes out.

use bytes::Bytes;
use domain::{
    attempt::OutcomeClass,
    destination::{self, Request},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri,
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
};
use http_body_util::Full;
use url::{Position, Url};

use super::{answer::Failure, connection::Message, options::Credentials};

/// Headers that decide where a message ends or whom it is for: ours alone to set.
const RESERVED: [HeaderName; 7] =
    [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE, TE, TRAILER];

/// Host first, then the length, then the headers as they were given. Credentials of the URL go
/// into `authorization`, unless that is given, and never into the target.
///
/// # Errors
/// Something of it cannot be said in HTTP; the text names it.
pub(super) fn build(request: Request) -> Result<Message, Failure> {
    let url: &Url = &request.url;
    let target = Uri::try_from(&url[Position::BeforePath..Position::AfterQuery])
        .map_err(|e| invalid(format!("the URL cannot be requested: {e}")))?;
    let host = HeaderValue::from_str(destination::host(url))
        .map_err(|_| invalid("the URL's host cannot be sent".to_owned()))?;
    let mut headers = HeaderMap::with_capacity(request.headers.len() + 3);
    headers.append(HOST, host);
    headers.append(CONTENT_LENGTH, HeaderValue::from(request.body.len()));
    for (name, value) in request.headers {
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| invalid(format!("not a header name: {:.64}", name.escape_debug())))?;
        if RESERVED.contains(&header) {
            return Err(invalid(format!("the header {header} cannot be set")));
        }
        // From `Bytes`, so that the value is moved and not copied.
        let value = HeaderValue::from_maybe_shared(Bytes::from(value))
            .map_err(|_| invalid(format!("the value of the header {header} cannot be sent")))?;
        headers.append(header, value);
    }
    if let Some(credentials) = Credentials::of(url)
        && !headers.contains_key(AUTHORIZATION)
    {
        let mut value = HeaderValue::try_from(credentials.to_basic())
            .expect("base64 has no byte that a header cannot have");
        value.set_sensitive(true);
        headers.append(AUTHORIZATION, value);
    }
    let mut message = http::Request::new(Full::new(request.body));
    *message.method_mut() = Method::POST;
    *message.uri_mut() = target;
    *message.headers_mut() = headers;
    Ok(message)
}

fn invalid(text: String) -> Failure {
    Failure::new(OutcomeClass::Invalid, text)
}
