//! What keeps transactions from being many and small while much goes on: one that follows a busy one
//! waits a little, and more gathers meanwhile. Where little goes on nothing waits.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// So many rows make one a busy one.
const BUSY: usize = 8;

/// When the next one may start.
pub(crate) struct Pace {
    every: Duration,
    next: Instant,
}

impl Pace {
    /// Busy ones start this far apart, unless they are full before.
    pub(crate) fn new(every: Duration) -> Self {
        Self { every, next: Instant::now() }
    }

    /// One starts, with so many rows.
    pub(crate) fn started(&mut self, rows: usize) {
        let wait = if rows < BUSY { Duration::ZERO } else { self.every };
        self.next = Instant::now() + wait;
    }

    /// Whether the next one has to wait.
    pub(crate) fn must_wait(&self) -> bool {
        Instant::now() < self.next
    }

    /// Waits for its time.
    pub(crate) async fn wait(&self) {
        sleep_until(self.next).await;
    }
}
