//! `hookwright nodes`: who shares the store.

use std::{process::ExitCode, sync::Arc};

use domain::clock::Clock;
use store::nodes::NodeInfo;

use crate::{backend::Backend, config::Config, env::SystemClock, serve};

/// Prints a line for each node: what it owns, and how far it is behind.
pub fn run(config: &Config) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        config.store.is_some(),
        "a data directory has one node; `store` names a PostgreSQL that nodes share"
    );
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let nodes = serve::runtime(1)?.block_on(async {
        let backend = Backend::open(config, clock.clone()).await?;
        anyhow::Ok(backend.store().nodes().await?)
    })?;
    if nodes.is_empty() {
        println!("no node was heard of lately");
        return Ok(ExitCode::FAILURE);
    }
    println!(
        "{:<20} {:<8} {:>6} {:>7} {:>13} {:>9} {:>7}  STATE",
        "NODE", "VERSION", "SHARDS", "EPOCH", "OVERDUE LANES", "LAG", "HEARD"
    );
    let now = clock.now();
    for node in &nodes {
        println!("{}", line(node, now));
    }
    Ok(ExitCode::SUCCESS)
}

fn line(node: &NodeInfo, now: domain::clock::Timestamp) -> String {
    let (lanes, oldest) = node.overdue;
    let lag = oldest.map_or(0.0, |due| now.since(due).as_secs_f64());
    format!(
        "{:<20} {:<8} {:>6} {:>7} {:>13} {:>8.1}s {:>6.1}s  {}",
        format!("{} {}", node.name, &node.id[..node.id.len().min(6)]),
        node.version,
        node.shards,
        node.epoch,
        lanes,
        lag,
        node.silent_for.as_secs_f64(),
        if node.leaving { "leaving" } else { "up" },
    )
}
