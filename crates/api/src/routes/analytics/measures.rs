//! What can be measured, and how it is told from a rollup.

use std::{str::FromStr, time::Duration};

use domain::analytics::{Counts, Rollup, Sketch, Unaccepted};
use serde_json::{Value, json};

/// A number about a part of the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    Messages,
    Bytes,
    Attempts,
    Successes,
    Failures,
    Retries,
    SuccessRate,
    Response(u8),
    Delivery(u8),
    Duplicates,
    Rejected,
}

/// By their names.
const NAMES: [(&str, Measure); 15] = [
    ("messages", Measure::Messages),
    ("bytes", Measure::Bytes),
    ("attempts", Measure::Attempts),
    ("successes", Measure::Successes),
    ("failures", Measure::Failures),
    ("retries", Measure::Retries),
    ("successRate", Measure::SuccessRate),
    ("responseP50", Measure::Response(50)),
    ("responseP95", Measure::Response(95)),
    ("responseP99", Measure::Response(99)),
    ("deliveryP50", Measure::Delivery(50)),
    ("deliveryP95", Measure::Delivery(95)),
    ("deliveryP99", Measure::Delivery(99)),
    ("duplicates", Measure::Duplicates),
    ("rejected", Measure::Rejected),
];

impl FromStr for Measure {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = NAMES.iter().find(|(name, _)| *name == text);
        known.map(|(_, measure)| *measure).ok_or_else(|| {
            let names = NAMES.map(|(name, _)| name).join(", ");
            format!("`{text:.64}` is not a measure: there are {names}")
        })
    }
}

impl Measure {
    pub(super) fn name(self) -> &'static str {
        NAMES.iter().find(|(_, measure)| *measure == self).map_or("", |(name, _)| name)
    }

    /// Whether plain counts are enough to tell it.
    pub(super) fn is_plain(self) -> bool {
        !matches!(self, Self::Response(_) | Self::Delivery(_) | Self::Duplicates | Self::Rejected)
    }

    /// From plain counts; `None` if they do not tell it, or if there is nothing to tell it of.
    pub(super) fn of_counts(self, counts: &Counts) -> Option<f64> {
        let count = |count: u64| Some(count as f64);
        match self {
            Self::Messages => count(counts.messages),
            Self::Bytes => count(counts.bytes),
            Self::Attempts => count(counts.attempts),
            Self::Successes => count(counts.successes),
            Self::Failures => count(counts.attempts - counts.successes),
            Self::Retries => count(counts.retries),
            Self::SuccessRate if counts.attempts == 0 => None,
            Self::SuccessRate => Some(counts.successes as f64 / counts.attempts as f64),
            Self::Response(_) | Self::Delivery(_) | Self::Duplicates | Self::Rejected => None,
        }
    }

    /// From a rollup: counts, shares of 1, or milliseconds.
    pub(super) fn of(self, rollup: &Rollup) -> Option<f64> {
        let duplicates = rollup.unaccepted[Unaccepted::Duplicate as usize];
        match self {
            Self::Response(percent) => millis(&rollup.response, percent),
            Self::Delivery(percent) => millis(&rollup.delivery, percent),
            Self::Duplicates => Some(duplicates as f64),
            Self::Rejected => Some((rollup.unaccepted.iter().sum::<u64>() - duplicates) as f64),
            plain => plain.of_counts(&rollup.counts()),
        }
    }

    /// As JSON: whole numbers of what is counted.
    pub(super) fn json(self, value: Option<f64>) -> Value {
        match (self, value) {
            (_, None) => Value::Null,
            (Self::SuccessRate | Self::Response(_) | Self::Delivery(_), Some(value)) => {
                json!(value)
            }
            (_, Some(count)) => json!(count as u64),
        }
    }
}

fn millis(sketch: &Sketch, percent: u8) -> Option<f64> {
    let quantile = sketch.quantile(f64::from(percent) / 100.0);
    quantile.map(|took: Duration| took.as_secs_f64() * 1_000.0)
}
