//! Retention and the counts that watch over it.

use domain::{
    application::Application,
    claim::{ClaimKey, ClaimKind},
    clock::Timestamp,
    delivery::{Cause, EndState, Next},
    endpoint::Endpoint,
    id::TaskId,
    message::Message,
    name::Ref,
    task::{Task, TaskKind, TaskStatus},
};

use super::{
    fixture::{ACTOR, Fixture, at, first, newest},
    traffic::{DELIVERED, EXHAUSTED, Sent, tenant},
};
use crate::{
    Store,
    history::{MessageFilter, Status},
    housekeeping::{RetentionLimits, Swept},
    publish::{Claim, NewMessage, Published, SavedResponse},
    tasks::TaskFilter,
};

/// Sweeps until there is nothing more to take away, in steps of `rows`; what was done in all.
pub(super) async fn sweep(
    store: &dyn Store,
    now: Timestamp,
    history_before: Timestamp,
    rows: usize,
) -> Swept {
    let mut all = Swept::default();
    for _ in 0..100 {
        let swept = store.sweep(RetentionLimits { now, history_before, rows }).await;
        let swept = swept.expect("sweep");
        all += Swept { more: false, ..swept };
        if !swept.more {
            return all;
        }
    }
    panic!("sweeping comes to no end");
}

impl Fixture<'_> {
    /// A message whose payload goes at `expires_at`.
    async fn expiring(&self, app: &Application, to: &[&Endpoint], expires_at: Timestamp) -> Sent {
        let message = Message { expires_at, ..self.message(app, at(1)) };
        self.send_message(message, app, to).await
    }
}

/// A payload goes at its time, and what was still pending of it ends, visibly.
pub async fn takes_expired_payloads(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let (one, two) = (f.endpoint(&app).await, f.endpoint(&app).await);
    let over = f.expiring(&app, &[&one, &two], at(1_000)).await;
    let stays = f.expiring(&app, &[&one], at(5_000)).await;
    f.tried(&over.deliveries[0], 200, DELIVERED, at(2)).await;
    f.tried(&over.deliveries[1], 500, Next::Retry(at(900)), at(2)).await;
    let resend = f.resend(&over.message, &one, at(950)).await;

    let early = sweep(store, at(999), at(0), 100).await;
    assert_eq!(early, Swept::default());
    let swept = sweep(store, at(1_200), at(0), 100).await;
    assert_eq!(swept, Swept { payloads: 1, expired: 2, ..Swept::default() });
    let bare = Message { body: None, ..over.message.clone() };
    assert_eq!(store.message(tenant(&app), &Ref::Id(over.message.id)).await, Ok(Some(bare)));
    assert_eq!(f.record(&over.deliveries[0]).await.status(), Status::Success);
    for delivery in [&over.deliveries[1], &resend] {
        let record = f.record(delivery).await;
        assert_eq!(record.end, Some((EndState::Exhausted, Cause::PayloadExpired)));
        assert_eq!((record.next_attempt, record.ended_at), (None, Some(at(1_200))));
    }
    assert_eq!(f.record(&over.deliveries[1]).await.attempts, 1);
    assert_eq!(f.pending(&one).await, stays.deliveries);
    assert_eq!(f.pending(&two).await, []);
    let id = Ref::Id(stays.message.id);
    assert_eq!(store.message(tenant(&app), &id).await, Ok(Some(stays.message)));
    assert_eq!(sweep(store, at(1_300), at(0), 100).await, Swept::default(), "nothing is left");
}

/// History goes by age; what still has work left stays whole.
pub async fn takes_old_history(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let (one, two) = (f.endpoint(&app).await, f.endpoint(&app).await);
    let mut old = Vec::new();
    for i in 0..5 {
        let sent = f.send(&app, &[&one, &two], at(i)).await;
        f.tried(&sent.deliveries[0], 200, DELIVERED, at(10)).await;
        f.tried(&sent.deliveries[1], 500, EXHAUSTED, at(10)).await;
        old.push(sent);
    }
    // Old, with work left at one of its endpoints.
    let busy = f.send(&app, &[&one, &two], at(5)).await;
    f.tried(&busy.deliveries[0], 200, DELIVERED, at(10)).await;
    let fresh = f.send(&app, &[&one], at(500)).await;
    let attempt = f.tried(&fresh.deliveries[0], 200, DELIVERED, at(501)).await;

    let swept = sweep(store, at(600), at(400), 2).await;
    assert_eq!((swept.messages, swept.deliveries, swept.attempts), (5, 10, 11));
    let left = store.messages(tenant(&app), MessageFilter::default(), newest(20), true).await;
    let left = left.expect("messages").items;
    assert_eq!(left, [fresh.message.clone(), busy.message.clone()]);
    for sent in &old {
        let id = sent.message.id;
        for endpoint in [&one, &two] {
            let records = store.delivery_records(tenant(&app), vec![id], endpoint.id).await;
            assert_eq!(records, Ok(Vec::new()));
        }
        let attempts = store.attempts_by_message(tenant(&app), id, Default::default(), newest(9));
        assert_eq!(attempts.await.expect("attempts").items, []);
    }
    let attempts = store.attempts_by_endpoint(tenant(&app), one.id, Default::default(), newest(1));
    assert_eq!(attempts.await.expect("attempts").items, [attempt]);
    assert_eq!(f.record(&busy.deliveries[0]).await.status(), Status::Success);
    assert_eq!(f.pending(&two).await, [busy.deliveries[1].clone()]);

    f.tried(&busy.deliveries[1], 200, DELIVERED, at(610)).await;
    assert_eq!(sweep(store, at(620), at(400), 100).await.messages, 1, "its work is done");
}

/// What has come to its end waits for nothing else: bodies that expire while there is still history to
/// take away go meanwhile.
pub async fn takes_payloads_beside_history(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let one = f.endpoint(&app).await;
    for i in 0..20 {
        let sent = f.send(&app, &[&one], at(i)).await;
        f.tried(&sent.deliveries[0], 200, DELIVERED, at(50)).await;
    }
    let message = Message { expires_at: at(700), ..f.message(&app, at(500)) };
    let sent = f.send_message(message, &app, &[&one]).await;
    f.tried(&sent.deliveries[0], 200, DELIVERED, at(501)).await;

    let step = async |now| {
        let limits = RetentionLimits { now, history_before: at(400), rows: 1 };
        store.sweep(limits).await.expect("sweep")
    };
    assert!(step(at(600)).await.more, "history is left");
    for _ in 0..3 {
        assert!(step(at(800)).await.more, "history is left");
    }
    let id = Ref::Id(sent.message.id);
    let bare = Message { body: None, ..sent.message };
    assert_eq!(store.message(tenant(&app), &id).await, Ok(Some(bare)));
}

/// Claims and saved answers go when they have expired.
pub async fn takes_expired_claims(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let versions = f.versions(&app).await;
    let key = |i: u8| ClaimKey::new(ClaimKind::IdempotencyKey, &[&[i]]);
    for i in 0..4 {
        let claim = Claim { key: key(i), expires_at: at(100 * u64::from(i)) };
        let routed = f.routed(versions, f.message(&app, at(0)), &[]);
        let new = NewMessage { idempotency: Some(claim), ..routed };
        assert_eq!(f.publish(new).await, Published::Stored);
        let answer = SavedResponse { status: 409, body: vec![i] };
        let saved = store.save_response(f.org, key(10 + i), answer, at(100 * u64::from(i))).await;
        assert_eq!(saved, Ok(()));
    }
    let swept = sweep(store, at(200), at(0), 100).await;
    assert_eq!(swept, Swept { claims: 6, ..Swept::default() });
    assert!(store.claimed(f.org, key(3), at(200)).await.expect("claimed").is_some());
    assert_eq!(store.claimed(f.org, key(2), at(0)).await, Ok(None));
    assert!(store.saved_response(f.org, key(13), at(200)).await.expect("saved").is_some());
    assert_eq!(store.saved_response(f.org, key(12), at(0)).await, Ok(None));
}

/// Tasks that have ended go with history; what runs stays, however old.
pub async fn takes_old_tasks(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let mut tasks = Vec::new();
    for (i, status) in
        [TaskStatus::Finished, TaskStatus::Failed, TaskStatus::Running, TaskStatus::Finished]
            .into_iter()
            .enumerate()
    {
        let created_at = at(100 * i as u64);
        let id = TaskId::generate(created_at, &*f.entropy);
        let kind = TaskKind::CancelDeliveries { app: app.id, endpoint: None };
        let task = Task { status, ..Task::new(f.org, id, kind, created_at) };
        assert_eq!(store.create_task(&ACTOR, task.clone()).await, Ok(None));
        tasks.push(task);
    }
    assert_eq!(sweep(store, at(600), at(300), 1).await, Swept::default());
    let left =
        store.list_tasks(f.org, TaskFilter::default(), first(9)).await.expect("list_tasks").items;
    assert_eq!(left, tasks[2..]);
}

/// Headers of revisions that no attempt on record was made with go; those of the present one stay.
pub async fn takes_past_headers(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let mut endpoint = f.endpoint(&app).await;
    for time in [100, 200, 300] {
        endpoint = f.update_endpoint(&endpoint, |e| e.updated_at = at(time)).await;
    }
    assert_eq!(sweep(store, at(600), at(300), 1).await, Swept::default());
    for (revision, known) in [(1, false), (2, false), (3, true), (4, true)] {
        let headers = store.headers_at(f.org, app.id, endpoint.id, revision).await;
        assert_eq!(headers.expect("headers_at").is_some(), known, "{revision}");
    }
}

/// Pending work is counted, and none of it is lost from sight.
pub async fn counts_what_remains(store: &dyn Store) {
    let f = Fixture::new(store);
    assert_eq!(store.ping().await, Ok(()));
    let app = f.application().await;
    let (one, two) = (f.endpoint(&app).await, f.endpoint(&app).await);
    let sent = f.send(&app, &[&one, &two], at(7)).await;
    f.send(&app, &[&one], at(8)).await;
    let stats = store.stats().await.expect("stats");
    assert_eq!((stats.pending, stats.oldest_due), (3, Some(at(7))));
    assert_eq!((stats.unscheduled, stats.full), (0, false));
    f.tried(&sent.deliveries[0], 200, DELIVERED, at(9)).await;
    f.tried(&sent.deliveries[1], 500, Next::Retry(at(60)), at(9)).await;
    let stats = store.stats().await.expect("stats");
    assert_eq!((stats.pending, stats.oldest_due), (2, Some(at(8))));
    let report = store.check().await.expect("check");
    assert_eq!(report.problems, [""; 0]);
    assert!(!report.facts.is_empty());
}
