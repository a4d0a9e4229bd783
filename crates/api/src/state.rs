//! What every handler has at hand.

use std::{ops::Deref, sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{
    alert::Rule,
    clock::{Clock, Timestamp},
    endpoint::Endpoint,
    entropy::Entropy,
    id::{ApplicationId, EndpointId, OrganizationId},
    name::Ref,
    operational::OperationalEvent,
    signature::{HeaderStyle, SignatureType},
    token::Capability,
};
use publish::{ApplicationCatalogue, Load, OrganizationCatalogue, Publisher, RequestBuilder};
use store::{
    Store, StoreError, history::Tenant, housekeeping::StoreStats, nodes::NodeInfo,
    rejected::RejectedRequest,
};

use crate::{
    auth::{Auth, Caller, Keys},
    error::ApiError,
    idempotency::InFlight,
    listening::{Listening, NoListening},
    node::{NoNode, NodeState, StoreFacts},
    observe::RequestMetrics,
    routes::{event_type, message::Slots},
};

/// Settings of the API.
pub struct ApiOptions {
    /// Longest body, in bytes; a longer one is a 413.
    pub body_limit: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// Refuse endpoints whose URL is not `https`.
    pub https_only: bool,
    /// Where the portal is reached, without a slash at the end: `https://hooks.example.com`.
    pub public_url: String,
    /// Which kind of secret an endpoint gets that is made without one.
    pub default_signature_type: SignatureType,
    /// Signs and verifies tokens.
    pub keys: Keys,
    /// How far the clocks of whoever signs tokens may be off ours.
    pub token_leeway: Duration,
    /// How long an idempotency key holds.
    pub idempotency_ttl: Duration,
    /// Makes the span of a request part of its caller's trace (the `traceparent`), where traces go
    /// anywhere.
    pub adopt: Option<Adopt>,
    /// Whether this node may take traffic, besides what the store says: what `health/ready` answers.
    pub ready: Ready,
    /// Hands deliveries to those who listen.
    pub listening: Arc<dyn Listening>,
    /// What this node knows of itself and of its work.
    pub node: Arc<dyn NodeState>,
    /// What operators are told of the store.
    pub store_facts: StoreFacts,
    /// Judges again what a source has refused; without it that is answered 503.
    pub judge: Option<Arc<dyn JudgeAgain>>,
    /// Tells of alerts; without it a test of that is answered 503, and no rule has an e-mail address.
    pub alerts: Option<Arc<dyn TellOfAlerts>>,
    /// Makes requests as the engine does: says what attempts have sent.
    pub requests: RequestBuilder,
}

/// Whoever tells of alerts.
#[async_trait]
pub trait TellOfAlerts: Send + Sync {
    /// Whether it can send e-mail.
    fn can_mail(&self) -> bool;

    /// Tells each channel of a rule that this is a test: what came of it, in their order. An error says
    /// what happened, and nothing secret.
    async fn test(&self, rule: &Rule) -> Vec<Result<(), String>>;
}

/// Whoever receives for sources.
#[async_trait]
pub trait JudgeAgain: Send + Sync {
    /// Takes a refused request in, if it is genuine by the source's secrets of now.
    async fn judge_again(&self, request: &RejectedRequest) -> Result<(), NotTaken>;
}

/// Why a refused request is not taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// It still is not genuine: why.
    NotGenuine(String),
    /// It never will be an event, or too little of it was kept.
    Unusable(String),
    /// Not at the moment.
    Unavailable,
}

/// See [`ApiOptions::adopt`].
pub type Adopt = fn(&tracing::Span, &str);

/// See [`ApiOptions::ready`].
pub type Ready = Arc<dyn Fn() -> bool + Send + Sync>;

impl ApiOptions {
    /// The defaults, with these keys.
    pub fn new(keys: Keys) -> Self {
        Self {
            body_limit: 1024 * 1024,
            body_timeout: Duration::from_secs(30),
            https_only: false,
            public_url: "http://127.0.0.1:8071".into(),
            default_signature_type: SignatureType::Hmac256,
            keys,
            token_leeway: Duration::from_secs(60),
            idempotency_ttl: Duration::from_secs(12 * 3_600),
            adopt: None,
            ready: Arc::new(|| true),
            judge: None,
            alerts: None,
            requests: RequestBuilder::new(HeaderStyle::default(), "Hookwright"),
            listening: Arc::new(NoListening),
            node: Arc::new(NoNode),
            store_facts: StoreFacts::default(),
        }
    }
}

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct ApiState(Arc<Api>);

/// See [`ApiState`].
pub struct Api {
    /// What is kept.
    pub store: Arc<dyn Store>,
    /// The way in for messages.
    pub publisher: Arc<Publisher>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Who calls.
    pub auth: Auth,
    /// Of what is revoked: see [`ApiState::refresh_revocations`].
    pub revocation_load: Load<()>,
    /// Requests with an idempotency key that are under way.
    pub in_flight: InFlight,
    /// Searches that go on.
    pub searches: Slots,
    /// Counts requests.
    pub request_metrics: RequestMetrics,
    /// Longest body, in bytes.
    pub body_limit: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// See [`ApiOptions`].
    pub https_only: bool,
    /// See [`ApiOptions`].
    pub public_url: String,
    /// See [`ApiOptions`].
    pub default_signature_type: SignatureType,
    /// See [`ApiOptions`].
    pub idempotency_ttl: Duration,
    /// See [`ApiOptions`].
    pub adopt: Option<Adopt>,
    /// See [`ApiOptions`].
    pub ready: Ready,
    /// See [`ApiOptions`].
    pub judge: Option<Arc<dyn JudgeAgain>>,
    /// See [`ApiOptions`].
    pub alerts: Option<Arc<dyn TellOfAlerts>>,
    /// See [`ApiOptions`].
    pub requests: RequestBuilder,
    /// See [`ApiOptions`].
    pub listening: Arc<dyn Listening>,
    /// See [`ApiOptions`].
    pub node: Arc<dyn NodeState>,
    /// See [`ApiOptions`].
    pub store_facts: StoreFacts,
    /// Of what operators are told of the store, and of its nodes: one look at a time.
    pub stats_load: Load<StoreStats>,
    /// See `stats_load`.
    pub nodes_load: Load<Vec<NodeInfo>>,
}

impl Deref for ApiState {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.0
    }
}

impl ApiState {
    /// Puts it together: reads which tokens are revoked, and makes the event types of operational
    /// webhooks if they are not there.
    pub async fn new(
        store: Arc<dyn Store>,
        publisher: Arc<Publisher>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        options: ApiOptions,
    ) -> Result<Self, StoreError> {
        let auth = Auth::new(options.keys, options.token_leeway);
        let now = clock.now();
        auth.revoke(store.revocations(now).await?, now);
        event_type::create_operational(&*store, now).await?;
        Ok(Self(Arc::new(Api {
            store,
            publisher,
            clock,
            entropy,
            auth,
            revocation_load: Load::default(),
            in_flight: InFlight::default(),
            searches: Slots::default(),
            request_metrics: RequestMetrics::default(),
            body_limit: options.body_limit,
            body_timeout: options.body_timeout,
            https_only: options.https_only,
            public_url: options.public_url,
            default_signature_type: options.default_signature_type,
            idempotency_ttl: options.idempotency_ttl,
            adopt: options.adopt,
            ready: options.ready,
            judge: options.judge,
            alerts: options.alerts,
            requests: options.requests,
            listening: options.listening,
            node: options.node,
            store_facts: options.store_facts,
            stats_load: Load::default(),
            nodes_load: Load::default(),
        })))
    }

    /// The time, a little after `last` in any case: what has changed has a new time.
    pub fn now_after(&self, last: Timestamp) -> Timestamp {
        self.clock.now().max(last.plus(Duration::from_micros(1)))
    }

    /// An application that the caller may do that with, not as it was before this call.
    pub async fn app(
        &self,
        caller: &Caller,
        app: &Ref<ApplicationId>,
        need: Capability,
    ) -> Result<Arc<ApplicationCatalogue>, ApiError> {
        let found = self.publisher.catalogues().application_now(caller.org, app).await?;
        let found = found.ok_or(ApiError::NOT_FOUND)?;
        caller.reaches(found.application.id, need)?;
        Ok(found)
    }

    /// An organization's settings and event types, not as they were before this call.
    pub async fn organization(
        &self,
        org: OrganizationId,
    ) -> Result<Arc<OrganizationCatalogue>, StoreError> {
        self.publisher.catalogues().organization_now(org).await
    }

    /// Tells whoever works with an endpoint that it was changed, and the operators what happened. The
    /// change is stored already: a failure to tell of it is logged.
    pub async fn endpoint_changed(
        &self,
        app: &ApplicationCatalogue,
        endpoint: &Endpoint,
        events: &[OperationalEvent],
    ) {
        let application = &app.application;
        let (org, id) = (application.org, application.id);
        self.publisher.catalogues().application_changed(org, id, application.uid.as_ref());
        self.publisher.handover().endpoint_changed(org, id, endpoint.id);
        for event in events {
            let told = self.publisher.publish_operational(application, endpoint, event, None).await;
            if let Err(error) = told {
                let event = event.event_type();
                tracing::warn!(%error, event, endpoint = %endpoint.id, "could not tell operators");
            }
        }
    }
}

/// Whose history a request reads.
pub fn tenant(app: &ApplicationCatalogue) -> Tenant {
    Tenant { org: app.application.org, app: app.application.id }
}

/// An endpoint of an application, by id or uid.
pub fn endpoint<'a>(
    app: &'a ApplicationCatalogue,
    endpoint: &Ref<EndpointId>,
) -> Result<&'a Endpoint, ApiError> {
    let found = match endpoint {
        Ref::Id(id) => app.endpoint(*id),
        Ref::Uid(uid) => app.endpoints.iter().find(|e| e.endpoint.uid.as_ref() == Some(uid)),
    };
    found.map(|found| &found.endpoint).ok_or(ApiError::NOT_FOUND)
}
