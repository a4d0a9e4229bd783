//! Pages, answers and hand-overs that cross: nothing is sent twice, nothing is forgotten.

use std::time::Duration;

use domain::{
    entropy::{Entropy, SeededEntropy},
    page::{Order, PageRequest},
};
use store::{
    History,
    history::{AttemptFilter, Tenant},
};

use crate::harness::{Answer, HOUR, MS, World, schedule};

/// Publishes at random moments over a store that takes its time with everything, to receivers that
/// fail now and then.
async fn run(seed: u64, longest_call: Duration) {
    let chance = SeededEntropy::new(seed);
    let world = World::with_seed(seed, |options| {
        options.lane_queue = 4 + (seed % 5) as usize * 4;
        options.hot_bytes = 6 * 1024;
        options.concurrent_pages = 2;
        options.breaker.failures = 4;
        options.policy.schedule = schedule(&[1; 40]);
        options.policy.timing.jitter = 1.0;
    });
    world.store.be_slow(seed, longest_call);
    let app = world.application(|_| {}).await;
    let mut endpoints = Vec::new();
    for n in 0..3 {
        let host = format!("e{n}.test");
        endpoints.push(world.endpoint(&app, &host, |_| {}).await);
        let chance = SeededEntropy::new(seed * 10 + n);
        world.receivers.on(&host, move |_| {
            let status = if chance.unit() < 0.3 { 500 } else { 200 };
            Answer::status(status).after((30 * MS).mul_f64(chance.unit()))
        });
    }
    for _ in 0..40 {
        world.send_many(&app, 1 + (chance.unit() * 6.0) as usize).await;
        world.pass((40 * MS).mul_f64(chance.unit())).await;
    }
    world.drained(HOUR).await;
    let tenant = Tenant { org: world.org, app: app.id };
    for (n, endpoint) in endpoints.iter().enumerate() {
        let page = PageRequest { limit: 10_000, order: Order::Ascending, cursor: None };
        let attempts = world
            .memory()
            .attempts_by_endpoint(tenant, endpoint.id, AttemptFilter::default(), page)
            .await
            .expect("the store answers")
            .items;
        assert_eq!(attempts.len(), world.receivers.count(&format!("e{n}.test")), "seed {seed}");
        let superseded = attempts.iter().filter(|a| a.superseded).count();
        assert_eq!(superseded, 0, "seed {seed}: sent although it had moved on");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_twice_or_forgotten_over_a_slow_store() {
    for seed in 0..60 {
        run(seed, [1, 5, 20, 100][(seed % 4) as usize] * MS).await;
    }
}
