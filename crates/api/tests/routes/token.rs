//! Tokens that were made here.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    contract::operations,
    isolation::{World, body, is_open},
    support::{Client, DAY, Server, column, keys},
};

/// A new token's id, and who calls with it.
async fn made<'a>(org: &Client<'a>, scope: &str) -> (String, Client<'a>) {
    let body = json!({"name": "console", "scope": scope, "expirySecs": 3_600});
    let made = org.post("/auth/token", body).await.ok(201);
    let text = |field: &str| made[field].as_str().expect("text").to_owned();
    (text("id"), org.server.client(text("token")))
}

async fn listed(org: &Client<'_>) -> Vec<Value> {
    let list = org.get("/auth/token").await.ok(200);
    list["data"].as_array().expect("data").clone()
}

#[tokio::test]
async fn are_made_listed_and_ended() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let portal = org.portal(&app, json!({"sessionId": "s", "readOnly": true})).await;
    server.clock.advance(Duration::from_secs(1));
    let (id, full) = made(&org, "full").await;
    full.get("/app").await.ok(200);
    full.post("/app", json!({"name": "n"})).await.ok(201);

    let tokens = listed(&org).await;
    assert_eq!(tokens.len(), 2, "{tokens:?}");
    let shown = |token: &Value| {
        ["kind", "appId", "name", "scope", "lastUsedAt", "revoked"]
            .map(|field| token[field].clone())
    };
    let wanted = [json!("organization"), json!(null), json!("console"), json!("full")];
    assert_eq!(shown(&tokens[0])[..4], wanted);
    let wanted = [json!("application"), json!(app), json!(null), json!("read")];
    assert_eq!(shown(&tokens[1])[..4], wanted);
    assert_eq!(tokens[0]["id"], id);
    assert!(tokens[0]["expiresAt"].as_str() > tokens[0]["createdAt"].as_str());
    // Neither the token nor what it is known by is told again.
    let text = serde_json::to_string(&tokens).expect("JSON");
    assert!(!text.contains(full.token.as_ref().expect("a token")) && !text.contains("hash"));

    // One is ended and the others go on; twice is as once.
    for _ in 0..2 {
        org.delete(&format!("/auth/token/{id}")).await.ok(204);
        assert_eq!(full.get("/app").await.error(), (401, "authentication_failed".into()));
    }
    portal.get(&format!("/app/{app}")).await.ok(200);
    let portal_id = tokens[1]["id"].as_str().expect("id");
    org.delete(&format!("/auth/token/{portal_id}")).await.ok(204);
    assert_eq!(portal.get(&format!("/app/{app}")).await.status, 401);
    assert!(listed(&org).await.iter().all(|token| token["revoked"] == true));
    // After a restart too.
    let again = server.restarted().await;
    assert_eq!(again.caller(&full).get("/app").await.status, 401);
    assert!(listed(&again.caller(&org)).await.iter().all(|token| token["revoked"] == true));

    // Who made and ended them is on the log.
    let log = org.get("/audit-log").await.ok(200);
    let actions = column(&log, "action");
    let count = |action: &str| actions.iter().filter(|known| *known == action).count();
    assert_eq!((count("token.create"), count("token.revoke")), (2, 2));

    // What has ended by itself is not there any more.
    server.clock.advance(Duration::from_secs(3_600));
    assert_eq!(listed(&org).await.len(), 1);
    assert_eq!(org.delete(&format!("/auth/token/{id}")).await.status, 404);
}

#[tokio::test]
async fn are_shown_as_ended_whatever_ended_them() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    for end in ["logout", "the application", "the session"] {
        let portal = org.portal(&app, json!({"sessionId": end})).await;
        let alive = org.portal(&app, json!({"sessionId": "another"})).await;
        let path = format!("/auth/app/{app}/expire-all");
        match end {
            "logout" => drop(portal.post("/auth/logout", json!({})).await.ok(204)),
            "the application" => drop(org.post(&path, json!({})).await.ok(204)),
            _ => drop(org.post(&path, json!({"sessionIds": [end]})).await.ok(204)),
        }
        let tokens = listed(&org).await;
        let others = usize::from(end != "the application");
        let good = tokens.iter().filter(|token| token["revoked"] == false).count();
        assert_eq!(good, others, "{end}: {tokens:?}");
        drop(alive);
        server.clock.advance(Duration::from_secs(1));
        org.post(&path, json!({})).await.ok(204);
        server.clock.advance(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn are_asked_for_within_bounds() {
    let server = Server::new().await;
    let org = server.org();
    for (body, at) in [
        (json!({"scope": "full"}), "body.name"),
        (json!({"name": "n"}), "body.scope"),
        (json!({"name": "n", "scope": "all"}), "body.scope"),
        (json!({"name": "", "scope": "full"}), "body.name"),
        (json!({"name": "a\u{0}b", "scope": "full"}), "body.name"),
        (json!({"name": "n".repeat(65), "scope": "full"}), "body.name"),
        (json!({"name": "n", "scope": "full", "expirySecs": 59}), "body.expirySecs"),
        (json!({"name": "n", "scope": "full", "expirySecs": 315_360_001}), "body.expirySecs"),
    ] {
        assert_eq!(org.post("/auth/token", body.clone()).await.error(), (422, at.into()), "{body}");
    }
    assert_eq!(listed(&org).await.len(), 0);
    org.post("/auth/token", json!({"name": "ü".repeat(64), "scope": "read"})).await.ok(201);
    assert_eq!(org.get("/auth/token?iterator=key_x").await.error(), (422, "query.iterator".into()));
    let unknown = "key_23rb8YdGqMT0qIzpgGwdXfHirMu";
    assert_eq!(org.delete(&format!("/auth/token/{unknown}")).await.status, 404);
}

/// A token is told once: whoever repeats its request gets another one.
#[tokio::test]
async fn are_not_kept_for_an_idempotency_key() {
    let server = Server::new().await;
    let org = server.org();
    let body = json!({"name": "n", "scope": "full"});
    let (one, two) = (
        org.keyed("key", "/auth/token", body.clone()).await,
        org.keyed("key", "/auth/token", body).await,
    );
    assert_eq!(one.headers["cache-control"], "no-store");
    assert_ne!(one.ok(201)["token"], two.ok(201)["token"]);
}

#[tokio::test]
async fn that_may_only_read_change_nothing() {
    let server = Server::new().await;
    let org = server.org();
    let world = World::new(&server, &org).await;
    let (_, reader) = made(&org, "read").await;
    let mut refused = 0;
    for (method, template, operation) in operations() {
        if is_open(&operation) {
            continue;
        }
        let path = world.path(&template);
        let reply = reader.call(&method, &path, body(&method, &template)).await;
        // Taking an endpoint's deliveries is no mere look.
        if method == "GET" && !template.ends_with("/listen") {
            assert!(reply.status.is_success(), "{method} {path}: {reply:?}");
        } else {
            refused += 1;
            assert_eq!(reply.error(), (403, "insufficient access".into()), "{method} {path}");
            let keyed = reader.keyed("key", &path, body("POST", &template)).await;
            assert!(method != "POST" || keyed.status == 403, "{method} {path}");
        }
    }
    assert!(refused > 40, "{refused}");
}

/// A release that does not know of tokens that may only read takes `org` for an application's.
#[tokio::test]
async fn that_may_only_read_are_refused_by_who_does_not_know_of_them() {
    let server = Server::new().await;
    let org = server.org();
    let claims = |client: &Client<'_>| -> Value {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        let token = client.token.as_ref().expect("a token");
        let claims = token.split('.').nth(1).expect("three parts");
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64")).expect("JSON")
    };
    let (_, reader) = made(&org, "read").await;
    let said = claims(&reader);
    assert_eq!((&said["access"], &said["org"]), (&json!("read"), &said["sub"]));
    let (_, full) = made(&org, "full").await;
    assert_eq!((&claims(&full)["access"], &claims(&full)["org"]), (&json!(null), &json!(null)));
}

#[tokio::test]
async fn are_noted_when_they_are_used() {
    let server = Server::new().await;
    let org = server.org();
    let (_, one) = made(&org, "full").await;
    server.clock.advance(Duration::from_secs(5));
    one.get("/app").await.ok(200);
    let last = async || listed(&org).await[0]["lastUsedAt"].clone();
    assert_eq!(last().await, json!(null), "not on the request's way");
    server.state.note_token_uses().await.expect("written");
    assert_eq!(last().await, json!("2026-09-21T14:13:25Z"));
    // What is not used is not written again.
    server.clock.advance(Duration::from_secs(5));
    server.state.note_token_uses().await.expect("written");
    assert_eq!(last().await, json!("2026-09-21T14:13:25Z"));
    one.get("/app").await.ok(200);
    server.state.note_token_uses().await.expect("written");
    assert_eq!(last().await, json!("2026-09-21T14:13:30Z"));
}

/// While the store is away nothing is forgotten.
#[tokio::test]
async fn are_noted_later_if_the_store_is_away() {
    let server = Server::in_memory().await;
    let org = server.org();
    let (_, one) = made(&org, "full").await;
    one.get("/app").await.ok(200);
    server.memory().set_unavailable(true);
    assert!(server.state.note_token_uses().await.is_err());
    server.memory().set_unavailable(false);
    server.state.note_token_uses().await.expect("written");
    assert!(listed(&org).await[0]["lastUsedAt"].is_string());
}

/// One that an earlier release made is known by nothing that could be refused.
#[tokio::test]
async fn of_an_earlier_release_cannot_be_ended_one_by_one() {
    use domain::{clock::Clock, token::Actor};
    use hookwright_api::auth::mint_organization;
    let server = Server::new().await;
    let org = server.org();
    let tenant = server.tenant_of(&org).parse().expect("an id");
    let now = server.clock.now();
    let minted = mint_organization(&keys(), tenant, now, DAY, &*server.entropy).expect("made");
    let token = domain::token::Token { hash: None, ..minted.row };
    let id = token.id;
    server.store.create_token(&Actor::System, token).await.expect("stored");
    assert_eq!(listed(&org).await[0]["revoked"], false);
    let path = format!("/auth/token/{id}");
    assert_eq!(org.delete(&path).await.error(), (409, "conflict".into()));
    assert_eq!(server.org().delete(&path).await.status, 404);
}
