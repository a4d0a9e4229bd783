//! A process that dies, and another one that finds the work that remains.

use domain::application::Application;
use tokio::time::Instant;

use crate::harness::{Answer, HOUR, MS, SEC, World};

/// A world in which `lanes` endpoints of their own tenants have died with `each` deliveries waiting,
/// beside a healthy one with a retry to come; its process dies, and everything is overdue.
async fn overdue(lanes: usize, each: usize) -> (World, Vec<Application>) {
    let mut world = World::new(|_| {});
    let mut apps = Vec::new();
    for n in 0..lanes {
        let app = world.application(|_| {}).await;
        let host = format!("e{n}.test");
        world.endpoint(&app, &host, |_| {}).await;
        world.receivers.always(&host, Answer::hang());
        world.send_many(&app, each).await;
        apps.push(app);
    }
    let healthy = world.application(|_| {}).await;
    world.endpoint(&healthy, "healthy.test", |_| {}).await;
    world.receivers.on("healthy.test", |nth| Answer::status(if nth == 0 { 500 } else { 200 }));
    world.send(&healthy).await;
    world.pass(SEC).await;
    world.crash();
    (world, apps)
}

#[tokio::test(start_paused = true)]
async fn a_mountain_in_one_lane_costs_the_others_nothing() {
    let (world, _) = overdue(1, 10_000).await;
    let began = Instant::now();
    world.arrivals(SEC, "e0.test", 2).await;
    let retry = world.arrivals(5 * SEC, "healthy.test", 2).await;
    assert!(retry.at - began <= 4 * SEC + 2 * MS, "{:?}", retry.at - began);
    world.receivers.always("e0.test", Answer::ok().after(5 * MS));
    world.drained(HOUR).await;
    assert!(world.engine.depths().ready == 0);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_lanes_are_found_at_once() {
    let (world, _) = overdue(1_000, 3).await;
    world.store.be_slow(1, 2 * MS);
    let counts = || -> Vec<usize> {
        (0..1_000).map(|n| world.receivers.count(&format!("e{n}.test"))).collect()
    };
    let before = counts();
    world.pass(SEC).await;
    let found = before.iter().zip(counts()).filter(|(before, after)| after > before).count();
    assert_eq!(found, 1_000, "within a second of the start");
    let began = Instant::now();
    let retry = world.arrivals(5 * SEC, "healthy.test", 2).await;
    assert!(retry.at - began <= 4 * SEC, "{:?}", retry.at - began);
}

#[tokio::test(start_paused = true)]
async fn more_lanes_than_are_looked_through_at_a_time() {
    let mut world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    for n in 0..2_500 {
        world.endpoint(&app, &format!("e{n}.test"), |_| {}).await;
    }
    world.engine.stop().await;
    world.send(&app).await;
    world.crash();
    world.drained(SEC).await;
    assert_eq!(world.receivers.total(), 2_500);
}

#[tokio::test(start_paused = true)]
async fn a_crash_repeats_only_what_was_under_way() {
    for seed in 0..10 {
        let mut world = World::with_seed(seed, |_| {});
        world.store.be_slow(seed, 5 * MS);
        let app = world.application(|_| {}).await;
        world.endpoint(&app, "one.test", |_| {}).await;
        world.receivers.always("one.test", Answer::ok().after(10 * MS));
        world.send_many(&app, 300).await;
        let mut under_way = 0;
        for _ in 0..3 {
            world.pass(17 * MS).await;
            under_way += world.engine.depths().in_flight;
            world.crash();
        }
        world.drained(HOUR).await;
        let sent = world.receivers.total();
        assert!(sent >= 300 && sent <= 300 + under_way, "{sent}, {under_way} were under way");
    }
}

#[tokio::test(start_paused = true)]
async fn idle_lanes_are_forgotten_and_come_back() {
    let world = World::new(|options| options.idle_lanes = 10);
    let app = world.application(|_| {}).await;
    for n in 0..50 {
        world.endpoint(&app, &format!("e{n}.test"), |_| {}).await;
    }
    world.receivers.on("e7.test", |nth| Answer::status(if nth == 0 { 500 } else { 200 }));
    world.send(&app).await;
    world.drained(HOUR).await;
    world.pass(60 * SEC).await;
    assert_eq!(world.engine.depths().lanes, 0);
    world.send(&app).await;
    world.drained(SEC).await;
    assert_eq!(world.receivers.total(), 101);
}
