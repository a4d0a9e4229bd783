//! What the cases start from: one organization, a fixed time, the same ids on every run.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{
    application::Application,
    attempt::{Attempt, Outcome, OutcomeClass},
    clock::Timestamp,
    delivery::{Cause, Delivery, EndState, Health, Next, Trigger},
    endpoint::{Endpoint, EndpointSecret},
    entropy::SeededEntropy,
    id::{ApplicationId, AttemptId, EndpointId, MessageId, OrganizationId, SecretId},
    message::{Body, Message, Origin},
    name::{Ref, Uid},
    page::{Cursor, Order, Page, PageRequest},
    routing,
    signature::{SignatureType, SigningSecret},
    token::Actor,
};

use crate::{
    Store,
    catalog::Versions,
    deliveries::{DueLimits, LaneKey, Settle, Settled},
    history::{DeliveryRecord, Tenant},
    publish::{NewMessage, Published},
};

/// Seconds after the suite's time zero.
pub fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_790_000_000).plus(Duration::from_secs(secs))
}

/// How long payloads are kept here.
pub const RETENTION: Duration = Duration::from_secs(100_000);

/// How long an attempt takes here.
pub const TOOK: Duration = Duration::from_millis(20);

/// It arrived.
pub const DELIVERED: Next = Next::End(EndState::Succeeded, Cause::Delivered);

/// It failed for the last time.
pub const EXHAUSTED: Next = Next::End(EndState::Exhausted, Cause::LastTry);

/// Who does everything here.
pub const ACTOR: Actor = Actor::System;

/// A uid.
pub fn uid(text: &str) -> Option<Uid> {
    Some(text.parse().expect("a uid"))
}

/// A reference by uid.
pub fn by_uid<I>(text: &str) -> Ref<I> {
    Ref::Uid(text.parse().expect("a uid"))
}

/// All of a lane's work until a moment.
pub fn until(until: Timestamp) -> DueLimits {
    DueLimits { until, rows: 1_000, bytes: usize::MAX }
}

/// Whose history it is.
pub fn tenant(app: &Application) -> Tenant {
    Tenant { org: app.org, app: app.id }
}

/// The work of an endpoint.
pub fn lane(endpoint: &Endpoint) -> LaneKey {
    let Endpoint { org, app, id, .. } = *endpoint;
    LaneKey { shard: domain::shard::Shard::of(&org, &app, &id), org, app, endpoint: id }
}

/// A delivery after a failed attempt.
pub fn moved(delivery: &Delivery, due: Timestamp) -> Delivery {
    Delivery { attempts: delivery.attempts + 1, due, ..delivery.clone() }
}

/// A whole list, oldest first.
pub fn first<K>(limit: u16) -> PageRequest<K> {
    PageRequest { limit, order: Order::Ascending, cursor: None }
}

/// A whole list, newest first.
pub fn newest<K>(limit: u16) -> PageRequest<K> {
    PageRequest { limit, order: Order::Descending, cursor: None }
}

/// A message that was published, and where to.
pub struct Sent {
    /// As stored.
    pub message: Message,
    /// One per endpoint, in the order they were named.
    pub deliveries: Vec<Delivery>,
}

/// One store, one organization.
pub struct Fixture<'a> {
    /// What is tested.
    pub store: &'a dyn Store,
    /// The environment.
    pub org: OrganizationId,
    /// The same numbers on every run.
    pub entropy: Arc<SeededEntropy>,
}

impl<'a> Fixture<'a> {
    /// An organization in `store`.
    pub fn new(store: &'a dyn Store) -> Self {
        let entropy = Arc::new(SeededEntropy::new(1));
        Self { store, org: OrganizationId::generate(at(0), &*entropy), entropy }
    }

    /// Another organization in the same store.
    pub fn other(&self) -> Self {
        let org = OrganizationId::generate(at(0), &*self.entropy);
        Self { store: self.store, org, entropy: self.entropy.clone() }
    }

    /// An application that is not stored yet.
    pub fn new_application(&self, created_at: Timestamp) -> Application {
        Application {
            org: self.org,
            id: ApplicationId::generate(created_at, &*self.entropy),
            uid: None,
            name: "Acme".into(),
            throttle_rate: None,
            metadata: BTreeMap::new(),
            created_at,
            updated_at: created_at,
        }
    }

    /// A stored application.
    pub async fn application(&self) -> Application {
        let application = self.new_application(at(0));
        self.create_application(&application).await;
        application
    }

    /// Stores an application.
    pub async fn create_application(&self, application: &Application) {
        let created = self.store.create_application(&ACTOR, application.clone()).await;
        assert_eq!(created, Ok(Ok(())), "create_application");
    }

    /// An endpoint that is not stored yet.
    pub fn new_endpoint(&self, app: &Application, created_at: Timestamp) -> Endpoint {
        Endpoint {
            org: app.org,
            app: app.id,
            id: EndpointId::generate(created_at, &*self.entropy),
            uid: None,
            url: "https://example.com/hook".parse().expect("a url"),
            description: String::new(),
            throttle_rate: None,
            version: 1,
            disabled: false,
            event_types: None,
            channels: None,
            metadata: BTreeMap::new(),
            headers: BTreeMap::new(),
            secrets: vec![self.secret(SignatureType::Hmac256, None)],
            retry_schedule: None,
            first_failure_at: None,
            revision: 1,
            created_at,
            updated_at: created_at,
        }
    }

    /// A signing secret.
    pub fn secret(&self, kind: SignatureType, expires_at: Option<Timestamp>) -> EndpointSecret {
        EndpointSecret {
            id: SecretId::generate(at(0), &*self.entropy),
            secret: Arc::new(SigningSecret::generate(kind, &*self.entropy)),
            expires_at,
        }
    }

    /// A stored endpoint.
    pub async fn endpoint(&self, app: &Application) -> Endpoint {
        let endpoint = self.new_endpoint(app, at(0));
        self.create_endpoint(&endpoint).await;
        endpoint
    }

    /// Stores an endpoint.
    pub async fn create_endpoint(&self, endpoint: &Endpoint) {
        let created = self.store.create_endpoint(&ACTOR, endpoint.clone()).await;
        assert_eq!(created, Ok(Ok(())), "create_endpoint");
    }

    /// What the store holds of an endpoint.
    pub async fn stored_endpoint(&self, endpoint: &Endpoint) -> Endpoint {
        let (org, app) = (endpoint.org, endpoint.app);
        let found = self.store.endpoint(org, app, &Ref::Id(endpoint.id)).await;
        found.expect("endpoint").expect("the endpoint is there")
    }

    /// Changes something of an endpoint.
    pub async fn update_endpoint(
        &self,
        endpoint: &Endpoint,
        change: impl FnOnce(&mut Endpoint),
    ) -> Endpoint {
        let mut changed = endpoint.clone();
        change(&mut changed);
        changed.revision += 1;
        let updated = self.store.update_endpoint(&ACTOR, changed).await;
        assert_eq!(updated, Ok(Ok(())), "update_endpoint");
        self.stored_endpoint(endpoint).await
    }

    /// Of the catalogue now.
    pub async fn versions(&self, app: &Application) -> Versions {
        let organization = self.store.load_organization(app.org).await.expect("load_organization");
        let loaded = self.store.load_application(app.org, &Ref::Id(app.id)).await;
        let application = loaded.expect("load_application").expect("the application is there");
        Versions { org: organization.version, app: application.version }
    }

    /// A message that is not stored yet.
    pub fn message(&self, app: &Application, created_at: Timestamp) -> Message {
        let id = MessageId::generate(created_at, &*self.entropy);
        Message {
            org: app.org,
            app: app.id,
            id,
            event_id: None,
            event_type: "user.signup".parse().expect("an event type"),
            channels: Vec::new(),
            tags: Vec::new(),
            body: Some(Body::json(Bytes::from(format!(r#"{{"of":"{id}"}}"#)))),
            origin: Origin::Api,
            created_at,
            deliver_at: None,
            expires_at: created_at.plus(RETENTION),
        }
    }

    /// A message ready to be published, without claims or quota.
    pub fn routed(
        &self,
        versions: Versions,
        message: Message,
        endpoints: &[&Endpoint],
    ) -> NewMessage {
        let deliveries = endpoints.iter().map(|endpoint| self.delivery(&message, endpoint));
        NewMessage {
            deliveries: deliveries.collect(),
            message: Arc::new(message),
            versions,
            idempotency: None,
            event_id: None,
            max_pending: None,
        }
    }

    /// The automatic delivery of a fresh message.
    fn delivery(&self, message: &Message, endpoint: &Endpoint) -> Delivery {
        let due = message.deliver_at.unwrap_or(message.created_at);
        routing::deliver(message, endpoint, Trigger::Automatic, due, &*self.entropy)
    }

    /// Publishes one message by itself.
    pub async fn publish(&self, new: NewMessage) -> Published {
        let published = self.store.publish(vec![new]).await.expect("publish");
        assert_eq!(published.len(), 1, "one result per message");
        published[0]
    }

    /// Publishes a plain message to these endpoints.
    pub async fn send(&self, app: &Application, to: &[&Endpoint], created_at: Timestamp) -> Sent {
        self.send_message(self.message(app, created_at), app, to).await
    }

    /// Publishes this message to these endpoints.
    pub async fn send_message(
        &self,
        message: Message,
        app: &Application,
        to: &[&Endpoint],
    ) -> Sent {
        let new = self.routed(self.versions(app).await, message.clone(), to);
        let deliveries = new.deliveries.clone();
        assert_eq!(self.publish(new).await, Published::Stored);
        Sent { message, deliveries }
    }

    /// Asks for a message once more.
    pub async fn resend(&self, message: &Message, endpoint: &Endpoint, due: Timestamp) -> Delivery {
        let delivery = routing::deliver(message, endpoint, Trigger::Manual, due, &*self.entropy);
        assert_eq!(self.store.enqueue(vec![delivery.clone()]).await, Ok(()));
        delivery
    }

    /// The next attempt of a delivery: answered with `status`, or not at all.
    pub fn attempt(
        &self,
        delivery: &Delivery,
        status_code: Option<u16>,
        started_at: Timestamp,
    ) -> Attempt {
        let class = match status_code {
            Some(200..=299) => OutcomeClass::Success,
            Some(_) => OutcomeClass::Status,
            None => OutcomeClass::Timeout,
        };
        Attempt {
            id: AttemptId::generate(started_at, &*self.entropy),
            org: delivery.org,
            app: delivery.app,
            endpoint: delivery.endpoint,
            message: delivery.message,
            delivery: delivery.id,
            number: delivery.attempts + 1,
            trigger: delivery.trigger,
            url: "https://example.com/hook".into(),
            outcome: Outcome {
                class,
                status_code,
                response: Bytes::from_static(b"answer"),
                duration: TOOK,
                retry_after: None,
                timed_out: status_code.is_none(),
            },
            started_at,
            endpoint_revision: 1,
            secrets: Vec::new(),
            body_hash: [7; 16],
            superseded: false,
        }
    }

    /// What an attempt came to.
    pub fn outcome(
        &self,
        delivery: &Delivery,
        status_code: Option<u16>,
        next: Next,
        started_at: Timestamp,
    ) -> Settle {
        Settle {
            delivery: delivery.clone(),
            attempt: Some(self.attempt(delivery, status_code, started_at)),
            next,
            health: Health::Same,
            messages: Vec::new(),
        }
    }

    /// Settles one by itself.
    pub async fn settle(&self, settle: Settle) -> Settled {
        let mut settled = self.store.settle(vec![settle]).await.expect("settle");
        assert_eq!(settled.len(), 1, "one result per settle");
        settled.remove(0)
    }

    /// An attempt that changes its delivery's state, and nothing else happens.
    pub async fn tried(
        &self,
        delivery: &Delivery,
        status_code: u16,
        next: Next,
        started_at: Timestamp,
    ) -> Attempt {
        let settle = self.outcome(delivery, Some(status_code), next, started_at);
        let attempt = settle.attempt.clone().expect("an outcome has an attempt");
        assert_eq!(self.settle(settle).await, Settled::default());
        attempt
    }

    /// All work of an endpoint.
    pub async fn pending(&self, endpoint: &Endpoint) -> Vec<Delivery> {
        let page = self.store.due(lane(endpoint), until(Timestamp::MAX), Vec::new()).await;
        page.expect("due").due.into_iter().map(|due| due.delivery).collect()
    }

    /// What is on record of one delivery.
    pub async fn record(&self, delivery: &Delivery) -> DeliveryRecord {
        let tenant = Tenant { org: delivery.org, app: delivery.app };
        let records = self.store.delivery_records(tenant, delivery.message, delivery.endpoint);
        let records = records.await.expect("delivery_records");
        let found = records.into_iter().find(|record| record.id == delivery.id);
        found.expect("the delivery is on record")
    }
}

/// What every case ends with: the store says that it is whole.
pub async fn assert_clean(store: &dyn Store) {
    assert_eq!(store.check().await.expect("check").problems, [""; 0]);
}

/// Reads a list page by page, in both directions, and compares with `all`, which is in its order.
pub async fn assert_pages<K, F>(all: &[K], order: Order, list: F)
where
    K: Clone + PartialEq + std::fmt::Debug,
    F: AsyncFn(PageRequest<K>) -> Page<K>,
{
    let request = |limit, cursor| PageRequest { limit, order, cursor };
    for limit in 1..=all.len() as u16 + 1 {
        let mut rest = all;
        let mut cursor = None;
        loop {
            let page = list(request(limit, cursor.clone())).await;
            let (wanted, behind) = rest.split_at(rest.len().min(limit.into()));
            assert_eq!(page.items, wanted, "{order:?} by {limit} from {cursor:?}");
            assert_eq!(page.done, behind.is_empty(), "{order:?} by {limit} from {cursor:?}: done");
            rest = behind;
            match page.items.last() {
                Some(last) if !page.done => cursor = Some(Cursor::After(last.clone())),
                _ => break,
            }
        }
        for (at, key) in all.iter().enumerate() {
            let cursor = Some(Cursor::Before(key.clone()));
            let page = list(request(limit, cursor.clone())).await;
            let start = at.saturating_sub(limit.into());
            assert_eq!(page.items, all[start..at], "{order:?} by {limit} from {cursor:?}");
            assert_eq!(page.done, start == 0, "{order:?} by {limit} from {cursor:?}: done");
        }
    }
}
