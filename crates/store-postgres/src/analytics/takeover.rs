//! What the next owner of a shard finds of what the one before it counted and did not write: all of the
//! minutes from the shard's mark on are counted anew, from attempts.

use std::collections::{HashMap, VecDeque};

use domain::{
    analytics::Counted as Record,
    clock::Timestamp,
    id::{ApplicationId, EndpointId, OrganizationId},
    shard::Shard,
};
use store::history::Tenant;

use super::{
    flush::{not_owned, write_minutes},
    gather::{Key, Owned},
    recount::{Counted, ENDPOINTS, PAGE, Walk, attempts},
    rows::Mode,
};
use crate::{
    Shared,
    conn::{Conn, Params, Tx},
    error::Result,
    rows,
};

/// Rows after which what was counted is written.
const WRITE_ROWS: usize = 2_000;

/// Endpoints behind one, deleted or not, in the order of their keys.
async fn endpoints(conn: &Conn, after: &[Vec<u8>; 3]) -> Result<Vec<(Tenant, EndpointId)>> {
    let sql = "/* recount */ SELECT org, app, endpoint FROM endpoint
               WHERE (org, app, endpoint) > ($1, $2, $3) ORDER BY org, app, endpoint LIMIT $4";
    let params: Params<'_> = &[&after[0], &after[1], &after[2], &(PAGE as i64)];
    let found = conn.query(sql, params).await?;
    let endpoint = |row: &tokio_postgres::Row| {
        let (org, app): (OrganizationId, ApplicationId) = (rows::id(row, 0)?, rows::id(row, 1)?);
        Ok((Tenant { org, app }, rows::id(row, 2)?))
    };
    found.iter().map(endpoint).collect()
}

/// Recounts the shards that wait for it. What this node counts of them meanwhile is not in it: what is
/// committed before the snapshot is, and nothing else.
pub(super) async fn take_over(shared: &Shared) -> Result<()> {
    let gather = &shared.counting.gather;
    let shards = gather.to_recount();
    if shards.is_empty() {
        return Ok(());
    }
    let (snapshot, marks) = {
        let _writing = gather.writing.lock().await;
        let snapshot = shared.snapshot().await?;
        let marks = marks(&snapshot).await?;
        gather.forget_counts(&shards);
        (snapshot, marks)
    };
    let wanted: HashMap<Shard, Owned> = shards.iter().map(|(key, _)| (key.0, *key)).collect();
    let mut after: [Vec<u8>; 3] = Default::default();
    let (mut walks, mut counted, mut more) = (VecDeque::new(), Counted::new(), true);
    while more || !walks.is_empty() {
        if walks.len() < ENDPOINTS && more {
            let page = endpoints(&snapshot, &after).await?;
            more = page.len() == PAGE;
            for (tenant, endpoint) in page {
                after = [&tenant.org.raw()[..], &tenant.app.raw()[..], &endpoint.raw()[..]]
                    .map(<[u8]>::to_vec);
                let shard = Shard::of(&tenant.org, &tenant.app, &endpoint);
                let since = marks.get(&shard).filter(|_| wanted.contains_key(&shard));
                walks.extend(since.map(|since| Walk::new(tenant, endpoint, *since)));
            }
            continue;
        }
        let count = |key, record: Record| record.add_to(counted.entry(key).or_default());
        attempts(&snapshot, &mut walks, Timestamp::MAX, count).await?;
        // A key is whole when its endpoint has no more.
        if counted.len() >= WRITE_ROWS {
            let open: Vec<EndpointId> = walks.iter().map(|walk| walk.endpoint).collect();
            let whole = |key: &Key| key.endpoint.is_some_and(|endpoint| !open.contains(&endpoint));
            let (write, keep) = counted.into_iter().partition(|(key, _)| whole(key));
            counted = keep;
            if !put(shared, &write, &wanted).await? {
                return Ok(());
            }
        }
    }
    snapshot.rollback().await?;
    if put(shared, &counted, &wanted).await? {
        gather.recounted(&shards, &marks);
    }
    Ok(())
}

/// Up to when shards are counted.
pub(super) async fn marks(conn: &Conn) -> Result<HashMap<Shard, Timestamp>> {
    let found = conn.query("/* recount */ SELECT shard, up_to FROM counted", &[]).await?;
    let mark = |row: &tokio_postgres::Row| {
        Ok((Shard(rows::narrow(rows::get::<i16>(row, 0)?)?), rows::time(row, 1)?))
    };
    found.iter().map(mark).collect()
}

/// Writes what was found in the place of what is there. False, and nothing is written, if some of these
/// shards are another node's by now: the rest begins anew.
async fn put(shared: &Shared, counted: &Counted, shards: &HashMap<Shard, Owned>) -> Result<bool> {
    let counting = &shared.counting;
    let tx = Tx::begin(shared.conn(&counting.pool).await?).await?;
    write_minutes(&tx, counting, counted, Mode::Put).await?;
    let lost = not_owned(&tx, &shared.node, shards.values().copied()).await?;
    if lost.is_empty() {
        tx.commit().await?;
        return Ok(true);
    }
    counting.gather.drop_shards(&lost);
    tx.rollback().await?;
    Ok(false)
}
