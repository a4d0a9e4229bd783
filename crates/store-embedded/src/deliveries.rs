//! Work that remains: lanes, their due rows, and what attempts make of them.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use domain::{
    analytics::CountedAttempt,
    attempt::Attempt,
    clock::Timestamp,
    delivery::{Cause, Delivery, EndState, Health, Next, Trigger},
    id::{ApplicationId, DeliveryId, EndpointId, OrganizationId},
    shard::ShardSet,
};
use rusqlite::{Connection, OptionalExtension, params};
use store::{
    Deliveries, StoreError,
    deliveries::{DueDelivery, DueLimits, DuePage, LaneHead, LaneKey, Settle, Settled},
    history::Tenant,
};

use crate::{
    EmbeddedStore,
    analytics::Fact,
    catalog,
    error::Result,
    publish::{self, Prepared},
    rows,
    tx::{self, Ep, Tx},
    writer::{Kind, Label},
};

/// What a settle costs beside the response and the messages it causes, roughly, in bytes.
const SETTLE_BYTES: usize = 512;

/// The number of a lane, if its endpoint is known.
fn lane_number(conn: &Connection, lane: &LaneKey) -> Result<Option<i64>> {
    let sql = "/* lane */ SELECT e.lane FROM organization o
               JOIN application a ON a.org_no = o.no AND a.id = ?2
               JOIN endpoint e ON e.app_no = a.no AND e.id = ?3 WHERE o.id = ?1";
    let params = [lane.org.raw(), lane.app.raw(), lane.endpoint.raw()];
    Ok(conn.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()?)
}

/// One index seek for each lane, whatever its depth; in the order of shards, and in a shard in the
/// order in which endpoints were made.
fn lanes(
    conn: &Connection,
    shards: &ShardSet,
    after: Option<LaneKey>,
    limit: usize,
) -> Result<Vec<LaneHead>> {
    let mut last = match &after {
        Some(after) => match lane_number(conn, after)? {
            Some(lane) => lane,
            None => return Err(StoreError::Internal(format!("unknown {}", after.endpoint)).into()),
        },
        None => -1,
    };
    let mut next = conn.prepare_cached(
        "/* lanes */ SELECT lane, due FROM due WHERE lane > ?1 ORDER BY lane, due LIMIT 1",
    )?;
    let mut name = conn.prepare_cached(
        "/* lanes */ SELECT o.id, a.id, e.id FROM endpoint e
         CROSS JOIN application a ON a.no = e.app_no CROSS JOIN organization o ON o.no = a.org_no
         WHERE e.no = ?1",
    )?;
    let mut heads = Vec::new();
    while heads.len() < limit {
        let head = next.query_row([last], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((lane, due)): Option<(i64, i64)> = head else { break };
        if !shards.contains(tx::shard_of(lane)) {
            last = tx::last_of(tx::shard_of(lane));
            continue;
        }
        last = lane;
        let (org, app, endpoint) = name.query_row([tx::endpoint_of(lane)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        heads.push(LaneHead {
            lane: LaneKey {
                shard: tx::shard_of(lane),
                org: OrganizationId::from_raw(org),
                app: ApplicationId::from_raw(app),
                endpoint: EndpointId::from_raw(endpoint),
            },
            next_due: Timestamp::from_micros(due),
        });
    }
    Ok(heads)
}

fn due(
    conn: &Connection,
    lane: LaneKey,
    limits: DueLimits,
    skip: &HashSet<DeliveryId>,
) -> Result<DuePage> {
    let mut page = DuePage { due: Vec::new(), next_due: None };
    let Some(number) = lane_number(conn, &lane)? else { return Ok(page) };
    let tenant = Tenant { org: lane.org, app: lane.app };
    let mut statement = conn.prepare_cached(&format!(
        "/* due */ SELECT {}, d.due, d.delivery_id, d.trigger, d.attempts, d.give_up_at
         FROM due d CROSS JOIN message m ON m.app_no = d.app_no AND m.id = d.message_id
         LEFT JOIN payload p ON p.id = m.payload
         WHERE d.lane = ?1 ORDER BY d.due, d.delivery_id",
        rows::MESSAGE
    ))?;
    let mut found = statement.query([number])?;
    let mut bytes = 0;
    while let Some(row) = found.next()? {
        let id = rows::id(row, 14)?;
        if skip.contains(&id) {
            continue;
        }
        let due = rows::time(row, 13)?;
        if due > limits.until || page.due.len() >= limits.rows || bytes > limits.bytes {
            page.next_due = Some(due);
            break;
        }
        let message = rows::message(row, tenant)?;
        bytes += message.body.as_ref().map_or(0, |body| body.bytes.len());
        let delivery = Delivery {
            id,
            org: lane.org,
            app: lane.app,
            endpoint: lane.endpoint,
            message: message.id,
            trigger: rows::trigger(row, 15)?,
            attempts: row.get(16)?,
            due,
            give_up_at: rows::time(row, 17)?,
        };
        page.due.push(DueDelivery { delivery, message: Arc::new(message) });
    }
    Ok(page)
}

/// A settle made ready beside the writer.
struct Outcome {
    settle: Settle,
    messages: Vec<Prepared>,
}

fn settle(tx: &mut Tx<'_>, outcome: &Outcome) -> Result<Settled> {
    let Outcome { settle, messages } = outcome;
    let delivery = &settle.delivery;
    let mut settled = Settled::default();
    let Some(endpoint) = tx.endpoint(delivery.org, delivery.app, delivery.endpoint)? else {
        let unknown = format!("unknown endpoint {}", delivery.endpoint);
        return Err(StoreError::Internal(unknown).into());
    };
    let attempts = delivery.attempts + u16::from(settle.attempt.is_some());
    settled.superseded = !take(tx, settle, &endpoint, attempts)?;
    let listed = match &settle.attempt {
        Some(attempt) => record_attempt(tx, attempt, &endpoint, settled.superseded)?,
        None => false,
    };
    if listed && !settled.superseded {
        count(tx, settle, &endpoint)?;
    }
    if settled.superseded {
        if let Some(attempt) = settle.attempt.as_ref().filter(|_| listed) {
            let sql = "/* settle */ UPDATE delivery SET
                 attempt_ids = CAST(attempt_ids || ?4 AS BLOB)
                 WHERE endpoint_no = ?1 AND message_id = ?2 AND delivery_id = ?3";
            let (message, id) = (delivery.message.raw(), delivery.id.raw());
            let params = params![endpoint.no, message, id, attempt.id.raw()];
            tx.conn.prepare_cached(sql)?.execute(params)?;
        }
    } else {
        let ended_at = settle
            .attempt
            .as_ref()
            .map_or(delivery.due, |attempt| attempt.started_at.plus(attempt.outcome.duration));
        let (next, end) = match settle.next {
            Next::Retry(at) => (Some(at.as_micros()), None),
            Next::End(state, cause) => (None, Some((state as u8, cause as u8))),
        };
        tx.hot.update_delivery.execute(params![
            endpoint.no,
            delivery.message.raw(),
            delivery.id.raw(),
            attempts,
            next,
            end.map(|(state, _)| state),
            end.map(|(_, cause)| cause),
            settle.attempt.as_ref().and_then(|attempt| attempt.outcome.status_code),
            end.map(|_| ended_at.as_micros()),
            settle.attempt.as_ref().map_or(&[][..], |attempt| attempt.id.raw()),
            settle.attempt.is_some(),
        ])?;
        let arrived = matches!(settle.next, Next::End(EndState::Succeeded, _));
        if arrived && delivery.trigger != Trigger::Automatic {
            settled.also_ended = end_automatic(tx, delivery, &endpoint, ended_at)?;
        }
    }
    settled.health_changed = write_health(tx, settle, &endpoint)?;
    for message in messages {
        settled.published.push(publish::publish(tx, message)?);
    }
    Ok(settled)
}

/// Moves or removes the due row, if it is as the attempt found it.
fn take(tx: &mut Tx<'_>, settle: &Settle, endpoint: &Ep, attempts: u16) -> Result<bool> {
    let delivery = &settle.delivery;
    if take_at(tx, settle, endpoint, attempts, delivery.due)? {
        return Ok(true);
    }
    // What counts is the number of tries: a due time may have been put off in memory.
    let sql =
        "/* settle */ SELECT next_due FROM delivery WHERE endpoint_no = ?1 AND message_id = ?2
               AND delivery_id = ?3 AND state IS NULL AND attempts = ?4";
    let params = params![endpoint.no, delivery.message.raw(), delivery.id.raw(), delivery.attempts];
    let due = tx.conn.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()?;
    match due {
        Some(due) => take_at(tx, settle, endpoint, attempts, Timestamp::from_micros(due)),
        None => Ok(false),
    }
}

fn take_at(
    tx: &mut Tx<'_>,
    settle: &Settle,
    endpoint: &Ep,
    attempts: u16,
    due: Timestamp,
) -> Result<bool> {
    let delivery = &settle.delivery;
    let (lane, due, id) = (endpoint.lane, due.as_micros(), delivery.id.raw());
    let taken = match settle.next {
        Next::Retry(at) => {
            let params = params![lane, due, id, delivery.attempts, at.as_micros(), attempts];
            tx.hot.retry_due.execute(params)?
        }
        Next::End(..) => {
            let taken = tx.hot.end_due.execute(params![lane, due, id, delivery.attempts])?;
            tx.add_pending(endpoint.app_no, -(taken as i64));
            taken
        }
    };
    Ok(taken == 1)
}

/// Adds an attempt. False if it is there already (its settle came twice), or if its delivery's record
/// has gone with its time.
fn record_attempt(
    tx: &mut Tx<'_>,
    attempt: &Attempt,
    endpoint: &Ep,
    superseded: bool,
) -> Result<bool> {
    if superseded {
        let sql = "/* settle */ SELECT 1 FROM delivery
                   WHERE endpoint_no = ?1 AND message_id = ?2 AND delivery_id = ?3";
        let params = params![endpoint.no, attempt.message.raw(), attempt.delivery.raw()];
        if !tx.conn.prepare_cached(sql)?.exists(params)? {
            return Ok(false);
        }
    }
    let outcome = &attempt.outcome;
    let micros = |time: std::time::Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    let as_now = attempt.endpoint_revision == endpoint.revision && attempt.url == *endpoint.url;
    let seq = tx.next_seq();
    let added = tx.hot.attempt.execute(params![
        endpoint.no,
        attempt.id.raw(),
        attempt.message.raw(),
        attempt.delivery.raw(),
        attempt.number,
        attempt.trigger as u8,
        outcome.class as u8,
        outcome.status_code,
        &outcome.response[..],
        micros(outcome.duration),
        outcome.retry_after.map(micros),
        outcome.timed_out,
        attempt.started_at.as_micros(),
        attempt.endpoint_revision,
        (!as_now).then_some(&attempt.url),
        tx::concat(&attempt.secrets),
        attempt.body_hash,
        superseded,
        seq,
    ])?;
    Ok(added == 1)
}

/// Counts the attempt of a settle.
fn count(tx: &mut Tx<'_>, settle: &Settle, endpoint: &Ep) -> Result<()> {
    let Some(attempt) = &settle.attempt else { return Ok(()) };
    let counted = CountedAttempt::new(attempt, settle.wanted_at);
    let place = (tx.org_no(settle.delivery.org)?, endpoint.app_no);
    let what = (endpoint.no, Some(settle.event_type.clone()));
    tx.gather.note(place, counted.ended_at, what, Fact::Attempt(counted));
    Ok(())
}

/// A resend arrived: what is pending by schedule for the same message and endpoint ends with it.
fn end_automatic(
    tx: &mut Tx<'_>,
    arrived: &Delivery,
    endpoint: &Ep,
    at: Timestamp,
) -> Result<Vec<DeliveryId>> {
    let pending = {
        let mut statement = tx.conn.prepare_cached(
            "/* settle */ SELECT delivery_id, next_due FROM delivery
             WHERE endpoint_no = ?1 AND message_id = ?2 AND state IS NULL AND trigger = ?3",
        )?;
        let params = params![endpoint.no, arrived.message.raw(), Trigger::Automatic as u8];
        let rows = statement.query_map(params, |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<rusqlite::Result<Vec<([u8; 20], i64)>>>()?
    };
    let mut ended = Vec::new();
    for (id, due) in pending {
        let row = DueRow { lane: endpoint.lane, app_no: endpoint.app_no, due, id };
        let end = (EndState::Succeeded, Cause::ResendSucceeded);
        end_pending(tx, &row, arrived.message.raw(), end, at)?;
        ended.push(DeliveryId::from_raw(id));
    }
    Ok(ended)
}

/// Which row of `due`.
pub(crate) struct DueRow {
    pub(crate) lane: i64,
    pub(crate) app_no: i64,
    pub(crate) due: i64,
    pub(crate) id: [u8; 20],
}

/// Ends a pending delivery without an attempt, in both of its rows.
pub(crate) fn end_pending(
    tx: &mut Tx<'_>,
    row: &DueRow,
    message: &[u8; 20],
    (state, cause): (EndState, Cause),
    at: Timestamp,
) -> Result<()> {
    let taken = tx
        .conn
        .prepare_cached(
            "/* end */ DELETE FROM due WHERE lane = ?1 AND due = ?2 AND delivery_id = ?3",
        )?
        .execute(params![row.lane, row.due, row.id])?;
    tx.add_pending(row.app_no, -(taken as i64));
    tx.conn
        .prepare_cached(
            "/* end */ UPDATE delivery SET next_due = NULL, state = ?4, cause = ?5, ended_at = ?6
             WHERE endpoint_no = ?1 AND message_id = ?2 AND delivery_id = ?3 AND state IS NULL",
        )?
        .execute(params![
            tx::endpoint_of(row.lane),
            message,
            row.id,
            state as u8,
            cause as u8,
            at.as_micros()
        ])?;
    Ok(())
}

/// Writes the endpoint's health where it changes. That it fails or has recovered routes nothing and
/// makes no edit stale. That it is disabled does: it is a change of the endpoint like any other.
fn write_health(tx: &mut Tx<'_>, settle: &Settle, endpoint: &Ep) -> Result<bool> {
    let failing = endpoint.first_failure_at;
    let (since, disable) = match settle.health {
        _ if endpoint.deleted => return Ok(false),
        Health::Failing(since) if failing.is_none() => (Some(since), false),
        Health::Recovered if failing.is_some() => (None, false),
        Health::Disable { fail_since } if !endpoint.disabled => {
            (failing.or(Some(fail_since)), true)
        }
        _ => return Ok(false),
    };
    tx.conn
        .prepare_cached("/* health */ UPDATE endpoint SET first_failure_at = ?2 WHERE no = ?1")?
        .execute(params![endpoint.no, since.map(Timestamp::as_micros)])?;
    if disable {
        catalog::past_headers::keep(tx, endpoint.no, tx.now())?;
        tx.conn
            .prepare_cached(
                "/* health */ UPDATE endpoint SET disabled = 1, revision = revision + 1
                 WHERE no = ?1",
            )?
            .execute([endpoint.no])?;
        tx.conn
            .prepare_cached(
                "/* health */ INSERT INTO endpoint_revision (endpoint_no, revision, url)
                 VALUES (?1, ?2, ?3)",
            )?
            .execute(params![endpoint.no, endpoint.revision + 1, endpoint.url])?;
        catalog::bump_application(tx, endpoint.app_no, settle.delivery.app)?;
        catalog::audit_disabling(tx, settle.delivery.org, &settle.delivery.endpoint, since)?;
    }
    tx.endpoint_changed(settle.delivery.endpoint);
    Ok(true)
}

fn cancel(tx: &mut Tx<'_>, lane: LaneKey, limit: usize, now: Timestamp) -> Result<usize> {
    let Some(number) = lane_number(tx.conn, &lane)? else { return Ok(0) };
    let pending = {
        let mut statement = tx.conn.prepare_cached(
            "/* cancel */ SELECT app_no, due, delivery_id, message_id FROM due WHERE lane = ?1
             ORDER BY due, delivery_id LIMIT ?2",
        )?;
        let rows = statement.query_map(params![number, limit as i64], |row| {
            let due =
                DueRow { lane: number, app_no: row.get(0)?, due: row.get(1)?, id: row.get(2)? };
            Ok((due, row.get::<_, [u8; 20]>(3)?))
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()?
    };
    for (row, message) in &pending {
        end_pending(tx, row, message, (EndState::Cancelled, Cause::EndpointDeleted), now)?;
    }
    Ok(pending.len())
}

#[async_trait]
impl Deliveries for EmbeddedStore {
    async fn lanes(
        &self,
        shards: &ShardSet,
        after: Option<LaneKey>,
        limit: usize,
    ) -> store::Result<Vec<LaneHead>> {
        let shards = *shards;
        self.readers.read(move |conn| lanes(conn, &shards, after, limit)).await
    }

    async fn due(
        &self,
        lane: LaneKey,
        limits: DueLimits,
        skip: Vec<DeliveryId>,
    ) -> store::Result<DuePage> {
        let skip = skip.into_iter().collect();
        self.readers.read(move |conn| due(conn, lane, limits, &skip)).await
    }

    async fn settle(&self, settles: Vec<Settle>) -> store::Result<Vec<Settled>> {
        let (mut rows, mut bytes) = (0, 0);
        let outcomes: Vec<Outcome> = settles
            .into_iter()
            .map(|mut settle| {
                let messages = std::mem::take(&mut settle.messages);
                let messages: Vec<_> = messages.into_iter().map(Prepared::new).collect();
                for (more_rows, more_bytes) in messages.iter().map(Prepared::size) {
                    (rows, bytes) = (rows + more_rows, bytes + more_bytes);
                }
                let response = settle.attempt.as_ref().map_or(0, |a| a.outcome.response.len());
                (rows, bytes) = (rows + 1, bytes + SETTLE_BYTES + response);
                Outcome { settle, messages }
            })
            .collect();
        let label = Label { kind: Kind::Settle, name: "settle", rows, bytes };
        self.writer
            .write(label, move |tx| outcomes.iter().map(|outcome| settle(tx, outcome)).collect())
            .await
    }

    async fn cancel(&self, lane: LaneKey, limit: usize, now: Timestamp) -> store::Result<usize> {
        let label = Label { rows: limit, ..Label::other("cancel") };
        self.writer.write(label, move |tx| cancel(tx, lane, limit, now)).await
    }
}
