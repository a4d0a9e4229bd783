//! Counts by time. Messages are counted by the transaction that stores them (`traffic.rs`). Attempts are
//! counted in memory by the owner of their endpoint's shard (`gather.rs`) and written every few seconds
//! (`flush.rs`); what an owner did not write its next one finds in the attempts (`takeover.rs`, by
//! `recount.rs`). One node
//! rolls up what has ended (`roll.rs`).

mod check;
mod flush;
mod gather;
mod marks;
mod parts;
mod read;
mod recount;
mod retention;
mod roll;
mod rows;
mod sums;
mod takeover;
mod traffic;
mod whole;

use async_trait::async_trait;
use deadpool_postgres::Pool;
use domain::{
    analytics::Counts,
    clock::Timestamp,
    id::{ApplicationId, OrganizationId},
    shard::Shard,
};
use store::{
    Analytics,
    analytics::{
        FailingEndpoint, Of, PendingWork, RolledUp, RollupLimits, RollupRow, Span, UnacceptedCount,
    },
    deliveries::{Epoch, Settle},
    history::Tenant,
};
use tokio::sync::{Mutex, MutexGuard};

pub(crate) use self::{
    check::check,
    gather::Key as RollupKey,
    rows::{COLUMNS as ROLLUP_COLUMNS, endpoint, event_type, import, rollup},
    traffic::{SUMS as TRAFFIC_SUMS, rollup as traffic},
    whole::{SWEEP_HISTORY, moved_from, set_counted_since},
};
use self::{
    gather::{Gather, Key, Mark},
    marks::{Begun, Marks},
    roll::Roller,
};
use crate::{
    PostgresStore,
    conn::{Conn, Tx},
    connect::Connector,
    error::Result,
    options::PostgresOptions,
};

/// What a node keeps in memory for it.
pub(crate) struct Counting {
    gather: Gather,
    begun: Begun,
    /// One flush at a time.
    flushing: Mutex<()>,
    roller: Mutex<Roller>,
    /// The connection that counts are written by. Whoever takes a shard over waits for its commit, so a
    /// process that is stopped in between is thrown out of its transaction soon.
    pool: Pool,
    /// Of the rows of sums.
    slot: i16,
}

impl Counting {
    pub(crate) fn new(connector: &Connector, options: &PostgresOptions, slot: i16) -> Self {
        Self {
            // A statement that was under way has ended after half of it, its commit soon after.
            gather: Gather::new(options.statement_timeout * 2),
            begun: Begun::default(),
            flushing: Mutex::default(),
            roller: Mutex::default(),
            pool: connector.by_key().brief().pool(1, options.call_timeout),
            slot,
        }
    }

    /// Held while outcomes are written and counted.
    pub(crate) async fn writing(&self) -> MutexGuard<'_, ()> {
        self.gather.writing.lock().await
    }

    /// Marks that these outcomes must lower in their own transaction, by [`lower`].
    pub(crate) fn lowered<'a>(&self, settles: impl Iterator<Item = &'a Settle>) -> Vec<Mark> {
        self.gather.lowered(settles)
    }

    /// The transaction that did so is committed.
    pub(crate) fn marked(&self, marks: &[Mark]) {
        self.gather.marked(marks);
    }

    /// Counts outcomes that are committed and were taken.
    pub(crate) fn count<'a>(&self, settles: impl Iterator<Item = &'a Settle>) {
        self.gather.count(settles);
    }

    /// Nobody knows whether these are committed.
    pub(crate) fn doubt<'a>(&self, settles: impl Iterator<Item = &'a Settle>) {
        self.gather.doubt(settles);
    }
}

/// Lowers marks in an open transaction.
pub(crate) async fn lower(tx: &Tx, marks: &[Mark]) -> Result<()> {
    flush::lower_marks(tx, marks).await
}

/// Begins to count, if this was not done before.
pub(crate) async fn begin(conn: &Conn, now: Timestamp) -> Result<()> {
    marks::begin(conn, now).await
}

#[async_trait]
impl Analytics for PostgresStore {
    async fn flush_rollups(&self, owned: &[(Shard, Epoch)]) -> store::Result<()> {
        Ok(self.shared.flush_rollups(owned).await?)
    }

    async fn count_unaccepted(&self, counts: Vec<UnacceptedCount>) -> store::Result<()> {
        Ok(self.shared.count_unaccepted(&counts).await?)
    }

    async fn roll_up(&self, limits: RollupLimits) -> store::Result<bool> {
        Ok(self.shared.roll_up(limits).await?)
    }

    async fn rolled_up(&self) -> store::Result<RolledUp> {
        let read = async {
            let marks = Marks::load(&self.shared.read().await?).await?;
            Ok::<_, crate::error::Error>(RolledUp { quarters: marks.quarters, days: marks.days })
        };
        Ok(read.await?)
    }

    async fn rollups(
        &self,
        org: OrganizationId,
        of: Of,
        span: Span,
        limit: usize,
    ) -> store::Result<Vec<RollupRow>> {
        let conn = self.shared.read().await?;
        Ok(read::rollups(&conn, org, of, span, limit).await?)
    }

    async fn application_counts(
        &self,
        org: OrganizationId,
        span: Span,
    ) -> store::Result<Vec<(ApplicationId, Counts)>> {
        let conn = self.shared.read().await?;
        Ok(read::application_counts(&conn, org, span).await?)
    }

    async fn recount(&self, tenant: Tenant, span: Span) -> store::Result<Vec<RollupRow>> {
        Ok(recount::recount(&self.shared, tenant, span).await?)
    }

    async fn failing_endpoints(
        &self,
        org: OrganizationId,
        limit: usize,
    ) -> store::Result<Vec<FailingEndpoint>> {
        let conn = self.shared.read().await?;
        Ok(read::failing_endpoints(&conn, org, limit).await?)
    }

    async fn pending_work(
        &self,
        org: OrganizationId,
        limit: usize,
    ) -> store::Result<Vec<PendingWork>> {
        let conn = self.shared.read().await?;
        Ok(read::pending_work(&conn, org, limit).await?)
    }
}
