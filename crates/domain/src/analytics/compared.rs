//! What a comparison of counts with a recount came to.

use super::Unit;
use crate::clock::Timestamp;

/// Most differences that are named one by one.
const MOST_NAMED: usize = 20;

/// What a comparison came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Counts of a time, endpoint and event type that were looked at.
    pub counts: u64,
    /// Messages that they were compared with.
    pub messages: u64,
    /// Attempts likewise.
    pub attempts: u64,
    /// Counts that differ.
    pub differing: u64,
    /// A line each, of the first ones.
    pub named: Vec<String>,
    /// Sums of applications or event types that are not those of their parts.
    pub wrong_sums: u64,
}

impl Compared {
    /// A sum that is not that of its parts.
    pub fn wrong_sum(&mut self, unit: Unit, at: Timestamp, of: &str) {
        self.wrong_sums += 1;
        self.name(format!(
            "the sum of {of}, {} of {at}, is not that of its parts",
            unit_name(unit)
        ));
    }

    /// A difference, in words.
    pub(super) fn name(&mut self, line: String) {
        if self.named.len() < MOST_NAMED {
            self.named.push(line);
        }
    }

    /// What was looked at, in words.
    pub fn fact(&self) -> String {
        let Self { counts, messages, attempts, .. } = self;
        format!("{counts} counts by time compared with {messages} messages and {attempts} attempts")
    }

    /// What is wrong, a line each.
    pub fn problems(&self) -> impl Iterator<Item = String> {
        let totals = [
            (self.differing, "counts differ from a recount of messages and attempts"),
            (self.wrong_sums, "sums of counts differ from their parts"),
        ];
        let totals = totals.into_iter().filter(|(count, _)| *count > 0);
        self.named.iter().cloned().chain(totals.map(|(count, what)| format!("{count} {what}")))
    }
}

pub(super) const fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Minute => "minute",
        Unit::Quarter => "quarter",
        Unit::Day => "day",
    }
}
