//! Messages on their way: publishing, attempts, and what is left to do.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{
    application::Application,
    attempt::{Attempt, Outcome, OutcomeClass},
    clock::Timestamp,
    delivery::{Cause, Delivery, EndState, Health, Next, Trigger},
    endpoint::Endpoint,
    id::{AttemptId, MessageId},
    message::{Body, Message, Origin},
    routing,
    shard::Shard,
};

use super::fixture::Fixture;
use crate::{
    catalog::Versions,
    deliveries::{DueLimits, LaneKey, Settle, Settled},
    history::{DeliveryRecord, Tenant},
    publish::{NewMessage, Published},
};

/// How long payloads are kept here.
pub const RETENTION: Duration = Duration::from_secs(100_000);

/// How long an attempt takes here.
pub const TOOK: Duration = Duration::from_millis(20);

/// What messages are of here.
pub const EVENT_TYPE: &str = "user.signup";

/// It arrived.
pub const DELIVERED: Next = Next::End(EndState::Succeeded, Cause::Delivered);

/// It failed for the last time.
pub const EXHAUSTED: Next = Next::End(EndState::Exhausted, Cause::LastTry);

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
    LaneKey { shard: Shard::of(&org, &app, &id), org, app, endpoint: id }
}

/// A delivery after a failed attempt.
pub fn moved(delivery: &Delivery, due: Timestamp) -> Delivery {
    Delivery { attempts: delivery.attempts + 1, due, ..delivery.clone() }
}

/// A message that was published, and where to.
pub struct Sent {
    /// As stored.
    pub message: Message,
    /// One per endpoint, in the order they were named.
    pub deliveries: Vec<Delivery>,
}

impl Fixture<'_> {
    /// A message that is not stored yet.
    pub fn message(&self, app: &Application, created_at: Timestamp) -> Message {
        let id = MessageId::generate(created_at, &*self.entropy);
        Message {
            org: app.org,
            app: app.id,
            id,
            event_id: None,
            event_type: EVENT_TYPE.parse().expect("an event type"),
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
        assert_eq!(self.store.enqueue(vec![delivery.clone()], None).await, Ok(true));
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
            event_type: EVENT_TYPE.parse().expect("an event type"),
            wanted_at: started_at,
            next,
            health: Health::Same,
            messages: Vec::new(),
            epoch: crate::deliveries::NO_EPOCH,
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

    /// An attempt of this message, answered with a status or not at all.
    pub async fn attempted(
        &self,
        message: &Message,
        delivery: &Delivery,
        (status, next): (Option<u16>, Next),
        started_at: Timestamp,
    ) -> Attempt {
        let mut settle = self.outcome(delivery, status, next, started_at);
        settle.event_type = message.event_type.clone();
        settle.wanted_at = message.wanted_at();
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
        let records =
            self.store.delivery_records(tenant, vec![delivery.message], delivery.endpoint);
        let records = records.await.expect("delivery_records");
        let found = records.into_iter().find(|record| record.id == delivery.id);
        found.expect("the delivery is on record")
    }
}
