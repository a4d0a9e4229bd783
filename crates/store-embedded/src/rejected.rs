//! Requests that a source refused.

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::{
    id::{ApplicationId, OrganizationId, RejectedId},
    page::{Page, PageRequest},
};
use rusqlite::{Connection, Row, params};
use store::{
    Rejected,
    history::Tenant,
    paging::Window,
    rejected::{MOST_REJECTED, RejectedRequest, RejectedRow},
    sealed,
    vault::Vault,
};

use crate::{
    EmbeddedStore,
    error::{Error, Result},
    rows,
    tx::Tx,
    writer::{Kind, Label},
};

const COLUMNS: &str = "r.id, r.at, r.status, r.body_bytes, r.expires_at, r.content";
const FROM: &str = "organization o JOIN application a ON a.org_no = o.no AND a.id = ?2
    AND a.deleted_at IS NULL JOIN rejected r ON r.app_no = a.no";

fn request(row: &Row<'_>, vault: &Vault, tenant: Tenant) -> Result<RejectedRequest> {
    let stored = RejectedRow {
        org: tenant.org,
        app: tenant.app,
        id: rows::id(row, 0)?,
        at: rows::time(row, 1)?,
        status: row.get(2)?,
        body_bytes: row.get::<_, i64>(3)?.cast_unsigned(),
        expires_at: rows::time(row, 4)?,
    };
    let content = row.get_ref(5)?.as_blob().map_err(Error::corrupt)?;
    Ok(sealed::open_rejected(vault, stored, content)?)
}

fn list(
    conn: &Connection,
    vault: &Vault,
    tenant: Tenant,
    page: &PageRequest<RejectedId>,
) -> Result<Page<RejectedRequest>> {
    let window = Window::new(page);
    let mut statement = conn.prepare_cached(&format!(
        "/* list_rejected */ SELECT {COLUMNS} FROM {FROM}
         WHERE o.id = ?1 AND r.id > ?3 AND r.id < ?4 ORDER BY r.id {} LIMIT ?5",
        window.direction()
    ))?;
    let (org, app) = (tenant.org.raw(), tenant.app.raw());
    let params = params![org, app, window.above, window.below, window.wanted() as i64];
    let mut found = statement.query(params)?;
    let mut requests = Vec::new();
    while let Some(row) = found.next()? {
        requests.push(request(row, vault, tenant)?);
    }
    Ok(window.page(requests))
}

fn find(
    conn: &Connection,
    vault: &Vault,
    tenant: Tenant,
    id: RejectedId,
) -> Result<Option<RejectedRequest>> {
    let sql = format!(
        "/* rejected */ SELECT {COLUMNS} FROM {FROM}
         WHERE o.id = ?1 AND r.id = ?3"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut found = statement.query([tenant.org.raw(), tenant.app.raw(), id.raw()])?;
    found.next()?.map(|row| request(row, vault, tenant)).transpose()
}

/// Adds requests with their sealed contents, and removes what is then too much.
fn keep(tx: &mut Tx<'_>, requests: &[(RejectedRow, Vec<u8>)]) -> Result<()> {
    let mut apps = BTreeSet::new();
    for (request, content) in requests {
        let Some(app) = tx.app(request.org, request.app)? else { continue };
        apps.insert(app.no);
        tx.conn
            .prepare_cached(
                "/* keep_rejected */ INSERT OR IGNORE INTO rejected
                 (app_no, id, at, status, body_bytes, expires_at, content)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                app.no,
                request.id.raw(),
                request.at.as_micros(),
                request.status,
                request.body_bytes.cast_signed(),
                request.expires_at.as_micros(),
                content,
            ])?;
    }
    // Within the index: as much as may be there, and what has come.
    let mut remove = tx.conn.prepare_cached(
        "/* keep_rejected */ DELETE FROM rejected WHERE no IN (SELECT no FROM rejected
         WHERE app_no = ?1 ORDER BY id DESC LIMIT -1 OFFSET ?2)",
    )?;
    for app_no in apps {
        remove.execute([app_no, MOST_REJECTED as i64])?;
    }
    Ok(())
}

/// Removes those of an application.
pub(crate) fn remove_all(tx: &Tx<'_>, app_no: i64) -> Result<()> {
    let sql = "/* delete_application */ DELETE FROM rejected WHERE app_no = ?1";
    tx.conn.prepare_cached(sql)?.execute([app_no])?;
    Ok(())
}

/// Seals with the newest key up to `limit` of those numbered above `after`. Returns the last number
/// looked at (`None` at the end), and how many were sealed anew.
pub(crate) fn reseal(tx: &mut Tx<'_>, after: i64, limit: usize) -> Result<(Option<i64>, usize)> {
    let vault = tx.ports.vault.clone();
    let mut statement = tx.conn.prepare_cached(
        "/* reseal */ SELECT r.no, o.id, a.id, r.id, r.content FROM rejected r
         CROSS JOIN application a ON a.no = r.app_no CROSS JOIN organization o ON o.no = a.org_no
         WHERE r.no > ?1 ORDER BY r.no LIMIT ?2",
    )?;
    let mut update =
        tx.conn.prepare_cached("/* reseal */ UPDATE rejected SET content = ?2 WHERE no = ?1")?;
    let mut found = statement.query(params![after, limit as i64])?;
    let (mut last, mut resealed) = (None, 0);
    while let Some(row) = found.next()? {
        let no: i64 = row.get(0)?;
        last = Some(no);
        let (org, app): (OrganizationId, ApplicationId) = (rows::id(row, 1)?, rows::id(row, 2)?);
        let owner = sealed::rejected_owner(org, app, rows::id(row, 3)?);
        let content = row.get_ref(4)?.as_blob().map_err(Error::corrupt)?;
        if let Some(anew) = vault.reseal(&owner, content)? {
            update.execute(params![no, anew])?;
            resealed += 1;
        }
    }
    Ok((last, resealed))
}

#[async_trait]
impl Rejected for EmbeddedStore {
    async fn keep_rejected(&self, requests: Vec<RejectedRequest>) -> store::Result<()> {
        let vault = &self.ports.vault;
        let sealed: Vec<_> = requests
            .iter()
            .map(|request| (RejectedRow::of(request), sealed::seal_rejected(vault, request)))
            .collect();
        let bytes = sealed.iter().map(|(_, content)| content.len()).sum();
        let label = Label { kind: Kind::Ingest, name: "keep_rejected", rows: sealed.len(), bytes };
        self.writer.write(label, move |tx| keep(tx, &sealed)).await
    }

    async fn list_rejected(
        &self,
        tenant: Tenant,
        page: PageRequest<RejectedId>,
    ) -> store::Result<Page<RejectedRequest>> {
        let vault = self.ports.vault.clone();
        self.readers.read(move |conn| list(conn, &vault, tenant, &page)).await
    }

    async fn rejected(
        &self,
        tenant: Tenant,
        id: RejectedId,
    ) -> store::Result<Option<RejectedRequest>> {
        let vault = self.ports.vault.clone();
        self.readers.read(move |conn| find(conn, &vault, tenant, id)).await
    }
}
