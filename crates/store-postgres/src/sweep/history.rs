//! Messages with their deliveries, and attempts, that are older than history is kept. A partition goes
//! when all of it is old. What still has work left moves to the default partition before; there rows go
//! one by one, each message when its work is done.

use std::time::Duration;

use domain::id::{AttemptId, MessageId};
use store::housekeeping::{RetentionLimits, Swept};
use tokio_postgres::Row;

use super::{
    MOST_PAGES, Sweeper, begin, count,
    dropping::{Dropped, drop_attempts, drop_messages},
    end, is_within, limit, over,
};
use crate::{
    Shared, analytics,
    conn::Params,
    error::Result,
    partitions::{Partition, Table},
    rows,
};

/// How long such a partition is left alone.
const BUSY_REST: Duration = Duration::from_secs(600);

/// A message `m` of the default partition has work left.
macro_rules! has_work {
    () => {
        "EXISTS (SELECT 1 FROM generate_series(1, length(m.endpoints), 20) AS place
             CROSS JOIN LATERAL (SELECT 1 FROM delivery_default d WHERE d.org = m.org
                 AND d.app = m.app AND d.endpoint = substr(m.endpoints, place, 20)
                 AND d.message = m.id AND d.state IS NULL LIMIT 1) d)"
    };
}

impl Sweeper {
    /// One partition of messages or of attempts, and some rows of the default ones.
    pub(super) async fn history(
        &mut self,
        shared: &Shared,
        limits: RetentionLimits,
        partitions: &[Partition],
    ) -> Result<Swept> {
        let mut swept = self.drop_old(shared, limits, partitions).await?;
        swept += self.remove_messages(shared, limits).await?;
        swept += self.remove_attempts(shared, limits).await?;
        Ok(swept)
    }

    /// Drops the earliest partition of messages or, if there is none, of attempts.
    async fn drop_old(
        &mut self,
        shared: &Shared,
        RetentionLimits { now, history_before, .. }: RetentionLimits,
        partitions: &[Partition],
    ) -> Result<Swept> {
        self.busy.retain(|_, since| is_within(*since, BUSY_REST, now));
        let (messages, attempts) = (
            over(partitions, Table::Message, history_before),
            over(partitions, Table::Attempt, history_before),
        );
        let mut old = messages.filter(|old| !self.busy.contains_key(&old.name)).chain(attempts);
        let Some(first) = old.next().filter(|_| !self.rests(now)) else {
            return Ok(Swept::default());
        };
        let more = old.next().is_some();
        drop(old);
        let dropped = match first.table {
            Table::Message => drop_messages(shared, first).await,
            _ => drop_attempts(shared, first).await,
        };
        match self.changed(dropped, now)? {
            Dropped::Gone(swept) => Ok(Swept { more, ..swept }),
            Dropped::Busy => {
                tracing::warn!(
                    partition = first.name,
                    "history is kept longer than asked for, because much of it has work left"
                );
                self.busy.insert(first.name.clone(), now);
                Ok(Swept { more, ..Swept::default() })
            }
            Dropped::NotNow => Ok(Swept::default()),
        }
    }

    /// Removes old messages of the default partition that have no work left, with their deliveries and
    /// bodies.
    async fn remove_messages(&mut self, shared: &Shared, limits: RetentionLimits) -> Result<Swept> {
        const OLD: &str = concat!(
            "/* sweep */ SELECT m.org, m.app, m.id FROM message_default m
             WHERE m.ctid >= $1::text::tid AND m.ctid < $2::text::tid AND m.id < $3 AND NOT ",
            has_work!(),
            " LIMIT $4 FOR UPDATE OF m SKIP LOCKED"
        );
        // Whoever adds work to a message locks it: so this is seen after the lock was had.
        const REMOVE: &str = concat!(
            "/* sweep */ DELETE FROM message_default m
             USING unnest($1::bytea[], $2::bytea[], $3::bytea[]) AS u (org, app, id)
             WHERE m.org = u.org AND m.app = u.app AND m.id = u.id AND NOT ",
            has_work!(),
            " RETURNING m.org, m.app, m.id, m.endpoints, m.expires_at"
        );
        let Some(tx) = begin(shared).await? else { return Ok(Swept::default()) };
        let part = self.messages.part(&tx, "message_default", MOST_PAGES).await?;
        let end_of = MessageId::floor(limits.history_before);
        let params: Params<'_> = &[&part.from, &part.to, &end_of.raw().as_slice(), &limit(limits)];
        let found = tx.query(OLD, params).await?;
        let more = found.len() >= limits.rows;
        let mut swept = Swept { more, ..Swept::default() };
        if !found.is_empty() {
            let before = limits.history_before.as_micros();
            tx.execute(analytics::SWEEP_HISTORY, &[&before]).await?;
            let old = Messages::of(&found)?;
            let gone = tx.query(REMOVE, &[&old.org, &old.app, &old.id]).await?;
            let (messages, deliveries) = (Messages::of(&gone)?, Deliveries::of(&gone)?);
            swept.messages = gone.len();
            let sql = "/* sweep */ DELETE FROM delivery_default d
                 USING unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[])
                     AS u (org, app, endpoint, message)
                 WHERE d.org = u.org AND d.app = u.app AND d.endpoint = u.endpoint
                 AND d.message = u.message";
            swept.deliveries = count(tx.execute(sql, &deliveries.params()).await?)?;
            let expires_at: Vec<i64> =
                gone.iter().map(|row| rows::get(row, 4)).collect::<Result<_>>()?;
            let sql = "/* sweep */ DELETE FROM payload p
                 USING unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[])
                     AS u (org, app, message, expires_at)
                 WHERE p.org = u.org AND p.app = u.app AND p.message = u.message
                 AND p.expires_at = u.expires_at";
            let Messages { org, app, id } = &messages;
            swept.payloads = count(tx.execute(sql, &[org, app, id, &expires_at]).await?)?;
        }
        end(tx, !found.is_empty()).await?;
        if !more {
            self.messages = part.next;
        }
        Ok(swept)
    }

    /// Removes old attempts of the default partition.
    async fn remove_attempts(&mut self, shared: &Shared, limits: RetentionLimits) -> Result<Swept> {
        let Some(tx) = begin(shared).await? else { return Ok(Swept::default()) };
        let part = self.attempts.part(&tx, "attempt_default", MOST_PAGES).await?;
        let end_of = AttemptId::floor(limits.history_before);
        let removed = tx
            .execute(
                "/* sweep */ DELETE FROM attempt_default WHERE ctid = ANY (ARRAY(
                     SELECT ctid FROM attempt_default WHERE ctid >= $1::text::tid
                     AND ctid < $2::text::tid AND id < $3 LIMIT $4))",
                &[&part.from, &part.to, &end_of.raw().as_slice(), &limit(limits)],
            )
            .await?;
        if removed > 0 {
            let before = limits.history_before.as_micros();
            tx.execute(analytics::SWEEP_HISTORY, &[&before]).await?;
        }
        end(tx, removed > 0).await?;
        let attempts = count(removed)?;
        let more = attempts >= limits.rows;
        if !more {
            self.attempts = part.next;
        }
        Ok(Swept { attempts, more, ..Swept::default() })
    }
}

/// Messages, a column each.
pub(super) struct Messages<'a> {
    pub(super) org: Vec<&'a [u8]>,
    pub(super) app: Vec<&'a [u8]>,
    pub(super) id: Vec<&'a [u8]>,
}

impl<'a> Messages<'a> {
    pub(super) fn of(found: &'a [Row]) -> Result<Self> {
        let column = |at| found.iter().map(|row| rows::bytes(row, at)).collect::<Result<_>>();
        Ok(Self { org: column(0)?, app: column(1)?, id: column(2)? })
    }
}

/// Where messages went, a column each.
#[derive(Default)]
pub(super) struct Deliveries<'a> {
    pub(super) org: Vec<&'a [u8]>,
    pub(super) app: Vec<&'a [u8]>,
    pub(super) endpoint: Vec<&'a [u8]>,
    pub(super) message: Vec<&'a [u8]>,
}

impl<'a> Deliveries<'a> {
    /// From messages with their endpoints.
    pub(super) fn of(found: &'a [Row]) -> Result<Self> {
        let mut columns = Self::default();
        for row in found {
            let mut endpoints: Vec<_> = rows::bytes(row, 3)?.chunks_exact(20).collect();
            endpoints.sort_unstable();
            endpoints.dedup();
            for endpoint in endpoints {
                columns.org.push(rows::bytes(row, 0)?);
                columns.app.push(rows::bytes(row, 1)?);
                columns.endpoint.push(endpoint);
                columns.message.push(rows::bytes(row, 2)?);
            }
        }
        Ok(columns)
    }

    pub(super) fn params(&self) -> [&(dyn tokio_postgres::types::ToSql + Sync); 4] {
        [&self.org, &self.app, &self.endpoint, &self.message]
    }
}
