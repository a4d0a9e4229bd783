//! Commands on the data directory: `backup`, `check`, `rotate-key`.

use std::{path::Path, process::ExitCode, sync::Arc};

use anyhow::Context;
use store::Housekeeping;
use store_embedded::EmbeddedStore;

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
            open(config)?.backup(to).await?;
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
    let store = open(config)?;
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
    // Before the key file is touched: a server that runs has read it.
    let lock = wiring::take_existing(config)?;
    let configured = config.master_key.is_some();
    if !configured {
        keys::add_master_key(config, &SystemEntropy)?;
    } else {
        anyhow::ensure!(
            config.old_master_key.is_some(),
            "give the present key as `old_master_key` and the new one as `master_key`"
        );
    }
    let store = wiring::open_store(config, lock, Arc::new(SystemClock::new()))?;
    let sealed = serve::runtime(1)?.block_on(store.reseal())?;
    if configured {
        println!("{sealed} secrets sealed anew; `old_master_key` can go from the configuration");
    } else {
        // The store still holds the directory.
        keys::drop_old_master_keys(config)?;
        println!("{sealed} secrets sealed anew; the old key is gone from the data directory");
    }
    Ok(ExitCode::SUCCESS)
}

fn open(config: &Config) -> anyhow::Result<EmbeddedStore> {
    let lock = wiring::take_existing(config)?;
    wiring::open_store(config, lock, Arc::new(SystemClock::new()))
}
