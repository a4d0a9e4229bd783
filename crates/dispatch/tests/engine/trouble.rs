//! A store that fails, is full, or forgets to answer.

use domain::delivery::{Cause, EndState};
use store::StoreError;
use tokio::time::Instant;

use crate::harness::{Answer, HOUR, MS, SEC, World};

#[tokio::test(start_paused = true)]
async fn while_outcomes_cannot_be_written_nothing_new_starts() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    world.endpoint(&app, "one.test", |_| {}).await;
    world.receivers.always("one.test", Answer::ok().after(10 * MS));
    world.send_many(&app, 1_000).await;
    world.pass(25 * MS).await;
    world.store.fail("settle");
    world.pass(10 * MS).await;
    let sent = world.receivers.total();
    assert!(sent < 900, "{sent}");
    world.send(&app).await;
    world.pass(60 * SEC).await;
    assert_eq!(world.receivers.total(), sent, "something started");
    assert!(world.engine.depths().in_flight > 0, "outcomes wait");
    world.store.heal();
    world.drained(10 * SEC).await;
    assert_eq!(world.receivers.total(), 1_001);
    world.receivers.assert_no_duplicates();
}

#[tokio::test(start_paused = true)]
async fn a_full_store_takes_nothing_new_and_finishes_what_it_has() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    world.endpoint(&app, "one.test", |_| {}).await;
    world.receivers.always("one.test", Answer::ok().after(10 * MS));
    world.send_many(&app, 500).await;
    world.memory().set_full(true);
    let refused = world.try_publish(&app, vec![world.draft("{}")]).await;
    assert!(matches!(refused, Err(publish::PublishError::Store(StoreError::Full(_)))));
    world.drained(10 * SEC).await;
    assert_eq!(world.receivers.total(), 500);
    world.memory().set_full(false);
    world.send(&app).await;
    world.drained(SEC).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_loses_no_delivery() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    let endpoint = world.endpoint(&app, "one.test", |_| {}).await;
    world.receivers.on("one.test", |nth| Answer::status(if nth < 2 { 500 } else { 200 }));
    let began = Instant::now();
    world.store.lose_next("settle");
    let message = world.send(&app).await;
    world.arrivals(6 * SEC, "one.test", 2).await;
    world.store.lose_next("settle");
    let third = world.arrivals(HOUR, "one.test", 3).await;
    assert_eq!((third.at - began).as_secs(), 15, "by its schedule");
    world.drained(SEC).await;
    assert_eq!(world.end(&message, &endpoint).await, Some((EndState::Succeeded, Cause::Delivered)));
    world.pass(HOUR).await;
    assert_eq!(world.receivers.total(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_does_not_hide_that_an_endpoint_was_disabled() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    let endpoint = world.endpoint(&app, "one.test", |_| {}).await;
    world.receivers.always("one.test", Answer::status(410));
    world.store.lose_next("settle");
    world.send(&app).await;
    world.pass(SEC).await;
    assert!(world.stored(&endpoint).await.disabled);
    world.send(&app).await;
    world.pass(HOUR).await;
    assert_eq!(world.receivers.total(), 1, "a disabled endpoint gets nothing");
}

#[tokio::test(start_paused = true)]
async fn what_was_stored_and_never_handed_over_is_found() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    world.endpoint(&app, "one.test", |_| {}).await;
    world.pass(SEC).await;
    world.store.lose_next("publish");
    let unknown = world.try_publish(&app, vec![world.draft("{}")]).await;
    assert!(matches!(unknown, Err(publish::PublishError::Store(StoreError::Unknown))));
    world.arrivals(31 * SEC, "one.test", 1).await;
    world.drained(SEC).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_read_again() {
    for call in ["due", "load_application", "lanes"] {
        let mut world = World::new(|_| {});
        let app = world.application(|_| {}).await;
        world.endpoint(&app, "one.test", |_| {}).await;
        world.receivers.on("one.test", |nth| Answer::status(if nth == 0 { 500 } else { 200 }));
        world.send(&app).await;
        world.pass(SEC).await;
        world.crash();
        world.store.fail(call);
        world.pass(20 * SEC).await;
        assert_eq!(world.receivers.total(), 1, "{call} fails");
        world.store.heal();
        world.arrivals(2 * SEC, "one.test", 2).await;
        world.drained(SEC).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_panics_is_set_aside_and_leaves_its_place() {
    let mut world = World::new(|options| options.max_in_flight = 4);
    let app = world.application(|_| {}).await;
    world.endpoint(&app, "one.test", |_| {}).await;
    world.receivers.on("one.test", |nth| if nth < 8 { Answer::panics() } else { Answer::ok() });
    world.send_many(&app, 20).await;
    world.pass(HOUR).await;
    assert_eq!(world.receivers.total(), 20, "the others go on");
    assert_eq!(world.pending().await, 8);
    assert_eq!(world.engine.depths().in_flight, 0);
    world.restart().await;
    world.drained(HOUR).await;
    assert_eq!(world.receivers.total(), 28, "and these once more, after a start");
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_is_refused_for_good_does_not_stop_the_others() {
    let mut world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    world.endpoint(&app, "one.test", |_| {}).await;
    world.store.refuse("settle");
    world.send(&app).await;
    world.pass(60 * SEC).await;
    assert_eq!(world.receivers.total(), 1, "it is not sent without end");
    world.store.heal();
    world.send(&app).await;
    world.pass(HOUR).await;
    assert_eq!(world.receivers.total(), 2);
    assert_eq!(world.pending().await, 1);
    world.crash();
    world.drained(HOUR).await;
    assert_eq!(world.receivers.total(), 3);
}
