//! Retention: a bounded step at a time. What is to go is looked for by readers, in the order of the
//! table, from where the last step ended; the writer only removes. Bodies go by whole minutes of
//! expiry, and only after all that is pending of them has ended.

use std::{future::Future, time::Duration};

use domain::{
    clock::Timestamp,
    delivery::{Cause, EndState},
    id::{AttemptId, MessageId, TaskId},
};
use rusqlite::{Connection, params};
use store::{
    StoreError,
    housekeeping::{RetentionLimits, Swept},
};

use crate::{
    analytics, claims,
    deliveries::{DueRow, end_pending},
    error::Result,
    readers::Readers,
    rows,
    tx::{self, Tx},
    writer::{Label, Writer},
};

/// Applications or endpoints that one step looks at.
const MOST_PLACES: usize = 5_000;
/// Rows looked at for each one that may be removed.
const LOOK_AHEAD: usize = 8;
/// How long a part that is at its end rests while others of the sweep have more to do.
const REST: Duration = Duration::from_secs(2);

/// Where the last steps ended.
#[derive(Default)]
pub(crate) struct Sweeper {
    /// Which parts of this sweep are at their end, while others of it have more to do.
    done: Done,
    /// Bodies being removed: the end of those, and how far their pending deliveries have ended.
    expiring: Option<(Timestamp, DuePlace)>,
    messages: Place,
    attempts: Place,
    claims: claims::Place,
    responses: claims::Place,
}

/// When parts of a sweep came to their end. Each begins anew after a rest: a sweep in which any part
/// can hardly keep up has no end, and the others must not wait for it.
#[derive(Clone, Copy, Default)]
struct Done {
    payloads: Option<Timestamp>,
    messages: Option<Timestamp>,
    attempts: Option<Timestamp>,
    claims: Option<Timestamp>,
    responses: Option<Timestamp>,
    young_claims: Option<Timestamp>,
    tokens: Option<Timestamp>,
    records: Option<Timestamp>,
}

/// A place in `due`.
#[derive(Clone, Copy, Default)]
struct DuePlace {
    lane: i64,
    due: i64,
    id: [u8; 20],
}

/// A place in a table that is led by the number of an application or endpoint.
#[derive(Clone, Copy, Default)]
struct Place {
    no: i64,
    /// How far in that one; all zeros at its beginning.
    id: [u8; 20],
}

fn label(rows: usize) -> Label {
    Label { rows, ..Label::other("sweep") }
}

impl Sweeper {
    /// One step of each part, beside one another: they look into different tables, and their writes go
    /// along in the same transactions.
    pub(crate) async fn sweep(
        &mut self,
        readers: &Readers,
        writer: &Writer,
        limits: RetentionLimits,
    ) -> Result<Swept, StoreError> {
        let by = Step { readers, writer, limits };
        let Self { done, expiring, messages, attempts, claims, responses } = self;
        let parts = tokio::join!(
            part(&mut done.payloads, limits.now, by.payloads(expiring)),
            part(&mut done.messages, limits.now, by.messages(messages)),
            part(&mut done.attempts, limits.now, by.attempts(attempts)),
            part(&mut done.claims, limits.now, by.keyed(Keyed::Claims, claims)),
            part(&mut done.responses, limits.now, by.keyed(Keyed::Responses, responses)),
            part(&mut done.young_claims, limits.now, by.young_claims()),
            part(&mut done.tokens, limits.now, by.tokens()),
            part(&mut done.records, limits.now, by.records()),
        );
        let mut swept = Swept::default();
        for part in [parts.0, parts.1, parts.2, parts.3, parts.4, parts.5, parts.6, parts.7] {
            swept += part?;
        }
        if !swept.more {
            // The next one begins anew.
            *done = Done::default();
        }
        Ok(swept)
    }
}

/// A step of one part, unless that rests.
async fn part(
    done: &mut Option<Timestamp>,
    now: Timestamp,
    step: impl Future<Output = Result<Swept, StoreError>>,
) -> Result<Swept, StoreError> {
    // A clock that was set back ends the rest.
    if done.is_some_and(|done| done <= now && now < done.plus(REST)) {
        return Ok(Swept::default());
    }
    let swept = step.await?;
    *done = (!swept.more).then_some(now);
    Ok(swept)
}

/// What a step of a part needs.
#[derive(Clone, Copy)]
struct Step<'a> {
    readers: &'a Readers,
    writer: &'a Writer,
    limits: RetentionLimits,
}

impl Step<'_> {
    /// Bodies whose minute of expiry is over.
    async fn payloads(
        self,
        expiring: &mut Option<(Timestamp, DuePlace)>,
    ) -> Result<Swept, StoreError> {
        let Self { readers, writer, limits: RetentionLimits { now, rows, .. } } = self;
        let mut swept = Swept::default();
        let (end, place) = match *expiring {
            Some(expiring) => expiring,
            None => {
                let minute = Duration::from_secs(now.as_secs().rem_euclid(60).unsigned_abs());
                let end = Timestamp::from_secs(now.as_secs()).minus(minute);
                let first = tx::payload_minute(end).0;
                if !readers.read(move |conn| has_payload_below(conn, first)).await? {
                    return Ok(swept);
                }
                (end, DuePlace { lane: -1, ..DuePlace::default() })
            }
        };
        let (over, next) = readers.read(move |conn| find_given_up(conn, place, end, rows)).await?;
        if !over.is_empty() {
            swept.expired += over.len();
            let label = label(over.len());
            writer.write(label, move |tx| end_given_up(tx, &over, now)).await?;
        }
        if let Some(next) = next {
            *expiring = Some((end, next));
            swept.more = true;
            return Ok(swept);
        }
        // Nothing pending points there any more.
        let first = tx::payload_minute(end).0;
        let removed = writer.write(label(rows), move |tx| remove_payloads(tx, first, rows)).await?;
        swept.payloads += removed;
        swept.more = removed == rows;
        let end_of_due = DuePlace { lane: i64::MAX, ..DuePlace::default() };
        *expiring = swept.more.then_some((end, end_of_due));
        Ok(swept)
    }

    async fn messages(self, place: &mut Place) -> Result<Swept, StoreError> {
        let Self { readers, writer, limits } = self;
        let (from, rows) = (*place, limits.rows);
        let end = *MessageId::floor(limits.history_before).raw();
        let (old, next) =
            readers.read(move |conn| find_old_messages(conn, from, end, rows)).await?;
        *place = next.unwrap_or_default();
        let mut swept = Swept { more: next.is_some(), ..Swept::default() };
        if old.is_empty() {
            return Ok(swept);
        }
        let removed = writer
            .write(label(old.len()), move |tx| {
                let mut removed = Removed::default();
                analytics::history_swept(tx.conn, limits.history_before)?;
                for (app_no, message) in &old {
                    remove_message(tx, *app_no, message, &mut removed)?;
                }
                Ok(removed)
            })
            .await?;
        swept.messages += removed.messages;
        swept.deliveries += removed.deliveries;
        swept.payloads += removed.payloads;
        Ok(swept)
    }

    async fn attempts(self, place: &mut Place) -> Result<Swept, StoreError> {
        let Self { readers, writer, limits } = self;
        let (from, rows) = (*place, limits.rows);
        let end = *AttemptId::floor(limits.history_before).raw();
        let (old, next) =
            readers.read(move |conn| find_old_attempts(conn, from, end, rows)).await?;
        *place = next.unwrap_or_default();
        let mut swept = Swept { more: next.is_some(), ..Swept::default() };
        if old.is_empty() {
            return Ok(swept);
        }
        swept.attempts += writer
            .write(label(rows), move |tx| {
                analytics::history_swept(tx.conn, limits.history_before)?;
                let mut statement = tx.conn.prepare_cached(
                    "/* sweep */ DELETE FROM attempt WHERE endpoint_no = ?1 AND id <= ?2",
                )?;
                let removed =
                    old.iter().map(|place| statement.execute(params![place.no, place.id]));
                Ok(removed.sum::<rusqlite::Result<usize>>()?)
            })
            .await?;
        Ok(swept)
    }

    /// Claims or saved answers that have expired.
    async fn keyed(self, table: Keyed, place: &mut claims::Place) -> Result<Swept, StoreError> {
        let Self { readers, writer, limits: RetentionLimits { now, rows, .. } } = self;
        let from = *place;
        let (over, next) =
            readers.read(move |conn| find_expired(conn, table, from, now, rows)).await?;
        *place = next.unwrap_or_default();
        // Where few have expired there is no hurry to look further.
        let more = next.is_some() && over.len() == rows;
        let mut swept = Swept { more, ..Swept::default() };
        if over.is_empty() {
            return Ok(swept);
        }
        swept.claims += writer
            .write(label(over.len()), move |tx| {
                let mut statement = tx.conn.prepare_cached(&format!(
                    "/* sweep */ DELETE FROM {} WHERE org_no = ?1 AND key = ?2 AND expires_at <= ?3",
                    table.name()
                ))?;
                let now = now.as_micros();
                let removed =
                    over.iter().map(|(org_no, key)| statement.execute(params![org_no, key, now]));
                Ok(removed.sum::<rusqlite::Result<usize>>()?)
            })
            .await?;
        Ok(swept)
    }

    /// Claims that expired before they were carried over.
    async fn young_claims(self) -> Result<Swept, StoreError> {
        let RetentionLimits { now, rows, .. } = self.limits;
        let expired = self.readers.read(move |conn| claims::find_expired(conn, now, rows)).await?;
        let more = expired.len() == rows;
        if expired.is_empty() {
            return Ok(Swept::default());
        }
        let label = label(expired.len());
        let claims = self.writer.write(label, move |tx| tx.remove_claims(&expired)).await?;
        Ok(Swept { claims, more, ..Swept::default() })
    }

    /// Tokens that have ended by themselves, revocations that refuse nothing any more, and what sources
    /// refused long enough ago.
    async fn tokens(self) -> Result<Swept, StoreError> {
        let Self { readers, writer, limits } = self;
        let (now, rows) = (limits.now.as_micros(), limits.rows);
        let any = readers
            .read(move |conn| {
                let sql = "/* sweep */ SELECT EXISTS (SELECT 1 FROM token WHERE expires_at <= ?1)
                           OR EXISTS (SELECT 1 FROM revocation WHERE forget_at <= ?1)
                           OR EXISTS (SELECT 1 FROM rejected WHERE expires_at <= ?1)";
                Ok(conn.prepare_cached(sql)?.query_row([now], |row| row.get::<_, bool>(0))?)
            })
            .await?;
        if !any {
            return Ok(Swept::default());
        }
        writer
            .write(label(rows), move |tx| {
                let mut more = false;
                for sql in [
                    "/* sweep */ DELETE FROM token WHERE id IN
                     (SELECT id FROM token WHERE expires_at <= ?1 LIMIT ?2)",
                    "/* sweep */ DELETE FROM revocation WHERE no IN
                     (SELECT no FROM revocation WHERE forget_at <= ?1 LIMIT ?2)",
                    "/* sweep */ DELETE FROM rejected WHERE no IN
                     (SELECT no FROM rejected WHERE expires_at <= ?1 LIMIT ?2)",
                ] {
                    more |= tx.conn.prepare_cached(sql)?.execute([now, rows as i64])? == rows;
                }
                Ok(Swept { more, ..Swept::default() })
            })
            .await
    }

    /// Tasks and alerts that have ended, rows of the audit and endpoints' past headers, of before the end
    /// of history.
    async fn records(self) -> Result<Swept, StoreError> {
        let Self { readers, writer, limits } = self;
        let RetentionLimits { history_before, rows, .. } = limits;
        let (end, before) = (*TaskId::floor(history_before).raw(), history_before.as_micros());
        let any = readers
            .read(move |conn| {
                let sql = r#"/* sweep */ SELECT EXISTS
                    (SELECT 1 FROM task WHERE id < ?1 AND status <> '"running"')
                    OR EXISTS (SELECT 1 FROM alert WHERE id < ?1 AND NOT live)
                    OR EXISTS (SELECT 1 FROM past_headers WHERE replaced_at < ?2)
                    OR (SELECT at FROM audit ORDER BY no LIMIT 1) < ?2"#;
                let params = params![end, before];
                Ok(conn
                    .prepare_cached(sql)?
                    .query_row(params, |row| row.get::<_, Option<bool>>(0))?)
            })
            .await?;
        if any != Some(true) {
            return Ok(Swept::default());
        }
        writer
            .write(label(rows), move |tx| {
                let tasks = r#"/* sweep */ DELETE FROM task WHERE id IN (SELECT id FROM task
                    WHERE id < ?1 AND status <> '"running"' ORDER BY id LIMIT ?2)"#;
                let tasks = tx.conn.prepare_cached(tasks)?.execute(params![end, rows as i64])?;
                // Rows of the audit are in the order of their time.
                let audit = "/* sweep */ DELETE FROM audit WHERE no <= (SELECT max(no) FROM
                    (SELECT no, at FROM audit ORDER BY no LIMIT ?2) WHERE at < ?1)";
                let audit = tx.conn.prepare_cached(audit)?.execute(params![before, rows as i64])?;
                let alerts = "/* sweep */ DELETE FROM alert WHERE no IN (SELECT no FROM alert
                    WHERE id < ?1 AND NOT live ORDER BY id LIMIT ?2)";
                let alerts = tx.conn.prepare_cached(alerts)?.execute(params![end, rows as i64])?;
                let headers = "/* sweep */ DELETE FROM past_headers WHERE no IN
                    (SELECT no FROM past_headers WHERE replaced_at < ?1 ORDER BY replaced_at LIMIT ?2)";
                let headers =
                    tx.conn.prepare_cached(headers)?.execute(params![before, rows as i64])?;
                let more = [tasks, audit, alerts, headers].contains(&rows);
                Ok(Swept { more, ..Swept::default() })
            })
            .await
    }
}

fn has_payload_below(conn: &Connection, first: i64) -> Result<bool> {
    let sql = "/* sweep */ SELECT 1 FROM payload WHERE id < ?1";
    Ok(conn.prepare_cached(sql)?.exists([first])?)
}

/// Pending deliveries, each with its message; and where to go on.
type GivenUp = (Vec<(DueRow, [u8; 20])>, Option<DuePlace>);

/// Pending deliveries behind `from` that are given up before `end`.
fn find_given_up(
    conn: &Connection,
    from: DuePlace,
    end: Timestamp,
    rows: usize,
) -> Result<GivenUp> {
    let mut statement = conn.prepare_cached(
        "/* sweep */ SELECT lane, due, delivery_id, app_no, message_id, give_up_at FROM due
         WHERE (lane, due, delivery_id) > (?1, ?2, ?3) ORDER BY lane, due, delivery_id",
    )?;
    let mut found = statement.query(params![from.lane, from.due, from.id])?;
    let (mut over, mut looked_at) = (Vec::new(), 0);
    while let Some(row) = found.next()? {
        let (lane, due, id) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if rows::time(row, 5)? < end {
            over.push((DueRow { lane, app_no: row.get(3)?, due, id }, row.get(4)?));
        }
        looked_at += 1;
        if over.len() >= rows || looked_at >= rows * LOOK_AHEAD {
            return Ok((over, Some(DuePlace { lane, due, id })));
        }
    }
    Ok((over, None))
}

fn end_given_up(tx: &mut Tx<'_>, over: &[(DueRow, [u8; 20])], now: Timestamp) -> Result<()> {
    for (row, message) in over {
        end_pending(tx, row, message, (EndState::Exhausted, Cause::PayloadExpired), now)?;
    }
    Ok(())
}

/// Removes up to `rows` bodies numbered below `first`.
fn remove_payloads(tx: &mut Tx<'_>, first: i64, rows: usize) -> Result<usize> {
    let last: Option<i64> = tx
        .conn
        .prepare_cached(
            "/* sweep */ SELECT max(id) FROM
             (SELECT id FROM payload WHERE id < ?1 ORDER BY id LIMIT ?2)",
        )?
        .query_row(params![first, rows as i64], |row| row.get(0))?;
    let removed = match last {
        Some(last) => {
            let sql = "/* sweep */ DELETE FROM payload WHERE id <= ?1";
            tx.conn.prepare_cached(sql)?.execute([last])?
        }
        None => 0,
    };
    // At the end, whole minutes are gone for good.
    tx.payloads_swept(last.filter(|_| removed == rows).unwrap_or(first - 1));
    Ok(removed)
}

/// Messages, each with its application's number; and where to go on.
type OldMessages = (Vec<(i64, [u8; 20])>, Option<Place>);

/// Messages with an id below `end`, behind `from`.
fn find_old_messages(
    conn: &Connection,
    from: Place,
    end: [u8; 20],
    rows: usize,
) -> Result<OldMessages> {
    let mut within = conn.prepare_cached(
        "/* sweep */ SELECT id, routed FROM message WHERE app_no = ?1 AND id > ?2 AND id < ?3
         ORDER BY id",
    )?;
    let mut next =
        conn.prepare_cached("/* sweep */ SELECT min(app_no) FROM message WHERE app_no > ?1")?;
    let mut old = Vec::new();
    // Each takes its deliveries along.
    let mut weight = 0;
    let mut place = from;
    for _ in 0..MOST_PLACES {
        let mut found = within.query(params![place.no, place.id, end])?;
        while let Some(row) = found.next()? {
            place.id = row.get(0)?;
            old.push((place.no, place.id));
            weight += 1 + row.get::<_, i64>(1)?.unsigned_abs() as usize;
            if weight >= 2 * rows {
                return Ok((old, Some(place)));
            }
        }
        match next.query_row([place.no], |row| row.get::<_, Option<i64>>(0))? {
            Some(no) => place = Place { no, id: [0; 20] },
            None => return Ok((old, None)),
        }
    }
    Ok((old, Some(place)))
}

#[derive(Default)]
struct Removed {
    messages: usize,
    deliveries: usize,
    payloads: usize,
}

/// Removes a message with its deliveries and its body, unless work remains.
fn remove_message(
    tx: &mut Tx<'_>,
    app_no: i64,
    message: &[u8; 20],
    removed: &mut Removed,
) -> Result<()> {
    let mut find = tx.conn.prepare_cached(
        "/* sweep */ SELECT endpoints, payload FROM message WHERE app_no = ?1 AND id = ?2",
    )?;
    let mut found = find.query(params![app_no, message])?;
    let Some(row) = found.next()? else { return Ok(()) };
    let endpoints = rows::numbers(row.get_ref(0)?.as_blob().map_err(crate::error::Error::corrupt)?);
    let payload: Option<i64> = row.get(1)?;
    drop(found);
    let mut busy = tx.conn.prepare_cached(
        "/* sweep */ SELECT 1 FROM delivery
         WHERE endpoint_no = ?1 AND message_id = ?2 AND state IS NULL",
    )?;
    for endpoint_no in &endpoints {
        if busy.exists(params![endpoint_no, message])? {
            return Ok(());
        }
    }
    let mut deliveries = tx.conn.prepare_cached(
        "/* sweep */ DELETE FROM delivery WHERE endpoint_no = ?1 AND message_id = ?2",
    )?;
    for endpoint_no in &endpoints {
        removed.deliveries += deliveries.execute(params![endpoint_no, message])?;
    }
    if let Some(payload) = payload {
        removed.payloads += tx
            .conn
            .prepare_cached("/* sweep */ DELETE FROM payload WHERE id = ?1")?
            .execute([payload])?;
    }
    removed.messages += tx
        .conn
        .prepare_cached("/* sweep */ DELETE FROM message WHERE app_no = ?1 AND id = ?2")?
        .execute(params![app_no, message])?;
    Ok(())
}

/// Endpoints with attempts below `end`, each with the last id to remove there: together up to `rows`.
fn find_old_attempts(
    conn: &Connection,
    from: Place,
    end: [u8; 20],
    rows: usize,
) -> Result<(Vec<Place>, Option<Place>)> {
    let mut within = conn.prepare_cached(
        "/* sweep */ SELECT count(*), max(id) FROM (SELECT id FROM attempt
         WHERE endpoint_no = ?1 AND id < ?2 ORDER BY id LIMIT ?3)",
    )?;
    let mut next = conn.prepare_cached(
        "/* sweep */ SELECT endpoint_no, id FROM attempt WHERE endpoint_no > ?1
         ORDER BY endpoint_no, id LIMIT 1",
    )?;
    let (mut old, mut left) = (Vec::new(), rows);
    let mut no = from.no;
    for _ in 0..MOST_PLACES {
        let mut found = next.query([no])?;
        let Some(row) = found.next()? else { return Ok((old, None)) };
        let (endpoint_no, first): (i64, [u8; 20]) = (row.get(0)?, row.get(1)?);
        if first < end {
            let (count, last): (usize, [u8; 20]) = within
                .query_row(params![endpoint_no, end, left as i64], |row| {
                    Ok((row.get::<_, i64>(0)?.unsigned_abs() as usize, row.get(1)?))
                })?;
            old.push(Place { no: endpoint_no, id: last });
            left -= count;
            if left == 0 {
                // There may be more of this one.
                return Ok((old, Some(Place { no, ..Place::default() })));
            }
        }
        no = endpoint_no;
    }
    Ok((old, Some(Place { no, ..Place::default() })))
}

/// Tables of what is claimed for a while.
#[derive(Clone, Copy)]
enum Keyed {
    Claims,
    Responses,
}

impl Keyed {
    fn name(self) -> &'static str {
        match self {
            Self::Claims => "claim",
            Self::Responses => "response",
        }
    }
}

/// Claims or answers; and where to go on.
type Expired = (Vec<claims::Place>, Option<claims::Place>);

/// Those behind `from` that have expired.
fn find_expired(
    conn: &Connection,
    table: Keyed,
    from: claims::Place,
    now: Timestamp,
    rows: usize,
) -> Result<Expired> {
    let mut statement = conn.prepare_cached(&format!(
        "/* sweep */ SELECT org_no, key, expires_at FROM {} WHERE (org_no, key) > (?1, ?2)
         ORDER BY org_no, key",
        table.name()
    ))?;
    let mut found = statement.query(params![from.0, from.1])?;
    let (mut over, mut looked_at) = (Vec::new(), 0);
    while let Some(row) = found.next()? {
        let place = (row.get(0)?, row.get(1)?);
        if rows::time(row, 2)? <= now {
            over.push(place);
        }
        looked_at += 1;
        if over.len() >= rows || looked_at >= rows * LOOK_AHEAD {
            return Ok((over, Some(place)));
        }
    }
    Ok((over, None))
}
