//! A PostgreSQL that fails, and the ways to it.
use anyhow::{Context, Result, ensure};
use postgres_cluster::{Cluster, Partition, Proxy, StopMode, psql};
use std::{
    thread,
    time::{Duration, Instant},
};

/// The database of the campaigns.
pub const DATABASE: &str = "hookwright";

/// The longest until somebody sends what is waited for, under load.
const SENT_LIMIT: Duration = Duration::from_secs(30);

/// What heartbeats lock: see `crates/store-postgres/src/nodes.rs`.
const HEARTBEATS: i64 = 0x486b_6c6e;

/// The longest until the next heartbeat, which comes every 2 s.
const HEARTBEAT_LIMIT: Duration = Duration::from_millis(2_500);

/// A durable PostgreSQL, and a proxy before it for each node.
pub struct Database {
    cluster: Cluster,
    proxies: Vec<Proxy>,
    standbys: u32,
}

impl Database {
    /// Starts it with further settings, without proxies.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let cluster = Cluster::start_with(settings);
        cluster.create_database(DATABASE);
        Self { cluster, proxies: Vec::new(), standbys: 0 }
    }

    /// Starts it, with so many ways to it.
    pub fn behind_proxies(ways: usize) -> Self {
        let Self { cluster, .. } = Self::start_with(&[]);
        let proxies = (0..ways).map(|_| Proxy::start(cluster.addr())).collect();
        Self { cluster, proxies, standbys: 0 }
    }

    /// Where nodes find it, past all proxies.
    pub fn url(&self) -> String {
        self.cluster.url(DATABASE)
    }

    /// Runs SQL and returns what it selects: a line per row, columns parted by `|`.
    pub fn sql(&self, sql: &str) -> Result<String> {
        self.cluster.try_sql(DATABASE, sql).map_err(|said| anyhow::anyhow!("{sql}: {said}"))
    }

    /// The process that all others of it descend from.
    pub fn postmaster(&self) -> Result<u32> {
        let locks = self.sql("SELECT pg_read_file('postmaster.pid')")?;
        let pid = locks.lines().next().context("it knows its own number")?;
        Ok(pid.trim().parse()?)
    }

    /// Where nodes find it: one URL for each way.
    pub fn urls(&self) -> Vec<String> {
        let url = self.cluster.url(DATABASE);
        self.proxies.iter().map(|proxy| proxy.url(&url)).collect()
    }

    /// Lets `act` happen while a node is in the middle of a heartbeat: its transaction is open and has
    /// the lock that all heartbeats take, or is to get it next. If the node takes no such lock, at any
    /// moment.
    pub fn in_heartbeat(&self, node: &str, act: impl FnOnce() -> Result<()>) -> Result<()> {
        // Marked, so that it can be found.
        let hold = format!("/* held */ SELECT pg_advisory_xact_lock({HEARTBEATS}), pg_sleep(60)");
        let url = self.url();
        let holding = thread::spawn(move || psql(&url, &hold));
        let waits = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hookwright {node}'
             AND wait_event = 'advisory'"
        );
        let begun = Instant::now();
        let done = loop {
            match self.sql(&waits) {
                Ok(count) if count == "0" && begun.elapsed() < HEARTBEAT_LIMIT => {}
                Ok(_) => break act(),
                Err(error) => break Err(error),
            }
        };
        self.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE query LIKE '/* held */%' AND pid <> pg_backend_pid()",
        )?;
        // It was thrown out.
        let _ = holding.join();
        done
    }

    /// Kills all its processes, and starts it again after `pause`.
    pub fn kill(&self, pause: Duration) {
        self.cluster.kill9();
        thread::sleep(pause);
        self.cluster.start_again();
    }

    /// Throws everybody out, and starts it again after `pause`.
    pub fn restart(&self, pause: Duration) {
        self.cluster.stop(StopMode::Fast);
        thread::sleep(pause);
        self.cluster.start_again();
    }

    /// Makes a standby that every commit waits for.
    pub fn add_standby(&mut self) -> Cluster {
        self.standbys += 1;
        let name = format!("standby{}", self.standbys);
        let standby = self.cluster.standby(&name);
        self.cluster.make_synchronous(&name);
        standby
    }

    /// Kills the primary, and leads everybody to the standby, which takes its place.
    pub fn fail_over(&mut self, standby: Cluster) {
        self.cluster.kill9();
        standby.promote();
        self.proxies.iter().for_each(|proxy| proxy.retarget(standby.addr()));
        self.cluster = standby;
    }

    /// Loses the replies to so many commits on each way, and returns when they are lost.
    pub fn lose_commits(&self, commits: u32) -> Result<()> {
        let lost = || self.proxies.iter().map(Proxy::lost).sum::<u32>();
        let wanted = lost() + commits * self.proxies.len() as u32;
        self.proxies.iter().for_each(|proxy| proxy.lose_reply_of("COMMIT", commits));
        let begun = Instant::now();
        while lost() < wanted {
            ensure!(begun.elapsed() < SENT_LIMIT, "{} of {wanted} replies were lost", lost());
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Lets nothing pass on one of the ways, for so long.
    pub fn part(&self, way: usize, length: Duration) -> Result<()> {
        let proxy = self.proxies.get(way).context("there is no such way")?;
        proxy.block(Partition::Silent);
        thread::sleep(length);
        proxy.heal();
        Ok(())
    }
}
