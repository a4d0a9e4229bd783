use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Server, column};

#[tokio::test]
async fn a_message_is_made_once() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    org.endpoint(&app).await;
    let path = format!("/app/{app}/msg");
    let body = |n: u8| json!({"eventType": "a", "payload": {"n": n}});
    let first = org.keyed("k1", &path, body(1)).await.ok(202);
    // The body is not part of the key: the first answer stands.
    assert_eq!(org.keyed("k1", &path, body(2)).await.ok(202), first);
    assert_eq!(server.take_hot().len(), 1);
    let bare = org.keyed("k1", &format!("{path}?with_content=false"), body(1)).await.ok(202);
    assert_ne!(bare["id"], first["id"], "another query is another request");
    assert_ne!(org.keyed("k2", &path, body(1)).await.ok(202)["id"], first["id"]);

    // A refused request leaves its key free.
    assert_eq!(org.keyed("k3", &path, json!({"eventType": "a"})).await.status, 422);
    org.keyed("k3", &path, body(3)).await.ok(202);
    // Twelve hours.
    server.clock.advance(Duration::from_secs(12 * 3_600 + 1));
    assert_ne!(org.keyed("k1", &path, body(1)).await.ok(202)["id"], first["id"]);

    let long = "k".repeat(257);
    let reply = org.keyed(&long, &path, body(1)).await;
    assert_eq!(reply.error(), (422, "header.idempotency-key".into()));
    org.keyed(&"k".repeat(256), &path, body(1)).await.ok(202);
}

#[tokio::test]
async fn keys_of_two_organizations_are_two() {
    let server = Server::new().await;
    let body = json!({"name": "n", "uid": "u"});
    let mine = server.org().keyed("k", "/app", body.clone()).await.ok(201);
    let theirs = server.org().keyed("k", "/app", body.clone()).await.ok(201);
    assert_ne!(mine["id"], theirs["id"]);
    assert_eq!(server.stranger().keyed("k", "/app", body).await.status, 401);
}

#[tokio::test]
async fn other_answers_are_saved() {
    let server = Server::new().await;
    let org = server.org();
    let first = org.keyed("k", "/app", json!({"name": "a", "uid": "u"})).await.ok(201);
    assert_eq!(org.keyed("k", "/app", json!({"name": "b"})).await.ok(201), first);
    assert_eq!(column(&org.get("/app").await.ok(200), "id").len(), 1);
    // Other than 2xx is not saved.
    assert_eq!(org.keyed("k2", "/app", json!({"name": "c", "uid": "u"})).await.status, 409);
    org.keyed("k2", "/app", json!({"name": "c"})).await.ok(201);

    let app = first["id"].as_str().expect("id");
    let endpoint = org.endpoint(app).await;
    let path = format!("/app/{app}/endpoint/{endpoint}/secret");
    let rotated = org.keyed("r", &format!("{path}/rotate"), json!({})).await.ok(200);
    assert_eq!(org.keyed("r", &format!("{path}/rotate"), json!({})).await.ok(200), rotated);
    assert_eq!(org.get(&path).await.ok(200), rotated, "rotated once");

    // Without a body, and about tokens.
    let expire = format!("/auth/app/{app}/expire-all");
    assert!(org.keyed("x", &expire, json!({})).await.ok(204).is_null());
    server.clock.advance(Duration::from_secs(1));
    let access = format!("/auth/app-portal-access/{app}");
    let portal = org.keyed("p", &access, json!({})).await.ok(200);
    assert_eq!(org.keyed("p", &access, json!({})).await.ok(200), portal);
    server.clock.advance(Duration::from_secs(1));
    let reply = org.keyed("x", &expire, json!({})).await;
    assert_eq!((reply.status.as_u16(), reply.body.len()), (204, 0));
    let portal = server.client(portal["token"].as_str().expect("token").to_owned());
    portal.get(&format!("/app/{app}")).await.ok(200);

    org.endpoint(app).await;
    let message = org.message(app).await;
    server.take_hot();
    let path = format!("/app/{app}/msg/{message}/endpoint/{endpoint}/resend");
    for _ in 0..2 {
        assert_eq!(org.keyed("s", &path, Value::Null).await.ok(202), json!({}));
    }
    assert_eq!(server.take_hot().len(), 1);
}

#[tokio::test]
async fn a_portal_token_gets_no_answer_of_another_one() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let path = format!("/app/{app}/endpoint");
    let body = json!({"url": "https://example.com/hook?secret=1"});
    let mine = org.portal(&app, json!({})).await;
    mine.keyed("k", &path, body.clone()).await.ok(201);
    let looks = org.portal(&app, json!({"capabilities": ["ViewBase"]})).await;
    assert_eq!(looks.keyed("k", &path, body.clone()).await.status, 403);
    let other = org.app().await;
    let stranger = org.portal(&other, json!({})).await;
    assert_eq!(stranger.keyed("k", &path, body).await.status, 404);
}

#[tokio::test]
async fn concurrent_duplicates_wait_for_the_first() {
    let server = Server::new().await;
    let org = server.org();
    let body = json!({"name": "a"});
    let replies =
        futures_util::future::join_all((0..20).map(|_| org.keyed("k", "/app", body.clone()))).await;
    let ids: std::collections::HashSet<_> =
        replies.iter().map(|reply| reply.json()["id"].to_string()).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(column(&org.get("/app").await.ok(200), "id").len(), 1);
}

#[tokio::test]
async fn answers_outlive_a_restart() {
    let server = Server::new().await;
    let org = server.org();
    let first = org.keyed("k", "/app", json!({"name": "a"})).await.ok(201);
    let token = org.token.clone().expect("token");
    let again = server.restarted().await;
    assert_eq!(again.client(token).keyed("k", "/app", json!({"name": "b"})).await.ok(201), first);
}
