//! Resends and replays: deliveries of messages that are stored already.

use std::collections::{BTreeMap, HashMap};

use domain::{
    delivery::Delivery,
    id::{EndpointId, MessageId},
};

use crate::{Shared, conn::Tx, error::Result, insert::Deliveries, rows};

/// Counters of what is pending that all share who seldom change them.
pub(crate) const COMMON_SLOT: i16 = -1;
/// How often a transaction that lost against another one is tried again.
const MOST_CONFLICTS: u32 = 5;

/// A delivery that is on record already stays as it is.
const INSERT: &str = "/* enqueue */ WITH d AS (
    INSERT INTO delivery (org, app, endpoint, message, delivery, trigger, attempts, next_due,
        attempt_ids)
    SELECT u.org, u.app, u.endpoint, u.message, u.delivery, u.trigger, u.attempts, u.due, ''
    FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[], $6::smallint[],
        $7::integer[], $8::bigint[])
        AS u (org, app, endpoint, message, delivery, trigger, attempts, due)
    ON CONFLICT DO NOTHING RETURNING org, app, delivery
), q AS (
    INSERT INTO due (shard, endpoint, due, delivery, org, app, message, trigger, attempts,
        give_up_at)
    SELECT u.shard, u.endpoint, u.due, u.delivery, u.org, u.app, u.message, u.trigger, u.attempts,
        u.give_up_at
    FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[], $6::smallint[],
        $7::integer[], $8::bigint[], $9::smallint[], $10::bigint[])
        AS u (org, app, endpoint, message, delivery, trigger, attempts, due, shard, give_up_at)
    JOIN d ON d.delivery = u.delivery
)
INSERT INTO pending AS t (org, app, slot, count)
SELECT org, app, $11::smallint, count(*) FROM d GROUP BY org, app ORDER BY org, app
ON CONFLICT (org, app, slot) DO UPDATE SET count = t.count + excluded.count";

/// Adds deliveries, and their endpoints to their messages' where they are new there; false, and none
/// added, if that would be more than the application may have pending.
pub(crate) async fn enqueue(
    shared: &Shared,
    deliveries: &[Delivery],
    max_pending: Option<u64>,
) -> Result<bool> {
    let mut conflicts = 0;
    loop {
        let tx = shared.begin().await?;
        match write(&tx, deliveries, max_pending).await {
            Ok(true) => match tx.commit().await {
                Err(error) if error.is_conflict() && conflicts < MOST_CONFLICTS => conflicts += 1,
                committed => return committed.map(|()| true),
            },
            Ok(false) => return tx.rollback().await.map(|()| false),
            Err(error) if error.is_conflict() && conflicts < MOST_CONFLICTS => conflicts += 1,
            Err(error) => return Err(error),
        }
    }
}

async fn write(tx: &Tx, deliveries: &[Delivery], max_pending: Option<u64>) -> Result<bool> {
    if let (Some(most), Some(first)) = (max_pending, deliveries.first()) {
        let sql =
            "/* enqueue */ SELECT sum(count)::bigint FROM pending WHERE org = $1 AND app = $2";
        let params: crate::conn::Params<'_> =
            &[&first.org.raw().as_slice(), &first.app.raw().as_slice()];
        let pending = rows::get::<Option<i64>>(&tx.query_one(sql, params).await?, 0)?.unwrap_or(0);
        if u64::try_from(pending).unwrap_or(0) + deliveries.len() as u64 > most {
            return Ok(false);
        }
    }
    let stored = messages(tx, deliveries).await?;
    let mut columns = Deliveries::default();
    let mut targets: BTreeMap<MessageId, Vec<u8>> = BTreeMap::new();
    for delivery in deliveries {
        // One whose message is gone is left out.
        let Some(endpoints) = stored.get(&delivery.message) else { continue };
        columns.push(delivery);
        let added = targets.entry(delivery.message).or_default();
        let raw = delivery.endpoint.raw();
        if !endpoints.contains(&delivery.endpoint) && !rows::ids(added).contains(&delivery.endpoint)
        {
            added.extend_from_slice(raw);
        }
    }
    if columns.delivery.is_empty() {
        return Ok(true);
    }
    add_endpoints(tx, deliveries, targets).await?;
    let d = columns;
    tx.execute(
        INSERT,
        &[
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
            &COMMON_SLOT,
        ],
    )
    .await?;
    Ok(true)
}

/// Where these messages went so far. Locked, so that nobody
/// takes them away, or adds to them, meanwhile.
async fn messages(tx: &Tx, deliveries: &[Delivery]) -> Result<HashMap<MessageId, Vec<EndpointId>>> {
    let Some(first) = deliveries.first() else { return Ok(HashMap::new()) };
    let ids: Vec<&[u8]> =
        deliveries.iter().map(|delivery| delivery.message.raw().as_slice()).collect();
    let (orgs, apps) = keys_of(first, ids.len());
    let sql = "/* enqueue */ SELECT m.id, m.endpoints
         FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) AS u (org, app, id)
         JOIN message m ON m.org = u.org AND m.app = u.app AND m.id = u.id
         ORDER BY m.id FOR UPDATE OF m";
    let found = tx.query(sql, &[&orgs, &apps, &ids]).await?;
    let message =
        |row: &tokio_postgres::Row| Ok((rows::id(row, 0)?, rows::ids(rows::bytes(row, 1)?)));
    found.iter().map(message).collect()
}

async fn add_endpoints(
    tx: &Tx,
    deliveries: &[Delivery],
    targets: BTreeMap<MessageId, Vec<u8>>,
) -> Result<()> {
    let Some(first) = deliveries.first() else { return Ok(()) };
    let targets: Vec<_> = targets.iter().filter(|(_, added)| !added.is_empty()).collect();
    if targets.is_empty() {
        return Ok(());
    }
    let ids: Vec<&[u8]> = targets.iter().map(|(id, _)| id.raw().as_slice()).collect();
    let added: Vec<&[u8]> = targets.iter().map(|(_, added)| added.as_slice()).collect();
    let sql = "/* enqueue */ UPDATE message m SET endpoints = m.endpoints || u.added
         FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[]) AS u (org, app, id, added)
         WHERE m.org = u.org AND m.app = u.app AND m.id = u.id";
    let (orgs, apps) = keys_of(first, ids.len());
    tx.execute(sql, &[&orgs, &apps, &ids, &added]).await?;
    Ok(())
}

/// The tenant, once for each of its rows: rows are found by all of their key then. By the tenant alone
/// all of an application's messages would be read, and the others thrown away.
fn keys_of(delivery: &Delivery, rows: usize) -> (Vec<&[u8]>, Vec<&[u8]>) {
    (vec![delivery.org.raw(); rows], vec![delivery.app.raw(); rows])
}
