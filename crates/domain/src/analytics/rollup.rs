//! What is kept of many attempts and messages together.

use std::time::Duration;

use super::Sketch;
use crate::{
    attempt::{Attempt, OutcomeClass},
    clock::Timestamp,
    delivery::Trigger,
};

/// Number of [`OutcomeClass`]es.
pub const CLASSES: usize = 10;
/// Number of [`Unaccepted`]s.
pub const UNACCEPTED: usize = 5;

/// What a source got and did not make a new event of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Unaccepted {
    /// An event that it has already.
    Duplicate = 0,
    /// Not genuine.
    Signature = 1,
    /// Too large, or not of a kind that it takes.
    Malformed = 2,
    /// Over its rate.
    Rate = 3,
    /// The store did not take it.
    Unavailable = 4,
}

impl Unaccepted {
    /// All of them, by their number.
    pub const ALL: [Self; UNACCEPTED] =
        [Self::Duplicate, Self::Signature, Self::Malformed, Self::Rate, Self::Unavailable];

    /// For the API and for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Signature => "signature",
            Self::Malformed => "malformed",
            Self::Rate => "rate",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Counts of a time and a part of the traffic. Those of parts add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollup {
    /// Messages accepted.
    pub messages: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Attempts by the class of their outcome. Superseded ones are in none.
    pub attempts: [u64; CLASSES],
    /// Attempts that were not their delivery's first.
    pub retries: u64,
    /// What sources got and made no event of.
    pub unaccepted: [u64; UNACCEPTED],
    /// How long receivers took that answered.
    pub response: Sketch,
    /// From when a message was accepted (or wanted to be sent) until it arrived by schedule.
    pub delivery: Sketch,
}

impl Rollup {
    /// Counts a message.
    pub fn add_message(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
    }

    /// Counts an attempt.
    pub fn add(&mut self, attempt: &CountedAttempt) {
        self.attempts[attempt.class as usize] += 1;
        self.retries += u64::from(attempt.retry);
        if matches!(attempt.class, OutcomeClass::Success | OutcomeClass::Status) {
            self.response.add(attempt.response);
        }
        if let Some(delivery) = attempt.delivery {
            self.delivery.add(delivery);
        }
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.retries += other.retries;
        let more = self.attempts.iter_mut().zip(other.attempts);
        more.for_each(|(count, more)| *count += more);
        let more = self.unaccepted.iter_mut().zip(other.unaccepted);
        more.for_each(|(count, more)| *count += more);
        self.response.merge(&other.response);
        self.delivery.merge(&other.delivery);
    }

    /// One that has these counts and knows no more of them.
    pub fn of_counts(counts: &Counts) -> Self {
        let Counts { messages, bytes, attempts, successes, retries } = *counts;
        let mut rollup = Self { messages, bytes, retries, ..Self::default() };
        rollup.attempts[OutcomeClass::Success as usize] = successes;
        rollup.attempts[OutcomeClass::Status as usize] = attempts - successes;
        rollup
    }

    /// What can be added up without looking into it.
    pub fn counts(&self) -> Counts {
        Counts {
            messages: self.messages,
            bytes: self.bytes,
            attempts: self.attempts.iter().sum(),
            successes: self.attempts[OutcomeClass::Success as usize],
            retries: self.retries,
        }
    }

    /// Nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.counts() == Counts::default() && self.unaccepted == [0; UNACCEPTED]
    }
}

/// The plain counts of a [`Rollup`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages accepted.
    pub messages: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Attempts of all classes.
    pub attempts: u64,
    /// Those that arrived.
    pub successes: u64,
    /// Those that were not their delivery's first.
    pub retries: u64,
}

impl Counts {
    /// Adds others.
    pub fn merge(&mut self, other: &Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.attempts += other.attempts;
        self.successes += other.successes;
        self.retries += other.retries;
    }
}

/// What an attempt counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedAttempt {
    /// When it ended: the time that it belongs to.
    pub ended_at: Timestamp,
    /// How.
    pub class: OutcomeClass,
    /// Whether it was not its delivery's first.
    pub retry: bool,
    /// How long it took.
    pub response: Duration,
    /// How long its message took from `wanted_at` until now, if it arrived by schedule.
    pub delivery: Option<Duration>,
}

impl CountedAttempt {
    /// An attempt of a message that was to be sent from `wanted_at` on.
    pub fn new(attempt: &Attempt, wanted_at: Timestamp) -> Self {
        let ended_at = attempt.started_at.plus(attempt.outcome.duration);
        let class = attempt.outcome.class;
        // By hand or again: that says nothing of how fast it was.
        let by_schedule = attempt.trigger == Trigger::Automatic && class == OutcomeClass::Success;
        Self {
            ended_at,
            class,
            retry: attempt.number > 1,
            response: attempt.outcome.duration,
            delivery: by_schedule.then(|| ended_at.since(wanted_at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(class: OutcomeClass, retry: bool, delivery: Option<Duration>) -> CountedAttempt {
        let response = Duration::from_millis(20);
        CountedAttempt { ended_at: Timestamp::EPOCH, class, retry, response, delivery }
    }

    #[test]
    fn attempts_are_counted_by_what_they_came_to() {
        let mut rollup = Rollup::default();
        rollup.add(&attempt(OutcomeClass::Timeout, false, None));
        rollup.add(&attempt(OutcomeClass::Status, true, None));
        rollup.add(&attempt(OutcomeClass::Success, true, Some(Duration::from_secs(9))));
        rollup.add_message(7);
        let want = Counts { messages: 1, bytes: 7, attempts: 3, successes: 1, retries: 2 };
        assert_eq!(rollup.counts(), want);
        // One that did not answer took no time to answer.
        assert_eq!((rollup.response.count(), rollup.delivery.count()), (2, 1));
        let mut twice = rollup.clone();
        twice.merge(&rollup);
        assert_eq!(twice.counts().attempts, 6);
        assert_eq!(twice.response.count(), 4);
        assert!(!twice.is_empty() && Rollup::default().is_empty());
    }
}
