//! The port to the outside: what an engine needs of a kind of destination.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use url::{Position, Url};

use crate::{attempt::Outcome, endpoint::shown_url, id::ApplicationId};

/// The host of URLs that lead to whoever listens (see [`leads_to_listener`]). Reserved by RFC 6761: a
/// name under `.invalid` never resolves, so nothing else can be meant by it.
pub const LISTENER_HOST: &str = "listen.hookwright.invalid";

/// Whether what is sent to this URL is not dialled, but handed to a listener: somebody who came to us over
/// a connection of their own. The path of the URL tells listeners of an application apart.
pub fn leads_to_listener(url: &Url) -> bool {
    url.host_str().is_some_and(|host| host.trim_end_matches('.') == LISTENER_HOST)
}

/// The `host` header of what is dialled at this URL.
pub fn host(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

/// Whether what is dialled at this URL is sent an `authorization` header made of the URL's credentials,
/// unless another one is given.
pub fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// One exchange to carry out.
#[derive(Clone)]
pub struct Request {
    /// Whose it is: connections are not shared across applications.
    pub app: ApplicationId,
    /// Where to.
    pub url: Arc<Url>,
    /// In the order they are sent. Does not hold `host` or `content-length`.
    pub headers: Vec<(Arc<str>, String)>,
    /// Sent as it is.
    pub body: Bytes,
    /// One deadline over the whole exchange: resolve, connect, send, and read the answer.
    pub deadline: Duration,
}

impl fmt::Debug for Request {
    /// Without what is secret in it: credentials of the URL, headers and body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("app", &self.app)
            .field("url", &shown_url(&self.url))
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// A kind of place that messages go to.
pub trait Destination: Send + Sync {
    /// Carries out one exchange. Never fails: what goes wrong is an [`Outcome`].
    fn deliver(&self, request: Request) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>>;

    /// Closes idle connections to wherever this URL leads, because the endpoint changed.
    fn forget(&self, url: &Url);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_alone_tells_listeners() {
        for (url, listener) in [
            ("https://listen.hookwright.invalid/x", true),
            ("http://me@LISTEN.hookwright.invalid.:81/x?y", true),
            ("https://example.com/listen.hookwright.invalid", false),
            ("https://listen.hookwright.invalid.example.com/", false),
            ("https://a.listen.hookwright.invalid/", false),
        ] {
            assert_eq!(leads_to_listener(&url.parse().expect(url)), listener, "{url}");
        }
    }

    #[test]
    fn what_is_secret_is_not_shown() {
        let request = Request {
            app: ApplicationId::from_raw([1; 20]),
            url: Arc::new("https://me:hush@hooks.example/".parse().expect("a URL")),
            headers: vec![("authorization".into(), "hush".to_owned())],
            body: Bytes::from_static(b"hush"),
            deadline: Duration::from_secs(1),
        };
        let shown = format!("{request:?}");
        assert!(shown.contains("hooks.example") && !shown.contains("hush"), "{shown}");
    }
}
