//! Of which times both the counts and what they were counted from are all there.

use std::time::Duration;

use super::Unit;
use crate::clock::Timestamp;

/// Longer than any attempt: one that began before a minute may have ended in it.
pub const LONGEST_ATTEMPT: Duration = Duration::from_secs(15 * 60);
/// Endpoints of an application from which on it is looked at in smaller pieces.
const MANY: usize = 100;
const HOUR: Duration = Duration::from_secs(3_600);

/// Bounds of what can be compared with a recount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Messages and attempts of this time or later are all there, and were all counted.
    pub records_from: Timestamp,
    /// Minutes from here on are kept.
    pub minutes_from: Timestamp,
    /// Quarters from here on are kept.
    pub quarters_from: Timestamp,
    /// Days from here on are kept.
    pub days_from: Timestamp,
    /// Quarters before this are complete.
    pub quarters_until: Timestamp,
    /// Days before this are complete.
    pub days_until: Timestamp,
}

impl Whole {
    /// From when on the records are all there that were counted since a moment, when retention has taken
    /// those with ids from before `swept`. (The beginning of time: none.)
    pub fn records_from(counted_since: Timestamp, swept: Timestamp) -> Timestamp {
        match swept {
            Timestamp::EPOCH => counted_since,
            swept => counted_since.max(Unit::Minute.ceil(swept.plus(LONGEST_ATTEMPT))),
        }
    }

    /// Where the comparison of a unit begins.
    pub fn from(&self, unit: Unit) -> Timestamp {
        let kept = match unit {
            Unit::Minute => self.minutes_from,
            Unit::Quarter => self.quarters_from,
            Unit::Day => self.days_from,
        };
        unit.ceil(self.records_from.max(kept))
    }

    /// Where it ends, for what is counted in all minutes before `counted`.
    pub fn until(&self, unit: Unit, counted: Timestamp) -> Timestamp {
        match unit {
            Unit::Minute => counted,
            Unit::Quarter => self.quarters_until.min(counted),
            Unit::Day => self.days_until.min(counted),
        }
    }

    /// Whether a unit that begins at a moment can be compared.
    pub fn holds(&self, unit: Unit, at: Timestamp, counted: Timestamp) -> bool {
        at >= self.from(unit) && at.plus(unit.duration()) <= self.until(unit, counted)
    }

    /// The pieces in which records and counts from `oldest` to `newest` are looked at, one after the other:
    /// so that what is in memory at a time stays small. They begin and end with hours.
    pub fn windows(
        &self,
        (oldest, newest): (Timestamp, Timestamp),
        endpoints: usize,
    ) -> impl Iterator<Item = (Timestamp, Timestamp)> + use<> {
        let first = [Unit::Minute, Unit::Quarter, Unit::Day].map(|unit| self.from(unit));
        let first = first.into_iter().min().unwrap_or(self.records_from);
        let minutes_from = self.minutes_from.max(self.records_from);
        let [coarse, fine] = if endpoints > MANY { [24, 1] } else { [96, 6] }.map(|n| HOUR * n);
        let mut at = Unit::Day.floor(oldest.max(first));
        std::iter::from_fn(move || {
            let from = at;
            let by_minutes = from.plus(coarse) > minutes_from;
            at = from.plus(if by_minutes { fine } else { coarse });
            (from <= newest).then_some((from, at))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn whole() -> Whole {
        Whole {
            records_from: at("2026-11-20T10:07:00Z"),
            minutes_from: at("2026-11-25T12:00:00Z"),
            quarters_from: at("2026-11-21T00:00:00Z"),
            days_from: at("2026-11-20T00:00:00Z"),
            quarters_until: at("2026-11-27T13:45:00Z"),
            days_until: at("2026-11-27T00:00:00Z"),
        }
    }

    #[test]
    fn what_is_not_all_there_is_left_out() {
        let counted = at("2026-11-27T13:40:00Z");
        for (unit, before, first, last, behind) in [
            (Unit::Minute, "25T11:59", "25T12:00", "27T13:39", "27T13:40"),
            (Unit::Quarter, "20T23:45", "21T00:00", "27T13:15", "27T13:30"),
            (Unit::Day, "20T00:00", "21T00:00", "26T00:00", "27T00:00"),
        ] {
            let holds =
                |short: &str| whole().holds(unit, at(&format!("2026-11-{short}:00Z")), counted);
            let found = [before, first, last, behind].map(holds);
            assert_eq!(found, [false, true, true, false], "{unit:?}");
        }
    }

    #[test]
    fn retention_takes_what_was_under_way_too() {
        let (since, swept) = (at("2026-11-20T10:07:00Z"), at("2026-11-22T08:00:30Z"));
        assert_eq!(Whole::records_from(since, Timestamp::EPOCH), since);
        assert_eq!(Whole::records_from(since, swept), at("2026-11-22T08:16:00Z"));
        assert_eq!(Whole::records_from(swept, since), swept);
    }

    #[test]
    fn windows_follow_one_another_and_are_small_where_there_is_much() {
        let span = (at("2026-11-01T00:00:00Z"), at("2026-11-27T13:40:00Z"));
        for (endpoints, count) in [(5, 1 + 11), (5_000, 4 + 62)] {
            let windows: Vec<_> = whole().windows(span, endpoints).collect();
            assert_eq!(windows[0].0, at("2026-11-21T00:00:00Z"));
            assert!(windows.windows(2).all(|two| two[0].1 == two[1].0), "{windows:?}");
            let last = windows[windows.len() - 1];
            assert!(last.0 <= span.1 && span.1 < last.1, "{windows:?}");
            assert_eq!(windows.len(), count, "{windows:?}");
        }
        let later = (at("2026-11-28T00:00:00Z"), at("2026-11-27T13:40:00Z"));
        assert_eq!(whole().windows(later, 5).count(), 0);
    }
}
