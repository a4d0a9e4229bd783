//! What a proxy has been told to do, which all its threads look at.
use super::{Partition, connection::Connection};
use std::{
    collections::HashMap,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

pub(super) struct Faults {
    state: Mutex<State>,
    changed: Condvar,
}

pub(super) struct State {
    pub(super) target: SocketAddr,
    /// Not there while connections are refused.
    pub(super) listener: Option<TcpListener>,
    pub(super) partition: Option<Partition>,
    pub(super) delay: Duration,
    pub(super) lose: Option<Lose>,
    pub(super) lost: u32,
    pub(super) stopped: bool,
    /// Those whose threads have not ended.
    pub(super) connections: HashMap<u64, Arc<Connection>>,
}

/// An order to lose replies.
pub(super) struct Lose {
    pub(super) needle: Vec<u8>,
    /// For how many more connections.
    pub(super) left: u32,
}

impl Faults {
    pub(super) fn new(target: SocketAddr, listener: TcpListener) -> Self {
        let state = State {
            target,
            listener: Some(listener),
            partition: None,
            delay: Duration::ZERO,
            lose: None,
            lost: 0,
            stopped: false,
            connections: HashMap::new(),
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Nothing is left half done by a thread that panics, and dropping must not.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the orders and wakes whoever waits for others.
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Waits until something may pass on this connection; `false` if it was cut instead.
    pub(super) fn pass(&self, connection: &Connection, arrived: Instant) -> bool {
        let mut state = self.state();
        loop {
            if connection.is_cut() {
                return false;
            }
            let due = arrived + state.delay;
            let now = Instant::now();
            state = if state.partition.is_some() {
                self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else if now < due {
                let waited = self.changed.wait_timeout(state, due - now);
                waited.unwrap_or_else(PoisonError::into_inner).0
            } else {
                return true;
            };
        }
    }
}

impl State {
    /// Cuts all connections.
    pub(super) fn cut(&mut self) {
        self.connections.values().for_each(|connection| connection.cut());
    }

    /// Whether the reply to this is to be lost. Uses one of the times up.
    pub(super) fn loses(&mut self, chunk: &[u8]) -> bool {
        let Some(lose) = self.lose.as_mut().filter(|lose| lose.left > 0) else { return false };
        let found = chunk.windows(lose.needle.len()).any(|window| window == lose.needle);
        if found {
            lose.left -= 1;
        }
        found
    }
}
