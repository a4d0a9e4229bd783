//! Work that remains: lanes, and what becomes of their due rows. Those are read in `pages.rs`.

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    delivery::{Cause, EndState},
    id::DeliveryId,
    shard::{Shard, ShardSet},
};
use store::{
    Deliveries,
    deliveries::{DueLimits, DuePage, LaneHead, LaneKey, Settle, Settled},
};
use tokio_postgres::Row;

use crate::{PostgresStore, conn::Conn, ending, error::Result, rows, settle::Outcome};

/// One index seek for each lane, whatever its depth; in the order of shards, and in a shard in that of
/// endpoints. `$2` is the shard that `$3` (an endpoint) is the last one of that was seen.
const LANES: &str = "/* lanes */ SELECT l.shard, l.endpoint, l.due, l.org, l.app
    FROM unnest($1::smallint[]) AS s (shard) CROSS JOIN LATERAL (
        WITH RECURSIVE lane AS (
            (SELECT q.shard, q.endpoint, q.due, q.org, q.app FROM due q WHERE q.shard = s.shard
                AND q.endpoint > CASE WHEN s.shard = $2::smallint THEN $3::bytea ELSE '' END
             ORDER BY q.endpoint, q.due LIMIT 1)
            UNION ALL
            SELECT n.* FROM lane, LATERAL
                (SELECT q.shard, q.endpoint, q.due, q.org, q.app FROM due q
                 WHERE q.shard = lane.shard AND q.endpoint > lane.endpoint
                 ORDER BY q.endpoint, q.due LIMIT 1) n)
        SELECT * FROM lane LIMIT $4) l
    LIMIT $4";

async fn lanes(
    conn: &Conn,
    shards: &ShardSet,
    after: Option<LaneKey>,
    limit: usize,
) -> Result<Vec<LaneHead>> {
    let first = after.map_or(Shard(0), |after| after.shard);
    let shards: Vec<i16> =
        shards.iter().filter(|shard| *shard >= first).map(|shard| shard.0.cast_signed()).collect();
    let (shard, endpoint) = match &after {
        Some(after) => (after.shard.0.cast_signed(), after.endpoint.raw().as_slice()),
        None => (-1, [].as_slice()),
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = conn.query(LANES, &[&shards, &shard, &endpoint, &limit]).await?;
    found.iter().map(head).collect()
}

fn head(row: &Row) -> Result<LaneHead> {
    let lane = LaneKey {
        shard: Shard(rows::narrow(rows::get::<i16>(row, 0)?)?),
        endpoint: rows::id(row, 1)?,
        org: rows::id(row, 3)?,
        app: rows::id(row, 4)?,
    };
    Ok(LaneHead { lane, next_due: rows::time(row, 2)? })
}

#[async_trait]
impl Deliveries for PostgresStore {
    async fn lanes(
        &self,
        shards: &ShardSet,
        after: Option<LaneKey>,
        limit: usize,
    ) -> store::Result<Vec<LaneHead>> {
        Ok(lanes(&self.shared.read().await?, shards, after, limit).await?)
    }

    async fn due(
        &self,
        lane: LaneKey,
        limits: DueLimits,
        skip: Vec<DeliveryId>,
    ) -> store::Result<DuePage> {
        self.pages.read(lane, limits, skip).await
    }

    async fn settle(&self, settles: Vec<Settle>) -> store::Result<Vec<Settled>> {
        self.settles.write(settles.into_iter().map(Outcome::new).collect()).await
    }

    async fn cancel(&self, lane: LaneKey, limit: usize, now: Timestamp) -> store::Result<usize> {
        Ok(ending::cancel(
            &self.shared,
            lane,
            limit,
            now,
            (EndState::Cancelled, Cause::EndpointDeleted),
        )
        .await?)
    }
}
