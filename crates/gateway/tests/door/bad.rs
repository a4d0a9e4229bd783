//! What is not taken in, and what its sender gets to read.

use axum::body::Body;
use domain::source::{Acknowledgement, SourceSettings};
use http::{Method, Request};
use store::{Rejected, history::Tenant, suite::fixture::newest};

use crate::support::{House, SECRET};

fn post(path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path).body(body.into()).expect("a request")
}

#[tokio::test]
async fn what_is_altered_is_refused_and_leaves_nothing() {
    let house = House::new();
    let stripe = house.source("stripe").await;
    let mut event = stripe.sign("evt_1");
    event.body.push(b'\n');
    let answer = stripe.post(&event).await;
    assert_eq!(answer.status, 401);
    assert!(answer.body.starts_with(br#"{"code":"not_genuine""#), "{answer:?}");
    assert_eq!(stripe.stored().await.len(), 0);
    // And does not make the genuine one a duplicate.
    event.body.pop();
    assert_eq!(stripe.post(&event).await.status, 200);
    assert_eq!(stripe.stored().await.len(), 1);
    stripe.change(|source| source.settings.unverified_status = Some(403)).await;
    event.body.push(b'\n');
    assert_eq!(stripe.post(&event).await.status, 403);
}

#[tokio::test]
async fn what_is_refused_is_kept_for_inspection_in_bounds() {
    let house = House::new();
    let stripe = house.source("stripe").await;
    let tenant = Tenant { org: house.org, app: stripe.application.id };
    for n in 0..20 {
        let mut event = stripe.sign(&format!("evt_{n}"));
        event.body.push(b'\n');
        event.headers.push(("cookie".into(), "a=b".into()));
        assert_eq!(stripe.post(&event).await.status, 401);
    }
    let kept = loop {
        let kept = house.store.list_rejected(tenant, newest(50)).await.expect("listed").items;
        if !kept.is_empty() {
            break kept;
        }
        tokio::task::yield_now().await;
    };
    assert!(kept.len() <= 5, "{}", kept.len());
    let one = &kept[0];
    assert_eq!((one.status, one.method.as_str(), one.url.as_str()), (401, "POST", "/in/…"));
    assert!(one.reason.contains("no signature matches"), "{}", one.reason);
    assert!(one.headers.iter().any(|(name, _)| name == "stripe-signature"));
    assert!(one.headers.contains(&("cookie".into(), "(hidden)".into())));
    assert!(one.body.ends_with(b"\n"));
}

#[tokio::test]
async fn nobody_learns_which_urls_there_are() {
    let house = House::new();
    let stripe = house.source("stripe").await;
    let event = stripe.sign("evt_1");
    let mut answers = Vec::new();
    let (owner, secret) = stripe.path.split_once('.').expect("two parts");
    for path in ["/in/", "/in/x", owner, &format!("{owner}.{}", secret.to_uppercase())] {
        answers.push(stripe.send(post(path, event.body.clone())).await);
    }
    stripe.change(|source| source.settings.disabled = true).await;
    answers.push(stripe.post(&event).await);
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (404, &answers[0].body));
    }
}

#[tokio::test]
async fn an_old_token_is_good_for_a_while() {
    let house = House::new();
    let stripe = house.source("stripe").await;
    let entropy = domain::entropy::SeededEntropy::new(99);
    stripe.change(|source| assert!(source.rotate_token(crate::support::NOW, &entropy))).await;
    assert_eq!(stripe.post(&stripe.sign("evt_1")).await.status, 200);
    house.clock.advance(domain::source::TOKEN_OVERLAP);
    assert_eq!(stripe.post(&stripe.sign("evt_2")).await.status, 404);
}

#[tokio::test]
async fn bounds_have_their_own_answers() {
    let house = House::new();
    let settings = SourceSettings {
        max_body_bytes: Some(100),
        throttle_rate: Some(20),
        ..SourceSettings::default()
    };
    let generic = house.source_with("generic-webhook", "{}", settings).await;
    let answer = generic.send(post(&generic.path, vec![b'x'; 101])).await;
    assert_eq!(answer.status, 413);
    let answer = generic.send(post(&generic.path, "x")).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.headers["retry-after"], "1");
    house.clock.advance(std::time::Duration::from_secs(1));
    let request = Request::builder().method(Method::DELETE).uri(&generic.path);
    let answer = generic.send(request.body(Body::empty()).expect("one")).await;
    assert_eq!(answer.status, 405);
    assert_eq!(answer.headers["allow"], "POST, GET, HEAD, OPTIONS");
    let stripe = house.source("stripe").await;
    let request = Request::get(&stripe.path).body(Body::empty()).expect("one");
    assert_eq!(stripe.send(request).await.status, 405);
    house.clock.advance(std::time::Duration::from_secs(1));
    let request = Request::post(&generic.path).header("content-type", "nonsense");
    assert_eq!(generic.send(request.body(Body::from("x")).expect("one")).await.status, 415);
    house.clock.advance(std::time::Duration::from_secs(1));
    // A body whose length is not said, and that has no end.
    let endless = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 50]));
    let answer = generic.send(post(&generic.path, Body::from_stream(endless))).await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.headers["connection"], "close");
    assert_eq!(generic.stored().await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_is_not_waited_for() {
    let house = House::new();
    let generic = house.source_with("generic-webhook", "{}", SourceSettings::default()).await;
    let never = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let answer = generic.send(post(&generic.path, Body::from_stream(never))).await;
    assert_eq!(answer.status, 408);
}

#[tokio::test]
async fn while_the_store_is_away_nothing_is_acknowledged() {
    let house = House::new();
    let stripe = house.source("stripe").await;
    let event = stripe.sign("evt_1");
    assert_eq!(stripe.post(&stripe.sign("evt_0")).await.status, 200);
    house.store.set_unavailable(true);
    let answer = stripe.post(&event).await;
    assert_eq!(answer.status, 503);
    assert!(answer.headers.contains_key("retry-after"));
    house.store.set_unavailable(false);
    assert_eq!(stripe.post(&event).await.status, 200);
    assert_eq!(stripe.stored().await.len(), 2);
}

#[tokio::test]
async fn a_source_may_have_an_answer_of_its_own() {
    let house = House::new();
    let settings = SourceSettings {
        acknowledgement: Some(Acknowledgement {
            status: 202,
            content_type: Some("text/plain".into()),
            body: "thanks".into(),
        }),
        ..SourceSettings::default()
    };
    let config = format!(r#"{{"secret":"{SECRET}"}}"#);
    let stripe = house.source_with("stripe", &config, settings).await;
    let answer = stripe.post(&stripe.sign("evt_1")).await;
    assert_eq!((answer.status, &answer.body[..]), (202, &b"thanks"[..]));
    assert_eq!(answer.headers["content-type"], "text/plain");
}

#[tokio::test]
async fn a_url_that_is_signed_is_the_one_the_provider_was_given() {
    let house = House::new();
    let square = house.source("square").await;
    assert_eq!(square.post(&square.sign("1")).await.status, 200);
    square
        .change(|source| source.settings.public_url = Some("https://other.example/x".into()))
        .await;
    assert_eq!(square.post(&square.sign("2")).await.status, 401);
}
