//! Several nodes over one database.
use crate::{
    loadgen::{self, Running},
    server::Server,
};
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

/// All that there is to own.
pub const SHARDS: f64 = 1024.0;

/// How often somebody looks who owns what; nodes say it as often (`sweep_interval`).
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The longest until joining nodes have their parts: what is given back waits for what is under way,
/// and gauges are told every `sweep_interval`.
pub const BALANCE_LIMIT: Duration = Duration::from_secs(90);

/// Attempts of one node under way or waiting for their outcome to be stored: the bound on duplicates
/// for each time that one loses its shards unawares.
pub const MAX_IN_FLIGHT: u32 = 128;

/// For campaigns in which something is always pending: each first try fails, and is made again soon.
/// The breaker, which would hold such endpoints back, is as good as off.
pub fn impatient() -> String {
    format!(
        "max_in_flight = {MAX_IN_FLIGHT}\n\
         retry_schedule = [\"100ms\", \"200ms\", \"500ms\", \"1s\", \"2s\", \"5s\", \"5s\"]\n\
         breaker_failures = 1000000\noverload_wait = \"200ms\"\nrequest_timeout = \"5s\"\n\
         disable_after = \"none\"\nsweep_interval = \"500ms\""
    )
}

/// The nodes, running or not.
pub struct Fleet {
    /// `n1`, `n2`, and so on.
    pub nodes: Vec<Server>,
}

impl Fleet {
    /// Starts a node for each of the URLs, and returns when they own everything between them.
    pub fn start(campaign: &str, urls: &[String], settings: &str) -> Result<Self> {
        let mut fleet = Self { nodes: Vec::new() };
        fleet.grow(campaign, urls, settings)?;
        Ok(fleet)
    }

    /// Makes a node for each of the URLs, and starts none.
    pub fn make(campaign: &str, urls: &[String], settings: &str) -> Result<Self> {
        let mut fleet = Self { nodes: Vec::new() };
        urls.iter().try_for_each(|url| fleet.add(campaign, url, settings))?;
        Ok(fleet)
    }

    fn add(&mut self, campaign: &str, url: &str, settings: &str) -> Result<()> {
        let name = format!("n{}", self.nodes.len() + 1);
        self.nodes.push(Server::over(campaign, url, &name, settings)?);
        Ok(())
    }

    /// Starts further ones, and returns when all of them own equal parts.
    pub fn grow(&mut self, campaign: &str, urls: &[String], settings: &str) -> Result<()> {
        for url in urls {
            self.add(campaign, url, settings)?;
            self.nodes.last_mut().expect("just pushed").start()?;
        }
        self.wait_balanced(BALANCE_LIMIT).map(drop)
    }

    /// Starts load on all nodes.
    pub fn load(&self, arguments: &str) -> Result<Running> {
        eprintln!("  loadgen {arguments}");
        loadgen::start_over(&self.nodes.iter().collect::<Vec<_>>(), &[], arguments)
    }

    /// What each node that is awake says that it owns; one that does not answer owns nothing.
    pub fn owned(&self) -> Vec<f64> {
        let awake = self.nodes.iter().filter(|node| node.is_awake());
        awake.map(|node| node.metric("hookwright_owned_shards").unwrap_or(0.0)).collect()
    }

    /// Waits until the nodes that are awake own everything, and says how long that took.
    pub fn wait_owned(&self, limit: Duration) -> Result<Duration> {
        self.wait("own everything", limit, |owned| owned.iter().sum::<f64>() == SHARDS)
    }

    /// Waits until they own everything in equal parts.
    pub fn wait_balanced(&self, limit: Duration) -> Result<Duration> {
        self.wait("own equal parts", limit, |owned| {
            let part = SHARDS / owned.len().max(1) as f64;
            let equal = |shards: &f64| (shards - part).abs() < 1.0;
            owned.iter().sum::<f64>() == SHARDS && owned.iter().all(equal)
        })
    }

    fn wait(
        &self,
        what: &str,
        limit: Duration,
        enough: impl Fn(&[f64]) -> bool,
    ) -> Result<Duration> {
        let begun = Instant::now();
        loop {
            let owned = self.owned();
            if enough(&owned) {
                return Ok(begun.elapsed());
            }
            ensure!(begun.elapsed() < limit, "nodes do not {what} after {limit:?}: {owned:?}");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Stops all nodes and checks what they leave in the database.
    pub fn check(&mut self) -> Result<()> {
        self.terminate()?;
        self.nodes[0].check().map(drop)
    }

    /// Stops all nodes.
    pub fn terminate(&mut self) -> Result<()> {
        for node in self.nodes.iter_mut().filter(|node| node.is_running()) {
            node.terminate()?;
        }
        Ok(())
    }

    /// Takes all away.
    pub fn discard(self) -> Result<()> {
        self.nodes.into_iter().try_for_each(Server::discard)
    }
}
