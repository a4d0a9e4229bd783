//! The reference store: every trait of [`store`] in memory, clear rather than fast. Tests use it in
//! place of a real one, and [`faults`] makes it misbehave on request.
//!
//! Each call is one act under one lock. It seals
//! nothing, because nothing leaves the process.

mod alerts;
mod analytics;
mod audit;
mod catalog;
mod delegated;
mod deliveries;
pub mod faults;
mod history;
mod housekeeping;
mod leases;
mod node;
mod page;
mod publish;
mod rejected;
mod state;
mod tasks;
mod tokens;

use std::sync::Arc;

use domain::{
    clock::{Clock, ManualClock, Timestamp},
    entropy::Entropy,
};
use parking_lot::Mutex;
use store::Result;

pub use crate::node::MemoryNode;
use crate::{faults::Faults, leases::Leases, node::Members, state::State};

/// A store in memory.
pub struct MemoryStore {
    inner: Mutex<Inner>,
    entropy: Arc<dyn Entropy>,
    /// What audit rows are dated by.
    clock: Arc<dyn Clock>,
    members: Members,
}

#[derive(Default)]
struct Inner {
    state: State,
    faults: Faults,
    leases: Leases,
}

impl MemoryStore {
    /// An empty one. `entropy` names the tasks it makes. Its clock stands still, at no time in
    /// particular: only audit rows are dated by it.
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self::with_clock(entropy, Arc::new(ManualClock::new(Timestamp::EPOCH)))
    }

    /// The same with another clock.
    pub fn with_clock(entropy: Arc<dyn Entropy>, clock: Arc<dyn Clock>) -> Self {
        Self { inner: Mutex::default(), entropy, clock, members: Members::default() }
    }

    /// One call: `act` sees and leaves a whole state.
    fn act<T>(&self, act: impl FnOnce(&mut State) -> T) -> Result<T> {
        let mut inner = self.inner.lock();
        inner.faults.answers()?;
        Ok(act(&mut inner.state))
    }

    /// A call whose reply can be lost.
    fn commit<T>(&self, act: impl FnOnce(&mut State) -> T) -> Result<T> {
        let mut inner = self.inner.lock();
        inner.faults.answers()?;
        let answer = act(&mut inner.state);
        inner.faults.reply(answer)
    }
}

/// One node, and no other: see [`store::nodes`]. Several share it by [`MemoryStore::node`].
impl store::Nodes for MemoryStore {}
