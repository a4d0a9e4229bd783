//! The engine's time: the wall clock, but never going back. Whatever is due stays due when the wall
//! clock is set back: time then goes on from where it was, and follows a clock that is set forward.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use domain::clock::{Clock, Timestamp};

/// The engine's time.
pub(crate) struct EngineTime {
    clock: Arc<dyn Clock>,
    /// How far the wall clock was ahead of the monotonic one, in microseconds, at most.
    ahead: AtomicI64,
}

impl EngineTime {
    /// Begins as what the wall clock shows.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, ahead: AtomicI64::new(i64::MIN) }
    }

    /// By which work is due.
    pub(crate) fn now(&self) -> Timestamp {
        // In this order: a pause between the two then makes `ahead` smaller, and does no harm.
        let wall = self.clock.now();
        let monotonic = self.clock.monotonic();
        let ahead = wall.minus(monotonic).as_micros();
        let ahead = ahead.max(self.ahead.fetch_max(ahead, Ordering::Relaxed));
        Timestamp::from_micros(ahead).plus(monotonic)
    }

    /// What the wall clock shows: for signatures and records.
    pub(crate) fn wall(&self) -> Timestamp {
        self.clock.now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::time::Duration;

    struct TwoClocks(Mutex<(Timestamp, Duration)>);

    impl Clock for TwoClocks {
        fn now(&self) -> Timestamp {
            self.0.lock().0
        }

        fn monotonic(&self) -> Duration {
            self.0.lock().1
        }
    }

    #[test]
    fn goes_on_when_the_wall_clock_is_set_back() {
        let at = Timestamp::from_secs;
        let clock = Arc::new(TwoClocks(Mutex::new((at(10_000), Duration::from_secs(50)))));
        let time = EngineTime::new(clock.clone());
        let steps = [
            (10_000, 50, 10_000),
            (10_010, 60, 10_010),
            (6_410, 61, 10_011),
            (6_420, 71, 10_021),
            (10_030, 81, 10_031),
            (20_000, 82, 20_000),
            (19_000, 83, 20_001),
        ];
        for (wall, monotonic, want) in steps {
            *clock.0.lock() = (at(wall), Duration::from_secs(monotonic));
            assert_eq!(time.now(), at(want), "{wall} {monotonic}");
            assert_eq!(time.wall(), at(wall));
        }
    }
}
