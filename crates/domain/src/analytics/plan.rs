//! Which rollups tell of a stretch of time.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::Unit;
use crate::clock::Timestamp;

/// How fine a series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granularity {
    /// A point for each minute.
    Minute,
    /// For each hour that a clock shows.
    Hour,
    /// For each day of a calendar.
    Day,
    /// One for all.
    Total,
}

/// Up to when there are rollups of which unit, and from when on there are minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Available {
    /// Minutes are kept from here on.
    pub minutes_from: Timestamp,
    /// Quarters are complete until here.
    pub quarters_until: Timestamp,
    /// Days are complete until here.
    pub days_until: Timestamp,
}

/// Units of time, whole ones: from when, until when.
pub type Piece = (Unit, Timestamp, Timestamp);

/// The pieces that a series is made of, in the order of time: as few rollups as there are that tell it. A
/// stretch that begins or ends within a unit is rounded outwards, to minutes where there are such.
/// `utc_days`: the calendar's days are those of UTC, so that rollups of days can be used.
pub fn pieces(
    granularity: Granularity,
    utc_days: bool,
    (since, until): (Timestamp, Timestamp),
    available: Available,
) -> Vec<Piece> {
    let (mut from, until) = (Unit::Minute.floor(since), Unit::Minute.ceil(until));
    let mut pieces = Vec::new();
    let mut take = |unit: Unit, from: &mut Timestamp, end: Timestamp| {
        if *from < end {
            pieces.push((unit, *from, end));
            *from = end;
        }
    };
    if granularity == Granularity::Minute {
        take(Unit::Minute, &mut from, until);
        return pieces;
    }
    if from < available.minutes_from {
        from = Unit::Quarter.floor(from);
    } else {
        let end = Unit::Quarter.ceil(from).min(until);
        take(Unit::Minute, &mut from, end);
    }
    // Where the stretch ends within a quarter that is complete, minutes tell the rest.
    let quarters_end = match Unit::Quarter.floor(until) {
        end if end >= available.minutes_from => end.min(available.quarters_until),
        _ => Unit::Quarter.ceil(until).min(available.quarters_until),
    };
    let by_days = match granularity {
        Granularity::Total => true,
        Granularity::Day => utc_days,
        Granularity::Minute | Granularity::Hour => false,
    };
    let days_end = Unit::Day.floor(until).min(available.days_until);
    if by_days && Unit::Day.ceil(from) < days_end {
        let first_day = Unit::Day.ceil(from);
        take(Unit::Quarter, &mut from, first_day);
        take(Unit::Day, &mut from, days_end);
    }
    take(Unit::Quarter, &mut from, quarters_end);
    take(Unit::Minute, &mut from, until);
    pieces
}

/// When the point of a series begins that a moment belongs to. `None` for the only one there is.
pub fn point(granularity: Granularity, zone: &TimeZone, at: Timestamp) -> Option<Timestamp> {
    let local = jiff::Timestamp::from_second(at.as_secs()).ok()?.to_zoned(zone.clone());
    match granularity {
        Granularity::Total => None,
        Granularity::Minute => Some(Unit::Minute.floor(at)),
        Granularity::Hour => {
            let past = Duration::from_secs(
                u64::from(local.minute().unsigned_abs()) * 60
                    + u64::from(local.second().unsigned_abs()),
            );
            Some(Timestamp::from_secs(at.as_secs()).minus(past))
        }
        Granularity::Day => {
            Some(Timestamp::from_secs(local.start_of_day().ok()?.timestamp().as_second()))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    const ALL: [Granularity; 4] =
        [Granularity::Minute, Granularity::Hour, Granularity::Day, Granularity::Total];

    #[test]
    fn a_stretch_is_told_by_the_largest_units_that_fit() {
        let available = Available {
            minutes_from: at("2026-11-25T13:00:00Z"),
            quarters_until: at("2026-11-27T13:45:00Z"),
            days_until: at("2026-11-27T00:00:00Z"),
        };
        let pieces = |granularity, utc, since, until| {
            let pieces = pieces(granularity, utc, (at(since), at(until)), available);
            let shown = pieces.iter().map(|(unit, from, until)| {
                let short = |at: &Timestamp| at.to_string()[8..16].to_owned();
                format!("{unit:?} {} {}", short(from), short(until))
            });
            shown.collect::<Vec<_>>()
        };
        let (since, until) = ("2026-11-20T10:07:20Z", "2026-11-27T13:50:10Z");
        let want = [
            "Quarter 20T10:00 21T00:00",
            "Day 21T00:00 27T00:00",
            "Quarter 27T00:00 27T13:45",
            "Minute 27T13:45 27T13:51",
        ];
        assert_eq!(pieces(Granularity::Total, false, since, until), want);
        assert_eq!(pieces(Granularity::Day, true, since, until), want);
        let by_quarters = ["Quarter 20T10:00 27T13:45", "Minute 27T13:45 27T13:51"];
        assert_eq!(pieces(Granularity::Day, false, since, until), by_quarters);
        assert_eq!(pieces(Granularity::Hour, true, since, until), by_quarters);
        let (since, until) = ("2026-11-27T10:07:20Z", "2026-11-27T11:07:20Z");
        assert_eq!(pieces(Granularity::Minute, true, since, until), ["Minute 27T10:07 27T11:08"]);
        let want =
            ["Minute 27T10:07 27T10:15", "Quarter 27T10:15 27T11:00", "Minute 27T11:00 27T11:08"];
        assert_eq!(pieces(Granularity::Total, true, since, until), want);
        // Long ago there are no minutes: rounded to quarters, at both ends.
        let (since, until) = ("2026-11-20T10:07:20Z", "2026-11-20T11:07:20Z");
        let want = ["Quarter 20T10:00 20T11:15"];
        assert_eq!(pieces(Granularity::Total, true, since, until), want);
    }

    proptest! {
        #[test]
        fn pieces_follow_one_another(
            since in 0_i64..10_000_000, long in 1_i64..5_000_000,
            minutes_from in 0_i64..12_000, quarters in 0_i64..12_000, days in 0_i64..120,
        ) {
            let until = Timestamp::from_secs(since + long);
            let since = Timestamp::from_secs(since);
            let quarters_until = Timestamp::from_secs(quarters * 900);
            let available = Available {
                minutes_from: Timestamp::from_secs(minutes_from * 900),
                quarters_until,
                days_until: Timestamp::from_secs(days * 86_400).min(Unit::Day.floor(quarters_until)),
            };
            for granularity in ALL {
                let pieces = pieces(granularity, true, (since, until), available);
                prop_assert!(pieces[0].1 <= since && pieces[pieces.len() - 1].2 >= until);
                prop_assert!(pieces.windows(2).all(|two| two[0].2 == two[1].1), "{:?}", pieces);
                for (unit, from, end) in pieces {
                    prop_assert!(from < end && unit.floor(from) == from && unit.floor(end) == end);
                    match unit {
                        Unit::Minute => {}
                        Unit::Quarter => prop_assert!(end <= quarters_until),
                        Unit::Day => prop_assert!(end <= available.days_until),
                    }
                }
            }
        }
    }

    #[test]
    fn points_are_those_of_the_zone() {
        let zone = TimeZone::get("Asia/Kolkata").expect("a zone");
        let moment = at("2026-11-27T13:40:00Z");
        let begins = |granularity| point(granularity, &zone, moment).map(|at| at.to_string());
        assert_eq!(begins(Granularity::Total), None);
        assert_eq!(begins(Granularity::Minute).as_deref(), Some("2026-11-27T13:40:00Z"));
        assert_eq!(begins(Granularity::Hour).as_deref(), Some("2026-11-27T13:30:00Z"));
        assert_eq!(begins(Granularity::Day).as_deref(), Some("2026-11-26T18:30:00Z"));
        // The day on which clocks go back has 25 hours.
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let end = point(Granularity::Day, &zone, at("2026-10-25T22:59:00Z"));
        assert_eq!(end, Some(at("2026-10-24T22:00:00Z")));
    }
}
