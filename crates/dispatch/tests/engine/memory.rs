//! More work than memory holds waits in the store, and comes from there in order, once.

use crate::harness::{Answer, HOUR, MS, SEC, World};

#[tokio::test(start_paused = true)]
async fn cold_lanes_stay_in_bounds_and_in_order() {
    let world = World::new(|options| {
        options.lane_queue = 40;
        options.hot_bytes = 48 * 1024;
        options.concurrent_pages = 2;
        options.window.max = 16;
    });
    world.store.be_slow(11, 3 * MS);
    let mut apps = Vec::new();
    for n in 0..3 {
        let app = world.application(|_| {}).await;
        let host = format!("e{n}.test");
        world.endpoint(&app, &host, |_| {}).await;
        world.receivers.always(&host, Answer::ok().after(60 * MS));
        apps.push(app);
    }
    for _ in 0..20 {
        for app in &apps {
            world.publish(app, vec![world.draft(vec![b' '; 600]); 50]).await;
        }
        world.pass(5 * MS).await;
    }
    let row = 600 + 256;
    let mut most = (0, 0);
    while !world.idle().await {
        let depths = world.engine.depths();
        most = (most.0.max(depths.ready), most.1.max(depths.hot_bytes));
        assert!(depths.ready <= 3 * 40, "{depths:?}");
        assert!(depths.hot_bytes <= 48 * 1024 + 2 * row, "{depths:?}");
        world.pass(MS).await;
    }
    assert!(most.0 > 30 && most.1 > 24 * 1024, "memory was used: {most:?}");
    for n in 0..3 {
        let came = world.receivers.at(&format!("e{n}.test"));
        assert_eq!(came.len(), 1_000);
        let ids: Vec<_> = came.iter().map(|a| a.message.timestamp()).collect();
        assert!(ids.is_sorted(), "e{n}: out of order");
    }
    world.receivers.assert_no_duplicates();
    world.pass(SEC).await;
    let depths = world.engine.depths();
    assert_eq!((depths.ready, depths.hot_bytes, depths.in_flight), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_lane_whose_backlog_is_gone_is_fed_from_memory_again() {
    let world = World::new(|options| options.lane_queue = 32);
    world.store.be_slow(5, 3 * MS);
    let app = world.application(|_| {}).await;
    world.endpoint(&app, "one.test", |_| {}).await;
    world.send_many(&app, 500).await;
    for _ in 0..300 {
        world.send(&app).await;
        world.pass(MS).await;
    }
    world.drained(SEC).await;
    let pages = world.store.calls("due");
    for _ in 0..300 {
        world.send(&app).await;
        world.pass(MS).await;
    }
    world.drained(SEC).await;
    assert_eq!(world.store.calls("due"), pages);
    world.receivers.assert_no_duplicates();
}

#[tokio::test(start_paused = true)]
async fn one_message_larger_than_all_memory_gets_through() {
    let world = World::new(|options| options.hot_bytes = 4 * 1024);
    let app = world.application(|_| {}).await;
    world.endpoint(&app, "one.test", |_| {}).await;
    let drafts = (1..40).map(|n| world.draft(vec![b' '; n * 512])).collect();
    world.publish(&app, drafts).await;
    world.drained(HOUR).await;
    world.receivers.assert_no_duplicates();
    assert_eq!(world.receivers.count("one.test"), 39);
}
