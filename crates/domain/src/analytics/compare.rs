//! Whether what was counted is what a recount gives.

use std::{collections::BTreeMap, fmt::Write};

use super::{CLASSES, Compared, CountedAttempt, Rollup, Unit, Whole, compared::unit_name};
use crate::{
    attempt::OutcomeClass,
    clock::Timestamp,
    id::{ApplicationId, EndpointId},
    name::EventTypeName,
};

/// Something that is on record, and was counted.
#[derive(Clone, Copy, Debug)]
pub enum Counted {
    /// A message of so many bytes. `None`: its body is gone.
    Message(Option<usize>),
    /// An attempt that is not superseded.
    Attempt(CountedAttempt),
}

impl Counted {
    /// Adds it to the others.
    pub fn add_to(&self, rollup: &mut Rollup) {
        match self {
            Self::Message(bytes) => rollup.add_message(bytes.unwrap_or(0)),
            Self::Attempt(attempt) => rollup.add(attempt),
        }
    }
}

/// Of an endpoint (`None`: of messages) and event type (`None`: not known).
pub type Place = (Option<EndpointId>, Option<EventTypeName>);

/// What of a rollup is compared: what can be counted again exactly.
#[derive(Clone, Default, PartialEq, Eq)]
struct Tally {
    messages: u64,
    bytes: u64,
    attempts: [u64; CLASSES],
    retries: u64,
}

impl Tally {
    fn add(&mut self, counted: &Counted) {
        match counted {
            Counted::Message(bytes) => {
                self.messages += 1;
                self.bytes += bytes.unwrap_or(0) as u64;
            }
            Counted::Attempt(attempt) => {
                self.attempts[attempt.class as usize] += 1;
                self.retries += u64::from(attempt.retry);
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.retries += other.retries;
        let more = self.attempts.iter_mut().zip(other.attempts);
        more.for_each(|(count, more)| *count += more);
    }

    fn of(rollup: &Rollup) -> Self {
        let Rollup { messages, bytes, attempts, retries, .. } = *rollup;
        Self { messages, bytes, attempts, retries }
    }

    /// Its figures by name.
    fn figures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let class = |code| OutcomeClass::from_code(code).map_or("?", OutcomeClass::as_str);
        let attempts = (0..).zip(self.attempts).map(move |(code, count)| (class(code), count));
        let others =
            [("messages", self.messages), ("bytes", self.bytes), ("retries", self.retries)];
        others.into_iter().chain(attempts)
    }
}

#[derive(Clone, Default)]
struct Pair {
    counted: Tally,
    on_record: Tally,
    /// Of some messages nobody knows how long they were.
    bodies_gone: bool,
}

impl Pair {
    fn merge(&mut self, other: &Self) {
        self.counted.merge(&other.counted);
        self.on_record.merge(&other.on_record);
        self.bodies_gone |= other.bodies_gone;
    }

    /// What differs, in words. Empty: nothing.
    fn difference(&self) -> String {
        let mut text = String::new();
        for ((name, counted), (_, on_record)) in
            self.counted.figures().zip(self.on_record.figures())
        {
            let known = name != "bytes" || !self.bodies_gone;
            let differs = if known { counted != on_record } else { counted < on_record };
            if differs {
                let comma = if text.is_empty() { "" } else { ", " };
                let _ = write!(text, "{comma}{name} counted {counted}, on record {on_record}");
            }
        }
        text
    }
}

/// Compares the counts of one application with its records, both of which come a window at a time.
pub struct Comparison<'a> {
    whole: Whole,
    app: ApplicationId,
    pairs: BTreeMap<(Unit, Timestamp, Place), Pair>,
    compared: &'a mut Compared,
}

impl<'a> Comparison<'a> {
    /// What it comes to is added to `compared`.
    pub fn new(whole: Whole, app: ApplicationId, compared: &'a mut Compared) -> Self {
        Self { whole, app, pairs: BTreeMap::new(), compared }
    }

    /// Something that happened at a moment, of an endpoint that is counted in all minutes before `counted`.
    pub fn record(&mut self, at: Timestamp, place: &Place, record: &Counted, counted: Timestamp) {
        let mut looked_at = false;
        for unit in [Unit::Minute, Unit::Quarter, Unit::Day] {
            let at = unit.floor(at);
            if self.whole.holds(unit, at, counted) {
                looked_at = true;
                let pair = self.pairs.entry((unit, at, place.clone())).or_default();
                pair.on_record.add(record);
                pair.bodies_gone |= matches!(record, Counted::Message(None));
            }
        }
        match record {
            Counted::Message(_) => self.compared.messages += u64::from(looked_at),
            Counted::Attempt(_) => self.compared.attempts += u64::from(looked_at),
        }
    }

    /// What was counted in a unit of time.
    pub fn counted(
        &mut self,
        (unit, at): (Unit, Timestamp),
        place: Place,
        rollup: &Rollup,
        counted: Timestamp,
    ) {
        if self.whole.holds(unit, at, counted) {
            let pair = self.pairs.entry((unit, at, place)).or_default();
            pair.counted.merge(&Tally::of(rollup));
        }
    }

    /// All of before `until` has been told.
    pub fn told_until(&mut self, until: Timestamp) {
        let (over, rest) = std::mem::take(&mut self.pairs)
            .into_iter()
            .partition(|((unit, at, _), _)| at.plus(unit.duration()) <= until);
        self.pairs = rest;
        let mut over: std::iter::Peekable<_> = BTreeMap::into_iter(over).peekable();
        while let Some(((unit, at, (endpoint, event_type)), pair)) = over.next() {
            let mut group = vec![(event_type, pair)];
            while let Some(((.., (_, event_type)), pair)) =
                over.next_if(|((u, a, (e, _)), _)| (*u, *a, *e) == (unit, at, endpoint))
            {
                group.push((event_type, pair));
            }
            self.group(unit, at, endpoint, group);
        }
    }

    /// Compares what there is of an endpoint and a time.
    fn group(
        &mut self,
        unit: Unit,
        at: Timestamp,
        endpoint: Option<EndpointId>,
        mut group: Vec<(Option<EventTypeName>, Pair)>,
    ) {
        let nameless = |(event_type, pair): &(Option<_>, Pair)| {
            event_type.is_none() && pair.on_record != Tally::default()
        };
        // The message is gone that would tell the type: all of them are compared together.
        if group.iter().any(nameless) {
            let mut all = Pair::default();
            group.iter().for_each(|(_, pair)| all.merge(pair));
            group = vec![(None, all)];
        }
        for (event_type, pair) in group {
            self.compared.counts += 1;
            let difference = pair.difference();
            if difference.is_empty() {
                continue;
            }
            self.compared.differing += 1;
            let app = self.app;
            let endpoint = endpoint.map_or("messages".to_owned(), |endpoint| endpoint.to_string());
            let event_type = event_type.as_ref().map_or("all types", EventTypeName::as_str);
            let unit = unit_name(unit);
            self.compared
                .name(format!("{app}, {endpoint}, {event_type}, {unit} of {at}: {difference}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MINUTE: i64 = 1_000_000_000 / 900 * 900;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(MINUTE + secs)
    }

    fn whole() -> Whole {
        let (records_from, minutes_from) = (at(0), at(0));
        Whole {
            records_from,
            minutes_from,
            quarters_from: at(0),
            days_from: at(0),
            quarters_until: at(900),
            days_until: at(0),
        }
    }

    fn attempt(class: OutcomeClass, retry: bool) -> Counted {
        let (ended_at, response) = (at(0), Duration::ZERO);
        Counted::Attempt(CountedAttempt { ended_at, class, retry, response, delivery: None })
    }

    fn place(endpoint: u8, event_type: &str) -> Place {
        let endpoint = (endpoint > 0).then(|| EndpointId::from_raw([endpoint; 20]));
        (endpoint, (!event_type.is_empty()).then(|| event_type.parse().expect("an event type")))
    }

    /// What is on record and what was counted, each of a minute, endpoint and type.
    fn compare(
        on_record: &[(i64, u8, &str, Counted)],
        counted: &[(i64, u8, &str, Counted)],
    ) -> Compared {
        let mut compared = Compared::default();
        let app = ApplicationId::from_raw([9; 20]);
        let mut comparison = Comparison::new(whole(), app, &mut compared);
        for (secs, endpoint, event_type, record) in on_record {
            comparison.record(at(*secs), &place(*endpoint, event_type), record, Timestamp::MAX);
        }
        for (secs, endpoint, event_type, record) in counted {
            let mut rollup = Rollup::default();
            record.add_to(&mut rollup);
            for unit in [Unit::Minute, Unit::Quarter] {
                let (at, of) = (unit.floor(at(*secs)), place(*endpoint, event_type));
                comparison.counted((unit, at), of, &rollup, Timestamp::MAX);
            }
        }
        comparison.told_until(at(60));
        comparison.told_until(Timestamp::MAX);
        compared
    }

    #[test]
    fn counts_are_those_of_a_recount_or_named() {
        let (ok, failed) =
            (attempt(OutcomeClass::Success, false), attempt(OutcomeClass::Status, false));
        let retried = attempt(OutcomeClass::Success, true);
        let message = Counted::Message(Some(7));
        for (what, on_record, counted, differing) in [
            ("nothing", vec![], vec![], 0),
            (
                "the same",
                vec![(1, 1, "a", ok), (2, 0, "a", message)],
                vec![(0, 0, "a", message), (0, 1, "a", ok)],
                0,
            ),
            ("not counted", vec![(1, 1, "a", ok), (2, 1, "a", ok)], vec![(1, 1, "a", ok)], 2),
            ("counted twice", vec![(1, 1, "a", ok)], vec![(1, 1, "a", ok), (1, 1, "a", ok)], 2),
            ("never there", vec![], vec![(1, 1, "a", ok)], 2),
            ("another class", vec![(1, 1, "a", ok)], vec![(1, 1, "a", failed)], 2),
            ("a retry", vec![(1, 1, "a", ok)], vec![(1, 1, "a", retried)], 2),
            ("another minute", vec![(1, 1, "a", ok)], vec![(61, 1, "a", ok)], 2),
            ("another endpoint", vec![(1, 1, "a", ok)], vec![(1, 2, "a", ok)], 4),
            ("another type", vec![(1, 1, "a", ok)], vec![(1, 1, "b", ok)], 4),
            (
                "a longer one",
                vec![(1, 0, "a", message)],
                vec![(1, 0, "a", Counted::Message(Some(8)))],
                2,
            ),
            (
                "a body gone",
                vec![(1, 0, "a", Counted::Message(None))],
                vec![(1, 0, "a", message)],
                0,
            ),
            (
                "a message gone",
                vec![(1, 1, "", ok), (2, 1, "a", failed)],
                vec![(1, 1, "b", ok), (2, 1, "a", failed)],
                0,
            ),
            (
                "and an attempt not counted",
                vec![(1, 1, "", ok), (2, 1, "a", ok)],
                vec![(1, 1, "a", ok)],
                2,
            ),
            // That quarter is not complete.
            ("later", vec![(901, 1, "a", ok)], vec![(901, 1, "a", failed)], 1),
            ("before it began", vec![(-1, 1, "a", ok)], vec![], 0),
        ] {
            let compared = compare(&on_record, &counted);
            assert_eq!(compared.differing, differing, "{what}: {:?}", compared.named);
            assert_eq!(compared.problems().count() > 0, differing > 0, "{what}");
        }
    }

    #[test]
    fn differences_are_named_and_few() {
        let ok = attempt(OutcomeClass::Success, true);
        let compared = compare(&[(1, 1, "a", ok)], &[]);
        let (app, endpoint) = (ApplicationId::from_raw([9; 20]), EndpointId::from_raw([1; 20]));
        let minute = format!(
            "{app}, {endpoint}, a, minute of {}: retries counted 0, on record 1, success counted 0, on \
             record 1",
            at(0)
        );
        let problems: Vec<String> = compared.problems().collect();
        assert_eq!((&problems[0], problems.len()), (&minute, 3));
        assert_eq!(problems[2], "2 counts differ from a recount of messages and attempts");
        assert_eq!(compared.fact(), "2 counts by time compared with 0 messages and 1 attempts");
        let many: Vec<_> = (0..200).map(|secs| (60 * secs, 1, "a", ok)).collect();
        assert_eq!(compare(&many, &[]).problems().count(), 21);
    }

    #[test]
    fn what_is_not_counted_yet_is_not_compared() {
        let mut compared = Compared::default();
        let app = ApplicationId::from_raw([9; 20]);
        let mut comparison = Comparison::new(whole(), app, &mut compared);
        let ok = attempt(OutcomeClass::Success, false);
        for secs in [1, 61] {
            comparison.record(at(secs), &place(1, "a"), &ok, at(60));
        }
        comparison.told_until(Timestamp::MAX);
        assert_eq!((compared.differing, compared.attempts), (1, 1), "{:?}", compared.named);
    }
}
