//! A request to publish, on its way: what is left of it, and what became of the rest.

use domain::{
    id::{ApplicationId, OrganizationId},
    name::Ref,
};
use store::StoreError;

use crate::{
    draft::{Accepted, Draft, PublishError, Rejected},
    permit::Permit,
};

/// Messages with their places in the request.
pub(crate) type Placed = Vec<(usize, Draft)>;

/// Which parts of the catalogue are not older than the request.
#[derive(Clone, Copy)]
pub(crate) struct Exact {
    pub(crate) application: bool,
    pub(crate) organization: bool,
}

/// A request on its way.
pub(crate) struct Request<'a> {
    pub(crate) org: OrganizationId,
    pub(crate) app: &'a Ref<ApplicationId>,
    pub(crate) permit: &'a dyn Permit,
    /// As they have to be in the next round.
    pub(crate) exact: Exact,
    /// What is not dealt with yet.
    pub(crate) left: Placed,
    /// What became of each message, as far as that is known.
    pub(crate) results: Vec<Option<Result<Accepted, Rejected>>>,
}

impl<'a> Request<'a> {
    /// `exact`: the catalogue in memory always is.
    pub(crate) fn new(
        org: OrganizationId,
        app: &'a Ref<ApplicationId>,
        permit: &'a dyn Permit,
        drafts: Vec<Draft>,
        exact: bool,
    ) -> Self {
        let results = vec![None; drafts.len()];
        let left = drafts.into_iter().enumerate().collect();
        let exact = Exact { application: exact, organization: exact };
        Self { org, app, permit, exact, left, results }
    }

    /// Nothing is left.
    pub(crate) fn is_done(&self) -> bool {
        self.left.is_empty()
    }

    /// One result per message. What was stored stands, whatever became of the others.
    pub(crate) fn finish(
        self,
        failure: Option<PublishError>,
    ) -> Result<Vec<Result<Accepted, Rejected>>, PublishError> {
        let gave_up = || (!self.is_done()).then_some(StoreError::Overloaded.into());
        let failure = failure.or_else(gave_up);
        let stored = self.results.iter().any(|r| matches!(r, Some(Ok(_))));
        match failure {
            Some(failure) if !stored => Err(failure),
            failure => {
                let failed = failure.map_or(Rejected::Store(StoreError::Unknown), Rejected::from);
                let results = self.results.into_iter();
                Ok(results.map(|r| r.unwrap_or_else(|| Err(failed.clone()))).collect())
            }
        }
    }

    /// Refuses a message by a part of the catalogue, unless that may be old.
    pub(crate) fn refuse(&mut self, by: Exact, at: usize, draft: Draft, rejected: Rejected) {
        let (exact, wanted) = match rejected {
            Rejected::Schema(_) => (by.organization, &mut self.exact.organization),
            _ => (by.application, &mut self.exact.application),
        };
        if !exact {
            *wanted = true;
            self.left.push((at, draft));
            return;
        }
        if matches!(rejected, Rejected::Schema(_)) {
            metrics::counter!("hookwright_schema_mismatches_total").increment(1);
        }
        self.results[at] = Some(Err(rejected));
    }
}
