//! The due index: lanes, their work in pages, and how it is cancelled.

use std::collections::BTreeSet;

use domain::{
    clock::Timestamp,
    delivery::{Cause, Delivery, EndState, Next},
    message::Body,
    shard::ShardSet,
};

use super::{
    fixture::{Fixture, at},
    traffic::{DELIVERED, lane, moved, until},
};
use crate::{
    Store,
    deliveries::{DueLimits, LaneHead, LaneKey},
    history::Status,
};

fn deliveries(page: &crate::deliveries::DuePage) -> Vec<Delivery> {
    page.due.iter().map(|due| due.delivery.clone()).collect()
}

/// Every lane with work is found once, by shard, whatever the size of the pages.
pub async fn finds_every_lane_once(store: &dyn Store) {
    let f = Fixture::new(store);
    let mut lanes = BTreeSet::new();
    for f in [&f, &f.other()] {
        for _ in 0..2 {
            let app = f.application().await;
            for _ in 0..3 {
                let endpoint = f.endpoint(&app).await;
                f.send(&app, &[&endpoint], at(1)).await;
                f.send(&app, &[&endpoint], at(1)).await;
                lanes.insert(lane(&endpoint));
            }
            f.endpoint(&app).await; // has no work
        }
    }
    for limit in [1, 2, 5, 12, 13] {
        let mut found: Vec<LaneKey> = Vec::new();
        loop {
            let heads =
                store.lanes(&ShardSet::ALL, found.last().copied(), limit).await.expect("lanes");
            assert!(heads.len() <= limit);
            found.extend(heads.iter().map(|head| head.lane));
            if heads.len() < limit {
                break;
            }
        }
        assert_eq!(found.len(), lanes.len(), "pages of {limit}");
        assert!(found.is_sorted_by_key(|lane| lane.shard), "pages of {limit}: {found:?}");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), lanes, "pages of {limit}");
    }
}

/// A lane says when its earliest work is due, and is there as long as it has any.
pub async fn knows_the_earliest_of_a_lane(store: &dyn Store) {
    let f = Fixture::new(store);
    assert_eq!(store.lanes(&ShardSet::ALL, None, 10).await, Ok(Vec::new()));
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let (late, early) =
        (f.send(&app, &[&endpoint], at(20)).await, f.send(&app, &[&endpoint], at(10)).await);
    let head = |next_due| Ok(vec![LaneHead { lane: lane(&endpoint), next_due }]);
    assert_eq!(store.lanes(&ShardSet::ALL, None, 10).await, head(at(10)));
    assert_eq!(store.stats().await.expect("stats").oldest_due, Some(at(10)));

    f.tried(&early.deliveries[0], 500, Next::Retry(at(30)), at(11)).await;
    assert_eq!(store.lanes(&ShardSet::ALL, None, 10).await, head(at(20)));
    f.tried(&late.deliveries[0], 200, DELIVERED, at(21)).await;
    assert_eq!(store.lanes(&ShardSet::ALL, None, 10).await, head(at(30)));
    let moved = moved(&early.deliveries[0], at(30));
    f.tried(&moved, 200, DELIVERED, at(31)).await;
    assert_eq!(store.lanes(&ShardSet::ALL, None, 10).await, Ok(Vec::new()));
    // A lane without work is still a place to go on from.
    assert_eq!(store.lanes(&ShardSet::ALL, Some(lane(&endpoint)), 10).await, Ok(Vec::new()));
    assert_eq!(store.stats().await.expect("stats").oldest_due, None);
}

/// Work comes in order of due time and only what is due; `next_due` is that of the first row that
/// is not on the page.
pub async fn gives_work_in_order(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let (endpoint, beside) = (f.endpoint(&app).await, f.endpoint(&app).await);
    let mut sent = Vec::new();
    for secs in [40, 10, 30, 20] {
        sent.push(f.send(&app, &[&endpoint, &beside], at(secs)).await.deliveries[0].clone());
    }
    sent.sort_by_key(|d| d.due);
    for (limit, rows, wanted, next_due) in [
        (at(9), 10, 0..0, Some(at(10))),
        (at(10), 10, 0..1, Some(at(20))),
        (at(29), 10, 0..2, Some(at(30))),
        (at(99), 10, 0..4, None),
        (at(99), 4, 0..4, None),
        (at(99), 3, 0..3, Some(at(40))),
        (at(20), 1, 0..1, Some(at(20))),
    ] {
        let limits = DueLimits { until: limit, rows, bytes: usize::MAX };
        let page = store.due(lane(&endpoint), limits, Vec::new()).await.expect("due");
        assert_eq!(deliveries(&page), sent[wanted], "{limits:?}");
        assert_eq!(page.next_due, next_due, "{limits:?}");
    }
}

/// What is in memory already is passed over, wherever it lies.
pub async fn skips_what_is_in_memory(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let mut sent = Vec::new();
    for secs in 0..6 {
        sent.push(f.send(&app, &[&endpoint], at(secs)).await.deliveries[0].clone());
    }
    let ids = |of: &[usize]| of.iter().map(|i| sent[*i].id).collect::<Vec<_>>();
    for (skip, rows, wanted, next_due) in [
        (vec![], 2, vec![0, 1], Some(at(2))),
        (vec![0, 1], 2, vec![2, 3], Some(at(4))),
        (vec![1, 3], 2, vec![0, 2], Some(at(4))),
        (vec![0, 1, 2, 3], 2, vec![4, 5], None),
        (vec![2, 3, 4, 5], 2, vec![0, 1], None),
        (vec![0, 1, 2, 3, 4, 5], 2, vec![], None),
    ] {
        let limits = DueLimits { until: at(99), rows, bytes: usize::MAX };
        let page = store.due(lane(&endpoint), limits, ids(&skip)).await.expect("due");
        let found: Vec<_> = page.due.iter().map(|due| due.delivery.id).collect();
        assert_eq!(found, ids(&wanted), "without {skip:?}");
        assert_eq!(page.next_due, next_due, "without {skip:?}");
    }
}

/// A page ends behind the row that passes its bytes; one row always fits.
pub async fn bounds_the_bytes_of_a_page(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    for secs in 0..4 {
        let mut message = f.message(&app, at(secs));
        message.body = Some(Body::json(vec![b'x'; 1_000].into()));
        f.send_message(message, &app, &[&endpoint]).await;
    }
    for (bytes, wanted) in [(0, 1), (999, 1), (1_000, 2), (2_500, 3), (3_999, 4), (9_999, 4)] {
        let limits = DueLimits { until: at(99), rows: 10, bytes };
        let page = store.due(lane(&endpoint), limits, Vec::new()).await.expect("due");
        assert_eq!(page.due.len(), wanted, "{bytes} bytes");
        let next_due = (wanted < 4).then(|| at(wanted as u64));
        assert_eq!(page.next_due, next_due, "{bytes} bytes");
    }
}

/// A lane is one endpoint's of one application of one organization.
pub async fn gives_nothing_to_strangers(store: &dyn Store) {
    let f = Fixture::new(store);
    let (app, stranger) = (f.application().await, f.other().application().await);
    let endpoint = f.endpoint(&app).await;
    f.send(&app, &[&endpoint], at(1)).await;
    let mine = lane(&endpoint);
    for wrong in [
        LaneKey { org: stranger.org, ..mine },
        LaneKey { app: stranger.id, ..mine },
        LaneKey { org: stranger.org, app: stranger.id, ..mine },
    ] {
        let page = store.due(wrong, until(Timestamp::MAX), Vec::new()).await.expect("due");
        assert_eq!((page.due.len(), page.next_due), (0, None));
        assert_eq!(store.cancel(wrong, 10, at(2)).await, Ok(0));
    }
    assert_eq!(f.pending(&endpoint).await.len(), 1);
}

/// Cancelling goes in bounded steps, the earliest first, and leaves a record of each.
pub async fn cancels_in_steps(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let (gone, stays) = (f.endpoint(&app).await, f.endpoint(&app).await);
    let mut sent = Vec::new();
    for secs in 0..5 {
        sent.push(f.send(&app, &[&gone, &stays], at(secs)).await.deliveries[0].clone());
    }
    assert_eq!(store.cancel(lane(&gone), 2, at(50)).await, Ok(2));
    assert_eq!(f.pending(&gone).await, sent[2..]);
    assert_eq!(store.cancel(lane(&gone), 10, at(51)).await, Ok(3));
    assert_eq!(store.cancel(lane(&gone), 10, at(52)).await, Ok(0));
    assert_eq!(f.pending(&stays).await.len(), 5);
    for (i, delivery) in sent.iter().enumerate() {
        let record = f.record(delivery).await;
        assert_eq!(record.status(), Status::Canceled);
        assert_eq!(record.end, Some((EndState::Cancelled, Cause::EndpointDeleted)));
        assert_eq!(record.ended_at, Some(at(if i < 2 { 50 } else { 51 })));
        assert_eq!(record.next_attempt, None);
    }
}
