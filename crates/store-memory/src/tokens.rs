//! Tokens and revocations.

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    id::{OrganizationId, TokenId},
    page::{Page, PageRequest},
    token::{Actor, Revocation, Token},
};
use store::{Result, Tokens, audit, tokens::TokenUse};

use crate::{MemoryStore, audit::Deed, page::page};

#[async_trait]
impl Tokens for MemoryStore {
    async fn create_token(&self, actor: &Actor, token: Token) -> Result<()> {
        let detail = audit::of_token(&token);
        let deed = Deed::new(token.org, actor, "token.create", token.id, detail);
        let now = self.clock.now();
        self.act(|state| {
            state.tokens.insert((token.org, token.id), token);
            state.audit(deed, now);
        })
    }

    async fn list_tokens(
        &self,
        org: OrganizationId,
        request: PageRequest<TokenId>,
    ) -> Result<Page<Token>> {
        self.act(|state| {
            let rows = state.tokens.iter().filter(|((of, _), _)| *of == org);
            page(&request, rows.map(|((_, id), token)| (*id, token))).map(Token::clone)
        })
    }

    async fn token(&self, org: OrganizationId, token: TokenId) -> Result<Option<Token>> {
        self.act(|state| state.tokens.get(&(org, token)).cloned())
    }

    async fn note_token_uses(&self, uses: Vec<TokenUse>) -> Result<()> {
        self.act(|state| {
            for TokenUse { org, id, at } in uses {
                if let Some(token) = state.tokens.get_mut(&(org, id)) {
                    token.last_used_at = token.last_used_at.max(Some(at));
                }
            }
        })
    }

    async fn revoke(
        &self,
        actor: &Actor,
        org: OrganizationId,
        token: Option<TokenId>,
        revocation: Revocation,
    ) -> Result<()> {
        let (target, detail) = audit::of_revocation(token, &revocation);
        let deed = Deed::new(org, actor, "token.revoke", target, detail);
        let now = self.clock.now();
        self.act(|state| {
            state.revocations.push(revocation);
            state.org_changed(org);
            state.audit(deed, now);
        })
    }

    async fn revocations(&self, now: Timestamp) -> Result<Vec<Revocation>> {
        self.act(|state| state.revocations.iter().filter(|r| r.forget_at > now).cloned().collect())
    }
}
