//! The way of a request through the door.

use std::{sync::Arc, time::Duration};

use axum::{extract::Request, response::Response};
use domain::{
    clock::{Clock, Timestamp},
    entropy::Entropy,
    name::Ref,
    source::{InboundToken, Source},
    token::Actor,
};
use http::{Method, StatusCode, request::Parts};
use providers::{Effect, Genuine, Reason, Reply};
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
    store: Arc<dyn Store>,
    publisher: Arc<Publisher>,
    clock: Arc<dyn Clock>,
    sources: Sources,
    ring: Arc<KeyRing>,
    rates: Rates,
    room: Room,
    refused: Refused,
    options: GatewayOptions,
}

/// A request that is read.
struct Received {
    parts: Parts,
    url: String,
    body: bytes::Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Gateway {
    /// Puts it together. What it takes in it hands to `publisher`; what it has to fetch it fetches with
    /// `fetch`. The future writes down what was refused: it is to be spawned, and ends with the gateway.
    pub fn new(
        store: Arc<dyn Store>,
        publisher: Arc<Publisher>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        fetch: Arc<dyn Fetch>,
        options: GatewayOptions,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (refused, writing) = Refused::new(store.clone(), entropy);
        let gateway = Self {
            store,
            sources: Sources::new(publisher.catalogues().clone()),
            publisher,
            clock,
            ring: Arc::new(KeyRing::new(fetch)),
            rates: Rates::new(),
            room: Room::new(options.body_bytes),
            refused,
            options,
        };
        (gateway, writing)
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
        self.decide(&token, source, received).await
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
    fn url(&self, source: &Source, parts: &Parts) -> String {
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

    async fn judge(&self, source: &Prepared, received: &Received, now: Timestamp) -> Judged {
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

    async fn take_in(
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
                Ok(())
            }
            Some(Err(Rejected::OverQuota)) => Err(Refusal::OverQuota),
            Some(Err(Rejected::NoSuchApplication)) => Err(Refusal::Unknown),
            Some(Err(_)) | None => Err(Refusal::Unavailable),
        }
    }

    /// Answers a question, once what it asks for is done.
    async fn reply(&self, source: &Prepared, reply: Reply) -> Result<Response, Refusal> {
        match &reply.effect {
            Some(Effect::StoreSecret(secret)) => self.keep_secret(source, secret).await?,
            Some(Effect::CallUrl(url)) if !self.ring.call(url).await => {
                return Err(Refusal::Unavailable);
            }
            Some(Effect::CallUrl(_)) | None => {}
        }
        Ok(answer::reply(&reply))
    }

    /// Keeps the secret that a provider sends when it is set up. A source that has one keeps it: the
    /// question is not signed.
    async fn keep_secret(&self, source: &Prepared, secret: &str) -> Result<(), Refusal> {
        if !source.secrets.is_empty() {
            return Ok(());
        }
        let unavailable = |_| Refusal::Unavailable;
        let by = Ref::Id(source.app);
        let found = self.store.application(source.org, &by).await.map_err(unavailable)?;
        let mut application = found.ok_or(Refusal::Unknown)?;
        let mut changed = Source::clone(application.source.as_ref().ok_or(Refusal::Unknown)?);
        if changed.sent_secret.is_some() {
            return Ok(());
        }
        changed.sent_secret = Some(domain::source::Config::new(secret));
        application.source = Some(Arc::new(changed));
        let expected = application.updated_at;
        application.updated_at = self.clock.now().max(expected.plus(Duration::from_micros(1)));
        let written = self.store.update_application(&Actor::System, application, expected).await;
        match written.map_err(unavailable)? {
            Ok(()) => {
                self.publisher.catalogues().application_changed(source.org, source.app, None);
                Ok(())
            }
            // Somebody else has just changed it: the provider asks again.
            Err(_) => Err(Refusal::Unavailable),
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
