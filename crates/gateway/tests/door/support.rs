//! A door over the reference store, and providers that post to it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{body::Body, extract::Request, response::Response};
use bytes::Bytes;
use domain::{
    application::Application,
    clock::{Clock, ManualClock, Timestamp},
    id::{ApplicationId, EndpointId, MessageId, OrganizationId},
    message::Message,
    page::{Order, PageRequest},
    source::{Config, InboundToken, Source, SourceSettings, SourceToken},
};
use hookwright_gateway::{Fetch, Gateway, GatewayOptions};
use http_body_util::BodyExt;
use providers::{Sample, Secret, SignedRequest, catalogue};
use publish::{Catalogues, Handover, Hot, PublishOptions, Publisher};
use store::{
    History, Store,
    history::{MessageFilter, Tenant},
    suite::fixture::{ACTOR, Fixture},
};
use store_memory::MemoryStore;

/// When it all happens.
pub const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

/// A secret that is good for all providers that take a text.
pub const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

struct Nobody;

impl Handover for Nobody {
    fn hand_over(&self, _: Vec<Hot>) {}
    fn endpoint_changed(&self, _: OrganizationId, _: ApplicationId, _: EndpointId) {}
    fn application_changed(&self, _: OrganizationId, _: ApplicationId) {}
    fn tasks_changed(&self) {}
    fn message_expunged(&self, _: OrganizationId, _: ApplicationId, _: MessageId) {}
}

struct NoKeys;

#[async_trait]
impl Fetch for NoKeys {
    async fn fetch(&self, _: &str, _: usize) -> Option<Vec<u8>> {
        None
    }
}

/// The house.
pub struct House {
    pub store: Arc<MemoryStore>,
    pub catalogues: Arc<Catalogues>,
    pub clock: Arc<ManualClock>,
    pub publisher: Arc<Publisher>,
    pub gateway: Arc<Gateway>,
    pub org: OrganizationId,
}

impl House {
    /// Over a store of its own.
    pub fn new() -> Self {
        let entropy = Arc::new(domain::entropy::SeededEntropy::new(7));
        Self::over(Arc::new(MemoryStore::new(entropy)))
    }

    pub fn over(store: Arc<MemoryStore>) -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let entropy = Arc::new(domain::entropy::SeededEntropy::new(8));
        let catalogues = Arc::new(Catalogues::new(store.clone(), 100));
        let options =
            PublishOptions { payload_retention: Duration::from_secs(86_400), max_pending: None };
        let publisher = Arc::new(Publisher::new(
            store.clone(),
            catalogues.clone(),
            Arc::new(Nobody),
            clock.clone(),
            entropy,
            options,
        ));
        let options = GatewayOptions {
            public_url: "https://hooks.example.com".into(),
            body_timeout: Duration::from_secs(10),
            body_bytes: 64 << 20,
        };
        let entropy = Arc::new(domain::entropy::SeededEntropy::new(9));
        let (gateway, writing) = Gateway::new(
            store.clone(),
            publisher.clone(),
            clock.clone(),
            entropy,
            Arc::new(NoKeys),
            options,
        );
        #[expect(clippy::disallowed_methods, reason = "a test has no names for its tasks")]
        tokio::spawn(writing);
        let org = Fixture::new(&*store).org;
        Self { store, catalogues, clock, publisher, gateway: Arc::new(gateway), org }
    }

    /// A source of this type, with a secret.
    pub async fn source(&self, kind: &str) -> Posting<'_> {
        self.source_with(kind, &format!(r#"{{"secret":"{SECRET}"}}"#), SourceSettings::default())
            .await
    }

    /// A source.
    pub async fn source_with(
        &self,
        kind: &str,
        config: &str,
        settings: SourceSettings,
    ) -> Posting<'_> {
        let entropy = domain::entropy::SeededEntropy::new(u64::from(kind.as_bytes()[0]));
        let fixture = Fixture::new(&*self.store);
        let mut application = fixture.new_application(self.clock.now());
        application.id = ApplicationId::generate(self.clock.now(), &entropy);
        let token = SourceToken::generate(&entropy);
        let source = Source {
            kind: kind.into(),
            config: Config::new(config),
            tokens: vec![token.clone()],
            settings,
            sent_secret: None,
        };
        application.source = Some(Arc::new(source));
        fixture.create_application(&application).await;
        let token = InboundToken { org: self.org, app: application.id, secret: token.secret };
        Posting { house: self, application, kind: kind.into(), path: format!("/in/{token}") }
    }
}

/// A provider that posts to a source.
pub struct Posting<'a> {
    pub house: &'a House,
    pub application: Application,
    pub kind: String,
    pub path: String,
}

impl Posting<'_> {
    /// A genuine event with this id.
    pub fn sign(&self, id: &str) -> SignedRequest {
        self.sign_body(id, None)
    }

    /// A genuine event with this body.
    pub fn sign_body(&self, id: &str, body: Option<Vec<u8>>) -> SignedRequest {
        let sample = Sample {
            url: format!("https://hooks.example.com{}", self.path),
            id: id.into(),
            event_type: "thing.happened".into(),
            body,
        };
        let provider = catalogue::find(&self.kind).expect("in the catalogue");
        let secret = Secret::new(SECRET);
        provider.sign(&sample, &secret, self.house.clock.now()).expect("it can be signed")
    }

    /// Posts it.
    pub async fn post(&self, signed: &SignedRequest) -> Answer {
        let mut request = Request::builder().method(signed.method).uri(&self.path);
        for (name, value) in &signed.headers {
            request = request.header(name.as_str(), value.as_str());
        }
        self.send(request.body(Body::from(signed.body.clone())).expect("a request")).await
    }

    /// Sends any request.
    pub async fn send(&self, request: Request) -> Answer {
        Answer::of(self.house.gateway.answer(request).await).await
    }

    /// What was stored, the oldest first.
    pub async fn stored(&self) -> Vec<Message> {
        let tenant = Tenant { org: self.house.org, app: self.application.id };
        let page = PageRequest { limit: 250, order: Order::Ascending, cursor: None };
        let filter = MessageFilter::default();
        let listed = self.house.store.messages(tenant, filter, page, true).await;
        listed.expect("listed").items
    }

    /// Changes the source.
    pub async fn change(&self, change: impl FnOnce(&mut Source)) {
        let by = domain::name::Ref::Id(self.application.id);
        let store: &dyn Store = &*self.house.store;
        let found = store.application(self.house.org, &by).await.expect("read");
        let mut application = found.expect("stored");
        let mut source = Source::clone(application.source.as_ref().expect("a source"));
        change(&mut source);
        application.source = Some(Arc::new(source));
        let expected = application.updated_at;
        application.updated_at = expected.plus(Duration::from_micros(1));
        let written = store.update_application(&ACTOR, application, expected).await;
        assert_eq!(written, Ok(Ok(())));
        self.house.catalogues.application_changed(self.house.org, self.application.id, None);
    }
}

/// An answer, read.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Self { status: parts.status.as_u16(), headers: parts.headers, body }
    }
}
