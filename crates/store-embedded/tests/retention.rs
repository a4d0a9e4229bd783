//! Retention takes a few rows at a time, so that other writes get their turn.

mod common;

use common::Dir;
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
    let dir = Dir::new();
    let store = dir.open();
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    for i in 0..5 {
        let sent = f.send(&app, &[&endpoint], at(i)).await;
        f.tried(&sent.deliveries[0], 200, DELIVERED, at(10)).await;
    }
    let limits = RetentionLimits { now: at(600), history_before: at(400), rows: 2 };
    let mut left = 5;
    while left > 0 {
        let step = store.sweep(limits).await.expect("sweeps");
        assert!((1..=2).contains(&step.messages), "{step:?}");
        left -= step.messages;
        assert!(step.more || left == 0, "{step:?}");
    }
}
