//! Applications.

use domain::{
    application::Application,
    clock::Timestamp,
    id::{ApplicationId, OrganizationId},
    name::{Ref, Uid},
    page::{Page, PageRequest},
    task::TaskKind,
    token::Actor,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;
use store::{
    audit::of_application,
    catalog::{ApplicationFilter, Refused},
    paging::Window,
    sealed,
    vault::Vault,
};

use super::{audit, organizations};
use crate::{
    error::{Error, Result},
    rejected, rows, tasks,
    tx::Tx,
};

/// Behind [`COLUMNS`]: whose it is.
const ORGANIZATION: usize = 10;
pub(crate) const COLUMNS: &str =
    "a.no, a.version, a.id, a.uid, a.name, a.throttle_rate, a.metadata,
    a.created_at, a.updated_at, a.source";

/// An application with what the store knows it by.
pub(crate) struct Found {
    pub(crate) no: i64,
    pub(crate) version: u64,
    pub(crate) application: Application,
}

pub(crate) fn found(row: &Row<'_>, vault: &Vault, org: OrganizationId) -> Result<Found> {
    let id = rows::id(row, 2)?;
    let source = row.get_ref(9)?.as_blob_or_null().map_err(Error::corrupt)?;
    Ok(Found {
        no: row.get(0)?,
        version: row.get::<_, i64>(1)?.cast_unsigned(),
        application: Application {
            org,
            id,
            uid: rows::opt_parsed(row, 3)?,
            name: row.get(4)?,
            throttle_rate: row.get(5)?,
            metadata: rows::json(row, 6)?,
            source: sealed::open_source(vault, org, id, source)?,
            created_at: rows::time(row, 7)?,
            updated_at: rows::time(row, 8)?,
        },
    })
}

/// By id or uid, not deleted.
pub(super) fn find(
    conn: &Connection,
    vault: &Vault,
    org: OrganizationId,
    app: &Ref<ApplicationId>,
) -> Result<Option<Found>> {
    let (column, key): (_, &dyn rusqlite::ToSql) = match app {
        Ref::Id(id) => ("id", id.raw()),
        Ref::Uid(uid) => ("uid", &uid.as_str()),
    };
    let mut statement = conn.prepare_cached(&format!(
        "/* application */ SELECT {COLUMNS} FROM organization o
         JOIN application a ON a.org_no = o.no AND a.{column} = ?2 AND a.deleted_at IS NULL
         WHERE o.id = ?1"
    ))?;
    let mut rows = statement.query(params![org.raw(), key])?;
    rows.next()?.map(|row| found(row, vault, org)).transpose()
}

/// The number of an application that is not deleted.
pub(super) fn number(
    conn: &Connection,
    org: OrganizationId,
    app: ApplicationId,
) -> Result<Option<i64>> {
    let sql = "/* application */ SELECT a.no FROM organization o
         JOIN application a ON a.org_no = o.no AND a.id = ?2 AND a.deleted_at IS NULL
         WHERE o.id = ?1";
    let params = [org.raw(), app.raw()];
    Ok(conn.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()?)
}

pub(super) fn list(
    conn: &Connection,
    vault: &Vault,
    org: OrganizationId,
    filter: ApplicationFilter,
    page: &PageRequest<ApplicationId>,
) -> Result<Page<Application>> {
    let window = Window::new(page);
    let Some(org_no) = organizations::number(conn, org)? else {
        return Ok(window.page(Vec::new()));
    };
    // Each kind has its index: whatever statistics say, a list of sources passes no customer.
    let (index, kind) = match filter.sources {
        true => ("application_source", "NOT NULL"),
        false => ("application_id", "NULL"),
    };
    let mut statement = conn.prepare_cached(&format!(
        "/* list_applications */ SELECT {COLUMNS} FROM application a INDEXED BY {index}
         WHERE a.source IS {kind} AND a.org_no = ?1 AND a.id > ?2 AND a.id < ?3 AND a.deleted_at IS NULL
         AND (NOT ?4 OR EXISTS (SELECT 1 FROM endpoint e
              WHERE e.app_no = a.no AND e.deleted_at IS NULL))
         AND (NOT ?5 OR NOT EXISTS (SELECT 1 FROM endpoint e
              WHERE e.app_no = a.no AND e.deleted_at IS NULL AND e.disabled))
         ORDER BY a.id {} LIMIT ?6",
        window.direction()
    ))?;
    let mut rows = statement.query(params![
        org_no,
        window.above,
        window.below,
        filter.exclude_without_endpoints,
        filter.exclude_with_disabled_endpoints,
        window.wanted() as i64
    ])?;
    let mut applications = Vec::new();
    while let Some(row) = rows.next()? {
        applications.push(found(row, vault, org)?.application);
    }
    Ok(window.page(applications))
}

/// Sources of all organizations, by organization and application.
pub(super) fn sources(
    conn: &Connection,
    vault: &Vault,
    after: Option<(OrganizationId, ApplicationId)>,
    limit: usize,
) -> Result<Vec<Application>> {
    let (org, app) =
        after.map_or((vec![], vec![]), |(org, app)| (org.raw().to_vec(), app.raw().to_vec()));
    let mut statement = conn.prepare_cached(&format!(
        "/* sources */ SELECT {COLUMNS}, o.id FROM organization o
         CROSS JOIN application a INDEXED BY application_source
             ON a.org_no = o.no AND a.source IS NOT NULL AND a.deleted_at IS NULL
         WHERE o.id >= ?1 AND (o.id, a.id) > (?1, ?2) ORDER BY o.id, a.id LIMIT ?3"
    ))?;
    let mut rows = statement.query(params![org, app, limit as i64])?;
    let mut applications = Vec::new();
    while let Some(row) = rows.next()? {
        let org = rows::id(row, ORGANIZATION)?;
        applications.push(found(row, vault, org)?.application);
    }
    Ok(applications)
}

/// The application that has a uid.
fn holder(tx: &Tx<'_>, org_no: i64, uid: Option<&Uid>) -> Result<Option<ApplicationId>> {
    let Some(uid) = uid else { return Ok(None) };
    let sql = "/* uid */ SELECT id FROM application
               WHERE org_no = ?1 AND uid = ?2 AND deleted_at IS NULL";
    let id = tx
        .conn
        .prepare_cached(sql)?
        .query_row(params![org_no, uid.as_str()], |row| row.get(0))
        .optional()?;
    Ok(id.map(ApplicationId::from_raw))
}

pub(super) fn create(
    tx: &mut Tx<'_>,
    actor: &Actor,
    application: &Application,
) -> Result<Result<(), Refused<ApplicationId>>> {
    let org_no = tx.org_no(application.org)?;
    if let Some(holder) = holder(tx, org_no, application.uid.as_ref())? {
        return Ok(Err(Refused::Taken(holder)));
    }
    tx.conn
        .prepare_cached(
            "/* create_application */ INSERT INTO application
             (org_no, id, uid, name, throttle_rate, metadata, created_at, updated_at, source,
             version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1)",
        )?
        .execute(params![
            org_no,
            application.id.raw(),
            application.uid.as_ref().map(Uid::as_str),
            application.name,
            application.throttle_rate,
            rows::to_json(&application.metadata),
            application.created_at.as_micros(),
            application.updated_at.as_micros(),
            sealed::seal_source(&tx.ports.vault, application),
        ])?;
    let detail = of_application(application);
    audit(tx, org_no, actor, "application.create", &application.id, &detail)?;
    Ok(Ok(()))
}

pub(super) fn update(
    tx: &mut Tx<'_>,
    actor: &Actor,
    application: &Application,
    expected: Timestamp,
) -> Result<Result<(), Refused<ApplicationId>>> {
    let Some(app) = tx.app(application.org, application.id)? else {
        return Ok(Err(Refused::NotFound));
    };
    let updated_at: i64 = tx
        .conn
        .prepare_cached(
            "/* update_application */ SELECT updated_at FROM application WHERE no = ?1",
        )?
        .query_row([app.no], |row| row.get(0))?;
    if updated_at != expected.as_micros() {
        return Ok(Err(Refused::Stale));
    }
    match holder(tx, app.org_no, application.uid.as_ref())? {
        Some(holder) if holder != application.id => return Ok(Err(Refused::Taken(holder))),
        _ => {}
    }
    tx.conn
        .prepare_cached(
            "/* update_application */ UPDATE application SET uid = ?2, name = ?3,
             throttle_rate = ?4, metadata = ?5, created_at = ?6, updated_at = ?7, source = ?8
             WHERE no = ?1",
        )?
        .execute(params![
            app.no,
            application.uid.as_ref().map(Uid::as_str),
            application.name,
            application.throttle_rate,
            rows::to_json(&application.metadata),
            application.created_at.as_micros(),
            application.updated_at.as_micros(),
            sealed::seal_source(&tx.ports.vault, application),
        ])?;
    bump(tx, app.no, application.id)?;
    let detail = of_application(application);
    audit(tx, app.org_no, actor, "application.update", &application.id, &detail)?;
    Ok(Ok(()))
}

pub(super) fn delete(
    tx: &mut Tx<'_>,
    actor: &Actor,
    org: OrganizationId,
    id: ApplicationId,
    now: Timestamp,
) -> Result<Result<(), Refused<ApplicationId>>> {
    let Some(app) = tx.app(org, id)? else { return Ok(Err(Refused::NotFound)) };
    // Nobody receives by it any more: its secrets go, and what it refused.
    tx.conn
        .prepare_cached(
            "/* delete_application */ UPDATE application SET deleted_at = ?2, source = NULL
             WHERE no = ?1",
        )?
        .execute([app.no, now.as_micros()])?;
    rejected::remove_all(tx, app.no)?;
    bump(tx, app.no, id)?;
    tx.app_deleted(id);
    let kind = TaskKind::CancelDeliveries { app: id, endpoint: None };
    tasks::start(tx, org, kind, now)?;
    audit(tx, app.org_no, actor, "application.delete", &id, &json!({}))?;
    Ok(Ok(()))
}

/// Counts an application's version up.
pub(crate) fn bump(tx: &mut Tx<'_>, app_no: i64, id: ApplicationId) -> Result<()> {
    tx.conn
        .prepare_cached("/* version */ UPDATE application SET version = version + 1 WHERE no = ?1")?
        .execute([app_no])?;
    tx.app_changed(id);
    Ok(())
}

/// Seals with the newest key the sources of up to `limit` applications numbered above `after`. Returns
/// the last number looked at (`None` at the end), and how many were sealed anew.
pub(crate) fn reseal(tx: &mut Tx<'_>, after: i64, limit: usize) -> Result<(Option<i64>, usize)> {
    let vault = tx.ports.vault.clone();
    let mut statement = tx.conn.prepare_cached(
        "/* reseal */ SELECT a.no, o.id, a.id, a.source FROM application a
         CROSS JOIN organization o ON o.no = a.org_no WHERE a.no > ?1 ORDER BY a.no LIMIT ?2",
    )?;
    let mut update =
        tx.conn.prepare_cached("/* reseal */ UPDATE application SET source = ?2 WHERE no = ?1")?;
    let mut found = statement.query(params![after, limit as i64])?;
    let (mut last, mut resealed) = (None, 0);
    while let Some(row) = found.next()? {
        let no: i64 = row.get(0)?;
        last = Some(no);
        let sealed = row.get_ref(3)?.as_blob_or_null().map_err(Error::corrupt)?;
        let owner = sealed::source_owner(rows::id(row, 1)?, rows::id(row, 2)?);
        if let Some(anew) = sealed.map(|sealed| vault.reseal(&owner, sealed)).transpose()?.flatten()
        {
            update.execute(params![no, anew])?;
            resealed += 1;
        }
    }
    Ok((last, resealed))
}
