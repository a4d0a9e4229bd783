//! Where listeners meet the engine and the API.

use std::{future::Future, pin::Pin, sync::Arc};

use api::{Deliveries, Handed, Listening};
use bytes::Bytes;
use destinations::{
    http::HttpDestination,
    listen::{Acknowledgement, Connection, Listeners},
};
use dispatch::Engine;
use domain::{
    attempt::Outcome,
    destination::{Destination, Request, leads_to_listener},
    id::{ApplicationId, EndpointId, OrganizationId},
    shard::Shard,
};
use futures_util::stream;
use url::Url;

/// Every kind of destination, chosen by the URL.
pub struct Destinations {
    /// Whoever can be dialled.
    pub http: Arc<HttpDestination>,
    /// Whoever comes to us.
    pub listeners: Arc<Listeners>,
}

impl Destinations {
    fn of(&self, url: &Url) -> &dyn Destination {
        if leads_to_listener(url) { &*self.listeners } else { &*self.http }
    }
}

impl Destination for Destinations {
    fn deliver(&self, request: Request) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        self.of(&request.url).deliver(request)
    }

    fn forget(&self, url: &Url) {
        self.of(url).forget(url);
    }
}

/// The listeners of this node, as the API sees them.
pub struct NodeListening {
    /// Knows what this node delivers.
    pub engine: Arc<Engine>,
    /// Those who listen.
    pub listeners: Arc<Listeners>,
}

impl Listening for NodeListening {
    fn is_here(&self, org: OrganizationId, app: ApplicationId, endpoint: EndpointId) -> bool {
        self.engine.shards().contains(Shard::of(&org, &app, &endpoint))
    }

    fn connect(&self, app: ApplicationId, url: &Url) -> Result<Deliveries, &'static str> {
        use destinations::listen::Refused;
        let connection = self.listeners.connect(app, url).map_err(|refused| match refused {
            Refused::Full => "There are too many listeners.",
            Refused::Closed => "The server is stopping.",
        })?;
        Ok(Box::pin(stream::unfold(connection, next)))
    }

    fn acknowledge(
        &self,
        app: ApplicationId,
        url: &Url,
        id: &str,
        status: u16,
        body: Bytes,
    ) -> bool {
        self.listeners.acknowledge(app, url, id, Acknowledgement { status, body })
    }
}

async fn next(mut connection: Connection) -> Option<(Handed, Connection)> {
    let handed = connection.next().await?;
    let handed = Handed { id: handed.id, timeout: handed.timeout, request: handed.request };
    Some((handed, connection))
}
