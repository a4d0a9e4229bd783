//! Tokens that we made, and tokens that are refused.

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    id::{OrganizationId, TokenId},
    page::{Page, PageRequest},
    token::{Actor, Revocation, Token},
};

use crate::Result;

/// Most uses that are written in one act.
pub const MOST_USES: usize = 1_000;

/// That a token was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenUse {
    /// The environment.
    pub org: OrganizationId,
    /// Which one. It need not have a row.
    pub id: TokenId,
    /// When, the last time.
    pub at: Timestamp,
}

/// Tokens and revocations.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// Adds the row of a token, and its audit row.
    async fn create_token(&self, actor: &Actor, token: Token) -> Result<()>;

    /// A page of an organization's tokens, by id: those of its applications too, and revoked ones until
    /// they would have ended by themselves.
    async fn list_tokens(
        &self,
        org: OrganizationId,
        page: PageRequest<TokenId>,
    ) -> Result<Page<Token>>;

    /// The row of a token.
    async fn token(&self, org: OrganizationId, token: TokenId) -> Result<Option<Token>>;

    /// Notes when tokens were last used: at most [`MOST_USES`]. A time never goes back; a token
    /// without a row is passed over.
    async fn note_token_uses(&self, uses: Vec<TokenUse>) -> Result<()>;

    /// Refuses tokens of an organization from now on, adds the audit row (which names `token` if one
    /// is meant), and counts the organization's version up. Another node may not know of it yet and
    /// let a token pass: a message that came with it was routed before this, and comes back as stale
    /// instead of being stored.
    async fn revoke(
        &self,
        actor: &Actor,
        org: OrganizationId,
        token: Option<TokenId>,
        revocation: Revocation,
    ) -> Result<()>;

    /// All revocations that are not forgotten at `now`: nodes keep them in memory.
    async fn revocations(&self, now: Timestamp) -> Result<Vec<Revocation>>;
}
