//! A store in a directory of its own, with a clock that stands still.

#![allow(dead_code, reason = "each test file uses what it needs")]

use std::{path::Path, sync::Arc};

use domain::{clock::ManualClock, entropy::SeededEntropy};
use hookwright_store_embedded::{EmbeddedOptions, EmbeddedStore, OpenError, Ports, Space};
use parking_lot::Mutex;
use store::{suite::fixture::at, vault::Vault};

/// A data directory, removed at the end.
pub struct Dir {
    pub dir: tempfile::TempDir,
    pub clock: Arc<ManualClock>,
    /// What the disk says of itself.
    pub space: Arc<Mutex<Space>>,
    /// What was said when the process should have ended.
    pub fatal: Arc<Mutex<Vec<String>>>,
}

impl Dir {
    pub fn new() -> Self {
        let space = Space { free: 100 << 30, total: 200 << 30 };
        Self {
            dir: tempfile::tempdir().expect("a directory"),
            clock: Arc::new(ManualClock::new(at(0))),
            space: Arc::new(Mutex::new(space)),
            fatal: Arc::default(),
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn options(&self) -> EmbeddedOptions {
        EmbeddedOptions { ballast_bytes: 0, cache_mib: 4, ..EmbeddedOptions::new(self.path()) }
    }

    pub fn ports(&self, keys: &[[u8; 32]]) -> Ports {
        let entropy = Arc::new(SeededEntropy::new(77));
        let (space, fatal) = (self.space.clone(), self.fatal.clone());
        Ports {
            vault: Arc::new(Vault::new(keys, entropy.clone()).expect("a vault")),
            clock: self.clock.clone(),
            entropy,
            free_space: Arc::new(move |_| Ok(*space.lock())),
            on_fatal: Arc::new(move |why| fatal.lock().push(why.to_owned())),
        }
    }

    pub fn try_open(&self, keys: &[[u8; 32]]) -> Result<EmbeddedStore, OpenError> {
        EmbeddedStore::open(&self.options(), self.ports(keys))
    }

    pub fn open(&self) -> EmbeddedStore {
        self.try_open(&[[1; 32]]).expect("opens")
    }
}
