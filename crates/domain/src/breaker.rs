//! The circuit breaker of a lane: while an endpoint is down it is asked by one probe at a time, and
//! what waits for it uses up no try.

use std::time::Duration;

use crate::clock::Timestamp;

/// When it opens and how often it probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Failures in a row that open it.
    pub failures: u32,
    /// Wait before the first probe; doubles with each failed one.
    pub first_wait: Duration,
    /// Longest wait from one probe's start to the next one's: also how long an endpoint that is back
    /// may go unnoticed, if a probe does not hang for longer.
    pub max_wait: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self { failures: 10, first_wait: Duration::from_secs(1), max_wait: Duration::from_secs(25) }
    }
}

/// Its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed {
        failures: u32,
    },
    /// Nothing starts before `until`; then one probe.
    Open {
        until: Timestamp,
        wait: Duration,
    },
    /// The probe is in the air.
    Probing {
        since: Timestamp,
        wait: Duration,
    },
}

/// What the breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// Anything.
    Pass,
    /// One probe, which must be reported back.
    Probe,
    /// Nothing before then.
    HoldUntil(Timestamp),
    /// Nothing until the probe in the air is back.
    Hold,
}

/// What people are told of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything passes.
    Closed,
    /// Nothing passes, or the next attempt is the probe.
    Open,
    /// The probe is in the air.
    HalfOpen,
}

impl BreakerState {
    /// The API's name of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// A circuit breaker.
#[derive(Clone, Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    state: State,
}

impl Breaker {
    /// A closed one.
    pub fn new(policy: BreakerPolicy) -> Self {
        Self { policy, state: State::Closed { failures: 0 } }
    }

    /// What may start at `now`.
    pub fn permit(&self, now: Timestamp) -> Permit {
        match self.state {
            State::Closed { .. } => Permit::Pass,
            State::Open { until, .. } if now >= until => Permit::Probe,
            State::Open { until, .. } => Permit::HoldUntil(until),
            State::Probing { .. } => Permit::Hold,
        }
    }

    /// A probe starts.
    pub fn probe(&mut self, now: Timestamp) {
        if let State::Open { wait, .. } = self.state {
            self.state = State::Probing { since: now, wait };
        }
    }

    /// The probe came to nothing (it was never sent): the next may go at once.
    pub fn probe_unused(&mut self, now: Timestamp) {
        if let State::Probing { wait, .. } = self.state {
            self.state = State::Open { until: now, wait };
        }
    }

    /// An attempt succeeded: the endpoint is there.
    pub fn success(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// An attempt failed in a way that speaks against the endpoint.
    pub fn failure(&mut self, now: Timestamp, probe: bool) {
        self.state = match self.state {
            State::Closed { failures } if failures + 1 < self.policy.failures => {
                State::Closed { failures: failures + 1 }
            }
            State::Closed { .. } => {
                let wait = self.policy.first_wait;
                State::Open { until: now.plus(wait), wait }
            }
            State::Probing { since, wait } if probe => {
                let wait = (wait * 2).min(self.policy.max_wait);
                // From its start: a probe that hung has waited already. A moment of rest at least.
                let rest = now.plus(self.policy.first_wait.min(wait));
                State::Open { until: since.plus(wait).max(rest), wait }
            }
            // A straggler from before it opened says nothing new.
            other => other,
        };
    }

    /// What people are told of it.
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::Probing { .. } => BreakerState::HalfOpen,
        }
    }

    /// Whether it holds deliveries back.
    pub fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: Duration = Duration::from_secs(1);

    #[test]
    fn opens_probes_and_closes() {
        let mut breaker = Breaker::new(BreakerPolicy { failures: 3, ..BreakerPolicy::default() });
        let mut now = Timestamp::from_secs(1_000);
        for _ in 0..2 {
            breaker.failure(now, false);
            assert_eq!(breaker.permit(now), Permit::Pass);
        }
        breaker.failure(now, false);
        assert_eq!(breaker.permit(now), Permit::HoldUntil(now.plus(SEC)));
        breaker.failure(now, false);
        assert_eq!(breaker.permit(now), Permit::HoldUntil(now.plus(SEC)), "stragglers are ignored");
        for wait in [2, 4, 8, 16, 25, 25] {
            now = now.plus(100 * SEC);
            assert_eq!((breaker.permit(now), breaker.state()), (Permit::Probe, BreakerState::Open));
            breaker.probe(now);
            assert_eq!(breaker.permit(now), Permit::Hold);
            assert_eq!(breaker.state(), BreakerState::HalfOpen);
            breaker.failure(now, true);
            assert_eq!(breaker.permit(now), Permit::HoldUntil(now.plus(wait * SEC)));
        }
        now = now.plus(25 * SEC);
        breaker.probe(now);
        breaker.success();
        assert_eq!(breaker.permit(now), Permit::Pass);
        assert!(!breaker.is_open());
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn a_probe_that_hangs_has_waited_already() {
        let mut breaker = Breaker::new(BreakerPolicy { failures: 1, ..BreakerPolicy::default() });
        let mut now = Timestamp::from_secs(1_000);
        breaker.failure(now, false);
        for (hung, rested) in [(15, 1), (15, 1), (15, 1), (15, 1), (15, 10), (30, 1)] {
            now = now.plus(100 * SEC);
            breaker.probe(now);
            now = now.plus(hung * SEC);
            breaker.failure(now, true);
            assert_eq!(breaker.permit(now), Permit::HoldUntil(now.plus(rested * SEC)));
        }
    }

    #[test]
    fn a_success_in_between_starts_the_count_again() {
        let mut breaker = Breaker::new(BreakerPolicy { failures: 2, ..BreakerPolicy::default() });
        let now = Timestamp::from_secs(1_000);
        for _ in 0..10 {
            breaker.failure(now, false);
            breaker.success();
        }
        assert_eq!(breaker.permit(now), Permit::Pass);
    }
}
