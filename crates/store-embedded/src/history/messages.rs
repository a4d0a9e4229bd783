//! Messages: lists, look-ups, and the end of a payload.

use domain::{
    clock::Timestamp,
    delivery::{Cause, EndState},
    id::MessageId,
    message::Message,
    name::Ref,
    page::{Page, PageRequest},
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use store::{
    history::{MessageFilter, Tenant},
    paging::Window,
};

use super::{Bounds, app_no};
use crate::{
    deliveries::{DueRow, end_pending},
    error::Result,
    rows,
    tx::Tx,
};

pub(super) fn list(
    conn: &Connection,
    tenant: Tenant,
    filter: &MessageFilter,
    page: &PageRequest<MessageId>,
    with_body: bool,
) -> Result<Page<Message>> {
    let window = Window::new(page).within(filter.after, filter.before, MessageId::floor);
    let Some(app_no) = app_no(conn, tenant)? else { return Ok(window.page(Vec::new())) };
    let mut statement = conn.prepare_cached(&format!(
        "/* messages */ SELECT {} FROM message m
         WHERE m.app_no = ?1 AND m.id > ?2 AND m.id < ?3 ORDER BY m.id {}",
        rows::BARE_MESSAGE,
        window.direction()
    ))?;
    let mut found = statement.query(params![app_no, window.above, window.below])?;
    let mut messages = Vec::new();
    let mut bounds = Bounds::default();
    while let Some(row) = found.next()? {
        let mut bytes = 0;
        if rows::labels_match(row, 1, filter)? {
            let message = read(conn, row, tenant, with_body)?;
            bytes = body_bytes(&message);
            messages.push(message);
            if messages.len() == window.wanted() {
                break;
            }
        }
        if bounds.reached_by(bytes) {
            return Ok(window.page_until(messages, Some(row.get(0)?)));
        }
    }
    Ok(window.page(messages))
}

/// What a message's body adds to a page.
pub(super) fn body_bytes(message: &Message) -> usize {
    message.body.as_ref().map_or(0, |body| body.bytes.len())
}

fn read(conn: &Connection, row: &Row<'_>, tenant: Tenant, with_body: bool) -> Result<Message> {
    let mut message = rows::bare_message(row, tenant)?;
    if with_body {
        rows::add_body(conn, row, &mut message)?;
    }
    Ok(message)
}

/// One of an application's messages, if it meets the filter.
pub(super) fn get(
    conn: &Connection,
    tenant: Tenant,
    app_no: i64,
    id: MessageId,
    filter: &MessageFilter,
    with_body: bool,
) -> Result<Option<Message>> {
    let mut statement = conn.prepare_cached(&format!(
        "/* message */ SELECT {} FROM message m WHERE m.app_no = ?1 AND m.id = ?2",
        rows::BARE_MESSAGE
    ))?;
    let mut found = statement.query(params![app_no, id.raw()])?;
    match found.next()? {
        Some(row) if rows::labels_match(row, 1, filter)? => {
            read(conn, row, tenant, with_body).map(Some)
        }
        _ => Ok(None),
    }
}

pub(super) fn by_id(
    conn: &Connection,
    tenant: Tenant,
    ids: &[MessageId],
    with_body: bool,
) -> Result<Vec<Message>> {
    let Some(app_no) = app_no(conn, tenant)? else { return Ok(Vec::new()) };
    let any = MessageFilter::default();
    let found = ids.iter().map(|id| get(conn, tenant, app_no, *id, &any, with_body));
    found.filter_map(Result::transpose).collect()
}

pub(super) fn find(
    conn: &Connection,
    tenant: Tenant,
    message: &Ref<MessageId>,
) -> Result<Option<Message>> {
    let Some(app_no) = app_no(conn, tenant)? else { return Ok(None) };
    let id = match message {
        Ref::Id(id) => *id,
        Ref::Uid(event_id) => {
            let sql = "/* message */ SELECT id FROM message WHERE app_no = ?1 AND event_id = ?2
                       ORDER BY id DESC LIMIT 1";
            let params = params![app_no, event_id.as_str()];
            let found = conn.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()?;
            let Some(id) = found else { return Ok(None) };
            MessageId::from_raw(id)
        }
    };
    get(conn, tenant, app_no, id, &MessageFilter::default(), true)
}

/// The numbers of the endpoints that a message ever went to; `None` if there is no such message.
pub(super) fn endpoints(
    conn: &Connection,
    app_no: i64,
    message: MessageId,
) -> Result<Option<Vec<i64>>> {
    let sql = "/* message */ SELECT endpoints FROM message WHERE app_no = ?1 AND id = ?2";
    let list: Option<Vec<u8>> = conn
        .prepare_cached(sql)?
        .query_row(params![app_no, message.raw()], |row| row.get(0))
        .optional()?;
    Ok(list.map(|list| rows::numbers(&list)))
}

/// Takes the payload away, and ends what is pending of it.
pub(super) fn expunge(
    tx: &mut Tx<'_>,
    tenant: Tenant,
    message: MessageId,
    now: Timestamp,
) -> Result<bool> {
    let Some(app_no) = app_no(tx.conn, tenant)? else { return Ok(false) };
    let Some(endpoints) = endpoints(tx.conn, app_no, message)? else { return Ok(false) };
    let key = params![app_no, message.raw()];
    tx.conn
        .prepare_cached(
            "/* expunge_message */ DELETE FROM payload WHERE id =
             (SELECT payload FROM message WHERE app_no = ?1 AND id = ?2)",
        )?
        .execute(key)?;
    tx.conn
        .prepare_cached(
            "/* expunge_message */ UPDATE message SET payload = NULL WHERE app_no = ?1 AND id = ?2",
        )?
        .execute(key)?;
    for row in pending(tx, app_no, message, &endpoints)? {
        let end = (EndState::Cancelled, Cause::Expunged);
        end_pending(tx, &row, message.raw(), end, now)?;
    }
    Ok(true)
}

/// What is pending of a message.
fn pending(tx: &Tx<'_>, app_no: i64, message: MessageId, endpoints: &[i64]) -> Result<Vec<DueRow>> {
    let mut statement = tx.conn.prepare_cached(
        "/* expunge_message */ SELECT e.lane, d.next_due, d.delivery_id FROM endpoint e
         CROSS JOIN delivery d ON d.endpoint_no = e.no AND d.message_id = ?2 AND d.state IS NULL
         WHERE e.no = ?1",
    )?;
    let mut pending = Vec::new();
    for endpoint_no in endpoints {
        let found = statement.query_map(params![endpoint_no, message.raw()], |row| {
            let (lane, due, id) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(DueRow { lane, app_no, due, id })
        })?;
        for row in found {
            pending.push(row?);
        }
    }
    Ok(pending)
}
