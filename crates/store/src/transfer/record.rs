//! What is moved, in the words of the domain.

use std::{collections::BTreeMap, sync::Arc};

use domain::{
    alert::{Alert, Rule},
    analytics::{Rollup, Unit},
    application::Application,
    attempt::Attempt,
    claim::ClaimKey,
    clock::Timestamp,
    endpoint::Endpoint,
    event_type::EventType,
    id::{ApplicationId, AttemptId, EndpointId, MessageId, OrganizationId},
    message::Message,
    name::EventTypeName,
    organization::{Organization, OrganizationSettings},
    task::Task,
    token::{Revocation, Token},
};
use serde::{Deserialize, Serialize};

use crate::{
    codec::Encoded,
    history::DeliveryRecord,
    publish::{Claim, SavedResponse},
};

/// A kind of record, in the order in which they are moved: each one names only what came before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "see `Record`")]
pub enum Part {
    Organizations,
    Applications,
    Endpoints,
    PastHeaders,
    EventTypes,
    Messages,
    Deliveries,
    Attempts,
    Claims,
    Responses,
    Tokens,
    Revocations,
    Tasks,
    AlertRules,
    Alerts,
    Audit,
    Rollups,
}

impl Part {
    /// All of them, in order.
    pub const ALL: [Self; 17] = [
        Self::Organizations,
        Self::Applications,
        Self::Endpoints,
        Self::PastHeaders,
        Self::EventTypes,
        Self::Messages,
        Self::Deliveries,
        Self::Attempts,
        Self::Claims,
        Self::Responses,
        Self::Tokens,
        Self::Revocations,
        Self::Tasks,
        Self::AlertRules,
        Self::Alerts,
        Self::Audit,
        Self::Rollups,
    ];

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Organizations => "organizations",
            Self::Applications => "applications",
            Self::Endpoints => "endpoints",
            Self::PastHeaders => "past headers",
            Self::EventTypes => "event types",
            Self::Messages => "messages",
            Self::Deliveries => "deliveries",
            Self::Attempts => "attempts",
            Self::Claims => "claims",
            Self::Responses => "saved answers",
            Self::Tokens => "tokens",
            Self::Revocations => "revocations",
            Self::Tasks => "tasks",
            Self::AlertRules => "alert rules",
            Self::Alerts => "alerts",
            Self::Audit => "audit rows",
            Self::Rollups => "counts by time",
        }
    }

    /// The one that comes behind it.
    pub fn next(self) -> Option<Self> {
        Self::ALL.into_iter().find(|part| *part > self)
    }
}

/// One record, with all that is known of it. What is said of a store's own alone (its numbers, its
/// counters, when it wrote something) is not in it.
pub enum Record {
    /// Its settings. One that has nothing of its own has no record: see [`is_blank`].
    Organization {
        /// Which, and its settings.
        organization: Organization,
        /// Of its settings and event types.
        version: u64,
    },
    /// An application, deleted or not: history names both.
    Application {
        /// As it is or was.
        application: Application,
        /// When it was deleted, if it was.
        deleted_at: Option<Timestamp>,
        /// Of it and its endpoints.
        version: u64,
    },
    /// An endpoint with its secrets, deleted or not.
    Endpoint {
        /// As it is or was.
        endpoint: Endpoint,
        /// When it was deleted, if it was.
        deleted_at: Option<Timestamp>,
    },
    /// An endpoint's headers at a revision that is past.
    PastHeaders(MovedHeaders),
    /// An event type, archived or not.
    EventType(EventType),
    /// A message.
    Message(MovedMessage),
    /// A delivery, pending or ended.
    Delivery(MovedDelivery),
    /// An attempt.
    Attempt(Attempt),
    /// What a key is claimed for; it may have expired.
    Claim {
        /// Whose key.
        org: OrganizationId,
        /// The key, and until when.
        claim: Claim,
        /// For this one.
        message: MessageId,
    },
    /// A saved answer, opened.
    Response {
        /// Whose key.
        org: OrganizationId,
        /// The key.
        key: ClaimKey,
        /// What was answered.
        response: SavedResponse,
        /// Until when it is remembered.
        expires_at: Timestamp,
    },
    /// A token.
    Token(Token),
    /// A revocation.
    Revocation(Revocation),
    /// A task.
    Task(Task),
    /// An alert rule with its channels.
    AlertRule(Rule),
    /// An alert, over or not.
    Alert(Alert),
    /// Who did what.
    Audit(AuditRow),
    /// Counts of an endpoint and event type. Sums of them have no records.
    Rollup(MovedRollup),
    /// How far counting has come: the last record of rollups.
    Counted(MovedMarks),
}

/// An endpoint's headers at a revision that is past, opened.
pub struct MovedHeaders {
    /// The environment.
    pub org: OrganizationId,
    /// The customer.
    pub app: ApplicationId,
    /// Whose.
    pub endpoint: EndpointId,
    /// Of which revision.
    pub revision: u32,
    /// The headers.
    pub headers: BTreeMap<String, String>,
    /// When the revision ended.
    pub replaced_at: Timestamp,
}

/// A message, and what belongs to its row.
pub struct MovedMessage {
    /// Its own body is not used.
    pub message: Message,
    /// `None` once it is gone: nobody can tell by then whether it expired or was expunged.
    pub body: Option<MovedBody>,
    /// To how many endpoints it was routed.
    pub routed: u32,
    /// All that it ever went to, in that order.
    pub endpoints: Vec<EndpointId>,
}

/// A body, packed as stores keep it.
pub struct MovedBody {
    /// The bytes.
    pub packed: Encoded,
    /// See [`domain::message::Body`].
    pub content_type: Arc<str>,
    /// See [`domain::message::Body`].
    pub headers: Vec<(Arc<str>, Arc<str>)>,
}

/// A delivery, and what belongs to its rows.
pub struct MovedDelivery {
    /// The environment.
    pub org: OrganizationId,
    /// The customer.
    pub app: ApplicationId,
    /// How it stands.
    pub record: DeliveryRecord,
    /// Its attempts, superseded ones too, in the order in which they were settled.
    pub attempts: Vec<AttemptId>,
    /// Of the work that remains, beside what the record says of it; `None` once it has ended.
    pub give_up_at: Option<Timestamp>,
}

/// A rollup, and what it is of.
pub struct MovedRollup {
    /// The environment.
    pub org: OrganizationId,
    /// The customer.
    pub app: ApplicationId,
    /// How much time it spans.
    pub unit: Unit,
    /// From when on.
    pub at: Timestamp,
    /// `None` if it is of messages.
    pub endpoint: Option<EndpointId>,
    /// `None` if it is of what never became an event.
    pub event_type: Option<EventTypeName>,
    /// What was counted.
    pub rollup: Rollup,
}

/// Up to when rollups say all there is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MovedMarks {
    /// Messages and attempts of this time or later are all there, and were all counted.
    pub since: Timestamp,
    /// Attempts are counted in all minutes before this one, and messages in all.
    pub counted: Timestamp,
    /// Quarters before this are complete.
    pub quarters: Timestamp,
    /// Days before this are complete.
    pub days: Timestamp,
}

/// A row of the audit.
pub struct AuditRow {
    /// Of which environment.
    pub org: OrganizationId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// To what.
    pub target: String,
    /// JSON text.
    pub detail: String,
}

impl Record {
    /// About how many bytes it is worth.
    pub fn bytes(&self) -> usize {
        let more = match self {
            Self::Message(message) => {
                message.body.as_ref().map_or(0, |body| body.packed.bytes.len())
            }
            Self::Attempt(attempt) => attempt.outcome.response.len(),
            Self::Response { response, .. } => response.body.len(),
            Self::PastHeaders(past) => {
                past.headers.iter().map(|(name, value)| name.len() + value.len()).sum()
            }
            _ => 0,
        };
        RECORD_BYTES + more
    }
}

/// What a record is worth beside what may be large of it.
const RECORD_BYTES: usize = 256;

/// Whether an organization is as one that no store has heard of: its row, if there is one, only stands
/// for its id.
pub fn is_blank(settings: &OrganizationSettings, version: u64) -> bool {
    version == 0 && *settings == OrganizationSettings::default()
}
