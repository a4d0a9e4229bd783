//! Writing what was counted, every few seconds: in one transaction, with how far each shard is counted.
//! Whether the shards are still this node's is looked at last of all, under a lock on their leases: so
//! that whoever takes one over waits for the commit, and for nothing else.

use std::collections::{BTreeMap, HashSet};

use domain::{
    analytics::{Rollup, Unit},
    clock::Timestamp,
};
use store::deliveries::NO_EPOCH;

use super::{
    Counting,
    gather::{Counts, Gather, Key, Mark, Owned},
    marks,
    rows::{self as stored, Mode},
    takeover,
};
use crate::{
    Shared,
    committer::Failed,
    conn::{Conn, Tx},
    error::Result,
    rows,
};

/// How often it is tried again, where it lost against another transaction or some of it is another
/// node's by now.
const MOST_TRIES: u32 = 5;

/// What became of a transaction.
enum Outcome {
    Written,
    /// Nothing was: these are another node's.
    NotOwned(Vec<Owned>),
}

/// What is being written. Dropped before it is known what became of it, it is recounted.
struct Taken<'a> {
    gather: &'a Gather,
    counts: Vec<(Owned, Counts)>,
}

impl Taken<'_> {
    /// It is known.
    fn into_counts(mut self) -> Vec<(Owned, Counts)> {
        std::mem::take(&mut self.counts)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.gather.recount_later(self.counts.iter().map(|(key, _)| *key));
    }
}

impl Shared {
    /// One at a time: counts of an endpoint have one writer.
    pub(super) async fn flush_rollups(&self, owned: &[Owned]) -> Result<()> {
        let counting = &self.counting;
        let _one = counting.flushing.lock().await;
        counting.gather.own(owned);
        // What fails there does not keep the other shards from being written.
        let recounted = takeover::take_over(self).await;
        self.write_gathered().await?;
        recounted
    }

    async fn write_gathered(&self) -> Result<()> {
        let gather = &self.counting.gather;
        let mut tries = 0;
        loop {
            tries += 1;
            let taken = Taken { gather, counts: gather.take() };
            if taken.counts.is_empty() && gather.rising(self.ports.clock.now()).is_empty() {
                return Ok(());
            }
            let failed = match self.write_taken(&taken.counts).await {
                Ok(Outcome::Written) => {
                    taken.into_counts();
                    return Ok(());
                }
                Ok(Outcome::NotOwned(lost)) => {
                    let lost_shards: HashSet<&Owned> = lost.iter().collect();
                    let kept = taken
                        .into_counts()
                        .into_iter()
                        .filter(|(key, _)| !lost_shards.contains(key));
                    gather.put_back(kept.collect());
                    gather.drop_shards(&lost);
                    None
                }
                // It may have been done all the same: it is dropped.
                Err(failed) if failed.committing => Some(failed.error),
                Err(failed) => {
                    gather.put_back(taken.into_counts());
                    Some(failed.error)
                }
            };
            match failed {
                Some(error) if !error.is_conflict() || tries >= MOST_TRIES => return Err(error),
                // The next one goes on.
                None if tries >= MOST_TRIES => return Ok(()),
                _ => {}
            }
        }
    }

    async fn write_taken(&self, taken: &[(Owned, Counts)]) -> Result<Outcome, Failed> {
        let counting = &self.counting;
        let tx = Tx::begin(self.conn(&counting.pool).await?).await?;
        let mut counts: BTreeMap<Key, Rollup> = BTreeMap::new();
        for (key, rollup) in taken.iter().flat_map(|(_, counts)| counts) {
            counts.entry(key.clone()).or_default().merge(rollup);
        }
        write_minutes(&tx, counting, &counts, Mode::Add).await?;
        // What settles from now on sees the new marks. It waits for a commit.
        let _writing = counting.gather.writing.lock().await;
        let marks = counting.gather.rising(self.ports.clock.now());
        let concerned = taken.iter().map(|(key, _)| *key).chain(marks.iter().map(|(key, _)| *key));
        let lost = not_owned(&tx, &self.node, concerned).await?;
        if !lost.is_empty() {
            tx.rollback().await?;
            return Ok(Outcome::NotOwned(lost));
        }
        write_marks(&tx, &marks).await?;
        let committed = tx.commit_with(async { Ok(()) }).await;
        if committed.as_ref().err().is_none_or(|failed| failed.committing) {
            // A mark that is taken for higher than it is does no harm: it is lowered in vain.
            counting.gather.marked(&marks);
        }
        committed.map(|()| Outcome::Written)
    }
}

/// Writes minutes of endpoints with their sums, and sees to it that they are rolled up.
pub(super) async fn write_minutes(
    tx: &Conn,
    counting: &Counting,
    counts: &BTreeMap<Key, Rollup>,
    mode: Mode,
) -> Result<()> {
    let Some(oldest) = counts.keys().map(|key| key.at).min() else { return Ok(()) };
    let unit = Unit::Minute;
    stored::lock_slot(tx, counting.slot).await?;
    let sums = stored::write_details(tx, unit, counts, mode).await?;
    sums.write(tx, (unit, counting.slot), Mode::Add).await?;
    marks::counted_at(tx, &counting.begun, oldest).await
}

/// Those that this node does not own under that epoch. The others it owns until the transaction ends:
/// whoever is taking one over at this moment is not waited for.
pub(super) async fn not_owned(
    tx: &Conn,
    node: &[u8],
    shards: impl Iterator<Item = Owned>,
) -> Result<Vec<Owned>> {
    let shards: BTreeMap<i16, Owned> = shards
        .filter(|(_, epoch)| *epoch != NO_EPOCH)
        .map(|key| (key.0.0.cast_signed(), key))
        .collect();
    if shards.is_empty() {
        return Ok(Vec::new());
    }
    let numbers: Vec<i16> = shards.keys().copied().collect();
    let epochs: Vec<i64> = shards.values().map(|(_, epoch)| epoch.cast_signed()).collect();
    let sql =
        "/* rollup */ SELECT l.shard FROM unnest($1::smallint[], $2::bigint[]) AS u (shard, epoch)
         JOIN lease l ON l.shard = u.shard AND l.epoch = u.epoch AND l.node = $3
         ORDER BY l.shard FOR SHARE OF l SKIP LOCKED";
    let found = tx.query(sql, &[&numbers, &epochs, &node]).await?;
    let owned = found.iter().map(|row| rows::get(row, 0)).collect::<Result<HashSet<i16>>>()?;
    Ok(shards.into_iter().filter(|(shard, _)| !owned.contains(shard)).map(|(_, key)| key).collect())
}

fn columns(marks: &[Mark]) -> (Vec<i16>, Vec<i64>) {
    let sorted: BTreeMap<i16, Timestamp> =
        marks.iter().map(|((shard, _), mark)| (shard.0.cast_signed(), *mark)).collect();
    sorted.into_iter().map(|(shard, mark)| (shard, mark.as_micros())).unzip()
}

/// Says how far shards are counted.
async fn write_marks(tx: &Conn, marks: &[Mark]) -> Result<()> {
    if marks.is_empty() {
        return Ok(());
    }
    let (shards, marks) = columns(marks);
    let sql = "/* rollup */ UPDATE counted c SET up_to = u.up_to
         FROM unnest($1::smallint[], $2::bigint[]) AS u (shard, up_to) WHERE c.shard = u.shard";
    tx.execute(sql, &[&shards, &marks]).await?;
    Ok(())
}

/// Outcomes that come late: should this node end before they are written, they must be found again.
pub(super) async fn lower_marks(tx: &Conn, marks: &[Mark]) -> Result<()> {
    let (shards, marks) = columns(marks);
    let sql = "/* settle */ UPDATE counted c SET up_to = u.up_to
         FROM unnest($1::smallint[], $2::bigint[]) AS u (shard, up_to)
         WHERE c.shard = u.shard AND c.up_to > u.up_to";
    tx.execute(sql, &[&shards, &marks]).await?;
    Ok(())
}
