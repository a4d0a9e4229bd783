//! What tasks send again, and how much that is.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use domain::{
    application::Application,
    clock::{Clock, Timestamp},
    endpoint::Endpoint,
    id::MessageId,
    message::Message,
    standing::Status,
    task::{ReplayFilter, TaskKind},
};

use super::{
    fixture::{Fixture, at},
    traffic::{DELIVERED, EXHAUSTED, RETENTION},
};
use crate::{
    Store,
    replay::{self, Count},
};

/// One that moves on by `step` each time it is asked how long it has been running.
struct Hurrying {
    asked: AtomicU64,
    step: Duration,
}

impl Hurrying {
    fn by(step: Duration) -> Self {
        Self { asked: AtomicU64::new(0), step }
    }
}

impl Clock for Hurrying {
    fn now(&self) -> Timestamp {
        at(1_000)
    }

    fn monotonic(&self) -> Duration {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        self.step * u32::try_from(asked).unwrap_or(u32::MAX)
    }
}

fn missing(endpoint: &Endpoint, since: Timestamp, until: Timestamp) -> TaskKind {
    TaskKind::Replay { app: endpoint.app, endpoint: endpoint.id, since, until }
}

fn bulk(endpoint: &Endpoint, only: ReplayFilter) -> TaskKind {
    let (since, until) = (at(0), at(900));
    TaskKind::BulkReplay { app: endpoint.app, endpoint: endpoint.id, since, until, only }
}

/// All that a task finds, page by page, and how many it looked at.
async fn found(
    store: &dyn Store,
    kind: &TaskKind,
    endpoint: &Endpoint,
    now: Timestamp,
) -> (Vec<MessageId>, u64) {
    let (mut ids, mut scanned, mut after) = (Vec::new(), 0, None);
    loop {
        let page = replay::page(store, kind, endpoint, after, 200, now).await.expect("a page");
        ids.extend(page.messages.iter().map(|message| message.id));
        scanned += page.scanned;
        after = page.next;
        if after.is_none() {
            return (ids, scanned);
        }
    }
}

impl Fixture<'_> {
    /// Publishes so many messages at once, a second apart, that go nowhere.
    async fn send_many(&self, app: &Application, n: u64) -> Vec<Message> {
        let versions = self.versions(app).await;
        let messages: Vec<_> = (0..n).map(|i| self.message(app, at(i))).collect();
        let new = messages.iter().map(|message| self.routed(versions, message.clone(), &[]));
        self.store.publish(new.collect()).await.expect("publish");
        messages
    }
}

/// What an endpoint never was sent, and accepts, is found: all of the span, in its order.
pub async fn find_what_is_missing(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let beside = f.endpoint(&app).await;
    let (neighbour, g) = (f.application().await, f.other());
    let stranger = g.application().await;
    f.send(&neighbour, &[], at(5)).await;
    g.send(&stranger, &[], at(5)).await;
    let messages = f.send_many(&app, 450).await;
    let kind = "user.signup".parse().expect("an event type");
    let late = f.new_endpoint(&app, at(500));
    let late = Endpoint { event_types: Some(vec![kind]), ..late };
    f.create_endpoint(&late).await;
    let sent = f.send(&app, &[&late], at(600)).await;
    f.send(&app, &[&beside], at(601)).await;
    let mut other = f.message(&app, at(602));
    other.event_type = "other".parse().expect("an event type");
    f.send_message(other, &app, &[]).await;

    let ids: Vec<_> = messages.iter().map(|message| message.id).collect();
    let span = found(store, &missing(&late, at(0), at(450)), &late, at(700)).await;
    assert_eq!(span, (ids.clone(), 450));
    let part = found(store, &missing(&late, at(10), at(20)), &late, at(700)).await;
    assert_eq!(part, (ids[10..20].to_vec(), 10));
    let (all, scanned) = found(store, &missing(&late, at(0), at(900)), &late, at(700)).await;
    assert_eq!((all.len(), scanned), (451, 453), "what it was sent, and what it refuses, is not");
    assert!(!all.contains(&sent.message.id));
    // The first hundred have expired by then.
    let then = at(99).plus(RETENTION);
    let kept = found(store, &missing(&late, at(0), at(450)), &late, then).await;
    assert_eq!(kept, (ids[100..].to_vec(), 450));
}

/// What an endpoint was sent is found, each message once, as the filter says.
pub async fn find_what_was_sent(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let (endpoint, beside) = (f.endpoint(&app).await, f.endpoint(&app).await);
    let mut sent = Vec::new();
    for (n, event_type) in ["a", "b", "a", "b"].into_iter().enumerate() {
        let mut message = f.message(&app, at(n as u64));
        message.event_type = event_type.parse().expect("an event type");
        message.tags = vec![format!("t{n}").parse().expect("a tag")];
        message.channels = vec!["c".parse().expect("a channel")];
        sent.push(f.send_message(message, &app, &[&endpoint, &beside]).await);
    }
    f.send(&app, &[&beside], at(5)).await;
    for (sent, status, next) in
        [(&sent[0], 200, DELIVERED), (&sent[1], 404, EXHAUSTED), (&sent[2], 503, EXHAUSTED)]
    {
        f.attempted(&sent.message, &sent.deliveries[0], (Some(status), next), at(10)).await;
    }
    f.resend(&sent[2].message, &endpoint, at(20)).await;

    let only = ReplayFilter::default;
    let status = |status| ReplayFilter { status: Some(status), ..only() };
    let class = |class| ReplayFilter { status_code_class: Some(class), ..only() };
    let name = |name: &str| name.parse().expect("an event type");
    for (only, wanted) in [
        (only(), vec![0, 1, 2, 3]),
        (status(Status::Success), vec![0]),
        (status(Status::Fail), vec![1, 2]),
        (status(Status::Pending), vec![3]),
        (class(200), vec![0]),
        (class(400), vec![1]),
        (class(500), vec![2]),
        (class(0), vec![]),
        (ReplayFilter { event_types: Some(vec![name("b"), name("none")]), ..only() }, vec![1, 3]),
        (ReplayFilter { tag: Some("t2".parse().expect("a tag")), ..only() }, vec![2]),
        (ReplayFilter { channel: Some("c".parse().expect("a name")), ..class(400) }, vec![1]),
        (ReplayFilter { channel: Some("none".parse().expect("a name")), ..only() }, vec![]),
    ] {
        let (ids, _) = found(store, &bulk(&endpoint, only.clone()), &endpoint, at(700)).await;
        let wanted: Vec<_> = wanted.into_iter().map(|n: usize| sent[n].message.id).collect();
        assert_eq!(ids, wanted, "{only:?}");
    }
}

/// A count is exact, or says that it is not.
pub async fn are_counted_within_bounds(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    f.send_many(&app, 450).await;
    let endpoint = f.new_endpoint(&app, at(500));
    f.create_endpoint(&endpoint).await;
    let kind = missing(&endpoint, at(0), at(900));
    for (step, messages, capped) in [(0, 450, false), (4, 250, true)] {
        let clock = Hurrying::by(Duration::from_secs(step));
        let count = replay::count(store, &clock, &kind, &endpoint).await;
        assert_eq!(count, Ok(Count { messages, capped }), "{step}");
    }
}
