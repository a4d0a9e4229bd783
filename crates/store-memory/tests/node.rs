//! A node of a shared store keeps the contract; beside it, what only nodes do.

use std::{sync::Arc, time::Duration};

use domain::{
    clock::{Clock, ManualClock, Timestamp},
    delivery::Next,
    entropy::SeededEntropy,
    shard::{Shard, ShardSet},
};
use hookwright_store_memory::{MemoryNode, MemoryStore};
use store::{
    Deliveries, Nodes, Store,
    deliveries::{Epoch, LaneHead},
    suite::{
        fixture::{Fixture, at},
        traffic::{lane, moved},
    },
};

async fn make_store() -> (Arc<dyn Store>, ()) {
    (nodes(1).0.remove(0), ())
}

store::suite::tests!(make_store);

fn nodes(n: usize) -> (Vec<Arc<MemoryNode>>, Arc<ManualClock>) {
    let store = Arc::new(MemoryStore::new(Arc::new(SeededEntropy::new(7))));
    let clock = Arc::new(ManualClock::new(at(0)));
    let as_clock: Arc<dyn Clock> = clock.clone();
    ((0..n).map(|n| store.node(&format!("n{n}"), as_clock.clone())).collect(), clock)
}

async fn epoch(node: &MemoryNode, shard: Shard) -> Option<Epoch> {
    let owned = node.heartbeat(false).await.expect("the store answers").shards;
    owned.iter().find(|(s, _)| *s == shard).map(|(_, epoch)| *epoch)
}

#[tokio::test]
async fn settles_are_fenced_by_their_epoch() {
    let (nodes, _) = nodes(2);
    let f = Fixture::new(&*nodes[0]);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let delivery = f.send(&app, &[&endpoint], at(1)).await.deliveries.remove(0);
    let shard = delivery.shard();
    let first = epoch(&nodes[0], shard).await.expect("it owns all");
    nodes[0].heartbeat(true).await.expect("the store answers");
    nodes[0].release(&ShardSet::ALL).await.expect("the store answers");
    let second = epoch(&nodes[1], shard).await.expect("it owns all");
    assert!(second > first);

    let settle = |epoch| {
        let outcome = f.outcome(&delivery, Some(500), Next::Retry(at(60)), at(2));
        store::deliveries::Settle { epoch, ..outcome }
    };
    for (node, epoch) in [(0, first), (0, second), (1, first), (1, second + 1)] {
        let settled = nodes[node].settle(vec![settle(epoch)]).await.expect("the store answers");
        assert!(settled[0].superseded, "{node} {epoch}");
        assert_eq!(f.pending(&endpoint).await, std::slice::from_ref(&delivery));
    }
    let settled = nodes[1].settle(vec![settle(second)]).await.expect("the store answers");
    assert!(!settled[0].superseded);
    assert_eq!(f.pending(&endpoint).await, [moved(&delivery, at(60))]);
}

#[tokio::test]
async fn nodes_are_shown() {
    let (nodes, clock) = nodes(2);
    let f = Fixture::new(&*nodes[0]);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let due = f.send(&app, &[&endpoint], at(1)).await.deliveries[0].due;
    nodes[0].heartbeat(false).await.expect("the store answers");
    clock.advance(Duration::from_secs(5));
    nodes[1].heartbeat(true).await.expect("the store answers");
    let shown = nodes[1].nodes().await.expect("the store answers");
    let seen: Vec<_> =
        shown.iter().map(|n| (&*n.name, n.silent_for.as_secs(), n.leaving, n.shards)).collect();
    assert_eq!(seen, [("n0", 5, false, 1_024), ("n1", 0, true, 0)]);
    assert_eq!((shown[0].epoch, shown[0].overdue), (1, (1, Some(due))));
    clock.advance(Duration::from_secs(5));
    let names = nodes[1].nodes().await.expect("the store answers");
    assert_eq!(names.len(), 1, "the other one is gone");
}

#[tokio::test]
async fn nodes_hear_of_one_another() {
    let (nodes, _) = nodes(2);
    let f = Fixture::new(&*nodes[0]);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let head = LaneHead { lane: lane(&endpoint), next_due: Timestamp::from_secs(7) };
    nodes[0].wake(vec![head]);
    let news = nodes[1].news().await;
    assert_eq!((news.lanes, news.applications), (vec![head], vec![(app.org, app.id); 2]));
    nodes[0].heartbeat(false).await.expect("the store answers");
    nodes[0].release(&ShardSet::ALL).await.expect("the store answers");
    assert!(nodes[1].news().await.shards);
}
