//! An endpoint that is down: its breaker holds what waits, and lets it go when the endpoint is back.

use tokio::time::Instant;

use crate::harness::{Answer, HOUR, MS, SEC, World};

#[tokio::test(start_paused = true)]
async fn a_held_lane_probes_uses_up_no_try_and_keeps_nothing_in_memory() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    let endpoint = world.endpoint(&app, "down.test", |e| {
        // Nothing that was tried comes again in this test.
        e.retry_schedule = Some(crate::harness::schedule(&[36_000]));
    });
    let endpoint = endpoint.await;
    world.receivers.always("down.test", Answer::refused());
    let messages = world.send_many(&app, 500).await;
    world.pass(SEC / 2).await;
    let opened = world.receivers.count("down.test");
    assert!((10..=25).contains(&opened), "one window and what failed before: {opened}");
    let depths = world.engine.depths();
    assert_eq!((depths.held, depths.ready, depths.hot_bytes, depths.in_flight), (1, 0, 0, 0));

    world.pass(200 * SEC).await;
    let arrivals = world.receivers.at("down.test");
    let probes: Vec<_> = arrivals[opened - 1..].iter().map(|a| a.at).collect();
    let waits: Vec<_> = probes.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 25, 25, 25, 25, 25, 25], "one probe at a time");
    let mut tried = 0;
    for message in &messages {
        tried += usize::from(world.records(message, &endpoint).await[0].attempts);
    }
    assert_eq!(tried, arrivals.len(), "only what was sent counts as tried");
    assert_eq!(world.engine.depths().ready, 0);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_receiver_that_was_down_is_drained_fast() {
    for down in [Answer::refused(), Answer::hang(), Answer::status(503)] {
        // Whenever it comes back between two probes.
        for down_for in [100, 113, 120] {
            let world = World::new(|_| {});
            let app = world.application(|_| {}).await;
            world.endpoint(&app, "one.test", |_| {}).await;
            let back_at = Instant::now() + down_for * SEC;
            world.receivers.on("one.test", move |_| {
                if Instant::now() < back_at { down } else { Answer::ok().after(5 * MS) }
            });
            world.send_many(&app, 2_000).await;
            world.drained(HOUR).await;
            let came = world.receivers.at("one.test");
            let ok: Vec<_> = came.iter().filter(|a| a.at >= back_at).map(|a| a.at).collect();
            assert_eq!(ok.len(), 2_000);
            let first = ok[0] - back_at;
            assert!(first <= 30 * SEC, "{down:?}: {first:?}");
            // What was tried while it was down comes by its schedule.
            let drained = ok[1_900] - ok[0];
            assert!(drained <= 380 * MS, "{down:?}: 1,900 in {drained:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn refusing_a_message_opens_nothing() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    world.endpoint(&app, "picky.test", |_| {}).await;
    world.receivers.always("picky.test", Answer::status(400));
    world.send_many(&app, 100).await;
    world.pass(MS).await;
    assert_eq!(world.receivers.count("picky.test"), 100);
    assert_eq!(world.engine.depths().held, 0);
}
