//! Keeping it small, whole and safe.

use std::{fs, path::Path};

use async_trait::async_trait;
use domain::clock::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use store::{
    Analytics, Housekeeping, StoreError,
    housekeeping::{CheckReport, RetentionLimits, StoreStats, Swept},
};
use tokio::sync::oneshot;

use crate::{EmbeddedStore, check, error::Result, schema, unscheduled, writer::Label};

/// Most lanes that are looked at for the oldest work.
const MOST_LANES: usize = 100_000;

/// Rows of `due`, and the earliest of them.
fn remaining(conn: &Connection) -> Result<(u64, Option<Timestamp>)> {
    let pending: i64 = conn
        .prepare_cached("/* stats */ SELECT pending FROM progress")?
        .query_row([], |row| row.get(0))?;
    let mut next = conn.prepare_cached(
        "/* stats */ SELECT lane, due FROM due WHERE lane > ?1 ORDER BY lane, due LIMIT 1",
    )?;
    let (mut lane, mut oldest) = (-1, None::<i64>);
    for _ in 0..MOST_LANES {
        let head = next.query_row([lane], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((found, due)): Option<(i64, i64)> = head else { break };
        lane = found;
        oldest = Some(oldest.map_or(due, |oldest| oldest.min(due)));
    }
    Ok((pending.unsigned_abs(), oldest.map(Timestamp::from_micros)))
}

fn file_bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

#[async_trait]
impl Housekeeping for EmbeddedStore {
    async fn sweep(&self, limits: RetentionLimits) -> store::Result<Swept> {
        let mut sweeper = self.sweeper.lock().await;
        sweeper.sweep(&self.readers, &self.writer, limits).await
    }

    async fn stats(&self) -> store::Result<StoreStats> {
        let (pending, oldest_due) = self.readers.read(remaining).await?;
        let after = self.walk.after();
        // What cannot be read now is read next time.
        if let Ok(page) = self.readers.read(|conn| unscheduled::page(conn, after)).await {
            self.walk.add(page);
        }
        let mut wal = self.path.clone().into_os_string();
        wal.push("-wal");
        let wal_bytes = file_bytes(wal.as_ref());
        Ok(StoreStats {
            bytes: file_bytes(&self.path) + wal_bytes,
            wal_bytes,
            pending,
            oldest_due,
            unscheduled: self.walk.found(),
            queued: self.writer.queued_rows() as u64,
            full: self.room.is_full(),
        })
    }

    async fn ping(&self) -> store::Result<()> {
        // Through the writer: it is what must answer.
        self.writer.write(Label::other("ping"), |_| Ok(())).await
    }

    async fn check(&self) -> store::Result<CheckReport> {
        // What is counted and not written cannot be compared.
        self.flush_rollups(&[]).await?;
        let (reply, answer) = oneshot::channel();
        let path = self.path.clone();
        // On a connection and a thread of its own: it takes its time, and sees one moment.
        let thread = std::thread::Builder::new().name("store-check".into()).spawn(move || {
            let report = schema::connect_reader(&path).and_then(|conn| check::check(&conn));
            let _ = reply.send(report.map_err(StoreError::from));
        });
        thread.map_err(|e| StoreError::Internal(format!("cannot start a thread: {e}")))?;
        let stopped = || StoreError::Internal("the check did not come to its end".into());
        let found = answer.await.unwrap_or_else(|_| Err(stopped()))?;
        self.walk.counted(found.unscheduled);
        Ok(found.report)
    }
}
