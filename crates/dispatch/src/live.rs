//! Telling those who watch of attempts.

use store::deliveries::Settle;

use crate::{core::Start, engine::Engine};

impl Engine {
    /// An attempt is on record: shows it to whoever watches.
    pub(crate) fn show(&self, start: &Start, settle: &Settle) {
        if let (Some(publisher), Some(attempt)) = (self.publisher(), &settle.attempt) {
            publisher.live().attempt(&start.application, &start.hot.message.event_type, attempt);
        }
    }
}
