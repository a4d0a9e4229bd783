//! Event types.

use domain::{
    clock::Timestamp,
    event_type::EventType,
    id::OrganizationId,
    name::{EventTypeName, FeatureFlag},
    organization::SchemaMode,
    retry::RetrySchedule,
    token::Actor,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{audit::of_event_type, catalog::Refused};
use tokio_postgres::Row;

use super::{audit, organizations};
use crate::{
    conn::{Conn, Tx},
    error::Result,
    options::Ports,
    rows,
};

pub(crate) const COLUMNS: &str = "t.name, t.archived, t.created_at, t.updated_at, t.doc";

/// What nothing is looked for by.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Doc {
    description: String,
    deprecated: bool,
    schemas: Option<serde_json::Value>,
    group_name: Option<String>,
    feature_flags: Vec<FeatureFlag>,
    schema_mode: Option<SchemaMode>,
    retry_schedule: Option<RetrySchedule>,
}

impl Doc {
    pub(crate) fn of(event_type: &EventType) -> Self {
        Self {
            description: event_type.description.clone(),
            deprecated: event_type.deprecated,
            schemas: event_type.schemas.clone(),
            group_name: event_type.group_name.clone(),
            feature_flags: event_type.feature_flags.clone(),
            schema_mode: event_type.schema_mode,
            retry_schedule: event_type.retry_schedule.clone(),
        }
    }
}

pub(crate) fn event_type(row: &Row, org: OrganizationId) -> Result<EventType> {
    let doc: Doc = rows::json(row, 4)?;
    Ok(EventType {
        org,
        name: rows::parsed(row, 0)?,
        description: doc.description,
        archived: rows::get(row, 1)?,
        deprecated: doc.deprecated,
        schemas: doc.schemas,
        group_name: doc.group_name,
        feature_flags: doc.feature_flags,
        schema_mode: doc.schema_mode,
        retry_schedule: doc.retry_schedule,
        created_at: rows::time(row, 2)?,
        updated_at: rows::time(row, 3)?,
    })
}

/// All of an organization, by name.
pub(super) async fn all(conn: &Conn, org: OrganizationId) -> Result<Vec<EventType>> {
    let sql = format!(
        "/* load_organization */ SELECT {COLUMNS} FROM event_type t WHERE t.org = $1
         ORDER BY t.name"
    );
    let found = conn.query(&sql, &[&org.raw().as_slice()]).await?;
    found.iter().map(|row| event_type(row, org)).collect()
}

pub(super) async fn find(
    conn: &Conn,
    org: OrganizationId,
    name: &EventTypeName,
) -> Result<Option<EventType>> {
    let sql = format!(
        "/* event_type */ SELECT {COLUMNS} FROM event_type t WHERE t.org = $1 AND t.name = $2"
    );
    let found = conn.query_opt(&sql, &[&org.raw().as_slice(), &name.as_str()]).await?;
    found.map(|row| event_type(&row, org)).transpose()
}

pub(super) async fn create(
    tx: &Tx,
    ports: &Ports,
    actor: &Actor,
    event_type: &EventType,
) -> Result<Result<(), Refused<EventTypeName>>> {
    let EventType { org, name, .. } = event_type;
    let written = tx
        .execute(
            "/* create_event_type */ INSERT INTO event_type
             (org, name, archived, created_at, updated_at, doc) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (org, name) DO UPDATE SET archived = excluded.archived,
             created_at = excluded.created_at, updated_at = excluded.updated_at,
             doc = excluded.doc WHERE event_type.archived",
            &[
                &org.raw().as_slice(),
                &name.as_str(),
                &event_type.archived,
                &event_type.created_at.as_micros(),
                &event_type.updated_at.as_micros(),
                &rows::to_json(&Doc::of(event_type)),
            ],
        )
        .await?;
    if written == 0 {
        return Ok(Err(Refused::Taken(name.clone())));
    }
    organizations::bump(tx, *org).await?;
    audit(tx, ports, *org, actor, "event_type.create", name, &json!({})).await?;
    Ok(Ok(()))
}

pub(super) async fn update(
    tx: &Tx,
    ports: &Ports,
    actor: &Actor,
    event_type: &EventType,
    expected: Timestamp,
) -> Result<Result<(), Refused<EventTypeName>>> {
    let EventType { org, name, .. } = event_type;
    let written = tx
        .execute(
            "/* update_event_type */ UPDATE event_type SET archived = $3, created_at = $4,
             updated_at = $5, doc = $6 WHERE org = $1 AND name = $2 AND updated_at = $7",
            &[
                &org.raw().as_slice(),
                &name.as_str(),
                &event_type.archived,
                &event_type.created_at.as_micros(),
                &event_type.updated_at.as_micros(),
                &rows::to_json(&Doc::of(event_type)),
                &expected.as_micros(),
            ],
        )
        .await?;
    if written == 0 {
        let there = find(tx, *org, name).await?.is_some();
        return Ok(Err(if there { Refused::Stale } else { Refused::NotFound }));
    }
    organizations::bump(tx, *org).await?;
    let detail = of_event_type(event_type);
    audit(tx, ports, *org, actor, "event_type.update", name, &detail).await?;
    Ok(Ok(()))
}

pub(super) async fn expunge(
    tx: &Tx,
    ports: &Ports,
    actor: &Actor,
    org: OrganizationId,
    name: &EventTypeName,
) -> Result<Result<(), Refused<EventTypeName>>> {
    let sql = "/* expunge_event_type */ DELETE FROM event_type WHERE org = $1 AND name = $2";
    if tx.execute(sql, &[&org.raw().as_slice(), &name.as_str()]).await? == 0 {
        return Ok(Err(Refused::NotFound));
    }
    organizations::bump(tx, org).await?;
    audit(tx, ports, org, actor, "event_type.expunge", name, &json!({})).await?;
    Ok(Ok(()))
}
