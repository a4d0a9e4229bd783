//! The headers of endpoints at revisions that are past. They stay sealed as they were.

use std::collections::BTreeMap;

use domain::{
    clock::Timestamp,
    id::{ApplicationId, EndpointId, OrganizationId},
};
use rusqlite::{Connection, params};
use store::{
    sealed::{self, Column},
    vault::Vault,
};

use crate::{
    error::{Error, Result},
    rows,
    tx::Tx,
};

/// Keeps an endpoint's headers for its revision, which is about to end.
pub(crate) fn keep(tx: &Tx<'_>, endpoint_no: i64, at: Timestamp) -> Result<()> {
    let sql =
        "/* past_headers */ INSERT INTO past_headers (endpoint_no, revision, headers, replaced_at)
               SELECT no, revision, headers, ?2 FROM endpoint WHERE no = ?1";
    tx.conn.prepare_cached(sql)?.execute([endpoint_no, at.as_micros()])?;
    Ok(())
}

/// Those of a past revision, or of the present one.
pub(super) fn find(
    conn: &Connection,
    vault: &Vault,
    (org, app, endpoint): (OrganizationId, ApplicationId, EndpointId),
    revision: u32,
) -> Result<Option<BTreeMap<String, String>>> {
    let mut statement = conn.prepare_cached(
        "/* headers_at */ SELECT CASE e.revision WHEN ?4 THEN e.headers ELSE p.headers END
         FROM organization o JOIN application a ON a.org_no = o.no AND a.id = ?2
         JOIN endpoint e ON e.app_no = a.no AND e.id = ?3
         LEFT JOIN past_headers p ON p.endpoint_no = e.no AND p.revision = ?4
         WHERE o.id = ?1 AND (e.revision = ?4 OR p.no IS NOT NULL)",
    )?;
    let mut rows = statement.query(params![org.raw(), app.raw(), endpoint.raw(), revision])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let sealed = row.get_ref(0)?.as_blob_or_null().map_err(Error::corrupt)?;
    Ok(Some(sealed::open_headers(vault, endpoint, sealed)?))
}

/// Seals with the newest key what is not yet, of up to `limit` rows numbered above `after`. Returns
/// the last number looked at (`None` at the end), and how many were sealed anew.
pub(crate) fn reseal(tx: &mut Tx<'_>, after: i64, limit: usize) -> Result<(Option<i64>, usize)> {
    let vault = &tx.ports.vault;
    let mut statement = tx.conn.prepare_cached(
        "/* reseal */ SELECT p.no, e.id, p.headers FROM past_headers p
         CROSS JOIN endpoint e ON e.no = p.endpoint_no WHERE p.no > ?1 ORDER BY p.no LIMIT ?2",
    )?;
    let mut update = tx
        .conn
        .prepare_cached("/* reseal */ UPDATE past_headers SET headers = ?2 WHERE no = ?1")?;
    let mut found = statement.query(params![after, limit as i64])?;
    let (mut last, mut resealed) = (None, 0);
    while let Some(row) = found.next()? {
        let no: i64 = row.get(0)?;
        last = Some(no);
        let sealed = row.get_ref(2)?.as_blob_or_null().map_err(Error::corrupt)?;
        let Some(sealed) = sealed else { continue };
        let owner = Column::Headers.owner(rows::id(row, 1)?);
        if let Some(anew) = vault.reseal(&owner, sealed)? {
            update.execute(params![no, anew])?;
            resealed += 1;
        }
    }
    Ok((last, resealed))
}
