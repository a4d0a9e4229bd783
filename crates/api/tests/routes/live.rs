//! The live tail.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use domain::{
    attempt::{Attempt, Outcome, OutcomeClass},
    clock::Clock,
    delivery::Trigger,
    id::AttemptId,
    name::Ref,
};
use http_body_util::BodyExt;
use publish::Hot;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{Client, DAY, Server};

/// An open tail.
struct Tail(Body);

impl Tail {
    async fn open(client: &Client<'_>, query: &str) -> Self {
        let request = client.request("GET", &format!("/api/v1/live{query}"));
        let request = request.body(Body::empty()).expect("request");
        let reply = client.server.api.clone().oneshot(request).await.expect("never fails");
        assert_eq!(reply.status(), 200, "{query}");
        assert_eq!(reply.headers()["content-type"], "text/event-stream");
        let mut tail = Self(reply.into_body());
        assert_eq!(tail.part().await, ": alive\n\n");
        tail
    }

    async fn part(&mut self) -> String {
        let frame = self.0.frame().await.expect("goes on").expect("read");
        String::from_utf8(frame.into_data().expect("data").to_vec()).expect("text")
    }

    /// The next event, and its data.
    async fn next(&mut self) -> (String, Value) {
        let part = self.part().await;
        let lines: Vec<_> = part.lines().collect();
        let [event, data, ""] = lines[..] else { panic!("{part:?}") };
        let (event, data) = (event.strip_prefix("event: "), data.strip_prefix("data: "));
        let data = serde_json::from_str(data.expect("data")).expect("JSON");
        (event.expect("an event").to_owned(), data)
    }

    /// The id of the next event, which nothing else is before.
    async fn id(&mut self) -> String {
        self.next().await.1["id"].as_str().expect("id").to_owned()
    }
}

/// Tells of an attempt of a delivery, as the engine does.
async fn attempted(server: &Server, hot: &Hot, status_code: u16) -> String {
    let delivery = &hot.delivery;
    let now = server.clock.now();
    let succeeded = status_code == 200;
    let attempt = Attempt {
        id: AttemptId::generate(now, &*server.entropy),
        org: delivery.org,
        app: delivery.app,
        endpoint: delivery.endpoint,
        message: delivery.message,
        delivery: delivery.id,
        number: 2,
        trigger: Trigger::Manual,
        url: "https://example.com/hook".into(),
        outcome: Outcome {
            class: if succeeded { OutcomeClass::Success } else { OutcomeClass::Status },
            status_code: Some(status_code),
            response: Bytes::from_static(b"not shown"),
            duration: Duration::from_millis(12),
            retry_after: None,
            timed_out: false,
        },
        started_at: now,
        endpoint_revision: 1,
        secrets: Vec::new(),
        body_hash: [0; 16],
        superseded: false,
    };
    let publisher = &server.state.publisher;
    let app = publisher.catalogues().application(delivery.org, &Ref::Id(delivery.app)).await;
    let app = app.expect("answers").expect("is there");
    publisher.live().attempt(&app, &hot.message.event_type, &attempt);
    attempt.id.to_string()
}

#[tokio::test]
async fn it_shows_what_is_accepted_and_what_is_settled() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let endpoint = org.endpoint(&app).await;
    let mut tail = Tail::open(&org, "").await;
    let body = json!({
        "eventType": "user.signup", "eventId": "e-1", "payload": {"secret": "not shown"},
        "channels": ["c"], "tags": ["t"],
    });
    let message = org.post(&format!("/app/{app}/msg"), body).await.ok(202);
    let (event, data) = tail.next().await;
    assert_eq!(event, "message");
    assert_eq!(
        data,
        json!({
            "id": message["id"], "appId": app, "appName": "Acme", "eventType": "user.signup",
            "eventId": "e-1", "channels": ["c"], "tags": ["t"],
            "timestamp": "2026-09-21T14:13:20Z", "endpoints": 1,
        })
    );
    let hot = server.take_hot().pop().expect("a delivery");
    let attempt = attempted(&server, &hot, 503).await;
    let (event, data) = tail.next().await;
    assert_eq!(event, "attempt");
    assert_eq!(
        data,
        json!({
            "id": attempt, "appId": app, "appName": "Acme", "endpointId": endpoint,
            "msgId": message["id"], "eventType": "user.signup", "url": "https://example.com/hook",
            "status": "fail", "responseStatusCode": 503, "responseDurationMs": 12,
            "outcome": "status", "number": 2, "triggerType": 1,
            "timestamp": "2026-09-21T14:13:20Z",
        })
    );
}

#[tokio::test]
async fn nobody_sees_what_is_another_s() {
    let server = Server::new().await;
    let org = server.org();
    let (own, other) = (org.app().await, org.app().await);
    for app in [&own, &other] {
        org.endpoint(app).await;
    }
    let portal = org.portal(&own, json!({})).await;
    let mut whole = Tail::open(&org, "").await;
    let mut one = Tail::open(&portal, "").await;
    let mut named = Tail::open(&portal, &format!("?appId={own}")).await;
    let mut stranger = Tail::open(&server.org(), "").await;
    let theirs = org.message(&other).await;
    let hot = server.take_hot().pop().expect("a delivery");
    let attempt = attempted(&server, &hot, 200).await;
    let mine = org.message(&own).await;
    for id in [&theirs, &attempt, &mine] {
        assert_eq!(&whole.id().await, id);
    }
    for tail in [&mut one, &mut named] {
        assert_eq!(tail.id().await, mine);
    }
    let foreign = server.org();
    let app = foreign.app().await;
    server.state.publisher.live().close();
    assert!(stranger.0.frame().await.is_none(), "nothing for it");
    for (client, query, want) in [
        (&portal, format!("appId={other}"), (404, "not_found")),
        (&portal, "appId=none".into(), (404, "not_found")),
        (&org, format!("appId={app}"), (404, "not_found")),
        (&org, "endpointId=uid".into(), (422, "query.endpointId")),
        (&org, format!("appId={own}&endpointId=none"), (404, "not_found")),
        (&org, "kind=all".into(), (400, "generic_error")),
        (&org, "status=0".into(), (400, "generic_error")),
        (&org, "eventTypes=a%20b".into(), (422, "query.eventTypes")),
        (&org, String::new(), (503, "unavailable")),
    ] {
        let reply = client.get(&format!("/live?{query}")).await;
        assert_eq!(reply.error(), (want.0, want.1.into()), "{query}");
    }
    assert_eq!(org.get("/live").await.headers["retry-after"], "1");
}

#[tokio::test]
async fn it_shows_what_is_asked_for() {
    let server = Server::new().await;
    let org = server.org();
    let (app, other) = (org.app().await, org.app().await);
    let endpoint = org.endpoint(&app).await;
    org.endpoint(&app).await;
    let mut tails = Vec::new();
    for query in [
        format!("?appId={app}&kind=message"),
        "?kind=attempt".to_owned(),
        format!("?endpointId={endpoint}"),
        "?status=fail".into(),
        "?status=success".into(),
        "?eventTypes=other,invoice.paid&kind=message".into(),
    ] {
        tails.push(Tail::open(&org, &query).await);
    }
    let mut ids = vec![org.message(&other).await, org.message(&app).await];
    let body = json!({"eventType": "invoice.paid", "payload": {}});
    let paid = org.post(&format!("/app/{app}/msg"), body).await.ok(202);
    ids.push(paid["id"].as_str().expect("id").to_owned());
    let hot = server.take_hot();
    let of = |id: &str| {
        let first = hot.iter().find(|hot| hot.delivery.endpoint.to_string() == id);
        first.expect("a delivery")
    };
    let second = hot.iter().find(|hot| hot.delivery.endpoint.to_string() != endpoint);
    ids.push(attempted(&server, of(&endpoint), 200).await);
    ids.push(attempted(&server, second.expect("a delivery"), 500).await);
    server.state.publisher.live().close();
    for (tail, wanted) in
        tails.iter_mut().zip([vec![1, 2], vec![3, 4], vec![3], vec![4], vec![3], vec![2]])
    {
        for at in wanted {
            assert_eq!(tail.id().await, ids[at]);
        }
        assert!(tail.0.frame().await.is_none());
    }
}

#[tokio::test]
async fn guarded_event_types_are_shown_to_those_who_may_know_of_them() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let body = json!({"name": "beta.thing", "description": "", "featureFlags": ["beta"]});
    org.post("/event-type", body).await.ok(201);
    let mut may = Tail::open(&org.portal(&app, json!({"featureFlags": ["beta"]})).await, "").await;
    let mut may_not = Tail::open(&org.portal(&app, json!({})).await, "").await;
    let body = json!({"eventType": "beta.thing", "payload": {}});
    let guarded = org.post(&format!("/app/{app}/msg"), body).await.ok(202);
    let plain = org.message(&app).await;
    assert_eq!(may.id().await, guarded["id"]);
    assert_eq!(may.id().await, plain);
    assert_eq!(may_not.id().await, plain);
}

#[tokio::test]
async fn a_slow_reader_is_told_what_it_missed() {
    let server = Server::in_memory().await;
    let org = server.org();
    let app = org.app().await;
    let mut tail = Tail::open(&org, "").await;
    let messages: Vec<_> =
        (0..50).map(|_| json!({"eventType": "user.signup", "payload": {}})).collect();
    let body = json!({ "messages": messages });
    for _ in 0..21 {
        org.post(&format!("/app/{app}/msg/batch"), body.clone()).await;
    }
    assert_eq!(tail.next().await, ("lost".into(), json!({"count": 21 * 50 - 1_024})));
    assert_eq!(tail.next().await.0, "message");
}

#[tokio::test(start_paused = true)]
async fn a_reader_stays_until_it_may_not_any_more() {
    let server = Server::in_memory().await;
    let org = server.org();
    for end in ["the application", "the token", "the time"] {
        let app = org.app().await;
        let portal = org.portal(&app, json!({"expiry": 3_600})).await;
        let mut tail = Tail::open(&portal, "").await;
        for _ in 0..7 {
            assert_eq!(tail.part().await, ": alive\n\n");
        }
        match end {
            "the application" => drop(org.delete(&format!("/app/{app}")).await.ok(204)),
            "the token" => drop(portal.post("/auth/logout", json!({})).await.ok(204)),
            _ => server.clock.advance(DAY),
        }
        let rest = tail.0.collect().await.expect("it ends").to_bytes();
        assert!(rest.is_empty(), "after {end}: {rest:?}");
    }
    assert_eq!(server.state.publisher.live().watchers(), 0);
}
