//! A change of which partitions there are: a transaction on a connection of its own, because it may take
//! longer than others.

use std::{future::Future, time::Duration};

use tokio::time::timeout;
use tokio_postgres::{Client, Row, error::SqlState};

use super::{LIST, Partition, Table, listed};
use crate::{
    Shared,
    conn::{COMMIT, Params},
    error::{Error, Result},
    rows,
};

/// One node at a time makes or drops partitions. ("Hkwp")
const LOCK: i64 = 0x486b_7770;
/// Longest that one of its statements may take, and then some on our side.
const LONGEST: &str = "60s";
const DEADLINE: Duration = Duration::from_secs(70);
/// Estimates below this are not trusted: then the rows are counted.
const COUNTED: u64 = 100_000;

/// Whether a change failed because others used its tables.
pub(crate) fn is_in_use(error: &Error) -> bool {
    let locked =
        |error: &tokio_postgres::Error| error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE);
    error.is_conflict() || matches!(error, Error::Postgres(error) if locked(error))
}

/// A transaction that changes which partitions there are, on a connection of its own; one at a time of
/// all nodes. Dropped without [`Change::commit`] it leaves nothing behind.
pub(crate) struct Change {
    client: Client,
}

/// Waits for an answer, but not for ever.
async fn within<T>(answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
    Ok(timeout(DEADLINE, answer).await.map_err(|_| Error::Late)??)
}

impl Change {
    pub(crate) async fn begin(shared: &Shared) -> Result<Self> {
        let (client, _) = within(shared.connector.connect_one(None)).await?;
        let change = Self { client };
        change.batch(&format!("BEGIN; SET LOCAL statement_timeout = '{LONGEST}'")).await?;
        change.query("/* partitions */ SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
        Ok(change)
    }

    /// All partitions but the default ones, the earliest first.
    pub(crate) async fn partitions(&self) -> Result<Vec<Partition>> {
        listed(&self.query(LIST, &[&Table::ALL.map(Table::name).as_slice()]).await?)
    }

    /// Statements without parameters or rows.
    pub(crate) async fn batch(&self, sql: &str) -> Result<()> {
        within(self.client.batch_execute(sql)).await
    }

    pub(crate) async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>> {
        within(self.client.query(sql, params)).await
    }

    pub(crate) async fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64> {
        within(self.client.execute(sql, params)).await
    }

    /// How many rows a partition has; of a large one, about.
    pub(crate) async fn rows(&self, partition: &Partition) -> Result<usize> {
        if let Some(rows) = partition.estimate.filter(|rows| *rows >= COUNTED) {
            return Ok(usize::try_from(rows).unwrap_or(usize::MAX));
        }
        let sql = format!("/* partitions */ SELECT count(*) FROM {}", partition.name);
        let row = within(self.client.query_one(&sql, &[])).await?;
        rows::narrow(rows::get::<i64>(&row, 0)?)
    }

    /// Ends a vacuum of these tables, and keeps others from beginning: it would not let go of them at
    /// once, and everybody would wait behind us. Nobody else is in the way of this.
    pub(crate) async fn keep_vacuum_away(&self, tables: &[&str]) -> Result<()> {
        self.lock(tables, "SHARE UPDATE EXCLUSIVE").await
    }

    /// Waits until nobody uses these tables, and lets nobody in. Whoever comes meanwhile waits behind
    /// us, so that is tried for a moment only.
    pub(crate) async fn alone(&self, tables: &[&str]) -> Result<()> {
        self.batch("SET LOCAL lock_timeout = '500ms'").await?;
        self.lock(tables, "ACCESS EXCLUSIVE").await
    }

    /// Locks tables, without their partitions.
    pub(crate) async fn lock(&self, tables: &[&str], mode: &str) -> Result<()> {
        let only: Vec<String> = tables.iter().map(|table| format!("ONLY {table}")).collect();
        self.batch(&format!("LOCK TABLE {} IN {mode} MODE", only.join(", "))).await
    }

    pub(crate) async fn commit(self) -> Result<()> {
        self.batch(COMMIT).await
    }
}
