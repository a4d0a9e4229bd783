//! What is said about a database that does not answer.

use std::sync::Arc;

use domain::clock::Clock;
use store::outage;

use crate::error::Error;

/// Logs, but no more than the process may.
pub(crate) struct Quiet(Arc<dyn Clock>);

impl Quiet {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self(clock)
    }

    /// Logs this, unless something was logged in the same second.
    pub(crate) fn warn(&self, name: &'static str, error: &Error, what: &'static str) {
        if outage::may_log(self.0.now()) {
            tracing::warn!(transaction = name, %error, "{what}");
        }
    }
}
