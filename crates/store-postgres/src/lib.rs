//! The store of many nodes: every trait of `store` over one PostgreSQL, version 15 or newer.
//!
//! What is posted and what attempts come to goes through a group committer each ([`committer`]), which
//! writes whatever waits in one transaction; all else uses a pool of connections ([`conn`]). The other
//! files are named like those of `store` that they implement. Start with `migrations/`: it says what is
//! kept, and how it is found again.

mod alerts;
mod analytics;
mod audit;
mod catalog;
mod check;
mod committer;
mod conn;
mod connect;
mod deliveries;
mod ending;
mod enqueue;
mod error;
mod feed;
mod health;
mod history;
mod housekeeping;
mod insert;
mod limits;
mod nodes;
mod options;
mod pace;
mod pages;
mod partitions;
mod publish;
mod quiet;
mod rejected;
mod reseal;
mod rows;
mod schema;
mod settle;
mod spawn;
mod sweep;
mod tasks;
mod tokens;
mod transfer;

use std::{sync::Arc, time::Duration};

use deadpool_postgres::Pool;

pub use crate::options::{OpenError, Ports, PostgresOptions};
use crate::{
    analytics::Counting,
    committer::Committer,
    conn::{Conn, Tx},
    connect::Connector,
    error::Result,
    feed::Feed,
    housekeeping::House,
    pages::Pages,
    publish::Ingest,
    quiet::Quiet,
    settle::Settling,
};

/// Longest wait for a heartbeat: what takes longer is as good as none.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest that bringing the tables up to date may take: other nodes may be at it.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(3_600);
/// Nodes whose counters of what is pending are apart. More than so many share some.
const SLOTS: u16 = 512;

/// A store in a PostgreSQL database, as one node sees it. Dropping it writes what waits.
pub struct PostgresStore {
    ingest: Committer<Ingest>,
    settles: Committer<Settling>,
    pages: Pages,
    feed: Feed,
    /// The connection of heartbeats: nothing else makes them late.
    keeper: Pool,
    shared: Arc<Shared>,
}

/// What the store's own tasks use as well.
pub(crate) struct Shared {
    pub(crate) options: PostgresOptions,
    pub(crate) ports: Ports,
    pub(crate) connector: Connector,
    /// This node's id, made anew at each start: what an earlier one was given it does not own.
    pub(crate) node: [u8; 16],
    pub(crate) house: House,
    pub(crate) counting: Counting,
    pool: Pool,
}

impl Shared {
    /// A connection for reading.
    pub(crate) async fn read(&self) -> Result<Conn> {
        self.conn(&self.pool).await
    }

    /// A connection of a pool.
    pub(crate) async fn conn(&self, pool: &Pool) -> Result<Conn> {
        Ok(Conn::new(pool.get().await?, self.options.call_timeout, self.connector.doubts()))
    }

    /// A transaction.
    pub(crate) async fn begin(&self) -> Result<Tx> {
        Tx::begin(self.read().await?).await
    }

    /// A transaction that only reads, and sees one moment.
    pub(crate) async fn snapshot(&self) -> Result<Tx> {
        Tx::begin_snapshot(self.read().await?).await
    }
}

impl PostgresStore {
    /// Opens the store in `options.url`, making its tables if there are none. Must be called in a
    /// runtime, where its own tasks live as well.
    pub async fn open(options: PostgresOptions, ports: Ports) -> Result<Self, OpenError> {
        let connector = Connector::new(&options)?;
        schema::look(&connector).await?;
        let failed = |error: error::Error| OpenError::Database {
            target: connector.target.clone(),
            message: error.to_string(),
        };
        {
            let pool = connector.pool(1, options.call_timeout);
            let object = pool.get().await.map_err(|error| failed(error.into()))?;
            let conn = Conn::new(object, MIGRATION_TIMEOUT, connector.doubts());
            schema::migrate(&connector, &conn, &ports.vault).await?;
            analytics::begin(&conn, ports.clock.now()).await.map_err(failed)?;
        }
        let mut node = [0; 16];
        ports.entropy.fill(&mut node);
        let slot = (u16::from_be_bytes([node[0], node[1]]) % SLOTS).cast_signed() * 2;
        let shared = Arc::new(Shared {
            pool: connector.by_key().pool(options.connections.max(1), options.call_timeout),
            node,
            house: House::default(),
            counting: Counting::new(&connector, &options, slot + 1),
            connector: connector.clone(),
            ports,
            options,
        });
        partitions::ensure(&shared, shared.ports.clock.now()).await.map_err(failed)?;
        let quiet = Arc::new(Quiet::new(shared.ports.clock.clone()));
        let by_key = connector.by_key();
        let line = || by_key.pool(1, shared.options.call_timeout);
        let ingest = Ingest { shared: shared.clone(), pool: line(), slot };
        let settling = Settling { shared: shared.clone(), pool: line(), slot: slot + 1 };
        let (rows, bytes) = (shared.options.queue_rows, shared.options.queue_bytes);
        Ok(Self {
            ingest: Committer::start(ingest, quiet.clone(), rows, bytes),
            settles: Committer::start(settling, quiet.clone(), rows, bytes),
            pages: Pages::start(&shared),
            feed: Feed::start(&connector, quiet),
            keeper: connector.brief().pool(1, HEARTBEAT_TIMEOUT),
            shared,
        })
    }

    /// Rows that wait to be written.
    pub(crate) fn queued(&self) -> u64 {
        (self.ingest.queued() + self.settles.queued()) as u64
    }
}
