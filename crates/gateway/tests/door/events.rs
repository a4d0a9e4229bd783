//! What is genuine is stored once, as it came.

use axum::body::Body;
use domain::{message::Origin, source::SourceSettings};
use http::{Method, Request};
use providers::catalogue;

use crate::support::{House, SECRET};

#[tokio::test]
async fn an_event_is_stored_once_and_its_duplicate_is_answered_alike() {
    let house = House::new();
    let stripe = house.source("stripe").await;
    let event = stripe.sign("evt_1");
    let (first, second) = (stripe.post(&event).await, stripe.post(&event).await);
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(first.body, second.body);
    let stored = stripe.stored().await;
    assert_eq!(stored.len(), 1);
    let message = &stored[0];
    assert_eq!(message.origin, Origin::Source);
    assert_eq!(message.event_id.as_ref().map(|id| id.as_str()), Some("evt_1"));
    assert_eq!(message.event_type.as_str(), "thing.happened");
    assert_eq!(&message.body.as_ref().expect("kept").bytes[..], &event.body[..]);
    assert_eq!(stripe.post(&stripe.sign("evt_2")).await.status, 200);
    assert_eq!(stripe.stored().await.len(), 2);
}

#[tokio::test]
async fn duplicates_at_once_are_one_event() {
    let house = House::new();
    let stripe = house.source("stripe").await;
    let event = stripe.sign("evt_1");
    let all = (0..64).map(|_| stripe.post(&event));
    for answer in futures_util::future::join_all(all).await {
        assert_eq!(answer.status, 200);
    }
    assert_eq!(stripe.stored().await.len(), 1);
}

#[tokio::test]
async fn an_id_is_remembered_as_long_as_the_source_says() {
    let house = House::new();
    let settings = SourceSettings { dedupe_window_secs: Some(60), ..SourceSettings::default() };
    let config = format!(r#"{{"secret":"{SECRET}"}}"#);
    let stripe = house.source_with("stripe", &config, settings).await;
    assert_eq!(stripe.post(&stripe.sign("evt_1")).await.status, 200);
    house.clock.advance(std::time::Duration::from_secs(59));
    assert_eq!(stripe.post(&stripe.sign("evt_1")).await.status, 200);
    assert_eq!(stripe.stored().await.len(), 1);
    house.clock.advance(std::time::Duration::from_secs(2));
    assert_eq!(stripe.post(&stripe.sign("evt_1")).await.status, 200);
    assert_eq!(stripe.stored().await.len(), 2);
}

#[tokio::test]
async fn two_equal_pings_are_two_events_unless_the_source_asks() {
    for (by_body, wanted) in [(None, 2), (Some(true), 1)] {
        let house = House::new();
        let settings = SourceSettings { dedupe_by_body: by_body, ..SourceSettings::default() };
        let source = house.source_with("generic-webhook", "{}", settings).await;
        for _ in 0..2 {
            let request = Request::post(&source.path).header("content-type", "application/json");
            let answer = source.send(request.body(Body::from("{}")).expect("a request")).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        assert_eq!(source.stored().await.len(), wanted);
    }
}

#[tokio::test]
async fn every_provider_that_can_be_signed_for_is_taken_in_and_its_twin_refused() {
    let mut tried = 0;
    for provider in catalogue::all() {
        let id = provider.row().id.clone();
        if !provider.missing_settings().is_empty() || !provider.needs_secret() {
            continue;
        }
        let house = House::new();
        let config = format!(r#"{{"secret":"{SECRET}"}}"#);
        let source = house.source_with(&id, &config, SourceSettings::default()).await;
        let sample = providers::Sample {
            url: format!("https://hooks.example.com{}", source.path),
            id: "evt-1".into(),
            event_type: "thing.happened".into(),
            body: None,
        };
        let secret = providers::Secret::new(SECRET);
        use domain::clock::Clock as _;
        // Keys of other forms than a text are tested where they are verified.
        let Ok(signed) = provider.sign(&sample, &secret, house.clock.now()) else { continue };
        if signed.url.contains('?') || signed.method != "POST" {
            continue;
        }
        let answer = source.post(&signed).await;
        assert!((200..300).contains(&answer.status), "{id}: {answer:?}");
        assert_eq!(source.stored().await.len(), 1, "{id}");
        let mut twin = signed;
        match twin.body.last_mut() {
            Some(last) => *last ^= 1,
            None => continue,
        }
        if !matches!(provider.row().scheme, providers::row::Scheme::Hmac) {
            continue;
        }
        let signs_body = provider.row().signed.as_deref().is_none_or(|s| s.contains("{body}"));
        let answer = source.post(&twin).await;
        if signs_body {
            assert_eq!(answer.status, 401, "{id}: {answer:?}");
            assert_eq!(source.stored().await.len(), 1, "{id}");
        }
        tried += 1;
    }
    assert!(tried > 80, "{tried}");
}

#[tokio::test]
async fn xml_and_forms_arrive_byte_for_byte() {
    let house = House::new();
    let xml = "<?xml version=\"1.0\"?>\r\n<Thing id='1'>\u{e9} &amp; </Thing>\n";
    let generic = house.source_with("generic-webhook", "{}", SourceSettings::default()).await;
    for (content_type, body) in [
        ("text/xml; charset=utf-8", xml.as_bytes()),
        ("application/x-www-form-urlencoded", b"a=1&b=%20&a=2".as_slice()),
        ("application/octet-stream", b"\0\xff\xfe".as_slice()),
    ] {
        let request = Request::post(&generic.path).header("content-type", content_type);
        let answer = generic.send(request.body(Body::from(body.to_vec())).expect("one")).await;
        assert_eq!(answer.status, 200);
        house.clock.advance(std::time::Duration::from_secs(1));
        let stored = generic.stored().await;
        let kept = stored.last().expect("stored").body.clone().expect("kept");
        assert_eq!((&kept.bytes[..], &*kept.content_type), (body, content_type));
    }
}

#[tokio::test]
async fn a_question_is_answered_and_is_no_event() {
    let house = House::new();
    let slack = house.source("slack").await;
    let body = br#"{"type":"url_verification","challenge":"<script>x</script>"}"#.to_vec();
    let question = slack.sign_body("unused", Some(body.clone()));
    let answer = slack.post(&question).await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"<script>x</script>"[..]));
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    // Unsigned it is not.
    let request = Request::post(&slack.path).body(Body::from(body)).expect("a request");
    assert_eq!(slack.send(request).await.status, 401);
    assert_eq!(slack.stored().await.len(), 0);
}

#[tokio::test]
async fn a_secret_that_the_provider_sends_is_kept_once() {
    let house = House::new();
    let asana = house.source_with("asana", "{}", SourceSettings::default()).await;
    let ask = |secret: &str| {
        Request::post(&asana.path)
            .header("x-hook-secret", secret)
            .body(Body::empty())
            .expect("a request")
    };
    let answer = asana.send(ask(SECRET)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers["x-hook-secret"], SECRET);
    assert_eq!(asana.post(&asana.sign("1")).await.status, 200);
    // Whoever asks again changes nothing.
    asana.send(ask("another-secret-altogether")).await;
    assert_eq!(asana.post(&asana.sign("2")).await.status, 200);
}

#[tokio::test]
async fn headers_go_on_that_the_source_names_and_no_credentials() {
    let house = House::new();
    let settings = SourceSettings {
        forward_headers: Some(vec!["x-tag".into(), "authorization".into(), "webhook-id".into()]),
        ..SourceSettings::default()
    };
    let generic = house.source_with("generic-webhook", "{}", settings).await;
    let request = Request::builder()
        .method(Method::POST)
        .uri(&generic.path)
        .header("X-Tag", "1")
        .header("X-Other", "2")
        .header("Authorization", "Bearer x")
        .header("webhook-id", "msg_1")
        .body(Body::from("x"))
        .expect("a request");
    assert_eq!(generic.send(request).await.status, 200);
    let body = generic.stored().await[0].body.clone().expect("kept");
    let headers: Vec<_> = body.headers.iter().map(|(n, v)| (&**n, &**v)).collect();
    assert_eq!(headers, [("x-tag", "1")]);
}

#[tokio::test]
async fn ids_and_types_are_read_from_xml_and_forms_as_from_json() {
    let house = House::new();
    for (place, content_type, body) in [
        (["j:/id", "j:/kind"], "application/json", "{ \"kind\":\"a.b\",\"id\":\"e-7\" }\n"),
        (
            ["xml:Id", "xml:Kind"],
            "text/xml",
            "<?xml version='1.0'?>\r\n<Event><Kind>a.b</Kind>\n<Id>e-7</Id></Event>",
        ),
        (["f:id", "f:kind"], "application/x-www-form-urlencoded", "kind=a.b&x=%00+&id=e%2D7"),
    ] {
        let config = serde_json::json!({ "secret": SECRET, "scheme": "token",
            "token": "h:X-Token", "event_id": place[0], "event_type": place[1],
            "event_id_signed": false });
        let source =
            house.source_with("custom", &config.to_string(), SourceSettings::default()).await;
        for _ in 0..2 {
            let request = Request::post(&source.path)
                .header("content-type", content_type)
                .header("x-token", SECRET)
                .body(Body::from(body))
                .expect("a request");
            let answer = source.send(request).await;
            assert_eq!(answer.status, 200, "{content_type}: {answer:?}");
        }
        let stored = source.stored().await;
        assert_eq!(stored.len(), 1, "{content_type}");
        assert_eq!(stored[0].event_id.as_ref().map(|id| id.as_str()), Some("e-7"));
        assert_eq!(stored[0].event_type.as_str(), "a.b");
        let kept = stored[0].body.as_ref().expect("kept");
        assert_eq!((&kept.bytes[..], &*kept.content_type), (body.as_bytes(), content_type));
        // The next one is a source of its own.
        house.clock.advance(std::time::Duration::from_secs(1));
    }
}
