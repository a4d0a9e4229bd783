//! What the endpoints of each application listen to.

use domain::{
    id::{ApplicationId, OrganizationId},
    task::Subscriptions,
};
use rusqlite::{Connection, params};

use super::organizations;
use crate::{error::Result, rows};

pub(super) fn list(
    conn: &Connection,
    org: OrganizationId,
    after: Option<ApplicationId>,
    limit: usize,
) -> Result<Vec<Subscriptions>> {
    let Some(org_no) = organizations::number(conn, org)? else { return Ok(Vec::new()) };
    let mut statement = conn.prepare_cached(
        "/* subscriptions */ SELECT a.id, e.no IS NOT NULL, e.event_types FROM (
             SELECT no, id FROM application INDEXED BY application_id
             WHERE source IS NULL AND org_no = ?1 AND id > ?2 AND deleted_at IS NULL
             ORDER BY id LIMIT ?3) a
         LEFT JOIN endpoint e ON e.app_no = a.no AND e.deleted_at IS NULL ORDER BY a.id",
    )?;
    let after = after.map_or(vec![], |after| after.raw().to_vec());
    let mut found = statement.query(params![org_no, after, limit as i64])?;
    let mut all: Vec<Subscriptions> = Vec::new();
    while let Some(row) = found.next()? {
        let app = rows::id(row, 0)?;
        if all.last().is_none_or(|last| last.app_id != app) {
            all.push(Subscriptions::none(app));
        }
        if let Some(last) = all.last_mut()
            && row.get(1)?
        {
            last.add(rows::opt_json(row, 2)?);
        }
    }
    Ok(all)
}
