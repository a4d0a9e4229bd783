use domain::id::OrganizationId;
use serde_json::{Value, json};

use crate::support::{Server, column};

#[tokio::test]
async fn lives_its_life() {
    let server = Server::new().await;
    let org = server.org();
    let schemas = json!({"1": {"type": "object", "examples": [{"a": 1}]}});
    let body = json!({"name": "user.signup", "description": "d", "schemas": schemas,
        "groupName": "users", "featureFlags": ["beta", "gamma"], "retrySchedule": ["5s", "1m30s"]});
    let made = org.post("/event-type", body.clone()).await.ok(201);
    assert_eq!(made["featureFlag"], "beta");
    assert_eq!(made["retrySchedule"], json!(["5s", "1m30s"]));
    assert_eq!(org.get("/event-type/user.signup").await.ok(200), made);
    let reply = org.post("/event-type", body).await;
    assert_eq!(reply.error(), (409, "event_type_exists".into()));

    let listed = org.get("/event-type").await.ok(200);
    assert_eq!(listed["data"][0]["schemas"], Value::Null);
    let listed = org.get("/event-type?with_content=true").await.ok(200);
    assert_eq!(listed["data"][0], made);

    let patched = org.patch("/event-type/user.signup", json!({"schemas": {}})).await.ok(200);
    assert_eq!((&patched["schemas"], &patched["groupName"]), (&json!({}), &json!("users")));
    let patched = org.patch("/event-type/user.signup", json!({"schemas": null})).await.ok(200);
    assert_eq!(patched["schemas"], Value::Null);
    let put = json!({"description": "new", "name": "other"});
    let replaced = org.put("/event-type/user.signup", put).await.ok(200);
    assert_eq!((&replaced["name"], &replaced["groupName"]), (&made["name"], &Value::Null));
    assert_eq!(replaced["createdAt"], made["createdAt"]);
    org.put("/event-type/fresh", json!({"description": "d"})).await.ok(201);

    org.delete("/event-type/user.signup").await.ok(204);
    assert_eq!(org.get("/event-type/user.signup").await.ok(200)["archived"], true);
    assert_eq!(column(&org.get("/event-type").await.ok(200), "name"), ["fresh"]);
    let all = org.get("/event-type?include_archived=true").await.ok(200);
    assert_eq!(column(&all, "name"), ["fresh", "user.signup"]);
    // Making an archived one brings it back.
    let again = json!({"name": "user.signup", "description": "back"});
    let made = org.post("/event-type", again).await.ok(201);
    assert_eq!((&made["archived"], &made["description"]), (&json!(false), &json!("back")));
    org.delete("/event-type/user.signup?expunge=true").await.ok(204);
    org.get("/event-type/user.signup").await.ok(404);
    assert_eq!(org.delete("/event-type/user.signup").await.error().0, 404);
}

#[tokio::test]
async fn are_listed_by_name() {
    let server = Server::new().await;
    let org = server.org();
    for name in ["c", "a", "e", "b", "d"] {
        org.post("/event-type", json!({"name": name, "description": ""})).await.ok(201);
    }
    for (query, want, done) in [
        ("", vec!["a", "b", "c", "d", "e"], true),
        ("?order=descending", vec!["a", "b", "c", "d", "e"], true),
        ("?limit=2", vec!["a", "b"], false),
        ("?limit=2&iterator=b", vec!["c", "d"], false),
        ("?limit=2&iterator=d", vec!["e"], true),
        ("?limit=2&iterator=-d", vec!["b", "c"], false),
        ("?limit=2&iterator=-c", vec!["a", "b"], true),
        ("?iterator=-a", vec![], true),
    ] {
        let page = org.get(&format!("/event-type{query}")).await.ok(200);
        assert_eq!(
            (column(&page, "name"), &page["done"]),
            (want.iter().map(|s| (*s).to_owned()).collect(), &json!(done)),
            "{query}"
        );
    }
    assert_eq!(org.get("/event-type?iterator=a%20b").await.error().0, 422);
}

#[tokio::test]
async fn bad_values_are_refused() {
    let server = Server::new().await;
    let org = server.org();
    for (field, value, loc) in [
        ("name", json!("a b"), "body.name"),
        ("name", json!(""), "body.name"),
        ("name", json!("a".repeat(257)), "body.name"),
        ("description", Value::Null, "body.description"),
        ("description", json!("\u{1}"), "body.description"),
        ("schemas", json!({"1": {"type": "strange"}}), "body.schemas"),
        ("schemas", json!({"1": 5}), "body.schemas"),
        ("schemas", json!([1]), "body.schemas"),
        ("schemas", json!({"1": {"$ref": "http://127.0.0.1:1/x"}}), "body.schemas"),
        ("archived", json!("yes"), "body.archived"),
        ("featureFlags", json!(["a b"]), "body.featureFlags.[0]"),
        ("groupName", json!(""), "body.groupName"),
        ("schemaMode", json!("sometimes"), "body.schemaMode"),
        ("retrySchedule", json!(["5 parsecs"]), "body.retrySchedule"),
        ("retrySchedule", json!(vec!["1s"; 51]), "body.retrySchedule"),
    ] {
        let mut body = json!({"name": "a", "description": "d"});
        body[field] = value.clone();
        let (status, what) = org.post("/event-type", body).await.error();
        assert!(status == 422 && what.starts_with(loc), "{field} {value}: {status} {what}");
    }
    let many: serde_json::Map<_, _> = (0..101).map(|i| (i.to_string(), json!({}))).collect();
    let body = json!({"name": "a", "description": "d", "schemas": many});
    assert_eq!(org.post("/event-type", body).await.error(), (422, "body.schemas".into()));
    org.post("/event-type", json!({"name": "a", "description": "d"})).await.ok(201);
    for body in [json!({"description": null}), json!({"archived": null}), json!({"schemas": 1})] {
        assert_eq!(org.patch("/event-type/a", body).await.status, 422);
    }
    for path in ["/event-type/a%20b", "/event-type/%FF"] {
        assert_eq!(org.get(path).await.status, 422);
    }
}

#[tokio::test]
async fn guarded_ones_are_seen_with_their_flag() {
    let server = Server::new().await;
    let org = server.org();
    for (name, flag) in [("open", Value::Null), ("beta", json!("beta")), ("gamma", json!("gamma"))]
    {
        let body = json!({"name": name, "description": "", "featureFlag": flag});
        org.post("/event-type", body).await.ok(201);
    }
    let app = org.app().await;
    assert_eq!(column(&org.get("/event-type").await.ok(200), "name"), ["beta", "gamma", "open"]);
    for (flags, want) in [(json!([]), vec!["open"]), (json!(["beta"]), vec!["beta", "open"])] {
        let portal = org.portal(&app, json!({"featureFlags": flags})).await;
        assert_eq!(column(&portal.get("/event-type").await.ok(200), "name"), want);
        assert_eq!(portal.get("/event-type/gamma").await.status, 404);
        let beta = if want.contains(&"beta") { 200 } else { 404 };
        assert_eq!(portal.get("/event-type/beta").await.status.as_u16(), beta);
    }
}

#[tokio::test]
async fn those_of_operational_webhooks_are_there() {
    let server = Server::new().await;
    let operators = server.client_of(OrganizationId::management());
    for name in domain::operational::EVENT_TYPES {
        operators.get(&format!("/event-type/{name}")).await.ok(200);
    }
}

#[tokio::test]
async fn payloads_are_tried_against_their_schema() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let schemas = json!({
        "1": {"type": "object", "required": ["old"]},
        "2": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}},
    });
    for (name, with) in [
        ("typed", json!({ "schemas": schemas })),
        ("free", json!({})),
        ("guarded", json!({"schemas": schemas, "featureFlags": ["beta"]})),
    ] {
        let mut body = json!({"name": name, "description": ""});
        let fields = with.as_object().expect("an object").clone();
        body.as_object_mut().expect("an object").extend(fields);
        org.post("/event-type", body).await.ok(201);
    }
    let portal = org.portal(&app, json!({})).await;
    for (name, payload, wrong) in [
        ("typed", json!({"a": 1}), None),
        ("typed", json!({"a": "x"}), Some("/a")),
        ("typed", json!({"old": 1}), Some("")),
        ("free", json!({"anything": []}), None),
    ] {
        for client in [&org, &portal] {
            let path = format!("/event-type/{name}/validate");
            let judged = client.post(&path, payload.clone()).await.ok(200);
            assert_eq!(judged["valid"], wrong.is_none(), "{name} {payload}");
            assert_eq!(judged["errors"][0]["path"].as_str(), wrong, "{name} {payload}");
            let message = judged["errors"][0]["message"].as_str();
            assert_eq!(message.is_some(), wrong.is_some(), "{judged}");
        }
    }
    assert_eq!(portal.post("/event-type/guarded/validate", json!({})).await.status, 404);
    assert_eq!(org.post("/event-type/guarded/validate", json!({})).await.ok(200)["valid"], false);
    assert_eq!(org.post("/event-type/none/validate", json!({})).await.status, 404);
    assert_eq!(server.org().post("/event-type/typed/validate", json!({})).await.status, 404);
    for body in ["", "[1]", "{", "\u{1}"] {
        let reply = org.raw("POST", "/api/v1/event-type/typed/validate", body).await;
        assert_eq!(reply.error(), (422, "body".into()), "{body}");
    }
}
