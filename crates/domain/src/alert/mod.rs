//! Alerts: rules that an organization makes about its traffic, and what comes of them.

mod channel;
mod condition;
mod record;
mod state;

pub use channel::{Channel, MAX_EMAIL_BYTES, MAX_URL_BYTES, SecretUrl};
pub use condition::{
    Condition, Latency, Level, MARGIN, MAX_WINDOW, Of, Per, Percentile, Rejections, Unit,
};
pub use record::{Alert, GIVE_UP_AFTER, Notice, Subject};
pub use state::{State, Transition, step};

use std::time::Duration;

use crate::{
    clock::Timestamp,
    id::{AlertRuleId, OrganizationId},
};

/// Most rules of an organization.
pub const MAX_RULES: usize = 100;
/// Most channels of a rule.
pub const MAX_CHANNELS: usize = 10;
/// Most bytes of a rule's name.
pub const MAX_NAME_BYTES: usize = 256;
/// Longest that a condition may have to hold.
pub const MAX_HOLD: Duration = Duration::from_secs(86_400);
/// Most alerts of a rule that are open at a time. What comes on top is not fired: a list of a thousand
/// endpoints helps nobody.
pub const MAX_OPEN: usize = 100;

/// What somebody wants to hear of.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The environment.
    pub org: OrganizationId,
    /// Ours.
    pub id: AlertRuleId,
    /// For people.
    pub name: String,
    /// Whether it is looked at.
    pub enabled: bool,
    /// Of what.
    pub condition: Condition,
    /// How long it must be so before the rule fires, and be good again before that is over.
    pub hold: Duration,
    /// Who is told, and how. What is secret of them is sealed where it is stored.
    pub channels: Vec<Channel>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
