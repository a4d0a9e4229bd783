//! Keeps the log readable while a store does not answer: one line per second about it, of the whole
//! process, whoever it is that notices.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use domain::clock::Timestamp;

/// Least time between two lines. A little more than a second: those who log go by clocks that are a
/// little apart, and are some time on their way to the log.
const BETWEEN: Duration = Duration::from_millis(1_100);
/// By how much clocks of one process may differ: one that is further behind was set back.
const BACK: Duration = Duration::from_secs(10);

static LAST: AtomicI64 = AtomicI64::new(i64::MIN);

/// Whether somebody may log now that the store does not do what it should.
pub fn may_log(now: Timestamp) -> bool {
    let now = now.as_micros();
    let wait = |by: Duration| i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    let due = |last: i64| {
        let again = now >= last.saturating_add(wait(BETWEEN));
        (again || now < last.saturating_sub(wait(BACK))).then_some(now)
    };
    LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second() {
        let may = |millis: i64| may_log(Timestamp::from_micros(millis * 1_000));
        let asked = [100_990, 101_010, 101_999, 102_090, 102_050, 103_189, 103_190, 50_000, 50_500];
        let may: Vec<_> = asked.into_iter().map(may).collect();
        assert_eq!(may, [true, false, false, true, false, false, true, true, false]);
    }
}
