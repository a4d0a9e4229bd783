use std::time::Duration;

use domain::id::OrganizationId;
use serde_json::{Value, json};

use crate::support::{Client, DAY, Server, column};

async fn app_and_endpoint(org: &Client<'_>) -> (String, String) {
    let app = org.app().await;
    let endpoint = org.endpoint(&app).await;
    (format!("/app/{app}"), format!("/app/{app}/endpoint/{endpoint}"))
}

#[tokio::test]
async fn lives_its_life() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let path = format!("/app/{app}/endpoint");
    org.post("/event-type", json!({"name": "a", "description": ""})).await.ok(201);
    let body = json!({"url": "HTTP://Example.com", "uid": "ep", "description": "d",
        "eventTypes": ["a", "a"], "channels": ["c"], "metadata": {"k": "v"}, "version": null,
        "headers": {"X-Own": "1"}, "throttleRate": 5, "retrySchedule": ["1s"]});
    let made = org.post(&path, body).await.ok(201);
    assert_eq!(made["url"], "http://example.com/");
    assert_eq!((&made["eventTypes"], &made["filterTypes"]), (&json!(["a"]), &json!(["a"])));
    assert_eq!((&made["version"], &made["rateLimit"]), (&json!(1), &json!(5)));
    assert_eq!(org.get(&format!("{path}/ep/")).await.ok(200), made);
    assert_eq!(org.get(&path).await.ok(200)["data"], json!([made]));
    assert_eq!(
        org.get(&format!("{path}/ep/headers")).await.ok(200),
        json!({"headers": {"X-Own": "1"}, "sensitive": []})
    );

    let one = format!("{path}/ep");
    let patch = json!({"eventTypes": null, "throttleRate": null, "disabled": true});
    let patched = org.patch(&one, patch).await.ok(200);
    assert_eq!((&patched["eventTypes"], &patched["rateLimit"]), (&Value::Null, &Value::Null));
    assert_eq!((&patched["disabled"], &patched["channels"]), (&json!(true), &json!(["c"])));

    // An answer can be sent back as it is.
    assert_eq!(org.put(&one, patched.clone()).await.ok(200)["disabled"], true);
    let replaced = org.put(&one, json!({"url": "https://example.com/2"})).await.ok(200);
    assert_eq!((&replaced["id"], &replaced["uid"]), (&made["id"], &Value::Null));
    for field in ["channels", "eventTypes", "retrySchedule", "rateLimit"] {
        assert_eq!(replaced[field], Value::Null, "{field}");
    }
    assert_eq!((&replaced["metadata"], &replaced["disabled"]), (&json!({}), &json!(false)));
    // Whoever delivers is told each time.
    assert_eq!(server.handed.endpoints.lock().len(), 4);

    let id = made["id"].as_str().expect("id");
    org.delete(&format!("{path}/{id}")).await.ok(204);
    assert_eq!(org.get(&format!("{path}/{id}")).await.error(), (404, "not_found".into()));
    assert_eq!(org.delete(&format!("{path}/{id}")).await.status, 404);
}

#[tokio::test]
async fn put_to_an_unknown_one_makes_one() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let path = format!("/app/{app}/endpoint");
    let body = json!({"url": "https://example.com", "uid": "mine"});
    let made = org.put(&format!("{path}/fake-id"), body.clone()).await.ok(201);
    org.get(&format!("{path}/fake-id")).await.ok(404);
    assert_eq!(org.put(&format!("{path}/mine"), body.clone()).await.ok(200)["id"], made["id"]);
    let key = org.get(&format!("{path}/mine/secret")).await.ok(200);
    assert!(key["key"].as_str().expect("key").starts_with("whsec_"));
    assert_eq!(org.post(&path, body).await.error(), (409, "conflict".into()));
}

#[tokio::test]
async fn are_listed_newest_first() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        server.clock.advance(Duration::from_secs(1));
        ids.insert(0, org.endpoint(&app).await);
    }
    let path = format!("/app/{app}/endpoint");
    let page = org.get(&format!("{path}?limit=3")).await.ok(200);
    assert_eq!((column(&page, "id"), &page["done"]), (ids[..3].to_vec(), &json!(false)));
    let page = org.get(&format!("{path}?iterator=-{}", ids[2])).await.ok(200);
    assert_eq!((column(&page, "id"), &page["done"]), (ids[..2].to_vec(), &json!(true)));
    ids.reverse();
    let page = org.get(&format!("{path}?order=ascending")).await.ok(200);
    assert_eq!(column(&page, "id"), ids);
}

#[tokio::test]
async fn bad_values_are_refused() {
    let server = Server::new().await;
    let org = server.org();
    let (app, one) = app_and_endpoint(&org).await;
    org.post("/event-type", json!({"name": "old", "description": "", "archived": true}))
        .await
        .ok(201);
    let short = "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAx";
    for (field, value, loc) in [
        ("url", Value::Null, "body.url"),
        ("url", json!(""), "body.url"),
        ("url", json!("example.com"), "body.url"),
        ("url", json!("ftp://example.com"), "body.url"),
        ("url", json!("https://"), "body.url"),
        ("url", json!("https://example.com:99999"), "body.url"),
        ("url", json!(format!("https://example.com/{}", "x".repeat(65_536))), "body.url"),
        ("url", json!("https://user:****@example.com"), "body.url"),
        ("description", json!("\u{2}"), "body.description"),
        ("uid", json!("ep_x"), "body.uid"),
        ("uid", json!(""), "body.uid"),
        ("rateLimit", json!(0), "body.rateLimit"),
        ("throttleRate", json!(0), "body.throttleRate"),
        ("throttleRate", json!(70_000), "body.throttleRate"),
        ("version", json!(0), "body.version"),
        ("disabled", json!("no"), "body.disabled"),
        ("eventTypes", json!([]), "body.eventTypes"),
        ("eventTypes", json!(["unknown"]), "body.eventTypes"),
        ("eventTypes", json!(["old"]), "body.eventTypes"),
        ("filterTypes", json!([]), "body.eventTypes"),
        ("eventTypes", json!(vec!["a"; 10_000]), "body.eventTypes"),
        ("channels", json!([]), "body.channels"),
        ("channels", json!(vec!["a"; 11]), "body.channels"),
        ("channels", json!(["a b"]), "body.channels"),
        ("metadata", json!({"k": "v".repeat(4_100)}), "body.metadata"),
        ("secret", json!("whsec_MTIz"), "body.secret"),
        ("secret", json!(short), "body.secret"),
        ("secret", json!("none"), "body.secret"),
        ("secret", json!("whsk_MTIz"), "body.secret"),
        ("secret", json!(1), "body.secret"),
        ("headers", json!({"svix-id": "1"}), "body.headers"),
        ("headers", json!({"a": 1}), "body.headers.a"),
        ("retrySchedule", json!([5]), "body.retrySchedule"),
    ] {
        let mut body = json!({"url": "https://example.com"});
        body[field] = value.clone();
        let (status, what) = org.post(&format!("{app}/endpoint"), body.clone()).await.error();
        assert!(status == 422 && what.starts_with(loc), "POST {field} {value}: {what}");
        if !["secret", "headers"].contains(&field) {
            let (status, what) = org.put(&one, body).await.error();
            assert!(status == 422 && what.starts_with(loc), "PUT {field} {value}: {what}");
            let (status, what) = org.patch(&one, json!({ field: value })).await.error();
            assert!(status == 422 && what.starts_with(loc), "PATCH {field}: {what}");
        }
    }
    let body = json!({"url": "https://example.com", "eventTypes": ["unknown", "old"]});
    let reply = org.post(&format!("{app}/endpoint"), body).await;
    assert_eq!(
        reply.json()["detail"][0]["msg"],
        "The following event types don't exist: unknown, old"
    );
    let strict = Server::with(|options| options.https_only = true).await;
    let org = strict.org();
    let app = org.app().await;
    let path = format!("/app/{app}/endpoint");
    let reply = org.post(&path, json!({"url": "http://example.com"})).await;
    assert_eq!(reply.error(), (422, "body.url".into()));
    org.post(&path, json!({"url": "https://example.com"})).await.ok(201);
}

#[tokio::test]
async fn a_password_is_never_shown_and_never_led_astray() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let path = format!("/app/{app}/endpoint");
    let body = json!({"url": "https://user:p%40ss@example.com/a"});
    let made = org.post(&path, body).await.ok(201);
    assert_eq!(made["url"], "https://user:****@example.com/a");
    let one = format!("{path}/{}", made["id"].as_str().expect("id"));
    let stored = async || {
        org.message(&app).await;
        let hot = server.take_hot().pop().expect("handed over");
        let catalogue = server.store_endpoint(&hot).await;
        catalogue.url.to_string()
    };
    assert_eq!(stored().await, "https://user:p%40ss@example.com/a");
    // What we showed may be sent back, with another path.
    let patched = org.patch(&one, json!({"url": "https://user:****@example.com/b"})).await.ok(200);
    assert_eq!(patched["url"], "https://user:****@example.com/b");
    assert_eq!(stored().await, "https://user:p%40ss@example.com/b");
    org.put(&one, json!({"url": "https://user:****@example.com/c"})).await.ok(200);
    assert_eq!(stored().await, "https://user:p%40ss@example.com/c");
    // But not for another host, scheme, port or user: it would be told to them.
    for url in [
        "https://user:****@evil.example/",
        "http://user:****@example.com/",
        "https://user:****@example.com:8443/",
        "https://other:****@example.com/",
    ] {
        let reply = org.patch(&one, json!({ "url": url })).await;
        assert_eq!(reply.error(), (422, "body.url".into()), "{url}");
        assert_eq!(org.put(&one, json!({ "url": url })).await.status, 422, "{url}");
    }
    org.patch(&one, json!({"url": "https://user:new@evil.example/"})).await.ok(200);
    assert_eq!(stored().await, "https://user:new@evil.example/");
}

#[tokio::test]
async fn secrets_rotate() {
    let server = Server::new().await;
    let org = server.org();
    let (_, one) = app_and_endpoint(&org).await;
    let path = format!("{one}/secret");
    let rotate = format!("{path}/rotate");
    let first = org.get(&path).await.ok(200);
    let given = "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0";
    // The new key is answered: the newest clients read it.
    assert_eq!(org.post(&rotate, json!({"key": given})).await.ok(200), json!({"key": given}));
    assert_ne!(first["key"], given);
    assert_eq!(org.get(&path).await.ok(200), json!({"key": given}));
    // Ten old ones, and no more.
    for _ in 0..9 {
        let made = org.post(&rotate, json!({"key": null})).await.ok(200);
        assert_eq!(org.get(&path).await.ok(200), made);
    }
    let reply = org.post(&rotate, json!({})).await;
    assert_eq!(reply.error(), (400, "limit_reached".into()));
    server.clock.advance(DAY);
    org.post(&rotate, json!({"gracePeriodSeconds": 0})).await.ok(200);
    for (body, loc) in [
        (json!({"gracePeriodSeconds": 604_801}), "body.gracePeriodSeconds"),
        (json!({"gracePeriodSeconds": -1}), "body.gracePeriodSeconds"),
        (json!({"key": "whsec_x"}), "body.key"),
        (json!({"key": 1}), "body.key"),
    ] {
        assert_eq!(org.post(&rotate, body).await.error(), (422, loc.into()));
    }
}

#[tokio::test]
async fn the_kind_of_new_secrets_is_configured() {
    let server = Server::with(|options| {
        options.default_signature_type = domain::signature::SignatureType::Ed25519;
    })
    .await;
    let org = server.org();
    let (_, one) = app_and_endpoint(&org).await;
    let key = org.get(&format!("{one}/secret")).await.ok(200);
    assert!(key["key"].as_str().expect("key").starts_with("whpk_"), "{key}");
}

#[tokio::test]
async fn headers_are_set_changed_and_hidden() {
    let server = Server::new().await;
    let org = server.org();
    let (_, one) = app_and_endpoint(&org).await;
    let path = format!("{one}/headers");
    let shown = async || org.get(&path).await.ok(200);
    let put = async |headers: Value| org.put(&path, json!({ "headers": headers })).await;
    let patch = json!({"headers": {"X-First": "1"}});
    assert!(org.patch(&path, patch).await.ok(204).is_null());
    assert_eq!(shown().await, json!({"headers": {"X-First": "1"}, "sensitive": []}));
    let headers = json!({"X-Own": "a", "Authorization": "Bearer x", "x-API-key": "k"});
    put(headers).await.ok(204);
    assert_eq!(
        shown().await,
        json!({"headers": {"X-Own": "a"}, "sensitive": ["Authorization", "x-API-key"]})
    );
    let patch =
        json!({"headers": {"x-own": "b", "X-API-Key": null}, "deleteHeaders": ["AUTHORIZATION"]});
    org.patch(&path, patch).await.ok(204);
    assert_eq!(shown().await, json!({"headers": {"x-own": "b"}, "sensitive": []}));

    for name in [
        "user-agent",
        "Keep-Alive",
        "proxy-authenticate",
        "te",
        "Trailer",
        "trailers",
        "TraceParent",
        "transfer-encoding",
        "upgrade",
        "age",
        "cache-control",
        "clear-site-data",
        "expires",
        "pragma",
        "warning",
        "Content-Length",
        "content-type",
        "content-encoding",
        "content-language",
        "content-location",
        "Host",
        "connection",
        "x-amz-date",
        "x-amzn-x",
        "x-google-y",
        "x-goog-x",
        "x-gfe",
        "x-azure-a",
        "x-fd-b",
        "x-svix-c",
        "svix-id",
        "Webhook-Id",
        "some:thing",
        "",
        "a\u{0}",
        "ü",
    ] {
        let reply = put(json!({ name: "v" })).await;
        assert_eq!(reply.error(), (422, "body.headers".into()), "{name:?}");
        let reply = org.patch(&path, json!({"headers": { name: "v" }})).await;
        assert_eq!(reply.error(), (422, "body.headers".into()), "{name:?}");
    }
    for value in ["a\nb", "\u{0}", &"v".repeat(4_097)] {
        assert_eq!(put(json!({ "x": value })).await.status, 422);
    }
    assert_eq!(put(json!({"X-A": "1", "x-a": "2"})).await.status, 422);
    let many: serde_json::Map<_, _> = (0..101).map(|i| (format!("x-{i}"), json!("v"))).collect();
    assert_eq!(put(Value::Object(many)).await.status, 422);
    put(json!({"ok": "v".repeat(4_096)})).await.ok(204);
}

#[tokio::test]
async fn stats_have_a_range() {
    let server = Server::new().await;
    let org = server.org();
    let (_, one) = app_and_endpoint(&org).await;
    let path = format!("{one}/stats");
    let zero = json!({"success": 0, "pending": 0, "sending": 0, "fail": 0, "canceled": 0});
    assert_eq!(org.get(&path).await.ok(200), zero);
    let range = "since=2026-09-01T00:00:00Z&until=2026-09-20T00:00:00Z";
    assert_eq!(org.get(&format!("{path}?{range}")).await.ok(200), zero);
    for query in [
        "since=yesterday",
        "until=2026-09-22T00:00:00Z",
        "since=2026-09-20T00:00:00Z&until=2026-09-01T00:00:00Z",
        "since=2026-08-01T00:00:00Z&until=2026-09-20T00:00:00Z",
        "since=2026-09-22T00:00:00Z",
    ] {
        assert_eq!(org.get(&format!("{path}?{query}")).await.error().0, 400, "{query}");
    }
}

#[tokio::test]
async fn recover_is_a_task() {
    let server = Server::new().await;
    let org = server.org();
    let (_, one) = app_and_endpoint(&org).await;
    let path = format!("{one}/recover");
    let made = org.post(&path, json!({"since": "2026-09-20T00:00:00Z"})).await.ok(202);
    assert_eq!((&made["status"], &made["task"]), (&json!("running"), &json!("endpoint.recover")));
    let id = made["id"].as_str().expect("id");
    assert!(id.starts_with("qtask_"));
    let task = org.get(&format!("/background-task/{id}")).await.ok(200);
    assert_eq!((&task["data"]["messagesSent"], &task["data"]["total"]), (&json!(0), &json!(0)));
    assert!(!server.handed.applications.lock().is_empty(), "the engine is told");
    let again = org.post(&path, json!({"since": "2026-09-20T00:00:00Z"})).await;
    assert_eq!(again.error(), (409, "conflict".into()), "one at a time");
    for body in [
        json!({"since": "2026-09-01T00:00:00Z"}),
        json!({"since": "2026-09-22T00:00:00Z"}),
        json!({"since": "2026-09-20T00:00:00Z", "until": "2026-09-19T00:00:00Z"}),
        json!({"since": "soon"}),
        json!({}),
    ] {
        assert_eq!(
            org.post(&path, body.clone()).await.error(),
            (422, "body.since".into()),
            "{body}"
        );
    }
}

#[tokio::test]
async fn an_example_is_sent_to_one_endpoint() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    org.post("/event-type", json!({"name": "other", "description": ""})).await.ok(201);
    let schemas = json!({"1": {"examples": [{"z": 1}, {"a": 2}]}});
    org.post("/event-type", json!({"name": "a", "description": "", "schemas": schemas}))
        .await
        .ok(201);
    org.endpoint(&app).await;
    let body = json!({"url": "https://example.com", "uid": "e", "eventTypes": ["other"]});
    let target = org.post(&format!("/app/{app}/endpoint"), body).await.ok(201);
    let path = format!("/app/{app}/endpoint/e/send-example");
    let sent = org.post(&path, json!({"eventType": "svix.ping"})).await.ok(200);
    assert_eq!(sent["payload"], json!({"success": true}));
    let sent = org.keyed("k", &path, json!({"eventType": "a", "exampleIndex": 1})).await.ok(200);
    assert_eq!(sent["payload"], json!({"a": 2}));
    let again = org.keyed("k", &path, json!({"eventType": "a"})).await.ok(200);
    assert_eq!(again["id"], sent["id"]);
    let hot = server.take_hot();
    assert_eq!(hot.len(), 2);
    assert!(hot.iter().all(|h| h.delivery.endpoint.to_string() == target["id"]));
    for (body, status, what) in [
        (json!({"eventType": "a", "exampleIndex": 2}), 400, "invalid_scheme"),
        (json!({"eventType": "other"}), 400, "invalid_scheme"),
        (json!({"eventType": "unknown"}), 404, "not_found"),
        (json!({"eventType": "a b"}), 422, "body.eventType"),
        (json!({}), 422, "body.eventType"),
    ] {
        assert_eq!(org.post(&path, body.clone()).await.error(), (status, what.into()), "{body}");
    }
}

#[tokio::test]
async fn operators_are_told() {
    let server = Server::new().await;
    let org = server.org();
    // Nobody listens yet: fine.
    let (app, one) = app_and_endpoint(&org).await;
    let operators = server.client_of(OrganizationId::management());
    let tenant = server.tenant_of(&org);
    let body = json!({"name": "tenant", "uid": tenant});
    let listening = operators.post("/app", body).await.ok(201);
    let listening = listening["id"].as_str().expect("id");
    operators.endpoint(listening).await;
    server.take_hot();

    let told = || -> Vec<Value> {
        let hot = server.take_hot();
        let payload = |h: &publish::Hot| h.message.body.as_ref().expect("body").bytes.clone();
        hot.iter().map(|h| serde_json::from_slice(&payload(h)).expect("JSON")).collect()
    };
    let types = |told: &[Value]| -> Vec<String> {
        told.iter().map(|t| t["type"].as_str().expect("type").to_owned()).collect()
    };
    let made =
        org.post(&format!("{app}/endpoint"), json!({"url": "https://a.example"})).await.ok(201);
    let events = told();
    assert_eq!(types(&events), ["endpoint.created"]);
    assert_eq!(events[0]["data"]["endpointId"], made["id"]);
    org.patch(&one, json!({"disabled": true})).await.ok(200);
    let events = told();
    assert_eq!(types(&events), ["endpoint.updated", "endpoint.disabled"]);
    assert_eq!(events[1]["data"]["trigger"], "manual");
    org.patch(&one, json!({"disabled": false})).await.ok(200);
    assert_eq!(types(&told()), ["endpoint.updated", "endpoint.enabled"]);
    org.post(&format!("{one}/secret/rotate"), json!({})).await.ok(200);
    assert_eq!(types(&told()), ["endpoint.updated"]);
    org.delete(&one).await.ok(204);
    assert_eq!(types(&told()), ["endpoint.deleted"]);
}
