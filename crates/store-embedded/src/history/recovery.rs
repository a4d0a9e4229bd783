//! What can be recovered: the failed attempts of a span of time, in their order, and of each message the
//! first one.

use domain::{
    clock::Timestamp,
    delivery::Trigger,
    id::{AttemptId, EndpointId, MessageId},
};
use rusqlite::{Connection, params};
use store::history::{Status, Tenant};

use super::{MOST_ROWS, place};
use crate::{error::Result, rows};

/// Failed attempts that one call looks into; each takes a few look-ups.
const MOST_FAILED: usize = 1_000;
/// How successes are stored.
const SUCCESS: u8 = domain::attempt::OutcomeClass::Success as u8;

pub(super) fn failed(
    conn: &Connection,
    tenant: Tenant,
    endpoint: EndpointId,
    (since, until): (Timestamp, Timestamp),
    after: Option<AttemptId>,
    limit: usize,
) -> Result<(Vec<MessageId>, Option<AttemptId>)> {
    let Some(place) = place(conn, tenant, endpoint)? else { return Ok((Vec::new(), None)) };
    // The lowest id of a moment is never given: as an exclusive bound it takes nothing away.
    let since = AttemptId::floor(since);
    let behind = after.map_or(since, |after| after.max(since));
    let mut statement = conn.prepare_cached(
        "/* failed_messages */ SELECT id, message_id, class FROM attempt
         WHERE endpoint_no = ?1 AND id > ?2 AND id < ?3 ORDER BY id",
    )?;
    let mut attempts =
        statement.query(params![place.endpoint_no, behind.raw(), AttemptId::floor(until).raw()])?;
    let (mut found, mut last, mut failed) = (Vec::new(), behind, 0);
    let mut rows = 0;
    while let Some(row) = attempts.next()? {
        if rows >= MOST_ROWS || failed >= MOST_FAILED || found.len() >= limit {
            return Ok((found, Some(last)));
        }
        rows += 1;
        last = rows::id(row, 0)?;
        if row.get::<_, u8>(2)? == SUCCESS {
            continue;
        }
        failed += 1;
        let message = rows::id(row, 1)?;
        if is_to_recover(conn, (place.endpoint_no, endpoint), message, since..last)? {
            found.push(message);
        }
    }
    Ok((found, None))
}

/// Whether a message never arrived at the endpoint, is not on its way there by request, and has no
/// attempt in `before`: then that would have been its turn.
fn is_to_recover(
    conn: &Connection,
    (endpoint_no, endpoint): (i64, EndpointId),
    message: MessageId,
    before: std::ops::Range<AttemptId>,
) -> Result<bool> {
    let mut statement = conn.prepare_cached(&format!(
        "/* failed_messages */ SELECT {}, d.attempt_ids FROM delivery d
         WHERE d.endpoint_no = ?1 AND d.message_id = ?2",
        rows::RECORD
    ))?;
    let mut success =
        conn.prepare_cached("/* failed_messages */ SELECT 1 FROM attempt WHERE endpoint_no = ?1 AND id = ?2 AND class = ?3")?;
    let mut records = statement.query(params![endpoint_no, message.raw()])?;
    let mut any = false;
    while let Some(row) = records.next()? {
        any = true;
        let record = rows::record(row, endpoint)?;
        let on_its_way = record.end.is_none() && record.trigger != Trigger::Automatic;
        if on_its_way || record.status() == Status::Success {
            return Ok(false);
        }
        let attempts = rows::attempt_ids(row, 9)?;
        if attempts.iter().any(|id| before.contains(id)) {
            return Ok(false);
        }
        // Those beyond its count were superseded: one of them may have arrived all the same.
        if attempts.len() > usize::from(record.attempts) {
            for id in attempts {
                if success.exists(params![endpoint_no, id.raw(), SUCCESS])? {
                    return Ok(false);
                }
            }
        }
    }
    Ok(any)
}
