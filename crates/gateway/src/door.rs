//! The way of a request through the door.

use std::{sync::Arc, time::Duration};

use axum::{extract::Request, response::Response};
use domain::{
    analytics::Unaccepted,
    clock::{Clock, Timestamp},
    entropy::Entropy,
    name::Ref,
    source::{InboundToken, Source},
};
use http::{Method, StatusCode, request::Parts};
use providers::{Genuine, Reason};
use publish::{Draft, Internal, PublishError, Publisher, Rejected};
use store::Store;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    PATH,
    answer::{self, Refusal},
    body::Room,
    event,
    judge::{Judged, judge},
    keys::{Fetch, KeyRing},
    rate::Rates,
    refused::Refused,
    source::{Prepared, Sources},
    tally::{self, Tally},
};

/// Settings of the door.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Where it is reached from outside, without a slash at the end: what senders sign that sign URLs.
    /// A source may have another one.
    pub public_url: String,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// Bytes of all bodies that are under way at a time. Past it, 503.
    pub body_bytes: usize,
}

/// The door. Cheap to share behind an `Arc`.
pub struct Gateway {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sources: Sources,
    pub(crate) ring: Arc<KeyRing>,
    rates: Rates,
    room: Room,
    refused: Refused,
    tally: Tally,
    options: GatewayOptions,
}

/// A request that is read.
pub(crate) struct Received {
    pub(crate) parts: Parts,
    pub(crate) url: String,
    pub(crate) body: bytes::Bytes,
    pub(crate) _room: Option<OwnedSemaphorePermit>,
}

impl Gateway {
    /// Puts it together. What it takes in it hands to `publisher`; what it has to fetch it fetches with
    /// `fetch`. The future writes down and counts what was refused: it is to be spawned, and ends with the gateway.
    pub fn new(
        store: Arc<dyn Store>,
        publisher: Arc<Publisher>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        fetch: Arc<dyn Fetch>,
        options: GatewayOptions,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (refused, keeping) = Refused::new(store.clone(), entropy);
        let tally = Tally::default();
        let counting = tally.written(store.clone());
        let gateway = Self {
            store,
            sources: Sources::new(publisher.catalogues().clone()),
            publisher,
            clock,
            ring: Arc::new(KeyRing::new(fetch)),
            rates: Rates::new(),
            room: Room::new(options.body_bytes),
            refused,
            tally,
            options,
        };
        (gateway, async { tokio::join!(keeping, counting).0 })
    }

    /// Answers a request whose path begins with [`PATH`].
    pub async fn answer(&self, request: Request) -> Response {
        let result = self.receive(request).await;
        let response = result.unwrap_or_else(|refusal| refusal.response());
        metrics::counter!("hookwright_received_total", "status" => code(response.status()))
            .increment(1);
        response
    }

    async fn receive(&self, request: Request) -> Result<Response, Refusal> {
        let (parts, body) = request.into_parts();
        let token = parts.uri.path().strip_prefix(PATH).map(|rest| rest.trim_end_matches('/'));
        let token: InboundToken =
            token.and_then(|token| token.parse().ok()).ok_or(Refusal::Unknown)?;
        let now = self.clock.now();
        let source = match self.find(&token, now, false).await? {
            Some(source) => source,
            // Another node may have made it, or given it this token.
            None if self.store.is_shared() => {
                self.find(&token, now, true).await?.ok_or(Refusal::Unknown)?
            }
            None => return Err(Refusal::Unknown),
        };
        let taken = self.receive_for(&token, source.clone(), parts, body, now).await;
        if let Err(refusal) = &taken
            && let Some(why) = tally::why(refusal)
        {
            self.tally.add(&source, why, now);
        }
        taken
    }

    async fn receive_for(
        &self,
        token: &InboundToken,
        source: Arc<Prepared>,
        parts: Parts,
        body: axum::body::Body,
        now: Timestamp,
    ) -> Result<Response, Refusal> {
        if !matches!(parts.method, Method::POST | Method::GET | Method::HEAD | Method::OPTIONS) {
            return Err(Refusal::Method);
        }
        if let Some(rate) = source.source.settings.throttle_rate {
            self.rates.take(source.app, rate, now).map_err(Refusal::Throttled)?;
        }
        let most = source.source.max_body_bytes();
        let (body, room) = self.room.read(body, most, self.options.body_timeout).await?;
        let url = self.url(&source.source, &parts);
        let received = Received { parts, url, body, _room: room };
        self.decide(token, source, received).await
    }

    async fn find(
        &self,
        token: &InboundToken,
        now: Timestamp,
        exact: bool,
    ) -> Result<Option<Arc<Prepared>>, Refusal> {
        self.sources.find(token, now, exact).await.map_err(|_| Refusal::Unavailable)
    }

    /// The URL as the provider knows it.
    pub(crate) fn url(&self, source: &Source, parts: &Parts) -> String {
        match &source.settings.public_url {
            Some(url) => match parts.uri.query() {
                Some(query) if !url.contains('?') => format!("{url}?{query}"),
                _ => url.clone(),
            },
            None => {
                let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
                format!("{}{path}", self.options.public_url)
            }
        }
    }

    async fn decide(
        &self,
        token: &InboundToken,
        mut source: Arc<Prepared>,
        received: Received,
    ) -> Result<Response, Refusal> {
        let now = self.clock.now();
        let mut judged = self.judge(&source, &received, now).await;
        if matches!(judged, Judged::Refused(_)) && self.store.is_shared() {
            // Its secret may have been changed on another node.
            let exact = self.find(token, now, true).await?.ok_or(Refusal::Unknown)?;
            if !Arc::ptr_eq(&exact, &source) {
                source = exact;
                judged = self.judge(&source, &received, now).await;
            }
        }
        match judged {
            Judged::Question(reply) => self.reply(&source, reply).await,
            _ if received.parts.method != Method::POST => Err(Refusal::Method),
            Judged::Event(genuine) => self.take_in(&source, &genuine, received).await,
            Judged::NoKey => Err(Refusal::Unavailable),
            Judged::Refused(reason) => {
                let refusal = refused(&source, reason);
                let why = (refusal.status().as_u16(), reason);
                self.refused.keep(&source, &received.parts, &received.body, why, now);
                Err(refusal)
            }
        }
    }

    pub(crate) async fn judge(
        &self,
        source: &Prepared,
        received: &Received,
        now: Timestamp,
    ) -> Judged {
        let headers: Vec<(&str, &[u8])> = received
            .parts
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let request = providers::Request {
            method: received.parts.method.as_str(),
            url: &received.url,
            headers: &headers,
            body: &received.body,
        };
        judge(source, &request, &self.ring, now).await
    }

    pub(crate) async fn take_in(
        &self,
        source: &Prepared,
        genuine: &Genuine,
        received: Received,
    ) -> Result<Response, Refusal> {
        let Received { parts, body, .. } = received;
        let content_type = event::content_type(&parts.headers).ok_or(Refusal::ContentType)?;
        let draft = event::draft(source, genuine, content_type, &parts.headers, body);
        self.store_event(source, draft).await?;
        Ok(answer::acknowledge(
            source.source.settings.acknowledgement.as_ref(),
            source.provider.ack(),
        ))
    }

    /// Stores an event, unless it is there already. Returns when it is on stable storage.
    async fn store_event(&self, source: &Prepared, draft: Draft) -> Result<(), Refusal> {
        let app = Ref::Id(source.app);
        let stored = self.publisher.publish(source.org, &app, vec![draft], &Internal).await;
        let result = stored.map_err(|error| match error {
            PublishError::NotFound | PublishError::Revoked => Refusal::Unknown,
            PublishError::Store(_) => Refusal::Unavailable,
        })?;
        match result.into_iter().next() {
            Some(Ok(_)) => Ok(()),
            Some(Err(Rejected::EventIdTaken)) => {
                metrics::counter!("hookwright_received_duplicates_total").increment(1);
                self.tally.add(source, Unaccepted::Duplicate, self.clock.now());
                Ok(())
            }
            Some(Err(Rejected::OverQuota)) => Err(Refusal::OverQuota),
            Some(Err(Rejected::NoSuchApplication)) => Err(Refusal::Unknown),
            Some(Err(_)) | None => Err(Refusal::Unavailable),
        }
    }
}

fn refused(source: &Prepared, reason: Reason) -> Refusal {
    metrics::counter!("hookwright_received_refused_total").increment(1);
    tracing::debug!(app = %source.app, %reason, "an inbound request is not genuine");
    let status = source.source.settings.unverified_status.unwrap_or(401);
    Refusal::NotGenuine(StatusCode::from_u16(status).unwrap_or(StatusCode::UNAUTHORIZED))
}

fn code(status: StatusCode) -> String {
    status.as_str().to_owned()
}
