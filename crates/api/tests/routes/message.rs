use std::time::Duration;

use domain::clock::Clock;
use serde_json::{Value, json};

use crate::support::{DAY, Server, column};

#[tokio::test]
async fn is_stored_handed_over_and_answered_as_posted() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let endpoint = org.endpoint(&app).await;
    let text = r#"{ "z": 1.50,  "a":1e2, "big": 123456789012345678901234567890 }"#;
    let body = format!(
        r#"{{"eventType":"user.signup","payload":{text},"eventId":"evt-1",
            "channels":["a","b:c","a"],"tags":["x/y"],"unknown":[[1]]}}"#
    );
    let path = format!("/api/v1/app/{app}/msg");
    let reply = org.raw("POST", &path, body).await;
    assert_eq!(reply.status, 202);
    assert!(String::from_utf8_lossy(&reply.body).contains(text), "the payload as it came");
    let made = reply.json();
    assert_eq!(made["channels"], json!(["a", "b:c"]));
    assert_eq!(made["tags"], json!(["x/y"]));
    assert_eq!(made["deliverAt"], Value::Null);
    assert!(made.as_object().expect("object").contains_key("deliverAt"));

    let hot = server.take_hot();
    assert_eq!(hot.len(), 1);
    assert_eq!(hot[0].delivery.endpoint.to_string(), endpoint);
    assert_eq!(hot[0].message.body.as_ref().expect("body").bytes, text);

    let id = made["id"].as_str().expect("id");
    for name in [id, "evt-1"] {
        let reply = org.get(&format!("/app/{app}/msg/{name}")).await;
        assert!(String::from_utf8_lossy(&reply.body).contains(text));
        assert_eq!(reply.ok(200), made);
    }
    let got = org.get(&format!("/app/{app}/msg/{id}?with_content=false")).await.ok(200);
    assert_eq!(got["payload"], json!({}));

    let again = json!({"eventType": "a", "payload": {}, "eventId": "evt-1"});
    let reply = org.post(&format!("/app/{app}/msg"), again.clone()).await;
    assert_eq!(reply.error(), (409, "conflict".into()));
    let other = org.app().await;
    org.post(&format!("/app/{other}/msg"), again).await.ok(202);
}

#[tokio::test]
async fn content_can_be_left_out_of_the_answer() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let body = json!({"eventType": "a", "data": {"alias": true}});
    let path = format!("/app/{app}/msg");
    let full = org.post(&path, body.clone()).await.ok(202);
    assert_eq!(full["payload"], json!({"alias": true}));
    let bare = org.post(&format!("{path}?with_content=false"), body).await.ok(202);
    assert_eq!(bare["payload"], json!({}));
}

#[tokio::test]
async fn a_raw_payload_replaces_the_body() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    org.endpoint(&app).await;
    let path = format!("/app/{app}/msg");
    let body = json!({"eventType": "a", "payload": {}, "transformationsParams":
        {"rawPayload": "<xml/>", "headers": {"Content-Type": "text/xml"}}});
    let made = org.post(&path, body).await.ok(202);
    assert_eq!(made["payload"], json!({"rawPayload": "<xml/>"}));
    let hot = server.take_hot();
    let sent = hot[0].message.body.as_ref().expect("body");
    assert_eq!((&sent.bytes[..], &*sent.content_type), (&b"<xml/>"[..], "text/xml"));

    let body = json!({"eventType": "a", "payload": {}, "transformationsParams":
        {"rawPayload": "{\"a\": 1}"}});
    let made = org.post(&path, body).await.ok(202);
    assert_eq!(made["payload"], json!({"a": 1}));
    let body = json!({"eventType": "a", "payload": {}, "transformationsParams":
        {"rawPayload": "", "headers": {"content-type": "a\nb"}}});
    let reply = org.post(&path, body).await;
    assert_eq!(reply.error(), (422, "body.transformationsParams".into()));
}

#[tokio::test]
async fn bad_values_are_refused() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let path = format!("/app/{app}/msg");
    let now = 1_790_000_000_i64;
    let at = |secs: i64| domain::clock::Timestamp::from_secs(now + secs).to_string();
    let ok = |value: Value| (value, None);
    let bad = |value: Value, loc: &'static str| (value, Some(loc));
    for (field, (value, want)) in [
        ("eventType", bad(json!(1), "body.eventType")),
        ("eventType", bad(Value::Null, "body.eventType")),
        ("eventType", bad(json!(""), "body.eventType")),
        ("eventType", bad(json!("a b"), "body.eventType")),
        ("eventType", bad(json!("a".repeat(257)), "body.eventType")),
        ("eventType", ok(json!("a".repeat(256)))),
        ("payload", bad(json!("text"), "body.payload")),
        ("payload", bad(json!([1]), "body.payload")),
        ("payload", bad(Value::Null, "body.payload")),
        ("eventId", bad(json!("msg_x"), "body.eventId")),
        ("eventId", bad(json!(""), "body.eventId")),
        ("eventId", bad(json!("a b"), "body.eventId")),
        ("eventId", ok(Value::Null)),
        ("channels", bad(json!([]), "body.channels")),
        ("channels", bad(json!(["a b"]), "body.channels")),
        ("channels", bad(json!([1]), "body.channels.[0]")),
        ("channels", bad(json!("a"), "body.channels")),
        ("channels", bad(json!(vec!["a"; 11]), "body.channels")),
        ("channels", ok(Value::Null)),
        ("tags", ok(json!([]))),
        ("tags", ok(json!(["a/b\\c#d"]))),
        ("tags", bad(json!(["a:b"]), "body.tags")),
        ("tags", bad(json!(["1", "2", "3", "4", "5", "6"]), "body.tags")),
        ("deliverAt", ok(json!(at(60)))),
        ("deliverAt", ok(json!(at(86_400)))),
        ("deliverAt", bad(json!(at(30)), "body.deliverAt")),
        ("deliverAt", bad(json!(at(-1)), "body.deliverAt")),
        ("deliverAt", bad(json!(at(86_500)), "body.deliverAt")),
        ("deliverAt", bad(json!("tomorrow"), "body.deliverAt")),
        ("deliverAt", bad(json!(5), "body.deliverAt")),
        ("payloadRetentionPeriod", ok(json!(1))),
        ("payloadRetentionPeriod", ok(json!(90))),
        ("payloadRetentionPeriod", bad(json!(0), "body.payloadRetentionPeriod")),
        ("payloadRetentionPeriod", bad(json!(91), "body.payloadRetentionPeriod")),
        ("payloadRetentionPeriod", bad(json!(-5), "body.payloadRetentionPeriod")),
        ("payloadRetentionHours", ok(json!(2160))),
        ("payloadRetentionHours", bad(json!(2161), "body.payloadRetentionHours")),
        ("payloadRetentionHours", bad(json!(0), "body.payloadRetentionHours")),
        ("application", bad(json!({}), "body.application.name")),
        ("application", bad(json!({"name": ""}), "body.application.name")),
        (
            "transformationsParams",
            bad(json!({"rawPayload": 1}), "body.transformationsParams.rawPayload"),
        ),
        ("transformationsParams", ok(json!({"whatever": 1}))),
    ] {
        let mut body = json!({"eventType": "a", "payload": {"a": 1}});
        body[field] = value.clone();
        let reply = org.post(&path, body).await;
        match want {
            None => assert_eq!(reply.status, 202, "{field} {value}: {:?}", reply.body),
            Some(loc) => assert_eq!(reply.error(), (422, loc.into()), "{field} {value}"),
        }
    }
    let both = br#"{"eventType":"a","payload":{},"data":{}}"#.as_slice();
    assert_eq!(org.raw("POST", &format!("/api/v1{path}"), both).await.status, 422);
}

#[tokio::test]
async fn deep_payloads_are_refused_in_bounded_time() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let path = format!("/api/v1/app/{app}/msg");
    let body = |depth: usize| {
        let nested = format!(r#"{}1{}"#, "[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"eventType":"a","payload":{{"a":{nested}}}}}"#)
    };
    assert_eq!(org.raw("POST", &path, body(127)).await.status, 202);
    for depth in [128, 1_000, 400_000] {
        let reply = org.raw("POST", &path, body(depth)).await;
        assert_eq!(reply.error(), (422, "body.payload".into()), "{depth}");
    }
    // Never closed, and in a field that nobody reads.
    let open = format!(r#"{{"eventType":"a","payload":{{"a":{}"#, "[".repeat(400_000));
    assert_eq!(org.raw("POST", &path, open).await.status, 422);
    let ignored = format!(r#"{{"eventType":"a","payload":{{}},"x":{}}}"#, "[".repeat(400_000));
    assert_eq!(org.raw("POST", &path, ignored).await.status, 422);
}

#[tokio::test]
async fn an_application_can_be_made_in_line() {
    let server = Server::new().await;
    let org = server.org();
    let message =
        |application: Value| json!({"eventType": "a", "payload": {}, "application": application});
    let body = json!({"eventType": "a", "payload": {}});
    let reply = org.post("/app/new/msg", body.clone()).await;
    assert_eq!(reply.error(), (404, "not_found".into()));
    assert_eq!(reply.json()["detail"], "Application not found");
    for (uid, kind) in
        [(Value::Null, "application_uid_missing"), (json!("x"), "application_uid_mismatch")]
    {
        let reply = org.post("/app/new/msg", message(json!({"name": "n", "uid": uid}))).await;
        assert_eq!(reply.error(), (422, "body.application.uid".into()));
        assert_eq!(reply.json()["detail"][0]["type"], kind);
    }
    org.post("/app/new/msg", message(json!({"name": "n", "uid": "new"}))).await.ok(202);
    assert_eq!(org.get("/app/new").await.ok(200)["name"], "n");
    // It is there now: what is said of it is not looked at.
    org.post("/app/new/msg", message(json!({"name": "m", "uid": "other"}))).await.ok(202);
    assert_eq!(org.get("/app/new").await.ok(200)["name"], "n");
}

#[tokio::test]
async fn waits_until_it_is_to_be_delivered() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    org.endpoint(&app).await;
    let at = "2026-09-21T15:13:20Z";
    let body = json!({"eventType": "a", "payload": {}, "deliverAt": at,
        "payloadRetentionHours": 2, "payloadRetentionPeriod": 90});
    let made = org.post(&format!("/app/{app}/msg"), body).await.ok(202);
    assert_eq!(made["deliverAt"], at);
    let hot = server.take_hot();
    assert_eq!(hot[0].delivery.due.to_string(), at);
    assert_eq!(hot[0].delivery.give_up_at.to_string(), "2026-09-21T17:13:20Z");
}

#[tokio::test]
async fn are_listed_newest_first_and_filtered() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let path = format!("/app/{app}/msg");
    let (mut ids, mut times) = (Vec::new(), Vec::new());
    for i in 0..6 {
        server.clock.advance(Duration::from_secs(1));
        let body = json!({"eventType": if i % 2 == 0 { "even" } else { "odd" },
            "payload": {"i": i}, "channels": [format!("c{i}")], "tags": [format!("t{i}")]});
        let made = org.post(&path, body).await.ok(202);
        ids.insert(0, made["id"].as_str().expect("id").to_owned());
        times.insert(0, made["timestamp"].as_str().expect("time").to_owned());
    }
    let list = async |query: String| org.get(&format!("{path}?{query}")).await.ok(200);
    let page = list("limit=4".into()).await;
    assert_eq!((column(&page, "id"), &page["done"]), (ids[..4].to_vec(), &json!(false)));
    assert_eq!(page["data"][0]["payload"], json!({"i": 5}));
    let page = list(format!("limit=4&with_content=false&iterator={}", ids[3])).await;
    assert_eq!((column(&page, "id"), &page["done"]), (ids[4..].to_vec(), &json!(true)));
    assert_eq!(page["data"][0]["payload"], json!({}));
    let page = list(format!("limit=2&iterator=-{}", ids[4])).await;
    assert_eq!((column(&page, "id"), &page["done"]), (ids[2..4].to_vec(), &json!(false)));

    let even = [0, 2, 4].map(|i| ids[i + 1].clone());
    for (query, want) in [
        ("event_types=even".to_owned(), even.to_vec()),
        ("event_types=even,odd".to_owned(), ids.clone()),
        ("event_types[]=even&event_types[]=other".to_owned(), even.to_vec()),
        ("event_types=other".to_owned(), vec![]),
        ("channel=c0".to_owned(), ids[5..].to_vec()),
        ("tag=t5".to_owned(), ids[..1].to_vec()),
        (format!("before={}", times[2]), ids[3..].to_vec()),
        (format!("after={}", times[2]), ids[..3].to_vec()),
        (format!("after={}&iterator={}", times[3], ids[1]), ids[2..4].to_vec()),
        (format!("after={}&before={}", times[4], times[1]), ids[2..5].to_vec()),
        // Bounded below alone: what came right behind it.
        (format!("after={}&limit=2", times[4]), ids[3..5].to_vec()),
        (format!("before={}", times[2].replace('Z', "%2B00:00")), ids[3..].to_vec()),
        (
            format!("before={}", times[2].replace('T', "%20").replace('Z', "%20UTC")),
            ids[3..].to_vec(),
        ),
    ] {
        assert_eq!(column(&list(query.clone()).await, "id"), want, "{query}");
    }
    for (query, status, what) in [
        ("before=yesterday", 400, "generic_error"),
        ("with_content=perhaps", 400, "generic_error"),
        ("event_types=a%20b", 422, "query.event_types"),
        ("channel=a%20b", 422, "query.channel"),
        ("tag=%F0%9F%A5%87", 422, "query.tag"),
        ("iterator=msg_zzz", 422, "query.iterator"),
        ("iterator=msg_zzz&before=2026-01-01T00:00:00Z", 422, "query.iterator"),
    ] {
        let reply = org.get(&format!("{path}?{query}")).await;
        assert_eq!(reply.error(), (status, what.into()), "{query}");
    }
}

#[tokio::test]
async fn content_is_removed() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let endpoint = org.endpoint(&app).await;
    let id = org.message(&app).await;
    let path = format!("/app/{app}/msg/{id}");
    assert!(org.delete(&format!("{path}/content")).await.ok(204).is_null());
    assert_eq!(server.handed.expunged.lock().len(), 1, "the engine lets it go");
    assert_eq!(org.get(&path).await.ok(200)["payload"], json!({"expired": true}));
    let bare = org.get(&format!("{path}?with_content=false")).await.ok(200);
    assert_eq!(bare["payload"], json!({}));
    let reply = org.post(&format!("{path}/endpoint/{endpoint}/resend"), Value::Null).await;
    assert_eq!(reply.error(), (400, "missing_payload".into()));
    assert_eq!(org.delete(&format!("/app/{app}/msg/none/content")).await.error().0, 404);
}

#[tokio::test]
async fn schemas_are_enforced_where_they_are_asked_for() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let schema = json!({"1": {"type": "object", "required": ["name"]}});
    let body = json!({"name": "typed", "description": "d", "schemas": schema,
        "schemaMode": "reject"});
    org.post("/event-type", body).await.ok(201);
    let path = format!("/app/{app}/msg");
    let bad = json!({"eventType": "typed", "payload": {"a": 1}});
    let reply = org.post(&path, bad.clone()).await;
    assert_eq!(reply.error(), (422, "body.payload".into()));
    let good = json!({"eventType": "typed", "payload": {"name": "n"}});
    org.post(&path, good).await.ok(202);
    org.patch("/event-type/typed", json!({"schemaMode": "warn"})).await.ok(200);
    org.post(&path, bad.clone()).await.ok(202);
    org.patch("/event-type/typed", json!({"schemaMode": null})).await.ok(200);
    org.post(&path, bad.clone()).await.ok(202);
    org.patch("/environment/settings", json!({"schemaMode": "reject"})).await.ok(200);
    assert_eq!(org.post(&path, bad).await.status, 422);
}

#[tokio::test]
async fn a_batch_answers_for_each() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    org.endpoint(&app).await;
    let path = format!("/app/{app}/msg/batch");
    let message = |id: &str| json!({"eventType": "a", "payload": {"id": id}, "eventId": id});
    let body = json!({"messages": [message("1"), {"eventType": "a"}, message("2"), 5,
        message("1"), {"eventType": "a b", "payload": {}}]});
    let out = org.keyed("k", &path, body.clone()).await.ok(200);
    let items = out["data"].as_array().expect("data").clone();
    let statuses: Vec<_> = items.iter().map(|i| i["status"].as_u64().expect("status")).collect();
    assert_eq!(statuses, [202, 422, 202, 422, 409, 422]);
    assert_eq!(items[0]["message"]["payload"], json!({"id": "1"}));
    assert_eq!(items[1]["error"]["code"], "validation_error");
    assert_eq!(items[1]["error"]["detail"][0]["loc"], json!(["body", "payload"]));
    assert_eq!(items[4]["error"], json!({"code": "conflict", "detail": "A conflict has occurred"}));
    assert_eq!(server.take_hot().len(), 2);
    // Again, with the same key: the same messages, and nothing new.
    let again = org.keyed("k", &path, body).await.ok(200);
    assert_eq!(again["data"][0], items[0]);
    assert_eq!(again["data"][2], items[2]);
    assert_eq!(server.take_hot().len(), 0);

    for messages in [json!([]), json!(vec![message("x"); 1_001]), json!({}), Value::Null] {
        let reply = org.post(&path, json!({"messages": messages})).await;
        assert_eq!(reply.error(), (422, "body.messages".into()));
    }
    let many: Vec<_> = (0..1_000).map(|i| message(&format!("m{i}"))).collect();
    let out = org.post(&path, json!({"messages": many})).await.ok(200);
    assert_eq!(out["data"].as_array().expect("data").len(), 1_000);
    assert_eq!(
        org.post("/app/none/msg/batch", json!({"messages": [message("1")]})).await.status,
        404
    );
}

#[tokio::test]
async fn trouble_of_the_store_is_told() {
    let server = Server::in_memory().await;
    let org = server.org();
    let app = org.app().await;
    org.endpoint(&app).await;
    let path = format!("/app/{app}/msg");
    let body = json!({"eventType": "a", "payload": {}});
    server.memory().set_full(true);
    let reply = org.post(&path, body.clone()).await;
    assert_eq!(
        (reply.error(), &reply.headers["retry-after"]),
        ((503, "unavailable".into()), &"1".parse().expect("value"))
    );
    server.memory().set_full(false);
    server.memory().lose_next_reply();
    let reply = org.keyed("key", &path, body.clone()).await;
    assert_eq!(reply.error(), (503, "unavailable".into()));
    // The repeat finds what was stored.
    org.keyed("key", &path, body.clone()).await.ok(202);
    let page = org.get(&path).await.ok(200);
    assert_eq!(column(&page, "id").len(), 1);
    // Quotas are the application's own.
    org.patch("/environment/settings", json!({"maxPendingDeliveries": 1})).await.ok(200);
    let reply = org.post(&path, body).await;
    assert_eq!(reply.error(), (429, "rate_limit".into()));
    assert!(reply.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn precheck_says_whether_anybody_listens() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let path = format!("/app/{app}/msg/precheck/active");
    let ask = async |body: Value| org.post(&path, body).await.ok(200)["active"] == json!(true);
    assert!(!ask(json!({"eventType": "a"})).await);
    let body = json!({"url": "https://example.com", "channels": ["c"]});
    let made = org.post(&format!("/app/{app}/endpoint"), body).await.ok(201);
    assert!(!ask(json!({"eventType": "a"})).await);
    assert!(ask(json!({"eventType": "a", "channels": ["c"]})).await);
    let endpoint = format!("/app/{app}/endpoint/{}", made["id"].as_str().expect("id"));
    org.patch(&endpoint, json!({"disabled": true})).await.ok(200);
    assert!(!ask(json!({"eventType": "a", "channels": ["c"]})).await);
}

#[tokio::test]
async fn retention_ends_the_payload() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let endpoint = org.endpoint(&app).await;
    let body = json!({"eventType": "a", "payload": {}, "payloadRetentionPeriod": 5});
    let made = org.post(&format!("/app/{app}/msg"), body).await.ok(202);
    let id = made["id"].as_str().expect("id");
    server.clock.advance(6 * DAY);
    let path = format!("/app/{app}/msg/{id}/endpoint/{endpoint}/resend");
    assert_eq!(org.post(&path, Value::Null).await.error(), (400, "missing_payload".into()));
}

#[tokio::test]
async fn a_page_holds_so_many_bytes() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let path = format!("/app/{app}/msg");
    for _ in 0..20 {
        let payload = json!({"text": "x".repeat(1_000_000)});
        let body = json!({"eventType": "a", "payload": payload});
        org.post(&format!("{path}?with_content=false"), body).await.ok(202);
        server.clock.advance(Duration::from_secs(1));
    }
    let page = org.get(&format!("{path}?limit=250")).await.ok(200);
    assert_eq!((column(&page, "id").len(), &page["done"]), (17, &json!(false)));
    let iterator = page["iterator"].as_str().expect("it goes on");
    let rest = org.get(&format!("{path}?limit=250&iterator={iterator}")).await.ok(200);
    assert_eq!((column(&rest, "id").len(), &rest["done"]), (3, &json!(true)));
    let bare = org.get(&format!("{path}?limit=250&with_content=false")).await.ok(200);
    assert_eq!((column(&bare, "id").len(), &bare["done"]), (20, &json!(true)));
}

#[tokio::test]
async fn a_message_may_be_called_batch() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let endpoint = org.endpoint(&app).await;
    let body = json!({"eventType": "a", "payload": {}, "eventId": "batch"});
    let made = org.post(&format!("/app/{app}/msg"), body).await.ok(202);
    let one = format!("/app/{app}/msg/batch");
    assert_eq!(org.get(&one).await.ok(200), made);
    let bare = org.get(&format!("{one}?with_content=false")).await.ok(200);
    assert_eq!(bare["id"], made["id"]);
    let portal = org.portal(&app, json!({})).await;
    assert_eq!(portal.get(&one).await.ok(200), made);
    assert_eq!(server.stranger().get(&one).await.status, 401);
    assert_eq!(server.org().get(&one).await.status, 404);
    let at = org.get(&format!("{one}/endpoint")).await.ok(200);
    assert_eq!(column(&at, "id"), [endpoint]);
    org.delete(&format!("{one}/content")).await.ok(204);
}

/// An application that is made in line, while it is known not to be there.
#[tokio::test]
async fn of_two_that_make_one_application_neither_misses_it() {
    let server = Server::in_memory().await;
    let org = server.org();
    let plain = json!({"eventType": "a", "payload": {}});
    let in_line =
        json!({"eventType": "a", "payload": {}, "application": {"name": "n", "uid": "new"}});
    assert_eq!(org.post("/app/new/msg", plain.clone()).await.status, 404);
    // Somebody else makes it, and does not come to say so.
    let now = server.clock.now();
    let application = domain::application::Application {
        org: server.tenant_of(&org).parse().expect("an id"),
        id: domain::id::ApplicationId::generate(now, &*server.entropy),
        uid: Some("new".parse().expect("a uid")),
        name: "n".into(),
        throttle_rate: None,
        metadata: Default::default(),
        source: None,
        created_at: now,
        updated_at: now,
    };
    let actor = domain::token::Actor::System;
    let made = server.store.create_application(&actor, application.clone()).await;
    assert_eq!(made, Ok(Ok(())));
    org.post("/app/new/msg", in_line.clone()).await.ok(202);
    org.post("/app/new/msg", plain.clone()).await.ok(202);

    // It is made, and the answer is lost.
    let in_line =
        json!({"eventType": "a", "payload": {}, "application": {"name": "n", "uid": "two"}});
    assert_eq!(org.post("/app/two/msg", plain.clone()).await.status, 404);
    server.memory().lose_next_reply();
    assert_eq!(org.post("/app/two/msg", in_line).await.error(), (503, "unavailable".into()));
    org.post("/app/two/msg", plain).await.ok(202);
}
