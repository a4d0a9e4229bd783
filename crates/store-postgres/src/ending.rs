//! Ending what is pending, without an attempt: both rows of each delivery, and the count.
//!
//! Whoever changes deliveries locks their rows in `delivery` first, in the order of their key, then
//! those in `due`, then those in `pending`. A delivery's row in `due` belongs to whoever has locked the
//! one in `delivery`.

use domain::{
    clock::Timestamp,
    delivery::{Cause, EndState},
    id::{ApplicationId, DeliveryId, EndpointId, MessageId, OrganizationId},
    shard::Shard,
};
use store::deliveries::LaneKey;

use crate::{
    Shared,
    conn::{Params, Tx},
    enqueue::COMMON_SLOT,
    error::{Error, Result},
    rows,
};

/// How often a transaction that lost against another one is tried again.
pub(crate) const MOST_CONFLICTS: u32 = 5;

/// A delivery that is to end. Their order is that of their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pending {
    pub(crate) org: OrganizationId,
    pub(crate) app: ApplicationId,
    pub(crate) endpoint: EndpointId,
    pub(crate) message: MessageId,
    pub(crate) delivery: DeliveryId,
    /// When its next try was due when it was read.
    pub(crate) due: Timestamp,
}

/// Ids of deliveries, a column each.
struct Keys<'a> {
    org: Vec<&'a [u8]>,
    app: Vec<&'a [u8]>,
    endpoint: Vec<&'a [u8]>,
    message: Vec<&'a [u8]>,
    delivery: Vec<&'a [u8]>,
    /// The first and the last message: they say which partitions are concerned.
    first: &'a [u8],
    last: &'a [u8],
}

impl<'a> Keys<'a> {
    /// `None` if there are none.
    fn of(pending: &'a [Pending]) -> Option<Self> {
        let messages = || pending.iter().map(|row| row.message.raw().as_slice());
        Some(Self {
            org: pending.iter().map(|row| row.org.raw().as_slice()).collect(),
            app: pending.iter().map(|row| row.app.raw().as_slice()).collect(),
            endpoint: pending.iter().map(|row| row.endpoint.raw().as_slice()).collect(),
            message: messages().collect(),
            delivery: pending.iter().map(|row| row.delivery.raw().as_slice()).collect(),
            first: messages().min()?,
            last: messages().max()?,
        })
    }
}

/// Ends deliveries, wherever they have moved since they were read; those that have ended meanwhile stay
/// as they are. A row of `due` whose delivery is not pending goes as well. Returns how many deliveries
/// ended here.
///
/// Once in a transaction: the counts of two calls would be locked in an order of their own.
pub(crate) async fn end_pending(
    tx: &Tx,
    pending: &[Pending],
    end: (EndState, Cause),
    at: Timestamp,
) -> Result<usize> {
    let mut pending = pending.to_vec();
    pending.sort_unstable();
    pending.dedup_by_key(|row| Pending { due: Timestamp::EPOCH, ..*row });
    let ended = lock(tx, &mut pending).await?;
    write_end(tx, &ended, end, at).await?;
    remove_due(tx, &pending).await?;
    Ok(ended.len())
}

/// Locks those that are pending, in order, and notes when they are due by now. Returns them.
async fn lock(tx: &Tx, pending: &mut [Pending]) -> Result<Vec<Pending>> {
    let Some(keys) = Keys::of(pending) else { return Ok(Vec::new()) };
    // Row by row: so they are locked in the order they are given in.
    let sql = "/* end */ SELECT u.place, d.next_due
         FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[])
             WITH ORDINALITY AS u (org, app, endpoint, message, delivery, place)
         CROSS JOIN LATERAL (SELECT d.next_due FROM delivery d
             WHERE d.org = u.org AND d.app = u.app AND d.endpoint = u.endpoint
             AND d.message = u.message AND d.delivery = u.delivery
             AND d.message BETWEEN $6 AND $7 AND d.state IS NULL FOR UPDATE) d";
    let Keys { org, app, endpoint, message, delivery, first, last } = &keys;
    let found = tx.query(sql, &[org, app, endpoint, message, delivery, first, last]).await?;
    let mut locked = Vec::with_capacity(found.len());
    for row in &found {
        let place = usize::try_from(rows::get::<i64>(row, 0)? - 1).map_err(Error::corrupt)?;
        let listed = &mut pending[place];
        listed.due = rows::opt_time(row, 1)?.unwrap_or(listed.due);
        locked.push(*listed);
    }
    Ok(locked)
}

/// Writes the end of deliveries that are locked.
async fn write_end(
    tx: &Tx,
    ended: &[Pending],
    (state, cause): (EndState, Cause),
    at: Timestamp,
) -> Result<()> {
    let Some(keys) = Keys::of(ended) else { return Ok(()) };
    let sql = "/* end */ UPDATE delivery d
         SET next_due = NULL, state = $8, cause = $9, ended_at = $10
         FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[])
             AS u (org, app, endpoint, message, delivery)
         WHERE d.org = u.org AND d.app = u.app AND d.endpoint = u.endpoint
         AND d.message = u.message AND d.delivery = u.delivery
         AND d.message BETWEEN $6 AND $7 AND d.state IS NULL";
    let Keys { org, app, endpoint, message, delivery, first, last } = &keys;
    let (state, cause, at) = (i16::from(state as u8), i16::from(cause as u8), at.as_micros());
    let params: Params<'_> =
        &[org, app, endpoint, message, delivery, first, last, &state, &cause, &at];
    tx.execute(sql, params).await?;
    Ok(())
}

/// Takes the rows of `due` away, and off the count.
async fn remove_due(tx: &Tx, pending: &[Pending]) -> Result<()> {
    let Some(keys) = Keys::of(pending) else { return Ok(()) };
    let shard = |row: &Pending| i16::try_from(Shard::of(&row.org, &row.app, &row.endpoint).0);
    let shards: Vec<i16> =
        pending.iter().map(shard).collect::<Result<_, _>>().map_err(Error::corrupt)?;
    let due: Vec<i64> = pending.iter().map(|row| row.due.as_micros()).collect();
    let sql = "/* end */ WITH gone AS (
             DELETE FROM due q USING unnest($1::smallint[], $2::bytea[], $3::bigint[], $4::bytea[])
                 AS u (shard, endpoint, due, delivery)
             WHERE q.shard = u.shard AND q.endpoint = u.endpoint AND q.due = u.due
             AND q.delivery = u.delivery RETURNING q.org, q.app
         )
         INSERT INTO pending AS c (org, app, slot, count)
         SELECT org, app, $5::smallint, -count(*) FROM gone GROUP BY org, app ORDER BY org, app
         ON CONFLICT (org, app, slot) DO UPDATE SET count = c.count + excluded.count";
    tx.execute(sql, &[&shards, &keys.endpoint, &due, &keys.delivery, &COMMON_SLOT]).await?;
    Ok(())
}

/// Ends up to `limit` deliveries of a lane, the earliest due first; how many there were.
pub(crate) async fn cancel(
    shared: &Shared,
    lane: LaneKey,
    limit: usize,
    now: Timestamp,
    end: (EndState, Cause),
) -> Result<usize> {
    let mut conflicts = 0;
    loop {
        let tx = shared.begin().await?;
        match cancel_in(&tx, lane, limit, now, end).await {
            Ok(cancelled) => {
                tx.commit().await?;
                return Ok(cancelled);
            }
            Err(error) if error.is_conflict() && conflicts < MOST_CONFLICTS => {
                tx.rollback().await?;
                conflicts += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn cancel_in(
    tx: &Tx,
    lane: LaneKey,
    limit: usize,
    now: Timestamp,
    end: (EndState, Cause),
) -> Result<usize> {
    let pending = earliest(tx, lane, limit).await?;
    end_pending(tx, &pending, end, now).await?;
    Ok(pending.len())
}

async fn earliest(tx: &Tx, lane: LaneKey, limit: usize) -> Result<Vec<Pending>> {
    let sql = "/* cancel */ SELECT message, delivery, due FROM due
               WHERE shard = $1 AND endpoint = $2 AND org = $3 AND app = $4
               ORDER BY due, delivery LIMIT $5";
    let shard = i16::try_from(lane.shard.0).map_err(Error::corrupt)?;
    let LaneKey { org, app, endpoint, .. } = lane;
    let key = (endpoint.raw().as_slice(), org.raw().as_slice(), app.raw().as_slice());
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = tx.query(sql, &[&shard, &key.0, &key.1, &key.2, &limit]).await?;
    let pending = |row: &tokio_postgres::Row| {
        let (message, delivery) = (rows::id(row, 0)?, rows::id(row, 1)?);
        Ok(Pending { org, app, endpoint, message, delivery, due: rows::time(row, 2)? })
    };
    found.iter().map(pending).collect()
}
