//! Keeps the log readable while a store does not answer: one line per second about it, of the whole
//! process, whoever it is that notices.

use std::sync::atomic::{AtomicI64, Ordering};

use domain::clock::Timestamp;

static LAST: AtomicI64 = AtomicI64::new(i64::MIN);

/// Whether somebody may log now that the store does not do what it should. The first one of a second may.
pub fn may_log(now: Timestamp) -> bool {
    let second = now.as_secs();
    LAST.swap(second, Ordering::Relaxed) != second
}
