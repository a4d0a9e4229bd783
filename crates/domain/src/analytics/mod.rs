//! Counting what happens: rollups of attempts and messages by time.

mod compare;
mod compared;
mod plan;
mod rollup;
mod sketch;
mod whole;

pub use compare::{Comparison, Counted, Place};
pub use compared::Compared;
pub use plan::{Available, Granularity, Piece, pieces, point};
pub use rollup::{CLASSES, CountedAttempt, Counts, Rollup, UNACCEPTED, Unaccepted};
pub use sketch::Sketch;
pub use whole::{LONGEST_ATTEMPT, Whole};

use crate::clock::Timestamp;

/// How much time one rollup spans. All zones that clocks go by are whole quarters of an hour off UTC, so
/// that hours and days of any zone are made of quarters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Unit {
    /// A minute.
    Minute = 0,
    /// Fifteen of them.
    Quarter = 1,
    /// A day of UTC.
    Day = 2,
}

impl Unit {
    /// Its length.
    pub const fn secs(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Quarter => 15 * 60,
            Self::Day => 86_400,
        }
    }

    /// Its length.
    pub const fn duration(self) -> std::time::Duration {
        std::time::Duration::from_secs(self.secs().unsigned_abs())
    }

    /// The beginning of the one that a moment is in.
    pub fn floor(self, at: Timestamp) -> Timestamp {
        let secs = at.as_secs();
        Timestamp::from_secs(secs - secs.rem_euclid(self.secs()))
    }

    /// The beginning of the first one that does not begin before a moment.
    pub fn ceil(self, at: Timestamp) -> Timestamp {
        let floor = self.floor(at);
        if floor == at { floor } else { floor.plus(self.duration()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_begin_where_clocks_say() {
        let at: Timestamp = "2026-11-27T13:37:42.5Z".parse().expect("a time");
        for (unit, floor, ceil) in [
            (Unit::Minute, "2026-11-27T13:37:00Z", "2026-11-27T13:38:00Z"),
            (Unit::Quarter, "2026-11-27T13:30:00Z", "2026-11-27T13:45:00Z"),
            (Unit::Day, "2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z"),
        ] {
            assert_eq!(
                (unit.floor(at).to_string(), unit.ceil(at).to_string()),
                (floor.into(), ceil.into())
            );
            assert_eq!(unit.ceil(unit.floor(at)), unit.floor(at));
        }
        assert_eq!(Unit::Day.floor(Timestamp::from_secs(-1)), Timestamp::from_secs(-86_400));
    }
}
