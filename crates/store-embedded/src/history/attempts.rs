//! Attempts: lists, look-ups, and the end of a response.

use domain::{
    attempt::{Attempt, OutcomeClass},
    id::{AttemptId, EndpointId, MessageId},
    page::{Page, PageRequest},
};
use rusqlite::{CachedStatement, Connection, params};
use store::{
    history::{AttemptFilter, EXPUNGED_RESPONSE, MessageFilter, Status, Tenant},
    paging::Window,
};

use super::{Bounds, app_no, messages, place};
use crate::{error::Result, rows, tx::Tx};

/// Whether an attempt is as wanted, but for what is asked of its message.
fn matches(filter: &AttemptFilter, attempt: &Attempt) -> bool {
    let status = match attempt.outcome.class {
        OutcomeClass::Success => Status::Success,
        _ => Status::Fail,
    };
    let class = attempt.outcome.status_code.map_or(0, |code| code / 100 * 100);
    filter.status.is_none_or(|wanted| wanted == status)
        && filter.status_code_class.is_none_or(|wanted| wanted == class)
        && filter.endpoint.is_none_or(|wanted| wanted == attempt.endpoint)
}

/// Whether anything but the time is asked of messages.
fn asks_of_messages(filter: &MessageFilter) -> bool {
    filter.channel.is_some() || filter.tag.is_some() || filter.event_types.is_some()
}

fn message_matches(
    conn: &Connection,
    app_no: i64,
    message: MessageId,
    filter: &MessageFilter,
) -> Result<bool> {
    if !asks_of_messages(filter) {
        return Ok(true);
    }
    let sql = "/* attempts */ SELECT event_type, channels, tags FROM message
               WHERE app_no = ?1 AND id = ?2";
    let mut statement = conn.prepare_cached(sql)?;
    let mut found = statement.query(params![app_no, message.raw()])?;
    match found.next()? {
        Some(row) => rows::labels_match(row, 0, filter),
        None => Ok(false),
    }
}

pub(super) fn by_endpoint(
    conn: &Connection,
    tenant: Tenant,
    endpoint: EndpointId,
    filter: &AttemptFilter,
    page: &PageRequest<AttemptId>,
) -> Result<Page<Attempt>> {
    let MessageFilter { after, before, .. } = filter.message;
    let window = Window::new(page).within(after, before, AttemptId::floor);
    let Some(place) = place(conn, tenant, endpoint)? else {
        return Ok(window.page(Vec::new()));
    };
    let mut statement = conn.prepare_cached(&format!(
        "/* attempts_by_endpoint */ SELECT {} FROM {}
         WHERE t.endpoint_no = ?1 AND t.id > ?2 AND t.id < ?3 ORDER BY t.id {}",
        rows::ATTEMPT,
        rows::ATTEMPT_FROM,
        window.direction()
    ))?;
    let mut found = statement.query(params![place.endpoint_no, window.above, window.below])?;
    let mut attempts = Vec::new();
    let mut bounds = Bounds::default();
    while let Some(row) = found.next()? {
        let attempt = rows::attempt(row, tenant, endpoint)?;
        let (id, bytes) = (attempt.id, attempt.outcome.response.len());
        if matches(filter, &attempt)
            && message_matches(conn, place.app_no, attempt.message, &filter.message)?
        {
            attempts.push(attempt);
            if attempts.len() == window.wanted() {
                break;
            }
        }
        // One that is not wanted was read all the same.
        if bounds.reached_by(bytes) {
            return Ok(window.page_until(attempts, Some(*id.raw())));
        }
    }
    Ok(window.page(attempts))
}

pub(super) fn by_message(
    conn: &Connection,
    tenant: Tenant,
    message: MessageId,
    filter: &AttemptFilter,
    page: &PageRequest<AttemptId>,
) -> Result<Page<Attempt>> {
    let MessageFilter { after, before, .. } = filter.message;
    let window = Window::new(page).within(after, before, AttemptId::floor);
    let nothing = || Ok(window.page(Vec::new()));
    let Some(app_no) = app_no(conn, tenant)? else { return nothing() };
    let Some(endpoints) = messages::endpoints(conn, app_no, message)? else { return nothing() };
    if !message_matches(conn, app_no, message, &filter.message)? {
        return nothing();
    }
    let mut listed = Vec::new();
    let mut deliveries = conn.prepare_cached(
        "/* attempts_by_message */ SELECT e.id, d.attempt_ids FROM endpoint e
         CROSS JOIN delivery d ON d.endpoint_no = e.no AND d.message_id = ?2 WHERE e.no = ?1",
    )?;
    for endpoint_no in endpoints {
        let mut found = deliveries.query(params![endpoint_no, message.raw()])?;
        while let Some(row) = found.next()? {
            let endpoint: EndpointId = rows::id(row, 0)?;
            let ids = rows::attempt_ids(row, 1)?.into_iter();
            listed.extend(ids.map(|id| (id, endpoint_no, endpoint)));
        }
    }
    listed.retain(|(id, ..)| window.holds(id));
    listed.sort_unstable();
    if window.is_descending() {
        listed.reverse();
    }
    let mut statement = one(conn)?;
    let mut attempts = Vec::new();
    let mut bounds = Bounds::default();
    for (id, endpoint_no, endpoint) in listed {
        let found = get(&mut statement, tenant, (endpoint_no, endpoint), id)?;
        let bytes = found.as_ref().map_or(0, |attempt| attempt.outcome.response.len());
        attempts.extend(found.filter(|attempt| matches(filter, attempt)));
        if attempts.len() == window.wanted() {
            break;
        }
        if bounds.reached_by(bytes) {
            return Ok(window.page_until(attempts, Some(*id.raw())));
        }
    }
    Ok(window.page(attempts))
}

fn one(conn: &Connection) -> Result<CachedStatement<'_>> {
    let sql = format!(
        "/* attempt */ SELECT {} FROM {} WHERE t.endpoint_no = ?1 AND t.id = ?2",
        rows::ATTEMPT,
        rows::ATTEMPT_FROM
    );
    Ok(conn.prepare_cached(&sql)?)
}

fn get(
    statement: &mut CachedStatement<'_>,
    tenant: Tenant,
    (endpoint_no, endpoint): (i64, EndpointId),
    id: AttemptId,
) -> Result<Option<Attempt>> {
    let mut found = statement.query(params![endpoint_no, id.raw()])?;
    found.next()?.map(|row| rows::attempt(row, tenant, endpoint)).transpose()
}

/// One attempt of a message, and the number of its endpoint.
fn locate(
    conn: &Connection,
    tenant: Tenant,
    message: MessageId,
    attempt: AttemptId,
) -> Result<Option<(i64, Attempt)>> {
    let Some(app_no) = app_no(conn, tenant)? else { return Ok(None) };
    let endpoints = messages::endpoints(conn, app_no, message)?.unwrap_or_default();
    let mut statement = one(conn)?;
    let mut name = conn.prepare_cached("/* attempt */ SELECT id FROM endpoint WHERE no = ?1")?;
    for endpoint_no in endpoints {
        let endpoint = EndpointId::from_raw(name.query_row([endpoint_no], |row| row.get(0))?);
        let found = get(&mut statement, tenant, (endpoint_no, endpoint), attempt)?;
        if let Some(found) = found.filter(|found| found.message == message) {
            return Ok(Some((endpoint_no, found)));
        }
    }
    Ok(None)
}

pub(super) fn find(
    conn: &Connection,
    tenant: Tenant,
    message: MessageId,
    attempt: AttemptId,
) -> Result<Option<Attempt>> {
    Ok(locate(conn, tenant, message, attempt)?.map(|(_, attempt)| attempt))
}

/// Takes the response away.
pub(super) fn expunge(
    tx: &mut Tx<'_>,
    tenant: Tenant,
    message: MessageId,
    attempt: AttemptId,
) -> Result<bool> {
    let Some((endpoint_no, _)) = locate(tx.conn, tenant, message, attempt)? else {
        return Ok(false);
    };
    tx.conn
        .prepare_cached(
            "/* expunge_attempt */ UPDATE attempt SET response = ?3
             WHERE endpoint_no = ?1 AND id = ?2",
        )?
        .execute(params![endpoint_no, attempt.raw(), &EXPUNGED_RESPONSE[..]])?;
    Ok(true)
}
