//! Bad endpoints and busy tenants harm only themselves.

use std::time::Duration;

use domain::delivery::Trigger;
use tokio::time::Instant;

use crate::harness::{Answer, HOUR, MS, SEC, World};

/// Sends to 50 endpoints of 50 tenants for three seconds, of which `hanging` hang, and returns the
/// greatest time that a message took to a healthy one, and the most that were under way at a time.
async fn greatest_latency(hanging: usize) -> (Duration, usize) {
    let world = World::new(|_| {});
    world.store.be_slow(3, 2 * MS);
    let mut apps = Vec::new();
    for n in 0..50 {
        let app = world.application(|_| {}).await;
        let host = format!("e{n}.test");
        world.endpoint(&app, &host, |_| {}).await;
        let healthy = Answer::ok().after(5 * MS);
        world.receivers.always(&host, if n < hanging { Answer::hang() } else { healthy });
        apps.push(app);
    }
    let mut greatest = Duration::ZERO;
    let mut most = 0;
    for round in 0..60 {
        let mut accepted = Vec::new();
        for app in &apps {
            world.send(app).await;
            accepted.push(Instant::now());
        }
        world.pass(50 * MS).await;
        most = world.engine.depths().in_flight.max(most);
        for (n, accepted) in accepted.into_iter().enumerate().skip(hanging) {
            let came = world.receivers.at(&format!("e{n}.test"));
            assert_eq!(came.len(), round + 1);
            greatest = greatest.max(came[round].at - accepted);
        }
    }
    for n in 0..hanging {
        assert!(world.receivers.most_busy(&format!("e{n}.test")) <= 17);
    }
    (greatest, most)
}

#[tokio::test(start_paused = true)]
async fn hanging_endpoints_change_nothing_for_others() {
    let (alone, _) = greatest_latency(0).await;
    let (beside, most) = greatest_latency(25).await;
    assert_eq!(alone, Duration::ZERO, "nothing waits where there is room");
    assert_eq!(beside, alone, "{alone:?} became {beside:?}");
    assert!(most <= 25 * 17 + 50, "{most} under way");
}

#[tokio::test(start_paused = true)]
async fn many_that_hang_do_not_take_all_there_is() {
    let world = World::new(|options| options.max_in_flight = 512);
    for n in 0..100 {
        let app = world.application(|_| {}).await;
        let host = format!("e{n}.test");
        world.endpoint(&app, &host, |_| {}).await;
        world.receivers.always(&host, Answer::hang());
        world.send_many(&app, 30).await;
    }
    let app = world.application(|_| {}).await;
    world.endpoint(&app, "healthy.test", |_| {}).await;
    world.receivers.always("healthy.test", Answer::ok().after(5 * MS));
    for n in 1..=100 {
        let began = Instant::now();
        world.send_many(&app, 10).await;
        let last = world.arrivals(SEC, "healthy.test", 10 * n).await;
        assert!(last.at - began <= 6 * MS, "{:?}", last.at - began);
        world.pass(20 * MS).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_dies_with_a_wide_window_does_not_fill_it() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    world.endpoint(&app, "one.test", |_| {}).await;
    world.receivers.always("one.test", Answer::ok().after(50 * MS));
    world.send_many(&app, 5_000).await;
    world.drained(HOUR).await;
    let window = world.receivers.most_busy("one.test");
    assert!(window > 300, "it has earned a wide window: {window}");

    world.receivers.always("one.test", Answer::hang());
    for _ in 0..500 {
        world.send(&app).await;
        world.pass(10 * MS).await;
    }
    let busy = world.receivers.busy("one.test");
    assert!(busy <= 110, "a second's worth at most: {busy}");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_with_a_mountain_leaves_turns_to_one_with_ten() {
    let world = World::new(|options| options.max_in_flight = 64);
    let big = world.application(|_| {}).await;
    let small = world.application(|_| {}).await;
    world.endpoint(&big, "big.test", |_| {}).await;
    world.endpoint(&small, "small.test", |_| {}).await;
    for host in ["big.test", "small.test"] {
        world.receivers.always(host, Answer::ok().after(10 * MS));
    }
    world.send_many(&big, 20_000).await;
    world.pass(500 * MS).await;
    let began = Instant::now();
    world.send_many(&small, 10).await;
    let last = world.arrivals(SEC, "small.test", 10).await;
    assert!(last.at - began <= 12 * MS, "{:?}", last.at - began);
    assert!(world.receivers.count("big.test") < 10_000, "the mountain is still there");
    assert!(world.receivers.most_busy("big.test") <= 64);
}

#[tokio::test(start_paused = true)]
async fn replays_go_at_a_lower_weight() {
    let world = World::new(|options| options.max_in_flight = 8);
    let mut hosts = Vec::new();
    for host in ["live.test", "bulk.test"] {
        let app = world.application(|_| {}).await;
        let endpoint = world.endpoint(&app, host, |_| {}).await;
        world.receivers.always(host, Answer::status(410).after(10 * MS));
        hosts.push((app, endpoint));
    }
    let (bulk, endpoint) = &hosts[1];
    world.change(endpoint, |e| e.disabled = true).await;
    world.receivers.always("bulk.test", Answer::ok().after(10 * MS));
    world.receivers.always("live.test", Answer::ok().after(10 * MS));
    let messages = world.send_many(bulk, 400).await;
    for message in &messages {
        world.resend(message, endpoint, Trigger::Replay).await;
    }
    world.change(endpoint, |e| e.disabled = false).await;
    world.send_many(&hosts[0].0, 4_000).await;
    world.pass(SEC).await;
    let (live, bulk) = (world.receivers.count("live.test"), world.receivers.count("bulk.test"));
    let share = bulk as f64 / (live + bulk) as f64;
    assert!((0.15..0.25).contains(&share), "{bulk} beside {live}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_endpoint_with_big_messages_leaves_memory_to_others() {
    let world = World::new(|options| options.hot_bytes = 1024 * 1024);
    let app = world.application(|_| {}).await;
    let other = world.application(|_| {}).await;
    world.endpoint(&app, "slow.test", |e| e.throttle_rate = Some(1)).await;
    world.endpoint(&other, "fast.test", |_| {}).await;
    let big = vec![b' '; 100 * 1024];
    world.publish(&app, vec![world.draft(big); 100]).await;
    world.pass(SEC).await;
    for n in 1..=50 {
        let began = Instant::now();
        world.publish(&other, vec![world.draft(vec![b' '; 50 * 1024])]).await;
        let came = world.arrivals(SEC, "fast.test", n).await;
        assert_eq!(came.at, began);
        assert!(world.engine.depths().hot_bytes <= 1024 * 1024);
        world.pass(20 * MS).await;
    }
    world.drained(HOUR).await;
    world.receivers.assert_no_duplicates();
}

#[tokio::test(start_paused = true)]
async fn more_that_hang_than_there_are_places_leave_some_to_the_healthy() {
    let mut world = World::new(|options| options.max_in_flight = 64);
    for n in 0..200 {
        let app = world.application(|_| {}).await;
        let host = format!("e{n}.test");
        world.endpoint(&app, &host, |_| {}).await;
        world.receivers.always(&host, Answer::hang());
        world.send_many(&app, 30).await;
    }
    // Known to hang by now, and due again after a crash.
    world.pass(60 * SEC).await;
    let app = world.application(|_| {}).await;
    world.endpoint(&app, "healthy.test", |_| {}).await;
    world.receivers.always("healthy.test", Answer::ok().after(5 * MS));
    let mut sent = 0;
    for crash in [false, true] {
        if crash {
            world.crash();
            world.pass(60 * SEC).await;
        }
        world.send(&app).await;
        sent += 1;
        world.arrivals(16 * SEC, "healthy.test", sent).await;
        for _ in 0..100 {
            let began = Instant::now();
            world.send(&app).await;
            sent += 1;
            let last = world.arrivals(SEC, "healthy.test", sent).await;
            assert!(last.at - began <= 6 * MS, "{:?}", last.at - began);
            world.pass(200 * MS).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn big_bodies_under_way_stay_in_bounds() {
    let world = World::new(|options| options.in_flight_bytes = 1024 * 1024);
    for n in 0..20 {
        let app = world.application(|_| {}).await;
        let host = format!("e{n}.test");
        world.endpoint(&app, &host, |_| {}).await;
        world.receivers.always(&host, Answer::ok().after(SEC));
        world.publish(&app, vec![world.draft(vec![b' '; 100 * 1024]); 10]).await;
    }
    let mut most = 0;
    while !world.idle().await {
        most = most.max(world.engine.depths().in_flight);
        world.pass(50 * MS).await;
    }
    assert!((8..=11).contains(&most), "{most} under way");
    world.receivers.assert_no_duplicates();
}
