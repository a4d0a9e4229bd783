//! What attempts come to: one statement for any number of outcomes, and a few more for the rare ones
//! that mean something beyond their delivery.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    delivery::{Cause, EndState, Health, Next, Trigger},
    id::DeliveryId,
};
use futures_util::future;
use store::deliveries::{Settle, Settled};
use tokio_postgres::Row;

use crate::{
    Shared, analytics,
    committer::{Act, Failed, Key},
    conn::{BEGIN, Conn, Tx},
    ending,
    error::Result,
    health, insert,
    publish::{self, Prepared},
    rows,
};

/// What a settle costs beside the response and the messages it causes, roughly, in bytes.
const SETTLE_BYTES: usize = 512;

/// A delivery is taken by whoever finds it pending, with as many tries as the attempt found, and owns
/// its shard under the attempt's epoch. What depends on that follows: its due row moves or goes, its
/// attempt is on record as it is or as superseded. What finds a row of `due` has the whole of its key in
/// one place: joined from two, the planner would look through the lane for each.
const SETTLE: &str = "/* settle */ WITH u AS MATERIALIZED (
    SELECT * FROM unnest($1::integer[], $2::smallint[], $3::bytea[], $4::bytea[], $5::bytea[],
        $6::bytea[], $7::bytea[], $8::integer[], $9::bigint[], $10::boolean[], $11::bigint[],
        $12::smallint[], $13::smallint[], $14::integer[], $15::bigint[], $16::bytea[])
        AS u (i, shard, org, app, endpoint, message, delivery, attempts, epoch, tried, next_due,
              state, cause, status, ended_at, attempt)
), taken AS (
    UPDATE delivery d SET attempts = u.attempts + u.tried::integer, next_due = u.next_due,
        state = u.state, cause = u.cause, ended_at = u.ended_at,
        last_status = CASE WHEN u.tried THEN u.status ELSE d.last_status END,
        attempt_ids = d.attempt_ids || u.attempt
    FROM u JOIN delivery o ON o.org = u.org AND o.app = u.app AND o.endpoint = u.endpoint
        AND o.message = u.message AND o.delivery = u.delivery
    WHERE d.org = u.org AND d.app = u.app AND d.endpoint = u.endpoint AND d.message = u.message
        AND d.delivery = u.delivery AND d.state IS NULL AND d.attempts = u.attempts
        AND (u.epoch = 0 OR EXISTS (SELECT 1 FROM lease l
            WHERE l.shard = u.shard AND l.epoch = u.epoch AND l.node = $17))
    RETURNING u.i, u.shard, u.org, u.app, u.endpoint, u.delivery, o.next_due AS was,
        d.next_due, d.attempts
), gone AS (
    DELETE FROM due q USING taken t
    WHERE t.next_due IS NULL AND q.shard = t.shard AND q.endpoint = t.endpoint AND q.due = t.was
        AND q.delivery = t.delivery AND q.org = t.org AND q.app = t.app
    RETURNING q.org, q.app
), moved AS (
    UPDATE due q SET due = t.next_due, attempts = t.attempts FROM taken t
    WHERE t.next_due IS NOT NULL AND q.shard = t.shard AND q.endpoint = t.endpoint
        AND q.due = t.was AND q.delivery = t.delivery AND q.org = t.org AND q.app = t.app
), counted AS (
    INSERT INTO pending AS c (org, app, slot, count)
    SELECT org, app, $18::smallint, -count(*) FROM gone GROUP BY org, app ORDER BY org, app
    ON CONFLICT (org, app, slot) DO UPDATE SET count = c.count + excluded.count
), added AS (
    INSERT INTO attempt (org, app, endpoint, id, message, delivery, number, trigger, class,
        status_code, response, duration, retry_after, timed_out, started_at, revision, url, secrets,
        body_hash, superseded)
    SELECT u.org, u.app, u.endpoint, u.attempt, u.message, u.delivery, x.number, x.trigger, x.class,
        u.status, x.response, x.duration, x.retry_after, x.timed_out, x.started_at, x.revision,
        x.url, x.secrets, x.body_hash, t.i IS NULL
    FROM unnest($19::integer[], $20::integer[], $21::smallint[], $22::smallint[], $23::bytea[],
        $24::bigint[], $25::bigint[], $26::boolean[], $27::bigint[], $28::integer[], $29::text[],
        $30::bytea[], $31::bytea[])
        AS x (i, number, trigger, class, response, duration, retry_after, timed_out, started_at,
              revision, url, secrets, body_hash)
    JOIN u ON u.i = x.i LEFT JOIN taken t ON t.i = u.i
    WHERE t.i IS NOT NULL OR EXISTS (SELECT 1 FROM delivery d WHERE d.org = u.org
        AND d.app = u.app AND d.endpoint = u.endpoint AND d.message = u.message
        AND d.delivery = u.delivery)
    ON CONFLICT DO NOTHING
    RETURNING org, app, endpoint, message, delivery, id, superseded
), listed AS (
    UPDATE delivery d SET attempt_ids = d.attempt_ids || a.id FROM added a
    WHERE a.superseded AND d.org = a.org AND d.app = a.app AND d.endpoint = a.endpoint
        AND d.message = a.message AND d.delivery = a.delivery
)
SELECT u.i FROM u WHERE NOT EXISTS (SELECT 1 FROM taken t WHERE t.i = u.i)";

/// A settle made ready beside the committer.
pub(crate) struct Outcome {
    settle: Settle,
    messages: Vec<Prepared>,
}

impl Outcome {
    pub(crate) fn new(mut settle: Settle) -> Self {
        let messages = std::mem::take(&mut settle.messages);
        Self { settle, messages: messages.into_iter().map(Prepared::new).collect() }
    }

    /// Whether a resend arrived: then what is pending by schedule ends with it.
    fn resend_arrived(&self) -> bool {
        matches!(self.settle.next, Next::End(EndState::Succeeded, _))
            && self.settle.delivery.trigger != Trigger::Automatic
    }

    /// Whether it means something beyond its delivery.
    fn is_rare(&self) -> bool {
        self.settle.health != Health::Same || !self.messages.is_empty() || self.resend_arrived()
    }

    fn ended_at(&self) -> Timestamp {
        let attempt = self.settle.attempt.as_ref();
        attempt.map_or(self.settle.delivery.due, |a| a.started_at.plus(a.outcome.duration))
    }
}

/// Settles, through the committer.
pub(crate) struct Settling {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pool: deadpool_postgres::Pool,
    pub(crate) slot: i16,
}

#[async_trait]
impl Act for Settling {
    type Item = Outcome;
    type Done = Settled;
    const NAME: &'static str = "settle";
    const MAY_WAIT: bool = false;
    // Nobody waits for it but the next attempts of a full lane.
    const BETWEEN: Duration = Duration::from_millis(40);

    fn size(item: &Outcome) -> (usize, usize) {
        let response = item.settle.attempt.as_ref().map_or(0, |a| a.outcome.response.len());
        item.messages
            .iter()
            .map(Prepared::size)
            .fold((1, SETTLE_BYTES + response), |(rows, bytes), (more_rows, more_bytes)| {
                (rows + more_rows, bytes + more_bytes)
            })
    }

    fn keys(item: &Outcome) -> Vec<Key> {
        let delivery = &item.settle.delivery;
        let mut keys = vec![*delivery.id.raw()];
        if item.settle.health != Health::Same {
            keys.push(*delivery.endpoint.raw());
        }
        // A resend that arrives ends others of the same message.
        if item.resend_arrived() {
            keys.push(*delivery.message.raw());
        }
        keys.extend(item.messages.iter().flat_map(Prepared::keys));
        keys
    }

    async fn write(&self, items: &[&Outcome]) -> Result<Vec<Settled>, Failed> {
        let counting = &self.shared.counting;
        let _writing = counting.writing().await;
        let written = self.write_and_lower(items).await;
        match &written {
            // Whoever is taken had as many attempts as this one found: so its attempt is new, and a
            // repeat is not taken again.
            Ok(settled) => {
                let taken = items.iter().zip(settled).filter(|(_, settled)| !settled.superseded);
                counting.count(taken.map(|(item, _)| &item.settle));
            }
            Err(failed) if failed.committing => {
                counting.doubt(items.iter().map(|item| &item.settle));
            }
            Err(_) => {}
        }
        written
    }
}

impl Settling {
    /// Outcomes, and how far attempts are counted, if these come late.
    async fn write_and_lower(&self, items: &[&Outcome]) -> Result<Vec<Settled>, Failed> {
        let lowered = self.shared.counting.lowered(items.iter().map(|item| &item.settle));
        let tx = Tx::unbegun(self.shared.conn(&self.pool).await?);
        tx.prepare(SETTLE).await?;
        let mut settled = vec![Settled::default(); items.len()];
        let superseded = if items.iter().any(|item| item.is_rare()) || !lowered.is_empty() {
            let (begun, written) = future::join(tx.batch(BEGIN), self.settle(&tx, items)).await;
            begun?;
            let superseded = superseded(&written?)?;
            for at in &superseded {
                settled[*at].superseded = true;
            }
            self.rare(&tx, items, &mut settled).await?;
            if !lowered.is_empty() {
                analytics::lower(&tx, &lowered).await?;
            }
            tx.commit_with(async { Ok(()) }).await?;
            self.shared.counting.marked(&lowered);
            superseded
        } else {
            let (begun, written) =
                future::join(tx.batch(BEGIN), tx.commit_with(self.settle(&tx, items))).await;
            // All of it was sent: if no answer came to the first of it, it may have been done.
            begun.map_err(|error| Failed { committing: error.is_away(), error })?;
            superseded(&written?)?
        };
        for at in superseded {
            settled[at].superseded = true;
        }
        Ok(settled)
    }
}

/// Which outcomes were not taken.
fn superseded(rows: &[Row]) -> Result<Vec<usize>> {
    rows.iter().map(|row| rows::int(row, 0)).collect()
}

#[derive(Default)]
struct Columns<'a> {
    i: Vec<i32>,
    shard: Vec<i16>,
    org: Vec<&'a [u8]>,
    app: Vec<&'a [u8]>,
    endpoint: Vec<&'a [u8]>,
    message: Vec<&'a [u8]>,
    delivery: Vec<&'a [u8]>,
    attempts: Vec<i32>,
    epoch: Vec<i64>,
    tried: Vec<bool>,
    next_due: Vec<Option<i64>>,
    state: Vec<Option<i16>>,
    cause: Vec<Option<i16>>,
    status: Vec<Option<i32>>,
    ended_at: Vec<Option<i64>>,
    attempt: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn push(&mut self, i: i32, item: &'a Outcome) {
        let Settle { delivery, attempt, next, epoch, .. } = &item.settle;
        let (next_due, end) = match next {
            Next::Retry(at) => (Some(at.as_micros()), None),
            Next::End(state, cause) => (None, Some((*state as u8, *cause as u8))),
        };
        self.i.push(i);
        self.shard.push(insert::shard_code(delivery));
        self.org.push(delivery.org.raw());
        self.app.push(delivery.app.raw());
        self.endpoint.push(delivery.endpoint.raw());
        self.message.push(delivery.message.raw());
        self.delivery.push(delivery.id.raw());
        self.attempts.push(delivery.attempts.into());
        self.epoch.push(epoch.cast_signed());
        self.tried.push(attempt.is_some());
        self.next_due.push(next_due);
        self.state.push(end.map(|(state, _)| state.into()));
        self.cause.push(end.map(|(_, cause)| cause.into()));
        let status = attempt.as_ref().and_then(|attempt| attempt.outcome.status_code);
        self.status.push(status.map(i32::from));
        self.ended_at.push(end.map(|_| item.ended_at().as_micros()));
        self.attempt.push(attempt.as_ref().map_or(&[], |attempt| attempt.id.raw()));
    }
}

#[derive(Default)]
struct Attempts<'a> {
    i: Vec<i32>,
    number: Vec<i32>,
    trigger: Vec<i16>,
    class: Vec<i16>,
    response: Vec<&'a [u8]>,
    duration: Vec<i64>,
    retry_after: Vec<Option<i64>>,
    timed_out: Vec<bool>,
    started_at: Vec<i64>,
    revision: Vec<i32>,
    url: Vec<&'a str>,
    secrets: Vec<Vec<u8>>,
    body_hash: Vec<&'a [u8]>,
}

impl<'a> Attempts<'a> {
    fn push(&mut self, i: i32, item: &'a Outcome) {
        let Some(attempt) = &item.settle.attempt else { return };
        let outcome = &attempt.outcome;
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        self.i.push(i);
        self.number.push(attempt.number.into());
        self.trigger.push((attempt.trigger as u8).into());
        self.class.push((outcome.class as u8).into());
        self.response.push(&outcome.response);
        self.duration.push(micros(outcome.duration));
        self.retry_after.push(outcome.retry_after.map(micros));
        self.timed_out.push(outcome.timed_out);
        self.started_at.push(attempt.started_at.as_micros());
        self.revision.push(attempt.endpoint_revision.cast_signed());
        self.url.push(&attempt.url);
        self.secrets.push(rows::concat(&attempt.secrets));
        self.body_hash.push(&attempt.body_hash);
    }
}

impl Settling {
    async fn settle(&self, conn: &Conn, items: &[&Outcome]) -> Result<Vec<Row>> {
        let (mut u, mut x) = <(Columns<'_>, Attempts<'_>)>::default();
        for (i, item) in (0..).zip(items) {
            u.push(i, item);
            x.push(i, item);
        }
        let node = self.shared.node.as_slice();
        conn.query(
            SETTLE,
            &[
                &u.i,
                &u.shard,
                &u.org,
                &u.app,
                &u.endpoint,
                &u.message,
                &u.delivery,
                &u.attempts,
                &u.epoch,
                &u.tried,
                &u.next_due,
                &u.state,
                &u.cause,
                &u.status,
                &u.ended_at,
                &u.attempt,
                &node,
                &self.slot,
                &x.i,
                &x.number,
                &x.trigger,
                &x.class,
                &x.response,
                &x.duration,
                &x.retry_after,
                &x.timed_out,
                &x.started_at,
                &x.revision,
                &x.url,
                &x.secrets,
                &x.body_hash,
            ],
        )
        .await
    }

    /// What outcomes mean beyond their deliveries.
    async fn rare(&self, tx: &Tx, items: &[&Outcome], settled: &mut [Settled]) -> Result<()> {
        for (item, settled) in items.iter().zip(settled.iter_mut()) {
            if !settled.superseded && item.resend_arrived() {
                settled.also_ended = end_automatic(tx, item).await?;
            }
        }
        let of_health: Vec<(usize, &Settle)> = items
            .iter()
            .enumerate()
            .filter(|(_, item)| item.settle.health != Health::Same)
            .map(|(at, item)| (at, &item.settle))
            .collect();
        for at in health::write(tx, &self.shared.ports, &of_health).await? {
            settled[at].health_changed = true;
        }
        let caused: Vec<&Prepared> = items.iter().flat_map(|item| &item.messages).collect();
        if !caused.is_empty() {
            let mut published =
                publish::publish(&self.shared, tx, &caused, self.slot).await?.into_iter();
            for (item, settled) in items.iter().zip(settled) {
                settled.published = published.by_ref().take(item.messages.len()).collect();
            }
        }
        Ok(())
    }
}

/// A resend arrived: what is pending by schedule for the same message and endpoint ends with it.
async fn end_automatic(tx: &Tx, item: &Outcome) -> Result<Vec<DeliveryId>> {
    let arrived = &item.settle.delivery;
    let sql = "/* settle */ SELECT delivery, next_due FROM delivery
               WHERE org = $1 AND app = $2 AND endpoint = $3 AND message = $4 AND state IS NULL
               AND trigger = $5 ORDER BY delivery FOR UPDATE";
    let (org, app) = (arrived.org.raw().as_slice(), arrived.app.raw().as_slice());
    let (endpoint, message) = (arrived.endpoint.raw().as_slice(), arrived.message.raw().as_slice());
    let trigger = i16::from(Trigger::Automatic as u8);
    let pending = tx.query(sql, &[&org, &app, &endpoint, &message, &trigger]).await?;
    let mut rows = Vec::new();
    for row in &pending {
        rows.push(ending::Pending {
            org: arrived.org,
            app: arrived.app,
            endpoint: arrived.endpoint,
            message: arrived.message,
            delivery: rows::id(row, 0)?,
            due: rows::time(row, 1)?,
        });
    }
    let end = (EndState::Succeeded, Cause::ResendSucceeded);
    ending::end_pending(tx, &rows, end, item.ended_at()).await?;
    Ok(rows.into_iter().map(|row| row.delivery).collect())
}
