//! Moving everything out of this store, or into it: see [`store::transfer`]. No node is at work
//! meanwhile, so each page may see its own moment.

mod catalog;
mod history;
mod keyed;
mod records;
mod rollups;

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::id::{ApplicationId, OrganizationId};
use futures_util::future;
use store::{
    Transfer,
    transfer::{Batch, Limits, MovedDelivery, PROGRESS, Part, Place, Record, Step, identity_of},
};
use tokio_postgres::Row;

use crate::{
    PostgresStore, Shared,
    conn::{Conn, Tx},
    enqueue::COMMON_SLOT,
    error::{Error, Result},
    options::Ports,
    partitions, rows, schema, tokens,
};

/// Spans of time before now that get partitions for the history that is moved into them: as many as
/// history is kept for, and some. What is older goes soon.
const SPANS: u32 = 33;
/// Records that are on their way to the server at a time.
const AT_ONCE: usize = 64;

/// A page is found by the key of its table, and in that order: whatever is known of a table that was
/// filled a moment ago, reading all of it and sorting it for each page would never come to an end.
const BY_KEY: &str = "SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off;
    SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;
    SET LOCAL max_parallel_workers_per_gather = 0";

/// Where a page begins: the parts of the last key.
struct Key(Vec<Vec<u8>>);

impl Key {
    /// Before all rows if there is no place.
    fn of(after: Option<Place>) -> Result<Self> {
        let mut parts = Vec::new();
        let mut rest = after.as_deref().unwrap_or_default();
        while let Some((length, more)) = rest.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let part = more.get(..length).ok_or_else(|| Error::corrupt("a place in a move"))?;
            parts.push(part.to_vec());
            rest = &more[length..];
        }
        Ok(Self(parts))
    }

    fn place(parts: &[&[u8]]) -> Place {
        let mut place = Vec::new();
        for part in parts {
            place.extend_from_slice(&(part.len() as u16).to_be_bytes());
            place.extend_from_slice(part);
        }
        place
    }

    /// A part of it; nothing before all rows.
    fn part(&self, at: usize) -> &[u8] {
        self.0.get(at).map_or(&[], Vec::as_slice)
    }
}

/// How many rows to read.
fn limit(limits: Limits) -> i64 {
    i64::try_from(limits.records).unwrap_or(i64::MAX)
}

/// How many bytes the rows may have before the last one.
fn bytes(limits: Limits) -> i64 {
    i64::try_from(limits.bytes).unwrap_or(i64::MAX)
}

/// What a row comes to: its place, and its record if it has one.
type Found = (Place, Option<Record>);

/// A page of rows. Where nothing was found it is the last one.
fn page(found: &[Row], mut read: impl FnMut(&Row) -> Result<Found>) -> Result<Batch> {
    let mut batch = Batch::default();
    for row in found {
        let (place, record) = read(row)?;
        batch.records.extend(record);
        batch.next = Some(place);
    }
    Ok(batch)
}

impl Shared {
    async fn export(&self, part: Part, after: Option<Place>, limits: Limits) -> Result<Batch> {
        let tx = self.snapshot().await?;
        tx.batch(BY_KEY).await?;
        let batch = self.read_page(&tx, part, &Key::of(after)?, limits).await?;
        tx.rollback().await?;
        Ok(batch)
    }

    async fn read_page(
        &self,
        conn: &Conn,
        part: Part,
        after: &Key,
        limits: Limits,
    ) -> Result<Batch> {
        let vault = &self.ports.vault;
        match part {
            Part::Organizations => catalog::organizations(conn, after, limits).await,
            Part::Applications => catalog::applications(conn, vault, after, limits).await,
            Part::Endpoints => catalog::endpoints(conn, vault, after, limits).await,
            Part::PastHeaders => catalog::past_headers(conn, vault, after, limits).await,
            Part::EventTypes => catalog::event_types(conn, after, limits).await,
            Part::Messages => history::messages(conn, after, limits).await,
            Part::Deliveries => history::deliveries(conn, after, limits).await,
            Part::Attempts => history::attempts(conn, after, limits).await,
            Part::Claims => keyed::claims(conn, after, limits).await,
            Part::Responses => keyed::responses(conn, vault, after, limits).await,
            Part::Tokens => records::tokens(conn, after, limits).await,
            Part::Revocations => records::revocations(conn, after, limits).await,
            Part::Tasks => records::tasks(conn, after, limits).await,
            Part::AlertRules => records::alert_rules(conn, vault, after, limits).await,
            Part::Alerts => records::alerts(conn, after, limits).await,
            Part::Audit => records::audit(conn, after, limits).await,
            Part::Rollups => rollups::rollups(conn, after, limits).await,
        }
    }

    async fn import(&self, records: &[Record], step: &Step) -> Result<()> {
        let tx = self.begin().await?;
        if !step.is_next(progress(&tx).await?.as_deref())? {
            return tx.rollback().await;
        }
        for some in records.chunks(AT_ONCE) {
            future::try_join_all(some.iter().map(|record| write(&tx, &self.ports, record))).await?;
        }
        count_pending(&tx, records).await?;
        rollups::write_rollups(&tx, records).await?;
        let sql = "/* move */ INSERT INTO meta (name, value) VALUES ($1, $2)
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        tx.execute(sql, &[&PROGRESS, &step.to]).await?;
        tx.commit().await
    }

    /// Makes partitions for the history that is to come: in the default one it would be in the way
    /// whenever another partition is made.
    async fn prepare(&self) -> Result<()> {
        let now = self.ports.clock.now();
        // Each time those of three spans are made.
        for back in (0..=SPANS).rev().step_by(3) {
            partitions::ensure(self, now.minus(self.options.partition * back)).await?;
        }
        Ok(())
    }

    async fn is_empty(&self) -> Result<bool> {
        let sql = "/* move */ SELECT NOT (EXISTS (SELECT 1 FROM organization)
            OR EXISTS (SELECT 1 FROM application) OR EXISTS (SELECT 1 FROM endpoint)
            OR EXISTS (SELECT 1 FROM past_headers)
            OR EXISTS (SELECT 1 FROM event_type) OR EXISTS (SELECT 1 FROM message)
            OR EXISTS (SELECT 1 FROM payload) OR EXISTS (SELECT 1 FROM delivery)
            OR EXISTS (SELECT 1 FROM due) OR EXISTS (SELECT 1 FROM pending)
            OR EXISTS (SELECT 1 FROM attempt) OR EXISTS (SELECT 1 FROM claim)
            OR EXISTS (SELECT 1 FROM response) OR EXISTS (SELECT 1 FROM token)
            OR EXISTS (SELECT 1 FROM revocation) OR EXISTS (SELECT 1 FROM task)
            OR EXISTS (SELECT 1 FROM alert_rule) OR EXISTS (SELECT 1 FROM alert)
            OR EXISTS (SELECT 1 FROM audit) OR EXISTS (SELECT 1 FROM rollup)
            OR EXISTS (SELECT 1 FROM traffic))";
        rows::get(&self.read().await?.query_one(sql, &[]).await?, 0)
    }

    /// On a connection of its own, because it takes its time.
    async fn sizes(&self) -> Result<[u64; Part::ALL.len()]> {
        let (client, _) = self.connector.connect_one(None).await?;
        client.batch_execute("SET statement_timeout = 0").await?;
        let mut sizes = [0; Part::ALL.len()];
        for (size, part) in sizes.iter_mut().zip(Part::ALL) {
            let sql = match part {
                Part::Organizations => "/* move */ SELECT count(*) FROM organization",
                Part::Applications => "/* move */ SELECT count(*) FROM application",
                Part::Endpoints => "/* move */ SELECT count(*) FROM endpoint",
                Part::PastHeaders => "/* move */ SELECT count(*) FROM past_headers",
                Part::EventTypes => "/* move */ SELECT count(*) FROM event_type",
                Part::Messages => "/* move */ SELECT count(*) FROM message",
                Part::Deliveries => "/* move */ SELECT count(*) FROM delivery",
                Part::Attempts => "/* move */ SELECT count(*) FROM attempt",
                Part::Claims => "/* move */ SELECT count(*) FROM claim",
                Part::Responses => "/* move */ SELECT count(*) FROM response",
                Part::Tokens => "/* move */ SELECT count(*) FROM token",
                Part::Revocations => "/* move */ SELECT count(*) FROM revocation",
                Part::Tasks => "/* move */ SELECT count(*) FROM task",
                Part::AlertRules => "/* move */ SELECT count(*) FROM alert_rule",
                Part::Alerts => "/* move */ SELECT count(*) FROM alert",
                Part::Audit => "/* move */ SELECT count(*) FROM audit",
                // And how far counting has come.
                Part::Rollups => {
                    "/* move */ SELECT (SELECT count(*) FROM rollup) + 1 + (SELECT count(*) FROM
                     (SELECT DISTINCT org, app, at, event_type FROM traffic) t)"
                }
            };
            *size = rows::narrow(rows::get::<i64>(&client.query_one(sql, &[]).await?, 0)?)?;
        }
        Ok(sizes)
    }
}

/// Writes a record. One that is there already is an error: each comes once.
async fn write(tx: &Tx, ports: &Ports, record: &Record) -> Result<()> {
    match record {
        Record::Organization { organization, version } => {
            catalog::write_organization(tx, organization, *version).await
        }
        Record::Application { application, deleted_at, version } => {
            catalog::write_application(tx, ports, application, *deleted_at, *version).await
        }
        Record::Endpoint { endpoint, deleted_at } => {
            catalog::write_endpoint(tx, ports, endpoint, *deleted_at).await
        }
        Record::PastHeaders(past) => catalog::write_past_headers(tx, ports, past).await,
        Record::EventType(event_type) => catalog::write_event_type(tx, event_type).await,
        Record::Message(message) => history::write_message(tx, message).await,
        Record::Delivery(delivery) => history::write_delivery(tx, delivery).await,
        Record::Attempt(attempt) => history::write_attempt(tx, attempt).await,
        Record::Claim { org, claim, message } => {
            keyed::write_claim(tx, *org, claim, *message).await
        }
        Record::Response { org, key, response, expires_at } => {
            keyed::write_response(tx, ports, *org, *key, response, *expires_at).await
        }
        Record::Token(token) => tokens::add(tx, token).await,
        Record::Revocation(revocation) => {
            tokens::add_revocation(tx, ports, revocation, revocation.at).await
        }
        Record::Task(task) => records::write_task(tx, task).await,
        Record::AlertRule(rule) => records::write_alert_rule(tx, ports, rule).await,
        Record::Alert(alert) => records::write_alert(tx, alert).await,
        Record::Audit(row) => records::write_audit(tx, ports, row).await,
        // All of a batch together.
        Record::Rollup(_) => Ok(()),
        Record::Counted(marks) => rollups::write_marks(tx, *marks).await,
    }
}

/// Counts what these records add to what is pending.
async fn count_pending(tx: &Tx, records: &[Record]) -> Result<()> {
    let mut counts: BTreeMap<(OrganizationId, ApplicationId), i64> = BTreeMap::new();
    for record in records {
        if let Record::Delivery(MovedDelivery { org, app, give_up_at: Some(_), .. }) = record {
            *counts.entry((*org, *app)).or_default() += 1;
        }
    }
    for ((org, app), count) in counts {
        let sql = "/* import */ INSERT INTO pending AS t (org, app, slot, count)
                   VALUES ($1, $2, $3, $4)
                   ON CONFLICT (org, app, slot) DO UPDATE SET count = t.count + excluded.count";
        let (org, app) = (org.raw().as_slice(), app.raw().as_slice());
        tx.execute(sql, &[&org, &app, &COMMON_SLOT, &count]).await?;
    }
    Ok(())
}

/// Nobody else moves it until the transaction has ended.
async fn progress(conn: &Conn) -> Result<Option<Vec<u8>>> {
    let sql = "/* move */ SELECT value FROM meta WHERE name = $1 FOR UPDATE";
    conn.query_opt(sql, &[&PROGRESS]).await?.map(|row| rows::get(&row, 0)).transpose()
}

#[async_trait]
impl Transfer for PostgresStore {
    async fn identity(&self) -> store::Result<String> {
        let identity = async || {
            let sql = "/* move */ SELECT value FROM meta WHERE name = $1";
            let conn = self.shared.read().await?;
            let row = conn.query_one(sql, &[&schema::KEY_CHECK]).await?;
            Ok::<_, Error>(identity_of("postgres", rows::bytes(&row, 0)?))
        };
        Ok(identity().await?)
    }

    async fn sizes(&self) -> store::Result<[u64; Part::ALL.len()]> {
        Ok(self.shared.sizes().await?)
    }

    async fn export(
        &self,
        part: Part,
        after: Option<Place>,
        limits: Limits,
    ) -> store::Result<Batch> {
        Ok(self.shared.export(part, after, limits).await?)
    }

    async fn is_empty(&self) -> store::Result<bool> {
        Ok(self.shared.is_empty().await?)
    }

    async fn prepare(&self) -> store::Result<()> {
        Ok(self.shared.prepare().await?)
    }

    async fn progress(&self) -> store::Result<Option<Vec<u8>>> {
        let conn = self.shared.read().await?;
        Ok(progress(&conn).await?)
    }

    async fn import(&self, records: Vec<Record>, step: Step) -> store::Result<()> {
        Ok(self.shared.import(&records, &step).await?)
    }

    async fn finish(&self) -> store::Result<()> {
        let sql = "/* move */ DELETE FROM meta WHERE name = $1";
        self.shared.read().await?.execute(sql, &[&PROGRESS]).await?;
        Ok(())
    }
}
