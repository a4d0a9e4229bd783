//! Work that remains: lanes, and their due rows.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    delivery::{Cause, Delivery, EndState},
    id::{DeliveryId, MessageId},
    message::Message,
    shard::{Shard, ShardSet},
};
use store::{
    Deliveries,
    deliveries::{DueDelivery, DueLimits, DuePage, LaneHead, LaneKey, Settle, Settled},
    history::Tenant,
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

/// The first rows of a lane that are not in memory.
const DUE: &str =
    "/* due */ SELECT q.due, q.delivery, q.message, q.trigger, q.attempts, q.give_up_at
    FROM due q WHERE q.shard = $1 AND q.endpoint = $2 AND q.org = $3 AND q.app = $4
    AND q.delivery <> ALL ($5) ORDER BY q.due, q.delivery LIMIT $6";

/// Messages that are read at first: their bodies may be large. After that, as many as the size of those
/// lets expect to be within the bound.
const FIRST_MESSAGES: usize = 8;
/// Most that are read at a time.
const MOST_MESSAGES: usize = 128;

async fn due(
    conn: &Conn,
    lane: LaneKey,
    limits: DueLimits,
    skip: &[DeliveryId],
) -> Result<DuePage> {
    let mut page = DuePage { due: Vec::new(), next_due: None };
    let skip: Vec<&[u8]> = skip.iter().map(|id| id.raw().as_slice()).collect();
    let (org, app) = (lane.org.raw().as_slice(), lane.app.raw().as_slice());
    let (shard, endpoint) = (lane.shard.0.cast_signed(), lane.endpoint.raw().as_slice());
    let wanted = i64::try_from(limits.rows).unwrap_or(i64::MAX).saturating_add(1);
    let found = conn.query(DUE, &[&shard, &endpoint, &org, &app, &skip, &wanted]).await?;
    let found = found.iter().map(|row| delivery(row, lane)).collect::<Result<Vec<_>>>()?;
    let (mut rest, mut bytes, mut read) = (found.as_slice(), 0, 0);
    while let Some(first) = rest.first() {
        if page.due.len() >= limits.rows || bytes > limits.bytes || first.due > limits.until {
            page.next_due = Some(first.due);
            break;
        }
        let more = match (limits.bytes - bytes).checked_div(bytes / read.max(1)) {
            _ if read == 0 => FIRST_MESSAGES,
            Some(more) => more.clamp(1, MOST_MESSAGES),
            None => MOST_MESSAGES,
        };
        let (some, behind) = rest.split_at(more.min(rest.len()).min(limits.rows - page.due.len()));
        (rest, read) = (behind, read + some.len());
        let messages = messages(conn, lane, some).await?;
        for delivery in some {
            if bytes > limits.bytes || delivery.due > limits.until {
                page.next_due = Some(delivery.due);
                return Ok(page);
            }
            let message = messages.get(&delivery.message).cloned();
            // One whose message is not there cannot be sent; a check tells of it.
            let Some(message) = message else { continue };
            bytes += message.body.as_ref().map_or(0, |body| body.bytes.len());
            page.due.push(DueDelivery { delivery: delivery.clone(), message });
        }
    }
    Ok(page)
}

fn delivery(row: &Row, lane: LaneKey) -> Result<Delivery> {
    Ok(Delivery {
        id: rows::id(row, 1)?,
        org: lane.org,
        app: lane.app,
        endpoint: lane.endpoint,
        message: rows::id(row, 2)?,
        trigger: rows::trigger(row, 3)?,
        attempts: rows::int(row, 4)?,
        due: rows::time(row, 0)?,
        give_up_at: rows::time(row, 5)?,
    })
}

static MESSAGES: LazyLock<String> = LazyLock::new(|| {
    format!(
        "/* due */ SELECT {}, {} FROM message m {} WHERE m.org = $1 AND m.app = $2
         AND m.id = ANY ($3)",
        rows::MESSAGE,
        rows::PAYLOAD,
        rows::join_payload("AND p.expires_at BETWEEN $4 AND $5")
    )
});

/// Messages with their bodies, which go when their deliveries are given up.
async fn messages(
    conn: &Conn,
    lane: LaneKey,
    some: &[Delivery],
) -> Result<HashMap<MessageId, Arc<Message>>> {
    let ids: Vec<&[u8]> = some.iter().map(|delivery| delivery.message.raw().as_slice()).collect();
    let expiry = || some.iter().map(|delivery| delivery.give_up_at.as_micros());
    let (soonest, latest) = (expiry().min().unwrap_or(0), expiry().max().unwrap_or(0));
    let (org, app) = (lane.org.raw().as_slice(), lane.app.raw().as_slice());
    let found = conn.query(&MESSAGES, &[&org, &app, &ids, &soonest, &latest]).await?;
    let tenant = Tenant { org: lane.org, app: lane.app };
    let message = |row: &Row| {
        let message = rows::message_with_body(row, tenant)?;
        Ok((message.id, Arc::new(message)))
    };
    found.iter().map(message).collect()
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
        Ok(due(&self.shared.read().await?, lane, limits, &skip).await?)
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
