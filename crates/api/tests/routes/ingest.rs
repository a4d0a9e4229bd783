//! Sources.

use std::time::Duration;

use bytes::Bytes;
use domain::{
    id::{ApplicationId, RejectedId},
    source::InboundToken,
};
use serde_json::{Value, json};
use store::rejected::RejectedRequest;

use crate::support::{Client, Server, column};

const SOURCES: &str = "/ingest/api/v1/source";

fn stripe() -> Value {
    json!({"name": "Stripe", "uid": "stripe", "type": "stripe", "config": {"secret": "whsec_hush"}})
}

async fn made(org: &Client<'_>, body: Value) -> Value {
    org.post(SOURCES, body).await.ok(201)
}

fn at(source: &Value) -> String {
    format!("{SOURCES}/{}", source["id"].as_str().expect("id"))
}

/// The token of an ingest URL.
fn token(url: &Value) -> InboundToken {
    let text = url.as_str().and_then(|url| url.strip_prefix("http://127.0.0.1:8071/in/"));
    text.expect("our URL").parse().expect("a token")
}

#[tokio::test]
async fn lives_its_life() {
    let server = Server::new().await;
    let org = server.org();
    let mut body = stripe();
    body["metadata"] = json!({"team": "billing"});
    body["settings"] = json!({"unverifiedStatus": 400, "throttleRate": 50});
    let source = made(&org, body).await;
    let id = source["id"].as_str().expect("id");
    let app = source["appId"].as_str().expect("app");
    assert_eq!(id.strip_prefix("src_"), app.strip_prefix("app_"));
    assert_eq!((&source["uid"], &source["type"]), (&json!("stripe"), &json!("stripe")));
    assert_eq!(source["config"], json!({}), "secrets are not shown");
    assert_eq!(source["settings"]["unverifiedStatus"], 400);
    assert_eq!(source["createdAt"], "2026-09-21T14:13:20Z");
    let url = token(&source["ingestUrl"]);
    assert_eq!(url.app, app.parse::<ApplicationId>().expect("an id"));
    assert_eq!(url.org.to_string(), server.tenant_of(&org));

    for path in [id, "stripe", "stripe/"] {
        assert_eq!(org.get(&format!("{SOURCES}/{path}")).await.ok(200), source);
    }
    let patch = json!({"name": "Payments", "uid": null, "metadata": {}, "settings": {}});
    let patched = org.patch(&format!("{SOURCES}/stripe"), patch).await.ok(200);
    assert_eq!((&patched["name"], patched.get("uid")), (&json!("Payments"), None));
    assert_eq!(patched["settings"]["unverifiedStatus"], Value::Null);
    assert_eq!(patched["ingestUrl"], source["ingestUrl"]);
    assert_eq!(org.get(&format!("{SOURCES}/stripe")).await.error(), (404, "not_found".into()));

    assert!(org.delete(&at(&source)).await.ok(204).is_null());
    assert_eq!(org.get(&at(&source)).await.error(), (404, "not_found".into()));
    assert_eq!(org.delete(&at(&source)).await.error(), (404, "not_found".into()));
    org.get(&format!("/app/{app}")).await.ok(404);
}

#[tokio::test]
async fn put_replaces_or_makes() {
    let server = Server::new().await;
    let org = server.org();
    let path = format!("{SOURCES}/stripe");
    let source = org.put(&path, stripe()).await.ok(201);
    let mut body = stripe();
    body["name"] = json!("Another name");
    let replaced = org.put(&path, body).await.ok(200);
    assert_eq!((&replaced["id"], &replaced["ingestUrl"]), (&source["id"], &source["ingestUrl"]));
    assert_eq!(replaced["name"], "Another name");
    let body = json!({"name": "GitHub", "type": "github", "config": {"secret": "hush"}});
    let replaced = org.put(&at(&source), body).await.ok(200);
    assert_eq!((&replaced["type"], replaced.get("uid")), (&json!("github"), None));
    org.get(&path).await.ok(404);
}

#[tokio::test]
async fn a_uid_belongs_to_one_source() {
    let server = Server::new().await;
    let org = server.org();
    made(&org, stripe()).await;
    let reply = org.post(SOURCES, stripe()).await;
    assert_eq!(reply.error(), (409, "conflict".into()));
    assert_eq!(reply.json()["detail"], "A source with that id or uid already exists");
    // Those of applications are others, and so are other organizations'.
    org.post("/app", json!({"name": "a", "uid": "stripe"})).await.ok(201);
    made(&server.org(), stripe()).await;
    let other = json!({"name": "Other", "type": "generic-webhook", "uid": "other"});
    let other = made(&org, other).await;
    let reply = org.patch(&at(&other), json!({"uid": "stripe"})).await;
    assert_eq!(reply.error(), (409, "conflict".into()));
    for uid in ["", "src_x", "a.b", "a b", &"x".repeat(61)] {
        let mut body = stripe();
        body["uid"] = json!(uid);
        assert_eq!(org.post(SOURCES, body).await.error(), (422, "body.uid".into()), "{uid}");
        let reply = org.patch(&at(&other), json!({"uid": uid})).await;
        assert_eq!(reply.error(), (422, "body.uid".into()), "{uid}");
    }
    org.patch(&at(&other), json!({"uid": "x".repeat(60)})).await.ok(200);
}

#[tokio::test]
async fn wrong_values_are_named() {
    let server = Server::new().await;
    let org = server.org();
    let with = |field: &str, value: Value| {
        let mut body = stripe();
        body[field] = value;
        body
    };
    let settings = |value: Value| with("settings", value);
    let kind = |kind: &str, config: Value| json!({"name": "Name", "type": kind, "config": config});
    for (body, loc) in [
        (with("name", json!("x")), "body.name"),
        (with("name", json!("x".repeat(257))), "body.name"),
        (with("metadata", json!({"k": "v".repeat(4_090)})), "body.metadata"),
        (json!({"name": "No type"}), "body.type"),
        (kind("nobody", json!({})), "body.type"),
        (kind("stripe", json!({})), "body.config.secret"),
        (kind("stripe", json!({"secret": "s", "color": "red"})), "body.config.color"),
        (kind("meta", json!({"secret": "s"})), "body.config.verifyToken"),
        (kind("telnyx", Value::Null), "body.config.publicKey"),
        (kind("stripe", json!([])), "body.config"),
        (kind("cron", json!({"schedule": "never", "payload": ""})), "body.config.schedule"),
        (settings(json!({"unverifiedStatus": 200})), "body.settings.unverifiedStatus"),
        (
            settings(json!({"acknowledgement": {"status": 500}})),
            "body.settings.acknowledgement.status",
        ),
        (
            settings(json!({"acknowledgement": {"status": 204, "body": "x"}})),
            "body.settings.acknowledgement.body",
        ),
        (settings(json!({"dedupeWindowSecs": 0})), "body.settings.dedupeWindowSecs"),
        (settings(json!({"dedupeWindowSecs": 7_776_001})), "body.settings.dedupeWindowSecs"),
        (settings(json!({"throttleRate": 0})), "body.settings.throttleRate"),
        (settings(json!({"maxBodyBytes": 26_214_401})), "body.settings.maxBodyBytes"),
        (settings(json!({"forwardHeaders": ["a b"]})), "body.settings.forwardHeaders"),
        (settings(json!({"forwardHeaders": ["host"]})), "body.settings.forwardHeaders"),
        (settings(json!({"publicUrl": "ftp://x"})), "body.settings.publicUrl"),
        (settings(json!({"disabled": "yes"})), "body.settings.disabled"),
    ] {
        let reply = org.post(SOURCES, body.clone()).await;
        assert_eq!(reply.error(), (422, loc.into()), "{body}");
        assert!(!String::from_utf8_lossy(&reply.body).contains("hush"));
    }
    assert_eq!(org.get(SOURCES).await.ok(200)["data"], json!([]));
}

#[tokio::test]
async fn types_take_what_they_take() {
    let server = Server::new().await;
    let org = server.org();
    let daily = json!({"schedule": "@daily", "payload": "{}", "contentType": "text/plain"});
    let custom = json!({"scheme": "bearer", "secret": "hush"});
    for (kind, config, shown) in [
        ("generic-webhook", Value::Null, None),
        ("cron", daily.clone(), Some(daily)),
        ("telnyx", json!({"publicKey": "key"}), Some(json!({"publicKey": "key"}))),
        ("meta", json!({"secret": "hush", "verifyToken": "hush"}), Some(json!({}))),
        ("adobe-sign", json!({"clientId": "hush"}), Some(json!({}))),
        ("resend", json!({"secret": "whsec_hush"}), Some(json!({}))),
        ("custom", custom, Some(json!({"scheme": "bearer"}))),
        ("notion", json!({}), Some(json!({}))),
    ] {
        let source = made(&org, json!({"name": kind, "type": kind, "config": config})).await;
        assert_eq!(source.get("config"), shown.as_ref(), "{kind}");
        assert_eq!(source["ingestUrl"].is_null(), kind == "cron", "{kind}");
        if kind == "cron" {
            let reply = org.post(&format!("{}/token/rotate", at(&source)), json!({})).await;
            assert_eq!(reply.error(), (400, "no_url".into()));
        }
    }
}

#[tokio::test]
async fn tokens_are_rotated_three_times_in_two_days() {
    let server = Server::new().await;
    let org = server.org();
    let source = made(&org, stripe()).await;
    let path = format!("{SOURCES}/stripe/token/rotate");
    let mut urls = vec![source["ingestUrl"].clone()];
    for _ in 0..3 {
        let rotated = org.post(&path, json!({})).await.ok(200);
        assert!(!urls.contains(&rotated["ingestUrl"]));
        assert_eq!(org.get(&at(&source)).await.ok(200)["ingestUrl"], rotated["ingestUrl"]);
        urls.push(rotated["ingestUrl"].clone());
    }
    assert_eq!(org.post(&path, json!({})).await.error(), (400, "limit_reached".into()));
    server.clock.advance(Duration::from_secs(48 * 3_600));
    org.post(&path, json!({})).await.ok(200);
    // A repeat with the same key is the same rotation.
    let first = org.keyed("k", &path, json!({})).await.ok(200);
    assert_eq!(org.keyed("k", &path, json!({})).await.ok(200), first);
    org.post(&path, json!({})).await.ok(200);
    assert_eq!(org.post(&path, json!({})).await.error(), (400, "limit_reached".into()));
}

#[tokio::test]
async fn is_made_once_for_one_key() {
    let server = Server::new().await;
    let org = server.org();
    let first = org.keyed("k", SOURCES, stripe()).await.ok(201);
    assert_eq!(org.keyed("k", SOURCES, stripe()).await.ok(201), first);
    assert_eq!(column(&org.get(SOURCES).await.ok(200), "id").len(), 1);
}

#[tokio::test]
async fn are_listed_apart_from_applications() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let mut ids = Vec::new();
    for n in 0..4 {
        server.clock.advance(Duration::from_secs(1));
        let body = json!({"name": format!("Source {n}"), "type": "generic-webhook"});
        ids.push(made(&org, body).await["id"].as_str().expect("id").to_owned());
    }
    assert_eq!(column(&org.get("/app").await.ok(200), "id"), [app]);
    let page = org.get(&format!("{SOURCES}?limit=3")).await.ok(200);
    assert_eq!((column(&page, "id"), &page["done"]), (ids[..3].to_vec(), &json!(false)));
    assert_eq!(page["iterator"], ids[2].as_str());
    assert_eq!(page["prevIterator"], format!("-{}", ids[0]));
    let page = org.get(&format!("{SOURCES}?iterator={}", ids[2])).await.ok(200);
    assert_eq!((column(&page, "id"), &page["done"]), (ids[3..].to_vec(), &json!(true)));
    ids.reverse();
    let page = org.get(&format!("{SOURCES}?order=descending")).await.ok(200);
    assert_eq!(column(&page, "id"), ids);
    let reply = org.get(&format!("{SOURCES}?iterator=app_x")).await;
    assert_eq!(reply.error(), (422, "query.iterator".into()));
}

#[tokio::test]
async fn its_application_is_read_and_not_changed() {
    let server = Server::new().await;
    let org = server.org();
    let source = made(&org, stripe()).await;
    let path = format!("/app/{}", source["appId"].as_str().expect("app"));
    assert_eq!(org.get(&path).await.ok(200)["name"], "Stripe");
    for reply in [
        org.put(&path, json!({"name": "n"})).await,
        org.patch(&path, json!({"name": "n"})).await,
        org.delete(&path).await,
    ] {
        assert_eq!(reply.error(), (409, "conflict".into()));
        let detail = reply.json()["detail"].as_str().expect("text").to_owned();
        assert!(detail.contains(source["id"].as_str().expect("id")), "{detail}");
    }
    assert_eq!(org.get(&at(&source)).await.ok(200), source);
    org.get(&format!("{path}/msg")).await.ok(200);
    // An application is no source.
    let app = org.app().await.replace("app_", "src_");
    let path = format!("{SOURCES}/{app}");
    for reply in [
        org.get(&path).await,
        org.patch(&path, json!({"name": "name"})).await,
        org.delete(&path).await,
        org.post(&format!("{path}/token/rotate"), json!({})).await,
        org.post(&format!("{path}/dashboard"), json!({})).await,
    ] {
        assert_eq!(reply.error(), (404, "not_found".into()));
    }
}

#[tokio::test]
async fn the_portal_shows_its_application() {
    let server = Server::new().await;
    let org = server.org();
    let source = made(&org, stripe()).await;
    let path = format!("{SOURCES}/stripe/dashboard");
    let access = org.post(&path, json!({"readOnly": true, "expiry": 3600})).await.ok(200);
    assert!(access["url"].as_str().expect("url").starts_with("http://127.0.0.1:8071/portal#key="));
    let portal = server.client(access["token"].as_str().expect("token").to_owned());
    let app = format!("/app/{}", source["appId"].as_str().expect("app"));
    portal.get(&format!("{app}/endpoint")).await.ok(200);
    let body = json!({"url": "https://example.com/"});
    assert_eq!(portal.post(&format!("{app}/endpoint"), body).await.error().0, 403);
    // Sources themselves are the organization's.
    for reply in [portal.get(SOURCES).await, portal.get(&at(&source)).await] {
        assert_eq!(reply.error(), (403, "insufficient access".into()));
    }
    for expiry in [3_599, 604_801] {
        let reply = org.post(&path, json!({"expiry": expiry})).await;
        assert_eq!(reply.error(), (422, "body.expiry".into()));
    }
}

#[tokio::test]
async fn another_organization_has_no_part_in_it() {
    let server = Server::new().await;
    let source = made(&server.org(), stripe()).await;
    let stranger = server.org();
    for path in [at(&source), format!("{SOURCES}/stripe")] {
        assert_eq!(stranger.get(&path).await.error(), (404, "not_found".into()));
        assert_eq!(stranger.delete(&path).await.error(), (404, "not_found".into()));
    }
    assert_eq!(stranger.get(SOURCES).await.ok(200)["data"], json!([]));
}

#[tokio::test]
async fn what_was_refused_is_shown() {
    let server = Server::new().await;
    let org = server.org();
    let source = made(&org, stripe()).await;
    let inbound = token(&source["ingestUrl"]);
    let path = format!("{SOURCES}/stripe/log");
    assert_eq!(org.get(&path).await.ok(200)["data"], json!([]));
    let mut ids = Vec::new();
    for body in [&b"first"[..], b"\xffsecond"] {
        server.clock.advance(Duration::from_secs(1));
        let now = domain::clock::Clock::now(&*server.clock);
        let request = RejectedRequest {
            org: inbound.org,
            app: inbound.app,
            id: RejectedId::generate(now, &*server.entropy),
            at: now,
            status: 401,
            reason: "no signature matches".into(),
            method: "POST".into(),
            url: "/in?a=b".into(),
            headers: vec![("x-a".into(), "1".into()), ("x-a".into(), "2".into())],
            body: Bytes::from_static(body),
            body_bytes: 5,
            expires_at: now.plus(Duration::from_secs(3_600)),
        };
        ids.insert(0, request.id.to_string());
        server.store.keep_rejected(vec![request]).await.expect("keeps");
    }
    let page = org.get(&path).await.ok(200);
    assert_eq!((column(&page, "id"), &page["done"]), (ids.clone(), &json!(true)));
    let first = &page["data"][1];
    assert_eq!((&first["payload"], &first["body_base64"]), (&json!("first"), &json!("Zmlyc3Q=")));
    assert_eq!((&first["source_id"], &first["status_code"]), (&source["id"], &json!(401)));
    assert_eq!(first["headers"], json!({"x-a": "1, 2"}));
    let page = org.get(&format!("{path}?limit=1&order=ascending")).await.ok(200);
    assert_eq!((column(&page, "id"), &page["done"]), (vec![ids[1].clone()], &json!(false)));
    assert_eq!(server.org().get(&path).await.error(), (404, "not_found".into()));
}
