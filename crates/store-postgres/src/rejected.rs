//! Requests that a source refused.

use std::{collections::BTreeSet, convert::Infallible, sync::Arc};

use async_trait::async_trait;
use domain::{
    id::{ApplicationId, OrganizationId, RejectedId},
    page::{Page, PageRequest},
};
use store::{
    Rejected,
    history::Tenant,
    paging::Window,
    rejected::{MOST_REJECTED, RejectedRequest, RejectedRow},
    sealed,
    vault::Vault,
};
use tokio_postgres::Row;

use crate::{PostgresStore, conn::Tx, error::Result, rows};

const COLUMNS: &str = "id, at, status, body_bytes, expires_at, content";
/// Those of an application that is just being deleted may stay behind: they expire.
const KEEP: &str = "/* keep_rejected */ INSERT INTO rejected
    (org, app, id, at, status, body_bytes, expires_at, content)
    SELECT u.* FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[], $5::integer[],
        $6::bigint[], $7::bigint[], $8::bytea[])
        AS u (org, app, id, at, status, body_bytes, expires_at, content)
    WHERE (SELECT true FROM application a
        WHERE a.org = u.org AND a.app = u.app AND a.deleted_at IS NULL LIMIT 1)
    ON CONFLICT DO NOTHING";
/// What is more than `$3` of these applications. The bound is found within the index, beside as many as
/// may be there and what has come. What another node is just removing is left to it.
const REMOVE: &str = "/* keep_rejected */ DELETE FROM rejected WHERE ctid = ANY (ARRAY(
    SELECT over.place FROM unnest($1::bytea[], $2::bytea[]) AS u (org, app)
    CROSS JOIN LATERAL (SELECT r.ctid AS place FROM rejected r
        WHERE r.org = u.org AND r.app = u.app AND r.id <= (SELECT b.id FROM rejected b
            WHERE b.org = u.org AND b.app = u.app ORDER BY b.id DESC OFFSET $3 LIMIT 1)
        FOR UPDATE SKIP LOCKED) over))";

fn request(row: &Row, vault: &Vault, tenant: Tenant) -> Result<RejectedRequest> {
    let stored = RejectedRow {
        org: tenant.org,
        app: tenant.app,
        id: rows::id(row, 0)?,
        at: rows::time(row, 1)?,
        status: rows::int(row, 2)?,
        body_bytes: rows::get::<i64>(row, 3)?.cast_unsigned(),
        expires_at: rows::time(row, 4)?,
    };
    Ok(sealed::open_rejected(vault, stored, rows::bytes(row, 5)?)?)
}

async fn keep(tx: &Tx, requests: &[(RejectedRow, Vec<u8>)]) -> Result<()> {
    // Nothing is promised of them: no caller waits for the disk.
    tx.batch("SET LOCAL synchronous_commit = off").await?;
    let ids = |id: fn(&RejectedRow) -> &[u8; 20]| -> Vec<&[u8]> {
        requests.iter().map(|(row, _)| id(row).as_slice()).collect()
    };
    let numbers = |number: fn(&RejectedRow) -> i64| -> Vec<i64> {
        requests.iter().map(|(row, _)| number(row)).collect()
    };
    let statuses: Vec<i32> = requests.iter().map(|(row, _)| row.status.into()).collect();
    let contents: Vec<&[u8]> = requests.iter().map(|(_, content)| content.as_slice()).collect();
    tx.execute(
        KEEP,
        &[
            &ids(|row| row.org.raw()),
            &ids(|row| row.app.raw()),
            &ids(|row| row.id.raw()),
            &numbers(|row| row.at.as_micros()),
            &statuses,
            &numbers(|row| row.body_bytes.cast_signed()),
            &numbers(|row| row.expires_at.as_micros()),
            &contents,
        ],
    )
    .await?;
    let apps: BTreeSet<(OrganizationId, ApplicationId)> =
        requests.iter().map(|(row, _)| (row.org, row.app)).collect();
    let (orgs, apps): (Vec<_>, Vec<_>) =
        apps.iter().map(|(org, app)| (org.raw().as_slice(), app.raw().as_slice())).unzip();
    tx.execute(REMOVE, &[&orgs, &apps, &(MOST_REJECTED as i64)]).await?;
    Ok(())
}

/// Removes those of an application.
pub(crate) async fn remove_all(tx: &Tx, org: OrganizationId, app: ApplicationId) -> Result<()> {
    let sql = "/* delete_application */ DELETE FROM rejected WHERE org = $1 AND app = $2";
    tx.execute(sql, &[&org.raw().as_slice(), &app.raw().as_slice()]).await?;
    Ok(())
}

#[async_trait]
impl Rejected for PostgresStore {
    async fn keep_rejected(&self, requests: Vec<RejectedRequest>) -> store::Result<()> {
        let vault = &self.shared.ports.vault;
        let sealed: Vec<_> = requests
            .iter()
            .map(|request| (RejectedRow::of(request), sealed::seal_rejected(vault, request)))
            .collect();
        let sealed = &sealed;
        let keep = |tx: Arc<Tx>| async move {
            keep(&tx, sealed).await?;
            Ok(Ok::<_, Infallible>(()))
        };
        let Ok(()) = self.shared.change(keep).await?;
        Ok(())
    }

    async fn list_rejected(
        &self,
        tenant: Tenant,
        page: PageRequest<RejectedId>,
    ) -> store::Result<Page<RejectedRequest>> {
        let window = Window::new(&page);
        let sql = format!(
            "/* list_rejected */ SELECT {COLUMNS} FROM rejected
             WHERE org = $1 AND app = $2 AND id > $3 AND id < $4 ORDER BY id {} LIMIT $5",
            window.direction()
        );
        let (org, app) = (tenant.org.raw().as_slice(), tenant.app.raw().as_slice());
        let limit = window.wanted() as i64;
        let conn = self.shared.read().await?;
        let found = conn.query(&sql, &[&org, &app, &window.above, &window.below, &limit]).await?;
        let vault = &self.shared.ports.vault;
        let requests: Result<_> = found.iter().map(|row| request(row, vault, tenant)).collect();
        Ok(window.page(requests?))
    }

    async fn rejected(
        &self,
        tenant: Tenant,
        id: RejectedId,
    ) -> store::Result<Option<RejectedRequest>> {
        let sql = format!(
            "/* rejected */ SELECT {COLUMNS} FROM rejected
             WHERE org = $1 AND app = $2 AND id = $3"
        );
        let (org, app) = (tenant.org.raw().as_slice(), tenant.app.raw().as_slice());
        let conn = self.shared.read().await?;
        let found = conn.query_opt(&sql, &[&org, &app, &id.raw().as_slice()]).await?;
        let vault = &self.shared.ports.vault;
        Ok(found.map(|row| request(&row, vault, tenant)).transpose()?)
    }
}
