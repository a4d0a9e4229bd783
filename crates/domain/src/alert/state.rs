//! When a rule fires, and when that is over.

use std::time::Duration;

use super::Level;
use crate::clock::Timestamp;

/// How a rule stands to one subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// It has fired, and that is not over.
    pub firing: bool,
    /// Since when it has been as it must be for the next transition; `None` if it is not.
    pub since: Option<Timestamp>,
}

impl State {
    /// Nothing has to be remembered of it.
    pub fn is_quiet(self) -> bool {
        self == Self::default()
    }
}

/// A change that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// It was bad for as long as it had to be: since when.
    Fired(Timestamp),
    /// It was good for as long.
    Cleared,
}

/// What an observation means. `None` is that there is nothing to judge by: too few attempts, or the subject
/// is gone. That is no reason to fire, and over time one to clear: an alert that nothing speaks for any
/// more ends.
pub fn step(
    state: State,
    level: Option<Level>,
    hold: Duration,
    now: Timestamp,
) -> (State, Option<Transition>) {
    let counts = match (state.firing, level) {
        (false, level) => level == Some(Level::Bad),
        (true, level) => matches!(level, Some(Level::Good) | None),
    };
    if !counts {
        return (State { since: None, ..state }, None);
    }
    // A clock that was set back begins anew.
    let since = state.since.filter(|since| *since <= now).unwrap_or(now);
    if now.since(since) < hold {
        return (State { since: Some(since), ..state }, None);
    }
    let transition = if state.firing { Transition::Cleared } else { Transition::Fired(since) };
    (State { firing: !state.firing, since: None }, Some(transition))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::alert::Condition;

    const BAD: Option<Level> = Some(Level::Bad);
    const NEAR: Option<Level> = Some(Level::Near);
    const GOOD: Option<Level> = Some(Level::Good);

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(1_790_000_000).plus(Duration::from_secs(secs))
    }

    /// What happens at which of these moments, `hold` being 60 s.
    fn run(observations: &[(u64, Option<Level>)]) -> Vec<(u64, Transition)> {
        let mut state = State::default();
        let mut told = Vec::new();
        for (secs, level) in observations {
            let (next, transition) = step(state, *level, Duration::from_secs(60), at(*secs));
            state = next;
            told.extend(transition.map(|transition| (*secs, transition)));
        }
        told
    }

    #[test]
    fn it_fires_and_clears_after_its_hold() {
        let fired = |secs| Transition::Fired(at(secs));
        let cleared = Transition::Cleared;
        for (observations, want) in [
            (vec![(0, BAD), (59, BAD)], vec![]),
            (vec![(0, BAD), (60, BAD)], vec![(60, fired(0))]),
            // What comes between begins the time anew.
            (vec![(0, BAD), (30, NEAR), (45, BAD), (60, BAD), (105, BAD)], vec![(105, fired(45))]),
            (vec![(0, BAD), (30, None), (45, BAD), (90, BAD)], vec![]),
            (vec![(0, BAD), (60, BAD), (70, BAD), (200, BAD)], vec![(60, fired(0))]),
            // Near is not good.
            (vec![(0, BAD), (60, BAD), (70, NEAR), (200, NEAR)], vec![(60, fired(0))]),
            (
                vec![(0, BAD), (60, BAD), (70, GOOD), (129, GOOD), (130, GOOD)],
                vec![(60, fired(0)), (130, cleared)],
            ),
            (
                vec![(0, BAD), (60, BAD), (70, GOOD), (100, BAD), (110, GOOD), (130, GOOD)],
                vec![(60, fired(0))],
            ),
            // Nothing to judge by ends it as well.
            (
                vec![(0, BAD), (60, BAD), (70, None), (130, None)],
                vec![(60, fired(0)), (130, cleared)],
            ),
            // A clock that goes back.
            (vec![(100, BAD), (20, BAD), (70, BAD), (80, BAD)], vec![(80, fired(20))]),
        ] {
            assert_eq!(run(&observations), want, "{observations:?}");
        }
    }

    #[test]
    fn without_a_hold_it_is_told_at_once() {
        let (state, told) = step(State::default(), BAD, Duration::ZERO, at(0));
        assert_eq!((state.firing, told), (true, Some(Transition::Fired(at(0)))));
        let (state, told) = step(state, GOOD, Duration::ZERO, at(1));
        assert_eq!((state.is_quiet(), told), (true, Some(Transition::Cleared)));
    }

    fn level() -> impl Strategy<Value = Option<Level>> {
        prop_oneof![Just(BAD), Just(NEAR), Just(GOOD), Just(None)]
    }

    proptest! {
        #[test]
        fn it_never_fires_twice_without_clearing(
            observations in prop::collection::vec((0_u64..100, level()), 0..200),
            hold in 0_u64..120,
        ) {
            let (mut state, mut now, mut open) = (State::default(), 0, false);
            for (wait, level) in observations {
                now += wait;
                let (next, told) = step(state, level, Duration::from_secs(hold), at(now));
                match told {
                    Some(Transition::Fired(since)) => {
                        prop_assert!(!open && since <= at(now));
                        prop_assert!(at(now).since(since) >= Duration::from_secs(hold));
                        open = true;
                    }
                    Some(Transition::Cleared) => {
                        prop_assert!(open);
                        open = false;
                    }
                    None => {}
                }
                prop_assert_eq!(next.firing, open);
                state = next;
            }
        }

        #[test]
        fn a_value_that_flaps_around_the_threshold_fires_once(
            values in prop::collection::vec(0.901_f64..1.5, 1..200), hold in 0_u64..60,
        ) {
            let condition = Condition::BacklogAge { over: Duration::from_secs(600) };
            let (mut state, mut fired) = (State::default(), 0);
            for (i, value) in values.iter().enumerate() {
                let level = Some(condition.level(value * 600.0));
                let now = at(i as u64 * 15);
                let (next, told) = step(state, level, Duration::from_secs(hold), now);
                state = next;
                fired += usize::from(told.is_some());
            }
            prop_assert!(fired <= 1);
        }
    }
}
