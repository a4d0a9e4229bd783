//! Messages with their bodies, deliveries with their work, attempts.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use domain::{attempt::Attempt, clock::Timestamp, shard::Shard};
use store::{
    codec::Encoded,
    history::Tenant,
    transfer::{Batch, Limits, MovedBody, MovedDelivery, MovedMessage, Record},
};
use tokio_postgres::Row;

use super::{Key, bytes, limit, page};
use crate::{
    conn::{Conn, Params, Tx},
    error::{Error, Result},
    insert::JSON,
    rows,
};

/// Each body is looked for by itself: so it takes as long as there are messages, whatever is known of the
/// tables.
pub(super) async fn messages(conn: &Conn, after: &Key, limits: Limits) -> Result<Batch> {
    let sql = format!(
        "/* export */ SELECT * FROM (
             SELECT {}, {}, m.routed, m.endpoints, m.org, m.app,
                 coalesce(sum(octet_length(p.body)) OVER (ORDER BY m.org, m.app, m.id
                     ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
             FROM (SELECT * FROM message m WHERE (m.org, m.app, m.id) > ($1, $2, $3)
                 ORDER BY m.org, m.app, m.id LIMIT $4) m
             LEFT JOIN LATERAL (SELECT p.codec, p.body
                 FROM (SELECT m.org, m.app, m.id, m.expires_at, m.has_payload) m {} LIMIT 1) p ON true
         ) read WHERE before < $5 ORDER BY org, app, id",
        rows::MESSAGE,
        rows::PAYLOAD,
        rows::join_payload("")
    );
    let key = (after.part(0), after.part(1), after.part(2));
    let params: Params<'_> = &[&key.0, &key.1, &key.2, &limit(limits), &bytes(limits)];
    let found = conn.query(&sql, params).await?;
    page(&found, |row| {
        let tenant = Tenant { org: rows::id(row, 15)?, app: rows::id(row, 16)? };
        let message = rows::message(row, tenant)?;
        let place = Key::place(&[message.org.raw(), message.app.raw(), message.id.raw()]);
        let moved = MovedMessage {
            body: body(row)?,
            routed: rows::int(row, 13)?,
            endpoints: rows::ids(rows::bytes(row, 14)?),
            message,
        };
        Ok((place, Some(Record::Message(moved))))
    })
}

fn body(row: &Row) -> Result<Option<MovedBody>> {
    let Some(codec) = rows::get::<Option<i16>>(row, rows::MESSAGE_COLUMNS)? else {
        return Ok(None);
    };
    let stored = rows::bytes(row, rows::MESSAGE_COLUMNS + 1)?;
    Ok(Some(MovedBody {
        packed: Encoded { codec: rows::narrow(codec)?, bytes: Bytes::copy_from_slice(stored) },
        content_type: rows::get::<Option<&str>>(row, 9)?.unwrap_or(JSON).into(),
        headers: rows::opt_json(row, 10)?.unwrap_or_default(),
    }))
}

pub(super) async fn deliveries(conn: &Conn, after: &Key, limits: Limits) -> Result<Batch> {
    let sql = format!(
        "/* export */ SELECT {}, d.attempt_ids, d.org, d.app, d.endpoint FROM delivery d
         WHERE (d.org, d.app, d.endpoint, d.message, d.delivery) > ($1, $2, $3, $4, $5)
         ORDER BY d.org, d.app, d.endpoint, d.message, d.delivery LIMIT $6",
        rows::RECORD
    );
    let key = [0, 1, 2, 3, 4].map(|part| after.part(part));
    let params: Params<'_> = &[&key[0], &key[1], &key[2], &key[3], &key[4], &limit(limits)];
    let found = conn.query(&sql, params).await?;
    let mut batch = page(&found, |row| {
        let record = rows::record(row, rows::id(row, 12)?)?;
        let (org, app, attempts) =
            (rows::id(row, 10)?, rows::id(row, 11)?, rows::ids(rows::bytes(row, 9)?));
        let moved = MovedDelivery { org, app, record, attempts, give_up_at: None };
        let place = Key::place(&[
            moved.org.raw(),
            moved.app.raw(),
            moved.record.endpoint.raw(),
            moved.record.message.raw(),
            moved.record.id.raw(),
        ]);
        Ok((place, Some(Record::Delivery(moved))))
    })?;
    add_work(conn, &mut batch).await?;
    Ok(batch)
}

/// Adds to deliveries that are pending what is to be done.
async fn add_work(conn: &Conn, batch: &mut Batch) -> Result<()> {
    let mut pending: Vec<&mut MovedDelivery> = batch
        .records
        .iter_mut()
        .filter_map(|record| match record {
            Record::Delivery(moved) if moved.record.end.is_none() => Some(moved),
            _ => None,
        })
        .collect();
    let shard = |moved: &MovedDelivery| {
        Shard::of(&moved.org, &moved.app, &moved.record.endpoint).0.cast_signed()
    };
    let due = |moved: &MovedDelivery| moved.record.next_attempt.map(Timestamp::as_micros);
    let shards: Vec<i16> = pending.iter().map(|moved| shard(moved)).collect();
    let dues: Vec<Option<i64>> = pending.iter().map(|moved| due(moved)).collect();
    let mut works = {
        let endpoints = pending.iter().map(|moved| moved.record.endpoint.raw().as_slice());
        let ids = pending.iter().map(|moved| moved.record.id.raw().as_slice());
        let (endpoints, ids): (Vec<&[u8]>, Vec<&[u8]>) = (endpoints.collect(), ids.collect());
        let sql = "/* export */ SELECT u.place, q.give_up_at
             FROM unnest($1::smallint[], $2::bytea[], $3::bigint[], $4::bytea[])
                 WITH ORDINALITY AS u (shard, endpoint, due, delivery, place)
             CROSS JOIN LATERAL (SELECT q.give_up_at FROM due q
                 WHERE q.shard = u.shard AND q.endpoint = u.endpoint AND q.due = u.due
                 AND q.delivery = u.delivery LIMIT 1) q";
        let found = conn.query(sql, &[&shards, &endpoints, &dues, &ids]).await?;
        let work = |row: &Row| Ok((rows::get::<i64>(row, 0)?, rows::time(row, 1)?));
        found.iter().map(work).collect::<Result<HashMap<_, _>>>()?
    };
    for (place, moved) in (1..).zip(&mut pending) {
        let id = moved.record.id;
        let unscheduled = || Error::corrupt(format_args!("{id} is pending and not scheduled"));
        moved.give_up_at = Some(works.remove(&place).ok_or_else(unscheduled)?);
    }
    Ok(())
}

pub(super) async fn attempts(conn: &Conn, after: &Key, limits: Limits) -> Result<Batch> {
    let sql = format!(
        "/* export */ SELECT * FROM (
             SELECT {}, t.org, t.app, t.endpoint, coalesce(sum(octet_length(t.response)) OVER
                 (ORDER BY t.org, t.app, t.endpoint, t.id
                  ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
             FROM (SELECT * FROM attempt t WHERE (t.org, t.app, t.endpoint, t.id) > ($1, $2, $3, $4)
                 ORDER BY t.org, t.app, t.endpoint, t.id LIMIT $5) t
         ) read WHERE before < $6 ORDER BY org, app, endpoint, id",
        rows::ATTEMPT
    );
    let key = [0, 1, 2, 3].map(|part| after.part(part));
    let params: Params<'_> = &[&key[0], &key[1], &key[2], &key[3], &limit(limits), &bytes(limits)];
    let found = conn.query(&sql, params).await?;
    page(&found, |row| {
        let tenant = Tenant { org: rows::id(row, 17)?, app: rows::id(row, 18)? };
        let attempt = rows::attempt(row, tenant, rows::id(row, 19)?)?;
        let Attempt { org, app, endpoint, id, .. } = &attempt;
        let place = Key::place(&[org.raw(), app.raw(), endpoint.raw(), id.raw()]);
        Ok((place, Some(Record::Attempt(attempt))))
    })
}

pub(super) async fn write_message(tx: &Tx, moved: &MovedMessage) -> Result<()> {
    let MovedMessage { message, body, routed, endpoints } = moved;
    let (org, app, id) =
        (message.org.raw().as_slice(), message.app.raw().as_slice(), message.id.raw().as_slice());
    let content_type = body.as_ref().map(|body| &*body.content_type);
    let headers = body.as_ref().filter(|body| !body.headers.is_empty());
    tx.execute(
        "/* import */ INSERT INTO message (org, app, id, event_type, channels, tags, event_id,
         has_payload, content_type, headers, origin, created_at, deliver_at, expires_at, routed,
         endpoints)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        &[
            &org,
            &app,
            &id,
            &message.event_type.as_str(),
            &rows::joined(&message.channels),
            &rows::joined(&message.tags),
            &message.event_id.as_ref().map(|id| id.as_str()),
            &body.is_some(),
            &content_type.filter(|content_type| *content_type != JSON),
            &headers.map(|body| rows::to_json(&body.headers)),
            &rows::origin_code(message.origin),
            &message.created_at.as_micros(),
            &message.deliver_at.map(Timestamp::as_micros),
            &message.expires_at.as_micros(),
            &rows::narrow::<i32>(*routed)?,
            &rows::concat(endpoints),
        ],
    )
    .await?;
    let Some(MovedBody { packed, .. }) = body else { return Ok(()) };
    let sql = "/* import */ INSERT INTO payload (org, app, message, expires_at, codec, body)
               VALUES ($1, $2, $3, $4, $5, $6)";
    let (expires_at, codec) = (message.expires_at.as_micros(), i16::from(packed.codec));
    let params: Params<'_> = &[&org, &app, &id, &expires_at, &codec, &&packed.bytes[..]];
    tx.execute(sql, params).await?;
    Ok(())
}

/// What is pending is counted for all deliveries of a batch.
pub(super) async fn write_delivery(tx: &Tx, moved: &MovedDelivery) -> Result<()> {
    let MovedDelivery { org, app, record, attempts, give_up_at } = moved;
    let (org_raw, app_raw) = (org.raw().as_slice(), app.raw().as_slice());
    let (endpoint, message) = (record.endpoint.raw().as_slice(), record.message.raw().as_slice());
    let (id, trigger) = (record.id.raw().as_slice(), i16::from(record.trigger as u8));
    let (tries, next) = (i32::from(record.attempts), record.next_attempt.map(Timestamp::as_micros));
    tx.execute(
        "/* import */ INSERT INTO delivery (org, app, endpoint, message, delivery, trigger, attempts,
         next_due, state, cause, last_status, ended_at, attempt_ids)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        &[
            &org_raw,
            &app_raw,
            &endpoint,
            &message,
            &id,
            &trigger,
            &tries,
            &next,
            &record.end.map(|(state, _)| i16::from(state as u8)),
            &record.end.map(|(_, cause)| i16::from(cause as u8)),
            &record.last_status_code.map(i32::from),
            &record.ended_at.map(Timestamp::as_micros),
            &rows::concat(attempts),
        ],
    )
    .await?;
    let Some(give_up_at) = give_up_at else { return Ok(()) };
    tx.execute(
        "/* import */ INSERT INTO due (shard, endpoint, due, delivery, org, app, message, trigger,
         attempts, give_up_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            &Shard::of(org, app, &record.endpoint).0.cast_signed(),
            &endpoint,
            &next,
            &id,
            &org_raw,
            &app_raw,
            &message,
            &trigger,
            &tries,
            &give_up_at.as_micros(),
        ],
    )
    .await?;
    Ok(())
}

pub(super) async fn write_attempt(tx: &Tx, attempt: &Attempt) -> Result<()> {
    let outcome = &attempt.outcome;
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    tx.execute(
        "/* import */ INSERT INTO attempt (org, app, endpoint, id, message, delivery, number, trigger,
         class, status_code, response, duration, retry_after, timed_out, started_at, revision, url,
         secrets, body_hash, superseded) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
         $13, $14, $15, $16, $17, $18, $19, $20)",
        &[
            &attempt.org.raw().as_slice(),
            &attempt.app.raw().as_slice(),
            &attempt.endpoint.raw().as_slice(),
            &attempt.id.raw().as_slice(),
            &attempt.message.raw().as_slice(),
            &attempt.delivery.raw().as_slice(),
            &i32::from(attempt.number),
            &i16::from(attempt.trigger as u8),
            &i16::from(outcome.class as u8),
            &outcome.status_code.map(i32::from),
            &&outcome.response[..],
            &micros(outcome.duration),
            &outcome.retry_after.map(micros),
            &outcome.timed_out,
            &attempt.started_at.as_micros(),
            &attempt.endpoint_revision.cast_signed(),
            &attempt.url,
            &rows::concat(&attempt.secrets),
            &attempt.body_hash.as_slice(),
            &attempt.superseded,
        ],
    )
    .await?;
    Ok(())
}
