//! What is refused before its time, in memory: looked at on every request.

use std::collections::HashMap;

use domain::{
    clock::Timestamp,
    id::{ApplicationId, OrganizationId},
    token::{Revocation, Revoked, Scope},
};

use super::Caller;

/// All revocations in force.
#[derive(Default)]
pub(super) struct Revocations {
    tokens: HashMap<[u8; 32], Revocation>,
    applications: HashMap<(OrganizationId, ApplicationId), Vec<Revocation>>,
    /// How many there are; when it reaches `prune_at`, what is over is dropped.
    count: usize,
    prune_at: usize,
}

impl Revocations {
    pub(super) fn add(&mut self, revocation: Revocation, now: Timestamp) {
        if self.count >= self.prune_at.max(1_000) {
            self.tokens.retain(|_, r| r.forget_at > now);
            for list in self.applications.values_mut() {
                list.retain(|r| r.forget_at > now);
            }
            self.applications.retain(|_, list| !list.is_empty());
            self.count =
                self.tokens.len() + self.applications.values().map(Vec::len).sum::<usize>();
            self.prune_at = self.count * 2;
        }
        self.count += 1;
        match &revocation.what {
            Revoked::Token(hash) => {
                self.tokens.insert(*hash, revocation);
            }
            Revoked::Application(org, app) | Revoked::Session(org, app, _) => {
                let list = self.applications.entry((*org, *app)).or_default();
                // Of two that are in force the later one refuses all that the earlier one does.
                let replaced = list
                    .iter_mut()
                    .find(|r| r.what == revocation.what && r.at <= now && revocation.at <= now);
                match replaced {
                    Some(r) => {
                        r.at = r.at.max(revocation.at);
                        r.forget_at = r.forget_at.max(revocation.forget_at);
                        self.count -= 1;
                    }
                    None => list.push(revocation),
                }
            }
        }
    }

    /// Whether a caller's token is refused at `now`.
    pub(super) fn refuse(&self, caller: &Caller, now: Timestamp) -> bool {
        if self.tokens.get(&caller.hash).is_some_and(|r| r.at <= now) {
            return true;
        }
        let Scope::Application { app, .. } = &caller.scope else { return false };
        let Some(list) = self.applications.get(&(caller.org, *app)) else { return false };
        list.iter().any(|r| {
            let meant = match &r.what {
                Revoked::Session(_, _, session) => caller.session_id.as_ref() == Some(session),
                _ => true,
            };
            meant && r.at <= now && caller.issued_at <= r.at
        })
    }
}
