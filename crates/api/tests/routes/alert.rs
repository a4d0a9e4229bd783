use std::time::Duration;

use domain::{
    alert::{Alert, Channel, MAX_RULES, Notice, Subject},
    id::{AlertId, AlertRuleId, OrganizationId},
};
use serde_json::{Value, json};

use crate::support::{Client, Server};

const RULE: &str = "/alert/rule";
const SLACK: &str = "https://hooks.slack.example/services/T0/hush";

fn rule() -> Value {
    json!({
        "name": "Too few arrive",
        "condition": {"type": "success_rate_below", "percent": 95.5, "windowSecs": 300,
                      "per": "endpoint"},
        "holdSecs": 60,
        "channels": [
            {"type": "operational"},
            {"type": "slack", "url": SLACK},
            {"type": "email", "to": "ops@example.com"},
        ],
    })
}

async fn created(org: &Client<'_>) -> Value {
    org.post(RULE, rule()).await.ok(201)
}

#[tokio::test]
async fn rules_are_kept_without_showing_secrets() {
    let server = Server::new().await;
    let org = server.org();
    let made = created(&org).await;
    assert_eq!((&made["enabled"], &made["holdSecs"]), (&json!(true), &json!(60)));
    assert_eq!(
        made["condition"],
        json!({"type": "success_rate_below", "percent": 95.5, "windowSecs": 300,
               "minAttempts": 10, "per": "endpoint"})
    );
    assert_eq!(
        made["channels"],
        json!([{"type": "operational"}, {"type": "slack", "host": "hooks.slack.example"},
               {"type": "email", "to": "ops@example.com"}])
    );
    let path = format!("{RULE}/{}", made["id"].as_str().expect("id"));
    assert_eq!(org.get(&path).await.ok(200), made);
    let list = org.get(RULE).await.ok(200);
    assert_eq!(list["data"], json!([made]));
    assert!(!list.to_string().contains("hush"));
    assert_eq!(server.org().get(RULE).await.ok(200)["data"], json!([]));

    // A channel without its URL keeps it.
    let mut changed = rule();
    changed["enabled"] = json!(false);
    changed["channels"] = json!([{"type": "operational"}, {"type": "slack"}]);
    server.clock.advance(Duration::from_secs(1));
    let put = org.put(&path, changed.clone()).await.ok(200);
    assert_eq!(put["enabled"], false);
    let id = made["id"].as_str().expect("id").parse::<AlertRuleId>().expect("an id");
    let stored = server.store.all_alert_rules(None, 10).await.expect("rules").remove(0);
    assert_eq!((stored.id, stored.channels.len()), (id, 2));
    assert_eq!(stored.channels[1], Channel::Slack { url: SLACK.parse().expect("a URL") });
    // But not one that stood elsewhere.
    changed["channels"] = json!([{"type": "slack"}]);
    let loc = "body.channels.[0].url".to_owned();
    assert_eq!(org.put(&path, changed).await.error(), (422, loc));

    org.delete(&path).await.ok(204);
    org.get(&path).await.ok(404);
    org.put(&path, rule()).await.ok(404);
    org.delete(&path).await.ok(404);
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let server = Server::new().await;
    let org = server.org();
    let with = |field: &str, value: Value| {
        let mut rule = rule();
        rule[field] = value;
        rule
    };
    let window = json!({"type": "latency_above", "latency": "delivery", "percentile": 95,
                        "millis": 5, "windowSecs": 61});
    let both = json!({"type": "source_rejecting", "share": 5, "count": 5, "windowSecs": 60});
    let nobody = json!({"type": "nothing_received", "appId": "nobody", "windowSecs": 60});
    let median = json!({"type": "latency_above", "latency": "delivery", "percentile": 50,
                        "millis": 5, "windowSecs": 60});
    let many = json!(vec![json!({"type": "operational"}); 11]);
    for (body, loc) in [
        (with("name", json!(" ")), "body.name"),
        (with("name", json!("a".repeat(257))), "body.name"),
        (with("holdSecs", json!(86_401)), "body.holdSecs"),
        (with("holdSecs", json!(-1)), "body.holdSecs"),
        (with("condition", json!({"type": "no_such"})), "body.condition.type"),
        (with("condition", json!({"type": "backlog_age"})), "body.condition.overSecs"),
        (
            with("condition", json!({"type": "backlog_age", "overSecs": 0})),
            "body.condition.overSecs",
        ),
        (with("condition", window), "body.condition.windowSecs"),
        (with("condition", both), "body.condition.share"),
        (with("condition", nobody), "body.condition.appId"),
        (with("condition", median), "body.condition.percentile"),
        (with("channels", many), "body.channels"),
        (with("channels", json!([{"type": "pager"}])), "body.channels.[0].type"),
        (with("channels", json!([{"type": "slack"}])), "body.channels.[0].url"),
        (with("channels", json!([{"type": "slack", "url": "ftp://x"}])), "body.channels.[0].url"),
        (
            with("channels", json!([{"type": "email", "to": "a@b\r\nBcc: c@d"}])),
            "body.channels.[0].to",
        ),
    ] {
        assert_eq!(org.post(RULE, body.clone()).await.error(), (422, loc.into()), "{body}");
    }
    assert_eq!(org.raw("POST", "/api/v1/alert/rule", "{").await.status, 422);
    assert_eq!(org.get(RULE).await.ok(200)["data"], json!([]));
    let reply = org.get(&format!("{RULE}/nonsense")).await;
    assert_eq!(reply.error(), (422, "path.rule_id".into()));
}

#[tokio::test]
async fn there_are_so_many_and_no_more() {
    let server = Server::new().await;
    let org = server.org();
    for _ in 0..MAX_RULES {
        created(&org).await;
    }
    assert_eq!(org.post(RULE, rule()).await.status, 409);
    created(&server.org()).await;
}

#[tokio::test]
async fn conditions_come_back_as_they_were() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    for condition in [
        json!({"type": "endpoint_failing", "forSecs": 600}),
        json!({"type": "endpoint_disabled"}),
        json!({"type": "backlog_age", "overSecs": 60}),
        json!({"type": "latency_above", "latency": "response", "percentile": 99, "millis": 1500,
               "windowSecs": 3600, "minAttempts": 3, "per": "organization"}),
        json!({"type": "source_rejecting", "share": 12.5, "count": null, "minRequests": 5,
               "windowSecs": 120}),
        json!({"type": "source_rejecting", "share": null, "count": 7, "minRequests": null,
               "windowSecs": 120}),
        json!({"type": "nothing_received", "appId": app, "windowSecs": 90}),
    ] {
        let made = org.post(RULE, json!({"name": "n", "condition": condition})).await.ok(201);
        assert_eq!(made["condition"], condition);
    }
    let foreign = json!({"type": "nothing_received", "appId": app, "windowSecs": 90});
    let body = json!({"name": "n", "condition": foreign});
    assert_eq!(server.org().post(RULE, body).await.error().1, "body.condition.appId");
}

#[tokio::test]
async fn channels_are_tried() {
    let server = Server::new().await;
    let org = server.org();
    let made = created(&org).await;
    let path = format!("{RULE}/{}/test", made["id"].as_str().expect("id"));
    let told = org.post(&path, json!({})).await.ok(200);
    let slack = json!({"type": "slack", "host": "hooks.slack.example"});
    assert_eq!(
        told["data"][1],
        json!({"channel": slack, "sent": false, "error": "it answered 404"})
    );
    assert_eq!(told["data"][0]["sent"], true);
    assert_eq!(told["data"].as_array().map(Vec::len), Some(3));
    // Without anybody who tells.
    let server = Server::with(|options| options.alerts = None).await;
    let org = server.org();
    let reply = org.post(RULE, rule()).await;
    assert_eq!(reply.error(), (422, "body.channels.[2].type".into()));
    let body = json!({"name": "n", "condition": {"type": "endpoint_disabled"}});
    let made = org.post(RULE, body).await.ok(201);
    let path = format!("{RULE}/{}/test", made["id"].as_str().expect("id"));
    assert_eq!(org.post(&path, json!({})).await.status, 503);
}

#[tokio::test]
async fn what_fired_is_listed() {
    let server = Server::new().await;
    let id = OrganizationId::generate(domain::clock::Clock::now(&*server.clock), &*server.entropy);
    let org = server.client_of(id);
    for i in 0..3_u64 {
        let now = domain::clock::Clock::now(&*server.clock);
        let alert = Alert {
            org: id,
            id: AlertId::generate(now, &*server.entropy),
            rule: AlertRuleId::generate(now, &*server.entropy),
            rule_name: format!("{i}"),
            condition: "backlog_age".into(),
            subject: Subject::Organization,
            since: now,
            fired_at: now,
            cleared_at: (i == 1).then_some(now),
            value: 90.5,
            threshold: 60.0,
            text: "It waits.".into(),
            notices: vec![Notice::new(false, 0, "slack hooks.slack.example".into(), now)],
        };
        assert_eq!(server.store.put_alert(alert).await, Ok(true));
        server.clock.advance(Duration::from_secs(1));
    }
    let names = |list: Value| {
        let data = list["data"].as_array().expect("data").clone();
        data.into_iter().map(|alert| alert["ruleName"].as_str().expect("name").to_owned()).collect()
    };
    let all: Vec<String> = names(org.get("/alert").await.ok(200));
    assert_eq!(all, ["2", "1", "0"]);
    let open: Vec<String> = names(org.get("/alert?open=true&order=ascending").await.ok(200));
    assert_eq!(open, ["0", "2"]);
    let first = org.get("/alert?limit=1").await.ok(200);
    let alert = &first["data"][0];
    assert_eq!((&alert["value"], &alert["appId"]), (&json!(90.5), &Value::Null));
    assert_eq!(alert["notices"][0]["event"], "alert.fired");
    assert_eq!(alert["notices"][0]["channel"], "slack hooks.slack.example");
    let path = format!("/alert/{}", alert["id"].as_str().expect("id"));
    assert_eq!(org.get(&path).await.ok(200), *alert);
    assert_eq!(server.org().get(&path).await.status, 404);
    assert_eq!(org.get("/alert/x").await.error(), (422, "path.alert_id".into()));
    assert_eq!(server.org().get("/alert").await.ok(200)["data"], json!([]));
    assert_eq!(org.get("/alert?open=x").await.status, 400);
}
