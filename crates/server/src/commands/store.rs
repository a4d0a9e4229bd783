//! Commands on what is stored: `backup`, `check`, `rotate-key`.

use std::{path::Path, process::ExitCode, sync::Arc};

use anyhow::Context;

use crate::{
    backend::{self, Backend},
    config::Config,
    control,
    env::{SystemClock, SystemEntropy},
    keys, serve,
};

/// Writes a consistent copy of the database to a new file, beside a running server or not.
pub fn backup(config: &Config, to: &Path) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(!to.exists(), "{} exists already: name a new file", to.display());
    anyhow::ensure!(
        config.store.is_none(),
        "what is in PostgreSQL is backed up by PostgreSQL's own tools (pg_basebackup, pg_dump)"
    );
    serve::runtime(1)?.block_on(async {
        if !control::ask_backup(&config.data_dir, to).await? {
            let lock = backend::take_existing(config)?;
            backend::open_embedded(config, lock, Arc::new(SystemClock::new()))?.backup(to).await?;
        }
        anyhow::Ok(())
    })?;
    let bytes = std::fs::metadata(to).context("the copy")?.len();
    println!("{} ({:.1} MiB)", to.display(), bytes as f64 / 1_048_576.0);
    println!("Keep the master key apart from it: without the key its secrets do not open.");
    Ok(ExitCode::SUCCESS)
}

/// Checks what is stored; fails if anything is wrong with it.
pub fn check(config: &Config) -> anyhow::Result<ExitCode> {
    let report = serve::runtime(1)?.block_on(async {
        let backend = Backend::open(config, Arc::new(SystemClock::new())).await?;
        anyhow::Ok(backend.store().check().await?)
    })?;
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
    let configured = config.master_key.is_some();
    anyhow::ensure!(
        !configured || config.old_master_key.is_some(),
        "give the present key as `old_master_key` and the new one as `master_key`"
    );
    if config.store.is_some() {
        return rotate_shared_key(config);
    }
    // Before the key file is touched: a server that runs has read it.
    let lock = backend::take_existing(config)?;
    if !configured {
        keys::add_master_key(config, &SystemEntropy)?;
    }
    let store = backend::open_embedded(config, lock, Arc::new(SystemClock::new()))?;
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

/// The nodes of a shared store all have to know both keys before: so both are configured.
fn rotate_shared_key(config: &Config) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        config.master_key.is_some(),
        "nodes that share a store take their keys from the configuration: give the present key as \
         `old_master_key` and the new one as `master_key`, on all nodes, and run this afterwards"
    );
    let sealed = serve::runtime(1)?.block_on(async {
        match Backend::open(config, Arc::new(SystemClock::new())).await? {
            Backend::Postgres(store) => Ok(store.reseal().await?),
            Backend::Embedded(_) => anyhow::bail!("`store` is not a shared one"),
        }
    })?;
    println!("{sealed} secrets sealed anew; `old_master_key` can go from the configuration");
    Ok(ExitCode::SUCCESS)
}
