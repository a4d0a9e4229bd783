//! Organizations, applications, endpoints, event types.

use domain::{
    application::Application,
    clock::Timestamp,
    endpoint::Endpoint,
    event_type::EventType,
    id::{ApplicationId, OrganizationId},
    name::Uid,
    organization::Organization,
    shard::Shard,
};
use rusqlite::{Connection, params};
use store::{
    sealed,
    transfer::{Batch, Limits, MovedHeaders, Record, is_blank},
    vault::Vault,
};

use super::{Key, missing, page};
use crate::{
    catalog::{applications, endpoints, event_types},
    error::{Error, Result},
    rows,
    tx::{self, Tx},
};

pub(super) fn organizations(conn: &Connection, after: &Key, limits: Limits) -> Result<Batch> {
    let sql = "/* export */ SELECT no, id, settings, version FROM organization WHERE no > ?1
               ORDER BY no";
    page(conn, sql, [after.no], limits, |row| {
        let organization = Organization { id: rows::id(row, 1)?, settings: rows::json(row, 2)? };
        let version = row.get::<_, i64>(3)?.cast_unsigned();
        let blank = is_blank(&organization.settings, version);
        let record = (!blank).then_some(Record::Organization { organization, version });
        Ok((Key::place(row.get(0)?, &[]), record))
    })
}

pub(super) fn applications(
    conn: &Connection,
    vault: &Vault,
    after: &Key,
    limits: Limits,
) -> Result<Batch> {
    let sql = format!(
        "/* export */ SELECT {}, a.deleted_at, o.id FROM application a
         CROSS JOIN organization o ON o.no = a.org_no WHERE a.no > ?1 ORDER BY a.no",
        applications::COLUMNS
    );
    page(conn, &sql, [after.no], limits, |row| {
        let found = applications::found(row, vault, rows::id(row, 11)?)?;
        let applications::Found { no, version, application } = found;
        let deleted_at = rows::opt_time(row, 10)?;
        let record = Record::Application { application, deleted_at, version };
        Ok((Key::place(no, &[]), Some(record)))
    })
}

pub(super) fn endpoints(
    conn: &Connection,
    vault: &Vault,
    after: &Key,
    limits: Limits,
) -> Result<Batch> {
    let sql = format!(
        "/* export */ SELECT {}, e.deleted_at, e.no, o.id, a.id FROM endpoint e
         CROSS JOIN application a ON a.no = e.app_no CROSS JOIN organization o ON o.no = a.org_no
         WHERE e.no > ?1 ORDER BY e.no",
        endpoints::COLUMNS
    );
    page(conn, &sql, [after.no], limits, |row| {
        let endpoint = endpoints::endpoint(row, vault, rows::id(row, 20)?, rows::id(row, 21)?)?;
        let record = Record::Endpoint { endpoint, deleted_at: rows::opt_time(row, 18)? };
        Ok((Key::place(row.get(19)?, &[]), Some(record)))
    })
}

pub(super) fn past_headers(
    conn: &Connection,
    vault: &Vault,
    after: &Key,
    limits: Limits,
) -> Result<Batch> {
    let sql = "/* export */ SELECT p.no, p.revision, p.headers, p.replaced_at, e.id, a.id, o.id
               FROM past_headers p CROSS JOIN endpoint e ON e.no = p.endpoint_no
               CROSS JOIN application a ON a.no = e.app_no CROSS JOIN organization o ON o.no = a.org_no
               WHERE p.no > ?1 ORDER BY p.no";
    page(conn, sql, [after.no], limits, |row| {
        let endpoint = rows::id(row, 4)?;
        let sealed = row.get_ref(2)?.as_blob_or_null().map_err(Error::corrupt)?;
        let record = Record::PastHeaders(MovedHeaders {
            org: rows::id(row, 6)?,
            app: rows::id(row, 5)?,
            endpoint,
            revision: row.get(1)?,
            headers: sealed::open_headers(vault, endpoint, sealed)?,
            replaced_at: rows::time(row, 3)?,
        });
        Ok((Key::place(row.get(0)?, &[]), Some(record)))
    })
}

pub(super) fn event_types(conn: &Connection, after: &Key, limits: Limits) -> Result<Batch> {
    let sql = format!(
        "/* export */ SELECT {}, t.org_no, o.id FROM event_type t
         CROSS JOIN organization o ON o.no = t.org_no
         WHERE (t.org_no, t.name) > (?1, ?2) ORDER BY t.org_no, t.name",
        event_types::COLUMNS
    );
    let name = std::str::from_utf8(&after.rest).map_err(Error::corrupt)?;
    page(conn, &sql, params![after.no, name], limits, |row| {
        let event_type = event_types::event_type(row, rows::id(row, 12)?)?;
        let place = Key::place(row.get(11)?, &[event_type.name.as_str().as_bytes()]);
        Ok((place, Some(Record::EventType(event_type))))
    })
}

pub(super) fn write_organization(
    tx: &mut Tx<'_>,
    organization: &Organization,
    version: u64,
) -> Result<()> {
    let sql = "/* import */ INSERT INTO organization (id, settings, version) VALUES (?1, ?2, ?3)";
    let Organization { id, settings } = organization;
    let params = params![id.raw(), rows::to_json(settings), version.cast_signed()];
    tx.conn.prepare_cached(sql)?.execute(params)?;
    tx.org_changed();
    Ok(())
}

pub(super) fn write_application(
    tx: &mut Tx<'_>,
    application: &Application,
    deleted_at: Option<Timestamp>,
    version: u64,
) -> Result<()> {
    let org_no = tx.org_no(application.org)?;
    tx.conn
        .prepare_cached(
            "/* import */ INSERT INTO application (org_no, id, uid, name, throttle_rate, metadata,
             created_at, updated_at, deleted_at, version, source)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
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
            deleted_at.map(Timestamp::as_micros),
            version.cast_signed(),
            sealed::seal_source(&tx.ports.vault, application),
        ])?;
    Ok(())
}

/// The number of an application that has been moved.
pub(super) fn app_no(tx: &mut Tx<'_>, org: OrganizationId, app: ApplicationId) -> Result<i64> {
    tx.app_no_ever(org, app)?.ok_or_else(|| missing(app))
}

pub(super) fn write_endpoint(
    tx: &mut Tx<'_>,
    endpoint: &Endpoint,
    deleted_at: Option<Timestamp>,
) -> Result<()> {
    let app_no = app_no(tx, endpoint.org, endpoint.app)?;
    // Deleted from the beginning: somebody else may have its uid.
    tx.conn
        .prepare_cached(
            "/* import */ INSERT INTO endpoint (app_no, id, lane, url, description, version,
             disabled, metadata, secrets, revision, created_at, updated_at, deleted_at)
             VALUES (?1, ?2, 0, '', '', 0, 0, '', '', 0, 0, 0, ?3)",
        )?
        .execute(params![app_no, endpoint.id.raw(), deleted_at.map(Timestamp::as_micros)])?;
    let no = tx.conn.last_insert_rowid();
    let shard = Shard::of(&endpoint.org, &endpoint.app, &endpoint.id);
    tx.conn
        .prepare_cached("/* import */ UPDATE endpoint SET lane = ?2 WHERE no = ?1")?
        .execute([no, tx::lane(shard, no)])?;
    endpoints::write(tx, no, endpoint, endpoint.first_failure_at)
}

pub(super) fn write_past_headers(tx: &mut Tx<'_>, past: &MovedHeaders) -> Result<()> {
    let MovedHeaders { org, app, endpoint: id, revision, headers, replaced_at } = past;
    let endpoint = tx.endpoint(*org, *app, *id)?.ok_or_else(|| missing(id))?;
    let sealed = sealed::seal_headers(&tx.ports.vault, *id, headers);
    let sql = "/* import */ INSERT INTO past_headers (endpoint_no, revision, headers, replaced_at)
               VALUES (?1, ?2, ?3, ?4)";
    let params = params![endpoint.no, revision, sealed, replaced_at.as_micros()];
    tx.conn.prepare_cached(sql)?.execute(params)?;
    Ok(())
}

pub(super) fn write_event_type(tx: &mut Tx<'_>, event_type: &EventType) -> Result<()> {
    let org_no = tx.org_no(event_type.org)?;
    tx.conn
        .prepare_cached(
            "/* import */ INSERT INTO event_type (org_no, name, description, archived, deprecated,
             schemas, group_name, feature_flags, schema_mode, retry_schedule, created_at,
             updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            org_no,
            event_type.name.as_str(),
            event_type.description,
            event_type.archived,
            event_type.deprecated,
            rows::opt_to_json(event_type.schemas.as_ref()),
            event_type.group_name,
            rows::to_json(&event_type.feature_flags),
            rows::opt_to_json(event_type.schema_mode.as_ref()),
            rows::opt_to_json(event_type.retry_schedule.as_ref()),
            event_type.created_at.as_micros(),
            event_type.updated_at.as_micros(),
        ])?;
    Ok(())
}
