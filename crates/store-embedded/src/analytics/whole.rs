//! Of which times counts and records are both all there.

use domain::{
    analytics::{Unit, Whole},
    clock::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::gather::Marks;
use crate::error::Result;

/// Since when everything has been counted, in `meta`. 0: from the beginning.
const COUNTED_SINCE: &str = "counted_since";
/// History with ids from before then was given to retention, in `meta`.
const HISTORY_SWEPT: &str = "history_swept";

/// Rolled up days from before then were given to retention, in `meta`.
const DAYS_SWEPT: &str = "days_swept";

fn time(conn: &Connection, name: &str) -> Result<Option<Timestamp>> {
    let sql = "/* rollup */ SELECT value FROM meta WHERE name = ?1";
    let found = conn.prepare_cached(sql)?.query_row([name], |row| row.get(0)).optional()?;
    Ok(found.map(Timestamp::from_micros))
}

/// Counting begins, if it has not begun: nothing of what was there before is counted.
pub(super) fn begin(conn: &Connection, now: Timestamp) -> Result<()> {
    if time(conn, COUNTED_SINCE)?.is_some() {
        return Ok(());
    }
    let sql =
        "/* rollup */ SELECT EXISTS (SELECT 1 FROM message) OR EXISTS (SELECT 1 FROM attempt)";
    let since = if conn.query_row(sql, [], |row| row.get(0))? {
        match Marks::load(conn)?.counted {
            Timestamp::EPOCH => Unit::Minute.floor(now),
            counted => counted,
        }
    } else {
        Timestamp::EPOCH
    };
    set_counted_since(conn, since)
}

/// Nothing from before then is told by the counts.
pub(crate) fn set_counted_since(conn: &Connection, since: Timestamp) -> Result<()> {
    let sql = "/* rollup */ REPLACE INTO meta (name, value) VALUES (?1, ?2)";
    conn.execute(sql, params![COUNTED_SINCE, since.as_micros()])?;
    Ok(())
}

/// In the transaction in which retention takes history away: what is older may be gone from now on.
pub(crate) fn history_swept(conn: &Connection, before: Timestamp) -> Result<()> {
    swept(conn, HISTORY_SWEPT, before)
}

/// The same of rolled up days.
pub(super) fn days_swept(conn: &Connection, before: Timestamp) -> Result<()> {
    swept(conn, DAYS_SWEPT, before)
}

fn swept(conn: &Connection, name: &str, before: Timestamp) -> Result<()> {
    let sql = "/* sweep */ INSERT INTO meta (name, value) VALUES (?1, ?2)
               ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE value < excluded.value";
    conn.prepare_cached(sql)?.execute(params![name, before.as_micros()])?;
    Ok(())
}

/// From when on all records are there and were counted.
fn records_from(conn: &Connection) -> Result<Timestamp> {
    let since = time(conn, COUNTED_SINCE)?.unwrap_or(Timestamp::MAX);
    Ok(Whole::records_from(since, time(conn, HISTORY_SWEPT)?.unwrap_or(Timestamp::EPOCH)))
}

/// The same for a store that everything is moved to: what was taken there is not known of days.
pub(crate) fn moved_from(conn: &Connection) -> Result<Timestamp> {
    Ok(records_from(conn)?.max(time(conn, DAYS_SWEPT)?.unwrap_or(Timestamp::EPOCH)))
}

pub(super) fn whole(conn: &Connection, marks: &Marks) -> Result<Whole> {
    Ok(Whole {
        records_from: records_from(conn)?,
        minutes_from: marks.minutes_kept,
        quarters_from: marks.quarters_kept,
        days_from: time(conn, DAYS_SWEPT)?.unwrap_or(Timestamp::EPOCH),
        quarters_until: marks.quarters,
        days_until: marks.days,
    })
}
