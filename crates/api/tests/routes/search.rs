//! Searching messages: what is found, in which order, and how it ends.

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{Client, Reply, Server, succeeded, whole};

/// The lines of an answer.
fn lines(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.headers["content-type"], "application/x-ndjson");
    let lines = reply.body.split_inclusive(|byte| *byte == b'\n');
    lines.map(|line| serde_json::from_slice(line).expect("a line is JSON")).collect()
}

/// The payloads that were found, and how it ended.
fn found(reply: &Reply) -> (Vec<i64>, Value) {
    let mut lines = lines(reply);
    let mut done = lines.pop().expect("a last line")["done"].take();
    let messages = lines.iter().filter_map(|line| line.get("message"));
    let found: Vec<_> =
        messages.map(|message| message["payload"]["n"].as_i64().expect("a number")).collect();
    assert_eq!(done["found"], found.len());
    (found, done["reason"].take())
}

async fn send(org: &Client<'_>, app: &str, body: Value) -> String {
    let sent = org.post(&format!("/app/{app}/msg"), body).await.ok(202);
    org.server.clock.advance(Duration::from_secs(60));
    sent["id"].as_str().expect("id").to_owned()
}

#[tokio::test]
async fn finds_messages_newest_first() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    org.endpoint(&app).await;
    let began = domain::clock::Clock::now(&*server.clock);
    for (n, event_type, who) in
        [(0, "a", "Acme"), (1, "b", "ACME"), (2, "a", "Über"), (3, "a", "none"), (4, "b", "acme")]
    {
        let body = json!({"eventType": event_type, "payload": {"n": n, "who": who},
            "channels": [format!("c{}", n % 2)], "tags": [format!("t{n}")]});
        send(&org, &app, body).await;
    }
    let hot = server.take_hot();
    server.settle(&hot[1], 200, b"", succeeded()).await;
    let second = began.plus(Duration::from_secs(60));
    let fourth = began.plus(Duration::from_secs(180));
    for (query, want) in [
        ("text=acme".to_owned(), vec![4, 1, 0]),
        ("text=ACME".into(), vec![4, 1, 0]),
        ("text=%C3%BCBER".into(), vec![2]),
        ("text=%22n%22%3A3".into(), vec![3]),
        ("text=nowhere".into(), vec![]),
        ("".into(), vec![4, 3, 2, 1, 0]),
        ("text=acme&event_types=b".into(), vec![4, 1]),
        ("text=acme&channel=c0".into(), vec![4, 0]),
        ("text=acme&tag=t1".into(), vec![1]),
        ("text=acme&status=0".into(), vec![1]),
        ("status=1".into(), vec![4, 3, 2, 0]),
        ("status=2".into(), vec![]),
        (format!("since={second}"), vec![4, 3, 2, 1]),
        (format!("since={second}&until={fourth}"), vec![2, 1]),
        (format!("text=acme&until={second}"), vec![0]),
    ] {
        let reply = org.get(&format!("/app/{app}/msg/search?{query}")).await;
        assert_eq!(found(&reply), (want, json!("end")), "{query}");
    }
    let reply = org.get(&format!("/app/{app}/msg/search?text=acme&limit=2")).await;
    assert_eq!(found(&reply), (vec![4, 1], json!("limit")));
    let reply = org.get(&format!("/app/{app}/msg/search?text=acme&limit=3")).await;
    assert_eq!(found(&reply).0, [4, 1, 0]);
}

#[tokio::test]
async fn reads_page_by_page_to_the_end() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    for n in 0..7 {
        let messages: Vec<_> =
            (0..100).map(|i| json!({"eventType": "a", "payload": {"n": 100 * n + i}})).collect();
        org.post(&format!("/app/{app}/msg/batch"), json!({ "messages": messages })).await.ok(200);
        server.clock.advance(Duration::from_secs(1));
    }
    let reply = org.get(&format!("/app/{app}/msg/search?text=%22n%22%3A7")).await;
    let (mut numbers, reason) = found(&reply);
    numbers.sort_unstable();
    assert_eq!((numbers, reason), (vec![7, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79], json!("end")));
    let done = lines(&reply).pop().expect("a last line");
    assert_eq!(done["done"]["scanned"], 700);
}

#[tokio::test]
async fn finds_only_what_is_the_applications_own() {
    let server = Server::new().await;
    let org = server.org();
    let (mine, other) = (org.app().await, org.app().await);
    for app in [&mine, &other] {
        send(&org, app, json!({"eventType": "a", "payload": {"n": 1, "who": app}})).await;
    }
    let portal = org.portal(&mine, json!({})).await;
    let reply = portal.get(&format!("/app/{mine}/msg/search?text=who")).await;
    assert_eq!(found(&reply).0, [1]);
    assert!(!String::from_utf8_lossy(&reply.body).contains(&other));
    for client in [&portal, &server.org()] {
        let reply = client.get(&format!("/app/{other}/msg/search?text=who")).await;
        assert_eq!(reply.error(), (404, "not_found".into()));
    }
}

#[tokio::test]
async fn refuses_what_it_cannot_look_for() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    for (query, want) in [
        ("text=".to_owned(), (422, "query.text")),
        (format!("text={}", "x".repeat(257)), (422, "query.text")),
        ("limit=0".into(), (422, "query.limit")),
        ("limit=251".into(), (422, "query.limit")),
        ("limit=x".into(), (400, "generic_error")),
        ("status=5".into(), (400, "generic_error")),
        ("since=soon".into(), (400, "generic_error")),
        ("channel=a%20b".into(), (422, "query.channel")),
        ("since=2026-09-20T00:00:00Z&until=2026-09-19T00:00:00Z".into(), (422, "query.since")),
    ] {
        let reply = org.get(&format!("/app/{app}/msg/search?{query}")).await;
        assert_eq!(reply.error(), (want.0, want.1.into()), "{query}");
    }
}

#[tokio::test]
async fn few_go_on_at_a_time_and_end_with_their_reader() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    send(&org, &app, json!({"eventType": "a", "payload": {"n": 1}})).await;
    let path = format!("/app/{app}/msg/search");
    let begin = async || {
        let request = org.request("GET", &whole(&path)).body(Default::default()).expect("request");
        server.api.clone().oneshot(request).await.expect("never fails")
    };
    let mut going = [begin().await, begin().await];
    // Each has found something, and has not ended.
    for response in &mut going {
        assert!(response.body_mut().frame().await.is_some());
    }
    let refused = org.get(&path).await;
    assert_eq!(refused.error(), (503, "unavailable".into()));
    assert!(refused.headers.contains_key("retry-after"));
    let other = org.app().await;
    assert_eq!(found(&org.get(&format!("/app/{other}/msg/search")).await).0, [0; 0]);
    let [first, _second] = going;
    drop(first);
    assert_eq!(found(&org.get(&path).await).0, [1]);
}

#[tokio::test]
async fn says_how_far_it_is_and_ends_in_time() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    for n in 0..4 {
        send(&org, &app, json!({"eventType": "a", "payload": {"n": n}})).await;
    }
    let path = whole(&format!("/app/{app}/msg/search"));
    let request = org.request("GET", &path).body(Default::default()).expect("request");
    let mut response = server.api.clone().oneshot(request).await.expect("never fails");
    let mut line = async || {
        let frame = response.body_mut().frame().await.expect("a line").expect("reads");
        serde_json::from_slice::<Value>(&frame.into_data().expect("data")).expect("JSON")
    };
    assert_eq!(line().await["message"]["payload"]["n"], 3);
    // Nothing was said for a second.
    server.clock.advance(Duration::from_secs(1));
    // What was found is said first; then a second has passed without a word.
    assert_eq!(line().await["progress"]["scanned"], 1);
    assert_eq!(line().await["message"]["payload"]["n"], 2);
    server.clock.advance(Duration::from_secs(60));
    assert_eq!(line().await["done"], json!({"scanned": 2, "found": 2, "reason": "bound"}));
    assert!(response.body_mut().frame().await.is_none());
}

#[tokio::test]
async fn says_so_when_it_cannot_go_on() {
    let server = Server::in_memory().await;
    let org = server.org();
    let app = org.app().await;
    let messages: Vec<_> =
        (0..600).map(|n| json!({"eventType": "a", "payload": {"n": n}})).collect();
    org.post(&format!("/app/{app}/msg/batch"), json!({ "messages": messages })).await.ok(200);
    server.clock.advance(Duration::from_secs(1));
    let path = whole(&format!("/app/{app}/msg/search?limit=250&text=7"));
    let request = org.request("GET", &path).body(Default::default()).expect("request");
    let mut response = server.api.clone().oneshot(request).await.expect("never fails");
    assert!(response.body_mut().frame().await.is_some());
    server.memory().set_unavailable(true);
    let rest = response.into_body().collect().await.expect("ends").to_bytes();
    let last = rest.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty());
    let last: Value = serde_json::from_slice(last.expect("a last line")).expect("JSON");
    assert_eq!(last["error"]["code"], "unavailable");
}

#[tokio::test]
async fn goes_on_behind_pages_without_anything() {
    let server = Server::in_memory().await;
    let org = server.org();
    let app = org.app().await;
    for n in 0..30 {
        let event_type = if n == 0 { "rare" } else { "a" };
        send(&org, &app, json!({"eventType": event_type, "payload": {"n": n}})).await;
    }
    server.memory().look_at_most(4);
    let reply = org.get(&format!("/app/{app}/msg/search?event_types=rare")).await;
    assert_eq!(found(&reply), (vec![0], json!("end")));
}
