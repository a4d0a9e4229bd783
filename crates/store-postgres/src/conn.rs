//! A connection of the pool: for reading, or for one transaction. Every answer has a deadline on our
//! side, because a connection may be half open; one that let us wait is thrown away.

use std::{
    future::Future,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::{GenericClient, Object};
use futures_util::future;
use store::StoreError;
use tokio::time::timeout;
use tokio_postgres::{Row, Statement, types::ToSql};

use crate::{
    committer::Failed,
    error::{Error, Result},
};

/// Parameters of a statement.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Longest wait for the answer to a COMMIT. Past it its outcome is unknown.
pub(crate) const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);
/// Begins a transaction.
pub(crate) const BEGIN: &str = "BEGIN";
/// Ends a transaction. A statement's time must not end it while it waits for a standby: that would make
/// it durable here and nowhere else.
pub(crate) const COMMIT: &str = "SET LOCAL statement_timeout = 0; COMMIT";

/// A connection that is used by one at a time.
pub(crate) struct Conn {
    /// Always there, but while it is being thrown away.
    object: Option<Object>,
    deadline: Duration,
    /// See [`crate::connect::Connector`].
    doubts: Arc<AtomicU64>,
    /// An answer is still to come that nobody waits for any more.
    late: AtomicBool,
}

impl Drop for Conn {
    fn drop(&mut self) {
        if self.late.load(Ordering::Acquire) {
            self.throw_away();
        }
    }
}

impl Conn {
    pub(crate) fn new(object: Object, deadline: Duration, doubts: Arc<AtomicU64>) -> Self {
        Self { object: Some(object), deadline, doubts, late: AtomicBool::new(false) }
    }

    fn client(&self) -> &Object {
        self.object.as_ref().expect("there until it is dropped")
    }

    /// Waits, but not for ever.
    pub(crate) async fn within<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        match timeout(self.deadline, answer).await {
            Ok(answer) => Ok(answer?),
            Err(_) => {
                self.late.store(true, Ordering::Release);
                Err(Error::Late)
            }
        }
    }

    /// Rows of a statement, which is prepared once for each connection.
    pub(crate) async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>> {
        let client = self.client();
        self.within(async {
            let statement = client.prepare_cached(sql).await?;
            client.query(&statement, params).await
        })
        .await
    }

    /// The only row, or none.
    pub(crate) async fn query_opt(&self, sql: &str, params: Params<'_>) -> Result<Option<Row>> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// The only row.
    pub(crate) async fn query_one(&self, sql: &str, params: Params<'_>) -> Result<Row> {
        let row = self.query_opt(sql, params).await?;
        row.ok_or_else(|| Error::corrupt("a row that is always there is missing"))
    }

    /// Runs a statement; how many rows it concerned.
    pub(crate) async fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64> {
        let client = self.client();
        self.within(async {
            let statement = client.prepare_cached(sql).await?;
            client.execute(&statement, params).await
        })
        .await
    }

    /// A statement, prepared once for each connection.
    pub(crate) async fn prepare(&self, sql: &str) -> Result<Statement> {
        self.within(self.client().prepare_cached(sql)).await
    }

    /// Statements without parameters or rows, one after the other.
    pub(crate) async fn batch(&self, sql: &str) -> Result<()> {
        self.within(self.client().batch_execute(sql)).await
    }

    /// Ends the connection instead of giving it back: nobody else gets what is left of it.
    fn throw_away(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}

/// A transaction. Dropped without [`Tx::commit`] it leaves nothing behind.
pub(crate) struct Tx {
    conn: Conn,
    /// Whether the server may still be in it.
    open: AtomicBool,
}

impl Deref for Tx {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl Tx {
    /// Begins: read what is committed, when it is read.
    pub(crate) async fn begin(conn: Conn) -> Result<Self> {
        let tx = Self::unbegun(conn);
        tx.conn.batch(BEGIN).await?;
        Ok(tx)
    }

    /// For who sends [`BEGIN`] along with the first statements.
    pub(crate) fn unbegun(conn: Conn) -> Self {
        Self { conn, open: AtomicBool::new(true) }
    }

    /// A transaction that only reads, and sees one moment.
    pub(crate) async fn begin_snapshot(conn: Conn) -> Result<Self> {
        let tx = Self::unbegun(conn);
        tx.conn.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        Ok(tx)
    }

    /// Makes it durable. After an error, whether it is is unknown.
    pub(crate) async fn commit(self) -> Result<()> {
        self.commit_with(async { Ok(()) }).await.map_err(|failed| match failed.committing {
            true => Error::Store(StoreError::Unknown),
            false => failed.error,
        })
    }

    /// Makes it durable, with a last statement of it on the same way: one exchange less. It must have
    /// been prepared, or it would come behind the COMMIT.
    pub(crate) async fn commit_with<T>(
        &self,
        last: impl Future<Output = Result<T>>,
    ) -> Result<T, Failed> {
        let doubts = self.conn.doubts.load(Ordering::Acquire);
        let commit = timeout(COMMIT_TIMEOUT, self.conn.client().batch_execute(COMMIT));
        let (last, committed) = future::join(last, commit).await;
        let committed = match committed {
            Ok(Ok(())) => {
                self.open.store(false, Ordering::Release);
                Ok(())
            }
            Ok(Err(error)) => Err(Error::from(error)),
            Err(_) => Err(Error::Late),
        };
        match (last, committed) {
            // A statement that failed has undone the transaction, whatever COMMIT said.
            (Err(error), _) => Err(Failed { committing: error.is_away(), error }),
            (Ok(_), Err(error)) => Err(Failed { committing: true, error }),
            // Durable here, and perhaps not on the standby.
            (Ok(_), Ok(())) if self.conn.doubts.load(Ordering::Acquire) != doubts => {
                Err(Failed { committing: true, error: Error::Late })
            }
            (Ok(value), Ok(())) => Ok(value),
        }
    }

    /// Undoes it, and gives the connection back.
    pub(crate) async fn rollback(self) -> Result<()> {
        self.conn.batch("ROLLBACK").await?;
        self.open.store(false, Ordering::Release);
        Ok(())
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if self.open.load(Ordering::Acquire) {
            self.conn.throw_away();
        }
    }
}
