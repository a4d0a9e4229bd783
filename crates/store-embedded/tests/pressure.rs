//! A full disk, a full queue, a long log, a backup under way.

mod common;

use std::{fs, sync::Arc};

use common::Dir;
use domain::{application::Application, clock::Timestamp, endpoint::Endpoint};
use futures_util::future::join_all;
use hookwright_store_embedded::{DATABASE_FILE, EmbeddedOptions, EmbeddedStore, Space};
use store::{
    Catalog, Deliveries, History, Housekeeping, Publish, StoreError,
    deliveries::Settled,
    publish::{NewMessage, Published},
    suite::{
        fixture::{ACTOR, Fixture, at, newest},
        traffic::{DELIVERED, lane, tenant, until},
    },
};

async fn new_message(f: &Fixture<'_>, app: &Application, to: &Endpoint, body: usize) -> NewMessage {
    let mut message = f.message(app, at(1));
    let mut bytes = vec![0; body];
    domain::entropy::Entropy::fill(&*f.entropy, &mut bytes);
    message.body = Some(domain::message::Body::json(bytes.into()));
    f.routed(f.versions(app).await, message, &[to])
}

/// Publishes until the store says that it is full; returns what it took.
async fn fill(f: &Fixture<'_>, app: &Application, to: &Endpoint) -> Vec<NewMessage> {
    let mut taken = Vec::new();
    for _ in 0..10_000 {
        let new = new_message(f, app, to, 20_000).await;
        match f.store.publish(vec![new.clone()]).await {
            Ok(published) => {
                assert_eq!(published, [Published::Stored]);
                taken.push(new);
            }
            Err(StoreError::Full(_)) => return taken,
            Err(other) => panic!("{other}"),
        }
    }
    panic!("never full");
}

#[tokio::test]
async fn a_full_database_refuses_new_work_and_loses_nothing() {
    let dir = Dir::new();
    let options = EmbeddedOptions { max_pages: Some(400), low_water_bytes: 100, ..dir.options() };
    // So little that it does not go on by itself, and not so little that it stops by itself.
    *dir.space.lock() = Space { free: 110, total: 1_000 };
    let store = EmbeddedStore::open(&options, dir.ports(&[[1; 32]])).expect("opens");
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let taken = fill(&f, &app, &endpoint).await;
    assert!(taken.len() > 10, "{} were taken", taken.len());
    assert!(store.stats().await.expect("stats").full);
    let refused = new_message(&f, &app, &endpoint, 10).await;
    assert!(matches!(store.publish(vec![refused.clone()]).await, Err(StoreError::Full(_))));

    // Outcomes are still written while there is any room at all, and all that was taken is there.
    f.tried(&taken[0].deliveries[0], 200, DELIVERED, at(2)).await;
    for new in &taken {
        let found = store.message(tenant(&app), &domain::name::Ref::Id(new.message.id)).await;
        assert_eq!(found, Ok(Some((*new.message).clone())));
    }
    assert_eq!(store.check().await.expect("check").problems, [""; 0]);

    // With more room it goes on.
    drop(store);
    *dir.space.lock() = Space { free: 100 << 30, total: 100 << 30 };
    let store = dir.open();
    assert_eq!(store.publish(vec![refused]).await, Ok(vec![Published::Stored]));
    let left = store.due(lane(&endpoint), until(Timestamp::MAX), Vec::new()).await;
    assert_eq!(left.expect("due").due.len(), taken.len());
}

#[tokio::test]
async fn the_low_water_mark_stops_new_work_and_lets_it_go_on() {
    let dir = Dir::new();
    let mib = 1 << 20;
    let options = EmbeddedOptions {
        low_water_bytes: 100 * mib,
        low_water_percent: 1,
        ballast_bytes: mib,
        ..dir.options()
    };
    let total = 1_000 * mib;
    let store = EmbeddedStore::open(&options, dir.ports(&[[1; 32]])).expect("opens");
    let ballast = dir.path().join("ballast");
    assert_eq!(fs::metadata(&ballast).expect("a ballast").len(), mib);
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let sent = f.send(&app, &[&endpoint], at(1)).await;
    for (free, full) in [
        (101 * mib, false),
        (99 * mib, true),
        (101 * mib, true),
        (124 * mib, true),
        (125 * mib, false),
        (101 * mib, false),
    ] {
        *dir.space.lock() = Space { free, total };
        store.look_at_disk();
        assert_eq!(store.stats().await.expect("stats").full, full, "{free} free");
        let new = new_message(&f, &app, &endpoint, 10).await;
        let published = store.publish(vec![new]).await;
        assert_eq!(matches!(published, Err(StoreError::Full(_))), full, "{free} free");
        let resend = domain::routing::deliver(
            &sent.message,
            &endpoint,
            domain::delivery::Trigger::Manual,
            at(5),
            &*f.entropy,
        );
        assert_eq!(store.enqueue(vec![resend], None).await.is_err(), full, "{free} free");
        let mut app = app.clone();
        app.updated_at = at(0);
        let updated = store.update_application(&ACTOR, app, at(0)).await;
        assert_eq!(updated, Ok(Ok(())), "the catalogue can be changed");
    }
    f.tried(&sent.deliveries[0], 200, DELIVERED, at(2)).await;
    assert_eq!(fs::metadata(&ballast).expect("still there").len(), mib);
}

#[tokio::test]
async fn the_ballast_is_given_up_first_and_made_again() {
    let dir = Dir::new();
    let options = EmbeddedOptions { max_pages: Some(400), ballast_bytes: 1 << 20, ..dir.options() };
    let store = EmbeddedStore::open(&options, dir.ports(&[[1; 32]])).expect("opens");
    let ballast = dir.path().join("ballast");
    assert!(ballast.exists());
    *dir.space.lock() = Space { free: 0, total: 1 << 40 };
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    fill(&f, &app, &endpoint).await;
    assert!(!ballast.exists(), "it was given up before anything was refused");
    *dir.space.lock() = Space { free: 1 << 40, total: 1 << 40 };
    store.look_at_disk();
    assert!(ballast.exists());
}

#[tokio::test]
async fn a_queue_over_its_bound_is_refused_and_outcomes_are_not() {
    let dir = Dir::new();
    let options = EmbeddedOptions { queue_bytes: 40_000, ..dir.options() };
    let store = EmbeddedStore::open(&options, dir.ports(&[[1; 32]])).expect("opens");
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let sent = f.send(&app, &[&endpoint], at(1)).await;
    let mut calls = Vec::new();
    for _ in 0..200 {
        calls.push(store.publish(vec![new_message(&f, &app, &endpoint, 30_000).await]));
    }
    let outcome = f.outcome(&sent.deliveries[0], Some(200), DELIVERED, at(2));
    let (published, settled) = tokio::join!(join_all(calls), store.settle(vec![outcome]));
    assert_eq!(settled, Ok(vec![Settled::default()]));
    let stored = published.iter().filter(|p| **p == Ok(vec![Published::Stored])).count();
    let refused = published.iter().filter(|p| **p == Err(StoreError::Overloaded)).count();
    assert_eq!(stored + refused, 200);
    assert!(stored > 0 && refused > 0, "{stored} stored, {refused} refused");
    let page = store.due(lane(&endpoint), until(Timestamp::MAX), Vec::new()).await.expect("due");
    assert_eq!(page.due.len(), stored, "what was refused is not there");
}

#[tokio::test]
async fn one_faulty_call_fails_alone() {
    let dir = Dir::new();
    let store = dir.open();
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    // Routed to an endpoint that never was: the fault of its caller.
    let mut faulty = new_message(&f, &app, &endpoint, 10).await;
    faulty.deliveries[0].endpoint = f.new_endpoint(&app, at(0)).id;
    let mut calls = Vec::new();
    for i in 0..20 {
        let new = new_message(&f, &app, &endpoint, 10).await;
        calls.push(store.publish(vec![if i == 7 { faulty.clone() } else { new }]));
    }
    let published = join_all(calls).await;
    for (i, published) in published.into_iter().enumerate() {
        assert_eq!(published.is_err(), i == 7, "{i}: {published:?}");
    }
    let page = store.due(lane(&endpoint), until(Timestamp::MAX), Vec::new()).await.expect("due");
    assert_eq!(page.due.len(), 19);
    assert_eq!(store.stats().await.expect("stats").pending, 19);
    assert_eq!(store.check().await.expect("check").problems, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_is_whole() {
    let dir = Dir::new();
    let store = Arc::new(dir.open());
    let f = Fixture::new(&*store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let mut before = Vec::new();
    for _ in 0..300 {
        let new = new_message(&f, &app, &endpoint, 5_000).await;
        before.push(new.message.id);
        f.publish(new).await;
    }
    let copy = Dir::new();
    let target = copy.path().join(DATABASE_FILE);
    let backup = store.backup(&target);
    let load = async {
        for _ in 0..200 {
            let new = new_message(&f, &app, &endpoint, 5_000).await;
            let delivery = new.deliveries[0].clone();
            f.publish(new).await;
            f.tried(&delivery, 200, DELIVERED, at(2)).await;
        }
    };
    let (done, ()) = tokio::join!(backup, load);
    assert_eq!(done, Ok(()));
    assert!(store.backup(&target).await.is_err(), "nothing is overwritten");
    let copied = copy.open();
    assert_eq!(copied.check().await.expect("check").problems, [""; 0]);
    let found = copied.messages_by_id(tenant(&app), before, true).await.expect("messages");
    assert_eq!(found.len(), 300);
    assert!(found.iter().all(|message| message.body.is_some()));
    let files: Vec<_> = fs::read_dir(copy.path()).expect("a directory").collect();
    assert!(!files.is_empty());
}

#[tokio::test]
async fn the_log_stays_bounded() {
    let dir = Dir::new();
    let store = dir.open();
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    // Some 400 MiB through a log that starts again at 64.
    let mut most = 0;
    for _ in 0..400 {
        let new = new_message(&f, &app, &endpoint, 1 << 20).await;
        let id = new.message.id;
        f.publish(new).await;
        most = most.max(store.stats().await.expect("stats").wal_bytes);
        assert_eq!(store.expunge_message(tenant(&app), id, at(2)).await, Ok(true));
    }
    assert!(most < 256 << 20, "{most} bytes");
    let listed = store.messages(tenant(&app), Default::default(), newest(1), false).await;
    assert_eq!(listed.expect("messages").items.len(), 1);
}
