//! Messages with their bodies, deliveries with their work, attempts.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use domain::{
    attempt::Attempt,
    clock::Timestamp,
    id::{ApplicationId, EndpointId, OrganizationId},
};
use rusqlite::{Connection, OptionalExtension, params};
use store::{
    codec::Encoded,
    history::Tenant,
    transfer::{Batch, Limits, MovedBody, MovedDelivery, MovedMessage, Record},
};

use super::{Key, catalog::app_no, missing, page, there_already};
use crate::{
    error::{Error, Result},
    publish::JSON,
    rows,
    tx::{self, Ep, Tx},
};

/// The ids of endpoints, by their numbers.
struct Names<'c> {
    conn: &'c Connection,
    known: HashMap<i64, EndpointId>,
}

impl Names<'_> {
    fn of(&mut self, list: &[u8]) -> Result<Vec<EndpointId>> {
        let mut find =
            self.conn.prepare_cached("/* export */ SELECT id FROM endpoint WHERE no = ?1")?;
        let mut ids = Vec::new();
        for no in rows::numbers(list) {
            ids.push(match self.known.entry(no) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(unknown) => {
                    let id = EndpointId::from_raw(find.query_row([no], |row| row.get(0))?);
                    *unknown.insert(id)
                }
            });
        }
        Ok(ids)
    }
}

pub(super) fn messages(conn: &Connection, after: &Key, limits: Limits) -> Result<Batch> {
    let sql = format!(
        "/* export */ SELECT {}, m.app_no, m.routed, m.endpoints, o.id, a.id FROM message m
         CROSS JOIN application a ON a.no = m.app_no CROSS JOIN organization o ON o.no = a.org_no
         LEFT JOIN payload p ON p.id = m.payload
         WHERE (m.app_no, m.id) > (?1, ?2) ORDER BY m.app_no, m.id",
        rows::MESSAGE
    );
    let mut names = Names { conn, known: HashMap::new() };
    page(conn, &sql, params![after.no, after.id(0)], limits, |row| {
        let tenant = Tenant { org: rows::id(row, 16)?, app: rows::id(row, 17)? };
        let message = rows::bare_message(row, tenant)?;
        let body = match row.get(11)? {
            Some(codec) => Some(MovedBody {
                packed: Encoded { codec, bytes: row.get::<_, Vec<u8>>(12)?.into() },
                content_type: row.get::<_, Option<Arc<str>>>(9)?.unwrap_or_else(|| JSON.into()),
                headers: rows::opt_json(row, 10)?.unwrap_or_default(),
            }),
            None => None,
        };
        let place = Key::place(row.get(13)?, &[message.id.raw()]);
        let endpoints = names.of(row.get_ref(15)?.as_blob().map_err(Error::corrupt)?)?;
        let moved = MovedMessage { message, body, routed: row.get(14)?, endpoints };
        Ok((place, Some(Record::Message(moved))))
    })
}

pub(super) fn deliveries(conn: &Connection, after: &Key, limits: Limits) -> Result<Batch> {
    let sql = format!(
        "/* export */ SELECT {}, d.attempt_ids, u.give_up_at, d.endpoint_no, o.id, a.id, e.id
         FROM delivery d CROSS JOIN endpoint e ON e.no = d.endpoint_no
         CROSS JOIN application a ON a.no = e.app_no CROSS JOIN organization o ON o.no = a.org_no
         LEFT JOIN due u ON d.state IS NULL AND u.lane = e.lane AND u.due = d.next_due
             AND u.delivery_id = d.delivery_id
         WHERE (d.endpoint_no, d.message_id, d.delivery_id) > (?1, ?2, ?3)
         ORDER BY d.endpoint_no, d.message_id, d.delivery_id",
        rows::RECORD
    );
    page(conn, &sql, params![after.no, after.id(0), after.id(1)], limits, |row| {
        let record = rows::record(row, rows::id(row, 14)?)?;
        let give_up_at = rows::opt_time(row, 10)?;
        if record.end.is_none() != give_up_at.is_some() {
            let id = record.id;
            return Err(Error::corrupt(format_args!("{id} is pending and not scheduled")));
        }
        let place = Key::place(row.get(11)?, &[record.message.raw(), record.id.raw()]);
        let moved = MovedDelivery {
            org: rows::id(row, 12)?,
            app: rows::id(row, 13)?,
            attempts: rows::attempt_ids(row, 9)?,
            record,
            give_up_at,
        };
        Ok((place, Some(Record::Delivery(moved))))
    })
}

pub(super) fn attempts(conn: &Connection, after: &Key, limits: Limits) -> Result<Batch> {
    let sql = format!(
        "/* export */ SELECT {}, t.endpoint_no, o.id, a.id, e.id FROM {}
         CROSS JOIN endpoint e ON e.no = t.endpoint_no CROSS JOIN application a ON a.no = e.app_no
         CROSS JOIN organization o ON o.no = a.org_no
         WHERE (t.endpoint_no, t.id) > (?1, ?2) ORDER BY t.endpoint_no, t.id",
        rows::ATTEMPT,
        rows::ATTEMPT_FROM
    );
    page(conn, &sql, params![after.no, after.id(0)], limits, |row| {
        let tenant = Tenant { org: rows::id(row, 18)?, app: rows::id(row, 19)? };
        let attempt = rows::attempt(row, tenant, rows::id(row, 20)?)?;
        let place = Key::place(row.get(17)?, &[attempt.id.raw()]);
        Ok((place, Some(Record::Attempt(attempt))))
    })
}

/// An endpoint that has been moved.
fn endpoint(
    tx: &mut Tx<'_>,
    org: OrganizationId,
    app: ApplicationId,
    id: EndpointId,
) -> Result<Ep> {
    tx.endpoint(org, app, id)?.ok_or_else(|| missing(id))
}

pub(super) fn write_message(tx: &mut Tx<'_>, moved: &MovedMessage) -> Result<()> {
    let MovedMessage { message, body, routed, endpoints } = moved;
    let app_no = app_no(tx, message.org, message.app)?;
    let mut numbers = Vec::with_capacity(2 * endpoints.len());
    for id in endpoints {
        let endpoint = endpoint(tx, message.org, message.app, *id)?;
        rows::push_number(&mut numbers, endpoint.no.unsigned_abs());
    }
    let payload = match body {
        Some(_) => Some(tx.next_payload(message.expires_at)?),
        None => None,
    };
    let content_type = body.as_ref().map(|body| &*body.content_type);
    let headers = body.as_ref().filter(|body| !body.headers.is_empty());
    let added = tx.hot.message.execute(params![
        app_no,
        message.id.raw(),
        message.event_type.as_str(),
        rows::joined(&message.channels),
        rows::joined(&message.tags),
        message.event_id.as_ref().map(|id| id.as_str()),
        payload,
        content_type.filter(|content_type| *content_type != JSON),
        headers.map(|body| rows::to_json(&body.headers)),
        rows::origin_code(message.origin),
        message.created_at.as_micros(),
        message.deliver_at.map(Timestamp::as_micros),
        message.expires_at.as_micros(),
        routed,
        numbers,
    ])?;
    if added == 0 {
        return Err(there_already(message.id));
    }
    if let (Some(no), Some(MovedBody { packed, .. })) = (payload, body) {
        tx.hot.payload.execute(params![no, packed.codec, &packed.bytes[..]])?;
    }
    Ok(())
}

pub(super) fn write_delivery(tx: &mut Tx<'_>, moved: &MovedDelivery) -> Result<()> {
    let MovedDelivery { org, app, record, attempts, give_up_at } = moved;
    let endpoint = endpoint(tx, *org, *app, record.endpoint)?;
    let (message, id, trigger) = (record.message.raw(), record.id.raw(), record.trigger as u8);
    let next = record.next_attempt.map(Timestamp::as_micros);
    tx.conn
        .prepare_cached(
            "/* import */ INSERT INTO delivery (endpoint_no, message_id, delivery_id, trigger,
             attempts, next_due, state, cause, last_status, ended_at, attempt_ids)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            endpoint.no,
            message,
            id,
            trigger,
            record.attempts,
            next,
            record.end.map(|(state, _)| state as u8),
            record.end.map(|(_, cause)| cause as u8),
            record.last_status_code,
            record.ended_at.map(Timestamp::as_micros),
            tx::concat(attempts),
        ])?;
    let Some(give_up_at) = give_up_at else { return Ok(()) };
    tx.hot.due.execute(params![
        endpoint.lane,
        next,
        id,
        endpoint.app_no,
        message,
        trigger,
        record.attempts,
        give_up_at.as_micros(),
    ])?;
    tx.add_pending(endpoint.app_no, 1);
    Ok(())
}

/// The URL of an endpoint's revision, which becomes `url` if nothing is known of it.
fn revision(tx: &Tx<'_>, endpoint_no: i64, revision: u32, url: &str) -> Result<String> {
    let sql = "/* import */ SELECT url FROM endpoint_revision
               WHERE endpoint_no = ?1 AND revision = ?2";
    let mut find = tx.conn.prepare_cached(sql)?;
    let found = find.query_row(params![endpoint_no, revision], |row| row.get(0)).optional()?;
    if let Some(known) = found {
        return Ok(known);
    }
    let sql = "/* import */ INSERT INTO endpoint_revision (endpoint_no, revision, url)
               VALUES (?1, ?2, ?3)";
    tx.conn.prepare_cached(sql)?.execute(params![endpoint_no, revision, url])?;
    Ok(url.to_owned())
}

pub(super) fn write_attempt(tx: &mut Tx<'_>, attempt: &Attempt) -> Result<()> {
    let endpoint = endpoint(tx, attempt.org, attempt.app, attempt.endpoint)?;
    let known = revision(tx, endpoint.no, attempt.endpoint_revision, &attempt.url)?;
    let outcome = &attempt.outcome;
    let micros = |time: std::time::Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    let seq = tx.next_seq();
    let added = tx.hot.attempt.execute(params![
        endpoint.no,
        attempt.id.raw(),
        attempt.message.raw(),
        attempt.delivery.raw(),
        attempt.number,
        attempt.trigger as u8,
        outcome.class as u8,
        outcome.status_code,
        &outcome.response[..],
        micros(outcome.duration),
        outcome.retry_after.map(micros),
        outcome.timed_out,
        attempt.started_at.as_micros(),
        attempt.endpoint_revision,
        (known != attempt.url).then_some(&attempt.url),
        tx::concat(&attempt.secrets),
        attempt.body_hash,
        attempt.superseded,
        seq,
    ])?;
    if added == 0 {
        return Err(there_already(attempt.id));
    }
    Ok(())
}
