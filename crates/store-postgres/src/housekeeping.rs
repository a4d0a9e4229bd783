//! Keeping it small, whole and safe.

mod unscheduled;
mod vacuum;

use async_trait::async_trait;
use domain::clock::Timestamp;
use store::{
    Housekeeping, StoreError,
    housekeeping::{CheckReport, RetentionLimits, StoreStats, Swept},
};

use self::{unscheduled::Walk, vacuum::Vacuum};
use crate::{PostgresStore, Shared, check, conn::Conn, error::Result, rows, sweep::Sweeper};

/// Most lanes that are looked at for the oldest work.
const MOST_LANES: i64 = 100_000;

/// What a node keeps in memory for it.
#[derive(Default)]
pub(crate) struct House {
    sweeper: tokio::sync::Mutex<Sweeper>,
    walk: Walk,
    vacuum: Vacuum,
}

/// Bytes of the database, and rows of `due`.
async fn size(conn: &Conn) -> Result<(u64, u64)> {
    let sql = "/* stats */ SELECT pg_database_size(current_database()),
         (SELECT sum(count)::bigint FROM pending)";
    let row = conn.query_one(sql, &[]).await?;
    let counted = rows::get::<Option<i64>>(&row, 1)?.unwrap_or(0);
    Ok((rows::narrow(rows::get::<i64>(&row, 0)?)?, u64::try_from(counted).unwrap_or(0)))
}

/// The earliest of `due`, by one index seek for each lane.
async fn oldest_due(conn: &Conn) -> Result<Option<Timestamp>> {
    let sql = "/* stats */ WITH RECURSIVE head AS (
             (SELECT shard, endpoint, due FROM due ORDER BY shard, endpoint, due LIMIT 1)
             UNION ALL
             SELECT next.* FROM head CROSS JOIN LATERAL
                 (SELECT d.shard, d.endpoint, d.due FROM due d
                  WHERE (d.shard, d.endpoint) > (head.shard, head.endpoint)
                  ORDER BY d.shard, d.endpoint, d.due LIMIT 1) next
         )
         SELECT min(due) FROM (SELECT due FROM head LIMIT $1) heads";
    rows::opt_time(&conn.query_one(sql, &[&MOST_LANES]).await?, 0)
}

impl Shared {
    /// Takes the next page of the walk.
    async fn look_for_unscheduled(&self) -> Result<()> {
        let after = self.house.walk.after();
        let tx = self.snapshot().await?;
        let page = unscheduled::page(&tx, after).await?;
        self.house.walk.add(page);
        tx.rollback().await
    }

    /// A connection that answers and may write.
    async fn ping(&self) -> Result<()> {
        let sql = "/* ping */ SELECT pg_is_in_recovery()
                   OR current_setting('transaction_read_only')::boolean";
        let row = self.read().await?.query_one(sql, &[]).await?;
        if rows::get(&row, 0)? {
            return Err(StoreError::Unavailable("PostgreSQL is read-only".into()).into());
        }
        Ok(())
    }
}

#[async_trait]
impl Housekeeping for PostgresStore {
    async fn sweep(&self, limits: RetentionLimits) -> store::Result<Swept> {
        let shared = &self.shared;
        shared.house.vacuum.begin(shared);
        let mut sweeper = shared.house.sweeper.lock().await;
        Ok(sweeper.sweep(shared, limits).await?)
    }

    async fn stats(&self) -> store::Result<StoreStats> {
        let shared = &self.shared;
        let conn = shared.read().await?;
        let (bytes, pending) = size(&conn).await?;
        let oldest_due = oldest_due(&conn).await?;
        drop(conn);
        // What cannot be read now is read next time.
        if let Err(error) = shared.look_for_unscheduled().await {
            tracing::debug!(%error, "a page of deliveries could not be looked at");
        }
        Ok(StoreStats {
            bytes,
            wal_bytes: 0,
            pending,
            oldest_due,
            unscheduled: shared.house.walk.found(),
            queued: self.queued(),
            full: false,
        })
    }

    async fn ping(&self) -> store::Result<()> {
        Ok(self.shared.ping().await?)
    }

    async fn check(&self) -> store::Result<CheckReport> {
        let found = check::check(&self.shared).await?;
        self.shared.house.walk.counted(found.unscheduled);
        Ok(found.report)
    }
}
