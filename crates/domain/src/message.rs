//! One event, as it was accepted. It never changes.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest;
use bytes::Bytes;

use crate::{
    clock::Timestamp,
    id::{ApplicationId, MessageId, OrganizationId},
    name::{Channel, EventTypeName, Tag, Uid},
};

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Posted by the product.
    Api,
    /// Received by a source.
    Source,
    /// Made by Hookwright itself: an operational webhook.
    Operational,
}

/// What is delivered: bytes, not JSON. JSON is the API's view of it.
#[derive(Clone, Debug)]
pub struct Body {
    /// As accepted, to the byte.
    pub bytes: Bytes,
    /// Sent as `content-type`.
    pub content_type: Arc<str>,
    /// Headers that came with it and go with it (chosen ones of received events).
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// See [`Body::hash`].
    hash: OnceLock<[u8; 16]>,
}

impl Body {
    /// What is sent as it is.
    pub fn new(bytes: Bytes, content_type: Arc<str>, headers: Vec<(Arc<str>, Arc<str>)>) -> Self {
        Self { bytes, content_type, headers, hash: OnceLock::new() }
    }

    /// A JSON text.
    pub fn json(bytes: Bytes) -> Self {
        Self::new(bytes, "application/json".into(), Vec::new())
    }

    /// First 16 bytes of the SHA-256 of the bytes: what an attempt says it sent. Computed once,
    /// however many endpoints it goes to.
    pub fn hash(&self) -> [u8; 16] {
        *self.hash.get_or_init(|| {
            let hash = digest::digest(&digest::SHA256, &self.bytes);
            hash.as_ref()[..16].try_into().expect("SHA-256 has 32 bytes")
        })
    }
}

impl PartialEq for Body {
    /// Whether its hash is known makes no difference.
    fn eq(&self, other: &Self) -> bool {
        (&self.bytes, &self.content_type, &self.headers)
            == (&other.bytes, &other.content_type, &other.headers)
    }
}

impl Eq for Body {}

/// One event of one application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The environment.
    pub org: OrganizationId,
    /// The customer it is about.
    pub app: ApplicationId,
    /// The same in every delivery and retry: what receivers de-duplicate by.
    pub id: MessageId,
    /// The caller's own id of the event.
    pub event_id: Option<Uid>,
    /// What kind of event.
    pub event_type: EventTypeName,
    /// Endpoints with channels get it only if they share one.
    pub channels: Vec<Channel>,
    /// To search by.
    pub tags: Vec<Tag>,
    /// `None` once its retention has passed or it was expunged.
    pub body: Option<Body>,
    /// Where it came from.
    pub origin: Origin,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Not before then.
    pub deliver_at: Option<Timestamp>,
    /// When the payload goes.
    pub expires_at: Timestamp,
}

impl Message {
    /// From when on it was to be sent.
    pub fn wanted_at(&self) -> Timestamp {
        self.deliver_at.map_or(self.created_at, |at| at.max(self.created_at))
    }
}
