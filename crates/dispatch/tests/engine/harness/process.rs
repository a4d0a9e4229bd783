//! One process over the store: alone, or a node among others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use domain::{
    clock::{Clock, Timestamp},
    entropy::{Entropy, SeededEntropy},
};
use hookwright_dispatch::{DispatchOptions, Engine, EngineParts};
use publish::{Catalogues, PublishOptions, Publisher};
use store::Store;
use store_memory::{MemoryNode, MemoryStore};
use tokio::time::Instant;

use super::{HOUR, Receivers, TestStore, receiver::Wire, store::Dead};

/// Where every world begins.
const BEGINNING: Timestamp = Timestamp::from_secs(1_790_000_000);

/// The runtime's own time, as a wall clock that can be set.
pub struct VirtualClock {
    started: Instant,
    set_by_micros: AtomicI64,
}

impl VirtualClock {
    /// Begins where every world begins.
    pub fn new(started: Instant) -> Self {
        Self { started, set_by_micros: AtomicI64::new(0) }
    }

    /// Sets the wall clock on, or back.
    pub fn set_by(&self, seconds: i64) {
        self.set_by_micros.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let true_now = BEGINNING.plus(self.started.elapsed());
        let by = self.set_by_micros.load(Ordering::SeqCst);
        Timestamp::from_micros(true_now.as_micros() + by)
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// One process over the store.
pub struct Process {
    /// Its own.
    pub clock: Arc<VirtualClock>,
    /// What it is to a store that is shared.
    pub member: Option<Arc<MemoryNode>>,
    pub store: Arc<TestStore>,
    pub engine: Arc<Engine>,
    pub publisher: Arc<Publisher>,
}

/// Starts one.
pub fn boot(
    memory: &Arc<MemoryStore>,
    receivers: &Arc<Receivers>,
    clock: &Arc<VirtualClock>,
    entropy: &Arc<SeededEntropy>,
    options: &DispatchOptions,
    shared: bool,
) -> Process {
    let dead = Dead::default();
    // Nodes have clocks of their own, and the store has one.
    let member = shared.then(|| memory.node("node", clock.clone()));
    let (inner, clock): (Arc<dyn Store>, _) = match &member {
        Some(member) => (member.clone(), Arc::new(VirtualClock::new(clock.started))),
        None => (memory.clone(), clock.clone()),
    };
    let store = Arc::new(TestStore::new(inner, dead.clone()));
    let catalogues = Arc::new(Catalogues::new(store.clone(), 1_000));
    let entropy: Arc<dyn Entropy> = entropy.clone();
    let engine = Engine::new(EngineParts {
        store: store.clone(),
        catalogues: catalogues.clone(),
        destination: Arc::new(Wire { receivers: receivers.clone(), dead }),
        clock: clock.clone(),
        entropy: entropy.clone(),
        options: options.clone(),
    });
    let publisher = Arc::new(Publisher::new(
        store.clone(),
        catalogues,
        engine.handle(),
        engine.clock(),
        entropy,
        PublishOptions { payload_retention: 90 * 24 * HOUR, max_pending: None },
    ));
    engine.start(publisher.clone());
    Process { clock, member, store, engine, publisher }
}
