//! Writing messages with their deliveries: one statement for any number of them.

use domain::clock::Timestamp;
use tokio_postgres::Row;

use crate::{conn::Conn, error::Result, publish::Prepared, rows};

/// Content type that is stored as null.
pub(crate) const JSON: &str = "application/json";

/// A message whose id is there already is the same call made again: nothing of it is written, and it is
/// not counted. That is why all else depends on what the first part has added.
const INSERT: &str = "/* publish */ WITH m AS (
    INSERT INTO message (org, app, id, event_type, channels, tags, event_id, has_payload,
        content_type, headers, origin, created_at, deliver_at, expires_at, routed, endpoints)
    SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::text[], $5::text[], $6::text[],
        $7::text[], $8::boolean[], $9::text[], $10::text[], $11::smallint[], $12::bigint[],
        $13::bigint[], $14::bigint[], $15::integer[], $16::bytea[])
    ON CONFLICT DO NOTHING RETURNING org, app, id, event_type, created_at
), p AS (
    INSERT INTO payload (org, app, message, expires_at, codec, body)
    SELECT u.* FROM unnest($17::bytea[], $18::bytea[], $19::bytea[], $20::bigint[], $21::smallint[],
        $22::bytea[]) AS u (org, app, message, expires_at, codec, body)
    JOIN m ON m.id = u.message
), d AS (
    INSERT INTO delivery (org, app, endpoint, message, delivery, trigger, attempts, next_due,
        attempt_ids)
    SELECT u.org, u.app, u.endpoint, u.message, u.delivery, u.trigger, u.attempts, u.due, ''
    FROM unnest($23::bytea[], $24::bytea[], $25::bytea[], $26::bytea[], $27::bytea[],
        $28::smallint[], $29::integer[], $30::bigint[])
        AS u (org, app, endpoint, message, delivery, trigger, attempts, due)
    JOIN m ON m.id = u.message
    ON CONFLICT DO NOTHING RETURNING org, app, delivery
), q AS (
    INSERT INTO due (shard, endpoint, due, delivery, org, app, message, trigger, attempts,
        give_up_at)
    SELECT u.shard, u.endpoint, u.due, u.delivery, u.org, u.app, u.message, u.trigger, u.attempts,
        u.give_up_at
    FROM unnest($23::bytea[], $24::bytea[], $25::bytea[], $26::bytea[], $27::bytea[],
        $28::smallint[], $29::integer[], $30::bigint[], $31::smallint[], $32::bigint[])
        AS u (org, app, endpoint, message, delivery, trigger, attempts, due, shard, give_up_at)
    JOIN d ON d.delivery = u.delivery
), t AS (
    INSERT INTO traffic AS t (org, app, at, event_type, slot, messages, bytes)
    SELECT m.org, m.app, m.created_at - m.created_at % 60000000 AS at, m.event_type, $33::smallint,
        count(*), sum(u.bytes)
    FROM m JOIN unnest($3::bytea[], $34::bigint[]) AS u (id, bytes) ON u.id = m.id
    GROUP BY m.org, m.app, at, m.event_type ORDER BY m.org, m.app, at, m.event_type
    ON CONFLICT (org, app, at, event_type, slot) DO UPDATE
        SET messages = t.messages + excluded.messages, bytes = t.bytes + excluded.bytes
)
INSERT INTO pending AS t (org, app, slot, count)
SELECT org, app, $33::smallint, count(*) FROM d GROUP BY org, app ORDER BY org, app
ON CONFLICT (org, app, slot) DO UPDATE SET count = t.count + excluded.count";

/// Has the connection know the statement, so that [`messages`] sends it as soon as it is polled.
pub(crate) async fn prepare(conn: &Conn) -> Result<()> {
    conn.prepare(INSERT).await.map(|_| ())
}

#[derive(Default)]
struct Messages<'a> {
    org: Vec<&'a [u8]>,
    app: Vec<&'a [u8]>,
    id: Vec<&'a [u8]>,
    event_type: Vec<&'a str>,
    channels: Vec<Option<String>>,
    tags: Vec<Option<String>>,
    event_id: Vec<Option<&'a str>>,
    has_payload: Vec<bool>,
    content_type: Vec<Option<&'a str>>,
    headers: Vec<Option<String>>,
    origin: Vec<i16>,
    created_at: Vec<i64>,
    deliver_at: Vec<Option<i64>>,
    expires_at: Vec<i64>,
    routed: Vec<i32>,
    endpoints: Vec<Vec<u8>>,
    bytes: Vec<i64>,
}

impl<'a> Messages<'a> {
    fn push(&mut self, item: &'a Prepared) {
        let (message, deliveries) = (&*item.new.message, &item.new.deliveries);
        let body = message.body.as_ref();
        let content_type = body.map(|body| &*body.content_type);
        let headers = body.filter(|body| !body.headers.is_empty());
        let endpoints = deliveries.iter().flat_map(|delivery| *delivery.endpoint.raw());
        self.org.push(message.org.raw());
        self.app.push(message.app.raw());
        self.id.push(message.id.raw());
        self.event_type.push(message.event_type.as_str());
        self.channels.push(rows::joined(&message.channels));
        self.tags.push(rows::joined(&message.tags));
        self.event_id.push(message.event_id.as_ref().map(|id| id.as_str()));
        self.has_payload.push(item.payload.is_some());
        self.content_type.push(content_type.filter(|content_type| *content_type != JSON));
        self.headers.push(headers.map(|body| rows::to_json(&body.headers)));
        self.origin.push(rows::origin_code(message.origin));
        self.created_at.push(message.created_at.as_micros());
        self.deliver_at.push(message.deliver_at.map(Timestamp::as_micros));
        self.expires_at.push(message.expires_at.as_micros());
        self.routed.push(i32::try_from(deliveries.len()).unwrap_or(i32::MAX));
        self.endpoints.push(endpoints.collect());
        let bytes = body.map_or(0, |body| body.bytes.len());
        self.bytes.push(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

#[derive(Default)]
struct Payloads<'a> {
    org: Vec<&'a [u8]>,
    app: Vec<&'a [u8]>,
    message: Vec<&'a [u8]>,
    expires_at: Vec<i64>,
    codec: Vec<i16>,
    body: Vec<&'a [u8]>,
}

impl<'a> Payloads<'a> {
    fn push(&mut self, item: &'a Prepared) {
        let Some(payload) = &item.payload else { return };
        let message = &*item.new.message;
        self.org.push(message.org.raw());
        self.app.push(message.app.raw());
        self.message.push(message.id.raw());
        self.expires_at.push(message.expires_at.as_micros());
        self.codec.push(payload.codec.into());
        self.body.push(&payload.bytes);
    }
}

/// Columns of deliveries.
#[derive(Default)]
pub(crate) struct Deliveries<'a> {
    pub(crate) org: Vec<&'a [u8]>,
    pub(crate) app: Vec<&'a [u8]>,
    pub(crate) endpoint: Vec<&'a [u8]>,
    pub(crate) message: Vec<&'a [u8]>,
    pub(crate) delivery: Vec<&'a [u8]>,
    pub(crate) trigger: Vec<i16>,
    pub(crate) attempts: Vec<i32>,
    pub(crate) due: Vec<i64>,
    pub(crate) shard: Vec<i16>,
    pub(crate) give_up_at: Vec<i64>,
}

impl<'a> Deliveries<'a> {
    pub(crate) fn push(&mut self, delivery: &'a domain::delivery::Delivery) {
        self.org.push(delivery.org.raw());
        self.app.push(delivery.app.raw());
        self.endpoint.push(delivery.endpoint.raw());
        self.message.push(delivery.message.raw());
        self.delivery.push(delivery.id.raw());
        self.trigger.push((delivery.trigger as u8).into());
        self.attempts.push(delivery.attempts.into());
        self.due.push(delivery.due.as_micros());
        self.shard.push(shard_code(delivery));
        self.give_up_at.push(delivery.give_up_at.as_micros());
    }
}

/// How a delivery's shard is stored.
pub(crate) fn shard_code(delivery: &domain::delivery::Delivery) -> i16 {
    delivery.shard().0.cast_signed()
}

/// Writes these messages. Of one that is stored already nothing is written.
pub(crate) async fn messages(conn: &Conn, items: &[&Prepared], slot: i16) -> Result<Vec<Row>> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let (mut m, mut p, mut d) = <(Messages<'_>, Payloads<'_>, Deliveries<'_>)>::default();
    for item in items {
        m.push(item);
        p.push(item);
        for delivery in &item.new.deliveries {
            d.push(delivery);
        }
    }
    conn.query(
        INSERT,
        &[
            &m.org,
            &m.app,
            &m.id,
            &m.event_type,
            &m.channels,
            &m.tags,
            &m.event_id,
            &m.has_payload,
            &m.content_type,
            &m.headers,
            &m.origin,
            &m.created_at,
            &m.deliver_at,
            &m.expires_at,
            &m.routed,
            &m.endpoints,
            &p.org,
            &p.app,
            &p.message,
            &p.expires_at,
            &p.codec,
            &p.body,
            &d.org,
            &d.app,
            &d.endpoint,
            &d.message,
            &d.delivery,
            &d.trigger,
            &d.attempts,
            &d.due,
            &d.shard,
            &d.give_up_at,
            &slot,
            &m.bytes,
        ],
    )
    .await
}
