//! Tokens that we made, and tokens that are refused.

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    token::{Revocation, Token},
};

use crate::Result;

/// Tokens and revocations.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// Adds the row of a token.
    async fn create_token(&self, token: Token) -> Result<()>;

    /// Refuses tokens from now on.
    async fn revoke(&self, revocation: Revocation) -> Result<()>;

    /// All revocations that are not forgotten at `now`: nodes keep them in memory.
    async fn revocations(&self, now: Timestamp) -> Result<Vec<Revocation>>;
}
