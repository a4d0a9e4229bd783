//! Retention: a bounded step at a time. History and bodies go by whole partitions, whose time is over;
//! what is in no partition of its own goes row by row, as do claims, tokens and the like. One node
//! sweeps; should a second one do so as well, each step is done by one of them.

mod dropping;
mod expired;
mod history;
mod pages;
mod payloads;

use std::{collections::HashMap, time::Duration};

use domain::clock::Timestamp;
use store::housekeeping::{RetentionLimits, Swept};

use self::pages::MOST_PAGES;
pub(crate) use self::pages::Pages;
use crate::{
    Shared,
    conn::Tx,
    error::{Error, Result},
    partitions::{self, Partition, Table},
    rows,
};

/// Held by whoever takes rows away, for one transaction. ("Hkws")
const LOCK: i64 = 0x486b_7773;
/// Whoever holds a table for long (a check, a backup) goes on holding it, and to ask for it keeps
/// everybody else waiting for a moment: so that is not done at every step.
const REST: Duration = Duration::from_secs(120);

/// Most rows of a kind that one step takes away, whatever is asked for: it has to end in time.
const MOST_ROWS: usize = 5_000;

/// What is known from the last steps.
#[derive(Default)]
pub(crate) struct Sweeper {
    /// The span of time for which partitions have been made.
    made: Option<Timestamp>,
    /// When tables were found in use.
    in_use: Option<Timestamp>,
    /// Bodies that expire until then are gone, as far as this node has said so.
    payloads_swept: Option<Timestamp>,
    ending: payloads::Ending,
    payloads: Pages,
    messages: Pages,
    attempts: Pages,
    /// Partitions of messages with too much work left to be dropped, and when that was seen.
    busy: HashMap<String, Timestamp>,
}

impl Sweeper {
    /// One step of each part.
    pub(crate) async fn sweep(
        &mut self,
        shared: &Shared,
        limits: RetentionLimits,
    ) -> Result<Swept> {
        let limits = RetentionLimits { rows: limits.rows.min(MOST_ROWS), ..limits };
        // A fault of one part does not keep the others from their work.
        let listed = self.partitions(shared, limits.now).await;
        let partitions = listed.as_deref().unwrap_or_default();
        let parts = [
            self.payloads(shared, limits, partitions).await,
            self.history(shared, limits, partitions).await,
            expired::sweep(shared, limits).await,
        ];
        listed?;
        let mut swept = Swept::default();
        for part in parts {
            swept += part?;
        }
        Ok(swept)
    }

    /// Sees to it that there are partitions; which there are.
    async fn partitions(&mut self, shared: &Shared, now: Timestamp) -> Result<Vec<Partition>> {
        let span = partitions::span_of(&shared.options, now);
        if self.made != Some(span) && !self.rests(now) {
            let made = partitions::ensure(shared, now).await?;
            self.made = made.then_some(span);
            self.in_use = (!made).then_some(now);
        }
        partitions::list(&shared.read().await?).await
    }

    /// Whether tables were in use a moment ago.
    fn rests(&self, now: Timestamp) -> bool {
        self.in_use.is_some_and(|since| is_within(since, REST, now))
    }

    /// What a change of partitions came to: nothing, if their tables are in use.
    fn changed<T: Default>(&mut self, result: Result<T>, now: Timestamp) -> Result<T> {
        match result {
            Err(error) if partitions::is_in_use(&error) => {
                tracing::warn!(%error, "a partition could not be dropped now");
                self.in_use = Some(now);
                Ok(T::default())
            }
            result => result,
        }
    }
}

/// Whether `now` is less than `rest` after `since`. A clock that was set back ends the rest.
fn is_within(since: Timestamp, rest: Duration, now: Timestamp) -> bool {
    since <= now && now < since.plus(rest)
}

/// Partitions of a table whose time was over at `at`, the earliest first.
fn over(partitions: &[Partition], table: Table, at: Timestamp) -> impl Iterator<Item = &Partition> {
    partitions.iter().filter(move |partition| partition.table == table && partition.to <= at)
}

/// A transaction of a step; `None` while another node is at it.
async fn begin(shared: &Shared) -> Result<Option<Tx>> {
    let tx = shared.begin().await?;
    let row = tx.query_one("/* sweep */ SELECT pg_try_advisory_xact_lock($1)", &[&LOCK]).await?;
    if rows::get(&row, 0)? {
        return Ok(Some(tx));
    }
    tx.rollback().await?;
    Ok(None)
}

/// Ends a transaction that did something, or nothing.
async fn end(tx: Tx, did: bool) -> Result<()> {
    if did { tx.commit().await } else { tx.rollback().await }
}

/// A bound on rows, for SQL.
fn limit(limits: RetentionLimits) -> i64 {
    i64::try_from(limits.rows).unwrap_or(i64::MAX)
}

/// A number of rows.
fn count(rows: u64) -> Result<usize> {
    usize::try_from(rows).map_err(Error::corrupt)
}
