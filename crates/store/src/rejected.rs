//! Requests that a source refused: kept for a short time, for whoever wants to see what is wrong with a
//! provider's configuration. They are no messages, and no promise rests on them.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use domain::{
    clock::Timestamp,
    id::{ApplicationId, OrganizationId, RejectedId},
    page::{Page, PageRequest},
};

use crate::{Result, history::Tenant};

/// Most that are kept of an application; the oldest go when more come.
pub const MOST_REJECTED: usize = 1_000;
/// Most bytes of a [`RejectedRequest::reason`].
pub const MAX_REASON_BYTES: usize = 256;
/// Most bytes of a [`RejectedRequest::url`].
pub const MAX_URL_BYTES: usize = 2 << 10;
/// Most bytes of [`RejectedRequest::headers`], names and values together.
pub const MAX_HEADERS_BYTES: usize = 16 << 10;
/// Most bytes of a [`RejectedRequest::body`].
pub const MAX_BODY_BYTES: usize = 64 << 10;

/// A request that a source refused. Whoever keeps it has cut it to its bounds and taken out what is
/// known to be secret. What the provider sent may still hold secrets, so that it is sealed where it is
/// stored: see [`crate::sealed::seal_rejected`].
#[derive(Clone, PartialEq, Eq)]
pub struct RejectedRequest {
    /// The environment.
    pub org: OrganizationId,
    /// The source's application.
    pub app: ApplicationId,
    /// Of the moment when it came.
    pub id: RejectedId,
    /// When it came.
    pub at: Timestamp,
    /// What it was answered.
    pub status: u16,
    /// Why it was refused, for people: up to [`MAX_REASON_BYTES`].
    pub reason: String,
    /// Of HTTP.
    pub method: String,
    /// Path and query without the token: up to [`MAX_URL_BYTES`].
    pub url: String,
    /// Without credentials: up to [`MAX_HEADERS_BYTES`].
    pub headers: Vec<(String, String)>,
    /// Its first bytes, up to [`MAX_BODY_BYTES`].
    pub body: Bytes,
    /// How long the body was, as far as it was read.
    pub body_bytes: u64,
    /// When it goes.
    pub expires_at: Timestamp,
}

impl fmt::Debug for RejectedRequest {
    /// Which one it is, and nothing that the provider sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RejectedRequest")
            .field("app", &self.app)
            .field("id", &self.id)
            .field("status", &self.status)
            .field("reason", &self.reason)
            .field("body_bytes", &self.body_bytes)
            .finish_non_exhaustive()
    }
}

/// What is kept of a [`RejectedRequest`] beside what is sealed of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "see `RejectedRequest`")]
pub struct RejectedRow {
    pub org: OrganizationId,
    pub app: ApplicationId,
    pub id: RejectedId,
    pub at: Timestamp,
    pub status: u16,
    pub body_bytes: u64,
    pub expires_at: Timestamp,
}

impl RejectedRow {
    /// Of a request.
    pub fn of(request: &RejectedRequest) -> Self {
        let RejectedRequest { org, app, id, at, status, body_bytes, expires_at, .. } = *request;
        Self { org, app, id, at, status, body_bytes, expires_at }
    }
}

/// Refused requests. They go when they expire, when [`MOST_REJECTED`] newer ones have come, and with
/// their application.
#[async_trait]
pub trait Rejected: Send + Sync {
    /// Keeps some, in one act. Those of an application that is not there are left out, and one that is
    /// kept already stays as it is. A crash may lose what was kept a moment before. Like any new work it
    /// is refused when there is no room.
    async fn keep_rejected(&self, requests: Vec<RejectedRequest>) -> Result<()>;

    /// A page of an application's, by id: the newest first in descending order. Each of them may be as
    /// large as its bounds allow (some 85 KiB).
    async fn list_rejected(
        &self,
        tenant: Tenant,
        page: PageRequest<RejectedId>,
    ) -> Result<Page<RejectedRequest>>;

    /// One of them.
    async fn rejected(&self, tenant: Tenant, id: RejectedId) -> Result<Option<RejectedRequest>>;
}
