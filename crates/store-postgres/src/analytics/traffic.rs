//! Messages, and what sources made no event of. Any node takes messages of any application, so they have
//! no owner that could gather them: each is counted by the transaction that stores it, in `traffic`.

use std::collections::BTreeMap;

use domain::{
    analytics::{Rollup, UNACCEPTED, Unit},
    clock::Timestamp,
};
use store::analytics::UnacceptedCount;
use tokio_postgres::{Row, types::ToSql};

use super::marks;
use crate::{
    Shared,
    conn::Params,
    error::{Error, Result},
    rows,
};

/// How often it is tried again, where it lost against another transaction.
const MOST_CONFLICTS: u32 = 5;

/// What is counted in rows of `traffic`, added up: for [`rollup`].
pub(crate) const SUMS: &str = "sum(t.messages)::bigint, sum(t.bytes)::bigint, \
    sum(t.unaccepted_0)::bigint, sum(t.unaccepted_1)::bigint, sum(t.unaccepted_2)::bigint, \
    sum(t.unaccepted_3)::bigint, sum(t.unaccepted_4)::bigint";

const ADD: &str = "/* count_unaccepted */ INSERT INTO traffic AS t (org, app, at, event_type, slot,
        messages, bytes, unaccepted_0, unaccepted_1, unaccepted_2, unaccepted_3, unaccepted_4)
    SELECT u.org, u.app, u.at, u.event_type, $5, u.messages, u.bytes, u.n0, u.n1, u.n2, u.n3, u.n4
    FROM unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::text[], $6::bigint[], $7::bigint[],
        $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[])
        AS u (org, app, at, event_type, messages, bytes, n0, n1, n2, n3, n4)
    ORDER BY u.org, u.app, u.at, u.event_type
    ON CONFLICT (org, app, at, event_type, slot) DO UPDATE SET
        messages = t.messages + excluded.messages, bytes = t.bytes + excluded.bytes,
        unaccepted_0 = t.unaccepted_0 + excluded.unaccepted_0,
        unaccepted_1 = t.unaccepted_1 + excluded.unaccepted_1,
        unaccepted_2 = t.unaccepted_2 + excluded.unaccepted_2,
        unaccepted_3 = t.unaccepted_3 + excluded.unaccepted_3,
        unaccepted_4 = t.unaccepted_4 + excluded.unaccepted_4";

/// Reads [`SUMS`], of which `first` is the first one's place.
pub(crate) fn rollup(row: &Row, first: usize) -> Result<Rollup> {
    let count = |column| Ok::<_, Error>(rows::get::<i64>(row, first + column)?.unsigned_abs());
    let mut rollup = Rollup { messages: count(0)?, bytes: count(1)?, ..Rollup::default() };
    for (at, unaccepted) in rollup.unaccepted.iter_mut().enumerate() {
        *unaccepted = count(2 + at)?;
    }
    Ok(rollup)
}

/// Adds to what is counted. Keys are of minutes, and have no endpoint.
pub(super) async fn add(
    conn: &crate::conn::Conn,
    counts: &BTreeMap<super::Key, Rollup>,
    slot: i16,
) -> Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    let keys = || counts.keys();
    let orgs: Vec<&[u8]> = keys().map(|key| &key.org.raw()[..]).collect();
    let apps: Vec<&[u8]> = keys().map(|key| &key.app.raw()[..]).collect();
    let at: Vec<i64> = keys().map(|key| key.at.as_micros()).collect();
    let types: Vec<&str> = keys().map(|key| super::rows::type_text(&key.event_type)).collect();
    let numbers = |of: &dyn Fn(&Rollup) -> u64| -> Vec<i64> {
        counts.values().map(|rollup| of(rollup).cast_signed()).collect()
    };
    let (messages, bytes) = (numbers(&|rollup| rollup.messages), numbers(&|rollup| rollup.bytes));
    let not: [Vec<i64>; UNACCEPTED] =
        std::array::from_fn(|why| numbers(&|rollup| rollup.unaccepted[why]));
    let first: Params<'_> = &[&orgs, &apps, &at, &types, &slot, &messages, &bytes];
    let mut params = first.to_vec();
    params.extend(not.iter().map(|column| column as &(dyn ToSql + Sync)));
    conn.execute(ADD, &params).await?;
    Ok(())
}

impl Shared {
    /// Whether some of what is counted of these moments may have been rolled up: the earliest of them.
    /// Then [`Self::counted_late`] comes before the commit.
    pub(crate) fn late(&self, at: impl Iterator<Item = Timestamp>) -> Option<Timestamp> {
        let (oldest, now) = (at.min()?, self.ports.clock.now());
        self.counting.begun.is_late(oldest, now).then(|| Unit::Minute.floor(oldest))
    }

    /// Sees to it that what is late is rolled up again.
    pub(crate) async fn counted_late(
        &self,
        conn: &crate::conn::Conn,
        oldest: Timestamp,
    ) -> Result<()> {
        marks::counted_at(conn, &self.counting.begun, oldest).await
    }

    pub(super) async fn count_unaccepted(&self, counts: &[UnacceptedCount]) -> Result<()> {
        let mut sums: BTreeMap<super::Key, Rollup> = BTreeMap::new();
        for UnacceptedCount { tenant, at, why, count } in counts {
            let at = Unit::Minute.floor(*at);
            let (org, app) = (tenant.org, tenant.app);
            let key = super::Key { org, app, at, endpoint: None, event_type: None };
            sums.entry(key).or_default().unaccepted[*why as usize] += count;
        }
        let late = self.late(sums.keys().map(|key| key.at));
        let mut conflicts = 0;
        loop {
            let tx = self.begin().await?;
            let written = async {
                // Nothing is promised of them: nobody waits for the disk.
                tx.batch("SET LOCAL synchronous_commit = off").await?;
                add(&tx, &sums, self.counting.slot).await?;
                match late {
                    Some(oldest) => self.counted_late(&tx, oldest).await,
                    None => Ok(()),
                }
            };
            match written.await {
                Ok(()) => return tx.commit().await,
                Err(error) if error.is_conflict() && conflicts < MOST_CONFLICTS => conflicts += 1,
                Err(error) => return Err(error),
            }
        }
    }
}
