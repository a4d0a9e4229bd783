//! The headers of endpoints at revisions that are past. They stay sealed as they were.

use std::collections::BTreeMap;

use domain::{
    clock::Timestamp,
    id::{ApplicationId, EndpointId, OrganizationId},
};
use store::{sealed, vault::Vault};

use crate::{
    conn::{Conn, Tx},
    error::Result,
    rows,
};

/// Which endpoint.
type Of = (OrganizationId, ApplicationId, EndpointId);

/// Keeps an endpoint's headers for its revision, which is about to end. Its row is locked.
pub(crate) async fn keep(tx: &Tx, (org, app, endpoint): Of, at: Timestamp) -> Result<()> {
    let sql = "/* past_headers */ INSERT INTO past_headers
               (org, app, endpoint, revision, headers, replaced_at)
               SELECT org, app, endpoint, revision, headers, $4 FROM endpoint
               WHERE org = $1 AND app = $2 AND endpoint = $3";
    let key = (org.raw().as_slice(), app.raw().as_slice(), endpoint.raw().as_slice());
    tx.execute(sql, &[&key.0, &key.1, &key.2, &at.as_micros()]).await?;
    Ok(())
}

/// Those of a past revision, or of the present one.
pub(super) async fn find(
    conn: &Conn,
    vault: &Vault,
    (org, app, endpoint): Of,
    revision: u32,
) -> Result<Option<BTreeMap<String, String>>> {
    let sql = "/* headers_at */ SELECT CASE e.revision WHEN $4 THEN e.headers ELSE p.headers END
               FROM endpoint e LEFT JOIN past_headers p ON p.org = e.org AND p.app = e.app
                   AND p.endpoint = e.endpoint AND p.revision = $4
               WHERE e.org = $1 AND e.app = $2 AND e.endpoint = $3
                   AND (e.revision = $4 OR p.revision IS NOT NULL)";
    let key = (org.raw().as_slice(), app.raw().as_slice(), endpoint.raw().as_slice());
    let found = conn.query_opt(sql, &[&key.0, &key.1, &key.2, &revision.cast_signed()]).await?;
    let Some(row) = found else { return Ok(None) };
    Ok(Some(sealed::open_headers(vault, endpoint, rows::get(&row, 0)?)?))
}
