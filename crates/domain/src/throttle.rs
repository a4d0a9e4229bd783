//! Rate limits: the generic cell rate algorithm (ITU-T I.371), which spaces starts evenly and needs
//! one number per limit.

use std::time::Duration;

use crate::clock::Timestamp;

/// A burst is what this much time earns, and at least one.
const BURST_WINDOW: Duration = Duration::from_millis(50);

/// A limit of so many starts per second. Excess is told when to come again; nothing is dropped.
#[derive(Clone, Debug)]
pub struct Throttle {
    /// Nanoseconds between starts at the full rate.
    interval: i64,
    /// Nanoseconds that starts may run ahead.
    tolerance: i64,
    /// Theoretical arrival time of the next start, in nanoseconds since the Unix epoch.
    next: i64,
}

impl Throttle {
    /// At most `per_second` starts a second (at least 1), with a burst of `max(1, 50 ms of the rate)`.
    /// It begins without anything saved up: what it may have let through before is not known.
    pub fn new(per_second: u16, now: Timestamp) -> Self {
        let rate = i64::from(per_second.max(1));
        // Rounded up: a little slower than asked, never faster.
        let interval = (1_000_000_000 + rate - 1) / rate;
        let burst = (rate * BURST_WINDOW.as_millis() as i64 / 1_000).max(1);
        let tolerance = (burst - 1) * interval;
        Self { interval, tolerance, next: now.as_micros() * 1_000 + tolerance }
    }

    /// The same, of one that somebody else kept until `since`, and may have used up: the first start
    /// comes an interval after that.
    pub fn taken_over(per_second: u16, since: Timestamp, now: Timestamp) -> Self {
        let mut throttle = Self::new(per_second, now);
        let first = since.as_micros().saturating_mul(1_000).saturating_add(throttle.interval);
        throttle.next = throttle.next.max(first.saturating_add(throttle.tolerance));
        throttle
    }

    /// Takes a start at `now`, or says when there is one to take.
    pub fn take(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        self.ready_at(now)?;
        let nanos = now.as_micros() * 1_000;
        self.next = self.next.max(nanos) + self.interval;
        Ok(())
    }

    /// Whether a start could be taken at `now`, and if not, when.
    pub fn ready_at(&self, now: Timestamp) -> Result<(), Timestamp> {
        let earliest = self.next - self.tolerance;
        if earliest <= now.as_micros() * 1_000 {
            return Ok(());
        }
        // Round up: a microsecond early would be told to come again.
        Err(Timestamp::from_micros(earliest.saturating_add(999) / 1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts a saturated caller gets in each second when it comes every `step`.
    fn run(rate: u16, step: Duration, secs: u64) -> Vec<u32> {
        let start = Timestamp::from_secs(1_790_000_000);
        let mut throttle = Throttle::new(rate, start);
        let mut per_second = vec![0; secs as usize];
        let mut now = start;
        while now.since(start) < Duration::from_secs(secs) {
            while throttle.take(now).is_ok() {
                per_second[now.since(start).as_secs() as usize] += 1;
            }
            now = now.plus(step);
        }
        per_second
    }

    #[test]
    fn holds_the_rate_and_uses_it() {
        for rate in [1u16, 7, 50, 500, 3_000, 5_000, 65_535] {
            for step in [Duration::from_micros(500), Duration::from_millis(20)] {
                if rate < 50 && step > Duration::from_millis(1) {
                    // Without a burst to draw on, what comes late stays late.
                    continue;
                }
                let starts = run(rate, step, 12);
                let burst = (u32::from(rate) / 20).max(1);
                assert!(starts[0] <= u32::from(rate) + 1, "{rate}: {starts:?}");
                let ten: u32 = starts[2..].iter().sum();
                let most = u32::from(rate) * 10;
                // Starts that were taken late, up to a burst, may fall into the window's first tick.
                assert!(ten <= most + burst, "{rate} {step:?}: {ten}");
                assert!(ten + 1 >= most - most / 100, "{rate} {step:?}: {ten}");
            }
        }
    }

    #[test]
    fn one_that_is_taken_over_begins_used_up() {
        let since = Timestamp::from_secs(1_790_000_000);
        let interval = Duration::from_millis(10);
        let first = |rate, now| {
            let mut throttle = Throttle::taken_over(rate, since, now);
            let first = throttle.ready_at(now).err().unwrap_or(now);
            assert_eq!(throttle.take(first), Ok(()));
            assert!(throttle.take(first).is_err(), "nothing is saved up");
            first
        };
        assert_eq!(first(100, since), since.plus(interval));
        assert_eq!(first(100, since.plus(interval / 2)), since.plus(interval));
        let later = since.plus(Duration::from_secs(60));
        assert_eq!(first(100, later), later);
    }

    #[test]
    fn idle_time_earns_no_more_than_a_burst() {
        let mut now = Timestamp::from_secs(1_790_000_000);
        let mut throttle = Throttle::new(1_000, now);
        assert!(throttle.take(now).is_ok());
        now = now.plus(Duration::from_secs(3_600));
        let mut got = 0;
        while throttle.take(now).is_ok() {
            got += 1;
        }
        assert_eq!(got, 50);
        let at = throttle.ready_at(now).expect_err("used up");
        assert_eq!(at.since(now), Duration::from_millis(1));
    }
}
