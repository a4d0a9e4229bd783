//! Durable jobs.

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    id::{AttemptId, EndpointId, OrganizationId, TaskId},
    page::{Page, PageRequest},
    shard::ShardSet,
    task::{Task, TaskKind, TaskStatus},
};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use store::{Tasks, paging::Window};

use crate::{EmbeddedStore, error::Result, rows, tx::Tx, writer::Label};

pub(crate) const COLUMNS: &str = "org, id, data, status, cursor, done, updated_at";

pub(crate) fn task(row: &Row<'_>) -> Result<Task> {
    let cursor = row.get::<_, Option<[u8; 20]>>(4)?;
    Ok(Task {
        org: rows::id(row, 0)?,
        id: rows::id(row, 1)?,
        kind: rows::json(row, 2)?,
        status: rows::json(row, 3)?,
        cursor: cursor.map(AttemptId::from_raw),
        done: row.get::<_, i64>(5)?.cast_unsigned(),
        updated_at: rows::time(row, 6)?,
    })
}

fn list(conn: &Connection, from: &str, filter: &str, params: &[&dyn ToSql]) -> Result<Vec<Task>> {
    let mut statement =
        conn.prepare_cached(&format!("/* tasks */ SELECT {COLUMNS} FROM {from} WHERE {filter}"))?;
    let mut rows = statement.query(params)?;
    let mut tasks = Vec::new();
    while let Some(row) = rows.next()? {
        tasks.push(task(row)?);
    }
    Ok(tasks)
}

pub(crate) fn write(tx: &mut Tx<'_>, task: &Task) -> Result<()> {
    tx.conn
        .prepare_cached(
            "/* task */ REPLACE INTO task (id, org, kind, endpoint, data, status, cursor, done,
             updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            task.id.raw(),
            task.org.raw(),
            task.kind.name(),
            recovered(&task.kind).map(EndpointId::raw),
            rows::to_json(&task.kind),
            rows::to_json(&task.status),
            task.cursor.as_ref().map(AttemptId::raw),
            task.done.cast_signed(),
            task.updated_at.as_micros(),
        ])?;
    Ok(())
}

/// The endpoint that a task recovers.
fn recovered(kind: &TaskKind) -> Option<&EndpointId> {
    match kind {
        TaskKind::Recover { endpoint, .. } => Some(endpoint),
        TaskKind::CancelDeliveries { .. } => None,
    }
}

/// The task that recovers the same endpoint already.
fn rival(tx: &Tx<'_>, task: &Task) -> Result<Option<TaskId>> {
    let Some(endpoint) = recovered(&task.kind) else { return Ok(None) };
    let sql = r#"/* task */ SELECT id FROM task
                 WHERE endpoint = ?1 AND org = ?2 AND id <> ?3 AND status = '"running"'"#;
    let params = params![endpoint.raw(), task.org.raw(), task.id.raw()];
    let found = tx.conn.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()?;
    Ok(found.map(TaskId::from_raw))
}

/// Adds a task in the transaction of what makes it necessary.
pub(crate) fn start(
    tx: &mut Tx<'_>,
    org: OrganizationId,
    kind: TaskKind,
    now: Timestamp,
) -> Result<()> {
    let id = TaskId::generate(now, &*tx.ports.entropy);
    let status = TaskStatus::Running;
    write(tx, &Task { org, id, kind, status, cursor: None, done: 0, updated_at: now })
}

#[async_trait]
impl Tasks for EmbeddedStore {
    async fn create_task(&self, task: Task) -> store::Result<Option<TaskId>> {
        self.writer
            .write(Label::other("task"), move |tx| {
                let rival = rival(tx, &task)?;
                if rival.is_none() {
                    write(tx, &task)?;
                }
                Ok(rival)
            })
            .await
    }

    async fn running_tasks(&self, shards: &ShardSet, limit: usize) -> store::Result<Vec<Task>> {
        let shards = *shards;
        self.readers
            .read(move |conn| {
                let turns = r#"(SELECT *, row_number() OVER
                    (PARTITION BY org ORDER BY updated_at, id) AS turn
                    FROM task WHERE status = '"running"')"#;
                let mut tasks = list(conn, turns, "1 ORDER BY turn, updated_at, id", &[])?;
                tasks.retain(|task| shards.contains(task.shard()));
                tasks.truncate(limit);
                Ok(tasks)
            })
            .await
    }

    async fn update_task(&self, task: Task) -> store::Result<()> {
        self.writer.write(Label::other("task"), move |tx| write(tx, &task)).await
    }

    async fn task(&self, org: OrganizationId, task: TaskId) -> store::Result<Option<Task>> {
        self.readers
            .read(move |conn| {
                Ok(list(conn, "task", "org = ?1 AND id = ?2", &[org.raw(), task.raw()])?.pop())
            })
            .await
    }

    async fn list_tasks(
        &self,
        org: OrganizationId,
        status: Option<TaskStatus>,
        kind: Option<&str>,
        page: PageRequest<TaskId>,
    ) -> store::Result<Page<Task>> {
        let kind = kind.map(str::to_owned);
        self.readers
            .read(move |conn| {
                let window = Window::new(&page);
                let filter = format!(
                    "org = ?1 AND id > ?2 AND id < ?3 AND (?4 IS NULL OR status = ?4)
                     AND (?5 IS NULL OR kind = ?5) ORDER BY id {} LIMIT ?6",
                    window.direction()
                );
                let status = rows::opt_to_json(status.as_ref());
                let wanted = window.wanted() as i64;
                let params: &[&dyn ToSql] =
                    &[org.raw(), &window.above, &window.below, &status, &kind, &wanted];
                Ok(window.page(list(conn, "task", &filter, params)?))
            })
            .await
    }
}
