//! Misbehaviour on request: what a store may do to its callers, made to happen when a test wants it.

use store::{Result, StoreError};

use crate::{MemoryStore, state::State};

/// What is wrong at the moment.
#[derive(Default)]
pub(crate) struct Faults {
    unavailable: bool,
    full: bool,
    lose_reply: bool,
    /// What a crash goes back to; `None` while every write is synced at once.
    synced: Option<Box<State>>,
}

impl Faults {
    /// Fails while the store is unavailable.
    pub(crate) fn answers(&self) -> Result<()> {
        if self.unavailable {
            return Err(StoreError::Unavailable("made so by a test".into()));
        }
        Ok(())
    }

    /// Fails while the store takes no new work.
    pub(crate) fn has_room(&self) -> Result<()> {
        if self.full {
            return Err(StoreError::Full("made so by a test".into()));
        }
        Ok(())
    }

    /// Whether the store takes no new work.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Passes an answer on, or loses it.
    pub(crate) fn reply<T>(&mut self, answer: T) -> Result<T> {
        if std::mem::take(&mut self.lose_reply) { Err(StoreError::Unknown) } else { Ok(answer) }
    }
}

impl MemoryStore {
    /// While true every call fails with [`StoreError::Unavailable`] and changes nothing.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.inner.lock().faults.unavailable = unavailable;
    }

    /// While true no message is taken: `publish` fails with [`StoreError::Full`]. Settles go on.
    pub fn set_full(&self, full: bool) {
        self.inner.lock().faults.full = full;
    }

    /// The next `publish`, `enqueue`, `settle` or `create_application` is done, and answers [`StoreError::Unknown`].
    pub fn lose_next_reply(&self) {
        self.inner.lock().faults.lose_reply = true;
    }

    /// Lists of history look at this many rows per call, and at no more.
    pub fn look_at_most(&self, rows: usize) {
        self.inner.lock().state.list_rows = Some(rows);
    }

    /// From now on writes are answered before they are synced, as by a disk that lies: a
    /// [`crash`](Self::crash) takes back what came after the last [`sync`](Self::sync).
    pub fn defer_sync(&self) {
        let mut inner = self.inner.lock();
        if inner.faults.synced.is_none() {
            inner.faults.synced = Some(Box::new(inner.state.clone()));
        }
    }

    /// Syncs what was deferred so far; later writes are deferred still.
    pub fn sync(&self) {
        let mut inner = self.inner.lock();
        if inner.faults.synced.is_some() {
            inner.faults.synced = Some(Box::new(inner.state.clone()));
        }
    }

    /// Loses what was not synced. All faults end: what opens it next finds a healthy store.
    pub fn crash(&self) {
        let mut inner = self.inner.lock();
        if let Some(synced) = std::mem::take(&mut inner.faults).synced {
            inner.state = *synced;
        }
    }
}
