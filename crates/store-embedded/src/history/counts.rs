//! Counting an endpoint's attempts and its work: a page at a time by key, so that no read lasts, within
//! one deadline for all of it.

use std::time::Duration;

use domain::{
    clock::{Clock, Timestamp},
    id::{AttemptId, EndpointId},
};
use rusqlite::{Connection, params};
use store::{
    StoreError,
    history::{EndpointCounts, Tenant},
};

use super::place;
use crate::{error::Result, readers::Readers};

/// Rows counted in one read.
const PAGE: usize = 20_000;
/// Longest that all of it may take.
const MOST_TIME: Duration = Duration::from_secs(10);

pub(super) async fn count(
    readers: &Readers,
    clock: &dyn Clock,
    tenant: Tenant,
    endpoint: EndpointId,
    (since, until): (Timestamp, Timestamp),
) -> store::Result<EndpointCounts> {
    let deadline = clock.monotonic() + MOST_TIME;
    let in_time = || match clock.monotonic() < deadline {
        true => Ok(()),
        false => Err(StoreError::TooLong),
    };
    let mut counts = EndpointCounts::default();
    let found = readers.read(move |conn| place(conn, tenant, endpoint)).await?;
    let Some(place) = found else { return Ok(counts) };
    // The lowest id of a moment is never given: as an exclusive bound it takes nothing away.
    let (mut behind, end) = (*AttemptId::floor(since).raw(), *AttemptId::floor(until).raw());
    loop {
        let page = readers.read(move |conn| attempts(conn, place.endpoint_no, behind, end)).await?;
        counts.success += page.one;
        counts.fail += page.other;
        let Some(next) = page.next else { break };
        behind = next;
        in_time()?;
    }
    let mut behind = (i64::MIN, [0; 20]);
    loop {
        let page = readers.read(move |conn| due(conn, place.lane, behind)).await?;
        counts.pending += page.one;
        counts.sending += page.other;
        let Some(next) = page.next else { return Ok(counts) };
        behind = next;
        in_time()?;
    }
}

/// What one read has counted of two kinds, and where the next one begins.
struct Counted<K> {
    one: u64,
    other: u64,
    next: Option<K>,
}

/// Attempts that succeeded, and others.
fn attempts(
    conn: &Connection,
    endpoint_no: i64,
    behind: [u8; 20],
    end: [u8; 20],
) -> Result<Counted<[u8; 20]>> {
    let mut statement = conn.prepare_cached(
        "/* endpoint_counts */ SELECT id, class = 0 FROM attempt
         WHERE endpoint_no = ?1 AND id > ?2 AND id < ?3 ORDER BY id LIMIT ?4",
    )?;
    tally(&mut statement, params![endpoint_no, behind, end, PAGE as i64], 1, |row| row.get(0))
}

/// Deliveries not tried yet, and others.
fn due(
    conn: &Connection,
    lane: i64,
    (due, id): (i64, [u8; 20]),
) -> Result<Counted<(i64, [u8; 20])>> {
    let mut statement = conn.prepare_cached(
        "/* endpoint_counts */ SELECT due, delivery_id, attempts = 0 FROM due
         WHERE lane = ?1 AND (due, delivery_id) > (?2, ?3) ORDER BY due, delivery_id LIMIT ?4",
    )?;
    tally(&mut statement, params![lane, due, id, PAGE as i64], 2, |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}

/// Counts rows by whether `column` is true; the last one's key is where a full page goes on.
fn tally<K>(
    statement: &mut rusqlite::Statement<'_>,
    params: impl rusqlite::Params,
    column: usize,
    key: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<K>,
) -> Result<Counted<K>> {
    let mut rows = statement.query(params)?;
    let mut counted = Counted { one: 0, other: 0, next: None };
    while let Some(row) = rows.next()? {
        match row.get(column)? {
            true => counted.one += 1,
            false => counted.other += 1,
        }
        if counted.one + counted.other == PAGE as u64 {
            counted.next = Some(key(row)?);
        }
    }
    Ok(counted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_add_up() {
        let conn = Connection::open_in_memory().expect("opens");
        conn.execute_batch(include_str!("../../migrations/0001.sql")).expect("migrates");
        // One more than a page; every tenth failed, or was tried.
        let rows = PAGE as i64 + 1;
        let numbers = format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
        );
        let id = "CAST(zeroblob(16) || unhex(printf('%08x', i)) AS BLOB)";
        conn.execute_batch(&format!(
            "INSERT INTO attempt {numbers} SELECT 7, {id}, x'', x'', 1, 0, i % 10 = 0, 200, x'', 1,
                 NULL, 0, 1, 1, NULL, x'', x'', 0, i FROM n;
             INSERT INTO due {numbers} SELECT 9, i / 3, {id}, 1, x'', 0, i % 10 = 0, 1, NULL, NULL
                 FROM n;"
        ))
        .expect("inserts");
        let first = attempts(&conn, 7, [0; 20], [0xff; 20]).expect("counts");
        let next = first.next.expect("there is more");
        let rest = attempts(&conn, 7, next, [0xff; 20]).expect("counts");
        assert_eq!((first.one + rest.one, first.other + rest.other), (18_001, 2_000));
        assert_eq!((rest.one + rest.other, rest.next), (1, None));
        let first = due(&conn, 9, (i64::MIN, [0; 20])).expect("counts");
        let rest = due(&conn, 9, first.next.expect("there is more")).expect("counts");
        assert_eq!((first.one + rest.one, first.other + rest.other), (18_001, 2_000));
        assert_eq!((rest.one + rest.other, rest.next), (1, None));
    }
}
