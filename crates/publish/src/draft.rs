//! Messages as they are asked for, and what becomes of them.

use std::{sync::Arc, time::Duration};

use domain::{
    claim::ClaimKey,
    clock::Timestamp,
    id::EndpointId,
    message::{Body, Message, Origin},
    name::{Channel, EventTypeName, Tag, Uid},
};
use store::StoreError;

/// A message as it is asked for.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What kind of event.
    pub event_type: EventTypeName,
    /// The caller's id of it.
    pub event_id: Option<Uid>,
    /// How long no other message may have that id; `None` as long as the payload is kept, and a day at
    /// least.
    pub event_id_window: Option<Duration>,
    /// See [`Message`].
    pub channels: Vec<Channel>,
    /// See [`Message`].
    pub tags: Vec<Tag>,
    /// What is delivered.
    pub body: Body,
    /// Not before then.
    pub deliver_at: Option<Timestamp>,
    /// How long the payload is kept; `None` as configured.
    pub retention: Option<Duration>,
    /// Where it came from.
    pub origin: Origin,
    /// Of the request's idempotency key.
    pub idempotency: Option<DraftClaim>,
    /// Only to this endpoint, whatever its filters say.
    pub only: Option<EndpointId>,
}

/// An idempotency key's claim.
#[derive(Clone, Copy, Debug)]
pub struct DraftClaim {
    /// Its key.
    pub key: ClaimKey,
    /// How long it holds.
    pub ttl: Duration,
}

/// A message that is on stable storage.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// As stored.
    pub message: Arc<Message>,
    /// The request had been made before: this is what it made.
    pub repeated: bool,
}

/// Why one message was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// Its event id is taken.
    EventIdTaken,
    /// Its payload does not match the event type's schema: what is wrong, a line each.
    Schema(Vec<String>),
    /// The application has too much pending.
    OverQuota,
    /// `only` names an endpoint that is not there.
    NoSuchEndpoint,
    /// The application is gone.
    NoSuchApplication,
    /// The caller's right has ended, when others of the same request were stored already.
    Revoked,
    /// The store could not, or could not tell, when others of the same request were stored already.
    Store(StoreError),
}

/// Why nothing was accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// There is no such application.
    #[error("there is no such application")]
    NotFound,
    /// The caller's right has ended.
    #[error("the right to publish was revoked")]
    Revoked,
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<PublishError> for Rejected {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::NotFound => Self::NoSuchApplication,
            PublishError::Revoked => Self::Revoked,
            PublishError::Store(error) => Self::Store(error),
        }
    }
}
