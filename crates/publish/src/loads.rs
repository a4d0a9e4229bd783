//! What is being loaded, by key: void if it changes meanwhile.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use store::StoreError;

use crate::load::Load;

struct Entry<V> {
    load: Load<V>,
    void: AtomicBool,
}

/// All loads that somebody waits for.
pub(crate) struct Loads<K, V>(Mutex<HashMap<K, Arc<Entry<V>>>>);

impl<K, V> Default for Loads<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// A place among those who want the same.
pub(crate) struct Place<'a, K: Eq + Hash, V> {
    of: &'a Loads<K, V>,
    key: K,
    entry: Arc<Entry<V>>,
}

impl<K: Clone + Eq + Hash, V: Clone> Loads<K, V> {
    /// Stands in line.
    pub(crate) fn enter(&self, key: K) -> Place<'_, K, V> {
        let new = || Arc::new(Entry { load: Load::default(), void: AtomicBool::new(false) });
        let entry = self.0.lock().entry(key.clone()).or_insert_with(new).clone();
        Place { of: self, key, entry }
    }

    /// What is being loaded of these may be from before a change: nobody keeps it.
    pub(crate) fn void(&self, concerned: impl Fn(&K) -> bool) {
        for (_, entry) in self.0.lock().iter().filter(|(key, _)| concerned(key)) {
            entry.void.store(true, Ordering::Release);
        }
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Place<'_, K, V> {
    /// See [`Load::join`].
    pub(crate) async fn join(
        &self,
        known: impl FnOnce() -> Option<V>,
        load: impl Future<Output = Result<V, StoreError>>,
    ) -> Result<V, StoreError> {
        let load = async {
            self.entry.void.store(false, Ordering::Release);
            load.await
        };
        self.entry.load.join(known, load).await
    }

    /// For whoever loads: whether what it loaded still holds.
    pub(crate) fn holds(&self) -> bool {
        !self.entry.void.load(Ordering::Acquire)
    }
}

impl<K: Eq + Hash, V> Drop for Place<'_, K, V> {
    fn drop(&mut self) {
        let mut entries = self.of.0.lock();
        // Two: the map's and this one.
        if Arc::strong_count(&self.entry) == 2 {
            entries.remove(&self.key);
        }
    }
}
