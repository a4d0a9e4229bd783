//! Stores in databases of one cluster, with a clock that stands still.

#![allow(dead_code, reason = "each test file uses what it needs")]

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use domain::{clock::ManualClock, entropy::SeededEntropy};
use hookwright_store_postgres::{OpenError, Ports, PostgresOptions, PostgresStore};
use postgres_cluster::Cluster;
use store::{suite::fixture::at, vault::Vault};

/// The cluster of this process, which is stopped when the process ends.
pub static CLUSTER: LazyLock<Cluster> = LazyLock::new(Cluster::start);

/// A database with all tables, sealed with the key that most tests use: copying it is quicker than making
/// one.
static TEMPLATE: LazyLock<&str> = LazyLock::new(|| {
    let name = "template_of_tests";
    let url = CLUSTER.create_database(name);
    let made = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let database = Database { url, clock: Arc::new(ManualClock::new(at(0))) };
        runtime.expect("a runtime").block_on(async { drop(database.open(0).await) });
    });
    made.join().expect("the template is made");
    // Nobody may be connected to what is copied.
    let others = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'");
    while CLUSTER.sql("postgres", &others).trim() != "0" {
        std::thread::sleep(Duration::from_millis(10));
    }
    name
});

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A database of its own.
pub struct Database {
    pub url: String,
    pub clock: Arc<ManualClock>,
}

impl Database {
    /// One with all tables.
    pub fn new() -> Self {
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        CLUSTER.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {}", *TEMPLATE));
        Self { url: CLUSTER.url(&name), clock: Arc::new(ManualClock::new(at(0))) }
    }

    /// One without.
    pub fn empty() -> Self {
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let url = CLUSTER.create_database(&name);
        Self { url, clock: Arc::new(ManualClock::new(at(0))) }
    }

    /// What `psql` says to statements.
    pub fn sql(&self, sql: &str) -> String {
        CLUSTER.sql(self.url.rsplit('/').next().expect("a name"), sql)
    }

    pub fn options(&self) -> PostgresOptions {
        PostgresOptions {
            connections: 4,
            partition: Duration::from_secs(100),
            payload_retention: Duration::from_secs(500),
            ..PostgresOptions::new(&self.url)
        }
    }

    pub fn ports(&self, keys: &[[u8; 32]], seed: u64) -> Ports {
        let entropy = Arc::new(SeededEntropy::new(seed));
        let vault = Arc::new(Vault::new(keys, entropy.clone()).expect("a vault"));
        Ports { vault, clock: self.clock.clone(), entropy }
    }

    pub async fn try_open(&self, keys: &[[u8; 32]], seed: u64) -> Result<PostgresStore, OpenError> {
        PostgresStore::open(self.options(), self.ports(keys, seed)).await
    }

    /// A node's view of it; nodes differ by their seeds.
    pub async fn open(&self, seed: u64) -> PostgresStore {
        self.try_open(&[[1; 32]], seed).await.expect("opens")
    }
}
