//! Who changed what. Rows are in the order of their time and then of their number; their ids, which are
//! not stored, are made of both.

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    id::{AuditId, OrganizationId},
    page::{Page, PageRequest},
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use store::{
    Audit,
    audit::{AuditEntry, AuditRange},
    paging::Window,
};

use crate::{EmbeddedStore, error::Result, rows};

/// Microseconds of a step of an id's time: the rest stands behind it.
const STEP: i64 = 4_000;

/// A row's place: its time in microseconds, and its number.
type Place = (i64, i64);

fn id((at, no): Place) -> AuditId {
    let first = AuditId::floor(Timestamp::from_micros(at));
    let rest = (at - first.timestamp().as_micros()).clamp(0, STEP - 1);
    let mut raw = *first.raw();
    raw[5..9].copy_from_slice(&u32::try_from(rest).unwrap_or(0).to_be_bytes());
    raw[12..].copy_from_slice(&no.to_be_bytes());
    AuditId::from_raw(raw)
}

/// Where an id is, or a bound of a window: those of other stores, and bounds, are near enough to it.
fn place(raw: &[u8]) -> Place {
    let Some(raw) = raw.first_chunk::<20>() else { return (i64::MIN, i64::MIN) };
    let step = AuditId::from_raw(*raw).timestamp().as_micros();
    let rest = u32::from_be_bytes([raw[5], raw[6], raw[7], raw[8]]);
    let no = raw[12..].iter().fold(0_u64, |no, byte| no << 8 | u64::from(*byte));
    (step + i64::from(rest).min(STEP - 1), i64::try_from(no).unwrap_or(i64::MAX))
}

fn entry(row: &Row<'_>) -> Result<AuditEntry> {
    let at = rows::time(row, 1)?;
    Ok(AuditEntry {
        id: id((at.as_micros(), row.get(0)?)),
        at,
        actor: row.get(2)?,
        action: row.get(3)?,
        target: row.get(4)?,
        detail: row.get(5)?,
    })
}

fn log(
    conn: &Connection,
    org: OrganizationId,
    range: AuditRange,
    page: &PageRequest<AuditId>,
) -> Result<Page<AuditEntry>> {
    let window = Window::new(page);
    let org_no = "/* audit_log */ SELECT no FROM organization WHERE id = ?1";
    let org_no =
        conn.prepare_cached(org_no)?.query_row([org.raw()], |row| row.get(0)).optional()?;
    let Some(org_no): Option<i64> = org_no else { return Ok(window.page(Vec::new())) };
    // Every number is above 0.
    let above = place(&window.above).max((range.since.as_micros().saturating_sub(1), i64::MAX));
    let below = place(&window.below).min((range.until.as_micros(), 0));
    let sql = format!(
        "/* audit_log */ SELECT no, at, actor, action, target, detail FROM audit
         WHERE org_no = ?1 AND (at, no) > (?2, ?3) AND (at, no) < (?4, ?5)
         ORDER BY at {0}, no {0} LIMIT ?6",
        window.direction()
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let wanted = window.wanted() as i64;
    let params = params![org_no, above.0, above.1, below.0, below.1, wanted];
    let mut rows = statement.query(params)?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(entry(row)?);
    }
    Ok(window.page(entries))
}

#[async_trait]
impl Audit for EmbeddedStore {
    async fn audit_log(
        &self,
        org: OrganizationId,
        range: AuditRange,
        page: PageRequest<AuditId>,
    ) -> store::Result<Page<AuditEntry>> {
        self.readers.read(move |conn| log(conn, org, range, &page)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_places_in_their_order() {
        let now = 1_790_000_000_000_000;
        let mut last = None;
        for at in [now, now + 1, now + 3_999, now + 4_000, now + 1_000_000] {
            for no in [1, 2, 255, 256, 1 << 40] {
                let id = id((at, no));
                assert_eq!(place(id.raw()), (at, no));
                assert!(last < Some(id), "{at} {no}");
                last = Some(id);
            }
        }
        assert!(place(&[0xff; 21]) > (now, 1));
        assert!(place(&[]) < (0, 0));
    }
}
