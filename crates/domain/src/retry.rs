//! When to try again.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{duration::HumanDuration, entropy::Entropy};

/// Most entries of a schedule.
pub const MAX_RETRIES: usize = 50;

/// The waits between tries: `n` entries are `n + 1` tries. Empty is one try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<HumanDuration>", into = "Vec<HumanDuration>")]
pub struct RetrySchedule(Arc<[Duration]>);

/// A schedule with too many entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a retry schedule has at most {MAX_RETRIES} entries")]
pub struct ScheduleTooLong;

impl RetrySchedule {
    /// From the waits between tries.
    pub fn new(waits: impl IntoIterator<Item = Duration>) -> Result<Self, ScheduleTooLong> {
        let waits: Arc<[Duration]> = waits.into_iter().collect();
        if waits.len() > MAX_RETRIES { Err(ScheduleTooLong) } else { Ok(Self(waits)) }
    }

    /// The wait after try `number` (from 1); `None` when it was the last.
    pub fn wait_after(&self, number: u16) -> Option<Duration> {
        self.0.get(usize::from(number.max(1)) - 1).copied()
    }

    /// All waits together.
    pub fn total(&self) -> Duration {
        self.0.iter().sum()
    }
}

impl Default for RetrySchedule {
    /// Svix's: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h: eight tries in 27.6 h.
    fn default() -> Self {
        Self([5, 300, 1_800, 7_200, 18_000, 36_000, 36_000].map(Duration::from_secs).into())
    }
}

impl TryFrom<Vec<HumanDuration>> for RetrySchedule {
    type Error = ScheduleTooLong;

    fn try_from(waits: Vec<HumanDuration>) -> Result<Self, ScheduleTooLong> {
        Self::new(waits.into_iter().map(|w| w.0))
    }
}

impl From<RetrySchedule> for Vec<HumanDuration> {
    fn from(schedule: RetrySchedule) -> Self {
        schedule.0.iter().copied().map(HumanDuration).collect()
    }
}

/// How the wait of a schedule becomes the wait of a delivery.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryTiming {
    /// Each wait varies by this share of itself, up and down, so that what failed together does not
    /// come back together. `0.0..=1.0`.
    pub jitter: f64,
    /// After a timeout or a 429 the wait is at least this.
    pub overload_wait: Duration,
    /// Longest wait that a `Retry-After` may ask for.
    pub max_retry_after: Duration,
}

impl Default for RetryTiming {
    fn default() -> Self {
        Self {
            jitter: 0.2,
            overload_wait: Duration::from_secs(60),
            max_retry_after: Duration::from_secs(24 * 3_600),
        }
    }
}

impl RetryTiming {
    /// The wait for `scheduled`, given what the receiver said. A `Retry-After` moves it within
    /// `scheduled..=2 × scheduled`, as Svix does: a receiver may slow us down, not stop us.
    pub fn wait(
        &self,
        scheduled: Duration,
        retry_after: Option<Duration>,
        overloaded: bool,
        entropy: &dyn Entropy,
    ) -> Duration {
        let base = match retry_after {
            Some(asked) => {
                let longest = (scheduled * 2).min(self.max_retry_after).max(scheduled);
                asked.clamp(scheduled, longest)
            }
            None => scheduled,
        };
        let jitter = self.jitter.clamp(0.0, 1.0);
        let wait = base.mul_f64(1.0 + jitter * (2.0 * entropy.unit() - 1.0));
        if overloaded && wait < self.overload_wait {
            // A floor: varied upwards only.
            return self.overload_wait.mul_f64(1.0 + jitter * entropy.unit());
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    const SEC: Duration = Duration::from_secs(1);

    #[test]
    fn schedule_ends() {
        let schedule = RetrySchedule::default();
        assert_eq!(schedule.wait_after(1), Some(5 * SEC));
        assert_eq!(schedule.wait_after(7), Some(36_000 * SEC));
        assert_eq!(schedule.wait_after(8), None);
        assert_eq!(RetrySchedule::new([]).expect("short").wait_after(1), None);
        assert!(RetrySchedule::new([SEC; 51]).is_err());
    }

    #[test]
    fn jitter_and_retry_after_stay_in_bounds() {
        let timing = RetryTiming::default();
        let entropy = SeededEntropy::new(7);
        let cases = [
            (5, None, false, 5, 5),
            (5, None, true, 60, 60),
            (100, Some(1), false, 100, 100),
            (100, Some(150), false, 150, 150),
            (100, Some(900), false, 200, 200),
            (100, Some(900), true, 200, 200),
            (10, Some(900), true, 60, 60),
        ];
        for (scheduled, after, overloaded, low, high) in cases {
            for _ in 0..200 {
                let wait =
                    timing.wait(scheduled * SEC, after.map(|s| s * SEC), overloaded, &entropy);
                let floor = if overloaded { 60.0 } else { 0.0 };
                let low = (low * SEC).mul_f64(0.8).max(Duration::from_secs_f64(floor));
                assert!(wait >= low, "{wait:?} for {scheduled} {after:?}");
                assert!(wait <= (high * SEC).mul_f64(1.2), "{wait:?} for {scheduled} {after:?}");
            }
        }
    }
}
