//! One message to one endpoint: its state, and what an attempt's outcome makes of it.

use std::time::Duration;

use crate::{
    attempt::{Outcome, OutcomeClass},
    clock::Timestamp,
    entropy::Entropy,
    id::{ApplicationId, DeliveryId, EndpointId, MessageId, OrganizationId},
    operational::FAILING_ATTEMPT,
    retry::{RetrySchedule, RetryTiming},
    shard::Shard,
};

/// Why a delivery exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Trigger {
    /// The message was posted; it is retried by schedule.
    Automatic = 0,
    /// Somebody asked for it; one try.
    Manual = 1,
    /// A recover or replay asked for it; one try, at lower weight.
    Replay = 2,
}

impl Trigger {
    /// From what is stored.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Automatic,
            1 => Self::Manual,
            2 => Self::Replay,
            _ => return None,
        })
    }
}

/// Work that remains. Exists exactly as long as it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its own id.
    pub id: DeliveryId,
    /// The environment.
    pub org: OrganizationId,
    /// The customer.
    pub app: ApplicationId,
    /// Where to.
    pub endpoint: EndpointId,
    /// What.
    pub message: MessageId,
    /// Why.
    pub trigger: Trigger,
    /// Tries so far.
    pub attempts: u16,
    /// When the next try is.
    pub due: Timestamp,
    /// When the payload goes; pending past it ends as expired.
    pub give_up_at: Timestamp,
}

impl Delivery {
    /// The shard it belongs to.
    pub fn shard(&self) -> Shard {
        Shard::of(&self.org, &self.app, &self.endpoint)
    }
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EndState {
    /// It arrived.
    Succeeded = 0,
    /// Its last try failed, or its time ran out.
    Exhausted = 2,
    /// Its endpoint, application or message is gone.
    Cancelled = 4,
}

/// Why it ended so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cause {
    /// A 2xx.
    Delivered = 0,
    /// The schedule ended.
    LastTry = 1,
    /// 410 Gone.
    Gone = 2,
    /// Older than its greatest age, with tries left.
    MaxAge = 3,
    /// Older than its greatest age, never sent: the breaker was open or the endpoint disabled.
    CircuitOpen = 4,
    /// Its payload's retention ended first.
    PayloadExpired = 5,
    /// The endpoint was deleted.
    EndpointDeleted = 6,
    /// A resend of the same message to the same endpoint arrived.
    ResendSucceeded = 7,
    /// The message's content was expunged.
    Expunged = 8,
}

macro_rules! codes {
    ($($name:ident { $($variant:ident),* })*) => {$(
        impl $name {
            /// From what is stored.
            pub const fn from_code(code: u8) -> Option<Self> {
                $(if code == Self::$variant as u8 { return Some(Self::$variant); })*
                None
            }
        }
    )*};
}

codes! {
    EndState { Succeeded, Exhausted, Cancelled }
    Cause {
        Delivered, LastTry, Gone, MaxAge, CircuitOpen, PayloadExpired, EndpointDeleted,
        ResendSucceeded, Expunged
    }
}

/// The rules that an outcome is judged by.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The endpoint's, the event type's or the server's.
    pub schedule: RetrySchedule,
    /// Jitter and bounds.
    pub timing: RetryTiming,
    /// Whether 410 Gone disables the endpoint (and ends the delivery in any case).
    pub disable_on_gone: bool,
    /// An endpoint that has only failed for this long is disabled; `None` never.
    pub disable_after: Option<Duration>,
    /// The greatest age of a delivery beyond the total of its schedule.
    pub max_age_slack: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            schedule: RetrySchedule::default(),
            timing: RetryTiming::default(),
            disable_on_gone: true,
            disable_after: Some(Duration::from_secs(5 * 24 * 3_600)),
            max_age_slack: Duration::from_secs(24 * 3_600),
        }
    }
}

/// What comes next for a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it leaves the due table.
    End(EndState, Cause),
    /// Another try then.
    Retry(Timestamp),
}

/// What an outcome means for the endpoint's health; written only on transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// As before.
    Same,
    /// Its first failure: remember since when.
    Failing(Timestamp),
    /// It answers again: forget.
    Recovered,
    /// It has failed for too long, or is gone: disable it.
    Disable {
        /// Since when it failed.
        fail_since: Timestamp,
    },
}

/// What an outcome means for the pace of its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The endpoint kept up.
    Faster,
    /// The endpoint is there, and refuses this message.
    Same,
    /// It counts against the endpoint (breaker).
    Failing,
    /// It counts against the endpoint, and it is too much for it (window and breaker).
    Slower,
}

/// What operators are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The fourth try failed, more are to come.
    Failing,
    /// The last try failed.
    Exhausted,
    /// It arrived after it was told as failing.
    Recovered,
}

/// What an attempt's outcome makes of a delivery, its endpoint and its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// For the delivery.
    pub next: Next,
    /// For the endpoint.
    pub health: Health,
    /// For the lane.
    pub pace: Pace,
    /// For the operators.
    pub notice: Option<Notice>,
}

/// What an outcome says of the endpoint's pace.
pub fn pace(outcome: &Outcome) -> Pace {
    match (outcome.class, outcome.status_code) {
        (OutcomeClass::Success, _) => Pace::Faster,
        (OutcomeClass::Status, Some(429 | 503)) => Pace::Slower,
        (OutcomeClass::Status, Some(500..)) => Pace::Failing,
        (OutcomeClass::Status, _) => Pace::Same,
        _ if outcome.timed_out => Pace::Slower,
        _ => Pace::Failing,
    }
}

/// Decides what the outcome of try `delivery.attempts + 1` means. `first_failure_at` is what is
/// stored of the endpoint; `now` is when the outcome came.
pub fn settle(
    delivery: &Delivery,
    outcome: &Outcome,
    first_failure_at: Option<Timestamp>,
    policy: &Policy,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Settlement {
    let number = delivery.attempts.saturating_add(1);
    let automatic = delivery.trigger == Trigger::Automatic;
    let pace = pace(outcome);
    if outcome.class == OutcomeClass::Success {
        return Settlement {
            next: Next::End(EndState::Succeeded, Cause::Delivered),
            health: if first_failure_at.is_some() { Health::Recovered } else { Health::Same },
            pace,
            notice: (automatic && number > FAILING_ATTEMPT).then_some(Notice::Recovered),
        };
    }
    let gone = outcome.status_code == Some(410);
    // A resend that fails changes nothing about the endpoint: only the schedule's own tries speak
    // of its health.
    let health = match first_failure_at {
        _ if !automatic => Health::Same,
        since if gone && policy.disable_on_gone => {
            Health::Disable { fail_since: since.unwrap_or(now) }
        }
        None => Health::Failing(now),
        Some(since) if policy.disable_after.is_some_and(|limit| now.since(since) >= limit) => {
            Health::Disable { fail_since: since }
        }
        Some(_) => Health::Same,
    };
    let next = next_try(delivery, number, outcome, policy, gone, now, entropy);
    let notice = match next {
        _ if !automatic => None,
        Next::End(..) => Some(Notice::Exhausted),
        Next::Retry(_) => (number == FAILING_ATTEMPT).then_some(Notice::Failing),
    };
    Settlement { next, health, pace, notice }
}

fn next_try(
    delivery: &Delivery,
    number: u16,
    outcome: &Outcome,
    policy: &Policy,
    gone: bool,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Next {
    if gone {
        return Next::End(EndState::Exhausted, Cause::Gone);
    }
    let wait = match delivery.trigger {
        Trigger::Automatic => policy.schedule.wait_after(number),
        Trigger::Manual | Trigger::Replay => None,
    };
    let Some(wait) = wait else {
        return Next::End(EndState::Exhausted, Cause::LastTry);
    };
    let overloaded = outcome.timed_out || outcome.status_code == Some(429);
    let due = now.plus(policy.timing.wait(wait, outcome.retry_after, overloaded, entropy));
    if due >= delivery.give_up_at {
        return Next::End(EndState::Exhausted, Cause::PayloadExpired);
    }
    Next::Retry(due)
}

/// Whether a delivery that has not been sent yet is too old to be sent at `now`, and how it ends
/// then. Its age counts from the moment it was made (its id) or first due.
pub fn overdue(delivery: &Delivery, policy: &Policy, now: Timestamp) -> Option<(EndState, Cause)> {
    if now >= delivery.give_up_at {
        return Some((EndState::Exhausted, Cause::PayloadExpired));
    }
    let max_age = policy.schedule.total() + policy.max_age_slack;
    if now.since(delivery.id.timestamp()) <= max_age {
        return None;
    }
    let cause = if delivery.attempts == 0 { Cause::CircuitOpen } else { Cause::MaxAge };
    Some((EndState::Exhausted, cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use bytes::Bytes;

    const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
    const DAY: Duration = Duration::from_secs(24 * 3_600);

    fn delivery(trigger: Trigger, attempts: u16) -> Delivery {
        Delivery {
            id: DeliveryId::floor(NOW),
            org: OrganizationId::from_raw([1; 20]),
            app: ApplicationId::from_raw([2; 20]),
            endpoint: EndpointId::from_raw([3; 20]),
            message: MessageId::from_raw([4; 20]),
            trigger,
            attempts,
            due: NOW,
            give_up_at: NOW.plus(90 * DAY),
        }
    }

    fn outcome(class: OutcomeClass, status_code: Option<u16>, timed_out: bool) -> Outcome {
        Outcome {
            class,
            status_code,
            response: Bytes::new(),
            duration: Duration::from_millis(5),
            retry_after: None,
            timed_out,
        }
    }

    fn status(code: u16) -> Outcome {
        let class = if code / 100 == 2 { OutcomeClass::Success } else { OutcomeClass::Status };
        outcome(class, Some(code), false)
    }

    fn judge(delivery: &Delivery, outcome: &Outcome, since: Option<Timestamp>) -> Settlement {
        settle(delivery, outcome, since, &Policy::default(), NOW, &SeededEntropy::new(1))
    }

    #[test]
    fn what_outcomes_mean_for_the_lane() {
        use OutcomeClass::*;
        for (outcome, want) in [
            (status(200), Pace::Faster),
            (status(299), Pace::Faster),
            (status(301), Pace::Same),
            (status(400), Pace::Same),
            (status(410), Pace::Same),
            (status(429), Pace::Slower),
            (status(500), Pace::Failing),
            (status(503), Pace::Slower),
            (outcome(Timeout, None, true), Pace::Slower),
            (outcome(Ambiguous, None, true), Pace::Slower),
            (outcome(Ambiguous, None, false), Pace::Failing),
            (outcome(Connect, None, false), Pace::Failing),
            (outcome(Dns, None, false), Pace::Failing),
            (outcome(Blocked, None, false), Pace::Failing),
        ] {
            assert_eq!(pace(&outcome), want, "{outcome:?}");
        }
    }

    #[test]
    fn a_schedule_runs_to_its_end() {
        let waits = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];
        for attempts in 0..8u16 {
            let settled = judge(&delivery(Trigger::Automatic, attempts), &status(500), None);
            match (settled.next, waits.get(usize::from(attempts))) {
                (Next::Retry(due), Some(wait)) => {
                    let wait = Duration::from_secs(*wait);
                    let got = due.since(NOW);
                    assert!(got >= wait.mul_f64(0.8) && got <= wait.mul_f64(1.2), "{got:?}");
                }
                (Next::End(EndState::Exhausted, Cause::LastTry), None) => {}
                other => panic!("after try {}: {other:?}", attempts + 1),
            }
            let notice = match attempts {
                3 => Some(Notice::Failing),
                7 => Some(Notice::Exhausted),
                _ => None,
            };
            assert_eq!(settled.notice, notice, "after try {}", attempts + 1);
        }
    }

    #[test]
    fn a_success_ends_it_and_is_told_after_it_was_failing() {
        for attempts in 0..8u16 {
            let settled = judge(&delivery(Trigger::Automatic, attempts), &status(204), Some(NOW));
            assert_eq!(settled.next, Next::End(EndState::Succeeded, Cause::Delivered));
            assert_eq!(settled.health, Health::Recovered);
            let told = settled.notice == Some(Notice::Recovered);
            assert_eq!(told, attempts >= 4, "after try {}", attempts + 1);
        }
        let settled = judge(&delivery(Trigger::Automatic, 0), &status(200), None);
        assert_eq!(settled.health, Health::Same);
    }

    #[test]
    fn a_resend_has_one_try_and_says_nothing_of_health() {
        for trigger in [Trigger::Manual, Trigger::Replay] {
            let since = Some(NOW.minus(30 * DAY));
            let settled = judge(&delivery(trigger, 0), &status(500), since);
            assert_eq!(settled.next, Next::End(EndState::Exhausted, Cause::LastTry));
            assert_eq!((settled.health, settled.notice), (Health::Same, None));
            assert_eq!(judge(&delivery(trigger, 0), &status(410), since).health, Health::Same);
            assert_eq!(judge(&delivery(trigger, 0), &status(200), since).health, Health::Recovered);
        }
    }

    #[test]
    fn health_moves_on_transitions_only() {
        let automatic = delivery(Trigger::Automatic, 0);
        let failing = |since| judge(&automatic, &status(500), since).health;
        assert_eq!(failing(None), Health::Failing(NOW));
        assert_eq!(failing(Some(NOW.minus(4 * DAY))), Health::Same);
        let since = NOW.minus(5 * DAY);
        assert_eq!(failing(Some(since)), Health::Disable { fail_since: since });
        let gone = judge(&automatic, &status(410), None);
        assert_eq!(gone.health, Health::Disable { fail_since: NOW });
        assert_eq!(gone.next, Next::End(EndState::Exhausted, Cause::Gone));
        let kept = Policy { disable_on_gone: false, disable_after: None, ..Policy::default() };
        let entropy = SeededEntropy::new(1);
        let settled = settle(&automatic, &status(410), Some(since), &kept, NOW, &entropy);
        assert_eq!(settled.health, Health::Same);
    }

    #[test]
    fn nothing_is_tried_after_its_payload_or_age() {
        let mut old = delivery(Trigger::Automatic, 1);
        old.give_up_at = NOW.plus(Duration::from_secs(60));
        let settled = judge(&old, &status(500), None);
        assert_eq!(settled.next, Next::End(EndState::Exhausted, Cause::PayloadExpired));
        let policy = Policy::default();
        let limit = policy.schedule.total() + policy.max_age_slack;
        let fresh = delivery(Trigger::Automatic, 0);
        let created = fresh.id.timestamp();
        assert_eq!(overdue(&fresh, &policy, created.plus(limit)), None);
        let late = created.plus(limit + Duration::from_secs(1));
        let end = |d: &Delivery| overdue(d, &policy, late);
        assert_eq!(end(&fresh), Some((EndState::Exhausted, Cause::CircuitOpen)));
        let tried = Some((EndState::Exhausted, Cause::MaxAge));
        assert_eq!(end(&delivery(Trigger::Automatic, 2)), tried);
    }

    #[test]
    fn codes_round_trip() {
        for code in 0..=u8::MAX {
            if let Some(state) = EndState::from_code(code) {
                assert_eq!(state as u8, code);
            }
            if let Some(cause) = Cause::from_code(code) {
                assert_eq!(cause as u8, code);
            }
            if let Some(trigger) = Trigger::from_code(code) {
                assert_eq!(trigger as u8, code);
            }
            if let Some(class) = OutcomeClass::from_code(code) {
                assert_eq!(class as u8, code);
            }
        }
        assert_eq!((0..=u8::MAX).filter_map(Cause::from_code).count(), 9);
    }
}
