//! What attempts make of deliveries.

use std::slice::from_ref;

use domain::delivery::{Cause, Delivery, EndState, Next};
use futures_util::future::join_all;

use super::{
    fixture::{Fixture, at, newest, uid},
    traffic::{DELIVERED, EXHAUSTED, TOOK, lane, moved, tenant, until},
};
use crate::{
    Store,
    deliveries::{Settle, Settled},
    history::Status,
    publish::Published,
};

const SUPERSEDED: Settled = Settled {
    superseded: true,
    also_ended: Vec::new(),
    published: Vec::new(),
    health_changed: false,
};

/// A failed try counts, and moves the due time.
pub async fn moves_to_the_next_try(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let delivery = f.send(&app, &[&endpoint], at(1)).await.deliveries[0].clone();
    let fresh = f.record(&delivery).await;
    assert_eq!((fresh.status(), fresh.attempts), (Status::Pending, 0));
    assert_eq!((fresh.next_attempt, fresh.last_status_code), (Some(at(1)), None));

    f.tried(&delivery, 503, Next::Retry(at(60)), at(2)).await;
    let delivery = moved(&delivery, at(60));
    assert_eq!(f.pending(&endpoint).await, from_ref(&delivery));
    let page = store.due(lane(&endpoint), until(at(59)), Vec::new()).await.expect("due");
    assert_eq!((page.due.len(), page.next_due), (0, Some(at(60))));
    let record = f.record(&delivery).await;
    assert_eq!((record.status(), record.attempts), (Status::Sending, 1));
    assert_eq!((record.next_attempt, record.last_status_code), (Some(at(60)), Some(503)));
    assert_eq!((record.end, record.ended_at), (None, None));

    // Put off without a try: nothing is counted.
    let put_off =
        Settle { attempt: None, ..f.outcome(&delivery, None, Next::Retry(at(90)), at(61)) };
    assert_eq!(f.settle(put_off).await, Settled::default());
    let delivery = Delivery { due: at(90), ..delivery };
    assert_eq!(f.pending(&endpoint).await, from_ref(&delivery));
    let no_answer = f.outcome(&delivery, None, Next::Retry(at(120)), at(91));
    assert_eq!(f.settle(no_answer).await, Settled::default());
    let record = f.record(&delivery).await;
    assert_eq!((record.attempts, record.last_status_code), (2, None));
}

/// At its end a delivery leaves the due index and its record says how it ended.
pub async fn ends_on_record(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    for (status_code, end, status) in [
        (Some(200), (EndState::Succeeded, Cause::Delivered), Status::Success),
        (Some(500), (EndState::Exhausted, Cause::LastTry), Status::Fail),
        (Some(410), (EndState::Exhausted, Cause::Gone), Status::Fail),
        (None, (EndState::Exhausted, Cause::PayloadExpired), Status::Fail),
    ] {
        let delivery = f.send(&app, &[&endpoint], at(1)).await.deliveries[0].clone();
        let settle = f.outcome(&delivery, status_code, Next::End(end.0, end.1), at(2));
        assert_eq!(f.settle(settle).await, Settled::default());
        assert_eq!(f.pending(&endpoint).await, []);
        let record = f.record(&delivery).await;
        assert_eq!((record.end, record.status()), (Some(end), status));
        assert_eq!((record.attempts, record.last_status_code), (1, status_code));
        assert_eq!((record.next_attempt, record.ended_at), (None, Some(at(2).plus(TOOK))));
    }
    let delivery = f.send(&app, &[&endpoint], at(1)).await.deliveries[0].clone();
    let end = Next::End(EndState::Exhausted, Cause::CircuitOpen);
    let never_sent = Settle { attempt: None, ..f.outcome(&delivery, None, end, at(2)) };
    assert_eq!(f.settle(never_sent).await, Settled::default());
    let record = f.record(&delivery).await;
    assert_eq!(record.end, Some((EndState::Exhausted, Cause::CircuitOpen)));
    assert_eq!((record.attempts, record.ended_at), (0, Some(delivery.due)));
    let attempts =
        store.attempts_by_endpoint(tenant(&app), endpoint.id, Default::default(), newest(10));
    assert_eq!(attempts.await.expect("attempts").items.len(), 4);
}

/// A delivery that has moved on since its attempt began keeps its state; the attempt is on record,
/// marked.
pub async fn supersedes_what_has_moved_on(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let sent = f.send(&app, &[&endpoint], at(1)).await;
    let old = sent.deliveries[0].clone();
    f.tried(&old, 500, Next::Retry(at(60)), at(2)).await;
    let current = moved(&old, at(60));

    for stale in [old.clone(), Delivery { attempts: 0, ..current.clone() }] {
        let late = f.outcome(&stale, Some(200), DELIVERED, at(3));
        let attempt = late.attempt.clone().expect("an outcome has one").id;
        assert_eq!(f.settle(late).await, SUPERSEDED);
        assert_eq!(f.pending(&endpoint).await, from_ref(&current));
        let stored = store.attempt(tenant(&app), sent.message.id, attempt).await;
        assert!(stored.expect("attempt").expect("it is on record").superseded);
        assert_eq!(f.record(&old).await.attempts, 1);
    }

    f.tried(&current, 200, DELIVERED, at(61)).await;
    let late = f.outcome(&current, Some(500), EXHAUSTED, at(62));
    assert_eq!(f.settle(late).await, SUPERSEDED);
    assert_eq!(f.record(&old).await.status(), Status::Success);
    assert_eq!(f.pending(&endpoint).await, []);
}

/// Each settle of a batch sees what those before it left.
pub async fn answers_each_by_itself(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let one = f.send(&app, &[&endpoint], at(1)).await.deliveries[0].clone();
    let two = f.send(&app, &[&endpoint], at(1)).await.deliveries[0].clone();
    let batch = vec![
        f.outcome(&one, Some(500), Next::Retry(at(60)), at(2)),
        f.outcome(&one, Some(200), DELIVERED, at(2)),
        f.outcome(&two, Some(200), DELIVERED, at(2)),
        f.outcome(&moved(&one, at(60)), Some(200), DELIVERED, at(61)),
    ];
    let settled = store.settle(batch).await;
    let plain = Settled::default;
    assert_eq!(settled, Ok(vec![plain(), SUPERSEDED, plain(), plain()]));
    assert_eq!(f.pending(&endpoint).await, []);
    assert_eq!(f.record(&one).await.attempts, 2);
    assert_eq!(store.settle(Vec::new()).await, Ok(Vec::new()));
}

/// A resend that arrives ends what the schedule still had to do there, and nothing else.
pub async fn ends_the_schedule_when_a_resend_arrives(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let (endpoint, beside) = (f.endpoint(&app).await, f.endpoint(&app).await);
    let sent = f.send(&app, &[&endpoint, &beside], at(1)).await;
    let other = f.send(&app, &[&endpoint], at(1)).await.deliveries[0].clone();
    f.tried(&sent.deliveries[0], 500, Next::Retry(at(60)), at(2)).await;
    let resend = f.resend(&sent.message, &endpoint, at(5)).await;
    let another = f.resend(&sent.message, &endpoint, at(500)).await;

    let settled = f.settle(f.outcome(&resend, Some(200), DELIVERED, at(5))).await;
    let also_ended = vec![sent.deliveries[0].id];
    assert_eq!(settled, Settled { also_ended, ..Settled::default() });
    let record = f.record(&sent.deliveries[0]).await;
    assert_eq!(record.end, Some((EndState::Succeeded, Cause::ResendSucceeded)));
    assert_eq!((record.attempts, record.last_status_code), (1, Some(500)));
    assert_eq!((record.next_attempt, record.ended_at), (None, Some(at(5).plus(TOOK))));
    assert_eq!(f.record(&resend).await.end, Some((EndState::Succeeded, Cause::Delivered)));
    assert_eq!(f.pending(&endpoint).await, [other, another.clone()]);
    assert_eq!(f.pending(&beside).await, [sent.deliveries[1].clone()]);

    // The automatic one's attempt that was in the air comes too late.
    let late = f.outcome(&moved(&sent.deliveries[0], at(60)), Some(500), EXHAUSTED, at(5));
    assert_eq!(f.settle(late).await, SUPERSEDED);
    // With nothing left to end, a second one ends only itself.
    f.tried(&another, 200, DELIVERED, at(501)).await;
}

/// A resend that fails, and an automatic success, end only themselves.
pub async fn leaves_the_schedule_when_a_resend_fails(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let sent = f.send(&app, &[&endpoint], at(100)).await;
    let resend = f.resend(&sent.message, &endpoint, at(5)).await;
    let waiting = f.resend(&sent.message, &endpoint, at(200)).await;
    f.tried(&resend, 500, EXHAUSTED, at(5)).await;
    assert_eq!(f.pending(&endpoint).await, [sent.deliveries[0].clone(), waiting.clone()]);
    f.tried(&sent.deliveries[0], 200, DELIVERED, at(100)).await;
    assert_eq!(f.pending(&endpoint).await, [waiting]);
}

/// Messages that an outcome causes are stored with it, each with its own result, even if the
/// delivery had moved on.
pub async fn publishes_what_it_causes(store: &dyn Store) {
    let f = Fixture::new(store);
    let (app, operators) = (f.application().await, f.other().application().await);
    let endpoint = f.endpoint(&app).await;
    let mut listener = f.new_endpoint(&operators, at(0));
    listener.uid = uid("operators");
    f.create_endpoint(&listener).await;
    let delivery = f.send(&app, &[&endpoint], at(1)).await.deliveries[0].clone();

    let versions = f.versions(&operators).await;
    let cause = |at_secs| f.routed(versions, f.message(&operators, at(at_secs)), &[&listener]);
    let mut stale = cause(2);
    stale.versions.app += 1;
    let good = cause(2);
    let mut settle = f.outcome(&delivery, Some(500), EXHAUSTED, at(2));
    settle.messages = vec![stale, good.clone()];
    let published = vec![Published::Stale, Published::Stored];
    assert_eq!(f.settle(settle).await, Settled { published, ..Settled::default() });
    assert_eq!(f.pending(&listener).await, good.deliveries);

    let mut late = f.outcome(&delivery, Some(500), EXHAUSTED, at(3));
    late.messages = vec![cause(3)];
    let published = vec![Published::Stored];
    assert_eq!(f.settle(late).await, Settled { published, ..SUPERSEDED });
    assert_eq!(f.pending(&listener).await.len(), 2);
}

/// After a lost reply the same settle can be made again: its attempt stays as it was, and what it
/// caused is there once.
pub async fn is_safe_to_repeat(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let (endpoint, listener) = (f.endpoint(&app).await, f.endpoint(&app).await);
    let sent = f.send(&app, &[&endpoint], at(1)).await;
    let cause = f.routed(f.versions(&app).await, f.message(&app, at(2)), &[&listener]);
    let mut settle = f.outcome(&sent.deliveries[0], Some(500), Next::Retry(at(60)), at(2));
    settle.messages = vec![cause.clone()];
    let published = vec![Published::Stored];
    let wanted = Settled { published: published.clone(), ..Settled::default() };
    assert_eq!(f.settle(settle.clone()).await, wanted);
    let attempt = settle.attempt.clone().expect("an outcome has one");
    assert_eq!(f.settle(settle).await, Settled { published, ..SUPERSEDED });

    assert_eq!(f.pending(&endpoint).await, [moved(&sent.deliveries[0], at(60))]);
    assert_eq!(f.pending(&listener).await, cause.deliveries);
    let attempts =
        store.attempts_by_message(tenant(&app), sent.message.id, Default::default(), newest(10));
    assert_eq!(attempts.await.expect("attempts").items, [attempt]);
}

/// Callers at the same moment each get their own answers; of those that settle one delivery, one
/// wins.
pub async fn answers_callers_at_once(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let mut calls = Vec::new();
    for _ in 0..16 {
        let delivery = f.send(&app, &[&endpoint], at(1)).await.deliveries[0].clone();
        calls.push(f.outcome(&delivery, Some(500), EXHAUSTED, at(2)));
        calls.push(f.outcome(&delivery, Some(200), DELIVERED, at(2)));
    }
    let deliveries: Vec<_> = calls.iter().map(|settle| settle.delivery.clone()).collect();
    let settled = join_all(calls.into_iter().map(|settle| f.settle(settle))).await;
    for (settled, deliveries) in settled.chunks(2).zip(deliveries.chunks(2)) {
        let status = f.record(&deliveries[0]).await.status();
        let winner = usize::from(status == Status::Success);
        assert_eq!(settled[winner], Settled::default());
        assert_eq!(settled[1 - winner], SUPERSEDED);
    }
    assert_eq!(f.pending(&endpoint).await, []);
}
