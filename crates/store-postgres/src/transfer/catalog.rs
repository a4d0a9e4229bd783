//! Organizations, applications, endpoints, event types.

use domain::{
    application::Application, clock::Timestamp, endpoint::Endpoint, event_type::EventType,
    id::EndpointId, name::Uid, organization::Organization,
};
use store::{
    sealed,
    transfer::{Batch, Limits, MovedHeaders, Record, is_blank},
    vault::Vault,
};

use super::{Key, limit, page};
use crate::{
    catalog::{applications, endpoints, event_types, organizations},
    conn::{Conn, Tx},
    error::Result,
    options::Ports,
    rows,
};

pub(super) async fn organizations(conn: &Conn, after: &Key, limits: Limits) -> Result<Batch> {
    let sql = "/* export */ SELECT org, settings, version FROM organization WHERE org > $1
               ORDER BY org LIMIT $2";
    let found = conn.query(sql, &[&after.part(0), &limit(limits)]).await?;
    page(&found, |row| {
        let organization = Organization { id: rows::id(row, 0)?, settings: rows::json(row, 1)? };
        let version = rows::narrow(rows::get::<i64>(row, 2)?)?;
        let blank = is_blank(&organization.settings, version);
        let place = Key::place(&[organization.id.raw()]);
        Ok((place, (!blank).then_some(Record::Organization { organization, version })))
    })
}

pub(super) async fn applications(
    conn: &Conn,
    vault: &Vault,
    after: &Key,
    limits: Limits,
) -> Result<Batch> {
    let sql = format!(
        "/* export */ SELECT {}, a.org, a.deleted_at FROM application a
         WHERE (a.org, a.app) > ($1, $2) ORDER BY a.org, a.app LIMIT $3",
        applications::COLUMNS
    );
    let found = conn.query(&sql, &[&after.part(0), &after.part(1), &limit(limits)]).await?;
    page(&found, |row| {
        let application = applications::application(row, vault, rows::id(row, 7)?)?;
        let place = Key::place(&[application.org.raw(), application.id.raw()]);
        let (version, deleted_at) =
            (rows::narrow(rows::get::<i64>(row, 5)?)?, rows::opt_time(row, 8)?);
        Ok((place, Some(Record::Application { application, deleted_at, version })))
    })
}

pub(super) async fn endpoints(
    conn: &Conn,
    vault: &Vault,
    after: &Key,
    limits: Limits,
) -> Result<Batch> {
    let sql = format!(
        "/* export */ SELECT {}, e.org, e.app, e.deleted_at FROM endpoint e
         WHERE (e.org, e.app, e.endpoint) > ($1, $2, $3) ORDER BY e.org, e.app, e.endpoint LIMIT $4",
        endpoints::COLUMNS
    );
    let key = (after.part(0), after.part(1), after.part(2));
    let found = conn.query(&sql, &[&key.0, &key.1, &key.2, &limit(limits)]).await?;
    page(&found, |row| {
        let endpoint = endpoints::endpoint(row, vault, rows::id(row, 13)?, rows::id(row, 14)?)?;
        let place = Key::place(&[endpoint.org.raw(), endpoint.app.raw(), endpoint.id.raw()]);
        let deleted_at = rows::opt_time(row, 15)?;
        Ok((place, Some(Record::Endpoint { endpoint, deleted_at })))
    })
}

pub(super) async fn past_headers(
    conn: &Conn,
    vault: &Vault,
    after: &Key,
    limits: Limits,
) -> Result<Batch> {
    let sql =
        "/* export */ SELECT org, app, endpoint, revision, headers, replaced_at FROM past_headers
               WHERE (org, app, endpoint, revision) > ($1, $2, $3, $4)
               ORDER BY org, app, endpoint, revision LIMIT $5";
    let key = (after.part(0), after.part(1), after.part(2));
    let revision = after.part(3).try_into().map_or(-1, i32::from_be_bytes);
    let found = conn.query(sql, &[&key.0, &key.1, &key.2, &revision, &limit(limits)]).await?;
    page(&found, |row| {
        let endpoint: EndpointId = rows::id(row, 2)?;
        let past = MovedHeaders {
            org: rows::id(row, 0)?,
            app: rows::id(row, 1)?,
            endpoint,
            revision: rows::int(row, 3)?,
            headers: sealed::open_headers(vault, endpoint, rows::get(row, 4)?)?,
            replaced_at: rows::time(row, 5)?,
        };
        let revision = past.revision.to_be_bytes();
        let place = Key::place(&[past.org.raw(), past.app.raw(), endpoint.raw(), &revision]);
        Ok((place, Some(Record::PastHeaders(past))))
    })
}

pub(super) async fn event_types(conn: &Conn, after: &Key, limits: Limits) -> Result<Batch> {
    let sql = format!(
        "/* export */ SELECT {}, t.org FROM event_type t
         WHERE (t.org, t.name) > ($1, convert_from($2, 'UTF8')) ORDER BY t.org, t.name LIMIT $3",
        event_types::COLUMNS
    );
    let found = conn.query(&sql, &[&after.part(0), &after.part(1), &limit(limits)]).await?;
    page(&found, |row| {
        let event_type = event_types::event_type(row, rows::id(row, 5)?)?;
        let place = Key::place(&[event_type.org.raw(), event_type.name.as_str().as_bytes()]);
        Ok((place, Some(Record::EventType(event_type))))
    })
}

pub(super) async fn write_organization(
    tx: &Tx,
    organization: &Organization,
    version: u64,
) -> Result<()> {
    let sql = "/* import */ INSERT INTO organization (org, settings, version) VALUES ($1, $2, $3)";
    let (org, settings) = (organization.id.raw().as_slice(), rows::to_json(&organization.settings));
    tx.execute(sql, &[&org, &settings, &version.cast_signed()]).await?;
    Ok(())
}

pub(super) async fn write_application(
    tx: &Tx,
    ports: &Ports,
    application: &Application,
    deleted_at: Option<Timestamp>,
    version: u64,
) -> Result<()> {
    organizations::ensure(tx, application.org).await?;
    tx.execute(
        "/* import */ INSERT INTO application
         (org, app, uid, created_at, updated_at, deleted_at, version, doc, source)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            &application.org.raw().as_slice(),
            &application.id.raw().as_slice(),
            &application.uid.as_ref().map(Uid::as_str),
            &application.created_at.as_micros(),
            &application.updated_at.as_micros(),
            &deleted_at.map(Timestamp::as_micros),
            &version.cast_signed(),
            &rows::to_json(&applications::Doc::of(application)),
            &sealed::seal_source(&ports.vault, application),
        ],
    )
    .await?;
    Ok(())
}

pub(super) async fn write_endpoint(
    tx: &Tx,
    ports: &Ports,
    endpoint: &Endpoint,
    deleted_at: Option<Timestamp>,
) -> Result<()> {
    let insert = async |endpoint: &Endpoint| {
        let failing = endpoint.first_failure_at;
        endpoints::write(tx, ports, endpoints::INSERT, endpoint, failing).await
    };
    let Some(deleted_at) = deleted_at else { return insert(endpoint).await };
    // Its uid may be somebody else's, as long as it is not marked as deleted.
    insert(&Endpoint { uid: None, ..endpoint.clone() }).await?;
    let sql = "/* import */ UPDATE endpoint SET deleted_at = $4, uid = $5
               WHERE org = $1 AND app = $2 AND endpoint = $3";
    let (org, app) = (endpoint.org.raw().as_slice(), endpoint.app.raw().as_slice());
    let (id, uid) = (endpoint.id.raw().as_slice(), endpoint.uid.as_ref().map(Uid::as_str));
    tx.execute(sql, &[&org, &app, &id, &deleted_at.as_micros(), &uid]).await?;
    Ok(())
}

pub(super) async fn write_past_headers(tx: &Tx, ports: &Ports, past: &MovedHeaders) -> Result<()> {
    let MovedHeaders { org, app, endpoint, revision, headers, replaced_at } = past;
    tx.execute(
        "/* import */ INSERT INTO past_headers (org, app, endpoint, revision, headers, replaced_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            &org.raw().as_slice(),
            &app.raw().as_slice(),
            &endpoint.raw().as_slice(),
            &rows::narrow::<i32>(*revision)?,
            &sealed::seal_headers(&ports.vault, *endpoint, headers),
            &replaced_at.as_micros(),
        ],
    )
    .await?;
    Ok(())
}

pub(super) async fn write_event_type(tx: &Tx, event_type: &EventType) -> Result<()> {
    tx.execute(
        "/* import */ INSERT INTO event_type (org, name, archived, created_at, updated_at, doc)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            &event_type.org.raw().as_slice(),
            &event_type.name.as_str(),
            &event_type.archived,
            &event_type.created_at.as_micros(),
            &event_type.updated_at.as_micros(),
            &rows::to_json(&event_types::Doc::of(event_type)),
        ],
    )
    .await?;
    Ok(())
}
