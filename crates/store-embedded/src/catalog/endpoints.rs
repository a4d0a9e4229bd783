//! Endpoints, with what is secret of them sealed.

use domain::{
    clock::Timestamp,
    endpoint::{Endpoint, shown_url},
    id::{ApplicationId, EndpointId, OrganizationId},
    name::{Ref, Uid},
    page::{Page, PageRequest},
    shard::Shard,
    task::TaskKind,
    token::Actor,
};
use rusqlite::{Connection, OptionalExtension, Row, params, types::ValueRef};
use serde_json::json;
use store::{
    audit::of_endpoint,
    catalog::Refused,
    paging::Window,
    sealed::{self, Column},
    vault::Vault,
};
use url::Url;

use super::{applications, audit, past_headers};
use crate::{
    error::{Error, Result},
    rows, tasks,
    tx::{self, Tx},
};

pub(crate) const COLUMNS: &str =
    "e.id, e.uid, e.url, e.description, e.throttle_rate, e.version, e.disabled,
    e.event_types, e.channels, e.metadata, e.headers, e.secrets, e.retry_schedule,
    e.first_failure_at, e.revision, e.created_at, e.updated_at, e.transformation";

fn stored_url(vault: &Vault, endpoint: &Endpoint) -> rusqlite::types::Value {
    match sealed::seal_url(vault, endpoint) {
        Some(sealed) => sealed.into(),
        None => endpoint.url.as_str().to_owned().into(),
    }
}

fn read_url(vault: &Vault, id: EndpointId, value: ValueRef<'_>) -> Result<Url> {
    match value {
        ValueRef::Blob(sealed) => Ok(sealed::open_url(vault, id, sealed)?),
        plain => plain.as_str().map_err(Error::corrupt)?.parse().map_err(Error::corrupt),
    }
}

pub(crate) fn endpoint(
    row: &Row<'_>,
    vault: &Vault,
    org: OrganizationId,
    app: ApplicationId,
) -> Result<Endpoint> {
    let id = rows::id(row, 0)?;
    let headers = row.get_ref(10)?.as_blob_or_null().map_err(Error::corrupt)?;
    let secrets = row.get_ref(11)?.as_blob().map_err(Error::corrupt)?;
    let transformation = row.get_ref(17)?.as_blob_or_null().map_err(Error::corrupt)?;
    Ok(Endpoint {
        org,
        app,
        id,
        uid: rows::opt_parsed(row, 1)?,
        url: read_url(vault, id, row.get_ref(2)?)?,
        description: row.get(3)?,
        throttle_rate: row.get(4)?,
        version: row.get(5)?,
        disabled: row.get(6)?,
        event_types: rows::opt_json(row, 7)?,
        channels: rows::opt_json(row, 8)?,
        metadata: rows::json(row, 9)?,
        headers: sealed::open_headers(vault, id, headers)?,
        secrets: sealed::open_secrets(vault, id, secrets)?,
        retry_schedule: rows::opt_json(row, 12)?,
        transformation: sealed::open_transformation(vault, id, transformation)?,
        first_failure_at: rows::opt_time(row, 13)?,
        revision: row.get(14)?,
        created_at: rows::time(row, 15)?,
        updated_at: rows::time(row, 16)?,
    })
}

/// All of an application, by id.
pub(super) fn all(
    conn: &Connection,
    vault: &Vault,
    org: OrganizationId,
    app: &applications::Found,
) -> Result<Vec<Endpoint>> {
    let mut statement = conn.prepare_cached(&format!(
        "/* load_application */ SELECT {COLUMNS} FROM endpoint e
         WHERE e.app_no = ?1 AND e.deleted_at IS NULL ORDER BY e.id"
    ))?;
    let mut rows = statement.query([app.no])?;
    let mut endpoints = Vec::new();
    while let Some(row) = rows.next()? {
        endpoints.push(endpoint(row, vault, org, app.application.id)?);
    }
    Ok(endpoints)
}

pub(super) fn list(
    conn: &Connection,
    vault: &Vault,
    org: OrganizationId,
    app: ApplicationId,
    page: &PageRequest<EndpointId>,
) -> Result<Page<Endpoint>> {
    let window = Window::new(page);
    let Some(app_no) = applications::number(conn, org, app)? else {
        return Ok(window.page(Vec::new()));
    };
    let mut statement = conn.prepare_cached(&format!(
        "/* list_endpoints */ SELECT {COLUMNS} FROM endpoint e
         WHERE e.app_no = ?1 AND e.id > ?2 AND e.id < ?3 AND e.deleted_at IS NULL
         ORDER BY e.id {} LIMIT ?4",
        window.direction()
    ))?;
    let params = params![app_no, window.above, window.below, window.wanted() as i64];
    let mut rows = statement.query(params)?;
    let mut endpoints = Vec::new();
    while let Some(row) = rows.next()? {
        endpoints.push(endpoint(row, vault, org, app)?);
    }
    Ok(window.page(endpoints))
}

/// By id or uid, not deleted.
pub(super) fn find(
    conn: &Connection,
    vault: &Vault,
    org: OrganizationId,
    app: ApplicationId,
    reference: &Ref<EndpointId>,
) -> Result<Option<Endpoint>> {
    let Some(app_no) = applications::number(conn, org, app)? else { return Ok(None) };
    let (column, key): (_, &dyn rusqlite::ToSql) = match reference {
        Ref::Id(id) => ("id", id.raw()),
        Ref::Uid(uid) => ("uid", &uid.as_str()),
    };
    let mut statement = conn.prepare_cached(&format!(
        "/* endpoint */ SELECT {COLUMNS} FROM endpoint e
         WHERE e.app_no = ?1 AND e.{column} = ?2 AND e.deleted_at IS NULL"
    ))?;
    let mut rows = statement.query(params![app_no, key])?;
    rows.next()?.map(|row| endpoint(row, vault, org, app)).transpose()
}

/// By id, deleted ones too.
pub(super) fn ever(
    conn: &Connection,
    vault: &Vault,
    org: OrganizationId,
    app: ApplicationId,
    ids: &[EndpointId],
) -> Result<Vec<Endpoint>> {
    let mut statement = conn.prepare_cached(&format!(
        "/* endpoints_ever */ SELECT {COLUMNS} FROM organization o
         JOIN application a ON a.org_no = o.no AND a.id = ?2
         JOIN endpoint e ON e.app_no = a.no AND e.id = ?3 WHERE o.id = ?1"
    ))?;
    let mut endpoints = Vec::new();
    for id in ids {
        let mut rows = statement.query([org.raw(), app.raw(), id.raw()])?;
        if let Some(row) = rows.next()? {
            endpoints.push(endpoint(row, vault, org, app)?);
        }
    }
    Ok(endpoints)
}

/// The endpoint that has a uid.
fn holder(tx: &Tx<'_>, app_no: i64, uid: Option<&Uid>) -> Result<Option<EndpointId>> {
    let Some(uid) = uid else { return Ok(None) };
    let sql =
        "/* uid */ SELECT id FROM endpoint WHERE app_no = ?1 AND uid = ?2 AND deleted_at IS NULL";
    let id = tx
        .conn
        .prepare_cached(sql)?
        .query_row(params![app_no, uid.as_str()], |row| row.get(0))
        .optional()?;
    Ok(id.map(EndpointId::from_raw))
}

pub(super) fn create(
    tx: &mut Tx<'_>,
    actor: &Actor,
    endpoint: &Endpoint,
) -> Result<Result<(), Refused<EndpointId>>> {
    let Some(app) = tx.app(endpoint.org, endpoint.app)? else {
        return Ok(Err(Refused::NotFound));
    };
    if let Some(holder) = holder(tx, app.no, endpoint.uid.as_ref())? {
        return Ok(Err(Refused::Taken(holder)));
    }
    tx.conn
        .prepare_cached(
            "/* create_endpoint */ INSERT INTO endpoint (app_no, id, lane, url, description,
             version, disabled, metadata, secrets, revision, created_at, updated_at)
             VALUES (?1, ?2, 0, '', '', 0, 0, '', '', 0, 0, 0)",
        )?
        .execute(params![app.no, endpoint.id.raw()])?;
    let no = tx.conn.last_insert_rowid();
    let shard = Shard::of(&endpoint.org, &endpoint.app, &endpoint.id);
    tx.conn
        .prepare_cached("/* create_endpoint */ UPDATE endpoint SET lane = ?2 WHERE no = ?1")?
        .execute([no, tx::lane(shard, no)])?;
    write(tx, no, endpoint, endpoint.first_failure_at)?;
    applications::bump(tx, app.no, endpoint.app)?;
    audit(tx, app.org_no, actor, "endpoint.create", &endpoint.id, &of_endpoint(endpoint))?;
    Ok(Ok(()))
}

/// An edit says whether the endpoint is disabled. Since when it fails is what settles say: an edit
/// made from what was read before a failure must not wipe it out. Only enabling begins a new count.
pub(super) fn update(
    tx: &mut Tx<'_>,
    actor: &Actor,
    endpoint: &Endpoint,
) -> Result<Result<(), Refused<EndpointId>>> {
    let Some(app) = tx.app(endpoint.org, endpoint.app)? else {
        return Ok(Err(Refused::NotFound));
    };
    let stored = tx
        .conn
        .prepare_cached(
            "/* update_endpoint */ SELECT no, revision, disabled, first_failure_at FROM endpoint
             WHERE app_no = ?1 AND id = ?2 AND deleted_at IS NULL",
        )?
        .query_row(params![app.no, endpoint.id.raw()], |row| {
            let failing = row.get::<_, Option<i64>>(3)?.map(Timestamp::from_micros);
            Ok((row.get::<_, i64>(0)?, row.get::<_, u32>(1)?, row.get::<_, bool>(2)?, failing))
        })
        .optional()?;
    let Some((no, revision, disabled, failing)) = stored else {
        return Ok(Err(Refused::NotFound));
    };
    if endpoint.revision != revision + 1 {
        return Ok(Err(Refused::Stale));
    }
    match holder(tx, app.no, endpoint.uid.as_ref())? {
        Some(holder) if holder != endpoint.id => return Ok(Err(Refused::Taken(holder))),
        _ => {}
    }
    let enabled = disabled && !endpoint.disabled;
    past_headers::keep(tx, no, endpoint.updated_at)?;
    write(tx, no, endpoint, failing.filter(|_| !enabled))?;
    applications::bump(tx, app.no, endpoint.app)?;
    audit(tx, app.org_no, actor, "endpoint.update", &endpoint.id, &of_endpoint(endpoint))?;
    Ok(Ok(()))
}

/// Writes all that an edit may change, and the revision that it makes.
pub(crate) fn write(
    tx: &mut Tx<'_>,
    no: i64,
    endpoint: &Endpoint,
    first_failure_at: Option<Timestamp>,
) -> Result<()> {
    let vault = &tx.ports.vault;
    tx.conn
        .prepare_cached(
            "/* write_endpoint */ UPDATE endpoint SET uid = ?2, url = ?3, description = ?4,
             throttle_rate = ?5, version = ?6, disabled = ?7, event_types = ?8, channels = ?9,
             metadata = ?10, headers = ?11, secrets = ?12, retry_schedule = ?13,
             first_failure_at = ?14, revision = ?15, created_at = ?16, updated_at = ?17,
             transformation = ?18 WHERE no = ?1",
        )?
        .execute(params![
            no,
            endpoint.uid.as_ref().map(Uid::as_str),
            stored_url(vault, endpoint),
            endpoint.description,
            endpoint.throttle_rate,
            endpoint.version,
            endpoint.disabled,
            rows::opt_to_json(endpoint.event_types.as_ref()),
            rows::opt_to_json(endpoint.channels.as_ref()),
            rows::to_json(&endpoint.metadata),
            sealed::seal_headers(vault, endpoint.id, &endpoint.headers),
            sealed::seal_secrets(vault, endpoint),
            rows::opt_to_json(endpoint.retry_schedule.as_ref()),
            first_failure_at.map(Timestamp::as_micros),
            endpoint.revision,
            endpoint.created_at.as_micros(),
            endpoint.updated_at.as_micros(),
            sealed::seal_transformation(vault, endpoint),
        ])?;
    tx.conn
        .prepare_cached(
            "/* write_endpoint */ INSERT INTO endpoint_revision (endpoint_no, revision, url)
             VALUES (?1, ?2, ?3)",
        )?
        .execute(params![no, endpoint.revision, shown_url(&endpoint.url)])?;
    tx.endpoint_changed(endpoint.id);
    Ok(())
}

pub(super) fn delete(
    tx: &mut Tx<'_>,
    actor: &Actor,
    org: OrganizationId,
    app_id: ApplicationId,
    id: EndpointId,
    now: Timestamp,
) -> Result<Result<(), Refused<EndpointId>>> {
    let Some(app) = tx.app(org, app_id)? else { return Ok(Err(Refused::NotFound)) };
    let deleted = tx
        .conn
        .prepare_cached(
            "/* delete_endpoint */ UPDATE endpoint SET deleted_at = ?3
             WHERE app_no = ?1 AND id = ?2 AND deleted_at IS NULL",
        )?
        .execute(params![app.no, id.raw(), now.as_micros()])?;
    if deleted == 0 {
        return Ok(Err(Refused::NotFound));
    }
    applications::bump(tx, app.no, app_id)?;
    tx.endpoint_changed(id);
    let kind = TaskKind::CancelDeliveries { app: app_id, endpoint: Some(id) };
    tasks::start(tx, org, kind, now)?;
    audit(tx, app.org_no, actor, "endpoint.delete", &id, &json!({}))?;
    Ok(Ok(()))
}

/// Seals with the newest key what is secret of up to `limit` endpoints numbered above `after`.
/// Returns the last number looked at (`None` at the end), and how many were sealed anew.
pub(crate) fn reseal(tx: &mut Tx<'_>, after: i64, limit: usize) -> Result<(Option<i64>, usize)> {
    let vault = tx.ports.vault.clone();
    let mut statement = tx.conn.prepare_cached(
        "/* reseal */ SELECT no, id, url, headers, secrets, transformation FROM endpoint
         WHERE no > ?1 ORDER BY no LIMIT ?2",
    )?;
    let mut update = tx.conn.prepare_cached(
        "/* reseal */ UPDATE endpoint SET url = coalesce(?2, url), headers = coalesce(?3, headers),
         secrets = coalesce(?4, secrets), transformation = coalesce(?5, transformation)
         WHERE no = ?1",
    )?;
    let mut found = statement.query(params![after, limit as i64])?;
    let (mut last, mut resealed) = (None, 0);
    while let Some(row) = found.next()? {
        let no: i64 = row.get(0)?;
        last = Some(no);
        let id = rows::id(row, 1)?;
        let anew = |column: Column, at: usize| -> Result<Option<Vec<u8>>> {
            // Text is a URL that is no secret.
            let ValueRef::Blob(sealed) = row.get_ref(at)? else { return Ok(None) };
            Ok(vault.reseal(&column.owner(id), sealed)?)
        };
        let (url, headers) = (anew(Column::Url, 2)?, anew(Column::Headers, 3)?);
        let secrets = anew(Column::Secrets, 4)?;
        let transformation = anew(Column::Transformation, 5)?;
        if [&url, &headers, &secrets, &transformation].into_iter().any(Option::is_some) {
            update.execute(params![no, url, headers, secrets, transformation])?;
            resealed += 1;
        }
    }
    Ok((last, resealed))
}
