//! Counts by time, and how far they have come. Minutes of messages are apart from those of attempts here.

use std::collections::BTreeMap;

use domain::{
    analytics::{Rollup, Unit},
    clock::Timestamp,
};
use store::transfer::{Batch, Limits, MovedMarks, MovedRollup, Place, Record};
use tokio_postgres::Row;

use super::{Key, limit, page};
use crate::{
    analytics::{self, RollupKey},
    conn::{Conn, Params, Tx},
    error::{Error, Result},
    rows,
};

/// The first part of a place: which of the two tables it is in.
const ROLLUPS: &[u8] = &[0];
const TRAFFIC: &[u8] = &[1];

fn number(part: &[u8], first: i64) -> i64 {
    part.try_into().map_or(first, i64::from_be_bytes)
}

fn unit(code: i16) -> Result<Unit> {
    let units = [Unit::Minute, Unit::Quarter, Unit::Day];
    let found = units.into_iter().find(|unit| *unit as i16 == code);
    found.ok_or_else(|| Error::corrupt("a rollup is of an unknown unit"))
}

fn text(part: &[u8]) -> Result<&str> {
    std::str::from_utf8(part).map_err(Error::corrupt)
}

pub(super) async fn rollups(conn: &Conn, after: &Key, limits: Limits) -> Result<Batch> {
    if after.part(0) == TRAFFIC {
        return traffic(conn, after, limits).await;
    }
    let sql = format!(
        "/* export */ SELECT r.org, r.app, r.unit, r.at, r.endpoint, r.event_type, {} FROM rollup r
         WHERE (r.org, r.app, r.unit, r.at, r.endpoint, r.event_type) > ($1, $2, $3, $4, $5, $6)
         ORDER BY r.org, r.app, r.unit, r.at, r.endpoint, r.event_type LIMIT $7",
        analytics::ROLLUP_COLUMNS
    );
    let unit_code = i16::try_from(number(after.part(3), 0)).map_err(Error::corrupt)?;
    let (at, event_type) = (number(after.part(4), i64::MIN), text(after.part(6))?);
    let ids = [1, 2, 5].map(|part| after.part(part));
    let params: Params<'_> =
        &[&ids[0], &ids[1], &unit_code, &at, &ids[2], &event_type, &limit(limits)];
    let found = conn.query(&sql, params).await?;
    if found.is_empty() {
        return Ok(Batch { records: Vec::new(), next: Some(Key::place(&[TRAFFIC])) });
    }
    page(&found, |row| {
        let moved = MovedRollup {
            org: rows::id(row, 0)?,
            app: rows::id(row, 1)?,
            unit: unit(rows::get(row, 2)?)?,
            at: rows::time(row, 3)?,
            endpoint: analytics::endpoint(rows::bytes(row, 4)?)?,
            event_type: analytics::event_type(rows::get(row, 5)?)?,
            rollup: analytics::rollup(row, 6)?,
        };
        Ok((place(ROLLUPS, row, &moved)?, Some(Record::Rollup(moved))))
    })
}

fn place(table: &[u8], row: &Row, moved: &MovedRollup) -> Result<Place> {
    let unit = i64::from(moved.unit as u8).to_be_bytes();
    let at = moved.at.as_micros().to_be_bytes();
    let endpoint = moved.endpoint.map_or(Vec::new(), |id| id.raw().to_vec());
    let event_type = moved.event_type.as_ref().map_or("", |name| name.as_str()).as_bytes();
    let (org, app) = (rows::bytes(row, 0)?, rows::bytes(row, 1)?);
    Ok(Key::place(&[table, org, app, &unit, &at, &endpoint, event_type]))
}

async fn traffic(conn: &Conn, after: &Key, limits: Limits) -> Result<Batch> {
    // Rows of a key stand together: of each there is one record.
    let sql = format!(
        "/* export */ SELECT t.org, t.app, t.at, t.event_type, {} FROM traffic t
         WHERE (t.org, t.app, t.at, t.event_type) > ($1, $2, $3, $4)
         GROUP BY t.org, t.app, t.at, t.event_type ORDER BY t.org, t.app, t.at, t.event_type LIMIT $5",
        analytics::TRAFFIC_SUMS
    );
    let (at, event_type) = (number(after.part(4), i64::MIN), text(after.part(6))?);
    let (org, app) = (after.part(1), after.part(2));
    let found = conn.query(&sql, &[&org, &app, &at, &event_type, &limit(limits)]).await?;
    if found.is_empty() {
        return Ok(Batch { records: vec![Record::Counted(marks(conn).await?)], next: None });
    }
    page(&found, |row| {
        let moved = MovedRollup {
            org: rows::id(row, 0)?,
            app: rows::id(row, 1)?,
            unit: Unit::Minute,
            at: rows::time(row, 2)?,
            endpoint: None,
            event_type: analytics::event_type(rows::get(row, 3)?)?,
            rollup: analytics::traffic(row, 4)?,
        };
        Ok((place(TRAFFIC, row, &moved)?, Some(Record::Rollup(moved))))
    })
}

async fn marks(conn: &Conn) -> Result<MovedMarks> {
    let sql = "/* export */ SELECT (SELECT min(up_to) FROM counted), quarters, days FROM rolled_up";
    let row = conn.query_one(sql, &[]).await?;
    Ok(MovedMarks {
        since: analytics::moved_from(conn).await?,
        counted: rows::time(&row, 0)?,
        quarters: rows::time(&row, 1)?,
        days: rows::time(&row, 2)?,
    })
}

/// Writes the rollups of a batch, with the sums that they are a part of.
pub(super) async fn write_rollups(tx: &Tx, records: &[Record]) -> Result<()> {
    let mut units: BTreeMap<Unit, BTreeMap<RollupKey, Rollup>> = BTreeMap::new();
    for record in records {
        let Record::Rollup(moved) = record else { continue };
        let key = RollupKey {
            org: moved.org,
            app: moved.app,
            at: moved.at,
            endpoint: moved.endpoint,
            event_type: moved.event_type.clone(),
        };
        let rollup = moved.rollup.clone();
        units.entry(moved.unit).or_default().entry(key).or_default().merge(&rollup);
    }
    for (unit, counts) in units {
        analytics::import(tx, unit, counts).await?;
    }
    Ok(())
}

/// Of quarters and days that were complete nothing is made again: not all that they are made of may have
/// been kept.
pub(super) async fn write_marks(tx: &Tx, moved: MovedMarks) -> Result<()> {
    let time = |time: Timestamp| time.as_micros();
    let sql = "/* import */ UPDATE counted SET up_to = $1";
    tx.execute(sql, &[&time(moved.counted)]).await?;
    let sql = "/* import */ UPDATE rolled_up SET quarters = $1, days = $2, begun = $1,
               minutes_kept = $1, quarters_kept = $2";
    tx.execute(sql, &[&time(moved.quarters), &time(moved.days)]).await?;
    analytics::set_counted_since(tx, moved.since).await
}
