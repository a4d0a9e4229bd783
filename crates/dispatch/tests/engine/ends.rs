//! When work ends, and when it only waits: each state, with and without a restart in between.

use domain::{
    application::Application,
    delivery::{Cause, EndState},
    endpoint::Endpoint,
    token::Actor,
};
use store::{Catalog, History, history::Tenant};

use crate::harness::{Answer, HOUR, MS, SEC, World, schedule};

async fn one(world: &World) -> (Application, Endpoint) {
    let app = world.application(|_| {}).await;
    let endpoint = world.endpoint(&app, "one.test", |_| {}).await;
    (app, endpoint)
}

#[tokio::test(start_paused = true)]
async fn disabled_is_paused_and_goes_on_paced() {
    for restart in [false, true] {
        let mut world = World::new(|_| {});
        let (app, endpoint) = one(&world).await;
        world.receivers.always("one.test", Answer::ok().after(10 * MS));
        let messages = world.send_many(&app, 1_000).await;
        world.pass(15 * MS).await;
        world.change(&endpoint, |e| e.disabled = true).await;
        if restart {
            world.pass(SEC).await;
            world.restart().await;
        }
        world.pass(HOUR).await;
        let before = world.receivers.total();
        assert!(before < 100, "{before} were sent");
        assert_eq!(world.engine.depths().ready, 0, "a paused lane keeps nothing in memory");
        assert_eq!(world.pending().await as usize, 1_000 - before);
        assert_eq!(world.end(&messages[999], &endpoint).await, None);

        world.change(&endpoint, |e| e.disabled = false).await;
        world.pass(5 * MS).await;
        assert!(world.receivers.busy("one.test") <= 64, "not all at once");
        world.drained(10 * SEC).await;
        assert_eq!(world.receivers.total(), 1_000);
        world.receivers.assert_no_duplicates();
    }
}

#[tokio::test(start_paused = true)]
async fn deleted_is_cancelled() {
    for restart in [false, true] {
        let mut world = World::new(|_| {});
        let (app, endpoint) = one(&world).await;
        world.receivers.always("one.test", Answer::status(500));
        let messages = world.send_many(&app, 2_000).await;
        world.pass(SEC).await;
        let before = world.receivers.total();
        world.delete(&endpoint).await;
        if restart {
            world.crash();
        }
        world.drained(10 * SEC).await;
        world.pass(HOUR).await;
        assert_eq!(world.receivers.total(), before);
        let end = world.end(&messages[1_999], &endpoint).await;
        assert_eq!(end, Some((EndState::Cancelled, Cause::EndpointDeleted)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_to_a_deleted_endpoint_changes_nothing_any_more() {
    let world = World::new(|_| {});
    let (app, endpoint) = one(&world).await;
    world.receivers.always("one.test", Answer::status(500).after(5 * SEC));
    let message = world.send(&app).await;
    world.pass(SEC).await;
    world.delete(&endpoint).await;
    world.drained(SEC).await;
    world.resend(&message, &endpoint, domain::delivery::Trigger::Manual).await;
    world.pass(HOUR).await;
    assert_eq!(world.receivers.total(), 1);
    assert_eq!(world.pending().await, 0);
    assert_eq!(world.engine.depths().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_application_takes_all_its_work_with_it() {
    for restart in [false, true] {
        let mut world = World::new(|_| {});
        let (app, endpoint) = one(&world).await;
        world.endpoint(&app, "two.test", |_| {}).await;
        for host in ["one.test", "two.test"] {
            world.receivers.always(host, Answer::status(500));
        }
        let messages = world.send_many(&app, 600).await;
        world.pass(SEC).await;
        let before = world.receivers.total();
        let deleted =
            world.memory().delete_application(&Actor::System, app.org, app.id, world.now()).await;
        deleted.expect("the store answers").expect("deleted");
        world.publisher.catalogues().application_changed(app.org, app.id, None);
        world.publisher.handover().application_changed(app.org, app.id);
        if restart {
            world.crash();
        }
        world.drained(10 * SEC).await;
        world.pass(HOUR).await;
        assert_eq!(world.receivers.total(), before);
        let end = world.end(&messages[0], &endpoint).await;
        assert_eq!(end, Some((EndState::Cancelled, Cause::EndpointDeleted)));
    }
}

#[tokio::test(start_paused = true)]
async fn too_old_is_exhausted_and_says_whether_it_was_ever_sent() {
    for restart in [false, true] {
        let mut world = World::new(|options| {
            options.policy.schedule = schedule(&[60]);
            options.policy.max_age_slack = HOUR;
        });
        let (app, endpoint) = one(&world).await;
        world.receivers.always("one.test", Answer::status(500));
        let tried = world.send(&app).await;
        world.pass(SEC).await;
        world.change(&endpoint, |e| e.disabled = true).await;
        world.pass(HOUR / 2).await;
        world.change(&endpoint, |e| e.disabled = true).await;
        let paused = world.receivers.total();
        // Disabled endpoints are not routed to: this one was accepted just before.
        world.change(&endpoint, |e| e.disabled = false).await;
        world.receivers.always("one.test", Answer::hang());
        world.pass(MS).await;
        assert_eq!(world.receivers.total(), paused + 1, "the retry goes on once enabled");
        world.drained(HOUR).await;
        let end = world.end(&tried, &endpoint).await;
        assert_eq!(end, Some((EndState::Exhausted, Cause::LastTry)));

        world.receivers.always("one.test", Answer::status(500));
        let tried = world.send(&app).await;
        world.pass(SEC).await;
        let unsent = world.publish(&app, vec![later(&world)]).await.remove(0);
        world.change(&endpoint, |e| e.disabled = true).await;
        if restart {
            world.restart().await;
        }
        world.pass(2 * HOUR).await;
        let before = world.receivers.total();
        world.change(&endpoint, |e| e.disabled = false).await;
        world.drained(SEC).await;
        assert_eq!(world.receivers.total(), before, "nothing that old is sent");
        let end = world.end(&tried, &endpoint).await;
        assert_eq!(end, Some((EndState::Exhausted, Cause::MaxAge)));
        let end = world.end(&unsent, &endpoint).await;
        assert_eq!(end, Some((EndState::Exhausted, Cause::CircuitOpen)));
    }
}

/// Due in a while, so that it waits in the store.
fn later(world: &World) -> publish::Draft {
    let mut draft = world.draft("{}");
    draft.deliver_at = Some(world.now().plus(SEC));
    draft
}

#[tokio::test(start_paused = true)]
async fn held_until_too_old_is_exhausted_because_the_circuit_was_open() {
    let world = World::new(|options| {
        options.policy.schedule = schedule(&[3_600]);
        options.policy.max_age_slack = SEC;
        options.breaker.failures = 3;
    });
    let (app, endpoint) = one(&world).await;
    world.receivers.always("one.test", Answer::refused());
    let messages = world.send_many(&app, 300).await;
    world.drained(3 * HOUR).await;
    let end = world.end(&messages[299], &endpoint).await;
    assert_eq!(end, Some((EndState::Exhausted, Cause::CircuitOpen)));
    assert_eq!(world.records(&messages[299], &endpoint).await[0].attempts, 0);
}

#[tokio::test(start_paused = true)]
async fn a_payload_whose_time_is_over_is_not_sent() {
    for restart in [false, true] {
        let mut world = World::new(|options| options.window.max = 16);
        let (app, endpoint) = one(&world).await;
        world.receivers.always("one.test", Answer::ok().after(15 * SEC));
        let mut draft = world.draft("{}");
        draft.retention = Some(40 * SEC);
        let messages = world.publish(&app, vec![draft; 100]).await;
        world.pass(SEC).await;
        if restart {
            world.crash();
        }
        world.drained(HOUR).await;
        let sent = world.receivers.total();
        assert!(sent < 70, "{sent} were sent");
        let end = world.end(&messages[99], &endpoint).await;
        assert_eq!(end, Some((EndState::Exhausted, Cause::PayloadExpired)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_the_payloads_end_is_not_waited_for() {
    let world = World::new(|_| {});
    let (app, endpoint) = one(&world).await;
    world.receivers.always("one.test", Answer::status(500));
    let mut draft = world.draft("{}");
    draft.retention = Some(12 * SEC);
    let message = world.publish(&app, vec![draft]).await.remove(0);
    world.drained(6 * SEC).await;
    let end = world.end(&message, &endpoint).await;
    assert_eq!(end, Some((EndState::Exhausted, Cause::PayloadExpired)));
}

#[tokio::test(start_paused = true)]
async fn what_was_expunged_is_not_sent_any_more() {
    for restart in [false, true] {
        let mut world = World::new(|_| {});
        let app = world.application(|_| {}).await;
        let endpoint = world.endpoint(&app, "one.test", |e| e.throttle_rate = Some(1)).await;
        let messages = world.send_many(&app, 300).await;
        world.pass(10 * SEC).await;
        assert!(world.engine.depths().ready > 0, "it waits in memory");
        let gone = &messages[200];
        let tenant = Tenant { org: app.org, app: app.id };
        world.store.hold("due");
        world.pass(SEC).await;
        let now = world.now();
        assert!(world.memory().expunge_message(tenant, gone.id, now).await.expect("answers"));
        world.publisher.handover().message_expunged(app.org, app.id, gone.id);
        world.store.let_go();
        if restart {
            world.crash();
        }
        world.drained(HOUR).await;
        assert!(world.receivers.at("one.test").iter().all(|a| a.message != gone.id));
        assert_eq!(world.end(gone, &endpoint).await, Some((EndState::Cancelled, Cause::Expunged)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wide_window_is_earned_anew_after_a_pause() {
    let world = World::new(|_| {});
    let (app, endpoint) = one(&world).await;
    world.receivers.always("one.test", Answer::ok().after(50 * MS));
    world.send_many(&app, 5_000).await;
    world.drained(HOUR).await;
    assert!(world.receivers.most_busy("one.test") > 300, "it has earned a wide window");
    let messages = world.send_many(&app, 2_000).await;
    world.change(&endpoint, |e| e.disabled = true).await;
    world.pass(HOUR).await;
    world.change(&endpoint, |e| e.disabled = false).await;
    world.pass(5 * MS).await;
    assert!(world.receivers.busy("one.test") <= 16, "not all at once");
    world.drained(10 * SEC).await;
    let end = world.end(&messages[1_999], &endpoint).await;
    assert_eq!(end, Some((EndState::Succeeded, Cause::Delivered)));
}

#[tokio::test(start_paused = true)]
async fn a_crash_uses_up_no_try_and_adds_none() {
    // Each failing try is followed by a crash: the schedule ends after its own number of tries, and
    // the breaker's holding costs none.
    let mut world = World::new(|options| {
        options.policy.schedule = schedule(&[2, 2, 2]);
        options.breaker.failures = 2;
    });
    let (app, endpoint) = one(&world).await;
    world.receivers.always("one.test", Answer::refused());
    let message = world.send(&app).await;
    for tries in 1..=4 {
        world.arrivals(HOUR, "one.test", tries).await;
        world.pass(MS).await;
        world.crash();
    }
    world.drained(HOUR).await;
    assert_eq!(world.receivers.total(), 4);
    let end = world.end(&message, &endpoint).await;
    assert_eq!(end, Some((EndState::Exhausted, Cause::LastTry)));
}

#[tokio::test(start_paused = true)]
async fn held_across_a_crash_it_ends_by_age_and_says_whether_it_was_sent() {
    let mut world = World::new(|options| {
        options.policy.schedule = schedule(&[1_800]);
        options.policy.max_age_slack = SEC;
        options.breaker.failures = 3;
    });
    let (app, endpoint) = one(&world).await;
    world.receivers.always("one.test", Answer::refused());
    let messages = world.send_many(&app, 400).await;
    world.pass(60 * SEC).await;
    world.crash();
    world.pass(SEC).await;
    assert!(
        world.receivers.most_busy("one.test") <= 16,
        "one window until the breaker is open again"
    );
    world.drained(3 * HOUR).await;
    let (mut sent, mut unsent) = (0, 0);
    for message in &messages {
        let record = world.records(message, &endpoint).await.remove(0);
        match (record.attempts, record.end) {
            (0, Some((EndState::Exhausted, Cause::CircuitOpen))) => unsent += 1,
            (1.., Some((EndState::Exhausted, Cause::LastTry | Cause::MaxAge))) => sent += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(sent > 0 && unsent > 0, "{sent} were sent, {unsent} never");
}

#[tokio::test(start_paused = true)]
async fn disabled_by_its_failures_it_stays_so_across_a_crash_and_begins_anew() {
    let mut world = World::new(|options| {
        options.policy.schedule = schedule(&[60; 40]);
        options.policy.disable_after = Some(300 * SEC);
    });
    let (app, endpoint) = one(&world).await;
    world.receivers.always("one.test", Answer::status(500));
    let message = world.send(&app).await;
    world.until(HOUR, "disabled", async || world.stored(&endpoint).await.disabled).await;
    world.crash();
    let before = world.receivers.total();
    world.pass(HOUR).await;
    assert_eq!(world.receivers.total(), before, "disabled is paused");
    assert_eq!(world.end(&message, &endpoint).await, None);
    world.change(&endpoint, |e| (e.disabled, e.first_failure_at) = (false, None)).await;
    world.pass(100 * SEC).await;
    assert!(!world.stored(&endpoint).await.disabled, "its failing counts from now");
    world.receivers.always("one.test", Answer::ok());
    world.drained(HOUR).await;
    let end = world.end(&message, &endpoint).await;
    assert_eq!(end, Some((EndState::Succeeded, Cause::Delivered)));
}
