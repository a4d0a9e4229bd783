//! Two nodes over one store, and no news between them: what was done through one is obeyed by the other,
//! whatever that has in its memory.

use std::time::Duration;

use domain::{
    clock::{Clock, Timestamp},
    token::{Actor, Revocation, Revoked},
};
use futures_util::{FutureExt, future::join_all};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{Client, DAY, Server, column};

fn message() -> Value {
    json!({"eventType": "typed", "payload": {"a": 1}})
}

/// To which endpoints a node sent a message.
fn sent_to(node: &Server) -> Vec<String> {
    node.take_hot().iter().map(|hot| hot.delivery.endpoint.to_string()).collect()
}

fn schema(required: &str) -> Value {
    json!({"name": "typed", "description": "", "schemaMode": "reject",
        "schemas": {"1": {"type": "object", "required": [required]}}})
}

#[tokio::test]
async fn an_application_is_there_as_soon_as_it_is_made_and_no_longer_than_that() {
    let (a, b) = Server::two().await;
    let here = a.org();
    let there = b.caller(&here);
    let path = "/app/acme/msg";
    assert_eq!(there.post(path, message()).await.error(), (404, "not_found".into()));
    let first = here.post("/app", json!({"name": "Acme", "uid": "acme"})).await.ok(201);
    here.endpoint("acme").await;
    there.post(path, message()).await.ok(202);
    assert_eq!(b.take_hot().len(), 1);

    // Its uid goes to another one.
    let first = format!("/app/{}", first["id"].as_str().expect("id"));
    here.patch(&first, json!({"uid": null})).await.ok(200);
    let second = here.post("/app", json!({"name": "Acme", "uid": "acme"})).await.ok(201);
    let endpoint = here.endpoint("acme").await;
    there.post(path, message()).await.ok(202);
    let hot = b.take_hot();
    assert_eq!(hot[0].message.app.to_string(), second["id"].as_str().expect("id"));
    assert_eq!(hot[0].delivery.endpoint.to_string(), endpoint);

    // And again, when that has been deleted.
    here.delete("/app/acme").await.ok(204);
    here.post("/app", json!({"name": "Acme", "uid": "acme"})).await.ok(201);
    let endpoint = here.endpoint("acme").await;
    there.post(path, message()).await.ok(202);
    assert_eq!(sent_to(&b), [endpoint]);
    here.delete("/app/acme").await.ok(204);
    assert_eq!(there.post(path, message()).await.error(), (404, "not_found".into()));
    let batch = json!({"messages": [message()]});
    assert_eq!(there.post("/app/acme/msg/batch", batch).await.error(), (404, "not_found".into()));
}

#[tokio::test]
async fn endpoints_of_other_nodes_are_sent_to_and_no_others() {
    let (a, b) = Server::two().await;
    let here = a.org();
    let there = b.caller(&here);
    let app = here.app().await;
    let path = format!("/app/{app}/msg");
    let post = async || {
        there.post(&path, message()).await.ok(202);
        sent_to(&b)
    };
    assert!(post().await.is_empty());
    let endpoint = here.endpoint(&app).await;
    assert_eq!(post().await, [endpoint.as_str()]);
    let at = format!("/app/{app}/endpoint/{endpoint}");
    here.patch(&at, json!({"disabled": true})).await.ok(200);
    assert!(post().await.is_empty());
    here.patch(&at, json!({"disabled": false, "channels": ["c"]})).await.ok(200);
    assert!(post().await.is_empty());
    here.patch(&at, json!({"channels": null})).await.ok(200);
    assert_eq!(post().await, [endpoint.as_str()]);
    // An example goes to one that has just been made, and to none that has just been deleted.
    let other = here.endpoint(&app).await;
    let example = json!({"eventType": "svix.ping"});
    let send = format!("/app/{app}/endpoint/{other}/send-example");
    there.post(&send, example.clone()).await.ok(200);
    assert_eq!(sent_to(&b), [other.as_str()]);
    here.delete(&format!("/app/{app}/endpoint/{other}")).await.ok(204);
    assert_eq!(there.post(&send, example).await.error(), (404, "not_found".into()));
    here.delete(&at).await.ok(204);
    assert!(post().await.is_empty());
}

#[tokio::test]
async fn schemas_of_other_nodes_refuse_and_let_pass() {
    let (a, b) = Server::two().await;
    let here = a.org();
    let there = b.caller(&here);
    let app = here.app().await;
    let path = format!("/app/{app}/msg");
    let post = async || there.post(&path, message()).await.status.as_u16();
    assert_eq!(post().await, 202);
    // Added, relaxed, made strict, switched off, and on for all.
    here.post("/event-type", schema("name")).await.ok(201);
    assert_eq!(post().await, 422);
    here.put("/event-type/typed", schema("a")).await.ok(200);
    assert_eq!(post().await, 202);
    here.put("/event-type/typed", schema("name")).await.ok(200);
    assert_eq!(post().await, 422);
    here.patch("/event-type/typed", json!({"schemaMode": null})).await.ok(200);
    assert_eq!(post().await, 202);
    here.patch("/environment/settings", json!({"schemaMode": "reject"})).await.ok(200);
    assert_eq!(post().await, 422);
    here.delete("/event-type/typed?expunge=true").await.ok(204);
    assert_eq!(post().await, 202);
    // Settings that the message itself is made of.
    here.patch("/environment/settings", json!({"payloadRetention": "2d"})).await.ok(200);
    here.endpoint(&app).await;
    b.take_hot();
    assert_eq!(post().await, 202);
    let message = b.take_hot().remove(0).message;
    assert_eq!(message.expires_at, message.created_at.plus(2 * DAY));
    here.patch("/environment/settings", json!({"maxPendingDeliveries": 1})).await.ok(200);
    assert_eq!(post().await, 429);
}

/// How somebody who is allowed to publishes, through the other node.
async fn example(client: &Client<'_>, at: &str) -> u16 {
    let body = json!({"eventType": "svix.ping"});
    client.post(&format!("{at}/send-example"), body).await.status.as_u16()
}

#[tokio::test]
async fn no_message_is_taken_with_a_token_that_another_node_revoked() {
    let (a, b) = Server::two().await;
    let here = a.org();
    for warm in [true, false] {
        let app = here.app().await;
        let at = format!("/app/{app}/endpoint/{}", here.endpoint(&app).await);
        let portal = async |session: &str| {
            let client = here.portal(&app, json!({"sessionId": session})).await;
            (b.caller(&client), client)
        };
        let logged_out = portal("a").await;
        let ended = portal("b").await;
        let good = portal("c").await;
        if warm {
            for (there, _) in [&logged_out, &ended, &good] {
                assert_eq!(example(there, &at).await, 200);
            }
        }
        logged_out.1.post("/auth/logout", Value::Null).await.ok(204);
        // Where the catalogue is newer than what is known to be revoked, no message is stale.
        if !warm {
            b.state.publisher.catalogues().forget_all();
        }
        assert_eq!(example(&logged_out.0, &at).await, 401);
        assert_eq!(example(&ended.0, &at).await, 200);
        let expire = format!("/auth/app/{app}/expire-all");
        here.post(&expire, json!({"sessionIds": ["b"]})).await.ok(204);
        if !warm {
            b.state.publisher.catalogues().forget_all();
        }
        let send = format!("{at}/send-example");
        let reply = ended.0.post(&send, json!({"eventType": "svix.ping"})).await;
        assert_eq!(reply.error(), (401, "authentication_failed".into()));
        assert_eq!(reply.headers["www-authenticate"], "Bearer");
        assert_eq!(example(&good.0, &at).await, 200);
    }
}

/// Ends a token, as the store knows it.
async fn revoke(node: &Server, client: &Client<'_>) {
    let request = client.request("GET", "/").body(()).expect("a request");
    let caller = node
        .state
        .auth
        .caller(request.method(), request.headers(), node.clock.now())
        .expect("a token");
    let revocation = Revocation {
        what: Revoked::Token(caller.hash),
        issued_until: node.clock.now(),
        at: Timestamp::EPOCH,
        forget_at: caller.expires_at,
    };
    node.store.revoke(&Actor::System, caller.org, None, revocation).await.expect("revokes");
}

#[tokio::test]
async fn every_way_to_post_is_closed_to_a_revoked_token() {
    let (a, b) = Server::two().await;
    let here = a.org();
    let app = here.app().await;
    here.endpoint(&app).await;
    let path = format!("/app/{app}/msg");
    let batch = json!({"messages": [message(), message()]});
    let in_line =
        json!({"eventType": "a", "payload": {}, "application": {"name": "n", "uid": "u"}});
    let ways = [(path.clone(), message()), (format!("{path}/batch"), batch), (path, in_line)];
    for (path, body) in ways {
        // Another token of the organization.
        a.clock.advance(Duration::from_secs(1));
        let org = a.tenant_of(&here).parse().expect("an organization");
        let there = b.caller(&a.client_of(org));
        let reply = there.post(&path, body.clone()).await;
        assert!(reply.status.is_success(), "{path}");
        revoke(&b, &there).await;
        let posted = b.take_hot().len();
        assert!(posted > 0);
        let reply = there.post(&path, body).await;
        assert_eq!(reply.error(), (401, "authentication_failed".into()), "{path}");
        assert!(b.take_hot().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn whoever_is_not_known_to_be_revoked_is_not_let_in_where_the_store_is_away() {
    let (a, b) = Server::two().await;
    let here = a.org();
    let there = b.caller(&here);
    let app = here.app().await;
    there.post(&format!("/app/{app}/msg"), message()).await.ok(202);
    revoke(&a, &here).await;
    b.state.refresh_revocations().await.expect("the store answers");
    b.memory().set_unavailable(true);
    assert!(b.state.refresh_revocations().await.is_err());
    assert_eq!(there.get("/app").await.status, 401, "what is known stays");
}

#[tokio::test(start_paused = true)]
async fn revocations_of_other_nodes_are_heard_of() {
    let (a, b) = Server::two().await;
    let here = a.org();
    let app = here.app().await;
    let at = format!("/app/{app}");
    let hint = Notify::new();
    let mut watch = Box::pin(b.state.watch_revocations(&hint));
    for (hinted, away) in [(true, false), (false, false), (false, true)] {
        let portal = here.portal(&app, json!({})).await;
        let there = b.caller(&portal);
        assert!(watch.as_mut().now_or_never().is_none());
        there.get(&at).await.ok(200);
        portal.post("/auth/logout", Value::Null).await.ok(204);
        assert!(watch.as_mut().now_or_never().is_none());
        there.get(&at).await.ok(200);
        if hinted {
            hint.notify_one();
        } else {
            b.memory().set_unavailable(away);
            tokio::time::advance(Duration::from_secs(1)).await;
            if away {
                assert!(watch.as_mut().now_or_never().is_none());
                b.memory().set_unavailable(false);
                tokio::time::advance(Duration::from_secs(1)).await;
            }
        }
        assert!(watch.as_mut().now_or_never().is_none());
        assert_eq!(there.get(&at).await.status, 401);
        a.clock.advance(Duration::from_millis(10));
        b.clock.advance(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn a_node_alone_has_nothing_to_keep_up_with() {
    let server = Server::in_memory().await;
    assert!(server.state.watch_revocations(&Notify::new()).now_or_never().is_some());
}

/// "At once" does not depend on whose clock is ahead.
#[tokio::test]
async fn a_token_ends_at_once_on_a_node_whose_clock_is_behind() {
    let (a, b) = Server::two().await;
    a.clock.advance(Duration::from_millis(900));
    let here = a.org();
    let app = here.app().await;
    let portal = here.portal(&app, json!({})).await;
    let logged_out = here.portal(&app, json!({"expiry": 3_600})).await;
    let at = format!("/app/{app}");
    logged_out.post("/auth/logout", Value::Null).await.ok(204);
    here.post(&format!("/auth/app/{app}/expire-all"), json!({})).await.ok(204);
    b.state.refresh_revocations().await.expect("the store answers");
    for client in [portal, logged_out] {
        assert_eq!(b.caller(&client).get(&at).await.status, 401);
    }
}

#[tokio::test]
async fn what_other_nodes_changed_is_shown_and_decided_by() {
    let (a, b) = Server::two().await;
    let here = a.org();
    let there = b.caller(&here);
    let app = here.app().await;
    let endpoint = here.endpoint(&app).await;
    let at = format!("/app/{app}/endpoint/{endpoint}");
    let active = async || {
        let path = format!("/app/{app}/msg/precheck/active");
        there.post(&path, json!({"eventType": "typed"})).await.ok(200)["active"] == json!(true)
    };
    // All of it is in the other node's memory.
    there.post(&format!("/app/{app}/msg"), message()).await.ok(202);
    let secret = there.get(&format!("{at}/secret")).await.ok(200);
    assert!(active().await);

    let rotated = here.post(&format!("{at}/secret/rotate"), json!({})).await.ok(200);
    assert_ne!(rotated, secret);
    assert_eq!(there.get(&format!("{at}/secret")).await.ok(200), rotated);
    here.put(&format!("{at}/headers"), json!({"headers": {"x-a": "b"}})).await.ok(204);
    let headers = there.get(&format!("{at}/headers")).await.ok(200);
    assert_eq!(headers["headers"], json!({"x-a": "b"}));
    here.patch(&at, json!({"disabled": true})).await.ok(200);
    assert!(!active().await);

    // Event types: listed, and known to endpoints.
    let guarded = json!({"name": "typed", "description": "", "featureFlags": ["beta"],
        "schemas": {"1": {"examples": [{"a": 1}]}}});
    let filter = json!({"filterTypes": ["typed"]});
    assert_eq!(there.patch(&at, filter.clone()).await.error(), (422, "body.eventTypes".into()));
    here.post("/event-type", guarded).await.ok(201);
    assert_eq!(column(&there.get("/event-type").await.ok(200), "name"), ["typed"]);
    there.patch(&at, filter).await.ok(200);
    let portal = b.caller(&here.portal(&app, json!({})).await);
    let example = json!({"eventType": "typed"});
    let send = format!("{at}/send-example");
    assert_eq!(portal.post(&send, example.clone()).await.error(), (404, "not_found".into()));
    here.patch("/event-type/typed", json!({"featureFlags": []})).await.ok(200);
    portal.post(&send, example).await.ok(200);

    // A portal token is made for whoever has the uid now.
    let uid = json!({"name": "n", "uid": "u"});
    let first = here.post("/app", uid.clone()).await.ok(201);
    there.portal("u", json!({})).await;
    here.delete(&format!("/app/{}", first["id"].as_str().expect("id"))).await.ok(204);
    let second = here.post("/app", uid).await.ok(201);
    let second = format!("/app/{}", second["id"].as_str().expect("id"));
    let portal = there.portal("u", json!({})).await;
    portal.get(&second).await.ok(200);

    // Nothing of an application that is gone.
    here.delete(&format!("/app/{app}")).await.ok(204);
    for path in [format!("/app/{app}/msg"), format!("/app/{app}/endpoint"), format!("{at}/stats")] {
        assert_eq!(there.get(&path).await.error(), (404, "not_found".into()), "{path}");
    }
}

#[tokio::test]
async fn many_refused_at_once_are_all_answered() {
    let (a, b) = Server::two().await;
    let here = a.org();
    let there = b.caller(&here);
    let app = here.app().await;
    here.post("/event-type", schema("name")).await.ok(201);
    let path = format!("/app/{app}/msg");
    let refused = join_all((0..100).map(|_| there.post(&path, message()))).await;
    for reply in refused {
        assert_eq!(reply.error(), (422, "body.payload".into()));
    }
}
