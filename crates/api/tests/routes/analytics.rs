use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, Server, succeeded};
use domain::delivery::Next;

/// Sends messages of these types to all endpoints of an application; whatever is not of `ok` fails once.
async fn traffic(server: &Server, org: &Client<'_>, app: &str, types: &[&str], ok: &str) {
    for event_type in types {
        let body = json!({"eventType": event_type, "payload": {"a": 1}});
        org.post(&format!("/app/{app}/msg"), body).await.ok(202);
        for hot in server.take_hot() {
            let again = Next::Retry(hot.delivery.due.plus(Duration::from_secs(60)));
            if *event_type == ok {
                server.settle_as(&hot, event_type, 200, succeeded()).await;
            } else {
                server.settle_as(&hot, event_type, 500, again).await;
            }
        }
    }
    server.store.flush_rollups(&[]).await.expect("flushed");
}

async fn query(client: &Client<'_>, query: &str) -> Value {
    client.get(&format!("/analytics/query?{query}")).await.ok(200)
}

/// The rows of an answer, some fields of each.
fn rows(answer: &Value, fields: &[&str]) -> Vec<Vec<Value>> {
    let rows = answer["rows"].as_array().expect("rows");
    rows.iter().map(|row| fields.iter().map(|field| row[*field].clone()).collect()).collect()
}

#[tokio::test]
async fn measures_are_told_by_dimensions_and_time() {
    let server = Server::new().await;
    let org = server.org();
    let (app, other) = (org.app().await, org.app().await);
    let endpoint = org.endpoint(&app).await;
    org.endpoint(&other).await;
    traffic(&server, &org, &app, &["paid", "paid", "late"], "paid").await;
    server.clock.advance(Duration::from_secs(120));
    traffic(&server, &org, &other, &["paid"], "paid").await;
    server.clock.advance(Duration::from_secs(60));

    let all = query(&org, "measures=messages,attempts,successes,failures,successRate,bytes").await;
    assert_eq!(
        all["rows"],
        json!([{"messages": 4, "attempts": 4, "successes": 3, "failures": 1, "successRate": 0.75,
                "bytes": 28}])
    );
    assert_eq!(all["truncated"], false);

    let by_app = query(&org, "measures=attempts&dimensions=app").await;
    let want =
        [vec![json!(app), json!("Acme"), json!(3)], vec![json!(other), json!("Acme"), json!(1)]];
    assert_eq!(rows(&by_app, &["appId", "appName", "attempts"]), want);
    let first = query(&org, "measures=attempts&dimensions=app&limit=1").await;
    assert_eq!(
        (first["rows"].as_array().map(Vec::len), &first["truncated"]),
        (Some(1), &json!(true))
    );
    let by_rate =
        query(&org, "measures=attempts,responseP50&dimensions=app&orderBy=successRate").await;
    let best = rows(&by_rate, &["appId", "attempts"]);
    assert_eq!(best[0], [json!(other), json!(1)]);
    let took = by_rate["rows"][0]["responseP50"].as_f64().expect("milliseconds");
    assert!((took - 12.0).abs() < 0.3, "{took}");

    let by_type = query(&org, "measures=attempts&dimensions=eventType").await;
    let want = [vec![json!("paid"), json!(3)], vec![json!("late"), json!(1)]];
    assert_eq!(rows(&by_type, &["eventType", "attempts"]), want);
    let of_type = query(&org, "measures=attempts,messages&eventType=late").await;
    assert_eq!(of_type["rows"], json!([{"attempts": 1, "messages": 1}]));

    let outcomes = query(&org, "measures=attempts,messages&dimensions=outcome").await;
    let want = [
        vec![json!("success"), json!(3), Value::Null],
        vec![json!("status"), json!(1), Value::Null],
    ];
    assert_eq!(rows(&outcomes, &["outcome", "attempts", "messages"]), want);

    let by_endpoint =
        query(&org, &format!("measures=attempts&dimensions=endpoint,eventType&appId={app}")).await;
    let want = [
        vec![json!(endpoint), json!("paid"), json!(2)],
        vec![json!(endpoint), json!("late"), json!(1)],
        vec![Value::Null, json!("late"), json!(0)],
        vec![Value::Null, json!("paid"), json!(0)],
    ];
    assert_eq!(rows(&by_endpoint, &["endpointId", "eventType", "attempts"]), want);
    let of_endpoint =
        query(&org, &format!("measures=attempts&appId={app}&endpointId={endpoint}")).await;
    assert_eq!(of_endpoint["rows"], json!([{"attempts": 3}]));

    let minutes = query(&org, "measures=messages&granularity=minute").await;
    let want = [
        vec![json!("2026-09-21T14:13:00Z"), json!(3)],
        vec![json!("2026-09-21T14:15:00Z"), json!(1)],
    ];
    assert_eq!(rows(&minutes, &["time", "messages"]), want);
    let hours = query(&org, "measures=messages&granularity=hour&timeZone=Asia/Kolkata").await;
    assert_eq!(rows(&hours, &["time", "messages"]), [[json!("2026-09-21T13:30:00Z"), json!(4)]]);
    let days = query(&org, "measures=messages&granularity=day&timeZone=America/New_York").await;
    assert_eq!(rows(&days, &["time", "messages"]), [[json!("2026-09-21T04:00:00Z"), json!(4)]]);
    let before = query(&org, "measures=messages&until=2026-09-21T14:00:00Z").await;
    assert_eq!(before["rows"], json!([]));
}

#[tokio::test]
async fn an_application_is_told_of_itself_alone() {
    let server = Server::new().await;
    let org = server.org();
    let (app, other) = (org.app().await, org.app().await);
    for app in [&app, &other] {
        org.endpoint(app).await;
    }
    traffic(&server, &org, &app, &["paid", "paid"], "paid").await;
    traffic(&server, &org, &other, &["secret.type"], "paid").await;
    server.clock.advance(Duration::from_secs(60));
    let portal = org.portal(&app, json!({})).await;
    for dimensions in ["", "app", "eventType", "outcome", "endpoint", "app,eventType"] {
        let path = format!("measures=messages,attempts&dimensions={dimensions}");
        let own = query(&portal, &path).await;
        let attempts: u64 = own["rows"]
            .as_array()
            .expect("rows")
            .iter()
            .filter_map(|r| r["attempts"].as_u64())
            .sum();
        assert_eq!(attempts, 2, "{dimensions}: {own}");
        let text = own.to_string();
        assert!(!text.contains("secret.type") && !text.contains(&other), "{dimensions}: {text}");
        let named = portal.get(&format!("/analytics/query?{path}&appId={other}")).await;
        assert_eq!(named.status, 404, "{dimensions}");
    }
    for path in ["usage?month=2026-09", "failing-endpoints", "backlog"] {
        assert_eq!(portal.get(&format!("/analytics/{path}")).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn usage_is_exported_by_month() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.post("/app", json!({"name": "=cmd(), Inc", "uid": "acme"})).await.ok(201);
    let app = app["id"].as_str().expect("id").to_owned();
    org.endpoint(&app).await;
    traffic(&server, &org, &app, &["paid", "late"], "paid").await;
    server.clock.advance(Duration::from_secs(60));
    let usage = org.get("/analytics/usage?month=2026-09").await.ok(200);
    let want = json!([{"appId": app, "appUid": "acme", "appName": "=cmd(), Inc", "messages": 2,
                       "attempts": 2, "successes": 1, "failures": 1, "bytes": 14}]);
    assert_eq!(usage, want);
    assert_eq!(org.get("/analytics/usage?month=2026-08").await.ok(200), json!([]));
    let table = org.get("/analytics/usage?month=2026-09&format=csv").await;
    assert_eq!(table.headers["content-type"], "text/csv; charset=utf-8");
    let want = format!(
        "appId,appUid,appName,messages,attempts,successes,failures,bytes\r\n\
         {app},acme,\"'=cmd(), Inc\",2,2,1,1,14\r\n"
    );
    assert_eq!(String::from_utf8_lossy(&table.body), want);
}

#[tokio::test]
async fn what_fails_and_what_remains_is_listed() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let endpoint = org.endpoint(&app).await;
    traffic(&server, &org, &app, &["late"], "paid").await;
    let failing = org.get("/analytics/failing-endpoints").await.ok(200);
    assert_eq!(failing, json!({"data": []}));
    let backlog = org.get("/analytics/backlog").await.ok(200);
    assert_eq!(backlog["pending"], 1);
    assert!(backlog["oldestDue"].is_string(), "{backlog}");
    assert_eq!(backlog["apps"], json!([{"appId": app, "appName": "Acme", "pending": 1}]));
    server.fail(&app, &endpoint).await;
    let failing = org.get("/analytics/failing-endpoints").await.ok(200);
    let found = &failing["data"][0];
    assert_eq!((&found["appId"], &found["endpointId"]), (&json!(app), &json!(endpoint)));
    assert_eq!(
        (&found["url"], &found["disabled"]),
        (&json!("https://example.com/hook"), &json!(false))
    );
    assert_eq!(server.org().get("/analytics/failing-endpoints").await.ok(200), json!({"data": []}));
}

#[tokio::test]
async fn what_cannot_be_asked_is_said() {
    let server = Server::new().await;
    let org = server.org();
    for (query, want) in [
        ("", (422, "query.measures")),
        ("measures=speed", (422, "query.measures")),
        ("measures=attempts&dimensions=planet", (422, "query.dimensions")),
        ("measures=attempts&dimensions=endpoint", (422, "query.dimensions")),
        ("measures=attempts&endpointId=ep_1", (422, "query.endpointId")),
        ("measures=attempts&granularity=week", (422, "query.granularity")),
        ("measures=attempts&timeZone=Mars/Olympus", (422, "query.timeZone")),
        ("measures=attempts&limit=1001", (422, "query.limit")),
        ("measures=attempts&limit=x", (400, "generic_error")),
        ("measures=attempts&since=yesterday", (400, "generic_error")),
        ("measures=attempts&since=2026-09-22T00:00:00Z", (422, "query.since")),
        ("measures=attempts&dimensions=app&orderBy=responseP99", (422, "query.orderBy")),
        ("measures=attempts&appId=nobody", (404, "not_found")),
    ] {
        let reply = org.get(&format!("/analytics/query?{query}")).await;
        assert_eq!(reply.error(), (want.0, want.1.to_owned()), "{query}");
    }
    let reply = org.get("/analytics/usage?month=2026-9").await;
    assert_eq!(reply.error(), (422, "query.month".into()));
}
