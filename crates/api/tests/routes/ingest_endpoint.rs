//! Endpoints of sources.

use serde_json::{Value, json};

use crate::support::{Client, Server, column};

/// The path of a new source, and that of its application.
async fn source(org: &Client<'_>) -> (String, String) {
    let body = json!({"name": "Received", "type": "generic-webhook", "uid": "received"});
    let made = org.post("/ingest/api/v1/source", body).await.ok(201);
    let app = made["appId"].as_str().expect("app");
    ("/ingest/api/v1/source/received/endpoint".into(), format!("/app/{app}/endpoint"))
}

#[tokio::test]
async fn lives_its_life() {
    let server = Server::new().await;
    let org = server.org();
    let (path, of_app) = source(&org).await;
    let body = json!({"url": "https://u:p@example.com/a", "uid": "mine", "throttleRate": 5,
        "metadata": {"k": "v"}, "headers": {"x-a": "b"}, "eventTypes": ["not.looked.at"],
        "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"});
    let made = org.post(&path, body).await.ok(201);
    assert_eq!(made["url"], "https://u:****@example.com/a");
    for field in ["eventTypes", "channels", "version", "rateLimit"] {
        assert_eq!(made.get(field), None);
    }
    let id = made["id"].as_str().expect("id").to_owned();
    let at = format!("{path}/{id}");
    assert_eq!(org.get(&at).await.ok(200), made);
    assert_eq!(org.get(&format!("{path}/mine")).await.ok(200), made);
    // It is one of its application's.
    let whole = org.get(&format!("{of_app}/mine")).await.ok(200);
    assert_eq!((&whole["id"], &whole["eventTypes"]), (&made["id"], &Value::Null));

    let secret = org.get(&format!("{at}/secret")).await.ok(200);
    assert_eq!(secret["key"], "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
    assert!(org.post(&format!("{at}/secret/rotate"), json!({})).await.ok(204).is_null());
    assert_ne!(org.get(&format!("{at}/secret")).await.ok(200), secret);
    let headers = format!("{at}/headers");
    assert_eq!(org.get(&headers).await.ok(200)["headers"], json!({"x-a": "b"}));
    let set = json!({"headers": {"authorization": "hush", "x-c": "d"}});
    assert!(org.put(&headers, set).await.ok(204).is_null());
    let shown = org.get(&headers).await.ok(200);
    assert_eq!(shown, json!({"headers": {"x-c": "d"}, "sensitive": ["authorization"]}));

    assert!(org.delete(&at).await.ok(204).is_null());
    assert_eq!(org.get(&at).await.error(), (404, "not_found".into()));
    assert_eq!(org.delete(&at).await.error(), (404, "not_found".into()));
}

#[tokio::test]
async fn put_keeps_what_it_does_not_know() {
    let server = Server::new().await;
    let org = server.org();
    let (path, of_app) = source(&org).await;
    let at = format!("{path}/mine");
    let body = |url: &str| json!({"url": url, "uid": "mine"});
    let made = org.put(&at, body("https://example.com/a")).await.ok(201);
    let patch = json!({"channels": ["one"], "retrySchedule": ["5s"]});
    org.patch(&format!("{of_app}/mine"), patch).await.ok(200);
    let replaced = org.put(&at, body("https://example.com/b")).await.ok(200);
    assert_eq!((&replaced["id"], &replaced["url"]), (&made["id"], &json!("https://example.com/b")));
    let whole = org.get(&format!("{of_app}/mine")).await.ok(200);
    assert_eq!((&whole["channels"], &whole["retrySchedule"]), (&json!(["one"]), &json!(["5s"])));
}

#[tokio::test]
async fn are_listed_and_made_once() {
    let server = Server::new().await;
    let org = server.org();
    let (path, _) = source(&org).await;
    let body = json!({"url": "https://example.com/"});
    let first = org.keyed("k", &path, body.clone()).await.ok(201);
    assert_eq!(org.keyed("k", &path, body.clone()).await.ok(201), first);
    server.clock.advance(std::time::Duration::from_secs(1));
    let second = org.post(&path, body).await.ok(201);
    let page = org.get(&path).await.ok(200);
    let ids = [&second, &first].map(|e| e["id"].as_str().expect("id").to_owned());
    assert_eq!((column(&page, "id"), &page["done"]), (ids.to_vec(), &json!(true)));
}

#[tokio::test]
async fn wrong_ones_are_refused() {
    let server = Server::new().await;
    let org = server.org();
    let (path, _) = source(&org).await;
    for (body, loc) in [
        (json!({}), "body.url"),
        (json!({"url": "ftp://x"}), "body.url"),
        (json!({"url": "https://x", "throttleRate": 0}), "body.throttleRate"),
        (json!({"url": "https://x", "uid": "ep_x"}), "body.uid"),
        (json!({"url": "https://x", "secret": "short"}), "body.secret"),
        (json!({"url": "https://x", "headers": {"host": "x"}}), "body.headers"),
    ] {
        assert_eq!(org.post(&path, body.clone()).await.error(), (422, loc.into()), "{body}");
    }
    let other = server.org();
    source(&other).await;
    let made = org.post(&path, json!({"url": "https://example.com/"})).await.ok(201);
    let foreign = format!("{path}/{}", made["id"].as_str().expect("id"));
    assert_eq!(other.get(&foreign).await.error(), (404, "not_found".into()));
    // An application's own endpoints are not reached by this road.
    let app = org.app().await;
    let path = format!("/ingest/api/v1/source/{}/endpoint", app.replace("app_", "src_"));
    assert_eq!(org.get(&path).await.error(), (404, "not_found".into()));
}

#[tokio::test]
async fn a_transformation_is_kept() {
    let server = Server::new().await;
    let org = server.org();
    let (path, _) = source(&org).await;
    let url = json!({"url": "https://example.com/", "uid": "mine"});
    org.post(&path, url.clone()).await.ok(201);
    let at = format!("{path}/mine/transformation");
    let none = json!({"code": null, "enabled": false, "variables": null});
    assert_eq!(org.get(&at).await.ok(200), none);
    let code = "function handler(webhook) { return webhook }";
    let given = json!({"code": code, "enabled": true, "variables": {"a": "b"}});
    assert!(org.patch(&at, given.clone()).await.ok(204).is_null());
    assert_eq!(org.get(&at).await.ok(200), given);
    org.put(&format!("{path}/mine"), url).await.ok(200);
    org.patch(&at, json!({"enabled": false, "variables": null})).await.ok(204);
    let kept = json!({"code": code, "enabled": false, "variables": null});
    assert_eq!(org.get(&at).await.ok(200), kept);
    for (body, loc) in [
        (json!({"code": "short"}), "body.code"),
        (json!({"code": "x".repeat(51_201)}), "body.code"),
        (json!({"enabled": null}), "body.enabled"),
        (json!({"variables": {"a": 1}}), "body.variables.a"),
        (json!({"variables": {"a": "x".repeat(4_096)}}), "body.variables"),
    ] {
        assert_eq!(org.patch(&at, body.clone()).await.error(), (422, loc.into()), "{body}");
    }
}
