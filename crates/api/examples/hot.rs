#![allow(clippy::disallowed_methods)]
use axum::body::Body;
use domain::{
    clock::ManualClock, clock::Timestamp, entropy::SeededEntropy, id::OrganizationId, name::Ref,
};
use hookwright_api::{ApiOptions, ApiState, JwtAlgorithm, Keys, auth};
use publish::{Catalogues, Handover, Hot, PublishOptions, Publisher};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use store::Store;
use store_memory::MemoryStore;
use tower::ServiceExt;
struct No;
impl Handover for No {
    fn hand_over(&self, _: Vec<Hot>) {}
    fn endpoint_changed(
        &self,
        _: OrganizationId,
        _: domain::id::ApplicationId,
        _: domain::id::EndpointId,
    ) {
    }
    fn application_changed(&self, _: OrganizationId, _: domain::id::ApplicationId) {}
}
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let start = Timestamp::from_secs(1_790_000_000);
    let clock = Arc::new(ManualClock::new(start));
    let entropy = Arc::new(SeededEntropy::new(1));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(entropy.clone()));
    let publisher = Arc::new(Publisher::new(
        store.clone(),
        Arc::new(Catalogues::new(store.clone(), 1000)),
        Arc::new(No),
        clock.clone(),
        entropy.clone(),
        PublishOptions { payload_retention: Duration::from_secs(86400), max_pending: None },
    ));
    let keys = || Keys::new(JwtAlgorithm::Hs256, b"secretsecret").unwrap();
    let state =
        ApiState::new(store, publisher.clone(), clock, entropy.clone(), ApiOptions::new(keys()))
            .await
            .unwrap();
    let router = hookwright_api::router(state);
    let org = OrganizationId::generate(start, &*entropy);
    let token = auth::mint_organization(&keys(), org, start, Duration::from_secs(86400), &*entropy)
        .unwrap()
        .token;
    let send = |path: &str, body: bytes::Bytes, key: usize| {
        let r = http::Request::post(path)
            .header("authorization", format!("Bearer {token}"))
            .header("idempotency-key", format!("auto_{key:032}"))
            .header("content-type", "application/json")
            .header("user-agent", "svix-libs/1")
            .header("accept", "application/json")
            .body(Body::from(body))
            .unwrap();
        router.clone().oneshot(r)
    };
    let r = send("/api/v1/app", r#"{"name":"a","uid":"u"}"#.into(), 0).await.unwrap();
    assert_eq!(r.status(), 201);
    let r =
        send("/api/v1/app/u/endpoint", r#"{"url":"https://example.com"}"#.into(), 1).await.unwrap();
    assert_eq!(r.status(), 201);
    let payload = format!(r#"{{"a":"{}"}}"#, "x".repeat(1016));
    let body = bytes::Bytes::from(format!(r#"{{"eventType":"user.signup","payload":{payload}}}"#));
    let n = 20_000;
    for round in 0..3 {
        for q in ["", "?with_content=false"] {
            let t = Instant::now();
            for i in 0..n {
                let r = send(
                    &format!("/api/v1/app/u/msg{q}"),
                    body.clone(),
                    10 + round * 10 * n + i + q.len() * n,
                )
                .await
                .unwrap();
                assert_eq!(r.status(), 202);
            }
            println!("request {q}: {:?}", t.elapsed() / n as u32);
        }
        let t = Instant::now();
        for i in 0..n {
            let d = publish::Draft {
                event_type: "user.signup".parse().unwrap(),
                event_id: None,
                channels: vec![],
                tags: vec![],
                body: domain::message::Body::json(body.clone()),
                deliver_at: None,
                retention: None,
                origin: domain::message::Origin::Api,
                idempotency: Some(publish::DraftClaim {
                    key: domain::claim::ClaimKey::new(
                        domain::claim::ClaimKind::IdempotencyKey,
                        &[&(i + round * n).to_le_bytes()],
                    ),
                    ttl: Duration::from_secs(9),
                }),
                only: None,
            };
            publisher.publish(org, &Ref::Uid("u".parse().unwrap()), vec![d]).await.unwrap();
        }
        println!("publish alone: {:?}", t.elapsed() / n as u32);
        let t = Instant::now();
        for _ in 0..n {
            let r = http::Request::get("/api/v1/health/ping").body(Body::empty()).unwrap();
            router.clone().oneshot(r).await.unwrap();
        }
        println!("ping: {:?}", t.elapsed() / n as u32);
    }
}
