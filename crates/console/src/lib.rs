//! The console and the portal, as files of this binary. Both are the same page, which looks at its own
//! address; they differ in who may embed it.

mod files;
mod headers;

use std::sync::Arc;

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, Method, StatusCode, header};

use crate::files::File;

/// Fills a buffer with random bytes.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// Answers what browsers ask for.
#[derive(Clone)]
pub struct Console {
    /// The `frame-ancestors` of the portal.
    ancestors: Arc<str>,
    random: Random,
}

impl Console {
    /// `ancestors` are the origins whose pages may embed the portal, beside our own.
    pub fn new(ancestors: &[String], random: Random) -> Self {
        let ancestors = [&["'self'".to_owned()], ancestors].concat().join(" ");
        Self { ancestors: ancestors.into(), random }
    }

    /// Whether a path is for this service.
    pub fn serves(path: &str) -> bool {
        path == "/" || path.starts_with("/assets/") || is_page(path, "/console") || is_portal(path)
    }

    /// The answer to a request for a path that this serves.
    pub fn answer(&self, request: &Request) -> Response {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")])
                .into_response();
        }
        let path = request.uri().path();
        let mut response = match path {
            "/" => Redirect::temporary("/console").into_response(),
            path if path.starts_with("/assets/") => asset(path, request.headers()),
            path => self.page(if is_portal(path) { &self.ancestors } else { "'none'" }),
        };
        headers::add_common(response.headers_mut());
        if request.method() == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        response
    }

    /// The page, with a nonce of its own for the styles that it makes at run time.
    fn page(&self, ancestors: &str) -> Response {
        let mut bytes = [0; 16];
        (self.random)(&mut bytes);
        let nonce = format!("{:032x}", u128::from_be_bytes(bytes));
        let html = files::page().replace("{{nonce}}", &nonce);
        let mut response = html.into_response();
        headers::add_page(response.headers_mut(), &nonce, ancestors);
        response
    }
}

/// Whether `path` is the page at `root`, or a link into it.
fn is_page(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_portal(path: &str) -> bool {
    is_page(path, "/portal")
}

/// A file whose name has a hash of what it holds.
fn asset(path: &str, asked: &HeaderMap) -> Response {
    let Some(file) = File::named(path) else {
        return (StatusCode::NOT_FOUND, "There is no such file.").into_response();
    };
    let etag = format!("\"{}\"", file.etag);
    let known = asked.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let known = known
        .is_some_and(|tags| tags.split(',').any(|t| t.trim().trim_start_matches("W/") == etag));
    let mut response = match (known, file.brotli.filter(|_| takes_brotli(asked))) {
        (true, _) => StatusCode::NOT_MODIFIED.into_response(),
        (false, Some(brotli)) => ([(header::CONTENT_ENCODING, "br")], brotli).into_response(),
        (false, None) => file.body.into_response(),
    };
    headers::add_asset(response.headers_mut(), file.content_type(), &etag);
    response
}

/// Whether brotli is among the codings asked for, and not refused.
fn takes_brotli(asked: &HeaderMap) -> bool {
    let codings = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    codings.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok());
        name.trim() == "br" && weight.is_some_and(|q| q > 0.0)
    })
}
