//! Endpoints, with what is secret of them sealed.

use domain::{
    application::Metadata,
    clock::Timestamp,
    endpoint::Endpoint,
    id::{ApplicationId, EndpointId, OrganizationId},
    name::{Channel, EventTypeName, Ref, Uid},
    page::{Page, PageRequest},
    retry::RetrySchedule,
    task::TaskKind,
    token::Actor,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{audit::of_endpoint, catalog::Refused, paging::Window, sealed, vault::Vault};
use tokio_postgres::Row;
use url::Url;

use super::{applications, audit, past_headers};
use crate::{
    conn::{Conn, Tx},
    error::{Error, Result},
    options::Ports,
    rows, tasks,
};

pub(crate) const COLUMNS: &str =
    "e.endpoint, e.uid, e.url, e.url_sealed, e.disabled, e.headers, e.secrets,
    e.first_failure_at, e.revision, e.created_at, e.updated_at, e.doc,
    e.transformation";
/// The parameters of [`INSERT`] and [`UPDATE`] are the same: those of [`write`].
pub(crate) const INSERT: &str =
    "/* create_endpoint */ INSERT INTO endpoint (org, app, endpoint, uid, url,
    url_sealed, disabled, headers, secrets, first_failure_at, revision, created_at, updated_at, doc,
    transformation) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
const UPDATE: &str =
    "/* update_endpoint */ UPDATE endpoint SET uid = $4, url = $5, url_sealed = $6,
    disabled = $7, headers = $8, secrets = $9, first_failure_at = $10, revision = $11,
    created_at = $12, updated_at = $13, doc = $14, transformation = $15
    WHERE org = $1 AND app = $2 AND endpoint = $3";
/// Whether the application is there, as a condition. What was deleted with it is not marked.
const OF_LIVE_APPLICATION: &str = "EXISTS (SELECT 1 FROM application a
    WHERE a.org = $1 AND a.app = $2 AND a.deleted_at IS NULL)";

/// What nothing is looked for by, and is no secret.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Doc {
    description: String,
    throttle_rate: Option<u16>,
    version: u16,
    event_types: Option<Vec<EventTypeName>>,
    channels: Option<Vec<Channel>>,
    metadata: Metadata,
    retry_schedule: Option<RetrySchedule>,
}

impl Doc {
    fn of(endpoint: &Endpoint) -> Self {
        Self {
            description: endpoint.description.clone(),
            throttle_rate: endpoint.throttle_rate,
            version: endpoint.version,
            event_types: endpoint.event_types.clone(),
            channels: endpoint.channels.clone(),
            metadata: endpoint.metadata.clone(),
            retry_schedule: endpoint.retry_schedule.clone(),
        }
    }
}

fn read_url(vault: &Vault, id: EndpointId, stored: &[u8], sealed: bool) -> Result<Url> {
    if sealed {
        return Ok(sealed::open_url(vault, id, stored)?);
    }
    let text = std::str::from_utf8(stored).map_err(Error::corrupt)?;
    text.parse().map_err(Error::corrupt)
}

pub(crate) fn endpoint(
    row: &Row,
    vault: &Vault,
    org: OrganizationId,
    app: ApplicationId,
) -> Result<Endpoint> {
    let id = rows::id(row, 0)?;
    let doc: Doc = rows::json(row, 11)?;
    Ok(Endpoint {
        org,
        app,
        id,
        uid: rows::opt_parsed(row, 1)?,
        url: read_url(vault, id, rows::bytes(row, 2)?, rows::get(row, 3)?)?,
        description: doc.description,
        throttle_rate: doc.throttle_rate,
        version: doc.version,
        disabled: rows::get(row, 4)?,
        event_types: doc.event_types,
        channels: doc.channels,
        metadata: doc.metadata,
        headers: sealed::open_headers(vault, id, rows::get(row, 5)?)?,
        secrets: sealed::open_secrets(vault, id, rows::bytes(row, 6)?)?,
        retry_schedule: doc.retry_schedule,
        transformation: sealed::open_transformation(vault, id, rows::get(row, 12)?)?,
        first_failure_at: rows::opt_time(row, 7)?,
        revision: rows::int(row, 8)?,
        created_at: rows::time(row, 9)?,
        updated_at: rows::time(row, 10)?,
    })
}

/// All of an application, by id.
pub(super) async fn all(
    conn: &Conn,
    vault: &Vault,
    org: OrganizationId,
    app: ApplicationId,
) -> Result<Vec<Endpoint>> {
    let sql = format!(
        "/* load_application */ SELECT {COLUMNS} FROM endpoint e
         WHERE e.org = $1 AND e.app = $2 AND e.deleted_at IS NULL ORDER BY e.endpoint"
    );
    let found = conn.query(&sql, &[&org.raw().as_slice(), &app.raw().as_slice()]).await?;
    found.iter().map(|row| endpoint(row, vault, org, app)).collect()
}

pub(super) async fn list(
    conn: &Conn,
    vault: &Vault,
    org: OrganizationId,
    app: ApplicationId,
    page: &PageRequest<EndpointId>,
) -> Result<Page<Endpoint>> {
    let window = Window::new(page);
    let sql = format!(
        "/* list_endpoints */ SELECT {COLUMNS} FROM endpoint e
         WHERE e.org = $1 AND e.app = $2 AND e.endpoint > $3 AND e.endpoint < $4
         AND e.deleted_at IS NULL AND {OF_LIVE_APPLICATION} ORDER BY e.endpoint {} LIMIT $5",
        window.direction()
    );
    let found = conn
        .query(
            &sql,
            &[
                &org.raw().as_slice(),
                &app.raw().as_slice(),
                &window.above,
                &window.below,
                &(window.wanted() as i64),
            ],
        )
        .await?;
    let endpoints: Result<_> = found.iter().map(|row| endpoint(row, vault, org, app)).collect();
    Ok(window.page(endpoints?))
}

/// By id or uid, not deleted.
pub(super) async fn find(
    conn: &Conn,
    vault: &Vault,
    org: OrganizationId,
    app: ApplicationId,
    reference: &Ref<EndpointId>,
) -> Result<Option<Endpoint>> {
    let by = |column| {
        format!(
            "/* endpoint */ SELECT {COLUMNS} FROM endpoint e
             WHERE e.org = $1 AND e.app = $2 AND e.{column} = $3 AND e.deleted_at IS NULL
             AND {OF_LIVE_APPLICATION}"
        )
    };
    let (of_org, of_app) = (org.raw().as_slice(), app.raw().as_slice());
    let found = match reference {
        Ref::Id(id) => {
            conn.query_opt(&by("endpoint"), &[&of_org, &of_app, &id.raw().as_slice()]).await?
        }
        Ref::Uid(uid) => conn.query_opt(&by("uid"), &[&of_org, &of_app, &uid.as_str()]).await?,
    };
    found.map(|row| endpoint(&row, vault, org, app)).transpose()
}

/// By id, deleted ones too.
pub(super) async fn ever(
    conn: &Conn,
    vault: &Vault,
    org: OrganizationId,
    app: ApplicationId,
    ids: &[EndpointId],
) -> Result<Vec<Endpoint>> {
    // One look into the index for each, however many endpoints the application has.
    let sql = format!(
        "/* endpoints_ever */ SELECT {COLUMNS} FROM unnest($3::bytea[]) AS wanted (id)
         CROSS JOIN LATERAL (SELECT * FROM endpoint
             WHERE org = $1 AND app = $2 AND endpoint = wanted.id LIMIT 1) AS e"
    );
    let ids: Vec<&[u8]> = ids.iter().map(|id| id.raw().as_slice()).collect();
    let found = conn.query(&sql, &[&org.raw().as_slice(), &app.raw().as_slice(), &ids]).await?;
    found.iter().map(|row| endpoint(row, vault, org, app)).collect()
}

/// The endpoint that has a uid. While the application is locked nobody else can take it.
async fn holder(tx: &Tx, of: &Endpoint) -> Result<Option<EndpointId>> {
    let Some(uid) = &of.uid else { return Ok(None) };
    let sql = "/* uid */ SELECT endpoint FROM endpoint
               WHERE org = $1 AND app = $2 AND uid = $3 AND deleted_at IS NULL";
    let (org, app) = (of.org.raw().as_slice(), of.app.raw().as_slice());
    let found = tx.query_opt(sql, &[&org, &app, &uid.as_str()]).await?;
    found.map(|row| rows::id(&row, 0)).transpose()
}

pub(super) async fn create(
    tx: &Tx,
    ports: &Ports,
    actor: &Actor,
    endpoint: &Endpoint,
) -> Result<Result<(), Refused<EndpointId>>> {
    let Endpoint { org, app, id, .. } = *endpoint;
    if applications::lock(tx, org, app).await?.is_none() {
        return Ok(Err(Refused::NotFound));
    }
    if let Some(holder) = holder(tx, endpoint).await? {
        return Ok(Err(Refused::Taken(holder)));
    }
    write(tx, ports, INSERT, endpoint, endpoint.first_failure_at).await?;
    applications::bump(tx, org, app).await?;
    audit(tx, ports, org, actor, "endpoint.create", &id, &of_endpoint(endpoint)).await?;
    Ok(Ok(()))
}

/// An edit says whether the endpoint is disabled. Since when it fails is what settles say: an edit
/// made from what was read before a failure must not wipe it out. Only enabling begins a new count.
pub(super) async fn update(
    tx: &Tx,
    ports: &Ports,
    actor: &Actor,
    endpoint: &Endpoint,
) -> Result<Result<(), Refused<EndpointId>>> {
    let Endpoint { org, app, id, .. } = *endpoint;
    let sql = "/* update_endpoint */ SELECT revision, disabled, first_failure_at FROM endpoint
               WHERE org = $1 AND app = $2 AND endpoint = $3 AND deleted_at IS NULL FOR UPDATE";
    let key = (org.raw().as_slice(), app.raw().as_slice(), id.raw().as_slice());
    let Some(stored) = tx.query_opt(sql, &[&key.0, &key.1, &key.2]).await? else {
        return Ok(Err(Refused::NotFound));
    };
    if applications::lock(tx, org, app).await?.is_none() {
        return Ok(Err(Refused::NotFound));
    }
    if endpoint.revision != rows::int::<u32>(&stored, 0)? + 1 {
        return Ok(Err(Refused::Stale));
    }
    match holder(tx, endpoint).await? {
        Some(holder) if holder != id => return Ok(Err(Refused::Taken(holder))),
        _ => {}
    }
    let enabled = rows::get(&stored, 1)? && !endpoint.disabled;
    let failing = rows::opt_time(&stored, 2)?.filter(|_| !enabled);
    past_headers::keep(tx, (org, app, id), endpoint.updated_at).await?;
    write(tx, ports, UPDATE, endpoint, failing).await?;
    applications::bump(tx, org, app).await?;
    audit(tx, ports, org, actor, "endpoint.update", &id, &of_endpoint(endpoint)).await?;
    Ok(Ok(()))
}

/// Writes all that an edit may change, and the revision that it makes, with [`INSERT`] or [`UPDATE`].
pub(crate) async fn write(
    tx: &Tx,
    ports: &Ports,
    sql: &str,
    endpoint: &Endpoint,
    first_failure_at: Option<Timestamp>,
) -> Result<()> {
    let vault = &ports.vault;
    let sealed_url = sealed::seal_url(vault, endpoint);
    let url = sealed_url.as_deref().unwrap_or(endpoint.url.as_str().as_bytes());
    tx.execute(
        sql,
        &[
            &endpoint.org.raw().as_slice(),
            &endpoint.app.raw().as_slice(),
            &endpoint.id.raw().as_slice(),
            &endpoint.uid.as_ref().map(Uid::as_str),
            &url,
            &sealed_url.is_some(),
            &endpoint.disabled,
            &sealed::seal_headers(vault, endpoint.id, &endpoint.headers),
            &sealed::seal_secrets(vault, endpoint),
            &first_failure_at.map(Timestamp::as_micros),
            &rows::narrow::<i32>(endpoint.revision)?,
            &endpoint.created_at.as_micros(),
            &endpoint.updated_at.as_micros(),
            &rows::to_json(&Doc::of(endpoint)),
            &sealed::seal_transformation(vault, endpoint),
        ],
    )
    .await?;
    Ok(())
}

pub(super) async fn delete(
    tx: &Tx,
    ports: &Ports,
    actor: &Actor,
    org: OrganizationId,
    app: ApplicationId,
    id: EndpointId,
    now: Timestamp,
) -> Result<Result<(), Refused<EndpointId>>> {
    let sql = "/* delete_endpoint */ UPDATE endpoint SET deleted_at = $4
               WHERE org = $1 AND app = $2 AND endpoint = $3 AND deleted_at IS NULL";
    let key = (org.raw().as_slice(), app.raw().as_slice(), id.raw().as_slice());
    if tx.execute(sql, &[&key.0, &key.1, &key.2, &now.as_micros()]).await? == 0
        || applications::lock(tx, org, app).await?.is_none()
    {
        return Ok(Err(Refused::NotFound));
    }
    applications::bump(tx, org, app).await?;
    let kind = TaskKind::CancelDeliveries { app, endpoint: Some(id) };
    tasks::start(tx, ports, org, kind, now).await?;
    audit(tx, ports, org, actor, "endpoint.delete", &id, &json!({})).await?;
    Ok(Ok(()))
}
