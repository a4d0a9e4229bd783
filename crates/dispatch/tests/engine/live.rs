//! What people see of the engine while it works: attempts as they are settled, and how a lane stands.

use domain::{attempt::OutcomeClass, breaker::BreakerState, id::EndpointId};
use publish::live::{LiveKind, Seen};

use crate::harness::{Answer, MS, SEC, World};

#[tokio::test(start_paused = true)]
async fn attempts_are_shown_once_they_are_settled() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    let endpoint = world.endpoint(&app, "one.test", |_| {}).await;
    world.receivers.on("one.test", |n| Answer::status(if n == 0 { 500 } else { 200 }));
    let mut watch = world.publisher.live().watch(world.org, Some(app.id)).expect("room");
    let message = world.send(&app).await;
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let Some(Seen::Event(event)) = watch.next().await else { panic!("nothing is lost") };
        assert_eq!((event.app, &event.event_type), (app.id, &message.event_type));
        seen.push(match &event.kind {
            LiveKind::Message(shown) => {
                assert_eq!((shown.id, shown.endpoints), (message.id, 1));
                (0, OutcomeClass::Invalid, None)
            }
            LiveKind::Attempt(shown) => {
                assert_eq!((shown.message, shown.endpoint), (message.id, endpoint.id));
                // It is on record by then.
                let stored = world.attempts(&message).await;
                assert!(stored.iter().any(|attempt| attempt.id == shown.id));
                (shown.number, shown.class, shown.status_code)
            }
        });
    }
    let wanted = [
        (0, OutcomeClass::Invalid, None),
        (1, OutcomeClass::Status, Some(500)),
        (2, OutcomeClass::Success, Some(200)),
    ];
    assert_eq!(seen, wanted);
}

#[tokio::test(start_paused = true)]
async fn a_lane_tells_how_it_stands() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    let endpoint = world.endpoint(&app, "down.test", |_| {}).await;
    let state = |id: EndpointId| world.engine.lane(world.org, app.id, id).expect("it is here");
    let fresh = state(endpoint.id);
    assert_eq!((fresh.breaker, fresh.held_until), (BreakerState::Closed, None));
    assert_eq!((fresh.in_flight, fresh.queued, fresh.cold), (0, 0, false));

    // More than its window waits, while nobody answers.
    world.receivers.always("down.test", Answer::hang());
    world.send_many(&app, 50).await;
    world.pass(MS).await;
    let busy = state(endpoint.id);
    assert!(busy.in_flight > 0 && busy.in_flight <= busy.window, "{busy:?}");
    assert!(busy.queued > 0, "{busy:?}");

    // It is held: what waits is in the store, and its probes are told of.
    world.pass(40 * SEC).await;
    let mut seen = Vec::new();
    for _ in 0..400 {
        world.pass(100 * MS).await;
        let held = state(endpoint.id);
        assert!(held.cold, "{held:?}");
        let open = held.breaker == BreakerState::Open;
        assert!(open || held.held_until.is_none(), "{held:?}");
        if held.breaker == BreakerState::HalfOpen {
            assert_eq!(held.in_flight, 1);
        }
        if !seen.contains(&held.breaker) {
            seen.push(held.breaker);
        }
    }
    assert!(seen.contains(&BreakerState::HalfOpen) && seen.len() == 2, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lane_tells_that_its_rate_holds_it() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    let endpoint = world.endpoint(&app, "one.test", |e| e.throttle_rate = Some(1)).await;
    world.send_many(&app, 5).await;
    world.pass(MS).await;
    let lane = world.engine.lane(world.org, app.id, endpoint.id).expect("it is here");
    assert!(lane.throttled && lane.breaker == BreakerState::Closed, "{lane:?}");
    world.drained(60 * SEC).await;
    world.pass(2 * SEC).await;
    let lane = world.engine.lane(world.org, app.id, endpoint.id).expect("it is here");
    assert!(!lane.throttled && !lane.cold, "{lane:?}");
}
