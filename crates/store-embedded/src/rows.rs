//! Rows and what they mean.

use std::{fmt::Display, str::FromStr};

use bytes::Bytes;
use domain::{
    attempt::{Attempt, Outcome, OutcomeClass},
    clock::Timestamp,
    delivery::{Cause, EndState, Trigger},
    id::{AttemptId, DeliveryId, EndpointId, Id, MessageId, SecretId},
    message::{Body, Message, Origin},
};
use rusqlite::{Connection, Row};
use serde::{Serialize, de::DeserializeOwned};
use store::{
    codec,
    history::{DeliveryRecord, MessageFilter, Tenant},
};

use crate::error::{Error, Result};

/// An id of 20 bytes.
pub(crate) fn id<I: Id>(row: &Row<'_>, column: usize) -> Result<I> {
    Ok(I::from_raw(row.get(column)?))
}

/// Microseconds since 1970.
pub(crate) fn time(row: &Row<'_>, column: usize) -> Result<Timestamp> {
    Ok(Timestamp::from_micros(row.get(column)?))
}

/// Microseconds since 1970, or null.
pub(crate) fn opt_time(row: &Row<'_>, column: usize) -> Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_micros))
}

/// Text with a form of its own, or null.
pub(crate) fn opt_parsed<T>(row: &Row<'_>, column: usize) -> Result<Option<T>>
where
    T: FromStr,
    T::Err: Display,
{
    match row.get_ref(column)?.as_str_or_null().map_err(Error::corrupt)? {
        Some(text) => text.parse().map(Some).map_err(Error::corrupt),
        None => Ok(None),
    }
}

/// Text with a form of its own.
pub(crate) fn parsed<T>(row: &Row<'_>, column: usize) -> Result<T>
where
    T: FromStr,
    T::Err: Display,
{
    row.get_ref(column)?.as_str().map_err(Error::corrupt)?.parse().map_err(Error::corrupt)
}

/// JSON, or null.
pub(crate) fn opt_json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<Option<T>> {
    match row.get_ref(column)?.as_str_or_null().map_err(Error::corrupt)? {
        Some(text) => serde_json::from_str(text).map(Some).map_err(Error::corrupt),
        None => Ok(None),
    }
}

/// JSON.
pub(crate) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T> {
    let text = row.get_ref(column)?;
    serde_json::from_str(text.as_str().map_err(Error::corrupt)?).map_err(Error::corrupt)
}

/// As JSON text.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("only maps with text keys, lists and text are written so")
}

/// As JSON text, or null.
pub(crate) fn opt_to_json<T: Serialize>(value: Option<&T>) -> Option<String> {
    value.map(to_json)
}

/// A code of an enum.
fn code<T>(row: &Row<'_>, column: usize, from: impl Fn(u8) -> Option<T>) -> Result<T> {
    let code: u8 = row.get(column)?;
    from(code).ok_or_else(|| Error::corrupt(format_args!("code {code} is of a newer release")))
}

/// Why a delivery exists.
pub(crate) fn trigger(row: &Row<'_>, column: usize) -> Result<Trigger> {
    code(row, column, Trigger::from_code)
}

/// Names joined by commas, or null for none.
pub(crate) fn joined<T: Display>(names: &[T]) -> Option<String> {
    let (first, rest) = names.split_first()?;
    Some(rest.iter().fold(first.to_string(), |text, name| format!("{text},{name}")))
}

fn split<T>(row: &Row<'_>, column: usize) -> Result<Vec<T>>
where
    T: FromStr,
    T::Err: Display,
{
    match row.get_ref(column)?.as_str_or_null().map_err(Error::corrupt)? {
        Some(text) => text.split(',').map(|name| name.parse().map_err(Error::corrupt)).collect(),
        None => Ok(Vec::new()),
    }
}

macro_rules! message_columns {
    ($tail:literal) => {
        concat!(
            "m.id, m.event_type, m.channels, m.tags, m.event_id, m.origin, m.created_at, ",
            "m.deliver_at, m.expires_at, m.content_type, m.headers, ",
            $tail
        )
    };
}

/// Columns of a message `m` with its payload `p`: for [`message`].
pub(crate) const MESSAGE: &str = message_columns!("p.codec, p.body");
/// Columns of a message `m` alone: for [`bare_message`] and [`add_body`].
pub(crate) const BARE_MESSAGE: &str = message_columns!("m.payload");

/// How origins are stored.
pub(crate) fn origin_code(origin: Origin) -> u8 {
    match origin {
        Origin::Api => 0,
        Origin::Source => 1,
        Origin::Operational => 2,
    }
}

fn origin_of(code: u8) -> Option<Origin> {
    [Origin::Api, Origin::Source, Origin::Operational].into_iter().find(|o| origin_code(*o) == code)
}

/// Reads [`MESSAGE`].
pub(crate) fn message(row: &Row<'_>, tenant: Tenant) -> Result<Message> {
    let mut message = bare_message(row, tenant)?;
    if let Some(codec) = row.get(11)? {
        let stored = row.get_ref(12)?;
        message.body = Some(body(row, codec, stored.as_blob().map_err(Error::corrupt)?)?);
    }
    Ok(message)
}

/// Reads [`BARE_MESSAGE`].
pub(crate) fn bare_message(row: &Row<'_>, tenant: Tenant) -> Result<Message> {
    Ok(Message {
        org: tenant.org,
        app: tenant.app,
        id: id(row, 0)?,
        event_type: parsed(row, 1)?,
        channels: split(row, 2)?,
        tags: split(row, 3)?,
        event_id: opt_parsed(row, 4)?,
        body: None,
        origin: code(row, 5, origin_of)?,
        created_at: time(row, 6)?,
        deliver_at: opt_time(row, 7)?,
        expires_at: time(row, 8)?,
    })
}

/// Reads the payload that a row of [`BARE_MESSAGE`] names, if it is still there.
pub(crate) fn add_body(conn: &Connection, row: &Row<'_>, message: &mut Message) -> Result<()> {
    let Some(payload): Option<i64> = row.get(11)? else { return Ok(()) };
    let sql = "/* payload */ SELECT codec, body FROM payload WHERE id = ?1";
    let mut statement = conn.prepare_cached(sql)?;
    let mut found = statement.query([payload])?;
    if let Some(stored) = found.next()? {
        let bytes = stored.get_ref(1)?.as_blob().map_err(Error::corrupt)?;
        message.body = Some(body(row, stored.get(0)?, bytes)?);
    }
    Ok(())
}

fn body(row: &Row<'_>, codec: u8, stored: &[u8]) -> Result<Body> {
    let mut body = Body::json(codec::decode(codec, stored)?);
    if let Some(content_type) = row.get(9)? {
        body.content_type = content_type;
    }
    body.headers = opt_json(row, 10)?.unwrap_or_default();
    Ok(body)
}

/// Whether type, channels and tags of a message, in columns `at` to `at + 2`, are as wanted.
pub(crate) fn labels_match(row: &Row<'_>, at: usize, filter: &MessageFilter) -> Result<bool> {
    let text = |column| row.get_ref(column)?.as_str_or_null().map_err(Error::corrupt);
    let lists = |list: Option<&str>, name: &str| {
        list.is_some_and(|list| list.split(',').any(|listed| listed == name))
    };
    if let Some(types) = &filter.event_types {
        let found = text(at)?;
        if !types.iter().any(|wanted| Some(wanted.as_str()) == found) {
            return Ok(false);
        }
    }
    if let Some(channel) = &filter.channel
        && !lists(text(at + 1)?, channel.as_str())
    {
        return Ok(false);
    }
    Ok(match &filter.tag {
        Some(tag) => lists(text(at + 2)?, tag.as_str()),
        None => true,
    })
}

/// Columns of an attempt, in the order that [`attempt`] reads. `t` is its table, `r` that of
/// revisions.
pub(crate) const ATTEMPT: &str = "t.id, t.message_id, t.delivery_id, t.number, t.trigger, t.class,
    t.status_code, t.response, t.duration, t.retry_after, t.timed_out, t.started_at, t.revision,
    coalesce(t.url, r.url, ''), t.secrets, t.body_hash, t.superseded";
/// The tables of [`ATTEMPT`].
pub(crate) const ATTEMPT_FROM: &str = "attempt t LEFT JOIN endpoint_revision r
    ON r.endpoint_no = t.endpoint_no AND r.revision = t.revision";

/// Reads [`ATTEMPT`].
pub(crate) fn attempt(row: &Row<'_>, tenant: Tenant, endpoint: EndpointId) -> Result<Attempt> {
    let micros = |value: i64| std::time::Duration::from_micros(value.unsigned_abs());
    Ok(Attempt {
        id: id(row, 0)?,
        org: tenant.org,
        app: tenant.app,
        endpoint,
        message: id(row, 1)?,
        delivery: id(row, 2)?,
        number: row.get(3)?,
        trigger: trigger(row, 4)?,
        outcome: Outcome {
            class: code(row, 5, OutcomeClass::from_code)?,
            status_code: row.get(6)?,
            response: Bytes::from(row.get::<_, Vec<u8>>(7)?),
            duration: micros(row.get(8)?),
            retry_after: row.get::<_, Option<i64>>(9)?.map(micros),
            timed_out: row.get(10)?,
        },
        started_at: time(row, 11)?,
        endpoint_revision: row.get(12)?,
        url: row.get(13)?,
        secrets: ids::<SecretId>(row.get_ref(14)?.as_blob().map_err(Error::corrupt)?),
        body_hash: row.get(15)?,
        superseded: row.get(16)?,
    })
}

/// Ids of 20 bytes each.
pub(crate) fn ids<I: Id>(bytes: &[u8]) -> Vec<I> {
    bytes.as_chunks::<20>().0.iter().map(|raw| I::from_raw(*raw)).collect()
}

/// Columns of a delivery, in the order that [`record`] reads. `d` is its table.
pub(crate) const RECORD: &str = "d.message_id, d.delivery_id, d.trigger, d.attempts, d.next_due,
    d.state, d.cause, d.last_status, d.ended_at";

/// Reads [`RECORD`].
pub(crate) fn record(row: &Row<'_>, endpoint: EndpointId) -> Result<DeliveryRecord> {
    let end = match row.get::<_, Option<u8>>(5)? {
        None => None,
        Some(_) => Some((code(row, 5, EndState::from_code)?, code(row, 6, Cause::from_code)?)),
    };
    Ok(DeliveryRecord {
        message: id::<MessageId>(row, 0)?,
        id: id::<DeliveryId>(row, 1)?,
        endpoint,
        trigger: trigger(row, 2)?,
        attempts: row.get(3)?,
        next_attempt: opt_time(row, 4)?,
        end,
        last_status_code: row.get(7)?,
        ended_at: opt_time(row, 8)?,
    })
}

/// Attempts that a row of `delivery` lists.
pub(crate) fn attempt_ids(row: &Row<'_>, column: usize) -> Result<Vec<AttemptId>> {
    Ok(ids(row.get_ref(column)?.as_blob().map_err(Error::corrupt)?))
}

/// Adds a number to a list of them: seven bits a byte, the highest says that more follow.
pub(crate) fn push_number(list: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        list.push(number as u8 | 0x80);
        number >>= 7;
    }
    list.push(number as u8);
}

/// The numbers of such a list.
pub(crate) fn numbers(list: &[u8]) -> Vec<i64> {
    let mut numbers = Vec::new();
    let (mut number, mut shift) = (0_u64, 0);
    for byte in list {
        number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        shift += 7;
        if byte & 0x80 == 0 {
            numbers.push(number.cast_signed());
            (number, shift) = (0, 0);
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_numbers_come_back() {
        let wanted = vec![1, 127, 128, 300, 16_384, 1 << 40, i64::MAX];
        let mut list = Vec::new();
        for number in &wanted {
            push_number(&mut list, number.unsigned_abs());
        }
        assert_eq!(numbers(&list), wanted);
        assert_eq!(numbers(&[]), Vec::<i64>::new());
        // What is torn off is left out, and nothing panics.
        assert_eq!(numbers(&[0x80; 20]), Vec::<i64>::new());
    }
}
