//! The outermost layer: trims a trailing slash before routing, and takes in the whole body, so that
//! no answer is given, and no connection closed, in the middle of one.

use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::{HeaderValue, Uri, header, uri::PathAndQuery};
use http_body::Body as _;
use http_body_util::BodyExt;
use tower::{Service, ServiceExt};

use crate::error::ApiError;

/// Most of an over-long body that is read and thrown away before its 413; what is longer finds its
/// connection closed behind the answer.
const MAX_DRAINED_BYTES: u64 = 64 * 1024 * 1024;
/// Longest that this takes.
const MAX_DRAIN_TIME: Duration = Duration::from_secs(10);

/// See [the module](self).
#[derive(Clone)]
pub struct Edge {
    inner: Router,
    body_limit: usize,
    body_timeout: Duration,
}

impl Edge {
    /// In front of `inner`: bodies of up to `body_limit` bytes, each whole within `body_timeout`.
    pub fn new(inner: Router, body_limit: usize, body_timeout: Duration) -> Self {
        Self { inner, body_limit, body_timeout }
    }

    async fn handle(self, request: Request) -> Response {
        let (mut parts, body) = request.into_parts();
        if let Some(uri) = trimmed(&parts.uri) {
            parts.uri = uri;
        }
        let body = if body.is_end_stream() {
            Bytes::new()
        } else {
            let expects =
                parts.headers.get(header::EXPECT).is_some_and(|e| e.as_bytes() == b"100-continue");
            match self.read(body, expects).await {
                Ok(body) => body,
                Err(error) => return refuse(error),
            }
        };
        let request = Request::from_parts(parts, Body::from(body));
        // A bug in a handler is an answer too, not a closed connection. What handlers share is
        // locked by locks that do not poison, and only around plain moves.
        match AssertUnwindSafe(self.inner.oneshot(request)).catch_unwind().await {
            Ok(Ok(response)) => response,
            Err(_) => ApiError::Internal.into_response(),
        }
    }

    /// Reads the body. One that is too long is read to its end, in bounds, and thrown away: a caller
    /// that is still sending would not see our answer. Unless it asked first, with `Expect`.
    async fn read(&self, mut body: Body, expects: bool) -> Result<Bytes, ApiError> {
        if body.size_hint().lower() > self.body_limit as u64 {
            if !expects {
                drain(body, 0).await;
            }
            return Err(ApiError::TooLarge);
        }
        let reading = async {
            let mut whole = match next(&mut body).await? {
                None => return Ok(Bytes::new()),
                // The usual case: all of it at once, and no copy.
                Some(first) if body.is_end_stream() && first.len() <= self.body_limit => {
                    return Ok(first);
                }
                Some(first) => BytesMut::from(first),
            };
            let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
            whole.reserve(declared.min(self.body_limit));
            while whole.len() <= self.body_limit {
                match next(&mut body).await? {
                    Some(data) => whole.extend_from_slice(&data),
                    None => return Ok(whole.freeze()),
                }
            }
            Err(ApiError::TooLarge)
        };
        let result = match tokio::time::timeout(self.body_timeout, reading).await {
            Ok(result) => result,
            Err(_) => Err(ApiError::BodyTimeout),
        };
        if result == Err(ApiError::TooLarge) {
            drain(body, self.body_limit as u64).await;
        }
        result
    }
}

/// The next bytes of a body; `None` at its end.
async fn next(body: &mut Body) -> Result<Option<Bytes>, ApiError> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::generic("the body could not be read"))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Reads on to the end and throws it away, of at most [`MAX_DRAINED_BYTES`] with the `read` before.
async fn drain(mut body: Body, mut read: u64) {
    let draining = async {
        while read <= MAX_DRAINED_BYTES
            && let Ok(Some(data)) = next(&mut body).await
        {
            read += data.len() as u64;
        }
    };
    // What takes too long finds its connection closed.
    let _ = tokio::time::timeout(MAX_DRAIN_TIME, draining).await;
}

/// An answer to a body that was not (all) taken: its connection cannot be used again.
fn refuse(error: ApiError) -> Response {
    let mut response = error.into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The URI without the slashes its path ends in; `None` if there are none.
fn trimmed(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if path.len() < 2 || !path.ends_with('/') {
        return None;
    }
    let path = match path.trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(path_and_query).ok();
    Uri::from_parts(parts).ok()
}

impl Service<Request> for Edge {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let edge = self.clone();
        Box::pin(async move { Ok(edge.handle(request).await) })
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        async fn buggy() {
            panic!("a bug");
        }
        let router = Router::new().route("/", get(buggy));
        let edge = Edge::new(router, 10, Duration::from_secs(1));
        let response = edge.oneshot(Request::new(Body::empty())).await.expect("never fails");
        assert_eq!(response.status(), 500);
    }
}
