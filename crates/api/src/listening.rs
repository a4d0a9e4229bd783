//! The port to those who listen: what `routes/endpoint/listen.rs` needs of the node that it runs on.

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use domain::{
    destination::Request,
    id::{ApplicationId, EndpointId, OrganizationId},
};
use futures_util::Stream;
use url::Url;

/// A delivery that a listener is given.
pub struct Handed {
    /// What it is acknowledged by.
    pub id: String,
    /// How long its acknowledgement may take.
    pub timeout: Duration,
    /// What is delivered.
    pub request: Request,
}

/// The deliveries of a listener. It ends when another listener takes over or the server stops; dropping it
/// is how a listener goes away.
pub type Deliveries = Pin<Box<dyn Stream<Item = Handed> + Send>>;

/// Hands deliveries to listeners.
pub trait Listening: Send + Sync {
    /// Whether an endpoint's deliveries are made by this node, as far as it knows.
    fn is_here(&self, org: OrganizationId, app: ApplicationId, endpoint: EndpointId) -> bool;

    /// Lets a listener of an endpoint's URL in.
    ///
    /// # Errors
    /// There are too many, or the server stops: says so.
    fn connect(&self, app: ApplicationId, url: &Url) -> Result<Deliveries, &'static str>;

    /// Takes the status and the body that a delivery was answered with; `false` if there is no such
    /// delivery under way.
    fn acknowledge(
        &self,
        app: ApplicationId,
        url: &Url,
        id: &str,
        status: u16,
        body: Bytes,
    ) -> bool;
}

/// A node where nobody can listen.
pub struct NoListening;

impl Listening for NoListening {
    fn is_here(&self, _: OrganizationId, _: ApplicationId, _: EndpointId) -> bool {
        false
    }

    fn connect(&self, _: ApplicationId, _: &Url) -> Result<Deliveries, &'static str> {
        Err("Nobody can listen here.")
    }

    fn acknowledge(&self, _: ApplicationId, _: &Url, _: &str, _: u16, _: Bytes) -> bool {
        false
    }
}
