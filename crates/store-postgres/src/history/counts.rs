//! Counting an endpoint's attempts and its work: a page at a time by key, so that no read lasts, within
//! one deadline for all of it.

use std::time::Duration;

use domain::{
    clock::Timestamp,
    id::{AttemptId, EndpointId},
    shard::Shard,
};
use store::{
    StoreError,
    history::{EndpointCounts, Tenant},
};
use tokio_postgres::Row;

use crate::{
    Shared,
    conn::{Conn, Params},
    error::{Error, Result},
    rows,
};

/// Rows counted in one read.
const PAGE: u32 = 10_000;
/// Longest that all of it may take.
const MOST_TIME: Duration = Duration::from_secs(10);

pub(super) async fn count(
    shared: &Shared,
    tenant: Tenant,
    endpoint: EndpointId,
    (since, until): (Timestamp, Timestamp),
) -> Result<EndpointCounts> {
    let clock = &shared.ports.clock;
    let deadline = clock.monotonic() + MOST_TIME;
    let in_time = || match clock.monotonic() < deadline {
        true => Ok(()),
        false => Err(StoreError::TooLong),
    };
    let mut counts = EndpointCounts::default();
    // The lowest id of a moment is never given: as an exclusive bound it takes nothing away.
    let (mut behind, end) = (AttemptId::floor(since), AttemptId::floor(until));
    loop {
        let conn = shared.read().await?;
        let page = attempts(&conn, tenant, endpoint, behind, end).await?;
        counts.success += page.one;
        counts.fail += page.other;
        let Some(next) = page.next else { break };
        behind = rows::id(&next, 2)?;
        in_time()?;
    }
    let mut behind = (i64::MIN, Vec::new());
    loop {
        let conn = shared.read().await?;
        let page = due(&conn, tenant, endpoint, &behind).await?;
        counts.pending += page.one;
        counts.sending += page.other;
        let Some(next) = page.next else { return Ok(counts) };
        behind = (rows::get(&next, 2)?, rows::bytes(&next, 3)?.to_vec());
        in_time()?;
    }
}

/// What one read has counted of two kinds, and the key of its last row if there may be more.
struct Counted {
    one: u64,
    other: u64,
    /// From its third column on.
    next: Option<Row>,
}

impl Counted {
    /// Reads a row of all, and how many of them are of the one kind. There is none if there was nothing
    /// to count.
    fn read(row: Option<Row>) -> Result<Self> {
        let Some(row) = row else { return Ok(Self { one: 0, other: 0, next: None }) };
        let (all, one): (u64, u64) =
            (rows::narrow(rows::get::<i64>(&row, 0)?)?, rows::narrow(rows::get::<i64>(&row, 1)?)?);
        let other =
            all.checked_sub(one).ok_or_else(|| Error::corrupt("a part exceeds its whole"))?;
        Ok(Self { one, other, next: (all >= u64::from(PAGE)).then_some(row) })
    }
}

/// Attempts that succeeded, and others.
async fn attempts(
    conn: &Conn,
    tenant: Tenant,
    endpoint: EndpointId,
    behind: AttemptId,
    end: AttemptId,
) -> Result<Counted> {
    let sql = "/* endpoint_counts */ WITH page AS MATERIALIZED (
             SELECT t.id, t.class FROM attempt t
             WHERE t.org = $1 AND t.app = $2 AND t.endpoint = $3 AND t.id > $4 AND t.id < $5
             ORDER BY t.id LIMIT $6)
         SELECT (SELECT count(*) FROM page), (SELECT count(*) FROM page WHERE class = 0), id
         FROM page ORDER BY id DESC LIMIT 1";
    let (org, app) = (tenant.org.raw().as_slice(), tenant.app.raw().as_slice());
    let (behind, end) = (behind.raw().as_slice(), end.raw().as_slice());
    let params: Params<'_> =
        &[&org, &app, &endpoint.raw().as_slice(), &behind, &end, &i64::from(PAGE)];
    Counted::read(conn.query_opt(sql, params).await?)
}

/// Deliveries not tried yet, and others.
async fn due(
    conn: &Conn,
    tenant: Tenant,
    endpoint: EndpointId,
    (due, delivery): &(i64, Vec<u8>),
) -> Result<Counted> {
    let sql = "/* endpoint_counts */ WITH page AS MATERIALIZED (
             SELECT q.due, q.delivery, q.attempts FROM due q
             WHERE q.shard = $1 AND q.endpoint = $2 AND q.org = $3 AND q.app = $4
             AND (q.due, q.delivery) > ($5, $6) ORDER BY q.due, q.delivery LIMIT $7)
         SELECT (SELECT count(*) FROM page), (SELECT count(*) FROM page WHERE attempts = 0), due,
             delivery FROM page ORDER BY due DESC, delivery DESC LIMIT 1";
    let shard = Shard::of(&tenant.org, &tenant.app, &endpoint).0;
    let shard = i16::try_from(shard).map_err(Error::corrupt)?;
    let (org, app) = (tenant.org.raw().as_slice(), tenant.app.raw().as_slice());
    let params: Params<'_> =
        &[&shard, &endpoint.raw().as_slice(), &org, &app, due, delivery, &i64::from(PAGE)];
    Counted::read(conn.query_opt(sql, params).await?)
}
