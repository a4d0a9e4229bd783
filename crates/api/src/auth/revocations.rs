//! What is refused before its time, in memory: looked at on every request.

use std::collections::HashMap;

use domain::{
    clock::Timestamp,
    id::{ApplicationId, OrganizationId},
    token::{Revocation, Revoked, Scope, Token},
};

use super::Caller;

/// After how many new ones, at least, those that are over are looked for and dropped.
const PRUNE_AFTER: usize = 1_000;

/// All revocations in force.
#[derive(Default)]
pub(super) struct Revocations {
    tokens: HashMap<[u8; 32], Term>,
    applications: HashMap<(OrganizationId, ApplicationId), OfApplication>,
    /// Added since those that are over were dropped, and how many were left then.
    added: usize,
    left: usize,
}

/// Revocations of an application's tokens.
#[derive(Default)]
struct OfApplication {
    all: Terms,
    sessions: HashMap<String, Terms>,
}

/// Refuses tokens issued until `issued_until`, from `at` on.
#[derive(Clone, Copy)]
struct Term {
    issued_until: Timestamp,
    at: Timestamp,
    forget_at: Timestamp,
}

impl Term {
    /// Whether from `now` on it refuses all that `other` does.
    fn covers(&self, other: &Self, now: Timestamp) -> bool {
        self.issued_until >= other.issued_until && self.at.max(now) <= other.at.max(now)
    }
}

/// In the order in which they come into force; each refuses more tokens than the one before.
#[derive(Default)]
struct Terms(Vec<Term>);

impl Terms {
    fn has(&self, term: &Term, now: Timestamp) -> bool {
        self.0.iter().any(|known| known.covers(term, now) && known.forget_at >= term.forget_at)
    }

    fn add(&mut self, mut term: Term, now: Timestamp) {
        if let Some(known) = self.0.iter_mut().find(|known| known.covers(&term, now)) {
            known.forget_at = known.forget_at.max(term.forget_at);
            return;
        }
        self.0.retain(|known| {
            let covered = term.covers(known, now);
            if covered {
                term.forget_at = term.forget_at.max(known.forget_at);
            }
            !covered
        });
        let place = self.0.partition_point(|known| known.at <= term.at);
        self.0.insert(place, term);
    }

    fn refuse(&self, issued_at: Timestamp, now: Timestamp) -> bool {
        let in_force = self.0.partition_point(|term| term.at <= now);
        self.0[..in_force].last().is_some_and(|term| issued_at <= term.issued_until)
    }

    /// Drops those that are over; false if none is left.
    fn prune(&mut self, now: Timestamp) -> bool {
        self.0.retain(|term| term.forget_at > now);
        !self.0.is_empty()
    }
}

impl Revocations {
    /// Whether adding it would change nothing.
    pub(super) fn has(&self, revocation: &Revocation, now: Timestamp) -> bool {
        let Revocation { what, issued_until, at, forget_at } = revocation;
        let term = Term { issued_until: *issued_until, at: *at, forget_at: *forget_at };
        match what {
            Revoked::Token(hash) => self
                .tokens
                .get(hash)
                .is_some_and(|known| known.at <= term.at && known.forget_at >= term.forget_at),
            Revoked::Application(org, app) => {
                self.applications.get(&(*org, *app)).is_some_and(|app| app.all.has(&term, now))
            }
            Revoked::Session(org, app, session) => self
                .applications
                .get(&(*org, *app))
                .and_then(|app| app.sessions.get(session))
                .is_some_and(|terms| terms.has(&term, now)),
        }
    }

    pub(super) fn add(&mut self, revocation: Revocation, now: Timestamp) {
        self.added += 1;
        if self.added > self.left.max(PRUNE_AFTER) {
            self.prune(now);
        }
        let Revocation { what, issued_until, at, forget_at } = revocation;
        let term = Term { issued_until, at, forget_at };
        match what {
            Revoked::Token(hash) => {
                // Two nodes may have revoked it, by clocks that differ a little.
                let known = self.tokens.entry(hash).or_insert(term);
                known.at = known.at.min(term.at);
                known.forget_at = known.forget_at.max(term.forget_at);
            }
            Revoked::Application(org, app) => {
                self.applications.entry((org, app)).or_default().all.add(term, now);
            }
            Revoked::Session(org, app, session) => {
                let sessions = &mut self.applications.entry((org, app)).or_default().sessions;
                sessions.entry(session).or_default().add(term, now);
            }
        }
    }

    fn prune(&mut self, now: Timestamp) {
        self.tokens.retain(|_, term| term.forget_at > now);
        let mut left = self.tokens.len();
        self.applications.retain(|_, app| {
            app.sessions.retain(|_, terms| terms.prune(now));
            left += app.sessions.len() + 1;
            app.all.prune(now) || !app.sessions.is_empty()
        });
        (self.added, self.left) = (0, left);
    }

    /// Whether a caller's token is refused at `now`.
    pub(super) fn refuse(&self, caller: &Caller, now: Timestamp) -> bool {
        if self.token_has_ended(&caller.hash, now) {
            return true;
        }
        let Scope::Application { app, .. } = &caller.scope else { return false };
        let session = caller.session_id.as_deref();
        self.application_has_ended((caller.org, *app), session, caller.issued_at, now)
    }

    /// The same of a token by its row.
    pub(super) fn refuse_row(&self, token: &Token, now: Timestamp) -> bool {
        if token.hash.is_some_and(|hash| self.token_has_ended(&hash, now)) {
            return true;
        }
        let Some(app) = token.app else { return false };
        let session = token.session_id.as_deref();
        self.application_has_ended((token.org, app), session, token.id.timestamp(), now)
    }

    fn token_has_ended(&self, hash: &[u8; 32], now: Timestamp) -> bool {
        self.tokens.get(hash).is_some_and(|term| term.at <= now)
    }

    fn application_has_ended(
        &self,
        app: (OrganizationId, ApplicationId),
        session: Option<&str>,
        issued_at: Timestamp,
        now: Timestamp,
    ) -> bool {
        let Some(of_app) = self.applications.get(&app) else { return false };
        let session = session.and_then(|id| of_app.sessions.get(id));
        let terms = [Some(&of_app.all), session];
        terms.into_iter().flatten().any(|terms| terms.refuse(issued_at, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn each_token_ends_when_the_first_that_means_it_says_so() {
        // When it was asked for, and from when on it holds.
        let asked = [(10, 100), (20, 50), (30, 200), (40, 40), (40, 300), (60, 70)];
        let mut terms = Terms::default();
        let mut known = Vec::new();
        for (issued_until, from) in asked {
            let term = Term { issued_until: at(issued_until), at: at(from), forget_at: at(1_000) };
            terms.add(term, at(issued_until));
            assert!(terms.has(&term, at(issued_until)));
            known.push((issued_until, from));
            for issued in 0..80 {
                for now in issued_until..320 {
                    let wanted = known.iter().any(|(until, from)| issued <= *until && *from <= now);
                    assert_eq!(terms.refuse(at(issued), at(now)), wanted, "{issued} at {now}");
                }
            }
        }
        assert_eq!(terms.0.len(), 2, "what others cover is not kept");
        assert!(!terms.prune(at(1_000)));
    }

    #[test]
    fn a_token_that_two_revoked_ends_with_the_first() {
        let revocation = |from, forgotten| Revocation {
            what: Revoked::Token([7; 32]),
            issued_until: at(0),
            at: at(from),
            forget_at: at(forgotten),
        };
        let mut known = Revocations::default();
        for (from, forgotten, is_new) in
            [(10, 100, true), (20, 90, false), (20, 200, true), (5, 50, true), (10, 100, false)]
        {
            let revocation = revocation(from, forgotten);
            assert_eq!(known.has(&revocation, at(1)), !is_new, "{from} to {forgotten}");
            known.add(revocation.clone(), at(1));
            assert!(known.has(&revocation, at(1)));
        }
        let term = known.tokens[&[7; 32]];
        assert_eq!((term.at, term.forget_at), (at(5), at(200)));
    }
}
