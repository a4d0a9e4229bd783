//! Sending again: what is asked for, how much it would be, and tasks that are steered.

use std::time::Duration;

use domain::delivery::{Cause, EndState, Next};
use serde_json::{Value, json};

use crate::support::{Client, Server, column, succeeded};

const SINCE: &str = "2026-09-20T00:00:00Z";

/// An application with an endpoint that was sent four messages: two arrived, one failed for good, one
/// waits; and one that came later and was sent nothing.
struct World {
    app: String,
    sent: String,
    fresh: String,
}

impl World {
    async fn new(server: &Server, org: &Client<'_>) -> Self {
        let app = org.app().await;
        let sent = org.endpoint(&app).await;
        for (event_type, tag) in [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")] {
            let body = json!({"eventType": event_type, "payload": {}, "tags": [tag]});
            org.post(&format!("/app/{app}/msg"), body).await.ok(202);
            server.clock.advance(Duration::from_secs(1));
        }
        let failed = Next::End(EndState::Exhausted, Cause::LastTry);
        let outcomes = [(200, succeeded()), (204, succeeded()), (503, failed)];
        for (hot, (code, next)) in server.take_hot().iter().zip(outcomes) {
            server.settle(hot, code, b"", next).await;
        }
        server.clock.advance(Duration::from_secs(1));
        let fresh = org.endpoint(&app).await;
        Self { app, sent, fresh }
    }

    fn at(&self, endpoint: &str, what: &str) -> String {
        format!("/app/{}/endpoint/{endpoint}/{what}", self.app)
    }
}

fn asked(with: Value) -> Value {
    let mut body = json!({ "since": SINCE });
    let fields = with.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(fields);
    body
}

#[tokio::test]
async fn previews_count_what_would_be_sent() {
    let server = Server::new().await;
    let org = server.org();
    let world = World::new(&server, &org).await;
    for (endpoint, what, with, want) in [
        (&world.sent, "recover", json!({}), 1),
        (&world.sent, "replay-missing", json!({}), 0),
        (&world.fresh, "replay-missing", json!({}), 4),
        (&world.fresh, "replay-missing", json!({"until": "2026-09-20T00:00:01Z"}), 0),
        (&world.fresh, "bulk-replay", json!({}), 0),
        (&world.sent, "bulk-replay", json!({}), 4),
        (&world.sent, "bulk-replay", json!({"eventTypes": ["b", "c"]}), 2),
        (&world.sent, "bulk-replay", json!({"eventTypes": ["b"], "tag": "x"}), 1),
        (&world.sent, "bulk-replay", json!({"channel": "none"}), 0),
        (&world.sent, "bulk-replay", json!({"status": 0}), 2),
        (&world.sent, "bulk-replay", json!({"status": 1}), 1),
        (&world.sent, "bulk-replay", json!({"status": 2, "eventTypes": ["a"]}), 0),
        (&world.sent, "bulk-replay", json!({"statusCodeClass": 200}), 2),
        (&world.sent, "bulk-replay", json!({"statusCodeClass": 500, "status": 2}), 1),
        (&world.sent, "bulk-replay", json!({"statusCodeClass": 0}), 0),
    ] {
        let path = world.at(endpoint, &format!("{what}/preview"));
        let preview = org.post(&path, asked(with.clone())).await.ok(200);
        assert_eq!(preview, json!({"messages": want, "capped": false}), "{what} {with}");
    }
    assert_eq!(column(&org.get("/background-task").await.ok(200), "id"), [""; 0]);
}

#[tokio::test]
async fn replays_are_tasks_with_a_total() {
    let server = Server::new().await;
    let org = server.org();
    let world = World::new(&server, &org).await;
    let mut made = Vec::new();
    for (endpoint, what, kind, total) in [
        (&world.fresh, "replay-missing", "endpoint.replay", 4),
        (&world.sent, "bulk-replay", "endpoint.bulk-replay", 4),
    ] {
        let path = world.at(endpoint, what);
        let task = org.post(&path, asked(json!({}))).await.ok(202);
        assert_eq!((&task["status"], &task["task"]), (&json!("running"), &json!(kind)));
        let id = task["id"].as_str().expect("id").to_owned();
        let shown = org.get(&format!("/background-task/{id}")).await.ok(200);
        let data = json!({"messagesSent": 0, "scanned": 0, "total": total,
            "appId": world.app, "endpointId": endpoint});
        assert_eq!((&shown["data"], &shown["state"]), (&data, &json!("running")));
        // Whatever is asked for next.
        for other in ["recover", "replay-missing", "bulk-replay"] {
            let reply = org.post(&world.at(endpoint, other), asked(json!({}))).await;
            assert_eq!(reply.error(), (409, "conflict".into()), "{other}");
        }
        made.insert(0, id);
        server.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(column(&org.get("/background-task").await.ok(200), "id"), made);
    let one = org.get("/background-task?task=endpoint.replay").await.ok(200);
    assert_eq!(column(&one, "id"), made[1..]);
}

#[tokio::test]
async fn what_cannot_be_replayed_is_refused() {
    let server = Server::new().await;
    let org = server.org();
    let world = World::new(&server, &org).await;
    for (what, body, at) in [
        ("replay-missing", json!({}), "body.since"),
        ("replay-missing", json!({"since": "soon"}), "body.since"),
        ("replay-missing", asked(json!({"until": "2026-09-19T00:00:00Z"})), "body.since"),
        ("bulk-replay", asked(json!({"until": "2026-09-19T00:00:00Z"})), "body.since"),
        ("bulk-replay", asked(json!({"eventTypes": []})), "body.eventTypes"),
        ("bulk-replay", asked(json!({"eventTypes": ["a b"]})), "body.eventTypes"),
        ("bulk-replay", asked(json!({"channel": ""})), "body.channel"),
        ("bulk-replay", asked(json!({"tag": "a b"})), "body.tag"),
        ("bulk-replay", asked(json!({"status": 5})), "body.status"),
        ("bulk-replay", asked(json!({"statusCodeClass": 600})), "body.statusCodeClass"),
    ] {
        for path in [what.to_owned(), format!("{what}/preview")] {
            let reply = org.post(&world.at(&world.sent, &path), body.clone()).await;
            assert_eq!(reply.error(), (422, at.into()), "{path} {body}");
        }
    }
    for what in ["replay-missing", "bulk-replay", "recover/preview"] {
        let reply = org.post(&world.at("ep_none", what), asked(json!({}))).await;
        assert!([404, 422].contains(&reply.status.as_u16()), "{what}: {reply:?}");
        let reader = org.portal(&world.app, json!({"capabilities": ["ViewBase"]})).await;
        let reply = reader.post(&world.at(&world.sent, what), asked(json!({}))).await;
        assert_eq!(reply.status, 403, "{what}");
    }
}

#[tokio::test]
async fn tasks_are_paused_resumed_and_cancelled() {
    let server = Server::new().await;
    let org = server.org();
    let world = World::new(&server, &org).await;
    let portal = org.portal(&world.app, json!({})).await;
    let other = org.app().await;
    let neighbour = org.portal(&other, json!({})).await;
    let reader = org.portal(&world.app, json!({"capabilities": ["ViewBase"]})).await;
    let path = world.at(&world.sent, "bulk-replay");
    let task = org.post(&path, asked(json!({}))).await.ok(202);
    let path = format!("/background-task/{}", task["id"].as_str().expect("id"));
    for (client, what, status, state) in [
        (&org, "pause", "running", "paused"),
        (&portal, "pause", "running", "paused"),
        (&portal, "resume", "running", "running"),
        (&org, "resume", "running", "running"),
        (&org, "pause", "running", "paused"),
        (&portal, "cancel", "finished", "cancelled"),
        (&org, "cancel", "finished", "cancelled"),
    ] {
        for (stranger, refused) in [(&neighbour, 404), (&server.org(), 404), (&reader, 403)] {
            let reply = stranger.post(&format!("{path}/{what}"), json!({})).await;
            assert_eq!(reply.status, refused, "{what}");
        }
        *server.handed.tasks.lock() = 0;
        let steered = client.post(&format!("{path}/{what}"), json!({})).await.ok(200);
        assert_eq!((&steered["status"], &steered["state"]), (&json!(status), &json!(state)));
        assert_eq!(portal.get(&path).await.ok(200), steered);
        let told = *server.handed.tasks.lock() > 0;
        assert_eq!(told, what == "resume", "the engine is told");
        let listed = org.get(&format!("/background-task?status={status}")).await.ok(200);
        assert_eq!(listed["data"], json!([steered]), "{what}");
    }
    for what in ["pause", "resume"] {
        let reply = org.post(&format!("{path}/{what}"), json!({})).await;
        assert_eq!(reply.error(), (409, "conflict".into()), "{what}");
    }
    let reply = org.post("/background-task/x/pause", json!({})).await;
    assert_eq!(reply.error(), (422, "path.task_id".into()));
}

#[tokio::test]
async fn what_the_store_does_for_itself_is_not_steered() {
    let server = Server::new().await;
    let org = server.org();
    let world = World::new(&server, &org).await;
    org.delete(&format!("/app/{}/endpoint/{}", world.app, world.sent)).await.ok(204);
    let tasks = server.store.running_tasks(&domain::shard::ShardSet::ALL, 9).await;
    let tasks = tasks.expect("the store answers");
    assert_eq!(tasks.len(), 1);
    for what in ["", "/pause", "/cancel"] {
        let method = if what.is_empty() { "GET" } else { "POST" };
        let path = format!("/background-task/{}{what}", tasks[0].id);
        assert_eq!(org.call(method, &path, Value::Null).await.status, 404, "{what}");
    }
}
