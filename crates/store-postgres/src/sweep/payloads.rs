//! Bodies whose time is over. They are not visible any more as soon as the mark `payloads_swept` has
//! passed them; their rows go later, by partitions. What is still pending of them ends.

use std::time::Duration;

use domain::{
    clock::Timestamp,
    delivery::{Cause, EndState},
};
use store::housekeeping::{RetentionLimits, Swept};
use tokio_postgres::Row;

use super::{MOST_PAGES, Pages, Sweeper, begin, count, dropping::drop_payloads, end, limit, over};
use crate::{
    Shared,
    ending::{self, Pending},
    error::Result,
    partitions::{Partition, Table},
    rows,
};

/// A walk over `due` for what is pending beyond its payload's time. Not by an index: one of all rows
/// would cost more than to read the table, which is small because work ends.
#[derive(Default)]
pub(super) struct Ending {
    pages: Pages,
    /// Of the round that goes on: when it began.
    until: Option<Timestamp>,
    /// What was over by then has ended.
    done: Option<Timestamp>,
}

/// Moves the mark forwards, never back.
pub(super) const MOVE_MARK: &str = "/* sweep */ INSERT INTO meta (name, value)
    VALUES ('payloads_swept', convert_to($1::bigint::text, 'UTF8'))
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
    WHERE convert_from(meta.value, 'UTF8')::bigint < $1";

impl Sweeper {
    pub(super) async fn payloads(
        &mut self,
        shared: &Shared,
        limits: RetentionLimits,
        partitions: &[Partition],
    ) -> Result<Swept> {
        let now = limits.now;
        // Whole minutes, because each move is a transaction.
        let seconds = Duration::from_secs(now.as_secs().rem_euclid(60).unsigned_abs());
        let mark = Timestamp::from_secs(now.as_secs()).minus(seconds);
        if self.payloads_swept.is_none_or(|swept| swept < mark) {
            shared.read().await?.execute(MOVE_MARK, &[&mark.as_micros()]).await?;
            self.payloads_swept = Some(mark);
        }
        let mut swept = self.end_expired(shared, limits).await?;
        swept += self.drop_expired(shared, partitions, now).await?;
        swept += self.remove_expired(shared, limits, mark).await?;
        Ok(swept)
    }

    /// Ends what is still pending of bodies that have expired, in a part of `due`.
    async fn end_expired(&mut self, shared: &Shared, limits: RetentionLimits) -> Result<Swept> {
        let Some(tx) = begin(shared).await? else { return Ok(Swept::default()) };
        // A clock that was set back begins a round anew.
        let until = self.ending.until.filter(|until| *until <= limits.now).unwrap_or(limits.now);
        let part = self.ending.pages.part(&tx, "due", MOST_PAGES).await?;
        let found = tx
            .query(
                "/* sweep */ SELECT org, app, endpoint, message, delivery, due FROM due
                 WHERE ctid >= $1::text::tid AND ctid < $2::text::tid AND give_up_at <= $3
                 LIMIT $4",
                &[&part.from, &part.to, &until.as_micros(), &limit(limits)],
            )
            .await?;
        let over = found.iter().map(pending).collect::<Result<Vec<_>>>()?;
        let mut expired = 0;
        if !over.is_empty() {
            let end = (EndState::Exhausted, Cause::PayloadExpired);
            match ending::end_pending(&tx, &over, end, limits.now).await {
                Ok(ended) => expired = ended,
                // The next step does it.
                Err(error) if error.is_conflict() => return Ok(Swept::default()),
                Err(error) => return Err(error),
            }
        }
        end(tx, !over.is_empty()).await?;
        self.ending.until = Some(until);
        let more = over.len() >= limits.rows;
        if !more {
            self.ending.pages = part.next;
            if part.is_last() {
                self.ending.done = self.ending.until.take();
            }
        }
        Ok(Swept { expired, more, ..Swept::default() })
    }

    /// Drops the earliest partition of which all has expired, and nothing is pending.
    async fn drop_expired(
        &mut self,
        shared: &Shared,
        partitions: &[Partition],
        now: Timestamp,
    ) -> Result<Swept> {
        let Some(done) = self.ending.done.filter(|_| !self.rests(now)) else {
            return Ok(Swept::default());
        };
        let mut over = over(partitions, Table::Payload, done.min(now));
        let Some(first) = over.next() else { return Ok(Swept::default()) };
        let more = over.next().is_some();
        let dropped = self.changed(drop_payloads(shared, first).await, now)?;
        let payloads = dropped.unwrap_or(0);
        Ok(Swept { payloads, more: more && dropped.is_some(), ..Swept::default() })
    }

    /// Removes rows of the default partition that have expired.
    async fn remove_expired(
        &mut self,
        shared: &Shared,
        limits: RetentionLimits,
        mark: Timestamp,
    ) -> Result<Swept> {
        let Some(tx) = begin(shared).await? else { return Ok(Swept::default()) };
        let part = self.payloads.part(&tx, "payload_default", MOST_PAGES).await?;
        let removed = tx
            .execute(
                "/* sweep */ DELETE FROM payload_default WHERE ctid = ANY (ARRAY(
                     SELECT ctid FROM payload_default WHERE ctid >= $1::text::tid
                     AND ctid < $2::text::tid AND expires_at <= $3 LIMIT $4
                     FOR UPDATE SKIP LOCKED))",
                &[&part.from, &part.to, &mark.as_micros(), &limit(limits)],
            )
            .await?;
        end(tx, removed > 0).await?;
        let payloads = count(removed)?;
        let more = payloads >= limits.rows;
        if !more {
            self.payloads = part.next;
        }
        Ok(Swept { payloads, more, ..Swept::default() })
    }
}

fn pending(row: &Row) -> Result<Pending> {
    Ok(Pending {
        org: rows::id(row, 0)?,
        app: rows::id(row, 1)?,
        endpoint: rows::id(row, 2)?,
        message: rows::id(row, 3)?,
        delivery: rows::id(row, 4)?,
        due: rows::time(row, 5)?,
    })
}
