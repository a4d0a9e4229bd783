//! How messages stand at endpoints.

use domain::{
    id::{EndpointId, MessageId},
    page::{Page, PageRequest},
};
use rusqlite::{Connection, params};
use store::{
    history::{
        DeliveryRecord, EndpointMessage, MessageEndpoint, MessageFilter, Status, Tenant, combined,
    },
    paging::Window,
};

use super::{Bounds, app_no, messages, place};
use crate::{error::Result, rows};

/// What a list of an endpoint's messages asks for.
pub(super) struct Wanted {
    pub(super) filter: MessageFilter,
    /// All if empty.
    pub(super) statuses: Vec<Status>,
    pub(super) with_body: bool,
}

/// All deliveries of one message to one endpoint, by id.
pub(super) fn records(
    conn: &Connection,
    endpoint_no: i64,
    endpoint: EndpointId,
    message: MessageId,
) -> Result<Vec<DeliveryRecord>> {
    let mut statement = conn.prepare_cached(&format!(
        "/* delivery_records */ SELECT {} FROM delivery d
         WHERE d.endpoint_no = ?1 AND d.message_id = ?2 ORDER BY d.delivery_id",
        rows::RECORD
    ))?;
    let mut found = statement.query(params![endpoint_no, message.raw()])?;
    let mut records = Vec::new();
    while let Some(row) = found.next()? {
        records.push(rows::record(row, endpoint)?);
    }
    Ok(records)
}

/// Walks the records of an endpoint, message by message, until `visit` says that it is enough. Returns
/// where it stopped if it came to a bound instead; `visit` says what a message adds to that.
fn walk(
    conn: &Connection,
    endpoint_no: i64,
    endpoint: EndpointId,
    (above, below): (&[u8], &[u8]),
    direction: &str,
    mut visit: impl FnMut(MessageId, &[DeliveryRecord]) -> Result<Visited>,
) -> Result<Option<MessageId>> {
    let mut statement = conn.prepare_cached(&format!(
        "/* endpoint_messages */ SELECT {} FROM delivery d
         WHERE d.endpoint_no = ?1 AND d.message_id > ?2 AND d.message_id < ?3
         ORDER BY d.message_id {direction}, d.delivery_id {direction}",
        rows::RECORD
    ))?;
    let mut found = statement.query(params![endpoint_no, above, below])?;
    let mut group: Vec<DeliveryRecord> = Vec::new();
    let mut bounds = Bounds::default();
    let mut bounded = false;
    while let Some(row) = found.next()? {
        let record = rows::record(row, endpoint)?;
        // A message is never cut in two.
        if let Some(first) = group.first().map(|first| first.message)
            && first != record.message
        {
            match visit(first, &group)? {
                Visited::Enough => return Ok(None),
                Visited::Read(bytes) => bounded |= bounds.reached_by(bytes),
            }
            if bounded {
                return Ok(Some(first));
            }
            group.clear();
        } else {
            bounded |= bounds.reached_by(0);
        }
        group.push(record);
    }
    if let Some(first) = group.first() {
        visit(first.message, &group)?;
    }
    Ok(None)
}

/// What came of a visit.
enum Visited {
    /// Go on; this many bytes were read.
    Read(usize),
    /// The page is full.
    Enough,
}

pub(super) fn at_endpoint(
    conn: &Connection,
    tenant: Tenant,
    endpoint: EndpointId,
    wanted: &Wanted,
    page: &PageRequest<MessageId>,
) -> Result<Page<EndpointMessage>> {
    let Wanted { filter, statuses, with_body } = wanted;
    let window = Window::new(page).within(filter.after, filter.before, MessageId::floor);
    let Some(place) = place(conn, tenant, endpoint)? else {
        return Ok(window.page(Vec::new()));
    };
    let mut found = Vec::new();
    let range = (&window.above[..], &window.below[..]);
    let direction = window.direction();
    let reached = walk(conn, place.endpoint_no, endpoint, range, direction, |id, records| {
        let Some((status, next_attempt)) = combined(records) else { return Ok(Visited::Read(0)) };
        if !statuses.is_empty() && !statuses.contains(&status) {
            return Ok(Visited::Read(0));
        }
        let message = messages::get(conn, tenant, place.app_no, id, filter, *with_body)?;
        let Some(message) = message else { return Ok(Visited::Read(0)) };
        let bytes = messages::body_bytes(&message);
        found.push(EndpointMessage { message, status, next_attempt });
        let full = found.len() == window.wanted();
        Ok(if full { Visited::Enough } else { Visited::Read(bytes) })
    })?;
    Ok(window.page_until(found, reached.map(|id| *id.raw())))
}

pub(super) fn of_message(
    conn: &Connection,
    tenant: Tenant,
    message: MessageId,
    page: &PageRequest<EndpointId>,
) -> Result<Page<MessageEndpoint>> {
    let window = Window::new(page);
    let endpoints = match app_no(conn, tenant)? {
        Some(app_no) => messages::endpoints(conn, app_no, message)?.unwrap_or_default(),
        None => Vec::new(),
    };
    let mut name =
        conn.prepare_cached("/* message_endpoints */ SELECT id FROM endpoint WHERE no = ?1")?;
    let mut listed = Vec::new();
    for endpoint_no in endpoints {
        let endpoint = EndpointId::from_raw(name.query_row([endpoint_no], |row| row.get(0))?);
        if window.holds(&endpoint) {
            listed.push((endpoint, endpoint_no));
        }
    }
    listed.sort_unstable();
    if window.is_descending() {
        listed.reverse();
    }
    let mut found = Vec::new();
    for (endpoint, endpoint_no) in listed {
        let records = records(conn, endpoint_no, endpoint, message)?;
        let stands = combined(&records);
        found.extend(stands.map(|(status, next_attempt)| MessageEndpoint {
            endpoint,
            status,
            next_attempt,
        }));
        if found.len() == window.wanted() {
            break;
        }
    }
    Ok(window.page(found))
}
