//! The truth about minutes, from messages and attempts; and how the rollups are brought back to it after
//! a crash.

use std::{collections::BTreeMap, time::Duration};

use domain::{
    analytics::{Counted, CountedAttempt, LONGEST_ATTEMPT, Rollup, Unit},
    clock::Timestamp,
    id::{ApplicationId, AttemptId, EndpointId, MessageId, OrganizationId},
};
use rusqlite::{Connection, params};
use store::{codec, history::Tenant};

use super::{
    gather::{Marks, all_written},
    keys::{self, Key},
    rows::{self, COLUMNS, Sums},
};
use crate::{
    error::{Error, Result},
    rows::{id, opt_time, time},
};

/// An application, and how its rows are named.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) org_no: i64,
    pub(super) app_no: i64,
    pub(super) tenant: Tenant,
}

/// Counts an application's messages and attempts of `[from, until)`.
pub(super) fn count(
    conn: &Connection,
    place: Place,
    span: (Timestamp, Timestamp),
) -> Result<BTreeMap<Key, Rollup>> {
    let mut counted: BTreeMap<Key, Rollup> = BTreeMap::new();
    each(conn, place, span, |key, record| {
        record.add_to(counted.entry(key).or_default());
        Ok(())
    })?;
    Ok(counted)
}

/// Tells of each of an application's messages and attempts of `[from, until)`, and its minute.
pub(super) fn each(
    conn: &Connection,
    place: Place,
    span: (Timestamp, Timestamp),
    mut found: impl FnMut(Key, Counted) -> Result<()>,
) -> Result<()> {
    messages(conn, place, span, &mut found)?;
    let sql = "/* recount */ SELECT no, id FROM endpoint WHERE app_no = ?1";
    let mut statement = conn.prepare_cached(sql)?;
    let mut endpoints = statement.query([place.app_no])?;
    while let Some(row) = endpoints.next()? {
        let endpoint = (row.get(0)?, id(row, 1)?);
        attempts(conn, place, endpoint, span, &mut found)?;
    }
    Ok(())
}

fn messages(
    conn: &Connection,
    Place { org_no, app_no, .. }: Place,
    (from, until): (Timestamp, Timestamp),
    tell: &mut impl FnMut(Key, Counted) -> Result<()>,
) -> Result<()> {
    let mut statement = conn.prepare_cached(
        "/* recount */ SELECT m.event_type, m.created_at, p.codec, p.body FROM message m
         LEFT JOIN payload p ON p.id = m.payload WHERE m.app_no = ?1 AND m.id >= ?2 AND m.id < ?3",
    )?;
    // The time of an id is that of its message, to a few milliseconds.
    let second = Duration::from_secs(1);
    let ids = [from.minus(second), until.plus(second)].map(|at| *MessageId::floor(at).raw());
    let mut found = statement.query(params![app_no, ids[0], ids[1]])?;
    while let Some(row) = found.next()? {
        let created_at = time(row, 1)?;
        if created_at < from || created_at >= until {
            continue;
        }
        let bytes = match row.get::<_, Option<u8>>(2)? {
            None => None,
            Some(codec) => {
                let body = row.get_ref(3)?.as_blob().map_err(Error::corrupt)?;
                Some(codec::decode(codec, body)?.len())
            }
        };
        let event_type = row.get_ref(0)?.as_str().map_err(Error::corrupt)?;
        let (at, event_type) = (Unit::Minute.floor(created_at), keys::event_type(event_type)?);
        let key = Key { org_no, app_no, at, endpoint_no: 0, event_type };
        tell(key, Counted::Message(bytes))?;
    }
    Ok(())
}

fn attempts(
    conn: &Connection,
    Place { org_no, app_no, tenant }: Place,
    (endpoint_no, endpoint): (i64, EndpointId),
    (from, until): (Timestamp, Timestamp),
    tell: &mut impl FnMut(Key, Counted) -> Result<()>,
) -> Result<()> {
    let mut statement = conn.prepare_cached(&format!(
        "/* recount */ SELECT {}, m.event_type, m.created_at, m.deliver_at FROM {}
         LEFT JOIN message m ON m.app_no = ?1 AND m.id = t.message_id
         WHERE t.endpoint_no = ?2 AND t.id >= ?3 AND t.id < ?4 AND NOT t.superseded",
        crate::rows::ATTEMPT,
        crate::rows::ATTEMPT_FROM
    ))?;
    let ids = [from.minus(LONGEST_ATTEMPT), until].map(|at| *AttemptId::floor(at).raw());
    let mut found = statement.query(params![app_no, endpoint_no, ids[0], ids[1]])?;
    while let Some(row) = found.next()? {
        let attempt = crate::rows::attempt(row, tenant, endpoint)?;
        let event_type = row.get_ref(17)?.as_str_or_null().map_err(Error::corrupt)?;
        // As `Message::wanted_at` says.
        let wanted_at = opt_time(row, 18)?.max(opt_time(row, 19)?);
        let attempt = CountedAttempt::new(&attempt, wanted_at.unwrap_or(attempt.started_at));
        if attempt.ended_at < from || attempt.ended_at >= until {
            continue;
        }
        let at = Unit::Minute.floor(attempt.ended_at);
        let event_type = keys::event_type(event_type.unwrap_or_default())?;
        let key = Key { org_no, app_no, at, endpoint_no, event_type };
        tell(key, Counted::Attempt(attempt))?;
    }
    Ok(())
}

/// Counts anew the minutes of which something may be missing. The writer does it before it begins. While
/// another store is moved into this one it does not: that one's counts come with it.
pub(crate) fn recover(conn: &Connection, now: Timestamp) -> Result<()> {
    super::whole::begin(conn, now)?;
    super::gather::begin(conn, now)?;
    if crate::transfer::progress(conn)?.is_some() {
        return Ok(());
    }
    let mut marks = Marks::load(conn)?;
    let from = marks.counted;
    let mut apps = conn.prepare(
        "/* recount */ SELECT o.no, a.no, o.id, a.id FROM application a
         JOIN organization o ON o.no = a.org_no",
    )?;
    let mut found = apps.query([])?;
    let mut sums = Sums::default();
    while let Some(row) = found.next()? {
        let tenant = Tenant {
            org: OrganizationId::from_raw(row.get(2)?),
            app: ApplicationId::from_raw(row.get(3)?),
        };
        let place = Place { org_no: row.get(0)?, app_no: row.get(1)?, tenant };
        let mut counted = count(conn, place, (from, Timestamp::MAX))?;
        keep_unaccepted(conn, place, from, &mut counted)?;
        for (key, rollup) in &counted {
            marks.lower(key.at);
            rows::put_detail(conn, Unit::Minute, key, rollup)?;
            sums.add(key, rollup);
        }
    }
    sums.put(conn, Unit::Minute)?;
    marks.counted = all_written(now).max(from);
    marks.store(conn)
}

/// Of what no record tells, what was written stays.
fn keep_unaccepted(
    conn: &Connection,
    Place { org_no, app_no, .. }: Place,
    from: Timestamp,
    counted: &mut BTreeMap<Key, Rollup>,
) -> Result<()> {
    let mut statement = conn.prepare_cached(&format!(
        "/* recount */ SELECT at, {COLUMNS} FROM rollup
         WHERE app_no = ?1 AND unit = ?2 AND at >= ?3 AND endpoint_no = 0 AND event_type = ''",
    ))?;
    let unit = Unit::Minute as u8;
    let mut found = statement.query(params![app_no, unit, from.as_micros()])?;
    while let Some(row) = found.next()? {
        let key = Key { org_no, app_no, at: time(row, 0)?, endpoint_no: 0, event_type: None };
        counted.entry(key).or_default().unaccepted = rows::rollup(row, 1)?.unaccepted;
    }
    Ok(())
}
