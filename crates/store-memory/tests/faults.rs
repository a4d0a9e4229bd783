//! The reference store misbehaves as it is told.

use std::sync::Arc;

use domain::{delivery::Next, entropy::SeededEntropy, name::Ref};
use hookwright_store_memory::MemoryStore;
use store::{
    Deliveries, History, Housekeeping, Publish, StoreError,
    publish::Published,
    suite::{
        fixture::{Fixture, at},
        traffic::{lane, moved, tenant, until},
    },
};

fn make_store() -> MemoryStore {
    MemoryStore::new(Arc::new(SeededEntropy::new(7)))
}

#[tokio::test]
async fn a_crash_takes_back_what_was_not_synced() {
    let store = make_store();
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let kept = f.send(&app, &[&endpoint], at(1)).await;
    store.crash();
    assert_eq!(f.pending(&endpoint).await, kept.deliveries, "all was synced");

    store.defer_sync();
    let synced = f.send(&app, &[&endpoint], at(2)).await;
    store.sync();
    let lost = f.send(&app, &[&endpoint], at(3)).await;
    f.tried(&kept.deliveries[0], 500, Next::Retry(at(60)), at(4)).await;
    store.crash();
    assert_eq!(f.pending(&endpoint).await, [&kept, &synced].map(|s| s.deliveries[0].clone()));
    assert_eq!(store.message(tenant(&app), &Ref::Id(lost.message.id)).await, Ok(None));
    assert_eq!(store.check().await.expect("check").problems, [""; 0]);

    f.send(&app, &[&endpoint], at(5)).await;
    store.crash();
    assert_eq!(f.pending(&endpoint).await.len(), 3, "after a crash syncs are not deferred");
}

#[tokio::test]
async fn a_lost_reply_leaves_what_was_done() {
    let store = make_store();
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let new = f.routed(f.versions(&app).await, f.message(&app, at(1)), &[&endpoint]);
    store.lose_next_reply();
    assert_eq!(store.publish(vec![new.clone()]).await, Err(StoreError::Unknown));
    assert_eq!(f.pending(&endpoint).await, new.deliveries);
    assert_eq!(f.publish(new.clone()).await, Published::Stored);

    store.lose_next_reply();
    let settle = f.outcome(&new.deliveries[0], Some(500), Next::Retry(at(60)), at(2));
    assert_eq!(store.settle(vec![settle.clone()]).await, Err(StoreError::Unknown));
    assert_eq!(f.pending(&endpoint).await, [moved(&new.deliveries[0], at(60))]);
    assert!(f.settle(settle).await.superseded);
}

#[tokio::test]
async fn a_full_store_goes_on_with_what_it_has() {
    let store = make_store();
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let sent = f.send(&app, &[&endpoint], at(1)).await;
    let new = f.routed(f.versions(&app).await, f.message(&app, at(2)), &[&endpoint]);
    store.set_full(true);
    let refused = store.publish(vec![new.clone()]).await;
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    assert!(store.stats().await.expect("stats").full);
    f.tried(&sent.deliveries[0], 500, Next::Retry(at(60)), at(3)).await;
    store.set_full(false);
    assert_eq!(f.publish(new).await, Published::Stored);
}

#[tokio::test]
async fn an_unavailable_store_does_nothing() {
    let store = make_store();
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let new = f.routed(f.versions(&app).await, f.message(&app, at(1)), &[&endpoint]);
    store.set_unavailable(true);
    let publish = store.publish(vec![new]).await;
    assert!(matches!(publish, Err(StoreError::Unavailable(_))), "{publish:?}");
    let ping = store.ping().await;
    assert!(matches!(ping, Err(StoreError::Unavailable(_))), "{ping:?}");
    let due = store.due(lane(&endpoint), until(at(9)), Vec::new()).await;
    assert!(matches!(due, Err(StoreError::Unavailable(_))), "{due:?}");
    store.set_unavailable(false);
    assert_eq!(f.pending(&endpoint).await, []);
}
