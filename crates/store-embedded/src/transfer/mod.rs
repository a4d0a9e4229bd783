//! Moving everything out of this store, or into it: see [`store::transfer`]. What is taken in is
//! written as this store's own code would have written it, with numbers, lanes and counters of its own.

mod catalog;
mod history;
mod keyed;
mod records;
mod rollups;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use store::{
    StoreError, Transfer,
    transfer::{Batch, Limits, PROGRESS, Part, Place, Record, Step, identity_of},
    vault::Vault,
};
use tokio::sync::oneshot;

use crate::{
    EmbeddedStore,
    error::{Error, Result},
    schema, tokens,
    tx::Tx,
    writer::{Kind, Label},
};

/// Where a page begins: behind a row whose key is led by a number, and goes on with ids or a name.
struct Key {
    no: i64,
    rest: Vec<u8>,
}

impl Key {
    /// Before all rows if there is no place.
    fn of(after: Option<Place>) -> Result<Self> {
        let Some(place) = after else { return Ok(Self { no: -1, rest: Vec::new() }) };
        match place.split_first_chunk() {
            Some((no, rest)) => Ok(Self { no: i64::from_be_bytes(*no), rest: rest.to_vec() }),
            None => Err(Error::corrupt("a place in a move")),
        }
    }

    fn place(no: i64, rest: &[&[u8]]) -> Place {
        [no.to_be_bytes().as_slice(), &rest.concat()].concat()
    }

    /// The id at a place of the rest; nothing before all rows.
    fn id(&self, at: usize) -> &[u8] {
        self.rest.chunks(20).nth(at).unwrap_or_default()
    }
}

/// What a row comes to: its place, and its record if it has one.
type Found = (Place, Option<Record>);

/// Reads rows until a bound is reached.
fn page(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    limits: Limits,
    mut read: impl FnMut(&Row<'_>) -> Result<Found>,
) -> Result<Batch> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut found = statement.query(params)?;
    let mut batch = Batch::default();
    let (mut looked_at, mut bytes) = (0, 0);
    while let Some(row) = found.next()? {
        let (place, record) = read(row)?;
        looked_at += 1;
        bytes += record.as_ref().map_or(0, Record::bytes);
        batch.records.extend(record);
        if looked_at >= limits.records || bytes >= limits.bytes {
            batch.next = Some(place);
            break;
        }
    }
    Ok(batch)
}

fn export(
    conn: &Connection,
    vault: &Vault,
    part: Part,
    after: Option<Place>,
    limits: Limits,
) -> Result<Batch> {
    let after = &Key::of(after)?;
    match part {
        Part::Organizations => catalog::organizations(conn, after, limits),
        Part::Applications => catalog::applications(conn, vault, after, limits),
        Part::Endpoints => catalog::endpoints(conn, vault, after, limits),
        Part::PastHeaders => catalog::past_headers(conn, vault, after, limits),
        Part::EventTypes => catalog::event_types(conn, after, limits),
        Part::Messages => history::messages(conn, after, limits),
        Part::Deliveries => history::deliveries(conn, after, limits),
        Part::Attempts => history::attempts(conn, after, limits),
        Part::Claims => keyed::claims(conn, after, limits),
        Part::Responses => keyed::responses(conn, vault, after, limits),
        Part::Tokens => records::tokens(conn, after, limits),
        Part::Revocations => records::revocations(conn, after, limits),
        Part::Tasks => records::tasks(conn, after, limits),
        Part::AlertRules => records::alert_rules(conn, vault, after, limits),
        Part::Alerts => records::alerts(conn, after, limits),
        Part::Audit => records::audit(conn, after, limits),
        Part::Rollups => rollups::rollups(conn, after, limits),
    }
}

/// Writes a record. One that is there already is an error: each comes once.
fn write(tx: &mut Tx<'_>, record: &Record) -> Result<()> {
    match record {
        Record::Organization { organization, version } => {
            catalog::write_organization(tx, organization, *version)
        }
        Record::Application { application, deleted_at, version } => {
            catalog::write_application(tx, application, *deleted_at, *version)
        }
        Record::Endpoint { endpoint, deleted_at } => {
            catalog::write_endpoint(tx, endpoint, *deleted_at)
        }
        Record::PastHeaders(past) => catalog::write_past_headers(tx, past),
        Record::EventType(event_type) => catalog::write_event_type(tx, event_type),
        Record::Message(message) => history::write_message(tx, message),
        Record::Delivery(delivery) => history::write_delivery(tx, delivery),
        Record::Attempt(attempt) => history::write_attempt(tx, attempt),
        Record::Claim { org, claim, message } => keyed::write_claim(tx, *org, claim, *message),
        Record::Response { org, key, response, expires_at } => {
            keyed::write_response(tx, *org, *key, response, *expires_at)
        }
        Record::Token(token) => tokens::add(tx, token),
        Record::Revocation(revocation) => tokens::add_revocation(tx, revocation),
        Record::Task(task) => crate::tasks::write(tx, task),
        Record::AlertRule(rule) => records::write_alert_rule(tx, rule),
        Record::Alert(alert) => records::write_alert(tx, alert),
        Record::Audit(row) => records::write_audit(tx, row),
        Record::Rollup(rollup) => rollups::write_rollup(tx, rollup),
        Record::Counted(marks) => {
            rollups::write_marks(tx, *marks)?;
            Ok(())
        }
    }
}

/// Something that should have come before is not there.
fn missing(what: impl std::fmt::Display) -> Error {
    Error::Store(StoreError::Internal(format!("{what} has not been moved")))
}

/// Something came twice.
fn there_already(what: impl std::fmt::Display) -> Error {
    Error::Store(StoreError::Internal(format!("{what} is there already")))
}

pub(crate) fn progress(conn: &Connection) -> Result<Option<Vec<u8>>> {
    let sql = "/* move */ SELECT value FROM meta WHERE name = ?1";
    Ok(conn.prepare_cached(sql)?.query_row([PROGRESS], |row| row.get(0)).optional()?)
}

fn import(tx: &mut Tx<'_>, records: &[Record], step: &Step) -> Result<()> {
    if !step.is_next(progress(tx.conn)?.as_deref())? {
        return Ok(());
    }
    records.iter().try_for_each(|record| write(tx, record))?;
    let sql = "/* move */ REPLACE INTO meta (name, value) VALUES (?1, ?2)";
    tx.conn.prepare_cached(sql)?.execute(params![PROGRESS, step.to])?;
    Ok(())
}

fn is_empty(conn: &Connection) -> Result<bool> {
    let sql = "/* move */ SELECT NOT (EXISTS (SELECT 1 FROM organization)
        OR EXISTS (SELECT 1 FROM application) OR EXISTS (SELECT 1 FROM endpoint)
        OR EXISTS (SELECT 1 FROM past_headers)
        OR EXISTS (SELECT 1 FROM event_type) OR EXISTS (SELECT 1 FROM message)
        OR EXISTS (SELECT 1 FROM payload) OR EXISTS (SELECT 1 FROM delivery)
        OR EXISTS (SELECT 1 FROM due) OR EXISTS (SELECT 1 FROM attempt)
        OR EXISTS (SELECT 1 FROM claim) OR EXISTS (SELECT 1 FROM claim_recent)
        OR EXISTS (SELECT 1 FROM response) OR EXISTS (SELECT 1 FROM token)
        OR EXISTS (SELECT 1 FROM revocation) OR EXISTS (SELECT 1 FROM task)
        OR EXISTS (SELECT 1 FROM alert_rule) OR EXISTS (SELECT 1 FROM alert)
        OR EXISTS (SELECT 1 FROM audit) OR EXISTS (SELECT 1 FROM rollup))";
    Ok(conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

fn sizes(conn: &Connection) -> Result<[u64; Part::ALL.len()]> {
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
            Part::Claims => {
                "/* move */ SELECT (SELECT count(*) FROM claim) + (SELECT count(*) FROM claim_recent)"
            }
            Part::Responses => "/* move */ SELECT count(*) FROM response",
            Part::Tokens => "/* move */ SELECT count(*) FROM token",
            Part::Revocations => "/* move */ SELECT count(*) FROM revocation",
            Part::Tasks => "/* move */ SELECT count(*) FROM task",
            Part::AlertRules => "/* move */ SELECT count(*) FROM alert_rule",
            Part::Alerts => "/* move */ SELECT count(*) FROM alert",
            Part::Audit => "/* move */ SELECT count(*) FROM audit",
            // And how far counting has come.
            Part::Rollups => "/* move */ SELECT count(*) + 1 FROM rollup",
        };
        *size = conn.query_row(sql, [], |row| row.get::<_, i64>(0))?.unsigned_abs();
    }
    Ok(sizes)
}

#[async_trait]
impl Transfer for EmbeddedStore {
    async fn identity(&self) -> store::Result<String> {
        let sql = "/* move */ SELECT value FROM meta WHERE name = ?1";
        let check: Vec<u8> = self
            .readers
            .read(|conn| Ok(conn.query_row(sql, [schema::KEY_CHECK], |row| row.get(0))?))
            .await?;
        Ok(identity_of("sqlite", &check))
    }

    async fn sizes(&self) -> store::Result<[u64; Part::ALL.len()]> {
        let (reply, answer) = oneshot::channel();
        let path = self.path.clone();
        // On a connection and a thread of its own: a reader has a second.
        let thread = std::thread::Builder::new().name("store-sizes".into()).spawn(move || {
            let counted = schema::connect_reader(&path).and_then(|conn| sizes(&conn));
            // Whoever asked may have gone.
            let _ = reply.send(counted.map_err(StoreError::from));
        });
        thread.map_err(|e| StoreError::Internal(format!("cannot start a thread: {e}")))?;
        let stopped = || StoreError::Internal("counting did not come to its end".into());
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    async fn export(
        &self,
        part: Part,
        after: Option<Place>,
        limits: Limits,
    ) -> store::Result<Batch> {
        let vault = self.ports.vault.clone();
        self.readers.read(move |conn| export(conn, &vault, part, after, limits)).await
    }

    async fn is_empty(&self) -> store::Result<bool> {
        self.readers.read(is_empty).await
    }

    async fn prepare(&self) -> store::Result<()> {
        Ok(())
    }

    async fn progress(&self) -> store::Result<Option<Vec<u8>>> {
        self.readers.read(progress).await
    }

    async fn import(&self, records: Vec<Record>, step: Step) -> store::Result<()> {
        let bytes = records.iter().map(Record::bytes).sum();
        // New work: refused when there is no room.
        let label = Label { kind: Kind::Ingest, name: "import", rows: records.len().max(1), bytes };
        self.writer.write(label, move |tx| import(tx, &records, &step)).await
    }

    async fn finish(&self) -> store::Result<()> {
        self.writer
            .write(Label::other("import"), |tx| {
                let sql = "/* move */ DELETE FROM meta WHERE name = ?1";
                tx.conn.prepare_cached(sql)?.execute([PROGRESS])?;
                Ok(())
            })
            .await
    }
}
