//! What was sent and what came of it.

use async_trait::async_trait;
use bytes::Bytes;
use domain::{
    attempt::Attempt,
    clock::Timestamp,
    delivery::{Cause, EndState, Trigger},
    id::{ApplicationId, AttemptId, DeliveryId, EndpointId, MessageId, OrganizationId},
    message::Message,
    name::{Channel, EventTypeName, Ref, Tag},
    page::{Page, PageRequest},
};

pub use domain::standing::Status;

use crate::Result;

/// Which application's history: leads every query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tenant {
    /// The environment.
    pub org: OrganizationId,
    /// The customer.
    pub app: ApplicationId,
}

/// Which messages. Bounds are exclusive, by the id's time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// Older than.
    pub before: Option<Timestamp>,
    /// Newer than.
    pub after: Option<Timestamp>,
    /// With this channel.
    pub channel: Option<Channel>,
    /// With this tag.
    pub tag: Option<Tag>,
    /// Of one of these types.
    pub event_types: Option<Vec<EventTypeName>>,
}

/// Which attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptFilter {
    /// What their messages must meet. `before` and `after` bound the attempt's id.
    pub message: MessageFilter,
    /// `Success` or `Fail`; others match nothing.
    pub status: Option<Status>,
    /// 0 (no status), 100, 200, 300, 400 or 500.
    pub status_code_class: Option<u16>,
    /// Only to this endpoint (for lists by message).
    pub endpoint: Option<EndpointId>,
}

/// Work on a delivery, done or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// Which.
    pub id: DeliveryId,
    /// Of what.
    pub message: MessageId,
    /// Where to.
    pub endpoint: EndpointId,
    /// Why.
    pub trigger: Trigger,
    /// Tries so far.
    pub attempts: u16,
    /// The next try; `None` when it has ended.
    pub next_attempt: Option<Timestamp>,
    /// How and why it ended; `None` while work remains.
    pub end: Option<(EndState, Cause)>,
    /// The status of the last attempt; `None` if there was none yet or it got no answer.
    pub last_status_code: Option<u16>,
    /// When it ended; for one that a settle ends without an attempt, when its next try was due.
    pub ended_at: Option<Timestamp>,
}

impl DeliveryRecord {
    /// How it stands.
    pub fn status(&self) -> Status {
        match self.end {
            Some((EndState::Succeeded, _)) => Status::Success,
            Some((EndState::Exhausted, _)) => Status::Fail,
            Some((EndState::Cancelled, _)) => Status::Canceled,
            None if self.attempts == 0 => Status::Pending,
            None => Status::Sending,
        }
    }
}

/// How one message stands at one endpoint, over all its deliveries there: success if any arrived,
/// else what the automatic one says.
pub fn combined(records: &[DeliveryRecord]) -> Option<(Status, Option<Timestamp>)> {
    let succeeded = records.iter().any(|r| r.status() == Status::Success);
    if succeeded {
        return Some((Status::Success, None));
    }
    let lead = records
        .iter()
        .find(|r| r.trigger == Trigger::Automatic)
        .or_else(|| records.iter().max_by_key(|r| r.id))?;
    Some((lead.status(), lead.next_attempt))
}

/// A message as one endpoint sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointMessage {
    /// What.
    pub message: Message,
    /// How it stands there.
    pub status: Status,
    /// The next try.
    pub next_attempt: Option<Timestamp>,
}

/// An endpoint as one message sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageEndpoint {
    /// Which.
    pub endpoint: EndpointId,
    /// How the message stands there.
    pub status: Status,
    /// The next try.
    pub next_attempt: Option<Timestamp>,
}

/// Attempts of an endpoint, counted by their status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointCounts {
    /// That succeeded.
    pub success: u64,
    /// That failed.
    pub fail: u64,
    /// Deliveries not tried yet.
    pub pending: u64,
    /// Deliveries that wait for another try.
    pub sending: u64,
}

/// Most bytes of bodies or responses in a page; the one that reaches this is its last.
pub const MOST_PAGE_BYTES: usize = 16 << 20;

/// Reading what happened. Lists are newest first unless said otherwise, look at a bounded number of
/// rows per call and end at [`MOST_PAGE_BYTES`]: a page may be short, or empty, and not `done`. Then it
/// says how far it has looked.
#[async_trait]
pub trait History: Send + Sync {
    /// Messages of an application. `with_body` reads payloads too.
    async fn messages(
        &self,
        tenant: Tenant,
        filter: MessageFilter,
        page: PageRequest<MessageId>,
        with_body: bool,
    ) -> Result<Page<Message>>;

    /// One message with its body, by id, or the newest one of an event id.
    async fn message(&self, tenant: Tenant, message: &Ref<MessageId>) -> Result<Option<Message>>;

    /// Messages by id, in no order; unknown ones are left out.
    async fn messages_by_id(
        &self,
        tenant: Tenant,
        ids: Vec<MessageId>,
        with_body: bool,
    ) -> Result<Vec<Message>>;

    /// Attempts at one endpoint.
    async fn attempts_by_endpoint(
        &self,
        tenant: Tenant,
        endpoint: EndpointId,
        filter: AttemptFilter,
        page: PageRequest<AttemptId>,
    ) -> Result<Page<Attempt>>;

    /// Attempts of one message.
    async fn attempts_by_message(
        &self,
        tenant: Tenant,
        message: MessageId,
        filter: AttemptFilter,
        page: PageRequest<AttemptId>,
    ) -> Result<Page<Attempt>>;

    /// One attempt of a message.
    async fn attempt(
        &self,
        tenant: Tenant,
        message: MessageId,
        attempt: AttemptId,
    ) -> Result<Option<Attempt>>;

    /// Messages that were sent, or are to be sent, to one endpoint, and stand there in one of these
    /// ways (all if empty).
    async fn endpoint_messages(
        &self,
        tenant: Tenant,
        endpoint: EndpointId,
        filter: MessageFilter,
        statuses: Vec<Status>,
        page: PageRequest<MessageId>,
        with_body: bool,
    ) -> Result<Page<EndpointMessage>>;

    /// Endpoints that one message was sent, or is to be sent, to; by endpoint id, ascending.
    async fn message_endpoints(
        &self,
        tenant: Tenant,
        message: MessageId,
        page: PageRequest<EndpointId>,
    ) -> Result<Page<MessageEndpoint>>;

    /// All deliveries of some messages to one endpoint: of each message, oldest first by id.
    async fn delivery_records(
        &self,
        tenant: Tenant,
        messages: Vec<MessageId>,
        endpoint: EndpointId,
    ) -> Result<Vec<DeliveryRecord>>;

    /// Counts an endpoint's attempts that began in `[since, until)`, as exactly as their ids tell the
    /// time, and what is pending now. Looks a page at a time; `TooLong` if it comes to no end.
    async fn endpoint_counts(
        &self,
        tenant: Tenant,
        endpoint: EndpointId,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<EndpointCounts>;

    /// Messages with a failed attempt at the endpoint in `[since, until)`, of which none ever arrived
    /// there and no resend or replay is on its way; in the order of the first such attempt, from behind
    /// `after` on, each once, at most `limit`. For recovery. The second value is where to go on: `None`
    /// at the end.
    async fn failed_messages(
        &self,
        tenant: Tenant,
        endpoint: EndpointId,
        range: (Timestamp, Timestamp),
        after: Option<AttemptId>,
        limit: usize,
    ) -> Result<(Vec<MessageId>, Option<AttemptId>)>;

    /// Removes a message's payload. Pending deliveries of it end as cancelled (`Expunged`). False if
    /// there is no such message; true again if it had been done before.
    async fn expunge_message(
        &self,
        tenant: Tenant,
        message: MessageId,
        now: Timestamp,
    ) -> Result<bool>;

    /// Removes an attempt's response. False if there is no such attempt.
    async fn expunge_attempt(
        &self,
        tenant: Tenant,
        message: MessageId,
        attempt: AttemptId,
    ) -> Result<bool>;
}

/// What stands in place of a response that was removed.
pub const EXPUNGED_RESPONSE: Bytes = Bytes::from_static(b"EXPUNGED");
