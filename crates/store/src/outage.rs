//! Keeps the log readable while a store does not answer: one line per second about it, of the whole
//! process, whoever it is that notices.

use std::sync::atomic::{AtomicI64, Ordering};

use domain::clock::Timestamp;

/// Seconds by which clocks of one process may differ.
const BACK: i64 = 10;

static LAST: AtomicI64 = AtomicI64::new(i64::MIN);

/// Whether somebody may log now that the store does not do what it should. The first one of a second may.
pub fn may_log(now: Timestamp) -> bool {
    let second = now.as_secs();
    // Clocks that are a little apart are in the same second or the one before; one that was set back is
    // far behind.
    let later = |last: i64| (second > last || second < last.saturating_sub(BACK)).then_some(second);
    LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second() {
        let may = |secs| may_log(Timestamp::from_secs(secs));
        let asked = [100, 100, 101, 100, 101, 102, 50, 50, 51];
        let may: Vec<_> = asked.into_iter().map(may).collect();
        assert_eq!(may, [true, false, true, false, false, true, true, false, true]);
    }
}
