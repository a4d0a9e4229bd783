//! Who owns what: a row per node that says when it was last heard of, a row per shard that says whose it
//! is. All times are the database's. Nodes change these rows one after the other, under one lock.

use std::time::Duration;

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    id::{ApplicationId, OrganizationId},
    shard::{Shard, ShardSet},
};
use store::{
    Deliveries, Nodes,
    deliveries::LaneHead,
    nodes::{News, NodeInfo, Ownership, Slice},
};

use crate::{
    PostgresStore,
    conn::Tx,
    error::{Error, Result},
    feed, limits, rows,
};

/// A node that was not heard of for this long owns nothing any more.
const LEASE: Duration = Duration::from_secs(8);
/// Serializes all that changes nodes and leases. ("Hkln")
const LOCK: i64 = 0x486b_6c6e;
/// Lanes that are looked through for what is overdue.
const LANES: usize = 10_000;

/// Microseconds since 1970 of a `timestamptz`.
macro_rules! micros {
    ($time:literal) => {
        concat!("(extract(epoch FROM ", $time, ") * 1000000)::bigint")
    };
}

impl PostgresStore {
    async fn beat(&self, leaving: bool) -> Result<Ownership> {
        let tx = Tx::begin(self.shared.conn(&self.keeper).await?).await?;
        tx.query("/* heartbeat */ SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
        let (node, name) = (self.shared.node.as_slice(), &self.shared.options.node_name);
        tx.execute(
            "/* heartbeat */ INSERT INTO node (id, name, version, leaving) VALUES ($1, $2, $3, $4)
             ON CONFLICT (id) DO UPDATE SET beat_at = clock_timestamp(), leaving = excluded.leaving",
            &[&node, name, &env!("CARGO_PKG_VERSION"), &leaving],
        )
        .await?;
        let lease = LEASE.as_secs_f64();
        tx.execute(
            "/* heartbeat */ DELETE FROM node
             WHERE beat_at < clock_timestamp() - make_interval(secs => $1)",
            &[&lease],
        )
        .await?;
        tx.execute(
            "/* heartbeat */ UPDATE lease l SET node = NULL WHERE node IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM node n WHERE n.id = l.node)",
            &[],
        )
        .await?;
        let share = share(&tx, node).await?;
        // What is dispatched is looked at before: an owner that has lost its shards in the meantime is
        // told so by the answer.
        tx.execute(
            "/* heartbeat */ UPDATE lease SET node = $1, epoch = epoch + 1 WHERE shard IN
                 (SELECT shard FROM lease WHERE node IS NULL ORDER BY shard
                  LIMIT greatest(0, $2 - (SELECT count(*) FROM lease WHERE node = $1)))",
            &[&node, &share],
        )
        .await?;
        let owned = "/* heartbeat */ SELECT shard, epoch FROM lease WHERE node = $1 ORDER BY shard";
        let owned = tx.query(owned, &[&node]).await?;
        let now = concat!("/* heartbeat */ SELECT ", micros!("clock_timestamp()"));
        let time = rows::time(&tx.query_one(now, &[]).await?, 0)?;
        tx.commit().await?;
        let shard = |row: &tokio_postgres::Row| {
            let shard = Shard(rows::narrow(rows::get::<i16>(row, 0)?)?);
            Ok::<_, Error>((shard, rows::get::<i64>(row, 1)?.cast_unsigned()))
        };
        Ok(Ownership {
            shards: owned.iter().map(shard).collect::<Result<_>>()?,
            share: usize::try_from(share).unwrap_or(0),
            lease: Some(LEASE),
            time: Some(time),
        })
    }

    async fn all_nodes(&self) -> store::Result<Vec<NodeInfo>> {
        let lanes = self.lanes(&ShardSet::ALL, None, LANES).await?;
        Ok(self.list_nodes(&lanes).await?)
    }

    async fn list_nodes(&self, lanes: &[LaneHead]) -> Result<Vec<NodeInfo>> {
        let conn = self.shared.read().await?;
        let leases = "/* nodes */ SELECT shard, node, epoch FROM lease WHERE node IS NOT NULL";
        let leases = conn.query(leases, &[]).await?;
        let nodes = concat!(
            "/* nodes */ SELECT id, name, version, ",
            micros!("started_at"),
            ", greatest(0, ",
            micros!("clock_timestamp() - beat_at"),
            "), leaving, ",
            micros!("clock_timestamp()"),
            " FROM node ORDER BY started_at, id"
        );
        let nodes = conn.query(nodes, &[]).await?;
        let mut infos = Vec::new();
        for row in &nodes {
            let id = rows::bytes(row, 0)?;
            let now = rows::time(row, 6)?;
            let (mut shards, mut epoch) = (ShardSet::NONE, 0);
            for lease in &leases {
                if rows::bytes(lease, 1)? == id {
                    shards.insert(Shard(rows::narrow(rows::get::<i16>(lease, 0)?)?));
                    epoch = epoch.max(rows::get::<i64>(lease, 2)?.cast_unsigned());
                }
            }
            let overdue: Vec<Timestamp> = lanes
                .iter()
                .filter(|head| shards.contains(head.lane.shard) && head.next_due < now)
                .map(|head| head.next_due)
                .collect();
            infos.push(NodeInfo {
                id: hex(id),
                name: rows::get(row, 1)?,
                version: rows::get(row, 2)?,
                started_at: rows::time(row, 3)?,
                silent_for: Duration::from_micros(rows::get::<i64>(row, 4)?.unsigned_abs()),
                leaving: rows::get(row, 5)?,
                shards: shards.len(),
                epoch,
                overdue: (overdue.len(), overdue.iter().min().copied()),
            });
        }
        Ok(infos)
    }
}

/// This node's part of all shards: all parts are equal but for one.
async fn share(tx: &Tx, node: &[u8]) -> Result<i64> {
    let sql = "/* heartbeat */ SELECT (s.shards + s.nodes - 1 - s.rank) / s.nodes FROM
             (SELECT id, row_number() OVER (ORDER BY id) - 1 AS rank, count(*) OVER () AS nodes,
                  (SELECT count(*) FROM lease) AS shards FROM node WHERE NOT leaving) s
         WHERE s.id = $1";
    match tx.query_opt(sql, &[&node]).await? {
        Some(row) => rows::get(&row, 0),
        None => Ok(0),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[async_trait]
impl Nodes for PostgresStore {
    fn is_shared(&self) -> bool {
        true
    }

    async fn heartbeat(&self, leaving: bool) -> store::Result<Ownership> {
        Ok(self.beat(leaving).await?)
    }

    async fn release(&self, shards: &ShardSet) -> store::Result<()> {
        let shards: Vec<i16> = shards.iter().map(|shard| shard.0.cast_signed()).collect();
        let node = self.shared.node.as_slice();
        let conn = self.shared.conn(&self.keeper).await?;
        let sql = "/* release */ WITH freed AS
                 (UPDATE lease SET node = NULL WHERE node = $1 AND shard = ANY ($2) RETURNING 1)
             SELECT pg_notify($3, $4) WHERE EXISTS (SELECT 1 FROM freed)";
        conn.query(sql, &[&node, &shards, &feed::CHANNEL, &feed::SHARDS]).await?;
        Ok(())
    }

    async fn nodes(&self) -> store::Result<Vec<NodeInfo>> {
        self.all_nodes().await
    }

    fn this_node(&self) -> Option<String> {
        Some(hex(&self.shared.node))
    }

    fn wake(&self, lanes: Vec<LaneHead>) {
        self.feed.wake(lanes);
    }

    async fn reserve(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        rate: u16,
        attempts: u32,
    ) -> store::Result<Slice> {
        Ok(limits::reserve(&self.shared, org, app, rate, attempts).await?)
    }

    async fn news(&self) -> News {
        self.feed.news().await
    }
}
