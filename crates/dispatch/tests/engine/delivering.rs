//! A message on its way: at once, signed, and again by its schedule.

use domain::{
    delivery::{Cause, EndState, Trigger},
    event_type::EventType,
    signature::{self, SignatureType},
    token::Actor,
};
use store::Catalog;
use tokio::time::Instant;

use crate::harness::{Answer, HOUR, MS, SEC, World, schedule};

#[tokio::test(start_paused = true)]
async fn arrives_at_once_signed_by_every_valid_secret() {
    let world = World::new(|_| {});
    world.pass(MS).await;
    let app = world.application(|_| {}).await;
    let later = world.now().plus(HOUR);
    let secrets = vec![
        world.secret(SignatureType::Hmac256, None),
        world.secret(SignatureType::Hmac256, Some(later)),
        world.secret(SignatureType::Hmac256, Some(world.now())),
    ];
    let endpoint = world
        .endpoint(&app, "one.test", |e| {
            e.secrets = secrets.clone();
            e.headers = [("x-own", "its own"), ("Accept", "application/json")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        })
        .await;
    let published_at = Instant::now();
    let message = world.publish(&app, vec![world.draft(r#"{"a": 1}"#)]).await.remove(0);
    let arrival = world.arrivals(SEC, "one.test", 1).await;

    assert_eq!(arrival.at, published_at, "no time passes on the way");
    assert_eq!(arrival.message, message.id);
    assert_eq!(&*arrival.request.body, br#"{"a": 1}"#);
    assert_eq!(arrival.request.deadline, world.options.request_timeout);
    assert_eq!(arrival.request.app, app.id);
    assert_eq!(arrival.header("content-type"), "application/json");
    assert_eq!(arrival.header("x-own"), "its own");
    let headers = arrival.request.headers.iter();
    let accepts = headers.filter(|(name, _)| name.eq_ignore_ascii_case("accept"));
    assert_eq!(accepts.map(|(_, value)| &**value).collect::<Vec<_>>(), ["application/json"]);
    assert_eq!(arrival.header("webhook-id"), message.id.to_string());
    let timestamp = message.created_at;
    assert_eq!(arrival.header("webhook-timestamp"), timestamp.as_secs().to_string());
    let signatures = arrival.header("webhook-signature");
    assert_eq!(signatures.split(' ').count(), 2, "{signatures}");
    let id = message.id.to_string();
    let valid = secrets[..2].iter().map(|s| &*s.secret);
    let want = signature::sign(valid, &id, timestamp, br#"{"a": 1}"#);
    assert_eq!(signatures, want, "the newest first, none that has expired");

    world.drained(SEC).await;
    let end = world.end(&message, &endpoint).await;
    assert_eq!(end, Some((EndState::Succeeded, Cause::Delivered)));
    assert_eq!(world.store.calls("due"), 0, "a fresh message is never read back");
}

/// The waits between the tries that came to a host, in whole seconds.
fn waits(world: &World, host: &str) -> Vec<u64> {
    let arrivals = world.receivers.at(host);
    arrivals.windows(2).map(|pair| (pair[1].at - pair[0].at).as_secs()).collect()
}

#[tokio::test(start_paused = true)]
async fn is_tried_by_the_schedule_of_endpoint_event_type_or_server() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    let event_type = EventType {
        org: world.org,
        name: "with.schedule".parse().expect("a name"),
        description: String::new(),
        archived: false,
        deprecated: false,
        schemas: None,
        group_name: None,
        feature_flags: Vec::new(),
        schema_mode: None,
        retry_schedule: Some(schedule(&[3, 4])),
        created_at: world.now(),
        updated_at: world.now(),
    };
    let created = world.memory().create_event_type(&Actor::System, event_type).await;
    created.expect("the store answers").expect("created");
    world.endpoint(&app, "plain.test", |_| {}).await;
    world.endpoint(&app, "own.test", |e| e.retry_schedule = Some(schedule(&[7]))).await;
    for host in ["plain.test", "own.test"] {
        world.receivers.always(host, Answer::status(500));
    }
    let mut typed = world.draft("{}");
    typed.event_type = "with.schedule".parse().expect("a name");
    world.publish(&app, vec![typed]).await;
    world.drained(HOUR).await;
    assert_eq!(waits(&world, "plain.test"), [3, 4], "the event type's");
    assert_eq!(waits(&world, "own.test"), [7], "the endpoint's own");

    world.send(&app).await;
    world.drained(HOUR).await;
    assert_eq!(waits(&world, "plain.test")[3..], [5, 10, 20, 40, 80], "the server's");
}

#[tokio::test(start_paused = true)]
async fn waits_vary_within_the_jitter() {
    let world = World::new(|options| {
        options.policy.timing.jitter = 0.2;
        options.policy.schedule = schedule(&[100]);
        options.breaker.failures = 1_000;
    });
    let app = world.application(|_| {}).await;
    world.endpoint(&app, "one.test", |_| {}).await;
    world.receivers.on("one.test", |nth| Answer::status(if nth < 200 { 500 } else { 200 }));
    let began = Instant::now();
    world.send_many(&app, 200).await;
    world.drained(HOUR).await;
    let arrivals = world.receivers.at("one.test");
    assert_eq!(arrivals.len(), 400);
    let waits: Vec<_> = arrivals[200..].iter().map(|a| a.at - began).collect();
    assert!(waits.iter().all(|w| *w >= 80 * SEC && *w <= 121 * SEC), "{waits:?}");
    assert!(waits.iter().any(|w| *w < 90 * SEC) && waits.iter().any(|w| *w > 110 * SEC));
}

#[tokio::test(start_paused = true)]
async fn what_the_receiver_asks_for_moves_the_wait() {
    for (answer, want) in [
        (Answer::status(500), 5),
        (Answer::status(500).retry_after(7 * SEC), 7),
        (Answer::status(500).retry_after(SEC), 5),
        (Answer::status(500).retry_after(HOUR), 10),
        (Answer::status(429), 60),
        (Answer::status(404), 5),
        (Answer::hang(), 15 + 60),
        (Answer::refused(), 5),
    ] {
        let world = World::new(|_| {});
        let app = world.application(|_| {}).await;
        world.endpoint(&app, "one.test", |_| {}).await;
        world.receivers.on("one.test", move |nth| if nth == 0 { answer } else { Answer::ok() });
        world.send(&app).await;
        world.drained(HOUR).await;
        assert_eq!(waits(&world, "one.test"), [want], "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_not_late() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    world.endpoint(&app, "one.test", |_| {}).await;
    world.receivers.on("one.test", |nth| Answer::status(if nth == 0 { 500 } else { 200 }));
    let began = Instant::now();
    world.send(&app).await;
    let second = world.arrivals(HOUR, "one.test", 2).await;
    assert!(second.at - began <= 5 * SEC + 2 * MS, "{:?}", second.at - began);
}

#[tokio::test(start_paused = true)]
async fn a_scheduled_message_leaves_at_its_time() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    world.endpoint(&app, "one.test", |_| {}).await;
    let began = Instant::now();
    let mut draft = world.draft("{}");
    draft.deliver_at = Some(world.now().plus(600 * SEC));
    world.publish(&app, vec![draft]).await;
    let arrival = world.arrivals(HOUR, "one.test", 1).await;
    let after = arrival.at - began;
    assert!(after >= 600 * SEC && after <= 601 * SEC, "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_resend_is_one_try_beside_the_schedule() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    let endpoint = world.endpoint(&app, "one.test", |_| {}).await;
    world.receivers.on("one.test", |nth| Answer::status(if nth < 3 { 500 } else { 200 }));
    let message = world.send(&app).await;
    for trigger in [Trigger::Manual, Trigger::Replay] {
        world.pass(10 * MS).await;
        world.resend(&message, &endpoint, trigger).await;
    }
    world.pass(10 * MS).await;
    let records = world.records(&message, &endpoint).await;
    let failed = Some((EndState::Exhausted, Cause::LastTry));
    assert_eq!(records.iter().map(|r| r.end).collect::<Vec<_>>(), [None, failed, failed]);
    assert_eq!((records[0].attempts, records[0].trigger), (1, Trigger::Automatic));

    world.resend(&message, &endpoint, Trigger::Manual).await;
    world.arrivals(SEC, "one.test", 4).await;
    world.drained(SEC).await;
    let records = world.records(&message, &endpoint).await;
    assert_eq!(records[0].end, Some((EndState::Succeeded, Cause::ResendSucceeded)));
    assert_eq!(records[3].end, Some((EndState::Succeeded, Cause::Delivered)));
    world.pass(HOUR).await;
    assert_eq!(world.receivers.count("one.test"), 4, "the schedule has ended");
}
