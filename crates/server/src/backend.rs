//! Which store a server keeps everything in, and how it is opened.

use std::sync::Arc;

use anyhow::{Context, ensure};
use domain::{clock::Clock, entropy::Entropy};
use store::{Store, Transfer};
use store_embedded::{DATABASE_FILE, DirectoryLock, EmbeddedOptions, EmbeddedStore};
use store_postgres::{PostgresOptions, PostgresStore};

use crate::{
    config::Config,
    env::{SystemEntropy, machine_name},
    keys,
};

/// An open store.
#[derive(Clone)]
pub enum Backend {
    /// Files in the data directory: one node.
    Embedded(Arc<EmbeddedStore>),
    /// A database that nodes share.
    Postgres(Arc<PostgresStore>),
}

impl Backend {
    /// Opens the configured store, making what is not there yet.
    pub async fn open_or_make(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        if config.store.is_some() {
            // Where nobody gives a master key, the first node makes one; the others need its file.
            if config.master_key.is_none() {
                let _lock = DirectoryLock::take(&config.data_dir).context("`data_dir`")?;
                keys::ensure_master_key(config, &SystemEntropy)?;
            }
            return Self::open(config, clock).await?.whole().await;
        }
        let lock = DirectoryLock::take(&config.data_dir).context("`data_dir`")?;
        keys::ensure_master_key(config, &SystemEntropy)?;
        Self::Embedded(Arc::new(open_embedded(config, lock, clock)?)).whole().await
    }

    /// Refuses a store into which another one is half moved: it would deliver what it has and go on
    /// without the rest.
    async fn whole(self) -> anyhow::Result<Self> {
        let progress = match &self {
            Self::Embedded(store) => store.progress().await?,
            Self::Postgres(store) => store.progress().await?,
        };
        ensure!(
            progress.is_none(),
            "a move into this store was begun and is not done: run the same `hookwright \
             migrate-store` again until it says that it is"
        );
        Ok(self)
    }

    /// Opens the configured store for a command, which must not make one where there is none: a
    /// mistyped `data_dir` would look as if all were well.
    pub async fn open(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let Some(url) = &config.store else {
            let lock = take_existing(config)?;
            return Ok(Self::Embedded(Arc::new(open_embedded(config, lock, clock)?)));
        };
        ensure!(
            url.starts_with("postgres://") || url.starts_with("postgresql://"),
            "`store` must be a URL like postgres://user:password@host:5432/database (or `none`)"
        );
        let options = PostgresOptions {
            node_name: node_name(config),
            connections: config.store_connections,
            partition: PostgresOptions::partition_of(config.history_retention),
            payload_retention: config.payload_retention,
            ..PostgresOptions::new(url)
        };
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let vault = Arc::new(keys::vault(config, &entropy)?);
        let ports = store_postgres::Ports { vault, clock, entropy };
        Ok(Self::Postgres(Arc::new(PostgresStore::open(options, ports).await?)))
    }

    /// What operators are told that it is.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }

    /// As everything but its opening sees it.
    pub fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Embedded(store) => store.clone(),
            Self::Postgres(store) => store.clone(),
        }
    }
}

/// How this node is called.
pub fn node_name(config: &Config) -> String {
    match config.node_name.as_str() {
        "" => machine_name(),
        name => name.to_owned(),
    }
}

/// Takes a data directory that has a database.
pub fn take_existing(config: &Config) -> anyhow::Result<DirectoryLock> {
    ensure!(
        config.data_dir.join(DATABASE_FILE).exists(),
        "`data_dir`: there is no {DATABASE_FILE} in {}",
        config.data_dir.display()
    );
    Ok(DirectoryLock::take(&config.data_dir)?)
}

/// Opens the store of a data directory that was taken and has a master key.
pub fn open_embedded(
    config: &Config,
    lock: DirectoryLock,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<EmbeddedStore> {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let mib = 1024 * 1024;
    let options = EmbeddedOptions {
        cache_mib: config.store_cache_mib,
        low_water_bytes: config.disk_low_water_mib * mib,
        low_water_percent: config.disk_low_water_percent,
        ballast_bytes: config.disk_reserve_mib * mib,
        ..EmbeddedOptions::new(&config.data_dir)
    };
    let ports = store_embedded::Ports {
        vault: Arc::new(keys::vault(config, &entropy)?),
        clock,
        entropy,
        free_space: Arc::new(store_embedded::disk_space),
        on_fatal: Arc::new(|why| {
            // What is on the disk is not known any more: only a fresh start can find out.
            eprintln!("hookwright: {why}: ending, to recover at the next start");
            std::process::abort();
        }),
    };
    Ok(EmbeddedStore::open_locked(lock, &options, ports)?)
}
