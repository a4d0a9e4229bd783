//! Retention takes a few rows at a time.

use std::sync::Arc;

use domain::entropy::SeededEntropy;
use hookwright_store_memory::MemoryStore;
use store::{
    Housekeeping,
    housekeeping::RetentionLimits,
    suite::{
        fixture::{Fixture, at},
        traffic::DELIVERED,
    },
};

#[tokio::test]
async fn old_history_goes_a_few_messages_at_a_time() {
    let store = MemoryStore::new(Arc::new(SeededEntropy::new(7)));
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    for i in 0..5 {
        let sent = f.send(&app, &[&endpoint], at(i)).await;
        f.tried(&sent.deliveries[0], 200, DELIVERED, at(10)).await;
    }
    let limits = RetentionLimits { now: at(600), history_before: at(400), rows: 2 };
    let mut steps = Vec::new();
    for _ in 0..3 {
        let step = store.sweep(limits).await.expect("sweeps");
        steps.push((step.messages, step.more));
    }
    assert_eq!(steps, [(2, true), (2, true), (1, false)]);
}
