//! Tokens that we made, and tokens that are refused.

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    id::OrganizationId,
    token::{Revocation, Token},
};

use crate::Result;

/// Tokens and revocations.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// Adds the row of a token.
    async fn create_token(&self, token: Token) -> Result<()>;

    /// Refuses tokens of an organization from now on, and counts its version up. Another node may not
    /// know of it yet and let a token pass: a message that came with it was routed before this, and
    /// comes back as stale instead of being stored.
    async fn revoke(&self, org: OrganizationId, revocation: Revocation) -> Result<()>;

    /// All revocations that are not forgotten at `now`: nodes keep them in memory.
    async fn revocations(&self, now: Timestamp) -> Result<Vec<Revocation>>;
}
