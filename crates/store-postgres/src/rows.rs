//! Rows and what they mean.

use std::{fmt::Display, str::FromStr, time::Duration};

use bytes::Bytes;
use domain::{
    attempt::{Attempt, Outcome, OutcomeClass},
    clock::Timestamp,
    delivery::{Cause, EndState, Trigger},
    id::{EndpointId, Id, SecretId},
    message::{Body, Message, Origin},
};
use serde::{Serialize, de::DeserializeOwned};
use store::{
    codec,
    history::{DeliveryRecord, MessageFilter, Tenant},
};
use tokio_postgres::{Row, types::FromSql};

use crate::error::{Error, Result};

/// A column, of whatever the driver reads.
pub(crate) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T> {
    Ok(row.try_get(column)?)
}

/// Bytes.
pub(crate) fn bytes(row: &Row, column: usize) -> Result<&[u8]> {
    get(row, column)
}

/// An id of 20 bytes.
pub(crate) fn id<I: Id>(row: &Row, column: usize) -> Result<I> {
    raw_id(bytes(row, column)?)
}

/// An id of 20 bytes, or null.
pub(crate) fn opt_id<I: Id>(row: &Row, column: usize) -> Result<Option<I>> {
    get::<Option<&[u8]>>(row, column)?.map(raw_id).transpose()
}

/// An id from what is stored of it.
pub(crate) fn raw_id<I: Id>(raw: &[u8]) -> Result<I> {
    Ok(I::from_raw(raw.try_into().map_err(|_| Error::corrupt("an id is not 20 bytes long"))?))
}

/// Microseconds since 1970.
pub(crate) fn time(row: &Row, column: usize) -> Result<Timestamp> {
    Ok(Timestamp::from_micros(get(row, column)?))
}

/// Microseconds since 1970, or null.
pub(crate) fn opt_time(row: &Row, column: usize) -> Result<Option<Timestamp>> {
    Ok(get::<Option<i64>>(row, column)?.map(Timestamp::from_micros))
}

/// A small number that is stored in a wider column.
pub(crate) fn narrow<T: TryFrom<i64>>(value: impl Into<i64>) -> Result<T> {
    T::try_from(value.into()).map_err(|_| Error::corrupt("a number is out of its range"))
}

/// An `integer` that is never negative, nor larger than `T`.
pub(crate) fn int<T: TryFrom<i64>>(row: &Row, column: usize) -> Result<T> {
    narrow(get::<i32>(row, column)?)
}

/// Text with a form of its own.
pub(crate) fn parsed<T>(row: &Row, column: usize) -> Result<T>
where
    T: FromStr,
    T::Err: Display,
{
    get::<&str>(row, column)?.parse().map_err(Error::corrupt)
}

/// Text with a form of its own, or null.
pub(crate) fn opt_parsed<T>(row: &Row, column: usize) -> Result<Option<T>>
where
    T: FromStr,
    T::Err: Display,
{
    get::<Option<&str>>(row, column)?.map(|text| text.parse().map_err(Error::corrupt)).transpose()
}

/// JSON.
pub(crate) fn json<T: DeserializeOwned>(row: &Row, column: usize) -> Result<T> {
    serde_json::from_str(get(row, column)?).map_err(Error::corrupt)
}

/// JSON, or null.
pub(crate) fn opt_json<T: DeserializeOwned>(row: &Row, column: usize) -> Result<Option<T>> {
    let text = get::<Option<&str>>(row, column)?;
    text.map(|text| serde_json::from_str(text).map_err(Error::corrupt)).transpose()
}

/// As JSON text.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("only maps with text keys, lists and text are written so")
}

/// A code of an enum, in a `smallint`.
fn code<T>(row: &Row, column: usize, from: impl Fn(u8) -> Option<T>) -> Result<T> {
    let code: u8 = narrow(get::<i16>(row, column)?)?;
    from(code).ok_or_else(|| Error::corrupt(format_args!("code {code} is of a newer release")))
}

/// Why a delivery exists.
pub(crate) fn trigger(row: &Row, column: usize) -> Result<Trigger> {
    code(row, column, Trigger::from_code)
}

/// Names joined by commas, or null for none.
pub(crate) fn joined<T: Display>(names: &[T]) -> Option<String> {
    let (first, rest) = names.split_first()?;
    Some(rest.iter().fold(first.to_string(), |text, name| format!("{text},{name}")))
}

fn split<T>(row: &Row, column: usize) -> Result<Vec<T>>
where
    T: FromStr,
    T::Err: Display,
{
    match get::<Option<&str>>(row, column)? {
        Some(text) => text.split(',').map(|name| name.parse().map_err(Error::corrupt)).collect(),
        None => Ok(Vec::new()),
    }
}

/// How origins are stored.
pub(crate) fn origin_code(origin: Origin) -> i16 {
    match origin {
        Origin::Api => 0,
        Origin::Source => 1,
        Origin::Operational => 2,
    }
}

fn origin_of(code: u8) -> Option<Origin> {
    let all = [Origin::Api, Origin::Source, Origin::Operational];
    all.into_iter().find(|origin| origin_code(*origin) == i16::from(code))
}

/// Columns of a message `m` without its body: for [`message`]. Event type, channels and tags are the
/// second to the fourth, for [`labels_match`].
pub(crate) const MESSAGE: &str = "m.id, m.event_type, m.channels, m.tags, m.event_id, m.origin, \
    m.created_at, m.deliver_at, m.expires_at, m.content_type, m.headers";
/// How many columns that are.
pub(crate) const MESSAGE_COLUMNS: usize = 11;
/// Columns of its payload `p`, behind [`MESSAGE`]: for [`message_with_body`].
pub(crate) const PAYLOAD: &str = "p.codec, p.body";
/// Joins the payload `p` of message `m`, if it is still there. An expired one is not, though its
/// partition may not have been dropped yet. It is looked up for each message by the whole of its key: the
/// planner, left alone, may look through all payloads of the application instead. `bounds` narrows
/// `p.expires_at` by parameters: what lies outside is not even opened.
pub(crate) fn join_payload(bounds: &str) -> String {
    format!(
        "LEFT JOIN LATERAL (SELECT p.codec, p.body FROM payload p WHERE p.org = m.org \
         AND p.app = m.app AND p.message = m.id AND p.expires_at = m.expires_at AND m.has_payload \
         AND p.expires_at > coalesce((SELECT convert_from(value, 'UTF8')::bigint FROM meta \
             WHERE name = 'payloads_swept'), 0) {bounds} LIMIT 1) p ON true"
    )
}

/// Reads [`MESSAGE`].
pub(crate) fn message(row: &Row, tenant: Tenant) -> Result<Message> {
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

/// Reads [`MESSAGE`] and [`PAYLOAD`] behind it.
pub(crate) fn message_with_body(row: &Row, tenant: Tenant) -> Result<Message> {
    let mut message = message(row, tenant)?;
    let Some(codec) = get::<Option<i16>>(row, MESSAGE_COLUMNS)? else { return Ok(message) };
    let stored = bytes(row, MESSAGE_COLUMNS + 1)?;
    let mut body = Body::json(codec::decode(narrow(codec)?, stored)?);
    if let Some(content_type) = get::<Option<&str>>(row, 9)? {
        body.content_type = content_type.into();
    }
    body.headers = opt_json(row, 10)?.unwrap_or_default();
    message.body = Some(body);
    Ok(message)
}

/// Whether type, channels and tags of a message, in columns `at` to `at + 2`, are as wanted.
pub(crate) fn labels_match(row: &Row, at: usize, filter: &MessageFilter) -> Result<bool> {
    let text = |column| get::<Option<&str>>(row, column);
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

/// Columns of an attempt `t`: for [`attempt`].
pub(crate) const ATTEMPT: &str = "t.id, t.message, t.delivery, t.number, t.trigger, t.class, \
    t.status_code, t.response, t.duration, t.retry_after, t.timed_out, t.started_at, t.revision, \
    t.url, t.secrets, t.body_hash, t.superseded";

/// Reads [`ATTEMPT`].
pub(crate) fn attempt(row: &Row, tenant: Tenant, endpoint: EndpointId) -> Result<Attempt> {
    let micros = |value: i64| Duration::from_micros(value.unsigned_abs());
    let hash: &[u8] = bytes(row, 15)?;
    Ok(Attempt {
        id: id(row, 0)?,
        org: tenant.org,
        app: tenant.app,
        endpoint,
        message: id(row, 1)?,
        delivery: id(row, 2)?,
        number: int(row, 3)?,
        trigger: trigger(row, 4)?,
        outcome: Outcome {
            class: code(row, 5, OutcomeClass::from_code)?,
            status_code: get::<Option<i32>>(row, 6)?.map(narrow).transpose()?,
            response: Bytes::copy_from_slice(bytes(row, 7)?),
            duration: micros(get(row, 8)?),
            retry_after: get::<Option<i64>>(row, 9)?.map(micros),
            timed_out: get(row, 10)?,
        },
        started_at: time(row, 11)?,
        endpoint_revision: int(row, 12)?,
        url: get(row, 13)?,
        secrets: ids::<SecretId>(bytes(row, 14)?),
        body_hash: hash.try_into().map_err(|_| Error::corrupt("a hash is not 16 bytes long"))?,
        superseded: get(row, 16)?,
    })
}

/// Ids of 20 bytes each.
pub(crate) fn ids<I: Id>(bytes: &[u8]) -> Vec<I> {
    bytes.as_chunks::<20>().0.iter().map(|raw| I::from_raw(*raw)).collect()
}

/// The raw bytes of a list of ids, one after the other.
pub(crate) fn concat<I: Id>(ids: &[I]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.raw().iter().copied()).collect()
}

/// Columns of a delivery `d`: for [`record`].
pub(crate) const RECORD: &str = "d.message, d.delivery, d.trigger, d.attempts, d.next_due, d.state, \
    d.cause, d.last_status, d.ended_at";

/// Reads [`RECORD`].
pub(crate) fn record(row: &Row, endpoint: EndpointId) -> Result<DeliveryRecord> {
    let end = match get::<Option<i16>>(row, 5)? {
        None => None,
        Some(_) => Some((code(row, 5, EndState::from_code)?, code(row, 6, Cause::from_code)?)),
    };
    Ok(DeliveryRecord {
        message: id(row, 0)?,
        id: id(row, 1)?,
        endpoint,
        trigger: trigger(row, 2)?,
        attempts: int(row, 3)?,
        next_attempt: opt_time(row, 4)?,
        end,
        last_status_code: get::<Option<i32>>(row, 7)?.map(narrow).transpose()?,
        ended_at: opt_time(row, 8)?,
    })
}
