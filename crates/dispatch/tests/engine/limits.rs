//! Rate limits hold, and are used.

use std::time::Duration;

use crate::harness::{MS, SEC, World};

/// Saturates one endpoint for 12 seconds and looks at every window of ten seconds after the first.
async fn saturate(rate: u16, endpoints: usize, of_application: bool) {
    let world = World::new(|_| {});
    let app = world.application(|app| app.throttle_rate = of_application.then_some(rate)).await;
    for n in 0..endpoints {
        let limit = |e: &mut domain::endpoint::Endpoint| {
            e.throttle_rate = (!of_application).then_some(rate);
        };
        world.endpoint(&app, &format!("e{n}.test"), limit).await;
    }
    world.send_many(&app, usize::from(rate) * 13 / endpoints).await;
    world.pass(12 * SEC).await;
    let mut starts = Vec::new();
    for n in 0..endpoints {
        let came = world.receivers.at(&format!("e{n}.test"));
        assert!(came.len() * endpoints > usize::from(rate) * 11, "all take part");
        starts.extend(came.iter().map(|a| a.at));
    }
    starts.sort();
    let began = starts[0];
    let at = |ms: u32| starts.partition_point(|s| *s - began < ms * MS);
    let most = usize::from(rate) * 10;
    assert!(at(1_000) <= usize::from(rate) + usize::from(rate / 20).max(1), "first second");
    for from in (1_000..=2_000).step_by(50) {
        let came = at(from + 10_000) - at(from);
        assert!(came <= most, "{rate}/s from {from} ms on: {came}");
        assert!(came * 100 >= most * 99, "{rate}/s from {from} ms on: {came}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoints_limit() {
    for rate in [50, 500, 5_000] {
        saturate(rate, 1, false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_applications_limit_over_all_its_endpoints() {
    for rate in [50, 500, 5_000] {
        saturate(rate, 5, true).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_lifted_holds_nothing_back() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    let endpoint = world.endpoint(&app, "one.test", |e| e.throttle_rate = Some(1)).await;
    world.send_many(&app, 100).await;
    world.pass(SEC / 2).await;
    assert_eq!(world.receivers.count("one.test"), 1);
    world.change(&endpoint, |e| e.throttle_rate = None).await;
    world.drained(Duration::from_millis(10)).await;
    world.receivers.assert_no_duplicates();
}
