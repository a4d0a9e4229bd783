//! How messages stand at endpoints: lists by status, counts, and what can be recovered.

use std::time::Duration;

use domain::{
    clock::Timestamp,
    id::{AttemptId, EndpointId, MessageId},
    page::{Page, PageRequest},
};
use rusqlite::{Connection, params};
use store::history::{
    DeliveryRecord, EndpointCounts, EndpointMessage, MessageEndpoint, MessageFilter, Status,
    Tenant, combined,
};

use super::{MOST_ROWS, app_no, messages, place};
use crate::{error::Result, paging::Window, rows};

/// How long before its id's time an attempt may have begun, at most: the longest an attempt lasts,
/// generously.
const SLACK: Duration = Duration::from_secs(600);

/// What a list of an endpoint's messages asks for.
pub(super) struct Wanted {
    pub(super) filter: MessageFilter,
    pub(super) status: Option<Status>,
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

/// Walks the records of an endpoint, message by message, until `visit` says that it is enough.
/// Returns false if it stopped at the bound of rows instead.
fn walk(
    conn: &Connection,
    endpoint_no: i64,
    endpoint: EndpointId,
    (above, below): (&[u8], &[u8]),
    direction: &str,
    mut visit: impl FnMut(MessageId, &[DeliveryRecord]) -> Result<bool>,
) -> Result<bool> {
    let mut statement = conn.prepare_cached(&format!(
        "/* endpoint_messages */ SELECT {} FROM delivery d
         WHERE d.endpoint_no = ?1 AND d.message_id > ?2 AND d.message_id < ?3
         ORDER BY d.message_id {direction}, d.delivery_id {direction}",
        rows::RECORD
    ))?;
    let mut found = statement.query(params![endpoint_no, above, below])?;
    let mut group: Vec<DeliveryRecord> = Vec::new();
    let mut looked_at = 0;
    while let Some(row) = found.next()? {
        let record = rows::record(row, endpoint)?;
        if let Some(first) = group.first()
            && first.message != record.message
        {
            if visit(first.message, &group)? {
                return Ok(true);
            }
            group.clear();
            // A message is never cut in two.
            if looked_at >= MOST_ROWS {
                return Ok(false);
            }
        }
        looked_at += 1;
        group.push(record);
    }
    if let Some(first) = group.first() {
        visit(first.message, &group)?;
    }
    Ok(true)
}

pub(super) fn at_endpoint(
    conn: &Connection,
    tenant: Tenant,
    endpoint: EndpointId,
    wanted: &Wanted,
    page: &PageRequest<MessageId>,
) -> Result<Page<EndpointMessage>> {
    let Wanted { filter, status: wanted_status, with_body } = wanted;
    let window = Window::new(page).within(filter.after, filter.before, MessageId::floor);
    let Some(place) = place(conn, tenant, endpoint)? else {
        return Ok(window.page(Vec::new(), true));
    };
    let mut found = Vec::new();
    let range = (&window.above[..], &window.below[..]);
    let direction = window.direction();
    let whole = walk(conn, place.endpoint_no, endpoint, range, direction, |id, records| {
        let Some((status, next_attempt)) = combined(records) else { return Ok(false) };
        if wanted_status.is_some_and(|wanted| wanted != status) {
            return Ok(false);
        }
        let message = messages::get(conn, tenant, place.app_no, id, filter, *with_body)?;
        found.extend(message.map(|message| EndpointMessage { message, status, next_attempt }));
        Ok(found.len() == window.wanted())
    })?;
    Ok(window.page(found, whole))
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
    Ok(window.page(found, true))
}

pub(super) fn counts(
    conn: &Connection,
    tenant: Tenant,
    endpoint: EndpointId,
    since: Timestamp,
    until: Timestamp,
) -> Result<EndpointCounts> {
    let Some(place) = place(conn, tenant, endpoint)? else { return Ok(EndpointCounts::default()) };
    let count = |n: i64| n.unsigned_abs();
    let (success, fail) = conn
        .prepare_cached(
            "/* endpoint_counts */ SELECT count(*) FILTER (WHERE class = 0),
             count(*) FILTER (WHERE class <> 0) FROM attempt WHERE endpoint_no = ?1
             AND id >= ?2 AND id < ?3 AND started_at >= ?4 AND started_at < ?5",
        )?
        .query_row(
            params![
                place.endpoint_no,
                AttemptId::floor(since).raw(),
                AttemptId::floor(until.plus(SLACK)).raw(),
                since.as_micros(),
                until.as_micros()
            ],
            |row| Ok((count(row.get(0)?), count(row.get(1)?))),
        )?;
    let (pending, sending) = conn
        .prepare_cached(
            "/* endpoint_counts */ SELECT count(*) FILTER (WHERE attempts = 0),
             count(*) FILTER (WHERE attempts > 0) FROM due WHERE lane = ?1",
        )?
        .query_row([place.lane], |row| Ok((count(row.get(0)?), count(row.get(1)?))))?;
    Ok(EndpointCounts { success, fail, pending, sending })
}

/// Exhausted there, and nothing has arrived or is on its way.
fn is_failed(records: &[DeliveryRecord]) -> bool {
    let stands = |wanted| records.iter().any(|record| record.status() == wanted);
    stands(Status::Fail)
        && !stands(Status::Success)
        && !records.iter().any(|record| record.end.is_none())
}

pub(super) fn failed(
    conn: &Connection,
    tenant: Tenant,
    endpoint: EndpointId,
    (since, until): (Timestamp, Timestamp),
    after: Option<MessageId>,
    limit: usize,
) -> Result<(Vec<MessageId>, Option<MessageId>)> {
    let Some(place) = place(conn, tenant, endpoint)? else { return Ok((Vec::new(), None)) };
    // The lowest id of a moment is never given: as an exclusive bound it takes nothing away.
    let floor = MessageId::floor(since).max(after.unwrap_or(MessageId::floor(since)));
    let end = MessageId::floor(until);
    let range = (&floor.raw()[..], &end.raw()[..]);
    let mut found = Vec::new();
    let (mut last, mut more) = (None, false);
    let whole = walk(conn, place.endpoint_no, endpoint, range, "ASC", |id, records| {
        if is_failed(records) {
            more = found.len() == limit;
            if more {
                return Ok(true);
            }
            found.push(id);
        }
        last = Some(id);
        Ok(false)
    })?;
    Ok((found, last.filter(|_| more || !whole)))
}
