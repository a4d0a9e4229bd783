//! One line per second at most about a database that does not answer.

use std::sync::atomic::{AtomicI64, Ordering};

use domain::clock::Clock;

use crate::error::Error;

/// Keeps the log readable while something fails all the time.
pub(crate) struct Quiet {
    clock: std::sync::Arc<dyn Clock>,
    last: AtomicI64,
}

impl Quiet {
    pub(crate) fn new(clock: std::sync::Arc<dyn Clock>) -> Self {
        Self { clock, last: AtomicI64::new(-1) }
    }

    /// Logs this, unless something was logged in the same second.
    pub(crate) fn warn(&self, name: &'static str, error: &Error, what: &'static str) {
        let second = i64::try_from(self.clock.monotonic().as_secs()).unwrap_or(i64::MAX);
        if self.last.swap(second, Ordering::Relaxed) != second {
            tracing::warn!(transaction = name, %error, "{what}");
        }
    }
}
