//! Rows of rollups: the three tables have the same columns behind their keys.

use std::collections::{BTreeMap, HashMap};

use domain::{
    analytics::{Rollup, Unit},
    clock::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use store::rollup_codec;

use super::{gather::Marks, keys::Key};
use crate::error::Result;

/// The columns behind the key: for [`rollup`].
pub(crate) const COLUMNS: &str = "messages, bytes, retries, detail";

/// Reads a rollup from its [`COLUMNS`], of which `first` is the first one's place.
pub(crate) fn rollup(row: &Row<'_>, first: usize) -> Result<Rollup> {
    let count = |column| row.get::<_, i64>(first + column).map(i64::unsigned_abs);
    let detail = row.get_ref(first + 3)?.as_blob().map_err(crate::error::Error::corrupt)?;
    Ok(rollup_codec::decode(count(0)?, count(1)?, count(2)?, detail)?)
}

const DETAIL: (&str, &str) = (
    "/* rollup */ SELECT messages, bytes, retries, detail FROM rollup
     WHERE app_no = ?1 AND unit = ?2 AND at = ?3 AND endpoint_no = ?4 AND event_type = ?5",
    "/* rollup */ REPLACE INTO rollup (app_no, unit, at, endpoint_no, event_type, messages, bytes,
     attempts, successes, retries, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
);
const OF_APP: (&str, &str) = (
    "/* rollup */ SELECT messages, bytes, retries, detail FROM rollup_app
     WHERE org_no = ?1 AND unit = ?2 AND at = ?3 AND app_no = ?4",
    "/* rollup */ REPLACE INTO rollup_app (org_no, unit, at, app_no, messages, bytes, attempts,
     successes, retries, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
);
const OF_TYPE: (&str, &str) = (
    "/* rollup */ SELECT messages, bytes, retries, detail FROM rollup_type
     WHERE org_no = ?1 AND unit = ?2 AND at = ?3 AND event_type = ?4",
    "/* rollup */ REPLACE INTO rollup_type (org_no, unit, at, event_type, messages, bytes, attempts,
     successes, retries, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
);

/// What is stored under a key, if anything is.
fn stored(conn: &Connection, sql: &str, key: impl Params) -> Result<Option<Rollup>> {
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_row(key, |row| Ok(rollup(row, 0))).optional()?;
    found.transpose()
}

/// Whether what is written joins what is there or takes its place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Add,
    Put,
}

/// Of all endpoints and types of an application: its organization, time and number.
type OfApp = (i64, Timestamp, i64);
/// Of a type in all applications: its organization, time and name.
type OfType = (i64, Timestamp, String);

fn write_detail(conn: &Connection, unit: Unit, key: &Key, new: &Rollup, mode: Mode) -> Result<()> {
    let (unit, at, event_type) = (unit as u8, key.at.as_micros(), key.event_type());
    let merged;
    let mut rollup = new;
    if mode == Mode::Add {
        let place = params![key.app_no, unit, at, key.endpoint_no, event_type];
        if let Some(mut old) = stored(conn, DETAIL.0, place)? {
            old.merge(new);
            merged = old;
            rollup = &merged;
        }
    }
    let counts = rollup.counts();
    conn.prepare_cached(DETAIL.1)?.execute(params![
        key.app_no,
        unit,
        at,
        key.endpoint_no,
        event_type,
        counts.messages.cast_signed(),
        counts.bytes.cast_signed(),
        counts.attempts.cast_signed(),
        counts.successes.cast_signed(),
        counts.retries.cast_signed(),
        rollup_codec::encode(rollup),
    ])?;
    Ok(())
}

fn write_sum(
    conn: &Connection,
    (select, replace): (&str, &str),
    (org_no, unit, at): (i64, Unit, Timestamp),
    last: &dyn rusqlite::ToSql,
    new: Rollup,
    mode: Mode,
) -> Result<()> {
    let (unit, at) = (unit as u8, at.as_micros());
    let mut rollup = new;
    if mode == Mode::Add
        && let Some(old) = stored(conn, select, params![org_no, unit, at, last])?
    {
        rollup.merge(&old);
    }
    let counts = rollup.counts();
    conn.prepare_cached(replace)?.execute(params![
        org_no,
        unit,
        at,
        last,
        counts.messages.cast_signed(),
        counts.bytes.cast_signed(),
        counts.attempts.cast_signed(),
        counts.successes.cast_signed(),
        counts.retries.cast_signed(),
        rollup_codec::encode(&rollup),
    ])?;
    Ok(())
}

/// Sums of rollups, by application and by event type.
#[derive(Default)]
pub(super) struct Sums {
    apps: BTreeMap<OfApp, Rollup>,
    types: BTreeMap<OfType, Rollup>,
}

impl Sums {
    pub(super) fn add(&mut self, key: &Key, rollup: &Rollup) {
        self.apps.entry((key.org_no, key.at, key.app_no)).or_default().merge(rollup);
        let of_type = (key.org_no, key.at, key.event_type().to_owned());
        self.types.entry(of_type).or_default().merge(rollup);
    }

    pub(super) fn add_to_type(&mut self, of: OfType, rollup: &Rollup) {
        self.types.entry(of).or_default().merge(rollup);
    }

    fn write(self, conn: &Connection, unit: Unit, mode: Mode) -> Result<()> {
        for ((org_no, at, app_no), rollup) in self.apps {
            write_sum(conn, OF_APP, (org_no, unit, at), &app_no, rollup, mode)?;
        }
        for ((org_no, at, event_type), rollup) in self.types {
            write_sum(conn, OF_TYPE, (org_no, unit, at), &event_type, rollup, mode)?;
        }
        Ok(())
    }

    /// In the place of what is there.
    pub(super) fn put(self, conn: &Connection, unit: Unit) -> Result<()> {
        self.write(conn, unit, Mode::Put)
    }
}

/// Adds what was counted to its minutes.
pub(super) fn add(conn: &Connection, part: &HashMap<Key, Rollup>, marks: &mut Marks) -> Result<()> {
    let mut sums = Sums::default();
    for (key, rollup) in part {
        marks.lower(key.at);
        write_detail(conn, Unit::Minute, key, rollup, Mode::Add)?;
        sums.add(key, rollup);
    }
    sums.write(conn, Unit::Minute, Mode::Add)
}

/// Writes a rollup of an endpoint and event type in the place of what is there.
pub(super) fn put_detail(conn: &Connection, unit: Unit, key: &Key, rollup: &Rollup) -> Result<()> {
    write_detail(conn, unit, key, rollup, Mode::Put)
}

/// Writes a rollup that is not there yet, and adds it to its sums.
pub(crate) fn put_with_sums(
    conn: &Connection,
    unit: Unit,
    key: &Key,
    rollup: &Rollup,
) -> Result<()> {
    write_detail(conn, unit, key, rollup, Mode::Put)?;
    let mut sums = Sums::default();
    sums.add(key, rollup);
    sums.write(conn, unit, Mode::Add)
}

/// Writes an application's rollup in the place of what is there.
pub(super) fn put_of_app(
    conn: &Connection,
    of: (i64, Unit, Timestamp),
    app_no: i64,
    rollup: Rollup,
) -> Result<()> {
    write_sum(conn, OF_APP, of, &app_no, rollup, Mode::Put)
}
