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
