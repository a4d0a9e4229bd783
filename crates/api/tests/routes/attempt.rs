use std::time::Duration;

use domain::delivery::{Cause, EndState, Next};
use serde_json::{Value, json};

use crate::support::{DAY, START, Server, column, succeeded};

#[tokio::test]
async fn are_shown_as_they_went() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let endpoint = org.endpoint(&app).await;
    let message = org.message(&app).await;
    let hot = server.take_hot().pop().expect("handed over");
    let due = START.plus(Duration::from_secs(5));
    server.settle(&hot, 500, b"\xff\xfe", Next::Retry(due)).await;

    let path = format!("/app/{app}/attempt/msg/{message}");
    let list = org.get(&path).await.ok(200);
    let attempt = &list["data"][0];
    assert_eq!(
        *attempt,
        json!({
            "url": "https://example.com/hook", "response": "//4=", "responseStatusCode": 500,
            "responseDurationMs": 12, "status": 2, "statusText": "fail", "triggerType": 0,
            "msgId": message, "endpointId": endpoint, "id": attempt["id"],
            "timestamp": "2026-09-21T14:13:20Z",
        })
    );
    let id = attempt["id"].as_str().expect("id");
    let one = format!("/app/{app}/msg/{message}/attempt/{id}");
    assert_eq!(org.get(&one).await.ok(200), *attempt);
    let bare = org.get(&format!("{path}?with_content=false&expanded_statuses=true")).await.ok(200);
    assert_eq!(bare["data"][0]["response"], "");
    let by_endpoint = format!("/app/{app}/attempt/endpoint/{endpoint}");
    let full = org.get(&format!("{by_endpoint}?with_msg=true")).await.ok(200);
    let seen = &full["data"][0];
    assert_eq!((&seen["msg"]["id"], &seen["msg"]["payload"]), (&json!(message), &json!({})));

    // As endpoint and message see it: it will be tried again.
    let messages = org.get(&format!("/app/{app}/endpoint/{endpoint}/msg")).await.ok(200);
    let seen = &messages["data"][0];
    assert_eq!((&seen["status"], &seen["statusText"]), (&json!(3), &json!("sending")));
    assert_eq!((&seen["nextAttempt"], &seen["id"]), (&json!(due), &json!(message)));
    let endpoints = org.get(&format!("/app/{app}/msg/{message}/endpoint")).await.ok(200);
    let seen = &endpoints["data"][0];
    assert_eq!((&seen["status"], &seen["id"]), (&json!(3), &json!(endpoint)));
    assert_eq!(seen["url"], "https://example.com/hook");
    let stats = org.get(&format!("/app/{app}/endpoint/{endpoint}/stats")).await;
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(stats.ok(200)["sending"], 1);

    org.delete(&format!("{one}/content")).await.ok(204);
    assert_eq!(org.get(&one).await.ok(200)["response"], "EXPUNGED");
    let other = format!("/app/{app}/msg/{message}/attempt/atmpt_23rb8YdGqMT0qIzpgGwdXfHirMu");
    assert_eq!(org.get(&other).await.status, 404);
    assert_eq!(org.delete(&format!("{other}/content")).await.status, 404);
    let malformed = format!("/app/{app}/msg/{message}/attempt/nonsense");
    assert_eq!(org.get(&malformed).await.error(), (422, "path.attempt_id".into()));
}

#[tokio::test]
async fn are_listed_and_filtered() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let endpoint = org.endpoint(&app).await;
    let other = org.endpoint(&app).await;
    let mut times = Vec::new();
    for (i, code) in [200u16, 404, 503].into_iter().enumerate() {
        server.clock.advance(Duration::from_secs(10));
        let body = json!({"eventType": format!("type.{i}"), "payload": {}, "channels": [format!("c{i}")],
            "tags": [format!("t{i}")]});
        let message = org.post(&format!("/app/{app}/msg"), body).await.ok(202);
        times.push(message["timestamp"].as_str().expect("time").to_owned());
        for hot in server.take_hot() {
            server
                .settle(
                    &hot,
                    code,
                    b"",
                    if code == 200 {
                        succeeded()
                    } else {
                        Next::End(EndState::Exhausted, Cause::LastTry)
                    },
                )
                .await;
        }
    }
    let path = format!("/app/{app}/attempt/endpoint/{endpoint}");
    let codes = |page: &Value| -> Vec<u64> {
        let items = page["data"].as_array().expect("data");
        items.iter().map(|i| i["responseStatusCode"].as_u64().expect("code")).collect()
    };
    for (query, want) in [
        (String::new(), vec![503, 404, 200]),
        ("limit=1".into(), vec![503]),
        ("status=0".into(), vec![200]),
        ("status=2".into(), vec![503, 404]),
        ("status=1".into(), vec![]),
        ("status=3".into(), vec![]),
        ("status_code_class=400".into(), vec![404]),
        ("status_code_class=0".into(), vec![]),
        ("channel=c1".into(), vec![404]),
        ("tag=t2".into(), vec![503]),
        ("event_types=type.0,type.2".into(), vec![503, 200]),
        ("event_types[0]=type.1".into(), vec![404]),
        (format!("before={}", times[1]), vec![200]),
        (format!("after={}", times[1]), vec![503, 404]),
        (format!("after={}&limit=1", times[1]), vec![404]),
    ] {
        let page = org.get(&format!("{path}?{query}")).await.ok(200);
        assert_eq!(codes(&page), want, "{query}");
    }
    let page = org.get(&format!("{path}?limit=2")).await.ok(200);
    let iterator = page["iterator"].as_str().expect("iterator");
    let next = org.get(&format!("{path}?limit=2&iterator={iterator}")).await.ok(200);
    assert_eq!((codes(&next), &next["done"]), (vec![200], &json!(true)));
    let newest = org.get(&format!("/app/{app}/msg?limit=1")).await.ok(200);
    let message = newest["data"][0]["id"].as_str().expect("id").to_owned();
    let by_message = format!("/app/{app}/attempt/msg/{message}");
    assert_eq!(codes(&org.get(&by_message).await.ok(200)), [503, 503]);
    let page = org.get(&format!("{by_message}?endpoint_id={endpoint}")).await.ok(200);
    assert_eq!(column(&page, "endpointId"), std::slice::from_ref(&endpoint));
    for (query, status, what) in [
        ("status=x", 400, "generic_error"),
        ("status=5", 400, "generic_error"),
        ("status_code_class=600", 400, "generic_error"),
        ("with_msg=x", 400, "generic_error"),
        ("iterator=atmpt_zzz", 422, "query.iterator"),
        ("limit=251", 422, "query.limit"),
    ] {
        let reply = org.get(&format!("{path}?{query}")).await;
        assert_eq!(reply.error(), (status, what.into()), "{query}");
    }

    let messages = format!("/app/{app}/endpoint/{endpoint}/msg");
    let failed = org.get(&format!("{messages}?status=2")).await.ok(200);
    assert_eq!(column(&failed, "eventType"), ["type.2", "type.1"]);
    let done = org.get(&format!("{messages}?status=0&tag=t0")).await.ok(200);
    assert_eq!(column(&done, "eventType"), ["type.0"]);

    // A deleted endpoint is still named by what was sent to it; pages end when they say so.
    org.delete(&format!("/app/{app}/endpoint/{other}")).await.ok(204);
    let path = format!("/app/{app}/msg/{message}/endpoint");
    let page = org.get(&format!("{path}?limit=1")).await.ok(200);
    assert_eq!(page["done"], false);
    let iterator = page["iterator"].as_str().expect("iterator");
    let next = org.get(&format!("{path}?limit=1&iterator={iterator}")).await.ok(200);
    assert_eq!(next["done"], true);
    let mut seen = [column(&page, "id"), column(&next, "id")].concat();
    seen.sort();
    let mut want = [endpoint, other];
    want.sort();
    assert_eq!(seen, want);
}

#[tokio::test]
async fn a_resend_goes_past_filters() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let message = org.message(&app).await;
    let body = json!({"url": "https://example.com", "channels": ["other"]});
    let endpoint = org.post(&format!("/app/{app}/endpoint"), body).await.ok(201);
    let endpoint = endpoint["id"].as_str().expect("id");
    let path = format!("/app/{app}/msg/{message}/endpoint/{endpoint}/resend");
    assert_eq!(org.post(&path, Value::Null).await.ok(202), json!({}));
    let hot = server.take_hot().pop().expect("handed over");
    assert_eq!(hot.delivery.trigger, domain::delivery::Trigger::Manual);
    server.settle(&hot, 200, b"", succeeded()).await;
    let list = org.get(&format!("/app/{app}/attempt/msg/{message}")).await.ok(200);
    assert_eq!(list["data"][0]["triggerType"], 1);
    for path in [
        format!("/app/{app}/msg/none/endpoint/{endpoint}/resend"),
        format!("/app/{app}/msg/{message}/endpoint/none/resend"),
    ] {
        assert_eq!(org.post(&path, Value::Null).await.status, 404);
    }
    server.clock.advance(91 * DAY);
    assert_eq!(org.post(&path, Value::Null).await.error(), (400, "missing_payload".into()));
}

#[tokio::test]
async fn cancelled_ones_are_told_to_those_who_know_the_word() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let endpoint = org.endpoint(&app).await;
    let message = org.message(&app).await;
    org.delete(&format!("/app/{app}/msg/{message}/content")).await.ok(204);
    let path = format!("/app/{app}/endpoint/{endpoint}/msg");
    let missing = json!({"expired": true});
    for (query, seen) in [
        ("", Some((0, "success"))),
        ("?status=0", Some((0, "success"))),
        ("?status=2", None),
        ("?status=4", Some((4, "canceled"))),
        ("?expanded_statuses=true", Some((4, "canceled"))),
        ("?status=4&expanded_statuses=true", Some((4, "canceled"))),
        ("?status=0&expanded_statuses=true", None),
    ] {
        let page = org.get(&format!("{path}{query}")).await.ok(200);
        let found = page["data"].as_array().expect("data");
        let wanted = seen.map(|(status, text)| (json!(status), json!(text), missing.clone()));
        let found = found.first().map(|item| {
            (item["status"].clone(), item["statusText"].clone(), item["payload"].clone())
        });
        assert_eq!(found, wanted, "{query}");
    }
    let path = format!("/app/{app}/msg/{message}/endpoint");
    for (query, status) in [("", 0), ("?expanded_statuses=true", 4)] {
        let page = org.get(&format!("{path}{query}")).await.ok(200);
        assert_eq!(page["data"][0]["status"], status, "{query}");
    }
}

#[tokio::test]
async fn what_a_list_does_not_know_it_ignores() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let endpoint = org.endpoint(&app).await;
    let message = org.message(&app).await;
    for path in [
        format!("/app/{app}/msg?order=x"),
        format!("/app/{app}/msg/{message}/endpoint?status=99&order=x&with_content=x"),
        format!("/app/{app}/attempt/endpoint/{endpoint}?endpoint_id=a%20b&order=x"),
        format!("/app/{app}/attempt/msg/{message}?with_msg=x&order=x"),
        format!("/app/{app}/endpoint/{endpoint}/msg?with_msg=x&endpoint_id=a%20b&order=x"),
        "/event-type?order=x".to_owned(),
    ] {
        org.get(&path).await.ok(200);
    }
    for path in ["/app?order=x".to_owned(), format!("/app/{app}/endpoint?order=x")] {
        assert_eq!(org.get(&path).await.error(), (400, "generic_error".into()), "{path}");
    }
}

#[tokio::test]
async fn a_resend_keeps_to_the_quota() {
    let server = Server::new().await;
    let org = server.org();
    let app = org.app().await;
    let endpoint = org.endpoint(&app).await;
    let message = org.message(&app).await;
    org.patch("/environment/settings", json!({"maxPendingDeliveries": 2})).await.ok(200);
    let path = format!("/app/{app}/msg/{message}/endpoint/{endpoint}/resend");
    org.post(&path, Value::Null).await.ok(202);
    let reply = org.post(&path, Value::Null).await;
    assert_eq!(reply.error(), (429, "rate_limit".into()));
    assert!(reply.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_filtered_list_goes_on_where_it_looked_last() {
    let server = Server::in_memory().await;
    let org = server.org();
    let app = org.app().await;
    let endpoint = org.endpoint(&app).await;
    for i in 0..70 {
        let tags = if i == 3 { json!(["wanted"]) } else { json!([]) };
        let body = json!({"eventType": "a", "payload": {}, "tags": tags});
        org.post(&format!("/app/{app}/msg"), body).await.ok(202);
        for hot in server.take_hot() {
            server.settle(&hot, 200, b"", succeeded()).await;
        }
        server.clock.advance(Duration::from_secs(1));
    }
    server.memory().look_at_most(2);
    for path in [
        format!("/app/{app}/msg"),
        format!("/app/{app}/endpoint/{endpoint}/msg"),
        format!("/app/{app}/attempt/endpoint/{endpoint}"),
    ] {
        let mut page = org.get(&format!("{path}?tag=wanted")).await.ok(200);
        assert_eq!((&page["data"], &page["done"]), (&json!([]), &json!(false)), "{path}");
        let mut found = Vec::new();
        while page["done"] == false {
            let iterator = page["iterator"].as_str().expect("it can go on");
            page = org.get(&format!("{path}?tag=wanted&iterator={iterator}")).await.ok(200);
            found.extend(column(&page, "id"));
        }
        assert_eq!(found.len(), 1, "{path}");
        let back = page["prevIterator"].as_str().map(str::to_owned);
        assert!(back.is_none_or(|back| back.starts_with('-')));
    }
}
