//! What is being loaded: once for all who want it, and void if it changes meanwhile.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use domain::{
    id::{ApplicationId, OrganizationId},
    name::Ref,
};
use parking_lot::Mutex;

/// What is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// An application.
    Application(OrganizationId, Ref<ApplicationId>),
    /// An organization's part.
    Organization(OrganizationId),
}

#[derive(Debug, Default)]
struct Load {
    turn: tokio::sync::Mutex<()>,
    void: AtomicBool,
}

/// All loads that somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct Loads(Mutex<HashMap<Subject, Arc<Load>>>);

/// A place among those who want the same.
pub(crate) struct Place<'a> {
    of: &'a Loads,
    subject: Subject,
    load: Arc<Load>,
}

/// Whoever holds it loads; the others wait for it.
pub(crate) struct Turn<'a> {
    load: &'a Load,
    _held: tokio::sync::MutexGuard<'a, ()>,
}

impl Loads {
    /// Stands in line.
    pub(crate) fn enter(&self, subject: Subject) -> Place<'_> {
        let load = self.0.lock().entry(subject.clone()).or_default().clone();
        Place { of: self, subject, load }
    }

    /// What is being loaded of these may be from before a change: nobody keeps it.
    pub(crate) fn void(&self, concerned: impl Fn(&Subject) -> bool) {
        for (_, load) in self.0.lock().iter().filter(|(subject, _)| concerned(subject)) {
            load.void.store(true, Ordering::Release);
        }
    }
}

impl Place<'_> {
    /// Waits until nobody else loads it.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        let held = self.load.turn.lock().await;
        self.load.void.store(false, Ordering::Release);
        Turn { load: &self.load, _held: held }
    }
}

impl Turn<'_> {
    /// Whether what was loaded in this turn still holds.
    pub(crate) fn holds(&self) -> bool {
        !self.load.void.load(Ordering::Acquire)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut loads = self.of.0.lock();
        // Two: the map's and this one.
        if Arc::strong_count(&self.load) == 2 {
            loads.remove(&self.subject);
        }
    }
}
