use std::{sync::Arc, time::Duration};

use domain::{
    clock::Clock,
    delivery::Next,
    id::{OrganizationId, TaskId},
    task::{Outcome, Task, TaskKind, TaskStatus},
};
use serde_json::{Value, json};
use store::statistics;

use crate::support::{Client, Server, column};

const APP: &str = "/stats/usage/app";
const TYPES: &str = "/stats/usage/event-types";

fn day(more: Value) -> Value {
    let mut body = json!({"since": "2026-09-21T00:00:00Z", "until": "2026-09-22T00:00:00Z"});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    body
}

fn organization(server: &Server) -> OrganizationId {
    OrganizationId::generate(server.clock.now(), &*server.entropy)
}

/// Sends messages to the endpoints of an application, each of which fails once and arrives.
async fn traffic(server: &Server, org: &Client<'_>, app: &str, messages: usize) {
    for _ in 0..messages {
        org.message(app).await;
        for hot in server.take_hot() {
            let again = Next::Retry(hot.delivery.due.plus(Duration::from_secs(60)));
            server.settle(&hot, 500, b"", again).await;
        }
    }
    server.store.flush_rollups(&[]).await.expect("flushed");
}

/// The task as it was asked for.
async fn asked(server: &Server, org: OrganizationId, out: &Value) -> Task {
    let id: TaskId = out["id"].as_str().expect("id").parse().expect("an id");
    server.store.task(org, id).await.expect("the store answers").expect("it is there")
}

/// Runs a task, as the engine would.
async fn run(server: &Server, task: Task) {
    let (store, now) = (&*server.store, server.clock.now());
    let found = match &task.kind {
        TaskKind::AppStats { since, until, apps } => {
            statistics::app_stats(store, task.org, apps.as_deref(), (*since, *until), now).await
        }
        _ => statistics::event_types(store, task.org).await,
    };
    let result = Some(Arc::new(found.expect("the store answers")));
    let status = TaskStatus::Finished;
    store.update_task(Task { status, result, ..task }).await.expect("the store answers");
}

#[tokio::test]
async fn attempts_are_counted_by_application() {
    let server = Server::new().await;
    let id = organization(&server);
    let org = server.client_of(id);
    let mut apps = Vec::new();
    for (uid, messages) in [("busy", 3), ("quiet", 0), ("gone", 2)] {
        let app = org.post("/app", json!({"name": uid, "uid": uid})).await.ok(201);
        let app = app["id"].as_str().expect("id").to_owned();
        org.endpoint(&app).await;
        traffic(&server, &org, &app, messages).await;
        apps.push(app);
        // Answers are in the order of ids.
        server.clock.advance(Duration::from_secs(1));
    }
    org.delete("/app/gone").await.ok(204);
    // A source is no application.
    let body = json!({"name": "Received", "type": "generic-webhook", "uid": "source"});
    org.post("/ingest/api/v1/source", body).await.ok(201);
    let stranger = server.org();
    let foreign = stranger.app().await;
    stranger.endpoint(&foreign).await;
    traffic(&server, &stranger, &foreign, 1).await;

    let row = |n: u64, app: usize, uid: Option<&str>| json!({"messageDestinations": n, "appId": apps[app], "appUid": uid});
    let (busy, quiet) = (row(3, 0, Some("busy")), row(0, 1, Some("quiet")));
    for (body, unresolved, want) in [
        (json!({}), json!([]), json!([busy, quiet, row(2, 2, None)])),
        (json!({"appIds": null}), json!([]), json!([busy, quiet, row(2, 2, None)])),
        (
            json!({"appIds": ["busy", apps[0], "gone", foreign, "source"]}),
            json!(["gone", foreign, "source"]),
            json!([busy]),
        ),
        (
            json!({"since": "2026-09-20T00:00:00Z", "until": "2026-09-21T00:00:00Z"}),
            json!([]),
            json!([row(0, 0, Some("busy")), quiet]),
        ),
    ] {
        *server.handed.tasks.lock() = 0;
        let out = org.post(APP, day(body.clone())).await.ok(202);
        assert_eq!(*server.handed.tasks.lock(), 1, "whoever runs tasks is told");
        let told = (&out["status"], &out["task"], &out["unresolvedAppIds"]);
        assert_eq!(told, (&json!("running"), &json!("application.stats"), &unresolved), "{body}");
        let path = format!("/background-task/{}", out["id"].as_str().expect("id"));
        let begun = org.get(&path).await.ok(200);
        assert_eq!((&begun["data"], &begun["updatedAt"]), (&json!({}), &out["updatedAt"]));
        run(&server, asked(&server, id, &out).await).await;
        let ended = org.get(&path).await.ok(200);
        assert_eq!(ended["status"], "finished");
        assert_eq!(ended["data"], json!({"appStats": want}), "{body}");
        assert_eq!(server.org().get(&path).await.status, 404);
        let portal = org.portal("busy", json!({})).await;
        assert_eq!(portal.get(&path).await.status, 404);
        assert_eq!(portal.post(&format!("{path}/cancel"), json!({})).await.status, 404);
    }
    let list = org.get("/background-task?task=application.stats").await.ok(200);
    assert_eq!(column(&list, "status"), ["finished"; 4]);
    let data = list["data"].as_array().expect("data").iter().map(|task| &task["data"]);
    assert_eq!(data.collect::<Vec<_>>(), [&json!({}); 4], "a list stays small");
}

#[tokio::test]
async fn what_applications_listen_to_is_told() {
    let server = Server::new().await;
    let id = organization(&server);
    let org = server.client_of(id);
    let (some, none) = (org.app().await, org.app().await);
    for types in [json!(["user.signup"]), json!(["user.deleted", "user.signup"])] {
        for name in types.as_array().expect("names") {
            let body = json!({"name": name, "description": ""});
            org.post("/event-type", body).await;
        }
        let body = json!({"url": "https://example.com/", "filterTypes": types});
        org.post(&format!("/app/{some}/endpoint"), body).await.ok(201);
    }
    let all = org.app().await;
    org.endpoint(&all).await;
    let out = org.put(TYPES, Value::Null).await.ok(202);
    assert_eq!((&out["status"], &out["task"]), (&json!("running"), &json!("event-type.aggregate")));
    run(&server, asked(&server, id, &out).await).await;
    let path = format!("/background-task/{}", out["id"].as_str().expect("id"));
    let row = |app: &str, types: Value, all: bool| json!({"appId": app, "explicitlySubscribedEventTypes": types, "hasCatchAllEndpoint": all});
    let mut want = [
        row(&some, json!(["user.deleted", "user.signup"]), false),
        row(&none, json!([]), false),
        row(&all, json!([]), true),
    ];
    want.sort_by_key(|row| row["appId"].to_string());
    let told = org.get(&path).await.ok(200);
    assert_eq!(told["data"], json!({"event_types": want}));
    let list = org.get("/background-task?task=event-type.aggregate").await.ok(200);
    assert_eq!(list["data"][0]["data"], json!({}));
}

#[tokio::test]
async fn what_cannot_be_counted_is_refused() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let foreign = server.org().app().await;
    let many: Vec<_> = (0..1_001).map(|n| format!("a{n}")).collect();
    for (body, want) in [
        (json!({"until": "2026-09-21T00:00:00Z"}), (400, "invalid_range")),
        (json!({"until": "2026-09-20T00:00:00Z"}), (400, "invalid_range")),
        (json!({"until": "2027-09-22T00:00:01Z"}), (400, "invalid_range")),
        (json!({"since": "x"}), (422, "body.since")),
        (json!({"until": null}), (422, "body.until")),
        (json!({"appIds": []}), (422, "body.appIds")),
        (json!({"appIds": ["a b"]}), (422, "body.appIds")),
        (json!({"appIds": many}), (422, "body.appIds")),
        (json!({"appIds": [foreign, "nobody"]}), (422, "body.appIds")),
    ] {
        let reply = org.post(APP, day(body.clone())).await;
        assert_eq!(reply.error(), (want.0, want.1.into()), "{body}");
    }
    assert_eq!(org.get("/background-task").await.ok(200)["data"], json!([]));
    let portal = org.portal(&app, json!({})).await;
    for reply in [portal.post(APP, day(json!({}))).await, portal.put(TYPES, Value::Null).await] {
        assert_eq!(reply.error().0, 403);
    }
    // The same key is the same task.
    let first = org.keyed("k", APP, day(json!({}))).await.ok(202);
    assert_eq!(org.keyed("k", APP, day(json!({}))).await.ok(202), first);
}

#[tokio::test]
async fn an_organization_has_a_bounded_number_of_them_open() {
    let server = Server::new().await;
    let org = server.org();
    let mut last = Value::Null;
    for _ in 0..100 {
        last = org.put(TYPES, Value::Null).await.ok(202);
    }
    assert_eq!(org.put(TYPES, Value::Null).await.error(), (409, "conflict".into()));
    assert_eq!(org.post(APP, day(json!({}))).await.error(), (409, "conflict".into()));
    server.org().put(TYPES, Value::Null).await.ok(202);
    let path = format!("/background-task/{}/cancel", last["id"].as_str().expect("id"));
    assert_eq!(org.post(&path, json!({})).await.ok(200)["state"], "cancelled");
    org.post(APP, day(json!({}))).await.ok(202);
}

#[tokio::test]
async fn a_task_that_failed_says_why() {
    let server = Server::new().await;
    let id = organization(&server);
    let org = server.client_of(id);
    let out = org.put(TYPES, Value::Null).await.ok(202);
    let task = asked(&server, id, &out).await;
    let result = Some(Arc::new(Outcome::Failure("too many".into())));
    let failed = Task { status: TaskStatus::Failed, result, ..task };
    server.store.update_task(failed).await.expect("the store answers");
    let path = format!("/background-task/{}", out["id"].as_str().expect("id"));
    let told = org.get(&path).await.ok(200);
    assert_eq!(
        (&told["status"], &told["data"]),
        (&json!("failed"), &json!({"reason": "too many"}))
    );
}
