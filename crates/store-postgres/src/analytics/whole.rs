//! Of which times counts and records are both all there.

use std::time::Duration;

use domain::{
    analytics::{Unit, Whole},
    clock::Timestamp,
};

use super::marks::Marks;
use crate::{
    conn::Conn,
    error::{Error, Result},
    rows,
};

/// Since when everything has been counted, in `meta`. 0: from the beginning.
const COUNTED_SINCE: &str = "counted_since";
/// History with ids from before then was given to retention, in `meta`: see [`SWEEP_HISTORY`].
const HISTORY_SWEPT: &str = "history_swept";
/// Where there were messages before anything was counted, nodes of the release before may go on for so
/// long, and they count no messages.
const UPDATE: Duration = Duration::from_secs(86_400);

/// Rolled up days from before then were given to retention, in `meta`: see [`SWEEP_DAYS`].
const DAYS_SWEPT: &str = "days_swept";

/// A mark moves forwards, never back.
macro_rules! forwards {
    () => {
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value
          WHERE convert_from(meta.value, 'UTF8')::bigint < $1"
    };
}

async fn time(conn: &Conn, name: &str) -> Result<Option<Timestamp>> {
    let sql = "/* rollup */ SELECT convert_from(value, 'UTF8')::bigint FROM meta WHERE name = $1";
    let found = conn.query_opt(sql, &[&name]).await?;
    found.map(|row| rows::time(&row, 0)).transpose()
}

/// Counting begins, if it has not begun: nothing of what was there before is counted.
pub(super) async fn begin(conn: &Conn, now: Timestamp) -> Result<()> {
    let since = Unit::Minute.ceil(now.plus(UPDATE)).as_micros();
    let sql = "/* rollup */ INSERT INTO meta (name, value)
         SELECT $1::text, convert_to((CASE WHEN EXISTS (SELECT 1 FROM message)
             OR EXISTS (SELECT 1 FROM attempt) THEN $2::bigint ELSE 0 END)::text, 'UTF8')
         ON CONFLICT (name) DO NOTHING";
    conn.execute(sql, &[&COUNTED_SINCE, &since]).await?;
    Ok(())
}

/// Nothing from before then is told by the counts.
pub(crate) async fn set_counted_since(conn: &Conn, since: Timestamp) -> Result<()> {
    let sql = "/* rollup */ INSERT INTO meta (name, value)
         VALUES ($1, convert_to($2::bigint::text, 'UTF8'))
         ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    conn.execute(sql, &[&COUNTED_SINCE, &since.as_micros()]).await?;
    Ok(())
}

/// In the transaction in which retention takes history away from before a moment: it may be gone from now
/// on.
pub(crate) const SWEEP_HISTORY: &str = concat!(
    "/* sweep */ INSERT INTO meta (name, value)
        VALUES ('history_swept', convert_to($1::bigint::text, 'UTF8'))",
    forwards!()
);
/// The same of rolled up days.
pub(super) const SWEEP_DAYS: &str = concat!(
    "/* sweep */ INSERT INTO meta (name, value)
        VALUES ('days_swept', convert_to($1::bigint::text, 'UTF8'))",
    forwards!()
);

/// From when on all records are there and were counted.
async fn records_from(conn: &Conn) -> Result<Timestamp> {
    let since = time(conn, COUNTED_SINCE).await?;
    let since = since.ok_or_else(|| Error::corrupt("nothing says when counting began"))?;
    let swept = time(conn, HISTORY_SWEPT).await?.unwrap_or(Timestamp::EPOCH);
    Ok(Whole::records_from(since, swept))
}

/// The same for a store that everything is moved to: what was taken there is not known of days.
pub(crate) async fn moved_from(conn: &Conn) -> Result<Timestamp> {
    let days = time(conn, DAYS_SWEPT).await?.unwrap_or(Timestamp::EPOCH);
    Ok(records_from(conn).await?.max(days))
}

pub(super) async fn whole(conn: &Conn) -> Result<Whole> {
    let marks = Marks::load(conn).await?;
    Ok(Whole {
        records_from: records_from(conn).await?,
        minutes_from: marks.minutes_kept,
        quarters_from: marks.quarters_kept,
        days_from: time(conn, DAYS_SWEPT).await?.unwrap_or(Timestamp::EPOCH),
        quarters_until: marks.quarters,
        days_until: marks.days,
    })
}
