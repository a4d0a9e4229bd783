//! What the endpoints of each application listen to.

use domain::{
    id::{ApplicationId, OrganizationId},
    name::EventTypeName,
    task::Subscriptions,
};
use serde::Deserialize;

use crate::{conn::Conn, error::Result, rows};

/// Of an endpoint's row, what it listens to.
#[derive(Deserialize)]
struct Doc {
    event_types: Option<Vec<EventTypeName>>,
}

pub(super) async fn list(
    conn: &Conn,
    org: OrganizationId,
    after: Option<ApplicationId>,
    limit: usize,
) -> Result<Vec<Subscriptions>> {
    let sql = "/* subscriptions */ SELECT a.app, e.doc FROM (
             SELECT org, app FROM application
             WHERE org = $1 AND app > $2 AND deleted_at IS NULL AND source IS NULL
             ORDER BY app LIMIT $3) a
         LEFT JOIN endpoint e ON e.org = a.org AND e.app = a.app AND e.deleted_at IS NULL
         ORDER BY a.app";
    let after = after.map_or(vec![], |after| after.raw().to_vec());
    let mut all: Vec<Subscriptions> = Vec::new();
    for row in conn.query(sql, &[&org.raw().as_slice(), &after, &(limit as i64)]).await? {
        let app = rows::id(&row, 0)?;
        if all.last().is_none_or(|last| last.app_id != app) {
            all.push(Subscriptions::none(app));
        }
        let doc: Option<Doc> = rows::opt_json(&row, 1)?;
        if let (Some(last), Some(doc)) = (all.last_mut(), doc) {
            last.add(doc.event_types);
        }
    }
    Ok(all)
}
