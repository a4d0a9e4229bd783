//! Whether the counts that are written are those of a recount, and sums those of their parts: an application
//! and some hours of it at a time.

use domain::{
    analytics::{Compared, Comparison, LONGEST_ATTEMPT, Unit, Whole},
    clock::Timestamp,
    id::{ApplicationId, AttemptId, MessageId, OrganizationId},
};
use rusqlite::{Connection, params, types::ValueRef};
use store::{history::Tenant, housekeeping::CheckReport};

use super::{
    gather::Marks,
    keys,
    read::Names,
    recount::{self, Place},
    rows::{self, COLUMNS},
    whole,
};
use crate::{
    error::{Error, Result},
    rows::id,
    transfer,
};

const UNITS: [Unit; 3] = [Unit::Minute, Unit::Quarter, Unit::Day];

/// Compares all that is there as a whole and that is written: see [`Whole`].
pub(crate) fn check(conn: &Connection, report: &mut CheckReport) -> Result<()> {
    if transfer::progress(conn)?.is_some() {
        report.facts.push("counts by time are not compared: a move into this store goes on".into());
        return Ok(());
    }
    let marks = Marks::load(conn)?;
    let whole = whole::whole(conn, &marks)?;
    let mut compared = Compared::default();
    let mut apps = conn.prepare(
        "/* check */ SELECT o.no, a.no, o.id, a.id FROM application a
         JOIN organization o ON o.no = a.org_no ORDER BY a.no",
    )?;
    let mut found = apps.query([])?;
    while let Some(row) = found.next()? {
        let tenant = Tenant {
            org: OrganizationId::from_raw(row.get(2)?),
            app: ApplicationId::from_raw(row.get(3)?),
        };
        let place = Place { org_no: row.get(0)?, app_no: row.get(1)?, tenant };
        application(conn, place, (whole, marks.counted), &mut compared)?;
    }
    sums(conn, whole, &mut compared)?;
    report.facts.push(compared.fact());
    report.problems.extend(compared.problems());
    Ok(())
}

fn application(
    conn: &Connection,
    place: Place,
    (whole, counted): (Whole, Timestamp),
    compared: &mut Compared,
) -> Result<()> {
    let mut comparison = Comparison::new(whole, place.tenant.app, compared);
    let Some((span, endpoints)) = extent(conn, place)? else { return Ok(()) };
    let mut names = Names::of_endpoints(conn);
    let sql = format!(
        "/* check */ SELECT at, endpoint_no, event_type, {COLUMNS} FROM rollup
         WHERE app_no = ?1 AND unit = ?2 AND at >= ?3 AND at < ?4"
    );
    let mut rollups = conn.prepare(&sql)?;
    for (from, until) in whole.windows(span, endpoints) {
        recount::each(conn, place, (from, until), |key, record| {
            let of = (names.endpoint(key.endpoint_no)?, key.event_type);
            comparison.record(key.at, &of, &record, counted);
            Ok(())
        })?;
        for unit in UNITS {
            let bounds = (unit as u8, from.as_micros(), until.as_micros());
            let mut found = rollups.query(params![place.app_no, bounds.0, bounds.1, bounds.2])?;
            while let Some(row) = found.next()? {
                let event_type = row.get_ref(2)?.as_str().map_err(Error::corrupt)?;
                let of = (names.endpoint(row.get(1)?)?, keys::event_type(event_type)?);
                let at = Timestamp::from_micros(row.get(0)?);
                comparison.counted((unit, at), of, &rows::rollup(row, 3)?, counted);
            }
        }
        comparison.told_until(until);
    }
    comparison.told_until(Timestamp::MAX);
    Ok(())
}

/// From when to when there is anything of an application, and how many endpoints it has had.
fn extent(conn: &Connection, place: Place) -> Result<Option<((Timestamp, Timestamp), usize)>> {
    let mut times: Vec<Timestamp> = Vec::new();
    let mut messages = conn.prepare_cached(
        "/* check */ SELECT (SELECT min(id) FROM message WHERE app_no = ?1),
             (SELECT max(id) FROM message WHERE app_no = ?1)",
    )?;
    let ends: [Option<[u8; 20]>; 2] =
        messages.query_row([place.app_no], |row| Ok([row.get(0)?, row.get(1)?]))?;
    times.extend(ends.into_iter().flatten().map(|raw| MessageId::from_raw(raw).timestamp()));
    let mut attempts = conn.prepare_cached(
        "/* check */ SELECT (SELECT min(id) FROM attempt WHERE endpoint_no = e.no),
             (SELECT max(id) FROM attempt WHERE endpoint_no = e.no)
         FROM endpoint e WHERE e.app_no = ?1",
    )?;
    let mut endpoints = 0;
    let mut found = attempts.query([place.app_no])?;
    while let Some(row) = found.next()? {
        endpoints += 1;
        if let Some(first) = row.get::<_, Option<[u8; 20]>>(0)? {
            let last: AttemptId = id(row, 1)?;
            times.push(AttemptId::from_raw(first).timestamp());
            times.push(last.timestamp().plus(LONGEST_ATTEMPT));
        }
    }
    let mut rollups = conn.prepare_cached(
        "/* check */ SELECT (SELECT min(at) FROM rollup WHERE app_no = ?1 AND unit = ?2),
             (SELECT max(at) FROM rollup WHERE app_no = ?1 AND unit = ?2)",
    )?;
    for unit in UNITS {
        let ends: [Option<i64>; 2] = rollups
            .query_row(params![place.app_no, unit as u8], |row| Ok([row.get(0)?, row.get(1)?]))?;
        times.extend(ends.into_iter().flatten().map(Timestamp::from_micros));
    }
    let (first, last) = (times.iter().min(), times.iter().max());
    Ok(first.zip(last).map(|(first, last)| ((*first, *last), endpoints)))
}

/// Sums of applications and of event types against what they are sums of, by hours and days.
fn sums(conn: &Connection, whole: Whole, compared: &mut Compared) -> Result<()> {
    let mut ends = conn.prepare(
        "/* check */ SELECT o.no, (SELECT min(at) FROM rollup_app WHERE org_no = o.no AND unit = ?1),
             (SELECT max(at) FROM rollup_app WHERE org_no = o.no AND unit = ?1) FROM organization o",
    )?;
    for unit in UNITS {
        let mut orgs = ends.query([unit as u8])?;
        while let Some(row) = orgs.next()? {
            let Some(first) = row.get::<_, Option<i64>>(1)? else { continue };
            let last: i64 = row.get(2)?;
            let end = whole.until(unit, Timestamp::MAX);
            let first = Timestamp::from_micros(first).max(whole.from(unit));
            let last = Timestamp::from_micros(last);
            let mut at = Unit::Day.floor(first);
            while at <= last && at < end {
                let until = at.plus(Unit::Day.duration());
                sums_of(conn, unit, row.get(0)?, (at.max(first), until.min(end)), compared)?;
                at = until;
            }
        }
    }
    Ok(())
}

const FIGURES: &str = "sum(r.messages) AS messages, sum(r.bytes) AS bytes, \
    sum(r.attempts) AS attempts, sum(r.successes) AS successes, sum(r.retries) AS retries";

fn sums_of(
    conn: &Connection,
    unit: Unit,
    org_no: i64,
    (from, until): (Timestamp, Timestamp),
    compared: &mut Compared,
) -> Result<()> {
    let mut names = Names::of_applications(conn);
    for (table, key) in [("rollup_app", "r.app_no"), ("rollup_type", "r.event_type")] {
        let sql = format!(
            "/* check */ SELECT DISTINCT at, key FROM (SELECT at, key FROM (
                 SELECT 1 AS sign, r.at AS at, {key} AS key, {FIGURES} FROM application a
                 CROSS JOIN rollup r ON r.app_no = a.no AND r.unit = ?1 AND r.at >= ?3 AND r.at < ?4
                 WHERE a.org_no = ?2 GROUP BY r.at, {key}
                 UNION ALL
                 SELECT -1, r.at, {key}, {FIGURES} FROM {table} r
                 WHERE r.org_no = ?2 AND r.unit = ?1 AND r.at >= ?3 AND r.at < ?4
                 GROUP BY r.at, {key})
             WHERE messages + attempts > 0
             GROUP BY at, key, messages, bytes, attempts, successes, retries
             HAVING sum(sign) <> 0)"
        );
        let mut statement = conn.prepare_cached(&sql)?;
        let bounds = params![unit as u8, org_no, from.as_micros(), until.as_micros()];
        let mut found = statement.query(bounds)?;
        while let Some(row) = found.next()? {
            let of = match row.get_ref(1)? {
                ValueRef::Integer(app_no) => {
                    ApplicationId::from_raw(names.get(app_no)?).to_string()
                }
                key => key.as_str().map_err(Error::corrupt)?.to_owned(),
            };
            compared.wrong_sum(unit, Timestamp::from_micros(row.get(0)?), &of);
        }
    }
    Ok(())
}
