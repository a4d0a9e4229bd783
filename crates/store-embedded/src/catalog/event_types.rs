//! Event types.

use domain::{
    clock::Timestamp, event_type::EventType, id::OrganizationId, name::EventTypeName, token::Actor,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;
use store::{audit::of_event_type, catalog::Refused};

use super::{audit, organizations};
use crate::{error::Result, rows, tx::Tx};

pub(crate) const COLUMNS: &str =
    "t.name, t.description, t.archived, t.deprecated, t.schemas, t.group_name,
    t.feature_flags, t.schema_mode, t.retry_schedule, t.created_at, t.updated_at";

pub(crate) fn event_type(row: &Row<'_>, org: OrganizationId) -> Result<EventType> {
    Ok(EventType {
        org,
        name: rows::parsed(row, 0)?,
        description: row.get(1)?,
        archived: row.get(2)?,
        deprecated: row.get(3)?,
        schemas: rows::opt_json(row, 4)?,
        group_name: row.get(5)?,
        feature_flags: rows::json(row, 6)?,
        schema_mode: rows::opt_json(row, 7)?,
        retry_schedule: rows::opt_json(row, 8)?,
        created_at: rows::time(row, 9)?,
        updated_at: rows::time(row, 10)?,
    })
}

/// All of an organization, by name.
pub(super) fn all(conn: &Connection, org: OrganizationId, org_no: i64) -> Result<Vec<EventType>> {
    let mut statement = conn.prepare_cached(&format!(
        "/* load_organization */ SELECT {COLUMNS} FROM event_type t WHERE t.org_no = ?1
         ORDER BY t.name"
    ))?;
    let mut rows = statement.query([org_no])?;
    let mut event_types = Vec::new();
    while let Some(row) = rows.next()? {
        event_types.push(event_type(row, org)?);
    }
    Ok(event_types)
}

pub(super) fn find(
    conn: &Connection,
    org: OrganizationId,
    name: &EventTypeName,
) -> Result<Option<EventType>> {
    let mut statement = conn.prepare_cached(&format!(
        "/* event_type */ SELECT {COLUMNS} FROM organization o
         JOIN event_type t ON t.org_no = o.no AND t.name = ?2 WHERE o.id = ?1"
    ))?;
    let mut rows = statement.query(params![org.raw(), name.as_str()])?;
    rows.next()?.map(|row| event_type(row, org)).transpose()
}

/// Whether the stored one is archived, and when it was changed.
fn stored(tx: &Tx<'_>, org_no: i64, name: &EventTypeName) -> Result<Option<(bool, Timestamp)>> {
    let sql = "/* event_type */ SELECT archived, updated_at FROM event_type
               WHERE org_no = ?1 AND name = ?2";
    let read = |row: &Row<'_>| Ok((row.get(0)?, Timestamp::from_micros(row.get(1)?)));
    let params = params![org_no, name.as_str()];
    Ok(tx.conn.prepare_cached(sql)?.query_row(params, read).optional()?)
}

fn write(tx: &mut Tx<'_>, org_no: i64, event_type: &EventType) -> Result<()> {
    tx.conn
        .prepare_cached(
            "/* event_type */ REPLACE INTO event_type (org_no, name, description, archived,
             deprecated, schemas, group_name, feature_flags, schema_mode, retry_schedule,
             created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
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
    organizations::bump(tx, org_no)
}

pub(super) fn create(
    tx: &mut Tx<'_>,
    actor: &Actor,
    event_type: &EventType,
) -> Result<Result<(), Refused<EventTypeName>>> {
    let org_no = tx.org_no(event_type.org)?;
    if let Some((false, _)) = stored(tx, org_no, &event_type.name)? {
        return Ok(Err(Refused::Taken(event_type.name.clone())));
    }
    write(tx, org_no, event_type)?;
    audit(tx, org_no, actor, "event_type.create", &event_type.name, &json!({}))?;
    Ok(Ok(()))
}

pub(super) fn update(
    tx: &mut Tx<'_>,
    actor: &Actor,
    event_type: &EventType,
    expected: Timestamp,
) -> Result<Result<(), Refused<EventTypeName>>> {
    let Some(org_no) = organizations::number(tx.conn, event_type.org)? else {
        return Ok(Err(Refused::NotFound));
    };
    match stored(tx, org_no, &event_type.name)? {
        None => return Ok(Err(Refused::NotFound)),
        Some((_, updated_at)) if updated_at != expected => return Ok(Err(Refused::Stale)),
        Some(_) => {}
    }
    write(tx, org_no, event_type)?;
    let detail = of_event_type(event_type);
    audit(tx, org_no, actor, "event_type.update", &event_type.name, &detail)?;
    Ok(Ok(()))
}

pub(super) fn expunge(
    tx: &mut Tx<'_>,
    actor: &Actor,
    org: OrganizationId,
    name: &EventTypeName,
) -> Result<Result<(), Refused<EventTypeName>>> {
    let Some(org_no) = organizations::number(tx.conn, org)? else {
        return Ok(Err(Refused::NotFound));
    };
    let removed = tx
        .conn
        .prepare_cached("/* event_type */ DELETE FROM event_type WHERE org_no = ?1 AND name = ?2")?
        .execute(params![org_no, name.as_str()])?;
    if removed == 0 {
        return Ok(Err(Refused::NotFound));
    }
    organizations::bump(tx, org_no)?;
    audit(tx, org_no, actor, "event_type.expunge", name, &json!({}))?;
    Ok(Ok(()))
}
