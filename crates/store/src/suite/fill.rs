//! Weeks of traffic, made in minutes: for measuring what asks a store about its past. Not a case: the
//! examples `fill` of the stores run it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{
    application::Application,
    attempt::OutcomeClass,
    clock::{Clock, ManualClock, Timestamp},
    delivery::{Delivery, Next},
    endpoint::Endpoint,
    entropy::Entropy,
    id::{MessageId, OrganizationId},
    message::{Body, Message},
};
use futures_util::future;

use super::{
    fixture::Fixture,
    traffic::{DELIVERED, EXHAUSTED},
};
use crate::{
    Store,
    analytics::RollupLimits,
    catalog::Versions,
    deliveries::Settle,
    publish::{NewMessage, Published},
};

/// Endpoints of each application, and the types of its events.
const ENDPOINTS: usize = 3;
const EVENT_TYPES: [&str; 6] = [
    "invoice.paid",
    "invoice.failed",
    "user.created",
    "user.deleted",
    "report.ready",
    "order.shipped",
];
/// Messages of one instant.
const AT_ONCE: usize = 250;
/// Instants stored, and settled, together: each batch waits for the disk.
const BATCH: usize = 8;
/// Of a thousand attempts so many fail, with an answer and without.
const FAIL: (usize, usize) = (40, 15);

/// What is made.
#[derive(Clone, Copy, Debug)]
pub struct Filling {
    /// Messages, of one attempt each.
    pub attempts: usize,
    /// Applications that they are spread over: of each hundred one has a third of all.
    pub applications: usize,
    /// From when until when, evenly.
    pub range: (Timestamp, Timestamp),
}

struct Tenant {
    app: Application,
    endpoints: Vec<Endpoint>,
    versions: Versions,
}

/// Fills a store. `clock` is the store's, and stands at the end of the time afterwards; `progress` is told
/// how many attempts there are.
pub async fn fill(
    store: &dyn Store,
    org: OrganizationId,
    clock: &ManualClock,
    filling: Filling,
    progress: impl Fn(usize),
) {
    let f = Fixture { org, ..Fixture::new(store) };
    let (from, until) = filling.range;
    clock.advance(from.since(clock.now()));
    let mut tenants = Vec::new();
    for n in 0..filling.applications {
        let app = Application { name: format!("Customer {n}"), ..f.new_application(from) };
        f.create_application(&app).await;
        let mut endpoints = Vec::new();
        for n in 0..ENDPOINTS {
            let url = format!("https://example.com/hook/{n}").parse().expect("a URL");
            let endpoint = Endpoint { url, ..f.new_endpoint(&app, from) };
            f.create_endpoint(&endpoint).await;
            endpoints.push(endpoint);
        }
        tenants.push(Tenant { versions: f.versions(&app).await, app, endpoints });
    }
    let batches = filling.attempts.div_ceil(BATCH * AT_ONCE);
    let step = until.since(from) / (batches * BATCH).max(1) as u32;
    let mut next = f.some_batch(&tenants, clock, step);
    for batch in 0..batches {
        let (messages, settles) = next;
        let stored = async {
            let published = store.publish(messages).await.expect("published");
            assert!(published.iter().all(|one| *one == Published::Stored), "{published:?}");
            store.settle(settles).await.expect("settled");
        };
        // While the store is at it, the next ones are made, and counts of the last ones written.
        let made = async {
            if batch + 1 == batches {
                Default::default()
            } else {
                f.some_batch(&tenants, clock, step)
            }
        };
        let flushed = async { store.flush_rollups(&[]).await.expect("flushed") };
        ((), next, ()) = future::join3(stored, made, flushed).await;
        if batch % 20 == 19 || batch + 1 == batches {
            store.flush_rollups(&[]).await.expect("flushed");
            let before = Timestamp::EPOCH;
            let now = clock.now();
            let limits = RollupLimits {
                now,
                minutes_before: now.minus(Duration::from_secs(2 * 86_400)),
                quarters_before: before,
                days_before: before,
            };
            while store.roll_up(limits).await.expect("rolled up") {}
            progress((batch + 1) * BATCH * AT_ONCE);
        }
    }
}

impl Fixture<'_> {
    fn below(&self, bound: usize) -> usize {
        ((self.entropy.unit() * bound as f64) as usize).min(bound - 1)
    }

    /// What happens in some steps of the clock.
    fn some_batch(
        &self,
        tenants: &[Tenant],
        clock: &ManualClock,
        step: Duration,
    ) -> (Vec<NewMessage>, Vec<Settle>) {
        let (mut messages, mut settles) = (Vec::new(), Vec::new());
        for _ in 0..BATCH {
            clock.advance(step);
            let now = clock.now();
            for _ in 0..AT_ONCE {
                let new = self.some_message(tenants, now);
                settles.push(self.some_outcome(&new, now));
                messages.push(new);
            }
        }
        (messages, settles)
    }

    fn some_message(&self, tenants: &[Tenant], now: Timestamp) -> NewMessage {
        let tenant = match self.below(3) {
            // The large ones.
            0 => &tenants[self.below(tenants.len().div_ceil(100))],
            _ => &tenants[self.below(tenants.len())],
        };
        let kind = self.below(EVENT_TYPES.len());
        let message = Message {
            id: MessageId::generate(now, &*self.entropy),
            event_type: EVENT_TYPES[kind].parse().expect("an event type"),
            body: Some(Body::json(Bytes::from_static(br#"{"n":1}"#))),
            expires_at: now.plus(Duration::from_secs(90 * 86_400)),
            ..self.message(&tenant.app, now)
        };
        self.routed(tenant.versions, message, &[&tenant.endpoints[kind % ENDPOINTS]])
    }

    fn some_outcome(&self, new: &NewMessage, now: Timestamp) -> Settle {
        let delivery: &Delivery = &new.deliveries[0];
        let (status, next): (Option<u16>, Next) = match self.below(1_000) {
            n if n < FAIL.0 => (Some(500), EXHAUSTED),
            n if n < FAIL.0 + FAIL.1 => (None, EXHAUSTED),
            _ => (Some(200), DELIVERED),
        };
        let mut settle = self.outcome(delivery, status, next, now);
        if let Some(attempt) = &mut settle.attempt {
            // From 5 ms to seconds; most of them short.
            let millis = 5.0 / (1.0 - self.entropy.unit() * 0.999);
            attempt.outcome.duration = match attempt.outcome.class {
                OutcomeClass::Timeout => Duration::from_secs(15),
                _ => Duration::from_secs_f64(millis / 1_000.0),
            };
        }
        let message = Arc::clone(&new.message);
        Settle { event_type: message.event_type.clone(), wanted_at: message.wanted_at(), ..settle }
    }
}
