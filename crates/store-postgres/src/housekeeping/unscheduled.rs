//! Deliveries that are pending and have no row of work: nobody would ever send them. There must be
//! none. Beside `check`, which looks at everything at one moment and takes its time, a walk over all
//! records goes on for as long as the store is open, a page at a time, so that a fault is seen on the
//! node that has it.

use domain::{
    id::{ApplicationId, EndpointId, OrganizationId},
    shard::Shard,
};
use store::walk;

use crate::{
    conn::{Conn, Tx},
    error::Result,
    rows,
    sweep::Pages,
};

/// Pages of a table that are looked at with one statement.
const PAGES: i64 = 256;
/// How often, if little in them is pending: together 32 MiB.
const MOST_PARTS: usize = 16;
/// So much pending is enough for one time.
const ENOUGH: usize = 10_000;

/// A place in the partitions of `delivery`, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    partition: String,
    pages: Pages,
}

/// What one page held.
type Page = walk::Page<Place>;
/// How far the walk has come, and what it found.
pub(crate) type Walk = walk::Walk<Place>;

/// Records that are pending, a column each.
#[derive(Default)]
struct Pending {
    shard: Vec<i16>,
    endpoint: Vec<Vec<u8>>,
    due: Vec<Option<i64>>,
    delivery: Vec<Vec<u8>>,
    attempts: Vec<i32>,
}

/// Looks at some records from `after` on. They are compared with their work at one moment, so what is
/// found is a fault and not a delivery that moved on meanwhile.
pub(crate) async fn page(tx: &Tx, after: Place) -> Result<Page> {
    let mut at = after.clone();
    let mut pending = Pending::default();
    let mut next = None;
    for _ in 0..MOST_PARTS {
        next = part(tx, &at, &mut pending).await?;
        match &next {
            Some(place) if pending.due.len() < ENOUGH => at = place.clone(),
            _ => break,
        }
    }
    Ok(Page { after, next, found: unscheduled(tx, &pending).await? })
}

/// Adds what is pending in one part of a partition; where the next part begins.
async fn part(conn: &Conn, at: &Place, pending: &mut Pending) -> Result<Option<Place>> {
    let sql = "/* stats */ SELECT c.oid::regclass::text FROM pg_inherits i
         JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass('delivery')
         AND c.oid::regclass::text COLLATE \"C\" >= $1
         ORDER BY c.oid::regclass::text COLLATE \"C\" LIMIT 2";
    let partitions = conn.query(sql, &[&at.partition]).await?;
    let Some(first) = partitions.first() else { return Ok(None) };
    let name: String = rows::get(first, 0)?;
    let pages = if name == at.partition { at.pages } else { Pages::default() };
    let part = pages.part(conn, &name, PAGES).await?;
    // One statement for each partition.
    let sql = format!(
        "/* stats */ SELECT org, app, endpoint, delivery, next_due, attempts FROM {name}
         WHERE ctid >= $1::text::tid AND ctid < $2::text::tid AND state IS NULL"
    );
    for row in conn.query(&sql, &[&part.from, &part.to]).await? {
        let (org, app): (OrganizationId, ApplicationId) = (rows::id(&row, 0)?, rows::id(&row, 1)?);
        let endpoint: EndpointId = rows::id(&row, 2)?;
        pending.shard.push(Shard::of(&org, &app, &endpoint).0.cast_signed());
        pending.endpoint.push(rows::bytes(&row, 2)?.to_vec());
        pending.delivery.push(rows::bytes(&row, 3)?.to_vec());
        pending.due.push(rows::get(&row, 4)?);
        pending.attempts.push(rows::get(&row, 5)?);
    }
    if !part.is_last() {
        return Ok(Some(Place { partition: name, pages: part.next }));
    }
    let Some(second) = partitions.get(1) else { return Ok(None) };
    Ok(Some(Place { partition: rows::get(second, 0)?, pages: Pages::default() }))
}

/// How many of these no row of `due` agrees with.
async fn unscheduled(conn: &Conn, pending: &Pending) -> Result<u64> {
    if pending.due.is_empty() {
        return Ok(0);
    }
    let sql = "/* stats */ SELECT count(*)
         FROM unnest($1::smallint[], $2::bytea[], $3::bigint[], $4::bytea[], $5::integer[])
             AS d (shard, endpoint, due, delivery, attempts)
         WHERE NOT EXISTS (SELECT 1 FROM due u WHERE u.shard = d.shard
             AND u.endpoint = d.endpoint AND u.due = d.due AND u.delivery = d.delivery
             AND u.attempts = d.attempts)";
    let Pending { shard, endpoint, due, delivery, attempts } = pending;
    let row = conn.query_one(sql, &[shard, endpoint, due, delivery, attempts]).await?;
    rows::narrow(rows::get::<i64>(&row, 0)?)
}
