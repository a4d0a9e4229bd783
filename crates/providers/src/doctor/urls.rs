use std::fmt;

use crate::Request;

/// Another spelling of the URL: the one that was most likely signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlChange {
    /// With the other of `http` and `https`.
    Scheme,
    /// Without its port.
    WithoutPort,
    /// With the scheme's own port.
    WithPort,
    /// With a slash at the end of its path.
    WithSlash,
    /// Without the slash at the end of its path.
    WithoutSlash,
    /// Without its query.
    WithoutQuery,
    /// With the host, and perhaps the scheme, that the request's headers name.
    Host,
}

impl fmt::Display for UrlChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "with the other of http and https",
            Self::WithoutPort => "without the port",
            Self::WithPort => "with the scheme's own port written out",
            Self::WithSlash => "with a slash at the end of the path",
            Self::WithoutSlash => "without the slash at the end of the path",
            Self::WithoutQuery => "without the query",
            Self::Host => "with the host that the request's headers name",
        })
    }
}

/// Other spellings, each with one change or with another scheme as well.
pub(super) fn spellings(request: &Request<'_>) -> Vec<(UrlChange, String)> {
    let mut all = Vec::new();
    let Some((scheme, rest)) = request.url.split_once("://") else { return all };
    let other = if scheme == "https" { "http" } else { "https" };
    for scheme in [scheme, other] {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let Some((authority, tail)) = rest.split_at_checked(end) else { continue };
        let tail = tail.split('#').next().unwrap_or_default();
        let (path, query) = match tail.split_once('?') {
            Some((path, query)) => (path, format!("?{query}")),
            None => (tail, String::new()),
        };
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => authority,
        };
        let port = if scheme == "http" { 80 } else { 443 };
        let mut add = |change, url: String| {
            if url != request.url {
                all.push((change, url));
            }
        };
        add(UrlChange::Scheme, format!("{scheme}://{authority}{tail}"));
        add(UrlChange::WithoutPort, format!("{scheme}://{host}{tail}"));
        add(UrlChange::WithPort, format!("{scheme}://{host}:{port}{tail}"));
        match path.strip_suffix('/') {
            Some(path) => {
                add(UrlChange::WithoutSlash, format!("{scheme}://{authority}{path}{query}"));
            }
            None => add(UrlChange::WithSlash, format!("{scheme}://{authority}{path}/{query}")),
        }
        if !query.is_empty() {
            add(UrlChange::WithoutQuery, format!("{scheme}://{authority}{path}"));
        }
        for name in ["x-forwarded-host", "host"] {
            if let Some(named) = request.header_text(name) {
                add(UrlChange::Host, format!("{scheme}://{named}{tail}"));
            }
        }
    }
    all
}
