//! Counts by time, and how far they have come.

use domain::{analytics::Unit, clock::Timestamp};
use rusqlite::{Connection, params};
use store::transfer::{Batch, Limits, MovedMarks, MovedRollup, Record};

use super::{Key, catalog::app_no, missing, page};
use crate::{
    analytics::{self, Marks, RollupKey},
    error::{Error, Result},
    rows,
    tx::Tx,
};

fn unit(code: u8) -> Result<Unit> {
    let found =
        [Unit::Minute, Unit::Quarter, Unit::Day].into_iter().find(|unit| *unit as u8 == code);
    found.ok_or_else(|| Error::corrupt("a rollup is of an unknown unit"))
}

/// Unit, time and endpoint of the last row, and its event type.
fn after_of(after: &Key) -> Option<(u8, i64, i64, &str)> {
    let (unit, rest) = after.rest.split_first()?;
    let (at, rest) = rest.split_first_chunk()?;
    let (endpoint_no, rest) = rest.split_first_chunk()?;
    let event_type = std::str::from_utf8(rest).ok()?;
    Some((*unit, i64::from_be_bytes(*at), i64::from_be_bytes(*endpoint_no), event_type))
}

pub(super) fn rollups(conn: &Connection, after: &Key, limits: Limits) -> Result<Batch> {
    let sql = format!(
        "/* export */ SELECT r.app_no, r.unit, r.at, r.endpoint_no, r.event_type, o.id, a.id, e.id, {}
         FROM rollup r CROSS JOIN application a ON a.no = r.app_no
         CROSS JOIN organization o ON o.no = a.org_no LEFT JOIN endpoint e ON e.no = r.endpoint_no
         WHERE (r.app_no, r.unit, r.at, r.endpoint_no, r.event_type) > (?1, ?2, ?3, ?4, ?5)
         ORDER BY r.app_no, r.unit, r.at, r.endpoint_no, r.event_type",
        analytics::ROLLUP_COLUMNS
    );
    let (part, at, endpoint_no, event_type) = after_of(after).unwrap_or((0, i64::MIN, 0, ""));
    let params = params![after.no, part, at, endpoint_no, event_type];
    let mut batch = page(conn, &sql, params, limits, |row| {
        let (part, at): (u8, i64) = (row.get(1)?, row.get(2)?);
        let endpoint_no: i64 = row.get(3)?;
        let event_type = row.get_ref(4)?.as_str().map_err(Error::corrupt)?;
        let place = [&at.to_be_bytes()[..], &endpoint_no.to_be_bytes(), event_type.as_bytes()];
        let place = Key::place(row.get(0)?, &[&[part], &place.concat()]);
        let moved = MovedRollup {
            org: rows::id(row, 5)?,
            app: rows::id(row, 6)?,
            unit: unit(part)?,
            at: Timestamp::from_micros(at),
            endpoint: if endpoint_no == 0 { None } else { Some(rows::id(row, 7)?) },
            event_type: analytics::event_type(event_type)?,
            rollup: analytics::rollup(row, 8)?,
        };
        Ok((place, Some(Record::Rollup(moved))))
    })?;
    if batch.next.is_none() {
        let Marks { counted, quarters, days, .. } = Marks::load(conn)?;
        let since = analytics::moved_from(conn)?;
        batch.records.push(Record::Counted(MovedMarks { since, counted, quarters, days }));
    }
    Ok(batch)
}

/// With the sums that it is a part of.
pub(super) fn write_rollup(tx: &mut Tx<'_>, moved: &MovedRollup) -> Result<()> {
    let app_no = app_no(tx, moved.org, moved.app)?;
    let endpoint_no = match moved.endpoint {
        None => 0,
        Some(id) => tx.endpoint(moved.org, moved.app, id)?.ok_or_else(|| missing(id))?.no,
    };
    let key = RollupKey {
        org_no: tx.org_no(moved.org)?,
        app_no,
        at: moved.at,
        endpoint_no,
        event_type: moved.event_type.clone(),
    };
    analytics::put_with_sums(tx.conn, moved.unit, &key, &moved.rollup)
}

/// They are stored with the transaction. Of quarters and days that were complete nothing is made again: not
/// all that they are made of may have been kept.
pub(super) fn write_marks(tx: &mut Tx<'_>, moved: MovedMarks) -> Result<()> {
    let MovedMarks { since, counted, quarters, days } = moved;
    let (minutes_kept, quarters_kept) = (quarters, days);
    tx.gather.marks = Marks { counted, quarters, days, minutes_kept, quarters_kept };
    analytics::set_counted_since(tx.conn, since)
}
