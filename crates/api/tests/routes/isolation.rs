//! Tenants are apart: every route, with every token that does not belong there. The routes come from
//! the description, so that a new one is tested too.

use bytes::Bytes;
use domain::{
    alert::{Alert, Subject},
    id::{AlertId, OrganizationId, RejectedId},
};
use serde_json::{Value, json};
use store::rejected::RejectedRequest;

use crate::{
    contract::operations,
    ingest::token,
    support::{Client, DELIVERY, Server, succeeded, whole},
};

/// One application with one of everything.
pub struct World {
    pub app: String,
    endpoint: String,
    /// Another endpoint, for listeners.
    listened: String,
    message: String,
    attempt: String,
    task: String,
    /// The id of one of its tokens.
    token: String,
    source: String,
    source_endpoint: String,
    refused: String,
    rule: String,
    alert: String,
}

/// A request that a source refused, and would take now.
async fn refused(server: &Server, source: &Value) -> String {
    let inbound = token(&source["ingestUrl"]);
    let now = domain::clock::Clock::now(&*server.clock);
    let id = RejectedId::generate(now, &*server.entropy);
    let request = RejectedRequest {
        org: inbound.org,
        app: inbound.app,
        id,
        at: now,
        status: 401,
        reason: String::new(),
        method: "POST".into(),
        url: String::new(),
        headers: Vec::new(),
        body: Bytes::from_static(b"genuine"),
        body_bytes: 7,
        expires_at: now.plus(std::time::Duration::from_secs(3_600)),
    };
    server.store.keep_rejected(vec![request]).await.expect("kept");
    id.to_string()
}

/// An alert of that rule.
async fn fired(server: &Server, org: OrganizationId, rule: &str) -> String {
    let now = domain::clock::Clock::now(&*server.clock);
    let alert = Alert {
        org,
        id: AlertId::generate(now, &*server.entropy),
        rule: rule.parse().expect("an id"),
        rule_name: "n".into(),
        condition: "endpoint_disabled".into(),
        subject: Subject::Organization,
        since: now,
        fired_at: now,
        cleared_at: None,
        value: 1.0,
        threshold: 1.0,
        text: String::new(),
        notices: Vec::new(),
    };
    let id = alert.id.to_string();
    assert_eq!(server.store.put_alert(alert).await, Ok(true));
    id
}

impl World {
    pub async fn new(server: &Server, org: &Client<'_>) -> Self {
        let app = org.app().await;
        let endpoint = org.endpoint(&app).await;
        let schemas = json!({"1": {"examples": [{"a": 1}]}});
        let body = json!({"name": "known", "description": "", "schemas": schemas});
        org.post("/event-type", body).await.ok(201);
        let message = org.message(&app).await;
        for hot in server.take_hot() {
            server.settle(&hot, 200, b"ok", succeeded()).await;
        }
        let attempts = org.get(&format!("/app/{app}/attempt/msg/{message}")).await.ok(200);
        let attempt = attempts["data"][0]["id"].as_str().expect("an attempt").to_owned();
        // Of another endpoint: one is recovered once at a time.
        let spare = org.endpoint(&app).await;
        let path = format!("/app/{app}/endpoint/{spare}/recover");
        let task = org.post(&path, json!({"since": "2026-09-20T00:00:00Z"})).await.ok(202);
        let task = task["id"].as_str().expect("id").to_owned();
        let made = org.post("/auth/token", json!({"name": "n", "scope": "full"})).await.ok(201);
        let token = made["id"].as_str().expect("id").to_owned();
        let body = json!({"name": "Received", "type": "generic-webhook"});
        let source = org.post("/ingest/api/v1/source", body).await.ok(201);
        let refused = refused(server, &source).await;
        let owner = crate::ingest::token(&source["ingestUrl"]).org;
        let source = source["id"].as_str().expect("id").to_owned();
        let body = json!({"url": "https://example.com/received"});
        let path = format!("/ingest/api/v1/source/{source}/endpoint");
        let source_endpoint = org.post(&path, body).await.ok(201);
        let source_endpoint = source_endpoint["id"].as_str().expect("id").to_owned();
        let listened = org.listened_endpoint(&app).await;
        let body = json!({"name": "n", "condition": {"type": "endpoint_disabled"}});
        let rule = org.post("/alert/rule", body).await.ok(201);
        let rule = rule["id"].as_str().expect("id").to_owned();
        let alert = fired(server, owner, &rule).await;
        Self {
            app,
            endpoint,
            listened,
            message,
            attempt,
            task,
            token,
            source,
            source_endpoint,
            refused,
            rule,
            alert,
        }
    }

    /// What nobody else is told.
    fn secrets(&self) -> [&str; 12] {
        let Self {
            app,
            endpoint,
            listened,
            message,
            attempt,
            task,
            token,
            source,
            source_endpoint,
            refused,
            rule,
            alert,
        } = self;
        [
            app,
            endpoint,
            listened,
            message,
            attempt,
            task,
            token,
            source,
            source_endpoint,
            refused,
            rule,
            alert,
        ]
    }

    pub fn path(&self, template: &str) -> String {
        let endpoint = match template {
            t if t.contains("{source_id}") => &self.source_endpoint,
            t if t.contains("/listen") => &self.listened,
            _ => &self.endpoint,
        };
        let template = match template {
            "/api/v1/analytics/query" => "/analytics/query?measures=attempts&appId={app_id}",
            "/api/v1/analytics/usage" => "/analytics/usage?month=2026-09",
            template => template,
        };
        template
            .trim_start_matches("/api/v1")
            .replace("{app_id}", &self.app)
            .replace("{source_id}", &self.source)
            .replace("{provider_id}", "github")
            .replace("{endpoint_id}", endpoint)
            .replace("{delivery_id}", DELIVERY)
            .replace("{msg_id}", &self.message)
            .replace("{attempt_id}", &self.attempt)
            .replace("{event_type_name}", "known")
            .replace("{task_id}", &self.task)
            .replace("{token_id}", &self.token)
            .replace("{rule_id}", &self.rule)
            .replace("{alert_id}", &self.alert)
            .replace("{log_id}", &self.refused)
    }
}

/// A body that the route takes.
pub fn body(method: &str, template: &str) -> Value {
    let path = template.trim_start_matches("/api/v1");
    match (method, path) {
        ("GET" | "HEAD" | "DELETE", _) => Value::Null,
        (_, "/app" | "/app/{app_id}") => json!({"name": "n"}),
        (_, "/ingest/api/v1/source" | "/ingest/api/v1/source/{source_id}") => {
            json!({"name": "Another", "type": "generic-webhook"})
        }
        (_, p) if p.ends_with("/endpoint") || p.ends_with("/endpoint/{endpoint_id}") => {
            json!({"url": "https://example.com/other"})
        }
        (_, "/alert/rule" | "/alert/rule/{rule_id}") => {
            json!({"name": "n", "condition": {"type": "endpoint_disabled"}})
        }
        (_, p) if p.ends_with("/verify") => json!({"secrets": ["s"], "request": {"headers": {}}}),
        (_, p) if p.ends_with("/headers") => json!({"headers": {"x-a": "b"}}),
        (_, p) if p.ends_with("/{delivery_id}") => json!({"status": 200}),
        (_, p) if p.contains("/recover") || p.contains("-replay") || p.contains("/replay-") => {
            json!({"since": "2026-09-20T00:00:00Z"})
        }
        (_, "/stats/usage/app") => {
            json!({"since": "2026-09-20T00:00:00Z", "until": "2026-09-21T00:00:00Z"})
        }
        (_, p) if p.ends_with("/send-example") => json!({"eventType": "known"}),
        (_, "/app/{app_id}/msg") => json!({"eventType": "a", "payload": {}}),
        (_, p) if p.ends_with("/batch") => {
            json!({"messages": [{"eventType": "a", "payload": {}}]})
        }
        (_, p) if p.ends_with("/active") => json!({"eventType": "a"}),
        ("POST", "/auth/token") => json!({"name": "another", "scope": "read"}),
        ("POST", "/event-type") => json!({"name": "new", "description": ""}),
        (_, "/event-type/{event_type_name}") => json!({"description": "changed"}),
        _ => json!({}),
    }
}

pub fn is_open(operation: &Value) -> bool {
    operation["security"] == json!([{}])
}

#[tokio::test]
async fn nobody_without_a_token_gets_in() {
    let server = Server::new().await;
    let org = server.org();
    let world = World::new(&server, &org).await;
    let bad = ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "Bearer"];
    for (method, template, operation) in operations() {
        if is_open(&operation) {
            continue;
        }
        let path = world.path(&template);
        let nobody = server.stranger();
        let clients = bad.iter().map(|token| server.client((*token).to_owned()));
        for client in clients.chain([nobody]) {
            let reply = client.call(&method, &path, body(&method, &template)).await;
            assert_eq!(reply.status, 401, "{method} {path}");
            if method != "HEAD" {
                assert_eq!(reply.error().1, "authentication_failed");
            }
            // A body that is not even JSON changes nothing.
            let reply = client.raw(&method, &whole(&path), "{").await;
            assert_eq!(reply.status, 401, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn another_organization_sees_and_changes_nothing() {
    let server = Server::new().await;
    let org = server.org();
    let world = World::new(&server, &org).await;
    let stranger = server.org();
    for (method, template, operation) in operations() {
        if is_open(&operation) {
            continue;
        }
        let path = world.path(&template);
        let reply = stranger.call(&method, &path, body(&method, &template)).await;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        for secret in world.secrets() {
            assert!(!text.contains(secret), "{method} {path}: {text}");
        }
        // Routes that name nothing of ours are its own; PUT makes one of its own.
        let own = !template.contains('{')
            || template.starts_with("/api/v1/provider/")
            || [
                "/api/v1/app/{app_id}",
                "/api/v1/event-type/{event_type_name}",
                "/api/v1/event-type/{event_type_name}/validate",
                "/ingest/api/v1/source/{source_id}",
            ]
            .contains(&template.as_str());
        if !own {
            let status = reply.status.as_u16();
            assert!([403, 404].contains(&status), "{method} {path}: {status} {text}");
        }
    }
    still_whole(&org, &world).await;
}

#[tokio::test]
async fn the_token_of_another_application_sees_and_changes_nothing() {
    let server = Server::new().await;
    let org = server.org();
    let world = World::new(&server, &org).await;
    let other = org.app().await;
    for (method, template, operation) in operations() {
        let catalogue = (method == "GET" || template.ends_with("/validate"))
            && template.starts_with("/api/v1/event-type");
        // Without `appId` it is the caller's own application: see `live.rs`.
        let own = template.ends_with("/logout") || template.ends_with("/live");
        if is_open(&operation) || catalogue || own {
            continue;
        }
        let portal = org.portal(&other, json!({})).await;
        let path = world.path(&template);
        let reply = portal.call(&method, &path, body(&method, &template)).await;
        let status = reply.status.as_u16();
        assert!([403, 404].contains(&status), "{method} {path}: {status}");
    }
    still_whole(&org, &world).await;
}

#[tokio::test]
async fn an_application_token_reaches_its_own_alone() {
    // What a portal may do in its own application; all else is the organization's.
    let portal_may = [
        "v1.analytics.query",
        "v1.application.get",
        "v1.endpoint.list",
        "v1.endpoint.create",
        "v1.endpoint.get",
        "v1.endpoint.upsert",
        "v1.endpoint.patch",
        "v1.endpoint.delete",
        "v1.endpoint.get-secret",
        "v1.endpoint.rotate-secret",
        "v1.endpoint.get-headers",
        "v1.endpoint.set-headers",
        "v1.endpoint.patch-headers",
        "v1.endpoint.get-stats",
        "v1.endpoint.recover",
        "v1.endpoint.recover-preview",
        "v1.endpoint.replay-missing",
        "v1.endpoint.replay-missing-preview",
        "v1.endpoint.bulk-replay",
        "v1.endpoint.bulk-replay-preview",
        "v1.background-task.get",
        "v1.background-task.pause",
        "v1.background-task.resume",
        "v1.background-task.cancel",
        "v1.endpoint.send-example",
        "v1.endpoint.listen",
        "v1.endpoint.acknowledge",
        "v1.endpoint.get-state",
        "v1.live.tail",
        "v1.message.list",
        "v1.message.get",
        "v1.message.search",
        "v1.message-attempt.list-by-endpoint",
        "v1.message-attempt.list-by-msg",
        "v1.message-attempt.list-attempted-messages",
        "v1.message-attempt.list-attempted-destinations",
        "v1.message-attempt.get",
        "v1.message-attempt.get-headers",
        "v1.message-attempt.resend",
        "v1.event-type.list",
        "v1.event-type.get",
        "v1.event-type.validate",
        "v1.authentication.logout",
    ];
    for (method, template, operation) in operations() {
        if is_open(&operation) {
            continue;
        }
        let server = Server::new().await;
        let org = server.org();
        let world = World::new(&server, &org).await;
        let portal = org.portal(&world.app, json!({})).await;
        let path = world.path(&template);
        let reply = portal.call(&method, &path, body(&method, &template)).await;
        let id = operation["operationId"].as_str().expect("id");
        if portal_may.contains(&id) {
            assert!(reply.status.is_success(), "{id}: {reply:?}");
        } else {
            assert_eq!(reply.error(), (403, "insufficient access".into()), "{id}");
        }
        // The same requests are good ones: with the organization's token they are done.
        if id != "v1.authentication.logout" {
            let server = Server::new().await;
            let org = server.org();
            let world = World::new(&server, &org).await;
            let path = world.path(&template);
            let reply = org.call(&method, &path, body(&method, &template)).await;
            assert!(reply.status.is_success(), "{id}: {reply:?}");
        }
    }
}

async fn still_whole(org: &Client<'_>, world: &World) {
    for path in [
        "/app/{app_id}",
        "/app/{app_id}/endpoint/{endpoint_id}",
        "/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}",
        "/ingest/api/v1/source/{source_id}/endpoint/{endpoint_id}",
        "/alert/rule/{rule_id}",
    ] {
        org.get(&world.path(path)).await.ok(200);
    }
    let message = org.get(&world.path("/app/{app_id}/msg/{msg_id}")).await.ok(200);
    assert_eq!(message["payload"], json!({"a": 1}));
    let list = org.get(&world.path("/app/{app_id}/msg")).await.ok(200);
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1));
    let known = org.get("/event-type/known").await.ok(200);
    assert_eq!(known["description"], "");
}
