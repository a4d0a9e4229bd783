//! What rules look at, and how bad a value is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{duration::HumanDuration, id::ApplicationId};

/// How far a value must be on the good side of its threshold before it counts as good again, as a share of
/// the threshold; of a success rate, as a share of what the threshold leaves to 100 %.
pub const MARGIN: f64 = 0.1;
/// The longest window.
pub const MAX_WINDOW: Duration = Duration::from_secs(86_400);
/// The longest time that something may fail, be silent, or wait.
const MAX_AGE: Duration = Duration::from_secs(30 * 86_400);
/// A window has whole minutes: that is how finely things are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// What a value is of: each has a state of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// All of an organization together.
    Organization,
    /// Each application.
    Application,
    /// Each endpoint.
    Endpoint,
}

/// Which latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Latency {
    /// From when a message was accepted until it arrived.
    Delivery,
    /// How long receivers took to answer.
    Response,
}

/// Which percentile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Percentile {
    /// 95 of 100 took no longer.
    P95,
    /// 99 of 100.
    P99,
}

impl TryFrom<u8> for Percentile {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        match number {
            95 => Ok(Self::P95),
            99 => Ok(Self::P99),
            _ => Err("must be 95 or 99"),
        }
    }
}

impl From<Percentile> for u8 {
    fn from(percentile: Percentile) -> Self {
        match percentile {
            Percentile::P95 => 95,
            Percentile::P99 => 99,
        }
    }
}

/// How much of what a source gets may be refused.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejections {
    /// Percent of all requests, where there are at least `min_requests` of them.
    Share {
        /// Of 100.
        percent: f64,
        /// Fewer say nothing.
        min_requests: u64,
    },
    /// So many.
    Count(u64),
}

/// A stretch of traffic that a value is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Of {
    /// Until now: from a minute to [`MAX_WINDOW`].
    pub window: Duration,
    /// Fewer attempts say nothing.
    pub min_attempts: u64,
    /// Of what.
    pub per: Per,
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Condition {
    /// An endpoint has only failed, for so long.
    EndpointFailing {
        /// How long.
        time: Duration,
    },
    /// An endpoint was disabled because it failed.
    EndpointDisabled,
    /// Work of the organization is overdue for so long.
    BacklogAge {
        /// How long.
        over: Duration,
    },
    /// Too few attempts succeed.
    SuccessRateBelow {
        /// Of 100.
        percent: f64,
        /// Of which.
        of: Of,
    },
    /// It takes too long.
    LatencyAbove {
        /// Which latency.
        latency: Latency,
        /// Which percentile of it.
        percentile: Percentile,
        /// Above this it is too long.
        millis: u64,
        /// Of which.
        of: Of,
    },
    /// A source refuses too much.
    SourceRejecting {
        /// How much is too much.
        over: Rejections,
        /// From a minute to [`MAX_WINDOW`].
        window: Duration,
    },
    /// An application (or source) got no message for so long.
    NothingReceived {
        /// Which.
        app: ApplicationId,
        /// How long.
        window: Duration,
    },
}

/// How good or bad a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Past the threshold.
    Bad,
    /// Not bad, but within the margin: neither a reason to fire nor to clear.
    Near,
    /// On the good side by more than the margin.
    Good,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A duration, in seconds.
    Seconds,
    /// A duration, in milliseconds.
    Millis,
    /// Percent.
    Percent,
    /// A number.
    Count,
    /// Whether it is so: 1 or 0.
    Flag,
}

impl Unit {
    /// A value as people read it.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Seconds => HumanDuration(Duration::from_secs(value.max(0.0) as u64)).to_string(),
            Self::Millis => format!("{value:.0} ms"),
            // Rounded down: 89.999 % must not read as the 90 % that it is below of.
            Self::Percent => format!("{} %", (value * 100.0).floor() / 100.0),
            Self::Count => format!("{value:.0}"),
            Self::Flag => if value > 0.0 { "yes" } else { "no" }.to_owned(),
        }
    }
}

impl Condition {
    /// Its type, as the API calls it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::EndpointFailing { .. } => "endpoint_failing",
            Self::EndpointDisabled => "endpoint_disabled",
            Self::BacklogAge { .. } => "backlog_age",
            Self::SuccessRateBelow { .. } => "success_rate_below",
            Self::LatencyAbove { .. } => "latency_above",
            Self::SourceRejecting { .. } => "source_rejecting",
            Self::NothingReceived { .. } => "nothing_received",
        }
    }

    /// What its values are compared with, and how they are written.
    pub fn threshold(&self) -> (f64, Unit) {
        match *self {
            Self::EndpointFailing { time: age }
            | Self::BacklogAge { over: age }
            | Self::NothingReceived { window: age, .. } => (age.as_secs_f64(), Unit::Seconds),
            Self::EndpointDisabled => (1.0, Unit::Flag),
            Self::SuccessRateBelow { percent, .. }
            | Self::SourceRejecting { over: Rejections::Share { percent, .. }, .. } => {
                (percent, Unit::Percent)
            }
            Self::LatencyAbove { millis, .. } => (millis as f64, Unit::Millis),
            Self::SourceRejecting { over: Rejections::Count(count), .. } => {
                (count as f64, Unit::Count)
            }
        }
    }

    /// Over how much time it looks back, where that is a window of counts.
    pub const fn window(&self) -> Option<Duration> {
        match self {
            Self::SuccessRateBelow { of, .. } | Self::LatencyAbove { of, .. } => Some(of.window),
            Self::SourceRejecting { window, .. } => Some(*window),
            _ => None,
        }
    }

    /// How bad a value is.
    pub fn level(&self, value: f64) -> Level {
        let (threshold, _) = self.threshold();
        if let Self::SuccessRateBelow { .. } = self {
            let good = threshold + (100.0 - threshold) * MARGIN;
            return match value {
                value if value < threshold => Level::Bad,
                value if value >= good => Level::Good,
                _ => Level::Near,
            };
        }
        // Times are reached, limits are passed.
        let bad = match self {
            Self::LatencyAbove { .. } | Self::SourceRejecting { .. } => value > threshold,
            _ => value >= threshold,
        };
        match value {
            _ if bad => Level::Bad,
            value if value <= threshold * (1.0 - MARGIN) => Level::Good,
            _ => Level::Near,
        }
    }

    /// What is wrong with it: the field, as the API calls it, and what would be right.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let mut must = |holds: bool, field, what: &str| {
            if !holds {
                faults.push((field, what.to_owned()));
            }
        };
        let age = |time: Duration| (Duration::from_secs(1)..=MAX_AGE).contains(&time);
        let window = |window: Duration| {
            (MINUTE..=MAX_WINDOW).contains(&window) && window.as_secs().is_multiple_of(60)
        };
        const AGE: &str = "must be 1 to 2592000 (30 days)";
        const WINDOW: &str = "must be whole minutes: 60 to 86400 (a day)";
        const COUNT: &str = "must be at least 1";
        match *self {
            Self::EndpointFailing { time } => must(age(time), "forSecs", AGE),
            Self::EndpointDisabled => {}
            Self::BacklogAge { over } => must(age(over), "overSecs", AGE),
            Self::NothingReceived { window, .. } => must(age(window), "windowSecs", AGE),
            Self::SuccessRateBelow { percent, of } => {
                must(percent > 0.0 && percent <= 100.0, "percent", "must be above 0, at most 100");
                must(window(of.window), "windowSecs", WINDOW);
                must(of.min_attempts > 0, "minAttempts", COUNT);
            }
            Self::LatencyAbove { millis, of, .. } => {
                must((1..=86_400_000).contains(&millis), "millis", "must be 1 to 86400000 (a day)");
                must(window(of.window), "windowSecs", WINDOW);
                must(of.min_attempts > 0, "minAttempts", COUNT);
            }
            Self::SourceRejecting { over, window: of } => {
                must(window(of), "windowSecs", WINDOW);
                if let Rejections::Share { percent, min_requests } = over {
                    must((0.0..100.0).contains(&percent), "share", "must be at least 0, below 100");
                    must(min_requests > 0, "minRequests", COUNT);
                }
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(minutes: u64) -> Of {
        let window = Duration::from_secs(minutes * 60);
        Of { window, min_attempts: 10, per: Per::Application }
    }

    #[test]
    fn a_margin_lies_between_bad_and_good() {
        use Level::{Bad, Good, Near};
        let rate = Condition::SuccessRateBelow { percent: 90.0, of: of(5) };
        let slow = Condition::LatencyAbove {
            latency: Latency::Response,
            percentile: Percentile::P95,
            millis: 1_000,
            of: of(5),
        };
        let age = Condition::BacklogAge { over: Duration::from_secs(600) };
        let refused =
            Condition::SourceRejecting { over: Rejections::Count(0), window: of(5).window };
        for (condition, value, want) in [
            (rate, 89.99, Bad),
            (rate, 90.0, Near),
            (rate, 90.99, Near),
            (rate, 91.0, Good),
            (slow, 1_001.0, Bad),
            (slow, 1_000.0, Near),
            (slow, 901.0, Near),
            (slow, 900.0, Good),
            (age, 600.0, Bad),
            (age, 599.0, Near),
            (age, 540.0, Good),
            (refused, 1.0, Bad),
            (refused, 0.0, Good),
            (Condition::EndpointDisabled, 1.0, Bad),
            (Condition::EndpointDisabled, 0.0, Good),
        ] {
            assert_eq!(condition.level(value), want, "{condition:?} {value}");
        }
        // All that succeeds is good, whatever is asked for.
        let all = Condition::SuccessRateBelow { percent: 100.0, of: of(5) };
        assert_eq!((all.level(100.0), all.level(99.99)), (Good, Bad));
    }

    #[test]
    fn bounds_are_kept() {
        let rate = |percent, minutes| Condition::SuccessRateBelow { percent, of: of(minutes) };
        assert_eq!(rate(90.0, 5).faults(), []);
        let fields = |condition: Condition| {
            condition.faults().into_iter().map(|(field, _)| field).collect::<Vec<_>>()
        };
        assert_eq!(fields(rate(0.0, 0)), ["percent", "windowSecs"]);
        assert_eq!(fields(rate(f64::NAN, 1_441)), ["percent", "windowSecs"]);
        assert_eq!(fields(Condition::EndpointFailing { time: Duration::ZERO }), ["forSecs"]);
        let over = Rejections::Share { percent: 100.0, min_requests: 0 };
        let refused = Condition::SourceRejecting { over, window: of(1).window };
        assert_eq!(fields(refused), ["share", "minRequests"]);
    }

    #[test]
    fn values_read_well() {
        for (unit, value, want) in [
            (Unit::Seconds, 3_660.0, "1h1m"),
            (Unit::Millis, 1_234.5, "1234 ms"),
            (Unit::Percent, 89.999, "89.99 %"),
            (Unit::Percent, 90.0, "90 %"),
            (Unit::Count, 12.0, "12"),
        ] {
            assert_eq!(unit.show(value), want);
        }
    }
}
