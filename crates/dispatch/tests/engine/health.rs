//! An endpoint's health, and what operators are told of it.

use domain::{application::Application, delivery::Trigger, endpoint::Endpoint, id::OrganizationId};

use crate::harness::{Answer, HOUR, SEC, World, schedule};

/// Somebody who listens to operational webhooks at `ops.test`.
async fn listener(world: &World) {
    let uid = world.org.to_string().parse().expect("a uid");
    let app = world.application_of(OrganizationId::management(), |app| app.uid = Some(uid)).await;
    world.endpoint(&app, "ops.test", |_| {}).await;
}

/// What operators were told: the type and the payload of each.
fn told(world: &World) -> Vec<(String, String)> {
    let payload = |body: &[u8]| String::from_utf8(body.to_vec()).expect("text");
    world
        .receivers
        .at("ops.test")
        .iter()
        .map(|arrival| {
            let text = payload(&arrival.request.body);
            let kind = text.rsplit_once(r#""type":""#).expect("a type").1;
            (kind.split('"').next().expect("a name").to_owned(), text)
        })
        .collect()
}

fn kinds(world: &World) -> Vec<String> {
    told(world).into_iter().map(|(kind, _)| kind).collect()
}

async fn one(world: &World) -> (Application, Endpoint) {
    listener(world).await;
    let app = world.application(|_| {}).await;
    let endpoint = world.endpoint(&app, "one.test", |_| {}).await;
    (app, endpoint)
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_is_remembered_until_a_success() {
    let mut world = World::new(|_| {});
    let (app, endpoint) = one(&world).await;
    world.receivers.on("one.test", |nth| Answer::status(if nth < 3 { 500 } else { 200 }));
    let first = world.now();
    world.send(&app).await;
    world.pass(SEC).await;
    assert_eq!(world.stored(&endpoint).await.first_failure_at, Some(first));
    world.crash();
    world.arrivals(HOUR, "one.test", 3).await;
    world.pass(SEC).await;
    assert_eq!(world.stored(&endpoint).await.first_failure_at, Some(first), "still the first");
    world.arrivals(HOUR, "one.test", 4).await;
    world.pass(SEC).await;
    let recovered = world.stored(&endpoint).await;
    assert_eq!((recovered.first_failure_at, recovered.revision), (None, 1));
}

#[tokio::test(start_paused = true)]
async fn only_failing_for_too_long_disables_and_tells() {
    for restart in [false, true] {
        let mut world = World::new(|options| {
            options.policy.disable_after = Some(HOUR);
            options.policy.schedule = schedule(&[600; 20]);
        });
        let (app, endpoint) = one(&world).await;
        world.receivers.always("one.test", Answer::status(500));
        let since = world.now();
        let message = world.send(&app).await;
        world.pass(HOUR / 2).await;
        if restart {
            world.crash();
        }
        world.pass(HOUR / 2 + SEC).await;
        let disabled = world.stored(&endpoint).await;
        assert!(disabled.disabled);
        assert_eq!(world.receivers.count("one.test"), 7);
        world.pass(5 * HOUR).await;
        assert_eq!(world.receivers.count("one.test"), 7, "disabled is paused");
        assert_eq!(world.end(&message, &endpoint).await, None);
        assert_eq!(kinds(&world), ["message.attempt.failing", "endpoint.disabled"]);
        let (_, text) = told(&world).remove(1);
        let want = [
            format!(r#""endpointId":"{}""#, endpoint.id),
            format!(r#""failSince":"{since}""#),
            r#""trigger":"automatic""#.to_owned(),
        ];
        assert!(want.iter().all(|part| text.contains(part)), "{text} lacks one of {want:?}");

        // Once enabled, its time begins anew.
        world.change(&endpoint, |e| e.disabled = false).await;
        world.pass(HOUR / 2).await;
        assert!(!world.stored(&endpoint).await.disabled);
        assert!(world.receivers.count("one.test") >= 9);
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_between_keeps_it_enabled() {
    let world = World::new(|options| options.policy.disable_after = Some(HOUR));
    let (app, endpoint) = one(&world).await;
    world.receivers.on("one.test", |nth| Answer::status(if nth % 10 < 9 { 500 } else { 200 }));
    for _ in 0..60 {
        world.send(&app).await;
        world.pass(HOUR / 10).await;
    }
    assert!(!world.stored(&endpoint).await.disabled);
    assert!(!kinds(&world).contains(&"endpoint.disabled".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn gone_disables_once_whatever_was_under_way() {
    let world = World::new(|_| {});
    let (app, endpoint) = one(&world).await;
    world.receivers.on("one.test", |nth| Answer::status(410).after(nth as u32 * SEC / 4));
    let messages = world.send_many(&app, 40).await;
    world.pass(HOUR).await;
    assert!(world.stored(&endpoint).await.disabled);
    assert_eq!(world.receivers.count("one.test"), 16, "one window");
    let disabled = kinds(&world).iter().filter(|kind| *kind == "endpoint.disabled").count();
    assert_eq!(disabled, 1);
    let mut waiting = 0;
    for message in &messages {
        waiting += usize::from(world.end(message, &endpoint).await.is_none());
    }
    assert_eq!(waiting, 24, "the rest waits");
}

#[tokio::test(start_paused = true)]
async fn the_fourth_failure_the_last_and_the_recovery_are_told() {
    let world = World::new(|_| {});
    let (app, _) = one(&world).await;
    world.receivers.always("one.test", Answer::status(418));
    let message = world.send(&app).await;
    world.arrivals(HOUR, "one.test", 3).await;
    world.pass(SEC).await;
    assert_eq!(kinds(&world), [""; 0]);
    world.drained(HOUR).await;
    assert_eq!(kinds(&world), ["message.attempt.failing", "message.attempt.exhausted"]);
    for (_, text) in told(&world) {
        assert!(text.contains(&message.id.to_string()), "{text}");
        assert!(text.contains(r#""responseStatusCode":418"#), "{text}");
    }

    world.receivers.on("one.test", |nth| Answer::status(if nth < 4 { 500 } else { 200 }));
    world.send(&app).await;
    world.drained(HOUR).await;
    assert_eq!(kinds(&world)[2..], ["message.attempt.failing", "message.attempt.recovered"]);
}

#[tokio::test(start_paused = true)]
async fn what_operators_are_told_is_committed_with_its_cause() {
    let mut world = World::new(|options| options.policy.schedule = schedule(&[]));
    let (app, _) = one(&world).await;
    world.receivers.always("one.test", Answer::status(500));
    world.receivers.always("ops.test", Answer::hang());
    world.send(&app).await;
    world.arrivals(SEC, "ops.test", 1).await;
    world.crash();
    world.receivers.always("ops.test", Answer::ok());
    world.drained(SEC).await;
    assert_eq!(kinds(&world), ["message.attempt.exhausted"; 2], "made once, sent again");
    let ids: Vec<_> = world.receivers.at("ops.test").iter().map(|a| a.message).collect();
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_told_is_not_waited_for() {
    let world = World::new(|options| options.policy.schedule = schedule(&[]));
    let (app, _) = one(&world).await;
    world.receivers.always("one.test", Answer::status(500));
    world.send(&app).await;
    world.drained(SEC).await;
    let before = kinds(&world);
    world.publisher.catalogues().organization_changed(OrganizationId::management());
    world.store.fail("load_organization");
    world.send(&app).await;
    world.drained(10 * SEC).await;
    assert_eq!(kinds(&world), before, "its outcome is on record all the same");
    world.store.heal();
    world.send(&app).await;
    world.drained(10 * SEC).await;
    assert_eq!(kinds(&world).len(), before.len() + 1);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_a_first_failure_overtakes_is_made_again() {
    let world = World::new(|options| {
        options.policy.disable_after = Some(HOUR);
        options.policy.schedule = schedule(&[1, 1, 1]);
    });
    let (app, endpoint) = one(&world).await;
    world.receivers.on("one.test", |nth| {
        // Slow to fail, then well for a day, then it fails once.
        let status = if nth == 0 || nth == 3 { 500 } else { 200 };
        Answer::status(status).after(if nth == 0 { SEC } else { SEC / 100 })
    });
    let message = world.send(&app).await;
    world.pass(SEC / 10).await;
    world.store.hold("load_application");
    world.change(&endpoint, |e| e.description = "edited".into()).await;
    world.resend(&message, &endpoint, Trigger::Replay).await;
    world.pass(2 * SEC).await;
    world.store.let_go();
    world.drained(HOUR).await;
    assert_eq!(world.stored(&endpoint).await.first_failure_at, None, "it has recovered");
    world.pass(2 * HOUR).await;
    world.send(&app).await;
    world.drained(HOUR).await;
    assert!(!world.stored(&endpoint).await.disabled, "one failure after a day");
}
