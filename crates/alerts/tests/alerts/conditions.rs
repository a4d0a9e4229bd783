//! Each condition fires when it is so for as long as it must, and clears when it is good for as long.

use std::time::Duration;

use domain::{
    alert::{Condition, Latency, Of, Per, Percentile, Rejections, Subject},
    analytics::Unaccepted,
    application::Application,
    delivery::Health,
    endpoint::Endpoint,
    token::Actor,
};
use store::{
    Analytics, Catalog,
    analytics::UnacceptedCount,
    history::Tenant,
    suite::{
        fixture::{ACTOR, at},
        traffic::{DELIVERED, EXHAUSTED},
    },
};

use crate::support::{House, MINUTE};

fn of(minutes: u32, per: Per) -> Of {
    Of { window: minutes * MINUTE, min_attempts: 5, per }
}

/// Attempts that just were, and took so long.
async fn attempts(
    house: &House,
    app: &Application,
    to: &Endpoint,
    ok: bool,
    n: usize,
    millis: u64,
) {
    let f = house.fixture();
    for _ in 0..n {
        let sent = f.send(app, &[to], house.now()).await;
        let (status, next) = if ok { (200, DELIVERED) } else { (500, EXHAUSTED) };
        let mut outcome = f.outcome(&sent.deliveries[0], Some(status), next, house.now());
        let attempt = outcome.attempt.as_mut().expect("an attempt");
        attempt.outcome.duration = Duration::from_millis(millis);
        f.settle(outcome).await;
    }
}

/// An endpoint begins to fail, or is well again.
async fn health(house: &House, app: &Application, endpoint: &Endpoint, health: Health) {
    let f = house.fixture();
    let sent = f.send(app, &[endpoint], house.now()).await;
    let outcome = f.outcome(&sent.deliveries[0], Some(500), EXHAUSTED, house.now());
    f.settle(store::deliveries::Settle { health, ..outcome }).await;
}

#[tokio::test]
async fn an_endpoint_that_only_fails() {
    let mut house = House::new();
    let f = house.fixture();
    let org = f.org;
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    house.rule(org, Condition::EndpointFailing { time: 10 * MINUTE }, MINUTE, vec![]).await;
    health(&house, &app, &endpoint, Health::Failing(house.now())).await;
    house.pass(10 * MINUTE).await;
    assert_eq!(house.alerts(org).await, [], "not for long enough");
    house.pass(MINUTE).await;
    let alert = house.expect_one(org, true).await;
    assert_eq!(alert.subject, Subject::Endpoint(app.id, endpoint.id));
    assert!(alert.text.contains("has only failed for 11m (threshold: 10m)"), "{}", alert.text);
    house.pass(30 * MINUTE).await;
    house.expect_one(org, true).await;
    health(&house, &app, &endpoint, Health::Recovered).await;
    house.pass(MINUTE - Duration::from_secs(15)).await;
    house.expect_one(org, true).await;
    house.pass(MINUTE).await;
    house.expect_one(org, false).await;
}

#[tokio::test]
async fn an_endpoint_that_is_disabled() {
    let mut house = House::new();
    let f = house.fixture();
    let org = f.org;
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    house.rule(org, Condition::EndpointDisabled, Duration::ZERO, vec![]).await;
    health(&house, &app, &endpoint, Health::Failing(house.now())).await;
    house.pass(5 * MINUTE).await;
    assert_eq!(house.alerts(org).await, [], "it only fails");
    health(&house, &app, &endpoint, Health::Disable { fail_since: at(0) }).await;
    house.look().await;
    let alert = house.expect_one(org, true).await;
    assert!(alert.text.contains("was disabled because it failed"), "{}", alert.text);
    house.pass(5 * MINUTE).await;
    house.expect_one(org, true).await;
    let mut enabled = house.store.endpoints_ever(org, app.id, &[endpoint.id]).await.expect("read");
    let mut enabled = enabled.remove(0);
    (enabled.disabled, enabled.revision) = (false, enabled.revision + 1);
    let updated = house.store.update_endpoint(&Actor::System, enabled).await;
    assert_eq!(updated, Ok(Ok(())));
    house.pass(Duration::from_secs(15)).await;
    house.expect_one(org, false).await;
}

#[tokio::test]
async fn work_that_waits() {
    let mut house = House::new();
    let f = house.fixture();
    let org = f.org;
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    house.rule(org, Condition::BacklogAge { over: 10 * MINUTE }, MINUTE, vec![]).await;
    let sent = f.send(&app, &[&endpoint], house.now()).await;
    house.pass(10 * MINUTE).await;
    assert_eq!(house.alerts(org).await, []);
    house.pass(MINUTE).await;
    let alert = house.expect_one(org, true).await;
    assert_eq!((alert.subject, alert.since), (Subject::Organization, at(600)));
    let f = house.fixture();
    f.tried(&sent.deliveries[0], 200, DELIVERED, house.now()).await;
    house.pass(2 * MINUTE).await;
    house.expect_one(org, false).await;
}

#[tokio::test]
async fn a_success_rate_that_falls() {
    for per in [Per::Organization, Per::Application, Per::Endpoint] {
        let mut house = House::new();
        let f = house.fixture();
        let org = f.org;
        let (app, well) = (f.application().await, f.application().await);
        let (endpoint, other) = (f.endpoint(&app).await, f.endpoint(&well).await);
        let condition = Condition::SuccessRateBelow { percent: 90.0, of: of(5, per) };
        house.rule(org, condition, 2 * MINUTE, vec![]).await;
        attempts(&house, &app, &endpoint, false, 4, 20).await;
        house.pass(4 * MINUTE).await;
        assert_eq!(house.alerts(org).await, [], "{per:?}: too few to say");
        house.clock.advance(20 * MINUTE);
        for _ in 0..4 {
            attempts(&house, &app, &endpoint, false, 2, 20).await;
            attempts(&house, &app, &endpoint, true, 8, 20).await;
            attempts(&house, &well, &other, true, 5, 20).await;
            house.pass(MINUTE).await;
        }
        let alert = house.expect_one(org, true).await;
        let (subject, rate) = match per {
            Per::Organization => (Subject::Organization, 100.0 * 13.0 / 15.0),
            Per::Application => (Subject::Application(app.id), 80.0),
            Per::Endpoint => (Subject::Endpoint(app.id, endpoint.id), 80.0),
        };
        assert_eq!(alert.subject, subject);
        assert!((alert.value - rate).abs() < 1e-9, "{}", alert.value);
        // What fails leaves the window; then it is good for two minutes.
        for _ in 0..9 {
            attempts(&house, &app, &endpoint, true, 10, 20).await;
            house.pass(MINUTE).await;
        }
        house.expect_one(org, false).await;
    }
}

#[tokio::test]
async fn a_latency_that_rises() {
    for latency in [Latency::Response, Latency::Delivery] {
        let mut house = House::new();
        let f = house.fixture();
        let org = f.org;
        let app = f.application().await;
        let endpoint = f.endpoint(&app).await;
        let (percentile, of) = (Percentile::P95, of(5, Per::Application));
        let condition = Condition::LatencyAbove { latency, percentile, millis: 1_000, of };
        house.rule(org, condition, MINUTE, vec![]).await;
        attempts(&house, &app, &endpoint, true, 20, 500).await;
        house.pass(2 * MINUTE).await;
        assert_eq!(house.alerts(org).await, []);
        attempts(&house, &app, &endpoint, true, 5, 2_000).await;
        house.pass(2 * MINUTE).await;
        let alert = house.expect_one(org, true).await;
        assert_eq!(alert.subject, Subject::Application(app.id));
        assert!((alert.value - 2_000.0).abs() < 40.0, "{}", alert.value);
        house.clock.advance(6 * MINUTE);
        attempts(&house, &app, &endpoint, true, 20, 500).await;
        house.pass(2 * MINUTE).await;
        house.expect_one(org, false).await;
    }
}

#[tokio::test]
async fn a_source_that_refuses() {
    let share = Rejections::Share { percent: 20.0, min_requests: 10 };
    for (over, value) in [(Rejections::Count(5), 6.0), (share, 30.0)] {
        let mut house = House::new();
        let f = house.fixture();
        let org = f.org;
        let app = f.application().await;
        let window = 5 * MINUTE;
        house.rule(org, Condition::SourceRejecting { over, window }, MINUTE, vec![]).await;
        let tenant = Tenant { org, app: app.id };
        let count = async |house: &House, why, count| {
            let counts = vec![UnacceptedCount { tenant, at: house.now(), why, count }];
            house.store.count_unaccepted(counts).await.expect("counted");
        };
        for _ in 0..14 {
            f.send(&app, &[], house.now()).await;
        }
        // What it has already is none of it.
        count(&house, Unaccepted::Duplicate, 100).await;
        count(&house, Unaccepted::Signature, 2).await;
        house.pass(2 * MINUTE).await;
        assert_eq!(house.alerts(org).await, [], "{over:?}");
        count(&house, Unaccepted::Signature, 4).await;
        house.pass(2 * MINUTE).await;
        let alert = house.expect_one(org, true).await;
        assert_eq!((alert.subject, alert.value), (Subject::Application(app.id), value));
        house.clock.advance(10 * MINUTE);
        for _ in 0..20 {
            house.fixture().send(&app, &[], house.now()).await;
        }
        house.pass(2 * MINUTE).await;
        house.expect_one(org, false).await;
    }
}

#[tokio::test]
async fn an_application_that_gets_nothing() {
    let mut house = House::new();
    let f = house.fixture();
    let org = f.org;
    let (app, other) = (f.application().await, f.application().await);
    let condition = Condition::NothingReceived { app: app.id, window: 60 * MINUTE };
    house.rule(org, condition, Duration::ZERO, vec![]).await;
    house.pass(59 * MINUTE).await;
    assert_eq!(house.alerts(org).await, [], "it is new");
    house.fixture().send(&app, &[], house.now()).await;
    house.pass(59 * MINUTE).await;
    house.fixture().send(&other, &[], house.now()).await;
    house.look().await;
    assert_eq!(house.alerts(org).await, []);
    house.pass(MINUTE).await;
    let alert = house.expect_one(org, true).await;
    assert!(alert.text.contains("has received nothing for 1h"), "{}", alert.text);
    house.fixture().send(&app, &[], house.now()).await;
    house.look().await;
    house.expect_one(org, false).await;
    // What is deleted is nobody's worry.
    house.pass(60 * MINUTE).await;
    assert_eq!(house.alerts(org).await.len(), 2);
    let deleted = house.store.delete_application(&ACTOR, org, app.id, house.now()).await;
    assert_eq!(deleted, Ok(Ok(())));
    house.look().await;
    assert!(house.alerts(org).await.iter().all(|alert| !alert.is_open()));
}
