//! Nodes that die, or that the store does not hear of any more: another one takes over, and what the old
//! owner does is fenced. Nothing is lost.

use std::collections::BTreeMap;

use domain::{
    delivery::{Cause, EndState},
    entropy::{Entropy as _, SeededEntropy},
};
use tokio::time::Instant;

use crate::harness::{Answer, HOUR, MS, SEC, World, schedule};

/// Two nodes, and the moment after a heartbeat of the first one.
async fn two(change: impl FnOnce(&mut hookwright_dispatch::DispatchOptions)) -> (World, Instant) {
    let mut world = World::shared(change);
    world.join();
    world.shared_out(3 * SEC, &[512, 512]).await;
    let beats = world.store.calls("heartbeat");
    while world.store.calls("heartbeat") == beats {
        world.pass(MS).await;
    }
    (world, Instant::now() - MS)
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_heard_of_stops_by_itself_and_another_takes_over() {
    let (world, heard) = two(|_| {}).await;
    let (fast, _) = world.endpoint_of(0, "fast.test", |_| {}).await;
    let (slow, endpoint) = world.endpoint_of(0, "slow.test", |_| {}).await;
    world.receivers.on("slow.test", |nth| match nth {
        0 => Answer::status(500).after(12 * SEC),
        _ => Answer::ok(),
    });
    world.store.fail("heartbeat");
    let late = world.send_at(0, &slow, 1).await.remove(0);
    let mut sent = 0;
    while heard.elapsed() < 15 * SEC {
        // At either, whatever they know of one another.
        world.send_at(sent % 2, &fast, 1).await;
        sent += 1;
        world.pass(50 * MS).await;
    }
    let came: Vec<_> = world.receivers.at("fast.test").iter().map(|a| a.at - heard).collect();
    let (by_old, by_new): (Vec<_>, Vec<_>) = came.iter().partition(|at| **at < 8 * SEC);
    let last = *by_old.last().expect("the old owner sent some");
    assert!((6_400 * MS..6_502 * MS).contains(last), "{last:?}");
    assert!(*by_new[0] <= 10 * SEC, "{:?}", by_new[0]);
    world.drained(3 * SEC).await;
    assert_eq!(world.receivers.count("fast.test"), sent);
    world.receivers.assert_no_duplicates_at("fast.test");
    world.pass(SEC).await;
    let attempts = world.attempts(&late).await;
    let seen: Vec<_> = attempts.iter().map(|a| (a.outcome.status_code, a.superseded)).collect();
    assert_eq!(seen, [(Some(500), true), (Some(200), false)]);
    let end = world.end(&late, &endpoint).await;
    assert_eq!(end, Some((EndState::Succeeded, Cause::Delivered)), "by its owner");
    // It does not look for what it has lost.
    let pages = world.store.calls("due");
    world.pass(60 * SEC).await;
    assert_eq!((world.store.calls("due"), world.receivers.count("slow.test")), (pages, 2));

    world.store.heal();
    world.shared_out(10 * SEC, &[512, 512]).await;
    assert!(world.engine.ready());
    world.send_at(1, &slow, 3).await;
    world.drained(SEC).await;
}

#[tokio::test(start_paused = true)]
async fn what_waited_too_long_for_the_store_is_not_sent_any_more() {
    let (world, heard) = two(|_| {}).await;
    let (app, _) = world.endpoint_of(0, "one.test", |_| {}).await;
    world.receivers.on("one.test", |nth| Answer::status(if nth == 0 { 500 } else { 200 }));
    let message = world.send(&app).await;
    world.pass(SEC).await;
    // The retry needs the event type's schedule, which is to be read.
    world.publisher.catalogues().organization_changed(world.org);
    world.store.hold("load_organization");
    world.store.fail("heartbeat");
    world.pass(6 * SEC).await;
    assert_eq!(world.engine.depths().in_flight, 1, "it waits to be sent");
    world.store.let_go();
    world.pass(10 * MS).await;
    assert!(heard.elapsed() < 8 * SEC, "nobody else owns it yet");
    assert_eq!(world.receivers.total(), 1);
    assert_eq!(world.engine.depths().in_flight, 0);
    let second = world.arrivals(4 * SEC, "one.test", 2).await;
    assert!(second.at - heard >= 8 * SEC, "{:?}", second.at - heard);
    world.drained(SEC).await;
    let numbers: Vec<_> = world.attempts(&message).await.iter().map(|a| a.number).collect();
    assert_eq!(numbers, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_fails_for_a_moment_changes_nothing() {
    let (world, _) = two(|_| {}).await;
    let (app, _) = world.endpoint_of(0, "one.test", |_| {}).await;
    for _ in 0..5 {
        world.store.fail("heartbeat");
        for _ in 0..50 {
            world.send_at(1, &app, 1).await;
            world.pass(100 * MS).await;
        }
        world.store.heal();
        world.pass(2 * SEC).await;
    }
    assert_eq!(world.owned(), [512, 512]);
    world.drained(SEC).await;
    let came = world.receivers.at("one.test");
    assert_eq!(came.len(), 250);
    let gaps = came.windows(2).map(|two| two[1].at - two[0].at);
    assert!(gaps.max().expect("some") <= 2_200 * MS, "none of them waited");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_is_taken_over_within_its_lease() {
    let (mut world, _) = two(|_| {}).await;
    let (app, _) = world.endpoint_of(0, "one.test", |_| {}).await;
    world.receivers.on("one.test", |nth| Answer::status(if nth < 20 { 503 } else { 200 }));
    world.send_many(&app, 20).await;
    world.pass(SEC).await;
    world.process.store.dead.die();
    let died = Instant::now();
    world.until(11 * SEC, "it is taken over", async || world.owned()[1] == 1_024).await;
    assert!(died.elapsed() <= 10 * SEC, "{:?}", died.elapsed());
    world.drained(HOUR).await;
    assert_eq!(world.receivers.total(), 40);
    // Its place is taken by another one.
    world.crash();
    world.shared_out(5 * SEC, &[512, 512]).await;
    world.send_many(&app, 20).await;
    world.drained(SEC).await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_not_exceeded_across_a_takeover() {
    for dies in [false, true] {
        for rate in [1, 10, 100] {
            let (world, _) = two(|_| {}).await;
            let limit = |e: &mut domain::endpoint::Endpoint| e.throttle_rate = Some(rate);
            let (app, _) = world.endpoint_of(0, "one.test", limit).await;
            world.send_many(&app, usize::from(rate) * 30).await;
            world.pass(3_333 * MS).await;
            if dies {
                world.store.dead.die();
            } else {
                world.engine.stop().await;
            }
            world.drained(HOUR).await;
            let came: Vec<_> = world.receivers.at("one.test").iter().map(|a| a.at).collect();
            if !dies {
                let gaps = came.windows(2).map(|two| two[1] - two[0]);
                let longest = gaps.max().expect("some");
                assert!(longest <= 2 * SEC / u32::from(rate) + 100 * MS, "{rate}/s: {longest:?}");
            }
            // So many intervals hold one start each, beside a burst of at most 50 ms of the rate.
            let (interval, burst) = (SEC / u32::from(rate), (usize::from(rate) / 20).max(1));
            for (n, first) in came.iter().enumerate() {
                for intervals in [1, 3, 10, 50] {
                    let window = *first..*first + intervals * interval;
                    let within = came[n..].iter().take_while(|at| window.contains(at)).count();
                    let most = intervals as usize + burst - 1;
                    assert!(within <= most, "{rate}/s: {within} within {intervals} intervals");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_from_before_a_shard_was_lost_is_not_sent() {
    let (mut world, _) = two(|_| {}).await;
    let (app, _) = world.endpoint_of(0, "one.test", |_| {}).await;
    world.receivers.on("one.test", |nth| Answer::status(if nth == 0 { 500 } else { 200 }));
    world.send(&app).await;
    world.pass(4 * SEC).await;
    // The retry is read, and its page is on its way for as long as another one owns the shard.
    world.store.hold("due");
    world.store.fail("heartbeat");
    world.until(12 * SEC, "it is taken over", async || world.owned()[1] == 1_024).await;
    world.drained(SEC).await;
    assert_eq!(world.receivers.total(), 2);
    world.store.heal();
    world.pass(SEC).await;
    world.node(1).engine.stop().await;
    world.until(SEC, "it comes back", async || world.owned() == [1_024, 0]).await;
    world.store.let_go();
    world.pass(SEC).await;
    assert_eq!(world.receivers.total(), 2, "an old page");
    world.join();
    world.send(&app).await;
    world.drained(SEC).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_handed_over_late_is_read_back_after_a_takeover() {
    let (world, _) = two(|_| {}).await;
    let (app, _) = world.endpoint_of(0, "one.test", |_| {}).await;
    // Stored, but whoever published it does not know yet.
    world.node(1).store.hold("publish");
    let publishing = async { world.send_at(1, &app, 1).await };
    let meanwhile = async {
        world.arrivals(3 * SEC, "one.test", 1).await;
        world.drained(SEC).await;
        world.engine.stop().await;
        world.until(SEC, "it is taken over", async || world.owned()[1] == 1_024).await;
        world.node(1).store.let_go();
    };
    tokio::join!(publishing, meanwhile);
    world.pass(SEC).await;
    assert_eq!(world.receivers.total(), 1);
    world.send_at(1, &app, 1).await;
    world.drained(SEC).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_old_owner_wrote_of_an_endpoint_is_known_to_the_new_one() {
    let (world, _) = two(|_| {}).await;
    let (app, endpoint) = world.endpoint_of(0, "one.test", |_| {}).await;
    world.receivers.on("one.test", |nth| Answer::status(if nth == 0 { 200 } else { 500 }));
    // Both know the endpoint as it was when all was well.
    world.send_at(1, &app, 1).await;
    world.send_at(0, &app, 1).await;
    world.pass(SEC).await;
    assert!(world.stored(&endpoint).await.first_failure_at.is_some());
    world.engine.stop().await;
    world.receivers.always("one.test", Answer::ok());
    world.drained(HOUR).await;
    assert_eq!(world.stored(&endpoint).await.first_failure_at, None, "it has recovered");
}

/// What a run of the chaos below has seen of each message.
type Attempts = BTreeMap<bool, usize>;

/// Nodes come, stop, die and are not heard of, as chance will have it, while messages are sent to
/// endpoints that fail now and then.
async fn chaos(seed: u64) {
    let chance = SeededEntropy::new(seed);
    let pick = |n: usize| (chance.unit() * n as f64) as usize;
    let mut world = World::shared(|options| {
        options.drain_timeout = 5 * SEC;
        options.policy.schedule = schedule(&[5; 20]);
    });
    world.join();
    world.join();
    world.pass(5 * SEC).await;
    let mut apps = Vec::new();
    for n in 0..12 {
        let app = world.application(|_| {}).await;
        let host = format!("e{n}.test");
        let endpoint = world.endpoint(&app, &host, |_| {}).await;
        let luck = SeededEntropy::new(seed + n);
        world.receivers.on(&host, move |_| {
            let answer = Answer::status(if luck.unit() < 0.2 { 503 } else { 200 });
            answer.after(MS.mul_f64(500.0 * luck.unit() * luck.unit()))
        });
        apps.push((app, endpoint));
    }
    let mut messages = Vec::new();
    let mut live = vec![0, 1, 2];
    for _ in 0..25 {
        let node = live[pick(live.len())];
        match pick(6) {
            0 if live.len() > 2 => {
                live.retain(|n| *n != node);
                world.node(node).store.dead.die();
            }
            1 if live.len() > 2 => {
                live.retain(|n| *n != node);
                world.node(node).engine.stop().await;
            }
            2 if live.len() < 4 => {
                let node = world.join();
                world.node(node).store.be_slow(seed, 4 * MS);
                live.push(node);
            }
            3 => world.node(node).store.fail("heartbeat"),
            4 => world.node(node).store.lose_next("settle"),
            _ => live.iter().for_each(|node| world.node(*node).store.heal()),
        }
        for _ in 0..10 {
            for (app, endpoint) in &apps {
                let message = world.send_at(live[pick(live.len())], app, 1).await.remove(0);
                messages.push((message, endpoint.clone()));
            }
            world.pass(pick(200) as u32 * MS).await;
        }
    }
    live.iter().for_each(|node| world.node(*node).store.heal());
    world.drained(HOUR).await;
    world.pass(60 * SEC).await;
    for (message, endpoint) in &messages {
        let records = world.records(message, endpoint).await;
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].end, Some((EndState::Succeeded, Cause::Delivered)));
        let attempts = world.attempts(message).await;
        let mut by_kind = Attempts::new();
        for attempt in attempts.iter().filter(|a| a.outcome.status_code == Some(200)) {
            *by_kind.entry(attempt.superseded).or_default() += 1;
        }
        assert_eq!(by_kind.get(&false), Some(&1), "settled once: {attempts:?}");
        let tries = attempts.iter().filter(|a| !a.superseded).count();
        assert_eq!(usize::from(records[0].attempts), tries, "{attempts:?}");
    }
    assert_eq!(live.iter().map(|n| world.owned()[*n]).sum::<usize>(), 1_024);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_or_settled_twice_whatever_becomes_of_the_nodes() {
    for seed in 0..4 {
        chaos(seed).await;
    }
}
