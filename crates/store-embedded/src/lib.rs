//! The embedded store: every trait of `store` over SQLite, in one file of one directory.
//!
//! One thread writes ([`writer`]), a few read ([`readers`]), one copies the write-ahead log into the
//! database beside them ([`checkpoint`]). The other files are named like those of `store` that they
//! implement. Start with `migrations/`: it says what is kept, and how it is found again.

mod alerts;
mod analytics;
mod audit;
mod backup;
mod catalog;
mod check;
mod checkpoint;
mod claims;
mod deliveries;
mod error;
mod history;
mod housekeeping;
mod lock;
mod options;
mod publish;
mod readers;
mod rejected;
mod reseal;
mod rows;
mod schema;
mod space;
mod sweep;
mod tasks;
mod tokens;
mod transfer;
mod tx;
mod unscheduled;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use store::StoreError;

use crate::{
    analytics::{Dirty, Roller},
    checkpoint::{Checkpoints, Keeper},
    readers::Readers,
    space::Room,
    sweep::Sweeper,
    unscheduled::Walk,
    writer::Writer,
};
pub use crate::{
    lock::DirectoryLock,
    options::{EmbeddedOptions, OpenError, Ports},
    space::{FreeSpace, Space, disk_space},
};

/// Name of the database in the data directory.
pub const DATABASE_FILE: &str = "hookwright.db";

/// A store in a directory. Dropping it writes what waits, stops its threads and gives the directory
/// free.
pub struct EmbeddedStore {
    // In the order in which they stop.
    readers: Readers,
    writer: Writer,
    _keeper: Keeper,
    room: Arc<Room>,
    sweeper: tokio::sync::Mutex<Sweeper>,
    walk: Walk,
    roller: tokio::sync::Mutex<Roller>,
    dirty: Dirty,
    ports: Ports,
    path: PathBuf,
    _lock: DirectoryLock,
}

impl EmbeddedStore {
    /// Opens the store in `options.dir`, making it if there is none. What a crash left is recovered
    /// here; nothing is rebuilt.
    pub fn open(options: &EmbeddedOptions, ports: Ports) -> Result<Self, OpenError> {
        Self::open_locked(DirectoryLock::take(&options.dir)?, options, ports)
    }

    /// The same for who has taken `options.dir` already, as one must to read its keys.
    pub fn open_locked(
        lock: DirectoryLock,
        options: &EmbeddedOptions,
        ports: Ports,
    ) -> Result<Self, OpenError> {
        let path = options.dir.join(DATABASE_FILE);
        let failed =
            |e: error::Error| OpenError::Database { path: path.clone(), message: e.to_string() };
        let conn = schema::open(&path, &ports.vault)?;
        let cache_kib = i64::from(options.cache_mib) * 1_024;
        conn.pragma_update(None, "cache_size", -cache_kib).map_err(|e| failed(e.into()))?;
        if let Some(pages) = options.max_pages {
            conn.pragma_update(None, "max_page_count", pages).map_err(|e| failed(e.into()))?;
        }
        schema::in_transaction(&conn, |conn| analytics::recover(conn, ports.clock.now()))
            .map_err(failed)?;
        let room = Arc::new(Room::new(options, ports.free_space.clone()));
        room.look();
        let checkpoints = Arc::new(Checkpoints::new(&ports));
        let keeper = Keeper::start(&path, room.clone(), checkpoints.clone()).map_err(failed)?;
        let dirty = Dirty::default();
        let (theirs, to_write) = (room.clone(), dirty.clone());
        let writer = Writer::start(conn, options, ports.clone(), theirs, checkpoints, to_write);
        let writer = writer.map_err(failed)?;
        let readers = Readers::start(&path, options.readers, &ports.clock).map_err(failed)?;
        Ok(Self {
            readers,
            writer,
            _keeper: keeper,
            room,
            sweeper: tokio::sync::Mutex::default(),
            walk: Walk::default(),
            roller: tokio::sync::Mutex::default(),
            dirty,
            ports,
            path,
            _lock: lock,
        })
    }

    /// Looks now, and not only once a second, at how full the disk is.
    pub fn look_at_disk(&self) {
        self.room.look();
    }

    /// Copies the store to a new file while it is in use. The copy is one moment, whole, and holds no
    /// master key.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        self.writer.backup(to.to_owned()).await
    }
}

/// One node, and no other: see [`store::nodes`].
impl store::Nodes for EmbeddedStore {}
