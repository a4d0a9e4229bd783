//! Who changed what.

use std::time::Duration;

use async_trait::async_trait;
use domain::{
    id::{AuditId, OrganizationId},
    page::{Page, PageRequest},
};
use store::{
    Audit,
    audit::{AuditEntry, AuditRange},
    paging::Window,
};
use tokio_postgres::Row;

use crate::{PostgresStore, error::Result, rows};

/// Ids are exact to this.
const STEP: Duration = Duration::from_millis(4);

fn entry(row: &Row) -> Result<AuditEntry> {
    Ok(AuditEntry {
        id: rows::id(row, 0)?,
        at: rows::time(row, 1)?,
        actor: rows::get(row, 2)?,
        action: rows::get(row, 3)?,
        target: rows::get(row, 4)?,
        detail: rows::get(row, 5)?,
    })
}

#[async_trait]
impl Audit for PostgresStore {
    async fn audit_log(
        &self,
        org: OrganizationId,
        range: AuditRange,
        page: PageRequest<AuditId>,
    ) -> store::Result<Page<AuditEntry>> {
        let window = Window::new(&page);
        // A row's id is made of its time: the range is a part of the index, and exact behind that.
        let above = window.above.clone().max(AuditId::floor(range.since).raw().to_vec());
        let end = AuditId::floor(range.until.plus(STEP));
        let below = window.below.clone().min(end.raw().to_vec());
        let sql = format!(
            "/* audit_log */ SELECT id, at, actor, action, target, detail FROM audit
             WHERE org = $1 AND id > $2 AND id < $3 AND at >= $4 AND at < $5
             ORDER BY id {} LIMIT $6",
            window.direction()
        );
        let (since, until) = (range.since.as_micros(), range.until.as_micros());
        let (org, limit) = (org.raw().as_slice(), window.wanted() as i64);
        let conn = self.shared.read().await?;
        let found = conn.query(&sql, &[&org, &above, &below, &since, &until, &limit]).await?;
        let entries: Result<_> = found.iter().map(entry).collect();
        Ok(window.page(entries?))
    }
}
