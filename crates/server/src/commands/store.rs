//! Commands on the data directory: `backup`, `check`, `rotate-key`.

use std::{path::Path, process::ExitCode, sync::Arc};

use anyhow::Context;
use domain::{clock::Clock, entropy::Entropy};
use store::Housekeeping;

use crate::{
    config::Config,
    control,
    env::{SystemClock, SystemEntropy},
    keys, serve, wiring,
};

/// Writes a consistent copy of the database to a new file, beside a running server or not.
pub fn backup(config: &Config, to: &Path) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(!to.exists(), "{} exists already: name a new file", to.display());
    serve::runtime(1)?.block_on(async {
        if !control::ask_backup(&config.data_dir, to).await? {
            wiring::open_store(config, Arc::new(SystemClock::new()))?.backup(to).await?;
        }
        anyhow::Ok(())
    })?;
    let bytes = std::fs::metadata(to).context("the copy")?.len();
    println!("{} ({:.1} MiB)", to.display(), bytes as f64 / 1_048_576.0);
    println!("Keep the master key apart from it: without the key its secrets do not open.");
    Ok(ExitCode::SUCCESS)
}

/// Checks a data directory; fails if anything is wrong with it.
pub fn check(config: &Config) -> anyhow::Result<ExitCode> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let store = wiring::open_store(config, clock)?;
    let report = serve::runtime(1)?.block_on(store.check())?;
    for fact in &report.facts {
        println!("{fact}");
    }
    for problem in &report.problems {
        println!("PROBLEM  {problem}");
    }
    if report.problems.is_empty() {
        println!("clean");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

/// Seals everything with a new master key. What is interrupted goes on when it is run again: until
/// the end both keys open.
pub fn rotate_key(config: &Config) -> anyhow::Result<ExitCode> {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let configured = config.master_key.is_some();
    if !configured {
        keys::add_master_key(config, &entropy)?;
    } else {
        anyhow::ensure!(
            config.old_master_key.is_some(),
            "give the present key as `old_master_key` and the new one as `master_key`"
        );
    }
    let store = wiring::open_store(config, Arc::new(SystemClock::new()))?;
    let sealed = serve::runtime(1)?.block_on(store.reseal())?;
    drop(store);
    if configured {
        println!("{sealed} secrets sealed anew; `old_master_key` can go from the configuration");
    } else {
        keys::drop_old_master_keys(config)?;
        println!("{sealed} secrets sealed anew; the old key is gone from the data directory");
    }
    Ok(ExitCode::SUCCESS)
}
