//! Who changed what.

use std::fmt::Display;

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    id::{AuditId, OrganizationId},
    page::{Page, PageRequest},
    token::Actor,
};
use serde_json::Value;
use store::{
    Audit, Result,
    audit::{AuditEntry, AuditRange, actor_name},
};

use crate::{MemoryStore, page::page, state::State};

/// What a write leaves on the log, once it is done.
pub(crate) struct Deed {
    org: OrganizationId,
    actor: String,
    action: &'static str,
    target: String,
    detail: Value,
}

impl Deed {
    pub(crate) fn new(
        org: OrganizationId,
        actor: &Actor,
        action: &'static str,
        target: impl Display,
        detail: Value,
    ) -> Self {
        Self { org, actor: actor_name(actor), action, target: target.to_string(), detail }
    }

    /// Does it, and adds the row unless it is refused.
    pub(crate) fn done<E>(
        self,
        state: &mut State,
        now: Timestamp,
        act: impl FnOnce(&mut State) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        act(state)?;
        state.audit(self, now);
        Ok(())
    }
}

impl State {
    /// Adds a row.
    pub(crate) fn audit(&mut self, deed: Deed, now: Timestamp) {
        // By time, and then in the order in which they came.
        self.audited += 1;
        let mut raw = *AuditId::floor(now).raw();
        raw[12..].copy_from_slice(&self.audited.to_be_bytes());
        let id = AuditId::from_raw(raw);
        let Deed { org, actor, action, target, detail } = deed;
        let (action, detail) = (action.to_owned(), detail.to_string());
        let entry = AuditEntry { id, at: now, actor, action, target, detail };
        self.audit.insert((org, id), entry);
    }
}

impl MemoryStore {
    /// A write that is on the log unless it is refused.
    pub(crate) fn change<E>(
        &self,
        deed: Deed,
        act: impl FnOnce(&mut State) -> std::result::Result<(), E>,
    ) -> Result<std::result::Result<(), E>> {
        let now = self.clock.now();
        self.act(|state| deed.done(state, now, act))
    }
}

#[async_trait]
impl Audit for MemoryStore {
    async fn audit_log(
        &self,
        org: OrganizationId,
        range: AuditRange,
        request: PageRequest<AuditId>,
    ) -> Result<Page<AuditEntry>> {
        self.act(|state| {
            let rows =
                state.audit.iter().filter(|((of, _), row)| *of == org && range.holds(row.at));
            page(&request, rows.map(|((_, id), row)| (*id, row))).map(AuditEntry::clone)
        })
    }
}
