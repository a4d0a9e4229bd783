//! A database that goes away, comes back, or does not say what it did.

mod common;

use std::{sync::Arc, time::Duration};

use common::{CLUSTER, Database};
use domain::clock::ManualClock;
use hookwright_store_postgres::{OpenError, PostgresOptions, PostgresStore};
use postgres_cluster::{Cluster, Partition, Proxy, StopMode};
use store::{
    Deliveries, Housekeeping, Publish, StoreError,
    publish::Published,
    suite::{
        fixture::{Fixture, assert_clean, at},
        traffic::DELIVERED,
    },
};

/// A store whose database is behind a proxy.
async fn behind(proxy: &Proxy, database: &Database) -> PostgresStore {
    let url = proxy.url(&database.url);
    let options = PostgresOptions {
        call_timeout: Duration::from_secs(2),
        ..PostgresOptions { url, ..database.options() }
    };
    PostgresStore::open(options, database.ports(&[[1; 32]], 5)).await.expect("opens")
}

/// The answer to a COMMIT is lost: what was done is found out, and is done once.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_out() {
    let database = Database::new();
    let proxy = Proxy::start(CLUSTER.addr());
    let store = behind(&proxy, &database).await;
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let versions = f.versions(&app).await;
    // The statements are known to the connections before.
    let warm = f.send(&app, &[&endpoint], at(1)).await.deliveries[0].clone();
    f.tried(&warm, 200, DELIVERED, at(2)).await;

    proxy.lose_reply_of("COMMIT", 1);
    let new = f.routed(versions, f.message(&app, at(3)), &[&endpoint]);
    assert_eq!(f.publish(new.clone()).await, Published::Stored);
    assert_eq!(proxy.lost(), 1);
    assert_eq!(f.pending(&endpoint).await, new.deliveries);

    proxy.lose_reply_of("COMMIT", 1);
    let outcome = f.outcome(&new.deliveries[0], Some(200), DELIVERED, at(4));
    // It may be told that the delivery has moved on: by this very outcome.
    store.settle(vec![outcome]).await.expect("settles");
    assert_eq!(proxy.lost(), 2);
    assert_eq!(f.pending(&endpoint).await, []);
    assert_clean(&store).await;
}

/// A partition is told at once, and over when it is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_is_an_outage() {
    let database = Database::new();
    let proxy = Proxy::start(CLUSTER.addr());
    let store = behind(&proxy, &database).await;
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let versions = f.versions(&app).await;
    f.send(&app, &[&endpoint], at(1)).await;
    let new = || f.routed(versions, f.message(&app, at(3)), &[&endpoint]);
    for partition in [Partition::Refused, Partition::Silent] {
        proxy.block(partition);
        proxy.cut();
        let refused = store.publish(vec![new()]).await;
        assert!(
            matches!(refused, Err(StoreError::Unavailable(_) | StoreError::Unknown)),
            "{refused:?}"
        );
        assert!(store.ping().await.is_err());
        proxy.heal();
        let back = async {
            while store.publish(vec![new()]).await != Ok(vec![Published::Stored]) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), back).await.expect("it goes on by itself");
        assert_eq!(store.ping().await, Ok(()));
    }
}

/// PostgreSQL dies and comes back: what was acknowledged is there, and work goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_nothing() {
    let cluster = Cluster::start();
    let clock = Arc::new(ManualClock::new(at(0)));
    let database = Database { url: cluster.create_database("restart"), clock };
    let store = database.open(5).await;
    let f = Fixture::new(&store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let versions = f.versions(&app).await;
    let mut stored = Vec::new();
    for round in 0..4 {
        for _ in 0..20 {
            let new = f.routed(versions, f.message(&app, at(3)), &[&endpoint]);
            if store.publish(vec![new.clone()]).await == Ok(vec![Published::Stored]) {
                stored.push(new.deliveries[0].id);
            }
        }
        match round % 2 {
            0 => {
                cluster.kill9();
                cluster.start_again();
            }
            _ => cluster.restart(StopMode::Fast),
        }
    }
    let there = f.pending(&endpoint).await;
    assert!(stored.len() >= 60, "{} were stored", stored.len());
    for id in stored {
        assert!(there.iter().any(|delivery| delivery.id == id), "{id} is lost");
    }
    assert_clean(&store).await;
}

#[tokio::test]
async fn says_why_it_does_not_open() {
    let database = Database::new();
    drop(database.open(1).await);
    let wrong = database.try_open(&[[2; 32]], 1).await;
    assert!(matches!(wrong, Err(OpenError::WrongKey { .. })), "{:?}", wrong.err());
    let name = database.url.rsplit('/').next().expect("a name");
    CLUSTER.sql(name, "UPDATE hookwright_version SET version = 999");
    let newer = database.try_open(&[[1; 32]], 1).await;
    let Err(error @ OpenError::Newer { found: 999, .. }) = newer else {
        panic!("{:?}", newer.err())
    };
    assert!(!error.to_string().contains("hookwright:"), "{error} holds the password");
    for url in ["postgres://", "postgres://u:secret@127.0.0.1:1/d", "not a url", "postgres://h/"] {
        let options = PostgresOptions::new(url);
        let opened = PostgresStore::open(options, database.ports(&[[1; 32]], 1)).await;
        let error = opened.err().expect("it does not open").to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}

/// Nodes that start together on an empty database make its tables once.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_may_start_together() {
    let database = Database::empty();
    let (a, b, c) = tokio::join!(
        database.try_open(&[[1; 32]], 1),
        database.try_open(&[[1; 32]], 2),
        database.try_open(&[[1; 32]], 3)
    );
    for store in [a, b, c] {
        assert_eq!(store.expect("opens").ping().await, Ok(()));
    }
}
