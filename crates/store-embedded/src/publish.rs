//! The one way in: message, deliveries and claims in one act.

use async_trait::async_trait;
use domain::{
    claim::ClaimKey,
    clock::Timestamp,
    delivery::Delivery,
    id::{MessageId, OrganizationId},
};
use rusqlite::{OptionalExtension, params};
use store::{
    Publish, StoreError,
    codec::{self, Encoded},
    publish::{NewMessage, Published, SavedResponse},
    sealed::response_owner,
};

use crate::{
    EmbeddedStore,
    analytics::Fact,
    claims::{self, Place},
    error::{Error, Result},
    rows,
    tx::{App, Ep, Tx},
    writer::{Kind, Label},
};

/// Content type that is stored as null.
pub(crate) const JSON: &str = "application/json";
/// What a message costs beside its payload, roughly, in bytes.
const MESSAGE_BYTES: usize = 512;

/// A message made ready beside the writer.
pub(crate) struct Prepared {
    new: NewMessage,
    payload: Option<Encoded>,
    channels: Option<String>,
    tags: Option<String>,
    headers: Option<String>,
}

impl Prepared {
    pub(crate) fn new(new: NewMessage) -> Self {
        let message = &new.message;
        let body = message.body.as_ref();
        Self {
            payload: body.map(|body| codec::encode(&body.bytes)),
            channels: rows::joined(&message.channels),
            tags: rows::joined(&message.tags),
            headers: body.filter(|b| !b.headers.is_empty()).map(|b| rows::to_json(&b.headers)),
            new,
        }
    }

    /// Rows and bytes that it is bounded by.
    pub(crate) fn size(&self) -> (usize, usize) {
        let payload = self.payload.as_ref().map_or(0, |payload| payload.bytes.len());
        (1 + self.new.deliveries.len(), MESSAGE_BYTES + payload)
    }
}

/// Writes one message, or says why not. Nothing is written unless it says `Stored`.
pub(crate) fn publish(tx: &mut Tx<'_>, prepared: &Prepared) -> Result<Published> {
    let Prepared { new, .. } = prepared;
    let Some(app) = tx.app(new.message.org, new.message.app)? else {
        return Ok(if is_stored(tx, new)? { Published::Stored } else { Published::NotFound });
    };
    if let Some(refused) = judge(tx, new, app)? {
        // A repeat gets the first one's answer, whatever has changed since.
        if is_stored(tx, new)? {
            return Ok(Published::Stored);
        }
        return Ok(claimed_before(tx, new, app.org_no)?.unwrap_or(refused));
    }
    let (id, now) = (new.message.id, new.message.created_at);
    if let Some(claim) = &new.idempotency
        && let Some(first) = tx.winner(app.org_no, claim.key, now)?
    {
        return Ok(if first == id { Published::Stored } else { Published::Repeated(first) });
    }
    if let Some(claim) = &new.event_id
        && let Some(first) = tx.winner(app.org_no, claim.key, now)?
    {
        return Ok(if first == id { Published::Stored } else { Published::EventIdTaken(first) });
    }
    for claim in [&new.idempotency, &new.event_id].into_iter().flatten() {
        tx.claim(app.org_no, claim, id)?;
    }
    insert(tx, prepared, app)?;
    Ok(Published::Stored)
}

/// Why it may not be stored, from what the writer knows by heart.
fn judge(tx: &mut Tx<'_>, new: &NewMessage, app: App) -> Result<Option<Published>> {
    if app.versions != new.versions {
        return Ok(Some(Published::Stale));
    }
    let Some(most) = new.max_pending else { return Ok(None) };
    let pending = tx.pending(app.no)?.unsigned_abs() + new.deliveries.len() as u64;
    Ok((pending > most).then_some(Published::OverQuota))
}

/// Whether the same call was made before.
fn is_stored(tx: &mut Tx<'_>, new: &NewMessage) -> Result<bool> {
    let Some(app_no) = tx.app_no_ever(new.message.org, new.message.app)? else { return Ok(false) };
    let sql = "/* publish */ SELECT 1 FROM message WHERE app_no = ?1 AND id = ?2";
    Ok(tx.conn.prepare_cached(sql)?.exists(params![app_no, new.message.id.raw()])?)
}

/// What the keys of a message that cannot be stored were claimed for before.
fn claimed_before(tx: &mut Tx<'_>, new: &NewMessage, org_no: i64) -> Result<Option<Published>> {
    let now = new.message.created_at;
    if let Some(claim) = &new.idempotency
        && let Some(first) = tx.winner(org_no, claim.key, now)?
    {
        return Ok(Some(Published::Repeated(first)));
    }
    match &new.event_id {
        Some(claim) => Ok(tx.winner(org_no, claim.key, now)?.map(Published::EventIdTaken)),
        None => Ok(None),
    }
}

fn insert(tx: &mut Tx<'_>, prepared: &Prepared, app: App) -> Result<()> {
    let Prepared { new, payload, channels, tags, headers } = prepared;
    let message = &*new.message;
    let payload_no = match payload {
        Some(_) => Some(tx.next_payload(message.expires_at)?),
        None => None,
    };
    let known = |delivery| known_endpoint(tx, delivery);
    let targets = new.deliveries.iter().map(known).collect::<Result<Vec<Ep>>>()?;
    let mut endpoints = Vec::with_capacity(2 * targets.len());
    for endpoint in &targets {
        rows::push_number(&mut endpoints, endpoint.no.unsigned_abs());
    }
    let content_type = message.body.as_ref().map(|body| &*body.content_type);
    let added = tx.hot.message.execute(params![
        app.no,
        message.id.raw(),
        message.event_type.as_str(),
        channels,
        tags,
        message.event_id.as_ref().map(|id| id.as_str()),
        payload_no,
        content_type.filter(|content_type| *content_type != JSON),
        headers,
        rows::origin_code(message.origin),
        message.created_at.as_micros(),
        message.deliver_at.map(Timestamp::as_micros),
        message.expires_at.as_micros(),
        new.deliveries.len() as i64,
        endpoints,
    ])?;
    if added == 0 {
        // The same call was made before: what it stored stays as it is.
        return Ok(());
    }
    let bytes = message.body.as_ref().map_or(0, |body| body.bytes.len());
    let what = (0, Some(message.event_type.clone()));
    tx.gather.note((app.org_no, app.no), message.created_at, what, Fact::Message(bytes));
    if let (Some(no), Some(payload)) = (payload_no, payload) {
        tx.hot.payload.execute(params![no, payload.codec, &payload.bytes[..]])?;
    }
    for (delivery, endpoint) in new.deliveries.iter().zip(&targets) {
        insert_delivery(tx, delivery, endpoint)?;
    }
    Ok(())
}

fn known_endpoint(tx: &mut Tx<'_>, delivery: &Delivery) -> Result<Ep> {
    let found = tx.endpoint(delivery.org, delivery.app, delivery.endpoint)?;
    let unknown = || StoreError::Internal(format!("unknown endpoint {}", delivery.endpoint));
    Ok(found.ok_or_else(unknown)?)
}

/// Adds both rows of a delivery, unless it is on record already.
fn insert_delivery(tx: &mut Tx<'_>, delivery: &Delivery, endpoint: &Ep) -> Result<()> {
    let (message, id) = (delivery.message.raw(), delivery.id.raw());
    let (due, trigger) = (delivery.due.as_micros(), delivery.trigger as u8);
    let params = params![endpoint.no, message, id, trigger, delivery.attempts, due];
    if tx.hot.delivery.execute(params)? == 0 {
        return Ok(());
    }
    tx.hot.due.execute(params![
        endpoint.lane,
        due,
        id,
        endpoint.app_no,
        message,
        trigger,
        delivery.attempts,
        delivery.give_up_at.as_micros(),
    ])?;
    tx.add_pending(endpoint.app_no, 1);
    Ok(())
}

/// Adds a delivery of a stored message, and its endpoint to the message's if it is new there. One
/// whose message (or endpoint) is gone is left out.
fn enqueue(tx: &mut Tx<'_>, delivery: &Delivery) -> Result<()> {
    let found = tx.endpoint(delivery.org, delivery.app, delivery.endpoint)?;
    let Some(endpoint) = found else { return Ok(()) };
    let (app_no, message) = (endpoint.app_no, delivery.message.raw());
    let endpoints: Option<Vec<u8>> = tx
        .conn
        .prepare_cached(
            "/* enqueue */ SELECT endpoints FROM message WHERE app_no = ?1 AND id = ?2",
        )?
        .query_row(params![app_no, message], |row| row.get(0))
        .optional()?;
    let Some(mut endpoints) = endpoints else { return Ok(()) };
    if !rows::numbers(&endpoints).contains(&endpoint.no) {
        rows::push_number(&mut endpoints, endpoint.no.unsigned_abs());
        let sql = "/* enqueue */ UPDATE message SET endpoints = ?3 WHERE app_no = ?1 AND id = ?2";
        tx.conn.prepare_cached(sql)?.execute(params![app_no, message, endpoints])?;
    }
    insert_delivery(tx, delivery, &endpoint)
}

/// Whether these would be more than the application may have pending.
fn is_over(tx: &mut Tx<'_>, deliveries: &[Delivery], max_pending: Option<u64>) -> Result<bool> {
    let (Some(most), Some(first)) = (max_pending, deliveries.first()) else { return Ok(false) };
    let Some(app) = tx.app(first.org, first.app)? else { return Ok(false) };
    Ok(tx.pending(app.no)?.unsigned_abs() + deliveries.len() as u64 > most)
}

/// Seals with the newest key up to `limit` saved answers behind `after`. Returns the last key looked
/// at (`None` at the end), and how many were sealed anew.
pub(crate) fn reseal_responses(
    tx: &mut Tx<'_>,
    after: Place,
    limit: usize,
) -> Result<(Option<Place>, usize)> {
    let vault = tx.ports.vault.clone();
    let mut statement = tx.conn.prepare_cached(
        "/* reseal */ SELECT org_no, key, body FROM response WHERE (org_no, key) > (?1, ?2)
         ORDER BY org_no, key LIMIT ?3",
    )?;
    let mut update = tx.conn.prepare_cached(
        "/* reseal */ UPDATE response SET body = ?3 WHERE org_no = ?1 AND key = ?2",
    )?;
    let mut found = statement.query(params![after.0, after.1, limit as i64])?;
    let (mut last, mut resealed) = (None, 0);
    while let Some(row) = found.next()? {
        let (org_no, key): Place = (row.get(0)?, row.get(1)?);
        last = Some((org_no, key));
        let sealed = row.get_ref(2)?.as_blob().map_err(Error::corrupt)?;
        if let Some(anew) = vault.reseal(&response_owner(ClaimKey(key)), sealed)? {
            update.execute(params![org_no, key, anew])?;
            resealed += 1;
        }
    }
    Ok((last, resealed))
}

#[async_trait]
impl Publish for EmbeddedStore {
    async fn publish(&self, messages: Vec<NewMessage>) -> store::Result<Vec<Published>> {
        let prepared: Vec<Prepared> = messages.into_iter().map(Prepared::new).collect();
        let (rows, bytes) = prepared
            .iter()
            .map(Prepared::size)
            .fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
        let label = Label { kind: Kind::Ingest, name: "publish", rows, bytes };
        self.writer
            .write(label, move |tx| prepared.iter().map(|message| publish(tx, message)).collect())
            .await
    }

    async fn enqueue(
        &self,
        deliveries: Vec<Delivery>,
        max_pending: Option<u64>,
    ) -> store::Result<bool> {
        let rows = deliveries.len();
        let label = Label { kind: Kind::Ingest, name: "enqueue", rows, bytes: 0 };
        self.writer
            .write(label, move |tx| {
                let over = is_over(tx, &deliveries, max_pending)?;
                if !over {
                    deliveries.iter().try_for_each(|delivery| enqueue(tx, delivery))?;
                }
                Ok(!over)
            })
            .await
    }

    async fn claimed(
        &self,
        org: OrganizationId,
        key: ClaimKey,
        now: Timestamp,
    ) -> store::Result<Option<MessageId>> {
        self.readers.read(move |conn| claims::claimed(conn, org, key, now)).await
    }

    async fn save_response(
        &self,
        org: OrganizationId,
        key: ClaimKey,
        response: SavedResponse,
        expires_at: Timestamp,
    ) -> store::Result<()> {
        let body = self.ports.vault.seal(&response_owner(key), &response.body);
        let label = Label { bytes: body.len(), ..Label::other("save_response") };
        self.writer
            .write(label, move |tx| {
                // The first one stays, until it has expired.
                let sql = "/* save_response */
                    INSERT INTO response (org_no, key, status, body, expires_at)
                    VALUES (?1, ?2, ?3, ?4, ?5)
                    ON CONFLICT (org_no, key) DO UPDATE SET status = excluded.status,
                    body = excluded.body, expires_at = excluded.expires_at WHERE expires_at <= ?6";
                let org_no = tx.org_no(org)?;
                let (expires_at, now) = (expires_at.as_micros(), tx.now().as_micros());
                let params = params![org_no, key.0, response.status, body, expires_at, now];
                tx.conn.prepare_cached(sql)?.execute(params)?;
                Ok(())
            })
            .await
    }

    async fn saved_response(
        &self,
        org: OrganizationId,
        key: ClaimKey,
        now: Timestamp,
    ) -> store::Result<Option<SavedResponse>> {
        let found: Option<(u16, Vec<u8>)> = self
            .readers
            .read(move |conn| {
                let sql = "/* saved_response */ SELECT r.status, r.body FROM organization o
                           JOIN response r ON r.org_no = o.no AND r.key = ?2
                           WHERE o.id = ?1 AND r.expires_at > ?3";
                let params = params![org.raw(), key.0, now.as_micros()];
                let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
                Ok(conn.prepare_cached(sql)?.query_row(params, read).optional()?)
            })
            .await?;
        let Some((status, sealed)) = found else { return Ok(None) };
        let body = self.ports.vault.open(&response_owner(key), &sealed)?;
        Ok(Some(SavedResponse { status, body }))
    }
}
