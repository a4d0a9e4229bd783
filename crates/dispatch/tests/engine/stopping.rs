//! Stopping, and clocks that jump.

use domain::delivery::{Cause, EndState};
use tokio::time::Instant;

use crate::harness::{Answer, HOUR, MS, SEC, World, schedule};

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_what_is_under_way_and_starts_nothing() {
    let mut world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    world.endpoint(&app, "one.test", |_| {}).await;
    world.receivers.always("one.test", Answer::ok().after(5 * SEC));
    world.send_many(&app, 100).await;
    world.pass(SEC).await;
    let began = Instant::now();
    assert_eq!(world.engine.stop().await, 0);
    assert_eq!(began.elapsed().as_secs(), 4);
    assert_eq!(world.receivers.total(), 16);
    assert_eq!(world.pending().await, 84, "what arrived is on record");
    world.send(&app).await;
    world.pass(HOUR).await;
    assert_eq!(world.receivers.total(), 16);
    world.crash();
    world.drained(HOUR).await;
    assert_eq!(world.receivers.total(), 101);
    world.receivers.assert_no_duplicates();
}

#[tokio::test(start_paused = true)]
async fn stopping_says_what_it_could_not_wait_for() {
    let world = World::new(|options| {
        options.drain_timeout = 10 * SEC;
        options.request_timeout = HOUR;
    });
    let app = world.application(|_| {}).await;
    world.endpoint(&app, "hangs.test", |_| {}).await;
    world.endpoint(&app, "fine.test", |_| {}).await;
    world.receivers.always("hangs.test", Answer::hang());
    world.receivers.always("fine.test", Answer::ok().after(5 * SEC));
    world.send_many(&app, 3).await;
    world.pass(SEC).await;
    let began = Instant::now();
    assert_eq!(world.engine.stop().await, 3);
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(world.pending().await, 3);
}

#[tokio::test(start_paused = true)]
async fn stopping_counts_outcomes_that_could_not_be_written() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    world.endpoint(&app, "one.test", |_| {}).await;
    world.store.fail("settle");
    world.send(&app).await;
    world.pass(SEC).await;
    assert_eq!(world.engine.stop().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_jumps_delays_nothing() {
    for (jump, most) in [(-3_600, 5 * SEC + 2 * MS), (7, 3 * SEC + 2 * MS), (3_600, 2 * SEC)] {
        let world = World::new(|_| {});
        let app = world.application(|_| {}).await;
        world.endpoint(&app, "one.test", |_| {}).await;
        world.endpoint(&app, "paced.test", |e| e.throttle_rate = Some(2)).await;
        world.receivers.on("one.test", |nth| Answer::status(if nth == 0 { 500 } else { 200 }));
        let began = Instant::now();
        world.send(&app).await;
        world.pass(SEC).await;
        world.clock.set_by(jump);
        let second = world.arrivals(HOUR, "one.test", 2).await;
        assert!(second.at - began <= most, "{jump} s: {:?}", second.at - began);
        let began = Instant::now();
        world.send_many(&app, 5).await;
        let came = world.arrivals(HOUR, "one.test", 3).await;
        assert_eq!(came.at, began, "{jump} s");
        assert_eq!(came.header("webhook-timestamp"), world.now().as_secs().to_string());
        let paced = world.arrivals(HOUR, "paced.test", 6).await;
        assert!(paced.at - began <= 3 * SEC, "{jump} s: {:?}", paced.at - began);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_back_ends_nothing_early() {
    // The engine's time stays ahead of the wall clock by three days; what is new is not three days old.
    let world = World::new(|options| options.policy.schedule = schedule(&[5, 5]));
    let app = world.application(|_| {}).await;
    let endpoint = world.endpoint(&app, "one.test", |_| {}).await;
    world.receivers.on("one.test", |nth| Answer::status(if nth == 0 { 500 } else { 200 }));
    world.pass(SEC).await;
    world.clock.set_by(-3 * 24 * 3_600);
    let mut draft = world.draft("{}");
    draft.retention = Some(HOUR);
    let began = Instant::now();
    let message = world.publish(&app, vec![draft]).await.remove(0);
    let second = world.arrivals(HOUR, "one.test", 2).await;
    assert_eq!((second.at - began).as_secs(), 5, "by its schedule");
    world.drained(SEC).await;
    let end = world.end(&message, &endpoint).await;
    assert_eq!(end, Some((EndState::Succeeded, Cause::Delivered)));
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_back_sends_nothing_before_its_time() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    world.endpoint(&app, "one.test", |_| {}).await;
    world.pass(SEC).await;
    world.clock.set_by(-3_600);
    let began = Instant::now();
    let mut draft = world.draft("{}");
    draft.deliver_at = Some(world.now().plus(600 * SEC));
    world.publish(&app, vec![draft]).await;
    let came = world.arrivals(HOUR, "one.test", 1).await;
    assert_eq!((came.at - began).as_secs(), 600);
}
