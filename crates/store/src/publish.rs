//! The one way in: message, deliveries and claims in one act.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    claim::ClaimKey,
    clock::Timestamp,
    delivery::Delivery,
    id::{MessageId, OrganizationId},
    message::Message,
};

use crate::{Result, catalog::Versions};

/// A claim on a key of the message's organization until a moment; whoever comes second learns the first
/// one's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What is claimed.
    pub key: ClaimKey,
    /// Until when.
    pub expires_at: Timestamp,
}

/// A message to store, with what it was routed to.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// With its body.
    pub message: Arc<Message>,
    /// One for each endpoint it goes to.
    pub deliveries: Vec<Delivery>,
    /// Of the catalogue it was routed with.
    pub versions: Versions,
    /// Of the request's idempotency key.
    pub idempotency: Option<Claim>,
    /// Of the message's event id.
    pub event_id: Option<Claim>,
    /// Most deliveries of the application that may be pending with these; `None` is no limit.
    pub max_pending: Option<u64>,
}

/// What became of one message: the first of these that applies, in the order `Stored` (before, by a
/// call whose answer was lost), `NotFound`, `Repeated`, `EventIdTaken`, `Stale`, `OverQuota`, `Stored`.
/// A message that is not stored leaves nothing behind, no claim either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// Stored, with all its deliveries, on stable storage.
    Stored,
    /// Its idempotency key was used before, for this message.
    Repeated(MessageId),
    /// Its event id is taken by this message.
    EventIdTaken(MessageId),
    /// The catalogue has changed since: route again.
    Stale,
    /// The application is gone.
    NotFound,
    /// The application has too much pending.
    OverQuota,
}

/// Accepting messages.
#[async_trait]
pub trait Publish: Send + Sync {
    /// Stores messages, each with its deliveries and claims in one act, and answers after they are on
    /// stable storage. One result per message, in order; each sees what those before it left. A
    /// claim's loser is answered after the winner's commit. A claim has expired for a message that
    /// was created at or after its `expires_at`.
    async fn publish(&self, messages: Vec<NewMessage>) -> Result<Vec<Published>>;

    /// Adds deliveries of a message that is stored already: resends and replays. One whose message is
    /// gone is left out; one that is on record already stays as it is. All are of one application:
    /// false, and none added, if it would have more than `max_pending` deliveries pending with these.
    async fn enqueue(&self, deliveries: Vec<Delivery>, max_pending: Option<u64>) -> Result<bool>;

    /// What a key was claimed for, if it was and has not expired: not at `expires_at` any more.
    async fn claimed(
        &self,
        org: OrganizationId,
        key: ClaimKey,
        now: Timestamp,
    ) -> Result<Option<MessageId>>;

    /// Remembers an answer to a request with an idempotency key that made no message. The first one
    /// stays.
    async fn save_response(
        &self,
        org: OrganizationId,
        key: ClaimKey,
        response: SavedResponse,
        expires_at: Timestamp,
    ) -> Result<()>;

    /// The answer that was remembered.
    async fn saved_response(
        &self,
        org: OrganizationId,
        key: ClaimKey,
        now: Timestamp,
    ) -> Result<Option<SavedResponse>>;
}

/// An answer, to be given again to a repeated request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedResponse {
    /// HTTP status.
    pub status: u16,
    /// JSON text, sealed by the store.
    pub body: Vec<u8>,
}
