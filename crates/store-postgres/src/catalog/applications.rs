//! Applications.

use domain::{
    application::{Application, Metadata},
    clock::Timestamp,
    id::{ApplicationId, OrganizationId},
    name::{Ref, Uid},
    page::{Page, PageRequest},
    task::TaskKind,
    token::Actor,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{
    audit::of_application,
    catalog::{ApplicationFilter, Refused},
    paging::Window,
    sealed,
    vault::Vault,
};
use tokio_postgres::Row;

use super::{audit, organizations};
use crate::{
    conn::{Conn, Tx},
    error::Result,
    feed,
    options::Ports,
    rejected, rows, tasks,
};

pub(crate) const COLUMNS: &str =
    "a.app, a.uid, a.created_at, a.updated_at, a.doc, a.version, a.source";

/// What nothing is looked for by, and is no secret.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Doc {
    name: String,
    throttle_rate: Option<u16>,
    metadata: Metadata,
}

impl Doc {
    pub(crate) fn of(application: &Application) -> Self {
        Self {
            name: application.name.clone(),
            throttle_rate: application.throttle_rate,
            metadata: application.metadata.clone(),
        }
    }
}

/// An application, and the version of it and its endpoints.
pub(super) struct Found {
    pub(super) application: Application,
    pub(super) version: u64,
}

pub(crate) fn application(row: &Row, vault: &Vault, org: OrganizationId) -> Result<Application> {
    let id = rows::id(row, 0)?;
    let doc: Doc = rows::json(row, 4)?;
    Ok(Application {
        org,
        id,
        uid: rows::opt_parsed(row, 1)?,
        name: doc.name,
        throttle_rate: doc.throttle_rate,
        metadata: doc.metadata,
        source: sealed::open_source(vault, org, id, rows::get(row, 6)?)?,
        created_at: rows::time(row, 2)?,
        updated_at: rows::time(row, 3)?,
    })
}

/// By id or uid, not deleted.
pub(super) async fn find(
    conn: &Conn,
    vault: &Vault,
    org: OrganizationId,
    app: &Ref<ApplicationId>,
) -> Result<Option<Found>> {
    let by = |column| {
        format!(
            "/* application */ SELECT {COLUMNS} FROM application a
             WHERE a.org = $1 AND a.{column} = $2 AND a.deleted_at IS NULL"
        )
    };
    let org_raw = org.raw().as_slice();
    let found = match app {
        Ref::Id(id) => conn.query_opt(&by("app"), &[&org_raw, &id.raw().as_slice()]).await?,
        Ref::Uid(uid) => conn.query_opt(&by("uid"), &[&org_raw, &uid.as_str()]).await?,
    };
    let Some(row) = found else { return Ok(None) };
    let version = rows::narrow(rows::get::<i64>(&row, 5)?)?;
    Ok(Some(Found { application: application(&row, vault, org)?, version }))
}

pub(super) async fn list(
    conn: &Conn,
    vault: &Vault,
    org: OrganizationId,
    filter: ApplicationFilter,
    page: &PageRequest<ApplicationId>,
) -> Result<Page<Application>> {
    let window = Window::new(page);
    // Said in the text, or the index of sources could not be used: a list of them passes no customer.
    let kind = if filter.sources { "NOT NULL" } else { "NULL" };
    // One look at the endpoints of each application, and none beyond the page. (`EXISTS` would leave
    // it to the planner to read those of all applications at once.)
    let sql = format!(
        "/* list_applications */ SELECT {COLUMNS} FROM application a
         WHERE a.org = $1 AND a.app > $2 AND a.app < $3 AND a.deleted_at IS NULL
         AND a.source IS {kind}
         AND (NOT $4 OR (SELECT true FROM endpoint e WHERE e.org = a.org AND e.app = a.app
              AND e.deleted_at IS NULL LIMIT 1))
         AND (NOT $5 OR (SELECT true FROM endpoint e WHERE e.org = a.org AND e.app = a.app
              AND e.deleted_at IS NULL AND e.disabled LIMIT 1) IS NULL)
         ORDER BY a.app {} LIMIT $6",
        window.direction()
    );
    let found = conn
        .query(
            &sql,
            &[
                &org.raw().as_slice(),
                &window.above,
                &window.below,
                &filter.exclude_without_endpoints,
                &filter.exclude_with_disabled_endpoints,
                &(window.wanted() as i64),
            ],
        )
        .await?;
    let applications: Result<_> = found.iter().map(|row| application(row, vault, org)).collect();
    Ok(window.page(applications?))
}

/// Sources of all organizations, by organization and application.
pub(super) async fn sources(
    conn: &Conn,
    vault: &Vault,
    after: Option<(OrganizationId, ApplicationId)>,
    limit: usize,
) -> Result<Vec<Application>> {
    let (org, app) = match &after {
        Some((org, app)) => (org.raw().as_slice(), app.raw().as_slice()),
        None => ([].as_slice(), [].as_slice()),
    };
    let sql = format!(
        "/* sources */ SELECT {COLUMNS}, a.org FROM application a
         WHERE a.source IS NOT NULL AND a.deleted_at IS NULL AND (a.org, a.app) > ($1, $2)
         ORDER BY a.org, a.app LIMIT $3"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = conn.query(&sql, &[&org, &app, &limit]).await?;
    let source = |row: &Row| application(row, vault, rows::id(row, 7)?);
    found.iter().map(source).collect()
}

/// Keeps everybody else from changing an application or its endpoints. When it was changed last;
/// `None` if it is gone.
pub(super) async fn lock(
    tx: &Tx,
    org: OrganizationId,
    app: ApplicationId,
) -> Result<Option<Timestamp>> {
    let sql = "/* lock_application */ SELECT updated_at FROM application
               WHERE org = $1 AND app = $2 AND deleted_at IS NULL FOR UPDATE";
    let found = tx.query_opt(sql, &[&org.raw().as_slice(), &app.raw().as_slice()]).await?;
    found.map(|row| rows::time(&row, 0)).transpose()
}

/// The application that has a uid.
async fn holder(tx: &Tx, org: OrganizationId, uid: Option<&Uid>) -> Result<Option<ApplicationId>> {
    let Some(uid) = uid else { return Ok(None) };
    let sql = "/* uid */ SELECT app FROM application
               WHERE org = $1 AND uid = $2 AND deleted_at IS NULL";
    let found = tx.query_opt(sql, &[&org.raw().as_slice(), &uid.as_str()]).await?;
    found.map(|row| rows::id(&row, 0)).transpose()
}

/// Of two nodes that take a uid at once the second one waits, meets the unique index, and is called
/// again: then it finds the holder.
pub(super) async fn create(
    tx: &Tx,
    ports: &Ports,
    actor: &Actor,
    application: &Application,
) -> Result<Result<(), Refused<ApplicationId>>> {
    let org = application.org;
    organizations::ensure(tx, org).await?;
    if let Some(holder) = holder(tx, org, application.uid.as_ref()).await? {
        return Ok(Err(Refused::Taken(holder)));
    }
    tx.execute(
        "/* create_application */ INSERT INTO application
         (org, app, uid, created_at, updated_at, doc, source, version)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 1)",
        &[
            &org.raw().as_slice(),
            &application.id.raw().as_slice(),
            &application.uid.as_ref().map(Uid::as_str),
            &application.created_at.as_micros(),
            &application.updated_at.as_micros(),
            &rows::to_json(&Doc::of(application)),
            &sealed::seal_source(&ports.vault, application),
        ],
    )
    .await?;
    let detail = of_application(application);
    audit(tx, ports, org, actor, "application.create", &application.id, &detail).await?;
    Ok(Ok(()))
}

pub(super) async fn update(
    tx: &Tx,
    ports: &Ports,
    actor: &Actor,
    application: &Application,
    expected: Timestamp,
) -> Result<Result<(), Refused<ApplicationId>>> {
    let Application { org, id, .. } = *application;
    match lock(tx, org, id).await? {
        None => return Ok(Err(Refused::NotFound)),
        Some(updated_at) if updated_at != expected => return Ok(Err(Refused::Stale)),
        Some(_) => {}
    }
    match holder(tx, org, application.uid.as_ref()).await? {
        Some(holder) if holder != id => return Ok(Err(Refused::Taken(holder))),
        _ => {}
    }
    tx.execute(
        "/* update_application */ UPDATE application SET uid = $3, created_at = $4,
         updated_at = $5, doc = $6, source = $7 WHERE org = $1 AND app = $2",
        &[
            &org.raw().as_slice(),
            &id.raw().as_slice(),
            &application.uid.as_ref().map(Uid::as_str),
            &application.created_at.as_micros(),
            &application.updated_at.as_micros(),
            &rows::to_json(&Doc::of(application)),
            &sealed::seal_source(&ports.vault, application),
        ],
    )
    .await?;
    bump(tx, org, id).await?;
    let detail = of_application(application);
    audit(tx, ports, org, actor, "application.update", &id, &detail).await?;
    Ok(Ok(()))
}

pub(super) async fn delete(
    tx: &Tx,
    ports: &Ports,
    actor: &Actor,
    org: OrganizationId,
    id: ApplicationId,
    now: Timestamp,
) -> Result<Result<(), Refused<ApplicationId>>> {
    // Nobody receives by its source any more: the secrets go, and what it refused.
    let sql = "/* delete_application */ UPDATE application SET deleted_at = $3, source = NULL
               WHERE org = $1 AND app = $2 AND deleted_at IS NULL";
    let params = (org.raw().as_slice(), id.raw().as_slice(), now.as_micros());
    if tx.execute(sql, &[&params.0, &params.1, &params.2]).await? == 0 {
        return Ok(Err(Refused::NotFound));
    }
    rejected::remove_all(tx, org, id).await?;
    bump(tx, org, id).await?;
    let kind = TaskKind::CancelDeliveries { app: id, endpoint: None };
    tasks::start(tx, ports, org, kind, now).await?;
    audit(tx, ports, org, actor, "application.delete", &id, &json!({})).await?;
    Ok(Ok(()))
}

/// Counts an application's version up, and tells the other nodes.
pub(crate) async fn bump(tx: &Tx, org: OrganizationId, app: ApplicationId) -> Result<()> {
    tx.execute(
        "/* version */ UPDATE application SET version = version + 1 WHERE org = $1 AND app = $2",
        &[&org.raw().as_slice(), &app.raw().as_slice()],
    )
    .await?;
    feed::note_change(tx, org, Some(app)).await
}
