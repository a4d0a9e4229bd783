//! Tokens and revocations.

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    id::OrganizationId,
    token::{Revocation, Token},
};
use store::{Result, Tokens};

use crate::MemoryStore;

#[async_trait]
impl Tokens for MemoryStore {
    async fn create_token(&self, token: Token) -> Result<()> {
        self.act(|state| {
            state.tokens.insert(token.id, token);
        })
    }

    async fn revoke(&self, org: OrganizationId, revocation: Revocation) -> Result<()> {
        self.act(|state| {
            state.revocations.push(revocation);
            state.org_changed(org);
        })
    }

    async fn revocations(&self, now: Timestamp) -> Result<Vec<Revocation>> {
        self.act(|state| state.revocations.iter().filter(|r| r.forget_at > now).cloned().collect())
    }
}
