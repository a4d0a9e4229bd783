//! The engine's time: the wall clock, but never going back. Whatever is due stays due when the wall
//! clock is set back: time then goes on from where it was, and follows a clock that is set forward.
//!
//! A store that several nodes share has a clock of its own, which is seen with each heartbeat. From the
//! first one on that is the clock: what one node stores, another one finds due.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use domain::clock::{Clock, Timestamp};
use parking_lot::Mutex;

/// The best of so many looks at the store's clock counts.
const LOOKS: usize = 8;
/// It was not seen yet.
const NEVER: i64 = i64::MIN;

/// One look at the store's clock.
#[derive(Clone, Copy)]
struct Look {
    /// How long it took: it says what time it was at some moment of that.
    took: Duration,
    /// How far the store's clock was ahead of the monotonic one, in microseconds.
    ahead: i64,
}

/// The engine's time.
pub(crate) struct EngineTime {
    clock: Arc<dyn Clock>,
    /// How far the wall clock was ahead of the monotonic one, in microseconds, at most.
    wall_ahead: AtomicI64,
    /// The same of the store's clock, as far as is known, and at most.
    store_ahead: AtomicI64,
    store_ahead_at_most: AtomicI64,
    looks: Mutex<VecDeque<Look>>,
    offset: AtomicI64,
}

impl EngineTime {
    /// Begins as what the wall clock shows.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            wall_ahead: AtomicI64::new(NEVER),
            store_ahead: AtomicI64::new(NEVER),
            store_ahead_at_most: AtomicI64::new(NEVER),
            looks: Mutex::default(),
            offset: AtomicI64::new(NEVER),
        }
    }

    /// By which work is due. It may go back once: when the store's clock is seen first. Nothing was
    /// owned before that.
    pub(crate) fn now(&self) -> Timestamp {
        self.read().0
    }

    /// The same, and the monotonic clock at that moment.
    pub(crate) fn read(&self) -> (Timestamp, Duration) {
        // In this order: a pause between the two then makes `ahead` smaller, and does no harm.
        let wall = self.clock.now();
        let monotonic = self.clock.monotonic();
        let (ahead, at_most) = match self.store_ahead.load(Ordering::Relaxed) {
            NEVER => (wall.minus(monotonic).as_micros(), &self.wall_ahead),
            ahead => (ahead, &self.store_ahead_at_most),
        };
        let ahead = ahead.max(at_most.fetch_max(ahead, Ordering::Relaxed));
        (Timestamp::from_micros(ahead).plus(monotonic), monotonic)
    }

    /// What the wall clock shows, or the store's: for signatures and records.
    pub(crate) fn wall(&self) -> Timestamp {
        match self.store_ahead.load(Ordering::Relaxed) {
            NEVER => self.clock.now(),
            ahead => Timestamp::from_micros(ahead).plus(self.clock.monotonic()),
        }
    }

    /// The store's clock showed `time` at some moment between `sent`, by the monotonic clock, and now.
    /// The look that took least is nearest to the truth.
    pub(crate) fn saw(&self, time: Timestamp, sent: Duration) {
        let (wall, received) = (self.clock.now(), self.clock.monotonic());
        let took = received.saturating_sub(sent);
        let ahead = time.minus(sent + took / 2).as_micros();
        let mut looks = self.looks.lock();
        looks.truncate(LOOKS - 1);
        looks.push_front(Look { took, ahead });
        // Of several that took as long the latest: clocks run apart.
        let best = looks.iter().min_by_key(|look| look.took).map_or(ahead, |look| look.ahead);
        self.store_ahead.store(best, Ordering::Relaxed);
        let shown = Timestamp::from_micros(best).plus(received);
        self.offset.store(shown.as_micros().saturating_sub(wall.as_micros()), Ordering::Relaxed);
    }

    /// By how many microseconds the store's clock was ahead of the wall clock when it was last seen.
    pub(crate) fn offset(&self) -> Option<i64> {
        Some(self.offset.load(Ordering::Relaxed)).filter(|offset| *offset != NEVER)
    }
}

impl Clock for EngineTime {
    fn now(&self) -> Timestamp {
        self.wall()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: Duration = Duration::from_secs(1);

    struct TwoClocks(Mutex<(Timestamp, Duration)>);

    impl TwoClocks {
        fn at(wall: i64, monotonic: u64) -> Arc<Self> {
            Arc::new(Self(Mutex::new((at(wall), Duration::from_secs(monotonic)))))
        }

        fn show(&self, wall: i64, monotonic: u64) {
            *self.0.lock() = (at(wall), Duration::from_secs(monotonic));
        }
    }

    impl Clock for TwoClocks {
        fn now(&self) -> Timestamp {
            self.0.lock().0
        }

        fn monotonic(&self) -> Duration {
            self.0.lock().1
        }
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn goes_on_when_the_wall_clock_is_set_back() {
        let clock = TwoClocks::at(10_000, 50);
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
            clock.show(wall, monotonic);
            assert_eq!(time.now(), at(want), "{wall} {monotonic}");
            assert_eq!(time.wall(), at(wall));
        }
        assert_eq!(time.offset(), None);
    }

    #[test]
    fn goes_by_the_stores_clock_once_it_was_seen() {
        let clock = TwoClocks::at(10_000, 50);
        let time = EngineTime::new(clock.clone());
        assert_eq!(time.now(), at(10_000));
        clock.show(10_004, 54);
        time.saw(at(9_000), 50 * SEC);
        assert_eq!((time.now(), time.wall()), (at(9_002), at(9_002)), "at half of that time");
        assert_eq!(time.offset(), Some(-1_002_000_000));
        clock.show(20_000, 60);
        assert_eq!(
            (time.now(), time.wall()),
            (at(9_008), at(9_008)),
            "whatever the wall clock does"
        );
        assert_eq!(Clock::now(&time), at(9_008));
    }

    #[test]
    fn the_shortest_look_counts_and_time_never_goes_back() {
        let clock = TwoClocks::at(10_000, 50);
        let time = EngineTime::new(clock.clone());
        time.saw(at(10_000), 50 * SEC);
        clock.show(10_010, 60);
        time.saw(at(10_007), 56 * SEC);
        assert_eq!((time.wall(), time.offset()), (at(10_010), Some(0)), "it may be far off");
        assert_eq!(time.now(), at(10_010));
        time.saw(at(10_007), 60 * SEC);
        assert_eq!(time.wall(), at(10_007), "as near, and later");
        assert_eq!(time.now(), at(10_010));
        for _ in 0..LOOKS {
            time.saw(at(10_020), 58 * SEC);
        }
        assert_eq!(time.wall(), at(10_021), "the others are too long ago");
        assert_eq!(time.now(), at(10_021));
    }
}
