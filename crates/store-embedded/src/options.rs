//! How a store is opened.

use std::{path::PathBuf, sync::Arc};

use domain::{clock::Clock, entropy::Entropy};
use store::vault::Vault;

use crate::space::FreeSpace;

/// Where a store lies and what it may use.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// Its directory; made if it is not there.
    pub dir: PathBuf,
    /// Page cache of the writer, in MiB. A larger one costs: while the file is below 1 GiB, many a
    /// commit makes SQLite look at each page of it.
    pub cache_mib: u32,
    /// Threads that read, each with a page cache of 4 MiB.
    pub readers: usize,
    /// Most bytes that wait to be written; more answers `Overloaded`.
    pub queue_bytes: usize,
    /// Most rows that wait to be written; more answers `Overloaded`.
    pub queue_rows: usize,
    /// New work is refused when less than this is free, in bytes.
    pub low_water_bytes: u64,
    /// New work is refused when less than this share of the disk is free, in percent.
    pub low_water_percent: u8,
    /// A reserve that is given up when outcomes cannot be written, in bytes; 0 is none.
    pub ballast_bytes: u64,
    /// Most pages of 4 KiB that the database may have; `None` is as many as the disk holds.
    pub max_pages: Option<u32>,
}

impl EmbeddedOptions {
    /// The defaults, in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            cache_mib: 32,
            readers: 2,
            queue_bytes: 64 << 20,
            queue_rows: 200_000,
            low_water_bytes: 512 << 20,
            low_water_percent: 2,
            ballast_bytes: 64 << 20,
            max_pages: None,
        }
    }
}

/// What a store needs of its surroundings.
#[derive(Clone)]
pub struct Ports {
    /// Seals what is secret.
    pub vault: Arc<Vault>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For the ids of tasks.
    pub entropy: Arc<dyn Entropy>,
    /// How much room the disk has: [`crate::disk_space`], or a test's own.
    pub free_space: FreeSpace,
    /// Must end the process: a sync has failed, and what is on the disk is not known any more.
    pub on_fatal: Arc<dyn Fn(&str) + Send + Sync>,
}

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file in it.
    #[error("cannot use the data directory {dir}: {source}; check that it exists and is writable")]
    Directory {
        /// Which.
        dir: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error(
        "the data directory {dir} is in use by another process; stop that one, or give this one \
         a directory of its own"
    )]
    InUse {
        /// Which.
        dir: PathBuf,
    },
    /// Some other SQLite file.
    #[error("{path} is not a database of Hookwright; give another data directory")]
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// Written by a later release.
    #[error(
        "{path} has version {found}, and this release knows versions up to {known}; start the \
         release that wrote it, or a later one"
    )]
    Newer {
        /// Which.
        path: PathBuf,
        /// Of the file.
        found: i64,
        /// Of this release.
        known: i64,
    },
    /// Sealed with a key that was not given.
    #[error(
        "the master key does not open {path}; give the key it was made with (the file \
         master.key of its data directory, unless another one was configured)"
    )]
    WrongKey {
        /// Which.
        path: PathBuf,
    },
    /// SQLite says no.
    #[error("cannot open {path}: {message}")]
    Database {
        /// Which.
        path: PathBuf,
        /// What SQLite says.
        message: String,
    },
}
