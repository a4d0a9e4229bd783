//! An alert: a rule that fired, until that is over.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    id::{AlertId, AlertRuleId, ApplicationId, EndpointId, OrganizationId},
};

/// A notice that could not be sent for so long is given up.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(86_400);
/// The first wait after a failure; each is twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_secs(15);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(1_800);

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// All of it.
    Organization,
    /// A customer, or a source.
    Application(ApplicationId),
    /// Where a customer listens.
    Endpoint(ApplicationId, EndpointId),
}

impl Subject {
    /// Its application, if it has one.
    pub const fn app(&self) -> Option<ApplicationId> {
        match self {
            Self::Organization => None,
            Self::Application(app) | Self::Endpoint(app, _) => Some(*app),
        }
    }

    /// Its endpoint, if it is one.
    pub const fn endpoint(&self) -> Option<EndpointId> {
        match self {
            Self::Endpoint(_, endpoint) => Some(*endpoint),
            _ => None,
        }
    }
}

impl fmt::Display for Subject {
    /// A key of it, for stores.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organization => f.write_str("organization"),
            Self::Application(app) => write!(f, "{app}"),
            Self::Endpoint(app, endpoint) => write!(f, "{app}/{endpoint}"),
        }
    }
}

/// What one channel is told, and how far that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// That it is over; else that it fired.
    pub cleared: bool,
    /// Its place in the rule's list.
    pub channel: u8,
    /// The channel, without anything secret. If the rule has another one there by now, nothing is sent.
    pub shown: String,
    /// When it was sent.
    pub sent_at: Option<Timestamp>,
    /// How often that failed.
    pub tries: u32,
    /// When it is tried (again); `None` if it is sent or given up.
    pub next_try: Option<Timestamp>,
    /// What happened last, if it failed.
    pub error: Option<String>,
}

impl Notice {
    /// One that is to be sent now.
    pub fn new(cleared: bool, channel: u8, shown: String, now: Timestamp) -> Self {
        let (sent_at, error) = (None, None);
        Self { cleared, channel, shown, sent_at, tries: 0, next_try: Some(now), error }
    }

    /// It was sent.
    pub fn sent(&mut self, now: Timestamp) {
        (self.sent_at, self.next_try, self.error) = (Some(now), None, None);
    }

    /// It was not, and is tried again unless what it tells of was `since` too long ago.
    pub fn failed(&mut self, error: String, since: Timestamp, now: Timestamp) {
        let doubled = FIRST_WAIT.saturating_mul(1 << self.tries.min(16));
        let next = now.plus(doubled.min(LONGEST_WAIT));
        self.tries += 1;
        self.error = Some(error);
        self.next_try = Some(next).filter(|next| next.since(since) < GIVE_UP_AFTER);
    }

    /// It is not tried any more.
    pub fn give_up(&mut self, why: &str) {
        (self.next_try, self.error) = (None, Some(why.to_owned()));
    }
}

/// A rule that fired for a subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The environment.
    pub org: OrganizationId,
    /// Ours.
    pub id: AlertId,
    /// Which rule.
    pub rule: AlertRuleId,
    /// What that was called.
    pub rule_name: String,
    /// The type of its condition.
    pub condition: String,
    /// About what.
    pub subject: Subject,
    /// Since when it has been bad.
    pub since: Timestamp,
    /// When it fired.
    pub fired_at: Timestamp,
    /// When it was over; `None` as long as it is not.
    pub cleared_at: Option<Timestamp>,
    /// What was observed when it fired.
    pub value: f64,
    /// What it was compared with.
    pub threshold: f64,
    /// It in plain words.
    pub text: String,
    /// Who was told.
    pub notices: Vec<Notice>,
}

impl Alert {
    /// It is not over.
    pub const fn is_open(&self) -> bool {
        self.cleared_at.is_none()
    }

    /// There is something to do about it: it is open, or somebody is still to be told.
    pub fn is_live(&self) -> bool {
        self.is_open() || self.notices.iter().any(|notice| notice.next_try.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_tried_for_a_day() {
        let start = Timestamp::from_secs(1_790_000_000);
        let mut notice = Notice::new(false, 0, "operational".into(), start);
        let mut waits = Vec::new();
        while let Some(now) = notice.next_try {
            notice.failed("no answer".into(), start, now);
            waits.extend(notice.next_try.map(|next| next.since(now).as_secs()));
        }
        assert_eq!(waits[..8], [15, 30, 60, 120, 240, 480, 960, 1_800]);
        let whole: u64 = waits.iter().sum();
        assert!((86_400 - 1_800..86_400).contains(&whole), "{whole}");
        assert_eq!((notice.sent_at, notice.error.as_deref()), (None, Some("no answer")));
        notice.sent(start);
        assert_eq!((notice.sent_at, notice.error), (Some(start), None));
    }
}
