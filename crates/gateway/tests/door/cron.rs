//! Events by the clock.

use std::time::Duration;

use domain::{clock::Clock, source::SourceSettings};
use hookwright_gateway::cron::Scheduler;

use crate::support::{House, Posting};

const MINUTE: Duration = Duration::from_secs(60);

fn scheduler(house: &House) -> Scheduler {
    Scheduler::new(house.store.clone(), house.publisher.clone(), house.clock.clone())
}

/// Steps until it is `until` from now, as its waits say.
async fn run(house: &House, schedulers: &mut [Scheduler], until: Duration) {
    let end = house.clock.now().plus(until);
    loop {
        let mut wait = Duration::MAX;
        for scheduler in schedulers.iter_mut() {
            wait = wait.min(scheduler.step().await);
        }
        if house.clock.now().plus(wait) > end {
            house.clock.advance(end.since(house.clock.now()));
            return;
        }
        house.clock.advance(wait);
    }
}

async fn minutely<'a>(house: &'a House, more: &str) -> Posting<'a> {
    let config = format!(r#"{{"schedule":"* * * * *","payload":"{{\"a\":1}}"{more}}}"#);
    house.source_with("cron", &config, SourceSettings::default()).await
}

#[tokio::test]
async fn each_moment_has_one_event_however_many_nodes_there_are() {
    let house = House::new();
    let source = minutely(&house, r#","contentType":"application/x-tick""#).await;
    let mut nodes = [scheduler(&house), scheduler(&house), scheduler(&house)];
    run(&house, &mut nodes, 5 * MINUTE).await;
    let stored = source.stored().await;
    assert_eq!(stored.len(), 5);
    let body = stored[0].body.as_ref().expect("kept");
    assert_eq!((&body.bytes[..], &*body.content_type), (&br#"{"a":1}"#[..], "application/x-tick"));
    for (a, b) in stored.iter().zip(&stored[1..]) {
        assert_eq!(b.created_at.since(a.created_at), MINUTE);
    }
}

#[tokio::test]
async fn missed_times_are_skipped_or_caught_up() {
    for (more, wanted) in [("", 3), (r#","missed":"catch_up""#, 10 + 3)] {
        let house = House::new();
        let source = minutely(&house, more).await;
        run(&house, &mut [scheduler(&house)], 2 * MINUTE).await;
        assert_eq!(source.stored().await.len(), 2);
        // Nobody is there.
        house.clock.advance(10 * MINUTE);
        run(&house, &mut [scheduler(&house)], MINUTE).await;
        assert_eq!(source.stored().await.len(), wanted, "{more}");
    }
}

#[tokio::test]
async fn a_store_that_is_away_makes_it_late_and_no_more() {
    let house = House::new();
    let source = minutely(&house, "").await;
    let mut nodes = [scheduler(&house)];
    run(&house, &mut nodes, MINUTE / 2).await;
    house.store.set_unavailable(true);
    run(&house, &mut nodes, MINUTE / 2).await;
    house.store.set_unavailable(false);
    run(&house, &mut nodes, MINUTE / 2).await;
    assert_eq!(source.stored().await.len(), 1);
}

#[tokio::test]
async fn what_is_disabled_or_changed_is_heard_of() {
    let house = House::new();
    let source = minutely(&house, "").await;
    let mut nodes = [scheduler(&house)];
    run(&house, &mut nodes, MINUTE).await;
    source.change(|source| source.settings.disabled = true).await;
    run(&house, &mut nodes, 3 * MINUTE).await;
    let before = source.stored().await.len();
    assert!((1..=2).contains(&before), "{before}");
    source.change(|source| source.settings.disabled = false).await;
    run(&house, &mut nodes, 3 * MINUTE).await;
    assert!(source.stored().await.len() >= before + 2);
}
