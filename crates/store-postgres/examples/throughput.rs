//! What it costs to accept and complete a message, over a PostgreSQL of its own:
//!
//! ```text
//! cargo run --release -p hookwright-store-postgres --example throughput -- \
//!     [messages=40000] [producers=256] [applications=64]
//! ```
//!
//! Each producer publishes a message, waits for the commit, and settles its delivery. Prints messages per
//! second, and microseconds of CPU per message: of PostgreSQL, and of this process.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::{
    application::Application,
    clock::{Clock, Timestamp},
    endpoint::Endpoint,
    entropy::SeededEntropy,
};
use hookwright_store_postgres::{Ports, PostgresOptions, PostgresStore};
use postgres_cluster::Cluster;
use store::{
    Analytics, Deliveries, Nodes, Publish,
    catalog::Versions,
    deliveries::Settled,
    publish::Published,
    suite::{fixture::Fixture, traffic::DELIVERED},
    vault::Vault,
};

struct WallClock(std::time::Instant);

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
impl WallClock {
    fn new() -> Self {
        Self(std::time::Instant::now())
    }
}

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp::EPOCH.plus(since.unwrap_or_default())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// CPU of a process, in ticks of 10 ms: its own, and its ended children's. With its parent.
fn cpu(pid: &str) -> Option<(u64, String)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = fields[11..15].iter().filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Some((ticks, fields[1].to_owned()))
}

/// CPU of a postmaster and all its children.
fn server_cpu(postmaster: &str) -> u64 {
    let processes = fs::read_dir("/proc").expect("there is one");
    let names = processes.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let cpus = names.filter_map(|pid| Some((cpu(&pid)?, pid)));
    let ours = cpus.filter(|((_, parent), pid)| pid == postmaster || parent == postmaster);
    ours.map(|((ticks, _), _)| ticks).sum()
}

struct Bench {
    store: PostgresStore,
    clock: Arc<WallClock>,
    apps: Vec<(Application, Endpoint, Versions)>,
    next: AtomicUsize,
}

impl Bench {
    async fn produce(&self, messages: usize) {
        let f = Fixture::new(&self.store);
        // Numbers of its own.
        let at = self.next.load(Ordering::Relaxed) as u64;
        let f = Fixture { entropy: Arc::new(SeededEntropy::new(1_000_000 + at)), ..f };
        loop {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            if n >= messages {
                return;
            }
            let (app, endpoint, versions) = &self.apps[n % self.apps.len()];
            let new = f.routed(*versions, f.message(app, self.clock.now()), &[endpoint]);
            let delivery = new.deliveries[0].clone();
            assert_eq!(self.store.publish(vec![new]).await, Ok(vec![Published::Stored]));
            let mut outcome = f.outcome(&delivery, Some(200), DELIVERED, self.clock.now());
            outcome.epoch = 1;
            assert_eq!(self.store.settle(vec![outcome]).await, Ok(vec![Settled::default()]));
        }
    }
}

#[tokio::main]
async fn main() {
    let number = |name: &str, default: usize| {
        let given = std::env::args().find_map(|arg| arg.strip_prefix(name)?.parse().ok());
        given.unwrap_or(default)
    };
    let (messages, producers) = (number("messages=", 40_000), number("producers=", 256));
    let settings = [("fsync", "on"), ("synchronous_commit", "on"), ("max_wal_size", "4GB")];
    let cluster = Cluster::start_with(&settings);
    let entropy = Arc::new(SeededEntropy::new(number("seed=", 1) as u64));
    let clock = Arc::new(WallClock::new());
    let vault = Arc::new(Vault::new(&[[1; 32]], entropy.clone()).expect("a vault"));
    let ports = Ports { vault, clock: clock.clone(), entropy };
    let url = cluster.create_database("bench");
    let store = PostgresStore::open(PostgresOptions::new(url), ports).await.expect("opens");
    let owned = store.heartbeat(false).await.expect("a heartbeat").shards;
    let f = Fixture::new(&store);
    let mut apps = Vec::new();
    for _ in 0..number("applications=", 64) {
        let app = f.application().await;
        let endpoint = f.endpoint(&app).await;
        let versions = f.versions(&app).await;
        apps.push((app, endpoint, versions));
    }
    let bench = Arc::new(Bench { store, clock, apps, next: AtomicUsize::new(0) });
    let backend = cluster
        .sql("bench", "SELECT pg_backend_pid() || ' ' || pg_read_file('postmaster.pid', 0, 10)");
    let postmaster = backend.split_whitespace().nth(1).expect("a number").to_owned();
    let flushing = {
        let bench = bench.clone();
        async move {
            loop {
                tokio::time::sleep(Duration::from_secs(3)).await;
                bench.store.flush_rollups(&owned).await.expect("a flush");
            }
        }
    };
    let started = bench.clock.monotonic();
    let before = (server_cpu(&postmaster), cpu("self").expect("its own").0);
    let producing = async {
        let tasks = (0..producers).map(|_| bench.produce(messages));
        futures_util::future::join_all(tasks).await;
    };
    tokio::select! {
        () = flushing => {}
        () = producing => {}
    }
    let took = (bench.clock.monotonic() - started).as_secs_f64();
    let after = (server_cpu(&postmaster), cpu("self").expect("its own").0);
    let each = |ticks: u64| ticks as f64 * 10_000.0 / messages as f64;
    println!(
        "{:.0} messages/s, CPU per message: PostgreSQL {:.0} us, process {:.0} us",
        messages as f64 / took,
        each(after.0 - before.0),
        each(after.1 - before.1)
    );
}
