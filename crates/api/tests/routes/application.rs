use serde_json::{Value, json};

use crate::support::{Server, column};

#[tokio::test]
async fn lives_its_life() {
    let server = Server::new().await;
    let org = server.org();
    let body = json!({"name": "Acme", "uid": "customer-1", "metadata": {"plan": "gold"},
        "throttleRate": 50, "unknown": {"ignored": true}});
    let made = org.post("/app/", body).await.ok(201);
    let id = made["id"].as_str().expect("id");
    assert!(id.starts_with("app_") && id.len() == 31);
    assert_eq!(made["rateLimit"], 50);
    assert_eq!(made["createdAt"], "2026-09-21T14:13:20Z");

    for path in [format!("/app/{id}"), "/app/customer-1".into(), "/app/customer-1/".into()] {
        assert_eq!(org.get(&path).await.ok(200), made);
    }

    let patched = org.patch("/app/customer-1", json!({"throttleRate": null})).await.ok(200);
    assert_eq!(patched["throttleRate"], Value::Null);
    assert_eq!(patched.get("rateLimit"), None);
    assert_eq!(patched["metadata"], json!({"plan": "gold"}));
    assert_ne!(patched["updatedAt"], made["updatedAt"]);

    let replaced = org.put("/app/customer-1", json!({"name": "Acme 2"})).await.ok(200);
    assert_eq!((&replaced["id"], replaced.get("uid")), (&made["id"], None));
    assert_eq!(replaced["metadata"], json!({}));
    org.get("/app/customer-1").await.ok(404);

    assert!(org.delete(&format!("/app/{id}")).await.ok(204).is_null());
    assert_eq!(org.get(&format!("/app/{id}")).await.error(), (404, "not_found".into()));
    assert_eq!(org.delete(&format!("/app/{id}")).await.error(), (404, "not_found".into()));
}

#[tokio::test]
async fn a_uid_belongs_to_one() {
    let server = Server::new().await;
    let org = server.org();
    let body = json!({"name": "first", "uid": "customer"});
    let first = org.post("/app", body).await.ok(201);
    let second = json!({"name": "second", "uid": "customer"});
    let reply = org.post("/app", second.clone()).await;
    assert_eq!(reply.error(), (409, "conflict".into()));
    assert_eq!(reply.json()["detail"], "An application with that id or uid already exists");
    assert_eq!(org.post("/app?get_if_exists=true", second.clone()).await.ok(200), first);

    let other = org.app().await;
    let path = format!("/app/{other}");
    assert_eq!(org.put(&path, second.clone()).await.error(), (409, "conflict".into()));
    let patch = json!({"uid": "customer"});
    assert_eq!(org.patch(&path, patch).await.error(), (409, "conflict".into()));
    // In another organization it is free.
    server.org().post("/app", second.clone()).await.ok(201);
    // And here, once it is given up.
    org.patch("/app/customer", json!({"uid": null})).await.ok(200);
    org.post("/app", second).await.ok(201);
}

#[tokio::test]
async fn put_to_an_unknown_one_makes_one() {
    let server = Server::new().await;
    let org = server.org();
    let body = json!({"name": "n", "uid": "one-upserted"});
    let made = org.put("/app/fake-id", body.clone()).await.ok(201);
    assert_eq!(made["uid"], "one-upserted");
    org.get("/app/fake-id").await.ok(404);
    assert_eq!(org.put("/app/one-upserted", body).await.ok(200)["id"], made["id"]);
}

#[tokio::test]
async fn are_listed_both_ways() {
    let server = Server::new().await;
    let org = server.org();
    let mut ids = Vec::new();
    for _ in 0..5 {
        server.clock.advance(std::time::Duration::from_secs(1));
        ids.push(org.app().await);
    }
    assert_eq!(
        server.org().get("/app").await.ok(200),
        json!({"data": [], "iterator": null, "done": true})
    );
    let page = org.get("/app?limit=2").await.ok(200);
    assert_eq!(column(&page, "id"), ids[..2]);
    assert_eq!(page["iterator"], ids[1].as_str());
    assert_eq!(page["prevIterator"], format!("-{}", ids[0]));
    assert_eq!(page["done"], false);
    let page = org.get(&format!("/app?limit=3&iterator={}", ids[1])).await.ok(200);
    assert_eq!((column(&page, "id"), &page["done"]), (ids[2..].to_vec(), &json!(true)));
    let page = org.get(&format!("/app?limit=2&iterator=-{}", ids[4])).await.ok(200);
    assert_eq!((column(&page, "id"), &page["done"]), (ids[2..4].to_vec(), &json!(false)));
    ids.reverse();
    let page = org.get("/app?order=descending").await.ok(200);
    assert_eq!(column(&page, "id"), ids);
    let page = org.get("/app?exclude_apps_with_no_endpoints=true&whatever=1").await.ok(200);
    assert_eq!(page["data"], json!([]));
}

#[tokio::test]
async fn bad_queries_are_refused() {
    let server = Server::new().await;
    let org = server.org();
    for (query, status, what) in [
        ("limit=0", 422, "query.limit"),
        ("limit=251", 422, "query.limit"),
        ("limit=99999999999999999999", 400, "generic_error"),
        ("limit=abc", 400, "generic_error"),
        ("limit=-1", 400, "generic_error"),
        ("order=sideways", 400, "generic_error"),
        ("iterator=BAD-$$$ITERATOR", 422, "query.iterator"),
        ("iterator=app_zzz", 422, "query.iterator"),
        ("iterator=", 422, "query.iterator"),
        ("iterator=msg_23rb8YdGqMT0qIzpgGwdXfHirMu", 422, "query.iterator"),
        ("exclude_apps_with_no_endpoints=maybe", 400, "generic_error"),
    ] {
        let reply = org.get(&format!("/app?{query}")).await;
        assert_eq!(reply.error(), (status, what.into()), "{query}");
    }
    // A bad query wins over a missing token.
    assert_eq!(server.stranger().get("/app?limit=abc").await.error().0, 400);
}

#[tokio::test]
async fn bad_bodies_are_refused() {
    let server = Server::new().await;
    let org = server.org();
    let cases: [(&[u8], &str); 21] = [
        (b"", "body"),
        (b"{", "body"),
        (b"null", "body"),
        (br#"["Acme"]"#, "body"),
        (b"{}", "body.name"),
        (br#"{"name":1}"#, "body.name"),
        (br#"{"name":null}"#, "body.name"),
        (br#"{"name":""}"#, "body.name"),
        (br#"{"name":"a\u0000b"}"#, "body.name"),
        (br#"{"name":"a","name":"b"}"#, "body"),
        (b"{\"name\":\"\xff\"}", "body"),
        (br#"{"name":"a","uid":""}"#, "body.uid"),
        (br#"{"name":"a","uid":"a b"}"#, "body.uid"),
        (br#"{"name":"a","uid":"app_x"}"#, "body.uid"),
        (br#"{"name":"a","uid":5}"#, "body.uid"),
        (br#"{"name":"a","throttleRate":0}"#, "body.throttleRate"),
        (br#"{"name":"a","rateLimit":0}"#, "body.rateLimit"),
        (br#"{"name":"a","rateLimit":65536}"#, "body.rateLimit"),
        (br#"{"name":"a","rateLimit":-1}"#, "body.rateLimit"),
        (br#"{"name":"a","metadata":{"k":1}}"#, "body.metadata.k"),
        (br#"{"name":"a"} trailing"#, "body"),
    ];
    for (body, loc) in cases {
        let reply = org.raw("POST", "/api/v1/app", body).await;
        let shown = String::from_utf8_lossy(body).into_owned();
        let (status, what) = reply.error();
        assert_eq!(status, 422, "{shown}");
        assert!(what.starts_with(loc), "{shown}: {what}");
    }
    let metadata = json!({"k": "v".repeat(4_090)});
    let reply = org.post("/app", json!({"name": "a", "metadata": metadata})).await;
    assert_eq!(reply.error(), (422, "body.metadata".into()));
    let metadata = json!({"k": "v".repeat(4_088)});
    org.post("/app", json!({"name": "a", "metadata": metadata})).await.ok(201);
    org.post("/app", json!({"name": "a", "metadata": null})).await.ok(201);

    let app = org.app().await;
    for body in [json!({"name": null}), json!({"metadata": null}), json!({"name": ""})] {
        let (status, _) = org.patch(&format!("/app/{app}"), body.clone()).await.error();
        assert_eq!(status, 422, "{body}");
    }
    for path in ["/app/a%20b", "/app/%FF", &format!("/app/{}", "x".repeat(257))] {
        assert_eq!(org.get(path).await.error().0, 422, "{path}");
    }
    // Deep nesting, in a field we do not know and in one we do.
    for body in [
        format!(r#"{{"name":"a","x":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000)),
        format!(r#"{{"metadata":{}}}"#, r#"{"a":"#.repeat(100_000)),
    ] {
        let reply = org.raw("POST", "/api/v1/app", body).await;
        assert!([201, 422].contains(&reply.status.as_u16()));
    }
}
