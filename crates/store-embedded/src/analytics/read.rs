//! Reading rollups.

use std::{
    cmp::Reverse,
    collections::{HashMap, hash_map::Entry},
};

use domain::{
    analytics::Counts,
    id::{ApplicationId, EndpointId, OrganizationId},
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use store::{
    StoreError,
    analytics::{COUNTED_PER_ENDPOINT, FailingEndpoint, Of, PendingWork, RollupRow, Span},
};

use super::{
    keys,
    rows::{self, COLUMNS},
};
use crate::{
    error::{Error, Result},
    rows::{id, time},
};

/// Endpoints of all organizations that are looked at for those of one that fail.
const MOST_FAILING: usize = 100_000;
/// Most lanes with work that are looked at.
const MOST_LANES: usize = 20_000;

pub(super) fn org_no(conn: &Connection, org: OrganizationId) -> Result<Option<i64>> {
    let sql = "/* rollups */ SELECT no FROM organization WHERE id = ?1";
    Ok(conn.prepare_cached(sql)?.query_row([org.raw()], |row| row.get(0)).optional()?)
}

/// The number of an application, deleted or not.
pub(super) fn app_no(conn: &Connection, org_no: i64, app: ApplicationId) -> Result<Option<i64>> {
    let sql = "/* rollups */ SELECT no FROM application WHERE org_no = ?1 AND id = ?2";
    let params = params![org_no, app.raw()];
    Ok(conn.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()?)
}

/// Ids by number: the same few come again and again.
pub(super) struct Names<'c> {
    conn: &'c Connection,
    sql: &'static str,
    known: HashMap<i64, [u8; 20]>,
}

impl<'c> Names<'c> {
    pub(super) fn of_applications(conn: &'c Connection) -> Self {
        let sql = "/* rollups */ SELECT id FROM application WHERE no = ?1";
        Self { conn, sql, known: HashMap::new() }
    }

    pub(super) fn of_endpoints(conn: &'c Connection) -> Self {
        let sql = "/* rollups */ SELECT id FROM endpoint WHERE no = ?1";
        Self { conn, sql, known: HashMap::new() }
    }

    /// None for 0.
    pub(super) fn endpoint(&mut self, no: i64) -> Result<Option<EndpointId>> {
        if no == 0 { Ok(None) } else { self.get(no).map(|id| Some(EndpointId::from_raw(id))) }
    }

    pub(super) fn get(&mut self, no: i64) -> Result<[u8; 20]> {
        if let Some(id) = self.known.get(&no) {
            return Ok(*id);
        }
        let id = self.conn.prepare_cached(self.sql)?.query_row([no], |row| row.get(0))?;
        self.known.insert(no, id);
        Ok(id)
    }
}

pub(super) fn rollups(
    conn: &Connection,
    org: OrganizationId,
    of: Of,
    span: Span,
    limit: usize,
) -> Result<Vec<RollupRow>> {
    let Some(org_no) = org_no(conn, org)? else { return Ok(Vec::new()) };
    let bounds = (span.unit as u8, span.from.as_micros(), span.until.as_micros());
    let mut read = Vec::new();
    let mut push = |row: RollupRow| {
        read.push(row);
        if read.len() > limit { Err(Error::from(StoreError::Overloaded)) } else { Ok(()) }
    };
    match of {
        Of::Application(app) => {
            let Some(app_no) = app_no(conn, org_no, app)? else { return Ok(Vec::new()) };
            let sql = format!(
                "/* rollups */ SELECT at, endpoint_no, event_type, {COLUMNS} FROM rollup
                 WHERE app_no = ?1 AND unit = ?2 AND at >= ?3 AND at < ?4
                 ORDER BY at, endpoint_no, event_type"
            );
            let mut names = Names::of_endpoints(conn);
            each(conn, &sql, (app_no, bounds), |row| {
                let endpoint = names.endpoint(row.get(1)?)?;
                let event_type = row.get_ref(2)?.as_str().map_err(Error::corrupt)?;
                push(RollupRow {
                    at: time(row, 0)?,
                    app: Some(app),
                    endpoint,
                    event_type: keys::event_type(event_type)?,
                    rollup: rows::rollup(row, 3)?,
                })
            })?;
        }
        Of::Applications => {
            let sql = format!(
                "/* rollups */ SELECT at, app_no, {COLUMNS} FROM rollup_app
                 WHERE org_no = ?1 AND unit = ?2 AND at >= ?3 AND at < ?4 ORDER BY at, app_no"
            );
            let mut names = Names::of_applications(conn);
            each(conn, &sql, (org_no, bounds), |row| {
                push(RollupRow {
                    at: time(row, 0)?,
                    app: Some(ApplicationId::from_raw(names.get(row.get(1)?)?)),
                    endpoint: None,
                    event_type: None,
                    rollup: rows::rollup(row, 2)?,
                })
            })?;
        }
        Of::EventTypes => {
            let sql = format!(
                "/* rollups */ SELECT at, event_type, {COLUMNS} FROM rollup_type
                 WHERE org_no = ?1 AND unit = ?2 AND at >= ?3 AND at < ?4 ORDER BY at, event_type"
            );
            each(conn, &sql, (org_no, bounds), |row| {
                let event_type = row.get_ref(1)?.as_str().map_err(Error::corrupt)?;
                push(RollupRow {
                    at: time(row, 0)?,
                    app: None,
                    endpoint: None,
                    event_type: keys::event_type(event_type)?,
                    rollup: rows::rollup(row, 2)?,
                })
            })?;
        }
    }
    Ok(read)
}

fn each(
    conn: &Connection,
    sql: &str,
    (leads, (unit, from, until)): (i64, (u8, i64, i64)),
    mut read: impl FnMut(&Row<'_>) -> Result<()>,
) -> Result<()> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut found = statement.query(params![leads, unit, from, until])?;
    while let Some(row) = found.next()? {
        read(row)?;
    }
    Ok(())
}

pub(super) fn application_counts(
    conn: &Connection,
    org: OrganizationId,
    span: Span,
) -> Result<Vec<(ApplicationId, Counts)>> {
    let Some(org_no) = org_no(conn, org)? else { return Ok(Vec::new()) };
    let mut statement = conn.prepare_cached(
        "/* application_counts */ SELECT a.id, r.* FROM (
             SELECT app_no, sum(messages), sum(bytes), sum(attempts), sum(successes), sum(retries)
             FROM rollup_app WHERE org_no = ?1 AND unit = ?2 AND at >= ?3 AND at < ?4
             GROUP BY app_no) r JOIN application a ON a.no = r.app_no ORDER BY a.id",
    )?;
    let params = params![org_no, span.unit as u8, span.from.as_micros(), span.until.as_micros()];
    let mut found = statement.query(params)?;
    let mut all = Vec::new();
    while let Some(row) = found.next()? {
        let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
        let counts = Counts {
            messages: count(2)?,
            bytes: count(3)?,
            attempts: count(4)?,
            successes: count(5)?,
            retries: count(6)?,
        };
        if counts != Counts::default() {
            all.push((id(row, 0)?, counts));
        }
    }
    Ok(all)
}

pub(super) fn failing_endpoints(
    conn: &Connection,
    org: OrganizationId,
    limit: usize,
) -> Result<Vec<FailingEndpoint>> {
    let Some(org_no) = org_no(conn, org)? else { return Ok(Vec::new()) };
    let mut statement = conn.prepare_cached(
        "/* failing_endpoints */ SELECT a.id, e.id, e.first_failure_at, e.disabled FROM (
             SELECT no FROM endpoint WHERE first_failure_at IS NOT NULL AND deleted_at IS NULL
             ORDER BY first_failure_at LIMIT ?3) f
         CROSS JOIN endpoint e ON e.no = f.no CROSS JOIN application a ON a.no = e.app_no
         WHERE a.org_no = ?1 AND a.deleted_at IS NULL ORDER BY e.first_failure_at, e.id LIMIT ?2",
    )?;
    let mut found = statement.query(params![org_no, limit as i64, MOST_FAILING as i64])?;
    let mut failing = Vec::new();
    while let Some(row) = found.next()? {
        failing.push(FailingEndpoint {
            app: id(row, 0)?,
            endpoint: id(row, 1)?,
            since: time(row, 2)?,
            disabled: row.get(3)?,
        });
    }
    Ok(failing)
}

/// Looks at each lane with work, and counts it up to a bound.
pub(super) fn pending_work(
    conn: &Connection,
    org: OrganizationId,
    limit: usize,
) -> Result<Vec<PendingWork>> {
    let Some(org_no) = org_no(conn, org)? else { return Ok(Vec::new()) };
    let mut next = conn.prepare_cached(
        "/* pending_work */ SELECT lane, app_no FROM due WHERE lane > ?1 ORDER BY lane LIMIT 1",
    )?;
    let mut count = conn.prepare_cached(
        "/* pending_work */ SELECT count(*) FROM (SELECT 1 FROM due WHERE lane = ?1 LIMIT ?2)",
    )?;
    let mut owner = conn.prepare_cached(
        "/* pending_work */ SELECT id FROM application WHERE no = ?1 AND org_no = ?2",
    )?;
    let mut apps: HashMap<i64, Option<PendingWork>> = HashMap::new();
    let mut lane = -1;
    for _ in 0..MOST_LANES {
        let head = next.query_row([lane], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((found, app_no)): Option<(i64, i64)> = head else { break };
        lane = found;
        let work = match apps.entry(app_no) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let id = owner.query_row([app_no, org_no], |row| row.get(0)).optional()?;
                new.insert(
                    id.map(|id| PendingWork { app: ApplicationId::from_raw(id), pending: 0 }),
                )
            }
        };
        if let Some(work) = work {
            let most = COUNTED_PER_ENDPOINT as i64;
            work.pending +=
                count.query_row([lane, most], |row| row.get::<_, i64>(0))?.unsigned_abs();
        }
    }
    let mut work: Vec<_> = apps.into_values().flatten().collect();
    work.sort_by_key(|work| (Reverse(work.pending), work.app));
    work.truncate(limit);
    Ok(work)
}
