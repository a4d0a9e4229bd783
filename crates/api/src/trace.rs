//! The caller's trace goes with a message to its receivers (W3C Trace Context, `traceparent`).

use std::{convert::Infallible, sync::Arc};

use axum::extract::FromRequestParts;
use domain::message::Body;
use http::{HeaderMap, request::Parts};

/// The header's name.
const TRACEPARENT: &str = "traceparent";

/// The `traceparent` of a request, if it has a valid one; others are ignored, as the standard says.
pub struct TraceParent(Option<Arc<str>>);

impl TraceParent {
    /// Lets a body carry it: every attempt sends it on.
    pub fn onto(&self, body: &mut Body) {
        if let Some(value) = &self.0 {
            body.headers.push((TRACEPARENT.into(), value.clone()));
        }
    }
}

impl<S: Sync> FromRequestParts<S> for TraceParent {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parent(&parts.headers).map(Arc::from)))
    }
}

/// The `traceparent` of a request, if it has a valid one.
pub(crate) fn parent(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
    value.filter(|value| is_valid(value))
}

/// `00-{trace id}-{parent id}-{flags}` in lower-case hexadecimal, ids not all zero (section 3.2.2).
fn is_valid(value: &str) -> bool {
    let mut parts = value.split('-');
    let mut part = |len: usize, zero: bool| {
        parts.next().is_some_and(|p| {
            p.len() == len
                && p.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
                && (zero || p.bytes().any(|b| b != b'0'))
        })
    };
    value.starts_with("00-")
        && part(2, true)
        && part(32, false)
        && part(16, false)
        && part(2, true)
        && value.len() == 55
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn takes_only_what_the_standard_allows() {
        assert!(is_valid("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        for bad in [
            "",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        ] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
