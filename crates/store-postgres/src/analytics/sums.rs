//! Whether sums of applications and of event types are those of their parts. Both are written in one
//! transaction, so that it can be asked at any moment.

use domain::{
    analytics::{Compared, Whole},
    clock::Timestamp,
    id::ApplicationId,
};
use tokio_postgres::Row;

use super::check::UNITS;
use crate::{conn::Conn, error::Result, rows};

/// Most sums that are found.
const MOST: i64 = 10_000;

/// These read all there is.
const BY_TABLE: &str = "SET LOCAL enable_seqscan = on; SET LOCAL plan_cache_mode = auto";

const FIGURES: &str = "sum(r.messages) AS messages, sum(r.bytes) AS bytes, \
    sum(r.attempts) AS attempts, sum(r.successes) AS successes, sum(r.retries) AS retries";

pub(super) async fn check(conn: &Conn, whole: Whole, compared: &mut Compared) -> Result<()> {
    conn.batch(BY_TABLE).await?;
    let application = |row: &Row| Ok(rows::id::<ApplicationId>(row, 2)?.to_string());
    let event_type = |row: &Row| Ok(rows::get::<&str>(row, 2)?.to_owned());
    of_table(conn, ("rollup_app", "app"), whole, compared, application).await?;
    of_table(conn, ("rollup_type", "event_type"), whole, compared, event_type).await
}

async fn of_table(
    conn: &Conn,
    (table, key): (&str, &str),
    whole: Whole,
    compared: &mut Compared,
    name: impl Fn(&Row) -> Result<String>,
) -> Result<()> {
    let grouped = |table: &str| {
        format!(
            "SELECT r.org, r.unit, r.at, r.{key} AS key, {FIGURES} FROM {table} r
             JOIN unnest($1::smallint[], $2::bigint[], $3::bigint[]) AS u (unit, first, behind)
                 ON r.unit = u.unit AND r.at >= u.first AND r.at < u.behind
             GROUP BY r.org, r.unit, r.at, r.{key}"
        )
    };
    let sql = format!(
        "/* check */ SELECT unit, at, key FROM ({}) d FULL JOIN ({}) s USING (org, unit, at, key)
         WHERE (coalesce(d.messages, 0), coalesce(d.bytes, 0), coalesce(d.attempts, 0),
                coalesce(d.successes, 0), coalesce(d.retries, 0))
            <> (coalesce(s.messages, 0), coalesce(s.bytes, 0), coalesce(s.attempts, 0),
                coalesce(s.successes, 0), coalesce(s.retries, 0)) LIMIT $4",
        grouped("rollup"),
        grouped(table)
    );
    let units = UNITS.map(|unit| unit as i16);
    let first = UNITS.map(|unit| whole.from(unit).as_micros());
    let behind = UNITS.map(|unit| whole.until(unit, Timestamp::MAX).as_micros());
    let found = conn
        .query(&sql, &[&units.as_slice(), &first.as_slice(), &behind.as_slice(), &MOST])
        .await?;
    for row in &found {
        let code: i16 = rows::get(row, 0)?;
        let unit = UNITS.into_iter().find(|unit| *unit as i16 == code).unwrap_or(UNITS[0]);
        compared.wrong_sum(unit, rows::time(row, 1)?, &name(row)?);
    }
    Ok(())
}
