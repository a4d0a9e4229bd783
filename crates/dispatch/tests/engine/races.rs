//! Pages, answers and hand-overs that cross: nothing is sent twice, nothing is forgotten.

use std::time::Duration;

use domain::{
    delivery::Trigger,
    entropy::{Entropy, SeededEntropy},
    page::{Order, PageRequest},
    token::Actor,
};
use store::{
    Catalog, History,
    history::{AttemptFilter, Tenant},
};

use crate::harness::{Answer, HOUR, MS, SEC, World, schedule};

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
    // Its clock would tick on beside the next one's.
    assert_eq!(world.engine.stop().await, 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_twice_or_forgotten_over_a_slow_store() {
    for seed in 0..60 {
        run(seed, [1, 5, 20, 100][(seed % 4) as usize] * MS).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_resend_has_ended_is_not_sent_because_of_an_older_page() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    let endpoint = world.endpoint(&app, "one.test", |_| {}).await;
    world.receivers.always("one.test", Answer::status(500));
    let message = world.send(&app).await;
    world.pass(4_900 * MS).await;
    world.receivers.always("one.test", Answer::ok().after(200 * MS));
    world.resend(&message, &endpoint, Trigger::Manual).await;
    world.store.hold("due");
    // The page is read at 5 s, the resend arrives at 5.1 s, the page comes at 5.2 s.
    world.pass(300 * MS).await;
    assert_eq!(world.pending().await, 0);
    world.store.let_go();
    world.pass(HOUR).await;
    assert_eq!(world.receivers.total(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_change_while_the_endpoint_is_looked_up_is_not_missed() {
    let mut world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    let endpoint = world.endpoint(&app, "one.test", |_| {}).await;
    world.receivers.always("one.test", Answer::status(500));
    world.send(&app).await;
    world.pass(SEC).await;
    world.crash();
    world.store.hold("load_application");
    world.pass(10 * SEC).await;
    world.change(&endpoint, |e| e.disabled = true).await;
    world.store.let_go();
    world.pass(HOUR).await;
    assert_eq!(world.receivers.total(), 1, "it was disabled before it was due");
}

#[tokio::test(start_paused = true)]
async fn a_first_failure_and_a_recovery_that_cross_are_told_apart() {
    // Two outcomes whose writes are answered in the wrong order: what the lane believes is put
    // right by the store.
    for seed in 0..40 {
        let world = World::with_seed(seed, |options| {
            options.policy.disable_after = Some(HOUR);
            options.policy.schedule = schedule(&[1, 1, 1]);
        });
        let app = world.application(|_| {}).await;
        let endpoint = world.endpoint(&app, "one.test", |_| {}).await;
        world.store.be_slow(seed, 50 * MS);
        world.receivers.on("one.test", |nth| {
            let status = if nth < 60 && nth % 3 == 0 { 500 } else { 200 };
            Answer::status(status).after(20 * MS)
        });
        for _ in 0..60 {
            world.send(&app).await;
        }
        world.drained(HOUR).await;
        world.send(&app).await;
        world.drained(SEC).await;
        world.send(&app).await;
        world.drained(SEC).await;
        assert_eq!(world.stored(&endpoint).await.first_failure_at, None, "seed {seed}");
        // Were it believed to fail since then, one failure now would disable it.
        world.pass(2 * HOUR).await;
        world.receivers.on("one.test", |nth| Answer::status(if nth == 0 { 500 } else { 200 }));
        world.send(&app).await;
        world.drained(HOUR).await;
        assert!(!world.stored(&endpoint).await.disabled, "seed {seed}");
        // Its clock would tick on beside the next one's.
        assert_eq!(world.engine.stop().await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_is_loaded_once_for_all_who_want_it() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    let endpoint = world.endpoint(&app, "one.test", |_| {}).await;
    world.store.be_slow(1, 10 * MS);
    let sent = (0..50).map(|_| world.send(&app));
    futures_util::future::join_all(sent).await;
    assert_eq!(world.store.calls("load_application"), 1);
    world.drained(SEC).await;

    // What all found outdated is loaded once more, not once for each.
    let mut changed = world.stored(&endpoint).await;
    changed.revision += 1;
    let updated = world.memory().update_endpoint(&Actor::System, changed).await;
    updated.expect("the store answers").expect("updated");
    let sent = (0..50).map(|_| world.send(&app));
    futures_util::future::join_all(sent).await;
    assert_eq!(world.store.calls("load_application"), 2);
    world.drained(SEC).await;
    assert_eq!(world.receivers.total(), 100);
}

#[tokio::test(start_paused = true)]
async fn endpoints_that_flap_make_nobody_load_the_application_again() {
    let world = World::new(|options| options.policy.schedule = schedule(&[1, 1, 1, 1]));
    let app = world.application(|_| {}).await;
    for n in 0..20 {
        let host = format!("e{n}.test");
        world.endpoint(&app, &host, |_| {}).await;
        world.receivers.on(&host, |nth| Answer::status(if nth % 2 == 0 { 500 } else { 200 }));
    }
    for _ in 0..20 {
        world.send(&app).await;
        world.pass(100 * MS).await;
    }
    world.drained(HOUR).await;
    // The other one: whether somebody listens to operational webhooks.
    assert_eq!(world.store.calls("load_application"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_batch_to_many_endpoints_is_stored_in_bounded_pieces() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    for n in 0..99 {
        world.endpoint(&app, &format!("e{n}.test"), |_| {}).await;
    }
    let accepted = world.send_many(&app, 100).await;
    assert_eq!(accepted.len(), 100);
    assert_eq!(world.store.calls("publish"), 5, "20 messages of 100 rows each at a time");
    world.drained(HOUR).await;
    assert_eq!(world.receivers.total(), 9_900);
    world.receivers.assert_no_duplicates();
}
