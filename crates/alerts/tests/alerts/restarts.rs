//! What a restart, or another node, finds.

use std::{sync::atomic::Ordering, time::Duration};

use domain::{
    alert::{Channel, Condition, MAX_OPEN},
    delivery::Health,
    id::OrganizationId,
};
use store::{
    deliveries::Settle,
    suite::traffic::{DELIVERED, EXHAUSTED},
};

use crate::support::{House, MINUTE};

fn slack() -> Vec<Channel> {
    vec![Channel::Slack { url: "https://hooks.slack.example/x".parse().expect("a URL") }]
}

/// A rule that fires for work that waits for ten minutes, held for five; and the work.
async fn waiting(house: &House) -> (OrganizationId, domain::delivery::Delivery) {
    let f = house.fixture();
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let condition = Condition::BacklogAge { over: 10 * MINUTE };
    house.rule(f.org, condition, 5 * MINUTE, slack()).await;
    let sent = f.send(&app, &[&endpoint], house.now()).await;
    (f.org, sent.deliveries[0].clone())
}

#[tokio::test]
async fn a_restart_neither_repeats_nor_forgets() {
    let mut house = House::new();
    let (org, delivery) = waiting(&house).await;
    house.pass(15 * MINUTE).await;
    house.expect_one(org, true).await;
    assert_eq!(house.out.take().len(), 1);
    house.restart();
    house.pass(20 * MINUTE).await;
    house.expect_one(org, true).await;
    assert_eq!(house.out.take(), []);
    house.restart();
    house.fixture().tried(&delivery, 200, DELIVERED, house.now()).await;
    house.pass(5 * MINUTE).await;
    house.expect_one(org, false).await;
    assert_eq!(house.out.take().len(), 1);
    house.restart();
    house.pass(20 * MINUTE).await;
    assert_eq!((house.only(org).await.notices.len(), house.out.take()), (2, vec![]));
}

#[tokio::test]
async fn only_the_keeper_looks_and_the_next_one_goes_on() {
    let mut house = House::new();
    let (org, delivery) = waiting(&house).await;
    house.keeper.store(false, Ordering::Relaxed);
    house.pass(30 * MINUTE).await;
    assert_eq!(house.alerts(org).await, []);
    house.keeper.store(true, Ordering::Relaxed);
    // The hold begins when it is first seen.
    house.pass(5 * MINUTE - Duration::from_secs(15)).await;
    assert_eq!(house.alerts(org).await, []);
    house.pass(Duration::from_secs(15)).await;
    house.expect_one(org, true).await;
    house.keeper.store(false, Ordering::Relaxed);
    house.fixture().tried(&delivery, 200, DELIVERED, house.now()).await;
    house.pass(10 * MINUTE).await;
    house.expect_one(org, true).await;
    house.keeper.store(true, Ordering::Relaxed);
    house.pass(5 * MINUTE).await;
    house.expect_one(org, false).await;
}

#[tokio::test]
async fn two_that_look_at_once_fire_once() {
    let mut house = House::new();
    let (org, _) = waiting(&house).await;
    let mut other = house.twin();
    for _ in 0..80 {
        house.clock.advance(Duration::from_secs(15));
        house.look().await;
        other.look().await.expect("looked");
    }
    house.expect_one(org, true).await;
}

#[tokio::test]
async fn a_rule_has_so_many_open_alerts_and_no_more() {
    let mut house = House::new();
    let f = house.fixture();
    let org = f.org;
    let app = f.application().await;
    house.rule(org, Condition::EndpointFailing { time: MINUTE }, Duration::ZERO, vec![]).await;
    for _ in 0..MAX_OPEN + 5 {
        let endpoint = f.endpoint(&app).await;
        let sent = f.send(&app, &[&endpoint], house.now()).await;
        let outcome = f.outcome(&sent.deliveries[0], Some(500), EXHAUSTED, house.now());
        f.settle(Settle { health: Health::Failing(house.now()), ..outcome }).await;
    }
    house.pass(5 * MINUTE).await;
    assert_eq!(house.alerts(org).await.len(), MAX_OPEN);
}
