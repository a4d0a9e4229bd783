//! Rolling up what has ended, and retention: by the writer, a few applications at a time, so that what is
//! read and what is written are of one moment. A unit is written anew as a whole, so that a step may be
//! repeated.

use std::collections::BTreeMap;

use domain::{
    analytics::{Rollup, Unit},
    clock::Timestamp,
};
use rusqlite::params;
use store::analytics::RollupLimits;

use super::{
    keys::{self, Key},
    rows::{self, COLUMNS, Sums},
    whole,
};
use crate::{
    error::{Error, Result},
    tx::Tx,
};

/// Rows that a step reads, roughly.
const STEP_ROWS: usize = 1_000;
/// Units without anything in them that a step passes by.
const STEP_UNITS: usize = 100;
/// How long after its end a quarter is rolled up: what ended in it is written by then, mostly. What comes
/// later is not lost: the quarter is rolled up again.
const GRACE: std::time::Duration = std::time::Duration::from_secs(30);

/// How far in a unit the last step came.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Roller {
    unit_at: Option<(Unit, Timestamp)>,
    /// The last organization and application that was rolled up.
    place: (i64, i64),
    /// The last application that retention looked at.
    swept: i64,
}

/// What a unit is made of.
fn parts_of(unit: Unit) -> Unit {
    match unit {
        Unit::Day => Unit::Quarter,
        Unit::Quarter | Unit::Minute => Unit::Minute,
    }
}

/// One step; the roller as it is then, and whether there is more to do now.
pub(crate) fn step(
    tx: &mut Tx<'_>,
    mut roller: Roller,
    limits: RollupLimits,
) -> Result<(Roller, bool)> {
    for _ in 0..STEP_UNITS {
        let Some((unit, at)) = next_unit(tx, limits.now) else {
            let more = sweep(tx, &mut roller, limits)?;
            return Ok((roller, more));
        };
        if roller.unit_at != Some((unit, at)) {
            roller = Roller { unit_at: Some((unit, at)), place: (0, 0), ..roller };
        }
        let (last, read) = applications(tx, unit, at, roller.place)?;
        if let Some(last) = last {
            roller.place = last;
            return Ok((roller, true));
        }
        types(tx, unit, at)?;
        let end = at.plus(unit.duration());
        let marks = &mut tx.gather.marks;
        match unit {
            Unit::Day => marks.days = end,
            Unit::Quarter | Unit::Minute => marks.quarters = end,
        }
        roller.unit_at = None;
        if read > 0 {
            return Ok((roller, true));
        }
    }
    Ok((roller, true))
}

/// What is to be rolled up next. Days only of complete quarters.
fn next_unit(tx: &Tx<'_>, now: Timestamp) -> Option<(Unit, Timestamp)> {
    let marks = tx.gather.marks;
    let end = |unit: Unit, at: Timestamp| at.plus(unit.duration());
    if end(Unit::Quarter, marks.quarters).plus(GRACE) <= now {
        return Some((Unit::Quarter, marks.quarters));
    }
    (end(Unit::Day, marks.days) <= marks.quarters).then_some((Unit::Day, marks.days))
}

/// Rolls up a few applications behind `place`. The last of them if there are more, and how many rows were
/// read.
fn applications(
    tx: &Tx<'_>,
    unit: Unit,
    at: Timestamp,
    place: (i64, i64),
) -> Result<(Option<(i64, i64)>, usize)> {
    let (part, from, until) = bounds(unit, at);
    let mut orgs = tx
        .conn
        .prepare_cached("/* roll_up */ SELECT no FROM organization WHERE no >= ?1 ORDER BY no")?;
    let mut apps = tx.conn.prepare_cached(
        "/* roll_up */ SELECT DISTINCT app_no FROM rollup_app
         WHERE org_no = ?1 AND unit = ?2 AND at >= ?3 AND at < ?4 AND app_no > ?5 ORDER BY app_no",
    )?;
    let mut read = 0;
    let found =
        orgs.query_map([place.0], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    for org_no in found {
        let behind = if org_no == place.0 { place.1 } else { 0 };
        let active = apps
            .query_map(params![org_no, part, from, until, behind], |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<i64>>>()?;
        for app_no in active {
            read += application(tx, unit, at, (org_no, app_no))?;
            if read >= STEP_ROWS {
                return Ok((Some((org_no, app_no)), read));
            }
        }
    }
    Ok((None, read))
}

/// The parts of a unit: which, from when, until when.
fn bounds(unit: Unit, at: Timestamp) -> (u8, i64, i64) {
    (parts_of(unit) as u8, at.as_micros(), at.plus(unit.duration()).as_micros())
}

/// Rolls up one application; how many rows were read.
fn application(
    tx: &Tx<'_>,
    unit: Unit,
    at: Timestamp,
    (org_no, app_no): (i64, i64),
) -> Result<usize> {
    let (part, from, until) = bounds(unit, at);
    let mut statement = tx.conn.prepare_cached(&format!(
        "/* roll_up */ SELECT endpoint_no, event_type, {COLUMNS} FROM rollup
         WHERE app_no = ?1 AND unit = ?2 AND at >= ?3 AND at < ?4"
    ))?;
    let mut found = statement.query(params![app_no, part, from, until])?;
    let mut rolled: BTreeMap<Key, Rollup> = BTreeMap::new();
    let mut read = 0;
    while let Some(row) = found.next()? {
        read += 1;
        let event_type = keys::event_type(row.get_ref(1)?.as_str().map_err(Error::corrupt)?)?;
        let key = Key { org_no, app_no, at, endpoint_no: row.get(0)?, event_type };
        rolled.entry(key).or_default().merge(&rows::rollup(row, 2)?);
    }
    let mut of_app = Rollup::default();
    for (key, rollup) in &rolled {
        rows::put_detail(tx.conn, unit, key, rollup)?;
        of_app.merge(rollup);
    }
    rows::put_of_app(tx.conn, (org_no, unit, at), app_no, of_app)?;
    Ok(read)
}

/// Rolls up the event types of all organizations.
fn types(tx: &Tx<'_>, unit: Unit, at: Timestamp) -> Result<()> {
    let (part, from, until) = bounds(unit, at);
    let mut statement = tx.conn.prepare_cached(&format!(
        "/* roll_up */ SELECT t.org_no, t.event_type, {COLUMNS} FROM organization o
         CROSS JOIN rollup_type t ON t.org_no = o.no AND t.unit = ?1 AND t.at >= ?2 AND t.at < ?3"
    ))?;
    let mut found = statement.query(params![part, from, until])?;
    let mut sums = Sums::default();
    while let Some(row) = found.next()? {
        sums.add_to_type((row.get(0)?, at, row.get(1)?), &rows::rollup(row, 2)?);
    }
    sums.put(tx.conn, unit)
}

/// A step of retention; whether there is more. What is not rolled up yet stays.
fn sweep(tx: &mut Tx<'_>, roller: &mut Roller, limits: RollupLimits) -> Result<bool> {
    let marks = &mut tx.gather.marks;
    // Whole quarters and days: what is made anew of its parts has all of them.
    let minutes = Unit::Quarter.floor(limits.minutes_before.min(marks.quarters));
    let quarters = Unit::Day.floor(limits.quarters_before.min(marks.days));
    marks.minutes_kept = marks.minutes_kept.max(minutes);
    marks.quarters_kept = marks.quarters_kept.max(quarters);
    let days = Unit::Day.floor(limits.days_before);
    whole::days_swept(tx.conn, days)?;
    let ends = [(Unit::Minute, minutes), (Unit::Quarter, quarters), (Unit::Day, days)];
    let mut apps = tx.conn.prepare_cached(
        "/* roll_up */ SELECT no FROM application WHERE no > ?1 ORDER BY no LIMIT ?2",
    )?;
    let found = apps
        .query_map(params![roller.swept, STEP_ROWS as i64], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    let mut removed = 0;
    for app_no in &found {
        roller.swept = *app_no;
        for (unit, end) in ends {
            let sql =
                "/* roll_up */ DELETE FROM rollup WHERE app_no = ?1 AND unit = ?2 AND at < ?3";
            let params = params![app_no, unit as u8, end.as_micros()];
            removed += tx.conn.prepare_cached(sql)?.execute(params)?;
        }
        if removed >= STEP_ROWS {
            return Ok(true);
        }
    }
    if found.len() == STEP_ROWS {
        return Ok(true);
    }
    roller.swept = 0;
    for table in ["rollup_app", "rollup_type"] {
        for (unit, end) in ends {
            let sql = format!(
                "/* roll_up */ DELETE FROM {table} WHERE unit = ?1 AND at < ?2
                 AND org_no IN (SELECT no FROM organization)"
            );
            tx.conn.prepare_cached(&sql)?.execute(params![unit as u8, end.as_micros()])?;
        }
    }
    Ok(false)
}
