//! The port to the outside: what an engine needs of a kind of destination.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use url::Url;

use crate::{attempt::Outcome, id::ApplicationId};

/// One exchange to carry out.
#[derive(Clone, Debug)]
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

/// A kind of place that messages go to.
pub trait Destination: Send + Sync {
    /// Carries out one exchange. Never fails: what goes wrong is an [`Outcome`].
    fn deliver(&self, request: Request) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>>;

    /// Closes idle connections to wherever this URL leads, because the endpoint changed.
    fn forget(&self, url: &Url);
}
