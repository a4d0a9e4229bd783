//! The one way in: message, deliveries and claims in one act.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    claim::ClaimKey,
    clock::Timestamp,
    delivery::Delivery,
    id::{ApplicationId, MessageId, OrganizationId},
};
use futures_util::future;
use store::{
    Publish, StoreError,
    catalog::Versions,
    codec::{self, Encoded},
    publish::{Claim, NewMessage, Published, SavedResponse},
    sealed::response_owner,
};

use crate::{
    PostgresStore, Shared,
    committer::{Act, Failed, Key},
    conn::{BEGIN, Conn, Tx},
    enqueue,
    error::{Error, Result},
    insert, rows,
};

/// What a message costs beside its payload, roughly, in bytes.
const MESSAGE_BYTES: usize = 512;

/// A message made ready beside the committer.
pub(crate) struct Prepared {
    pub(crate) new: NewMessage,
    pub(crate) payload: Option<Encoded>,
}

impl Prepared {
    pub(crate) fn new(new: NewMessage) -> Self {
        let payload = new.message.body.as_ref().map(|body| codec::encode(&body.bytes));
        Self { payload, new }
    }

    /// Rows and bytes that it is bounded by.
    pub(crate) fn size(&self) -> (usize, usize) {
        let payload = self.payload.as_ref().map_or(0, |payload| payload.bytes.len());
        (1 + self.new.deliveries.len(), MESSAGE_BYTES + payload)
    }

    /// What it claims, the idempotency key first.
    fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.new.idempotency.iter().chain(&self.new.event_id)
    }

    /// What no other message of the same transaction may have: its id, and what it claims.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let claim = |claim: &Claim| {
            let mut key = [0; 20];
            key[4..].copy_from_slice(&claim.key.0);
            key
        };
        std::iter::once(*self.new.message.id.raw()).chain(self.claims().map(claim)).collect()
    }

    fn place(&self, claim: &Claim) -> Place {
        (self.new.message.org, claim.key)
    }
}

/// Where a claim is.
type Place = (OrganizationId, ClaimKey);

/// What the store knows of an application that messages are for.
struct App {
    versions: Versions,
    pending: u64,
}

type Apps = HashMap<(OrganizationId, ApplicationId), App>;

/// Publishes, through the committer.
pub(crate) struct Ingest {
    pub(crate) shared: std::sync::Arc<Shared>,
    pub(crate) pool: deadpool_postgres::Pool,
    pub(crate) slot: i16,
}

#[async_trait]
impl Act for Ingest {
    type Item = Prepared;
    type Done = Published;
    const NAME: &'static str = "publish";
    const MAY_WAIT: bool = true;
    // Callers wait for it.
    const BETWEEN: Duration = Duration::from_millis(20);

    fn size(item: &Prepared) -> (usize, usize) {
        item.size()
    }

    fn keys(item: &Prepared) -> Vec<Key> {
        item.keys()
    }

    async fn write(&self, items: &[&Prepared]) -> Result<Vec<Published>, Failed> {
        let tx = Tx::unbegun(self.shared.conn(&self.pool).await?);
        insert::prepare(&tx).await?;
        let (begun, apps) = future::join(tx.batch(BEGIN), judge(&tx, items)).await;
        begun?;
        let (mut verdicts, new) = apps?;
        let chosen: Vec<_> = new.iter().map(|at| items[*at]).collect();
        if chosen.is_empty() {
            tx.rollback().await?;
        } else if let Some(oldest) = self.shared.late(moments(&chosen)) {
            insert::messages(&tx, &chosen, self.slot).await?;
            self.shared.counted_late(&tx, oldest).await?;
            tx.commit_with(async { Ok(()) }).await?;
        } else {
            tx.commit_with(insert::messages(&tx, &chosen, self.slot)).await?;
        }
        for at in new {
            verdicts[at] = Some(Published::Stored);
        }
        Ok(verdicts.into_iter().map(|verdict| verdict.unwrap_or(Published::Stored)).collect())
    }
}

/// The times that messages are counted in.
fn moments(items: &[&Prepared]) -> impl Iterator<Item = Timestamp> {
    items.iter().map(|item| item.new.message.created_at)
}

/// Writes messages in an open transaction: those that an outcome causes.
pub(crate) async fn publish(
    shared: &Shared,
    tx: &Tx,
    items: &[&Prepared],
    slot: i16,
) -> Result<Vec<Published>> {
    let (mut verdicts, new) = judge(tx, items).await?;
    let chosen: Vec<_> = new.iter().map(|at| items[*at]).collect();
    insert::messages(tx, &chosen, slot).await?;
    if let Some(oldest) = shared.late(moments(&chosen)) {
        shared.counted_late(tx, oldest).await?;
    }
    for at in new {
        verdicts[at] = Some(Published::Stored);
    }
    Ok(verdicts.into_iter().map(|verdict| verdict.unwrap_or(Published::Stored)).collect())
}

/// Decides what becomes of each message, and claims what those claim that are to be stored: the second
/// value says which. No two of them have a key in common.
async fn judge(conn: &Conn, items: &[&Prepared]) -> Result<(Vec<Option<Published>>, Vec<usize>)> {
    // Both are on their way before either is answered.
    let (apps, holders) = future::join(applications(conn, items), holders(conn, items)).await;
    let (mut apps, holders) = (apps?, holders?);
    let decided = items.iter().map(|item| decide(item, &mut apps, &holders));
    let mut verdicts: Vec<Option<Published>> = decided.collect();
    let mut new: Vec<usize> = (0..items.len()).filter(|at| verdicts[*at].is_none()).collect();
    let lost = claim(conn, items, &new).await?;
    if !lost.is_empty() {
        // Somebody else's transaction was first, and has ended since: its claims can be read now.
        let holders = self::holders(conn, items).await?;
        for at in &lost {
            let Some(held) = claimed(items[*at], &holders) else {
                let gone = "a claim was given up while it was asked for";
                return Err(StoreError::Unavailable(gone.into()).into());
            };
            verdicts[*at] = Some(held);
        }
        new.retain(|at| !lost.contains(at));
    }
    repeat(conn, items, &mut verdicts).await?;
    Ok((verdicts, new))
}

/// What is known of a message before anything is claimed for it; `None` if it is to be stored.
fn decide(
    item: &Prepared,
    apps: &mut Apps,
    holders: &HashMap<Place, MessageId>,
) -> Option<Published> {
    let NewMessage { message, deliveries, versions, max_pending, .. } = &item.new;
    let Some(app) = apps.get_mut(&(message.org, message.app)) else {
        return Some(Published::NotFound);
    };
    if let Some(held) = claimed(item, holders) {
        return Some(held);
    }
    if app.versions != *versions {
        return Some(Published::Stale);
    }
    let pending = app.pending + deliveries.len() as u64;
    if max_pending.is_some_and(|most| pending > most) {
        return Some(Published::OverQuota);
    }
    app.pending = pending;
    None
}

/// What it means for a message that one of its claims is held.
fn claimed(item: &Prepared, holders: &HashMap<Place, MessageId>) -> Option<Published> {
    let holder = |claim: &Option<Claim>| {
        claim.as_ref().and_then(|claim| holders.get(&item.place(claim)).copied())
    };
    let id = item.new.message.id;
    match (holder(&item.new.idempotency), holder(&item.new.event_id)) {
        (Some(first), _) if first == id => Some(Published::Stored),
        (Some(first), _) => Some(Published::Repeated(first)),
        (None, Some(first)) if first == id => Some(Published::Stored),
        (None, Some(first)) => Some(Published::EventIdTaken(first)),
        (None, None) => None,
    }
}

/// Applications that are not deleted, with the versions of the catalogue now.
async fn applications(conn: &Conn, items: &[&Prepared]) -> Result<Apps> {
    let wanted: BTreeMap<_, _> = items
        .iter()
        .map(|item| ((item.new.message.org, item.new.message.app), item.new.max_pending.is_some()))
        .collect();
    let ids = || wanted.keys();
    let orgs: Vec<&[u8]> = ids().map(|(org, _)| org.raw().as_slice()).collect();
    let apps: Vec<&[u8]> = ids().map(|(_, app)| app.raw().as_slice()).collect();
    let count: Vec<bool> = wanted.values().copied().collect();
    let rows = conn
        .query(
            "/* publish */ SELECT a.org, a.app, a.version, o.version, CASE WHEN u.count THEN
                 (SELECT sum(p.count)::bigint FROM pending p WHERE p.org = a.org AND p.app = a.app)
                 END
             FROM unnest($1::bytea[], $2::bytea[], $3::boolean[]) AS u (org, app, count)
             JOIN application a ON a.org = u.org AND a.app = u.app AND a.deleted_at IS NULL
             JOIN organization o ON o.org = u.org",
            &[&orgs, &apps, &count],
        )
        .await?;
    let app = |row: &tokio_postgres::Row| {
        let version = |column| Ok::<_, Error>(rows::get::<i64>(row, column)?.cast_unsigned());
        let pending = rows::get::<Option<i64>>(row, 4)?.unwrap_or(0);
        let app = App {
            versions: Versions { app: version(2)?, org: version(3)? },
            pending: u64::try_from(pending).unwrap_or(0),
        };
        Ok(((rows::id(row, 0)?, rows::id(row, 1)?), app))
    };
    rows.iter().map(app).collect()
}

/// Who holds the claims of these messages, as far as they are committed and have not expired.
async fn holders(conn: &Conn, items: &[&Prepared]) -> Result<HashMap<Place, MessageId>> {
    let (mut orgs, mut keys, mut now) = (Vec::new(), Vec::new(), Vec::new());
    for item in items {
        for claim in item.claims() {
            orgs.push(item.new.message.org.raw().as_slice());
            keys.push(claim.key.0.as_slice());
            now.push(item.new.message.created_at.as_micros());
        }
    }
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = conn
        .query(
            "/* publish */ SELECT c.org, c.key, c.message
             FROM unnest($1::bytea[], $2::bytea[], $3::bigint[]) AS u (org, key, now)
             JOIN claim c ON c.org = u.org AND c.key = u.key AND c.expires_at > u.now",
            &[&orgs, &keys, &now],
        )
        .await?;
    rows.iter().map(|row| Ok(((rows::id(row, 0)?, key(row, 1)?), rows::id(row, 2)?))).collect()
}

pub(crate) fn key(row: &tokio_postgres::Row, column: usize) -> Result<ClaimKey> {
    let raw = rows::bytes(row, column)?.try_into();
    Ok(ClaimKey(raw.map_err(|_| Error::corrupt("a key is not 16 bytes long"))?))
}

/// Claims what these messages claim, in the order of the keys, so that two nodes wait for each other in
/// one direction only. Returns those that lost one of theirs: they hold none of the others either.
async fn claim(conn: &Conn, items: &[&Prepared], new: &[usize]) -> Result<Vec<usize>> {
    let mut claims = BTreeMap::new();
    for at in new {
        for claim in items[*at].claims() {
            claims.insert(items[*at].place(claim), (*at, claim.expires_at));
        }
    }
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    let (mut orgs, mut keys, mut messages) = (Vec::new(), Vec::new(), Vec::new());
    let (mut made, mut expires) = (Vec::new(), Vec::new());
    for ((org, key), (at, expires_at)) in &claims {
        orgs.push(org.raw().as_slice());
        keys.push(key.0.as_slice());
        messages.push(items[*at].new.message.id.raw().as_slice());
        made.push(items[*at].new.message.created_at.as_micros());
        expires.push(expires_at.as_micros());
    }
    let won = conn
        .query(
            "/* publish */ INSERT INTO claim AS c (org, key, message, made_at, expires_at)
             SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[])
             ON CONFLICT (org, key) DO UPDATE SET message = excluded.message,
                 made_at = excluded.made_at, expires_at = excluded.expires_at
                 WHERE c.expires_at <= excluded.made_at
             RETURNING c.org, c.key",
            &[&orgs, &keys, &messages, &made, &expires],
        )
        .await?;
    let won = won.iter().map(|row| Ok((rows::id(row, 0)?, key(row, 1)?)));
    let won = won.collect::<Result<HashSet<Place>>>()?;
    let lost = claims.iter().filter(|(place, _)| !won.contains(place));
    let lost: BTreeSet<usize> = lost.map(|(_, (at, _))| *at).collect();
    let lost: Vec<usize> = lost.into_iter().collect();
    let held = |at: &&usize| items[**at].claims().count() > 1;
    let ids: Vec<_> = lost.iter().filter(held).map(|at| items[*at].new.message.id).collect();
    if !ids.is_empty() {
        let ids: Vec<&[u8]> = ids.iter().map(|id| id.raw().as_slice()).collect();
        let sql = "/* publish */ DELETE FROM claim c
             USING unnest($1::bytea[], $2::bytea[]) AS u (org, key)
             WHERE c.org = u.org AND c.key = u.key AND c.message = ANY ($3)";
        conn.execute(sql, &[&orgs, &keys, &ids]).await?;
    }
    Ok(lost)
}

/// A message that is stored already is the same call made again: it gets the first one's answer,
/// whatever has changed since.
async fn repeat(
    conn: &Conn,
    items: &[&Prepared],
    verdicts: &mut [Option<Published>],
) -> Result<()> {
    let refused = |at: &usize| !matches!(verdicts[*at], None | Some(Published::Stored));
    let refused: Vec<usize> = (0..items.len()).filter(refused).collect();
    if refused.is_empty() {
        return Ok(());
    }
    let message = |at: &usize| &items[*at].new.message;
    let orgs: Vec<&[u8]> = refused.iter().map(|at| message(at).org.raw().as_slice()).collect();
    let apps: Vec<&[u8]> = refused.iter().map(|at| message(at).app.raw().as_slice()).collect();
    let ids: Vec<&[u8]> = refused.iter().map(|at| message(at).id.raw().as_slice()).collect();
    let stored = conn
        .query(
            "/* publish */ SELECT m.id FROM unnest($1::bytea[], $2::bytea[], $3::bytea[])
                 AS u (org, app, id)
             JOIN message m ON m.org = u.org AND m.app = u.app AND m.id = u.id",
            &[&orgs, &apps, &ids],
        )
        .await?;
    let stored = stored.iter().map(|row| rows::id(row, 0)).collect::<Result<Vec<MessageId>>>()?;
    for at in refused {
        if stored.contains(&items[at].new.message.id) {
            verdicts[at] = Some(Published::Stored);
        }
    }
    Ok(())
}

#[async_trait]
impl Publish for PostgresStore {
    async fn publish(&self, messages: Vec<NewMessage>) -> store::Result<Vec<Published>> {
        self.ingest.write(messages.into_iter().map(Prepared::new).collect()).await
    }

    async fn enqueue(
        &self,
        deliveries: Vec<Delivery>,
        max_pending: Option<u64>,
    ) -> store::Result<bool> {
        Ok(enqueue::enqueue(&self.shared, &deliveries, max_pending).await?)
    }

    async fn claimed(
        &self,
        org: OrganizationId,
        key: ClaimKey,
        now: Timestamp,
    ) -> store::Result<Option<MessageId>> {
        let read = async || {
            let sql = "/* claimed */ SELECT message FROM claim
                       WHERE org = $1 AND key = $2 AND expires_at > $3";
            let conn = self.shared.read().await?;
            let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
                &[&org.raw().as_slice(), &key.0.as_slice(), &now.as_micros()];
            conn.query_opt(sql, params).await?.map(|row| rows::id(&row, 0)).transpose()
        };
        Ok(read().await?)
    }

    async fn save_response(
        &self,
        org: OrganizationId,
        key: ClaimKey,
        response: SavedResponse,
        expires_at: Timestamp,
    ) -> store::Result<()> {
        let body = self.shared.ports.vault.seal(&response_owner(key), &response.body);
        let now = self.shared.ports.clock.now().as_micros();
        let conn = self.shared.read().await?;
        // The first one stays, until it has expired.
        let sql =
            "/* save_response */ INSERT INTO response AS r (org, key, status, body, expires_at)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (org, key) DO UPDATE SET
             status = excluded.status, body = excluded.body, expires_at = excluded.expires_at
             WHERE r.expires_at <= $6";
        let (org, key, status) =
            (org.raw().as_slice(), key.0.as_slice(), i32::from(response.status));
        conn.execute(sql, &[&org, &key, &status, &body, &expires_at.as_micros(), &now]).await?;
        Ok(())
    }

    async fn saved_response(
        &self,
        org: OrganizationId,
        key: ClaimKey,
        now: Timestamp,
    ) -> store::Result<Option<SavedResponse>> {
        let conn = self.shared.read().await?;
        let sql = "/* saved_response */ SELECT status, body FROM response
                   WHERE org = $1 AND key = $2 AND expires_at > $3";
        let (org, at) = (org.raw().as_slice(), now.as_micros());
        let row = conn.query_opt(sql, &[&org, &key.0.as_slice(), &at]).await?;
        let Some(row) = row else { return Ok(None) };
        let read = || {
            let body = self.shared.ports.vault.open(&response_owner(key), rows::bytes(&row, 1)?)?;
            Ok::<_, Error>(SavedResponse { status: rows::int(&row, 0)?, body })
        };
        Ok(Some(read()?))
    }
}
