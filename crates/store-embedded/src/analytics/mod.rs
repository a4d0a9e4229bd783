//! Counts by time: kept in memory by the writer, written every few seconds, rolled up when their time
//! is over.

mod check;
mod gather;
mod keys;
mod read;
mod recount;
mod roll;
mod rows;
mod whole;

use async_trait::async_trait;
use domain::{
    analytics::Counts,
    id::{ApplicationId, OrganizationId},
    shard::Shard,
};
use store::{
    Analytics,
    analytics::{
        FailingEndpoint, Of, PendingWork, RolledUp, RollupLimits, RollupRow, Span, UnacceptedCount,
    },
    deliveries::Epoch,
    history::Tenant,
};

pub(crate) use self::{
    check::check,
    gather::{Dirty, Fact, Gather, Marks},
    keys::{Key as RollupKey, event_type},
    recount::recover,
    roll::Roller,
    rows::{COLUMNS as ROLLUP_COLUMNS, put_with_sums, rollup},
    whole::{history_swept, moved_from, set_counted_since},
};
use crate::{EmbeddedStore, error::Result, writer::Label};

/// Rows that a step of writing has, roughly.
const ROWS: usize = 512;

/// The rows of a recount, as those of rollups are.
fn recount(conn: &rusqlite::Connection, tenant: Tenant, span: Span) -> Result<Vec<RollupRow>> {
    let Some(org_no) = read::org_no(conn, tenant.org)? else { return Ok(Vec::new()) };
    let Some(app_no) = read::app_no(conn, org_no, tenant.app)? else { return Ok(Vec::new()) };
    let place = recount::Place { org_no, app_no, tenant };
    let counted = recount::count(conn, place, (span.from, span.until))?;
    let mut names = read::Names::of_endpoints(conn);
    counted
        .into_iter()
        .map(|(key, rollup)| {
            Ok(RollupRow {
                at: key.at,
                app: Some(tenant.app),
                endpoint: names.endpoint(key.endpoint_no)?,
                event_type: key.event_type,
                rollup,
            })
        })
        .collect()
}

#[async_trait]
impl Analytics for EmbeddedStore {
    async fn flush_rollups(&self, _: &[(Shard, Epoch)]) -> store::Result<()> {
        let mut more = self.dirty.any();
        while more {
            let label = Label { rows: ROWS, ..Label::other("flush_rollups") };
            let write = |tx: &mut crate::tx::Tx<'_>| {
                let now = tx.now();
                tx.gather.write(tx.conn, now)
            };
            more = self.writer.write(label, write).await?;
        }
        Ok(())
    }

    async fn count_unaccepted(&self, counts: Vec<UnacceptedCount>) -> store::Result<()> {
        let label = Label { rows: counts.len(), ..Label::other("count_unaccepted") };
        self.writer
            .write(label, move |tx| {
                for UnacceptedCount { tenant, at, why, count } in &counts {
                    let Some(app_no) = tx.app_no_ever(tenant.org, tenant.app)? else { continue };
                    let place = (tx.org_no(tenant.org)?, app_no);
                    tx.gather.note(place, *at, (0, None), Fact::Unaccepted(*why, *count));
                }
                Ok(())
            })
            .await
    }

    async fn roll_up(&self, limits: RollupLimits) -> store::Result<bool> {
        let mut roller = self.roller.lock().await;
        let label = Label { rows: ROWS, ..Label::other("roll_up") };
        let from = *roller;
        let (next, more) = self.writer.write(label, move |tx| roll::step(tx, from, limits)).await?;
        *roller = next;
        Ok(more)
    }

    async fn rolled_up(&self) -> store::Result<RolledUp> {
        self.readers
            .read(|conn| {
                let marks = gather::Marks::load(conn)?;
                Ok(RolledUp { quarters: marks.quarters, days: marks.days })
            })
            .await
    }

    async fn rollups(
        &self,
        org: OrganizationId,
        of: Of,
        span: Span,
        limit: usize,
    ) -> store::Result<Vec<RollupRow>> {
        self.readers.read(move |conn| read::rollups(conn, org, of, span, limit)).await
    }

    async fn application_counts(
        &self,
        org: OrganizationId,
        span: Span,
    ) -> store::Result<Vec<(ApplicationId, Counts)>> {
        self.readers.read(move |conn| read::application_counts(conn, org, span)).await
    }

    async fn recount(&self, tenant: Tenant, span: Span) -> store::Result<Vec<RollupRow>> {
        self.readers.read(move |conn| recount(conn, tenant, span)).await
    }

    async fn failing_endpoints(
        &self,
        org: OrganizationId,
        limit: usize,
    ) -> store::Result<Vec<FailingEndpoint>> {
        self.readers.read(move |conn| read::failing_endpoints(conn, org, limit)).await
    }

    async fn pending_work(
        &self,
        org: OrganizationId,
        limit: usize,
    ) -> store::Result<Vec<PendingWork>> {
        self.readers.read(move |conn| read::pending_work(conn, org, limit)).await
    }
}
