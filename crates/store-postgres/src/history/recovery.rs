//! What can be recovered: the failed attempts of a span of time, in their order, and of each message the
//! first one.

use std::collections::{HashMap, HashSet};

use domain::{
    attempt::OutcomeClass,
    clock::Timestamp,
    delivery::Trigger,
    id::{AttemptId, EndpointId, MessageId},
};
use store::history::{DeliveryRecord, Status, Tenant};

use super::{messages::span, walk::Walk};
use crate::{conn::Conn, error::Result, rows};

/// Failed attempts that one call looks into; each takes a few look-ups.
const MOST_FAILED: usize = 1_000;
/// How successes are stored.
const SUCCESS: i16 = OutcomeClass::Success as i16;

pub(super) async fn failed(
    conn: &Conn,
    tenant: Tenant,
    endpoint: EndpointId,
    (since, until): (Timestamp, Timestamp),
    after: Option<AttemptId>,
    limit: usize,
) -> Result<(Vec<MessageId>, Option<AttemptId>)> {
    // The lowest id of a moment is never given: as an exclusive bound it takes nothing away.
    let since = AttemptId::floor(since);
    let behind = after.map_or(since, |after| after.max(since));
    let end = AttemptId::floor(until);
    let mut walk = Walk::upwards(behind.raw().to_vec(), end.raw().to_vec(), limit);
    let (mut found, mut last, mut failed) = (Vec::new(), behind, 0);
    loop {
        let sql = "/* failed_messages */ SELECT t.id, t.message, t.class FROM attempt t
             WHERE t.org = $1 AND t.app = $2 AND t.endpoint = $6 AND t.id > $3 AND t.id < $4
             ORDER BY t.id LIMIT $5";
        let mut attempts = Vec::new();
        for row in walk.next(conn, sql, tenant, Some(endpoint)).await? {
            let success = rows::get::<i16>(&row, 2)? == SUCCESS;
            attempts.push((rows::id(&row, 0)?, (!success).then_some(rows::id(&row, 1)?)));
        }
        let histories = histories(conn, tenant, endpoint, &attempts).await?;
        for (attempt, message) in attempts {
            if failed >= MOST_FAILED || found.len() >= limit {
                return Ok((found, Some(last)));
            }
            last = attempt;
            let Some(message) = message else { continue };
            failed += 1;
            let history = histories.get(&message);
            if history.is_some_and(|history| history.is_to_recover(&(since..attempt))) {
                found.push(message);
            }
        }
        if walk.is_over() {
            return Ok((found, walk.reached().map(AttemptId::from_raw)));
        }
    }
}

/// A failed attempt has its message with it.
type Attempted = (AttemptId, Option<MessageId>);

/// What is on record of one message at the endpoint.
#[derive(Default)]
struct History {
    deliveries: Vec<(DeliveryRecord, Vec<AttemptId>)>,
    /// Whether an attempt arrived that does not count for its delivery.
    arrived_late: bool,
}

impl History {
    /// Whether the message never arrived at the endpoint, is not on its way there by request, and has
    /// no attempt in `before`: then that would have been its turn.
    fn is_to_recover(&self, before: &std::ops::Range<AttemptId>) -> bool {
        !self.arrived_late
            && self.deliveries.iter().all(|(record, attempts)| {
                let on_its_way = record.end.is_none() && record.trigger != Trigger::Automatic;
                !on_its_way
                    && record.status() != Status::Success
                    && !attempts.iter().any(|id| before.contains(id))
            })
    }
}

/// The history of all messages that failed.
async fn histories(
    conn: &Conn,
    tenant: Tenant,
    endpoint: EndpointId,
    attempts: &[Attempted],
) -> Result<HashMap<MessageId, History>> {
    let messages: HashSet<MessageId> =
        attempts.iter().filter_map(|(_, message)| *message).collect();
    let messages: Vec<&[u8]> = messages.iter().map(|id| id.raw().as_slice()).collect();
    let Some((first, last)) = span(&messages) else { return Ok(HashMap::new()) };
    let sql = format!(
        "/* failed_messages */ SELECT d.* FROM unnest($4::bytea[]) AS u (message)
         CROSS JOIN LATERAL (SELECT {}, d.attempt_ids FROM delivery d
             WHERE d.org = $1 AND d.app = $2 AND d.endpoint = $3 AND d.message = u.message
             AND d.message BETWEEN $5 AND $6 OFFSET 0) d",
        rows::RECORD
    );
    let (org, app) = (tenant.org.raw().as_slice(), tenant.app.raw().as_slice());
    let at = endpoint.raw().as_slice();
    let mut histories: HashMap<MessageId, History> = HashMap::new();
    // Those beyond a delivery's count were superseded: one of them may have arrived all the same.
    let mut doubtful: HashMap<AttemptId, MessageId> = HashMap::new();
    for row in conn.query(&sql, &[&org, &app, &at, &messages, &first, &last]).await? {
        let record = rows::record(&row, endpoint)?;
        let ids = rows::ids::<AttemptId>(rows::bytes(&row, 9)?);
        if ids.len() > usize::from(record.attempts) {
            doubtful.extend(ids.iter().map(|id| (*id, record.message)));
        }
        histories.entry(record.message).or_default().deliveries.push((record, ids));
    }
    for attempt in arrived(conn, tenant, endpoint, doubtful.keys()).await? {
        if let Some(history) = doubtful.get(&attempt).and_then(|id| histories.get_mut(id)) {
            history.arrived_late = true;
        }
    }
    Ok(histories)
}

/// Those of some attempts that succeeded.
async fn arrived(
    conn: &Conn,
    tenant: Tenant,
    endpoint: EndpointId,
    attempts: impl Iterator<Item = &AttemptId>,
) -> Result<Vec<AttemptId>> {
    let attempts: Vec<&[u8]> = attempts.map(|id| id.raw().as_slice()).collect();
    let Some((first, last)) = span(&attempts) else { return Ok(Vec::new()) };
    let sql = "/* failed_messages */ SELECT found.id FROM unnest($4::bytea[]) AS u (id)
         CROSS JOIN LATERAL (SELECT t.id FROM attempt t
             WHERE t.org = $1 AND t.app = $2 AND t.endpoint = $3 AND t.id = u.id
             AND t.id BETWEEN $5 AND $6 AND t.class = $7 LIMIT 1) found";
    let (org, app) = (tenant.org.raw().as_slice(), tenant.app.raw().as_slice());
    let at = endpoint.raw().as_slice();
    let found = conn.query(sql, &[&org, &app, &at, &attempts, &first, &last, &SUCCESS]).await?;
    found.iter().map(|row| rows::id(row, 0)).collect()
}
