//! Counts of what happened, by time. They are kept as rollups of minutes, which are rolled up into
//! quarters of an hour and days as these come to their end. A rollup is of an application, endpoint and
//! event type; or of all of an application; or of an event type in all applications.
//!
//! Counting costs the way of a message next to nothing: attempts are counted in memory after their
//! settle, and written every few seconds. What a crash takes away is counted anew from the attempts, so
//! that the sum is always what a recount of them gives.

use std::time::Duration;

use async_trait::async_trait;
use domain::{
    analytics::{Available, Counts, Granularity, Rollup, Unaccepted, Unit, pieces},
    clock::Timestamp,
    id::{ApplicationId, EndpointId, OrganizationId},
    name::EventTypeName,
    shard::Shard,
};

use crate::{Result, Store, deliveries::Epoch, history::Tenant};

/// Minutes older than this may be gone: then quarters tell of them.
const MINUTES_KEPT: Duration = Duration::from_secs(47 * 3_600);

/// Which rollups: see [`Analytics::rollups`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Those of an application, one for each endpoint and event type. Messages are counted in the one
    /// without an endpoint.
    Application(ApplicationId),
    /// One for each application, of all its endpoints and event types.
    Applications,
    /// One for each event type, of all applications.
    EventTypes,
}

/// A stretch of whole units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Of which unit.
    pub unit: Unit,
    /// The beginning of the first one.
    pub from: Timestamp,
    /// The beginning of the first one behind it.
    pub until: Timestamp,
}

impl Span {
    /// The same in stretches of at most so many units, one after the other.
    pub fn parts(self, units: u32) -> impl Iterator<Item = Self> {
        let Self { unit, until, .. } = self;
        let mut rest = self.from;
        std::iter::from_fn(move || {
            let from = rest;
            rest = until.min(from.plus(unit.duration() * units));
            (from < until).then_some(Self { unit, from, until: rest })
        })
    }
}

/// One unit of time of one part of the traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupRow {
    /// The beginning of the unit.
    pub at: Timestamp,
    /// `None` where it is of all applications.
    pub app: Option<ApplicationId>,
    /// `None` where it is of all endpoints, or of messages.
    pub endpoint: Option<EndpointId>,
    /// `None` where it is of all event types, or of what never became an event.
    pub event_type: Option<EventTypeName>,
    /// What was counted.
    pub rollup: Rollup,
}

/// Up to when there are rollups of the larger units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolledUp {
    /// Quarters before this are complete.
    pub quarters: Timestamp,
    /// Days before this are complete.
    pub days: Timestamp,
}

/// How long rollups are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollupLimits {
    /// The time.
    pub now: Timestamp,
    /// Minutes go when they are older than this.
    pub minutes_before: Timestamp,
    /// Quarters likewise.
    pub quarters_before: Timestamp,
    /// Days likewise.
    pub days_before: Timestamp,
}

/// An endpoint that only fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailingEndpoint {
    /// The customer.
    pub app: ApplicationId,
    /// Which.
    pub endpoint: EndpointId,
    /// Since when.
    pub since: Timestamp,
    /// Whether it was disabled for it.
    pub disabled: bool,
}

/// How far the work of an endpoint is counted at least.
pub const COUNTED_PER_ENDPOINT: usize = 1_000;

/// Work that remains of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingWork {
    /// The customer.
    pub app: ApplicationId,
    /// Deliveries that have not ended. A store may count no more than [`COUNTED_PER_ENDPOINT`] of each
    /// endpoint.
    pub pending: u64,
}

/// What sources made no event of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnacceptedCount {
    /// The source's application.
    pub tenant: Tenant,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub why: Unaccepted,
    /// How many.
    pub count: u64,
}

/// Counting and its results.
#[async_trait]
pub trait Analytics: Send + Sync {
    /// Writes what was counted in memory. `owned` is what this node owns, under which epochs: what was
    /// counted under another one is another node's to count. (A store of one node takes no notice.)
    async fn flush_rollups(&self, owned: &[(Shard, Epoch)]) -> Result<()>;

    /// Counts what sources made no event of. These counts are of no other record: those of the last
    /// few seconds are lost in a crash.
    async fn count_unaccepted(&self, counts: Vec<UnacceptedCount>) -> Result<()>;

    /// One bounded step of rolling up the quarters and days that have ended, and of retention; whether
    /// there is more to do now. For one node at a time.
    async fn roll_up(&self, limits: RollupLimits) -> Result<bool>;

    /// How far that has come.
    async fn rolled_up(&self) -> Result<RolledUp>;

    /// The rollups of a stretch, in the order of time; more than `limit` of them fail as
    /// `StoreError::Overloaded`.
    async fn rollups(
        &self,
        org: OrganizationId,
        of: Of,
        span: Span,
        limit: usize,
    ) -> Result<Vec<RollupRow>>;

    /// The plain counts of each application that has any, over a stretch.
    async fn application_counts(
        &self,
        org: OrganizationId,
        span: Span,
    ) -> Result<Vec<(ApplicationId, Counts)>>;

    /// The truth: what the rollups of an application's minutes must say, counted from its messages and
    /// attempts (without what its source did not accept). `span` is of minutes. For checks: it reads all
    /// of them.
    async fn recount(&self, tenant: Tenant, span: Span) -> Result<Vec<RollupRow>>;

    /// Endpoints of an organization that only fail, those that do so longest first, deleted ones left
    /// out.
    async fn failing_endpoints(
        &self,
        org: OrganizationId,
        limit: usize,
    ) -> Result<Vec<FailingEndpoint>>;

    /// Applications of an organization with work that remains, those with most of it first.
    async fn pending_work(&self, org: OrganizationId, limit: usize) -> Result<Vec<PendingWork>>;
}

/// The pieces of time that a stretch is made of, as [`pieces`] says, from what there is `now`.
pub async fn spans(
    store: &dyn Store,
    granularity: Granularity,
    utc_days: bool,
    range: (Timestamp, Timestamp),
    now: Timestamp,
) -> Result<Vec<Span>> {
    let rolled_up = store.rolled_up().await?;
    let available = Available {
        minutes_from: Unit::Quarter.ceil(now.minus(MINUTES_KEPT)),
        quarters_until: rolled_up.quarters,
        days_until: rolled_up.days,
    };
    let pieces = pieces(granularity, utc_days, range, available);
    Ok(pieces.into_iter().map(|(unit, from, until)| Span { unit, from, until }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_in_parts_is_the_same_span() {
        let at = Timestamp::from_secs;
        let span = |from, until| Span { unit: Unit::Quarter, from: at(from), until: at(until) };
        let parts = |span: Span| span.parts(2).collect::<Vec<_>>();
        assert_eq!(parts(span(900, 900)), []);
        assert_eq!(parts(span(900, 1_800)), [span(900, 1_800)]);
        assert_eq!(parts(span(0, 3_600)), [span(0, 1_800), span(1_800, 3_600)]);
        assert_eq!(parts(span(0, 4_500))[2], span(3_600, 4_500));
    }
}
