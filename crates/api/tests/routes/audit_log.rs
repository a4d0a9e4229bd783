//! The audit log.

use std::time::Duration;

use domain::clock::Timestamp;
use serde_json::{Value, json};

use crate::support::{Server, column};

#[tokio::test]
async fn it_tells_who_changed_what() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    server.clock.advance(Duration::from_secs(1));
    let endpoint = org.endpoint(&app).await;
    let log = org.get("/audit-log").await.ok(200);
    assert_eq!(column(&log, "action"), ["endpoint.create", "application.create"]);
    assert_eq!(column(&log, "target"), [endpoint, app]);
    let entry = &log["data"][0];
    assert!(entry["actor"].as_str().expect("text").starts_with("key_"), "{entry}");
    assert_eq!(entry["detail"]["url"], "https://example.com/hook");
    assert_eq!(entry["at"], "2026-09-21T14:13:21Z");
    assert_eq!(log["done"], true);

    let first = org.get("/audit-log?limit=1").await.ok(200);
    assert_eq!(
        (column(&first, "action"), &first["done"]),
        (vec!["endpoint.create".into()], &json!(false))
    );
    let iterator = first["iterator"].as_str().expect("more");
    let second = org.get(&format!("/audit-log?limit=1&iterator={iterator}")).await.ok(200);
    assert_eq!(column(&second, "action"), ["application.create"]);
    assert_eq!(server.org().get("/audit-log").await.ok(200)["data"], json!([]));
    assert_eq!(org.get("/audit-log?limit=251").await.error(), (422, "query.limit".into()));
}

#[tokio::test]
async fn it_is_exported_whole() {
    let server = Server::new().await;
    let org = server.org();
    // More than a page of the store.
    for n in 0..260 {
        let name = if n == 0 { "=HYPERLINK(\"x\")" } else { "Acme" };
        org.post("/app", json!({"name": name})).await.ok(201);
        server.clock.advance(Duration::from_millis(5));
    }
    let reply = org.get("/audit-log/export?format=ndjson").await;
    assert_eq!(reply.headers["content-type"], "application/x-ndjson");
    let text = String::from_utf8(reply.body.to_vec()).expect("text");
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 260);
    assert!(lines.is_sorted_by_key(|line| {
        line["at"].as_str().expect("text").parse::<Timestamp>().expect("a time")
    }));
    assert_eq!(lines[0]["detail"]["name"], "=HYPERLINK(\"x\")");

    let reply = org.get("/audit-log/export").await;
    assert_eq!(reply.headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(reply.headers["content-disposition"], "attachment; filename=\"audit-log.csv\"");
    let text = String::from_utf8(reply.body.to_vec()).expect("text");
    let lines: Vec<_> = text.split("\r\n").collect();
    assert_eq!((lines.len(), lines[0]), (262, "id,at,actor,action,target,detail"));
    assert!(lines[1].contains("\"application.create\""), "{}", lines[1]);

    // From one moment until before another.
    let at = |n: usize| {
        let text = String::from_utf8(reply.body.to_vec()).expect("text");
        text.split("\r\n").nth(1 + n).expect("a line").split('"').nth(3).expect("at").to_owned()
    };
    let path = format!("/audit-log/export?format=ndjson&since={}&until={}", at(10), at(20));
    let some = org.get(&path).await;
    assert_eq!(some.body.split(|byte| *byte == b'\n').count() - 1, 10);
    let none = server.org().get("/audit-log/export").await;
    assert_eq!(&none.body[..], b"id,at,actor,action,target,detail\r\n");
}

#[tokio::test]
async fn an_export_has_bounds() {
    let server = Server::new().await;
    let org = server.org();
    for (query, want) in [
        ("format=xlsx", (400, "generic_error")),
        ("since=yesterday", (422, "query.since")),
        ("since=2026-09-21T00:00:00Z&until=2026-09-21T00:00:00Z", (422, "query.since")),
        ("since=2025-01-01T00:00:00Z&until=2026-09-21T00:00:00Z", (422, "query.since")),
    ] {
        let reply = org.get(&format!("/audit-log/export?{query}")).await;
        assert_eq!(reply.error(), (want.0, want.1.into()), "{query}");
    }
    let year = "since=2025-09-21T00:00:00Z&until=2026-09-21T00:00:00Z";
    assert_eq!(org.get(&format!("/audit-log/export?{year}")).await.status, 200);
}

/// Whoever reads half of it must not take it for the whole.
#[tokio::test]
async fn an_export_that_fails_breaks_off() {
    use http_body_util::BodyExt;
    use tower::ServiceExt;
    let server = Server::in_memory().await;
    let org = server.org();
    for _ in 0..260 {
        org.app().await;
    }
    server.clock.advance(Duration::from_secs(1));
    let open = async || {
        let request = org.request("GET", "/api/v1/audit-log/export?format=ndjson");
        let request = request.body(axum::body::Body::empty()).expect("request");
        server.api.clone().oneshot(request).await.expect("never fails").into_body()
    };
    let body = open().await;
    server.memory().set_unavailable(true);
    assert!(body.collect().await.is_err());
    assert_eq!(org.get("/audit-log/export").await.error(), (503, "unavailable".into()));
    server.memory().set_unavailable(false);
    assert!(open().await.collect().await.is_ok());
}
