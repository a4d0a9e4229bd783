//! Several nodes share a store: who owns what as they come and go in order. Nothing is sent twice.

use domain::{application::Application, shard::Shard};
use tokio::time::Instant;

use crate::harness::{Answer, HOUR, MS, SEC, World};

/// Endpoints at `e<n>.test`, each of its own application.
async fn endpoints(world: &World, n: usize) -> Vec<Application> {
    let mut apps = Vec::new();
    for n in 0..n {
        let app = world.application(|_| {}).await;
        let host = format!("e{n}.test");
        world.endpoint(&app, &host, |_| {}).await;
        world.receivers.always(&host, Answer::ok().after(30 * MS));
        apps.push(app);
    }
    apps
}

/// Sends to all of them, at each node in turn, for so many rounds of 20 ms.
async fn send_rounds(world: &World, apps: &[Application], rounds: usize) {
    let nodes = world.owned().len();
    for round in 0..rounds {
        for app in apps {
            world.send_at(round % nodes, app, 1).await;
        }
        world.pass(20 * MS).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_nodes_share_out_the_shards_and_the_work() {
    let mut world = World::shared(|_| {});
    world.shared_out(MS, &[1_024]).await;
    world.join();
    world.shared_out(3 * SEC, &[512, 512]).await;
    let apps = endpoints(&world, 40).await;
    send_rounds(&world, &apps, 20).await;
    world.drained(SEC).await;
    assert_eq!(world.receivers.total(), 800);
    world.receivers.assert_no_duplicates();
    let settled: Vec<_> = world.nodes().map(|node| node.store.calls("settle")).collect();
    assert_eq!(settled.iter().sum::<usize>(), 800);
    assert!(settled.iter().all(|n| *n > 250), "both do their part: {settled:?}");
    assert!(world.nodes().all(|node| node.engine.ready()));
}

#[tokio::test(start_paused = true)]
async fn a_third_node_gets_its_share_without_a_duplicate() {
    let mut world = World::shared(|_| {});
    world.join();
    world.shared_out(3 * SEC, &[512, 512]).await;
    for node in world.nodes() {
        node.store.be_slow(2, 3 * MS);
    }
    let apps = endpoints(&world, 60).await;
    send_rounds(&world, &apps, 10).await;
    world.join();
    send_rounds(&world, &apps, 300).await;
    world.shared_out(MS, &[342, 341, 341]).await;
    world.drained(10 * SEC).await;
    assert_eq!(world.receivers.total(), 310 * 60);
    world.receivers.assert_no_duplicates();
}

#[tokio::test(start_paused = true)]
async fn an_applications_limit_is_shared_by_its_owners() {
    for rate in [20, 300] {
        let mut world = World::shared(|_| {});
        world.join();
        world.join();
        world.shared_out(5 * SEC, &[342, 341, 341]).await;
        let app = world.application(|app| app.throttle_rate = Some(rate)).await;
        for n in 0..12 {
            world.endpoint(&app, &format!("e{n}.test"), |_| {}).await;
        }
        world.send_many(&app, usize::from(rate) * 14 / 12).await;
        world.pass(12 * SEC).await;
        let mut starts: Vec<Instant> = Vec::new();
        for n in 0..12 {
            let came = world.receivers.at(&format!("e{n}.test"));
            assert!(!came.is_empty(), "all take part");
            starts.extend(came.iter().map(|a| a.at));
        }
        starts.sort();
        let began = starts[0];
        let at = |ms: u32| starts.partition_point(|s| *s - began < ms * MS);
        let most = usize::from(rate) * 10;
        for from in (0..=1_500).step_by(50) {
            let came = at(from + 10_000) - at(from);
            assert!(came <= most, "{rate}/s from {from} ms on: {came}");
            assert!(came * 100 >= most * 98, "{rate}/s from {from} ms on: {came}");
        }
        // A store that does not answer for a moment costs that moment.
        world.store.fail("reserve");
        world.pass(SEC).await;
        world.store.heal();
        world.drained(10 * SEC).await;
        world.receivers.assert_no_duplicates();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_given_back_comes_to_rest_before() {
    let mut world = World::shared(|_| {});
    world.shared_out(MS, &[1_024]).await;
    // The highest shards are given back.
    let high = |shard: Shard| shard.0 >= 512;
    let (app, _) = world.endpoint_in(high, "slow.test", |_| {}).await;
    world.receivers.always("slow.test", Answer::ok().after(10 * SEC));
    world.send_many(&app, 40).await;
    let began = Instant::now();
    world.join();
    world.shared_out(3 * SEC, &[513, 511]).await;
    assert_eq!(world.receivers.total(), 16, "a window");
    world.shared_out(10 * SEC, &[512, 512]).await;
    assert!(began.elapsed() >= 10 * SEC && began.elapsed() <= 11 * SEC, "{:?}", began.elapsed());
    world.drained(HOUR).await;
    assert_eq!(world.receivers.total(), 40);
    world.receivers.assert_no_duplicates();
}

#[tokio::test(start_paused = true)]
async fn what_does_not_come_to_rest_is_given_back_when_its_time_is_over() {
    let mut world = World::shared(|options| options.drain_timeout = 4 * SEC);
    world.shared_out(MS, &[1_024]).await;
    let high = |shard: Shard| shard.0 >= 512;
    let (app, _) = world.endpoint_in(high, "slow.test", |_| {}).await;
    world.receivers.on("slow.test", |nth| match nth {
        0 => Answer::status(500).after(12 * SEC),
        _ => Answer::ok(),
    });
    let message = world.send(&app).await;
    world.join();
    world.shared_out(7 * SEC, &[512, 512]).await;
    world.drained(SEC).await;
    assert_eq!(world.receivers.total(), 2, "the other one made it anew");
    world.pass(20 * SEC).await;
    let attempts = world.attempts(&message).await;
    let seen: Vec<_> =
        attempts.iter().map(|a| (a.outcome.status_code, a.number, a.superseded)).collect();
    assert_eq!(seen, [(Some(500), 1, true), (Some(200), 1, false)], "late, and on record");
    assert_eq!(world.receivers.total(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stops_hands_over_at_once() {
    let mut world = World::shared(|_| {});
    world.join();
    world.shared_out(3 * SEC, &[512, 512]).await;
    let (slow, _) = world.endpoint_of(0, "slow.test", |_| {}).await;
    let (fast, _) = world.endpoint_of(0, "fast.test", |_| {}).await;
    world.receivers.always("slow.test", Answer::ok().after(8 * SEC));
    world.receivers.always("fast.test", Answer::ok().after(5 * MS));
    world.send_at(1, &slow, 1).await;
    world.send_at(1, &fast, 100).await;
    world.pass(10 * MS).await;
    let began = Instant::now();
    let stopping = hookwright_dispatch::spawn::spawn("stop", {
        let engine = world.node(0).engine.clone();
        async move { engine.stop().await }
    });
    world.until(100 * MS, "the others are handed over", async || world.owned() == [1, 1_023]).await;
    assert!(!world.node(0).engine.ready());
    for n in 1..=50 {
        let sent = Instant::now();
        world.send_at(1, &fast, 1).await;
        let came = world.arrivals(SEC, "fast.test", 100 + n).await;
        assert!(came.at - sent <= 25 * MS, "{:?}", came.at - sent);
        world.pass(50 * MS).await;
    }
    assert_eq!(stopping.await.expect("it ends"), 0);
    let took = began.elapsed();
    assert!(took <= 9 * SEC, "{took:?}");
    world.until(100 * MS, "all is handed over", async || world.owned() == [0, 1_024]).await;
    world.drained(SEC).await;
    assert_eq!(world.receivers.total(), 151);
    world.receivers.assert_no_duplicates();
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_while_a_node_that_stops_waits() {
    let mut world = World::shared(|_| {});
    world.join();
    world.shared_out(3 * SEC, &[512, 512]).await;
    let (slow, _) = world.endpoint_of(0, "slow.test", |_| {}).await;
    world.receivers.always("slow.test", Answer::ok().after(14 * SEC));
    let message = world.send(&slow).await;
    world.pass(10 * MS).await;
    assert_eq!(world.engine.stop().await, 0);
    world.drained(SEC).await;
    assert_eq!(world.receivers.total(), 1);
    assert!(!world.attempts(&message).await[0].superseded);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_holds_up_no_end() {
    for call in ["release", "heartbeat"] {
        let world = World::shared(|_| {});
        world.shared_out(MS, &[1_024]).await;
        world.store.hold(call);
        world.pass(3 * SEC).await;
        let began = Instant::now();
        assert_eq!(world.engine.stop().await, 0);
        assert!(began.elapsed() <= 3 * SEC, "{call}: {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn one_node_keeps_house_for_all() {
    let mut world = World::shared(|_| {});
    world.join();
    world.shared_out(3 * SEC, &[512, 512]).await;
    let swept = || world.nodes().map(|n| n.store.calls("sweep")).collect::<Vec<_>>();
    world.pass(60 * SEC).await;
    assert!(swept()[0] >= 5 && swept()[1] == 0, "{:?}", swept());
    world.engine.stop().await;
    world.pass(60 * SEC).await;
    assert!(swept()[0] <= 7 && swept()[1] >= 5, "{:?}", swept());
}

#[tokio::test(start_paused = true)]
async fn a_node_goes_by_the_stores_clock() {
    let world = World::shared(|_| {});
    world.node(0).clock.set_by(-1);
    assert_eq!(world.engine.clock_offset(), None);
    assert!(!world.engine.ready(), "it owns nothing yet");
    world.pass(MS).await;
    assert_eq!(world.engine.clock_offset(), Some(1_000_000));
    assert!(world.engine.ready());
    let app = world.application(|_| {}).await;
    world.endpoint(&app, "one.test", |_| {}).await;
    let now = world.now();
    let message = world.send(&app).await;
    let came = world.arrivals(10 * MS, "one.test", 1).await;
    assert_eq!(came.header("webhook-timestamp"), now.as_secs().to_string());
    assert_eq!(message.created_at, now);
    world.drained(SEC).await;
    assert_eq!(world.attempts(&message).await[0].started_at, message.created_at);

    world.node(0).clock.set_by(-1);
    world.pass(3 * SEC).await;
    assert_eq!(world.engine.clock_offset(), Some(2_000_000));
    assert!(!world.engine.ready(), "too far off");
}
