//! Listening to an endpoint.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use domain::{destination::Request, id::ApplicationId};
use futures_util::{StreamExt, stream};
use hookwright_api::{Deliveries, Handed, Listening};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use url::Url;

use crate::support::{DAY, DELIVERY, Server};

fn delivery(body: &'static [u8]) -> Handed {
    let headers = [("webhook-id", "msg_1"), ("x-two", "a"), ("x-two", "b")];
    Handed {
        id: DELIVERY.to_owned(),
        timeout: Duration::from_millis(7_500),
        request: Request {
            app: ApplicationId::from_raw([1; 20]),
            url: Arc::new("https://listen.hookwright.invalid/mine".parse().expect("a URL")),
            headers: headers.map(|(name, value)| (name.into(), value.to_owned())).into(),
            body: Bytes::from_static(body),
            deadline: Duration::from_secs(15),
        },
    }
}

#[tokio::test]
async fn deliveries_come_a_line_each_and_are_acknowledged() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let path = format!("/app/{app}/endpoint/{}/listen", org.listened_endpoint(&app).await);
    server.desk.deliveries.lock().extend([delivery(b"{}"), delivery(b"\xff\n")]);
    let reply = org.get(&path).await;
    assert_eq!(reply.headers["content-type"], "application/x-ndjson");
    let text = String::from_utf8(reply.body.into()).expect("text");
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let (beats, deliveries): (Vec<_>, Vec<_>) =
        lines.partition(|line: &Value| line["id"].is_null());
    assert!(beats.iter().all(|beat| *beat == json!({"heartbeat": true})), "{beats:?}");
    let line = |body: &str| {
        json!({
            "id": DELIVERY,
            "headers": {"webhook-id": "msg_1", "x-two": "a, b"},
            "bodyBase64": body,
            "timeoutMs": 7_500,
        })
    };
    assert_eq!(deliveries, [line("e30="), line("/wo=")]);

    let acknowledge = format!("{path}/{DELIVERY}");
    org.post(&acknowledge, json!({"status": 500, "body": "no"})).await.ok(204);
    org.post(&acknowledge, json!({"status": 204})).await.ok(204);
    let long = json!({"status": 200, "body": "é".repeat(40_000)});
    org.post(&acknowledge, long).await.ok(204);
    {
        let acknowledged = server.desk.acknowledged.lock();
        assert_eq!(acknowledged[..2], [(500, "no".into()), (204, "".into())]);
        assert_eq!(acknowledged[2].1.len(), 65_536);
    }
    let late = org.post(&format!("{path}/another"), json!({"status": 200})).await;
    assert_eq!(late.error(), (404, "not_found".into()));
    for (body, at) in [
        (json!({}), "body.status"),
        (json!({"status": 199}), "body.status"),
        (json!({"status": 600}), "body.status"),
        (json!({"status": "ok"}), "body.status"),
        (json!({"status": 200, "body": 1}), "body.body"),
    ] {
        assert_eq!(org.post(&acknowledge, body).await.error(), (422, at.into()));
    }
}

#[tokio::test]
async fn not_everywhere_and_not_by_everybody() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let path = format!("/app/{app}/endpoint/{}/listen", org.listened_endpoint(&app).await);
    let acknowledge = format!("{path}/{DELIVERY}");
    let dialled = format!("/app/{app}/endpoint/{}/listen", org.endpoint(&app).await);
    assert_eq!(org.get(&dialled).await.error(), (422, "path.endpoint_id".into()));
    assert_eq!(org.get(&format!("/app/{app}/endpoint/none/listen")).await.status, 404);
    for (capability, status) in [("CreateAttempts", 403), ("ManageEndpoint", 200)] {
        let portal = org.portal(&app, json!({"capabilities": [capability]})).await;
        assert_eq!(portal.get(&path).await.status, status);
    }
    server.desk.full.store(true, Ordering::Relaxed);
    assert_eq!(org.get(&path).await.error(), (503, "unavailable".into()));
    server.desk.elsewhere.store(true, Ordering::Relaxed);
    for reply in [org.get(&path).await, org.post(&acknowledge, json!({"status": 200})).await] {
        assert_eq!(reply.error(), (503, "not_here".into()));
        assert_eq!(reply.headers["retry-after"], "1");
    }
}

/// Has a delivery, and no end.
struct Endless;

impl Listening for Endless {
    fn is_here(
        &self,
        _: domain::id::OrganizationId,
        _: ApplicationId,
        _: domain::id::EndpointId,
    ) -> bool {
        true
    }

    fn connect(&self, _: ApplicationId, _: &Url) -> Result<Deliveries, &'static str> {
        Ok(Box::pin(stream::iter([delivery(b"{}")]).chain(stream::pending())))
    }

    fn acknowledge(&self, _: ApplicationId, _: &Url, _: &str, _: u16, _: Bytes) -> bool {
        false
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_stays_until_it_may_not_any_more() {
    let server = Server::in_memory_with(|options| options.listening = Arc::new(Endless)).await;
    let org = server.org();
    let app = org.app().await;
    for end in ["the endpoint", "the token", "the time"] {
        let endpoint = org.listened_endpoint(&app).await;
        let portal = org.portal(&app, json!({"expiry": 3_600})).await;
        let path = format!("/app/{app}/endpoint/{endpoint}");
        let request = portal.request("GET", &format!("/api/v1{path}/listen"));
        let request = request.body(Body::empty()).expect("request");
        let mut body = server.api.clone().oneshot(request).await.expect("never fails").into_body();
        // The delivery, and more than a minute of heartbeats.
        for _ in 0..8 {
            let frame = body.frame().await.expect("goes on").expect("read");
            assert!(frame.into_data().expect("data").ends_with(b"\n"));
        }
        match end {
            "the endpoint" => drop(org.delete(&path).await.ok(204)),
            "the token" => drop(portal.post("/auth/logout", json!({})).await.ok(204)),
            _ => server.clock.advance(DAY),
        }
        let rest = body.collect().await.expect("it ends").to_bytes();
        assert!(rest.is_empty(), "after {end}: {rest:?}");
    }
}
