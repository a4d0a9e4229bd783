//! Durable jobs.

use std::{convert::Infallible, sync::Arc};

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    id::{AttemptId, EndpointId, OrganizationId, TaskId},
    page::{Page, PageRequest},
    shard::ShardSet,
    task::{Task, TaskKind, TaskStatus},
};
use store::{Tasks, paging::Window};
use tokio_postgres::Row;

use crate::{
    PostgresStore,
    conn::{Conn, Params, Tx},
    error::Result,
    options::Ports,
    rows,
};

pub(crate) const COLUMNS: &str = "org, id, data, status, cursor, done, updated_at";
/// A task that is there already stays as it is, and so does one that recovers the same endpoint.
pub(crate) const ADD: &str = "ON CONFLICT DO NOTHING";
/// A node that does not own the task any more may still say where it was: what another one has ended
/// meanwhile does not run again.
const REPLACE: &str = "ON CONFLICT (org, id) DO UPDATE SET status = excluded.status,
    cursor = excluded.cursor, done = excluded.done, updated_at = excluded.updated_at
    WHERE task.status = '\"running\"' OR excluded.status <> '\"running\"'";

pub(crate) fn task(row: &Row) -> Result<Task> {
    Ok(Task {
        org: rows::id(row, 0)?,
        id: rows::id(row, 1)?,
        kind: rows::json(row, 2)?,
        status: rows::json(row, 3)?,
        cursor: rows::opt_id(row, 4)?,
        done: rows::narrow(rows::get::<i64>(row, 5)?)?,
        updated_at: rows::time(row, 6)?,
    })
}

async fn list(conn: &Conn, from: &str, filter: &str, params: Params<'_>) -> Result<Vec<Task>> {
    let sql = format!("/* tasks */ SELECT {COLUMNS} FROM {from} WHERE {filter}");
    conn.query(&sql, params).await?.iter().map(task).collect()
}

/// Writes a task; `conflict` says what becomes of one that is there. Whether anything was written.
pub(crate) async fn write(tx: &Tx, task: &Task, conflict: &str) -> Result<bool> {
    let sql = format!(
        "/* task */ INSERT INTO task (org, id, shard, kind, endpoint, data, status, cursor, done,
         updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) {conflict}"
    );
    let written = tx
        .execute(
            &sql,
            &[
                &task.org.raw().as_slice(),
                &task.id.raw().as_slice(),
                &task.shard().0.cast_signed(),
                &task.kind.name(),
                &recovered(&task.kind).map(|endpoint| endpoint.raw().as_slice()),
                &rows::to_json(&task.kind),
                &rows::to_json(&task.status),
                &task.cursor.as_ref().map(|cursor: &AttemptId| cursor.raw().as_slice()),
                &task.done.cast_signed(),
                &task.updated_at.as_micros(),
            ],
        )
        .await?;
    Ok(written > 0)
}

/// The endpoint that a task recovers.
fn recovered(kind: &TaskKind) -> Option<&EndpointId> {
    match kind {
        TaskKind::Recover { endpoint, .. } => Some(endpoint),
        TaskKind::CancelDeliveries { .. } => None,
    }
}

/// The task that recovers the same endpoint already.
async fn rival(tx: &Tx, task: &Task) -> Result<Option<TaskId>> {
    let Some(endpoint) = recovered(&task.kind) else { return Ok(None) };
    let sql = r#"/* task */ SELECT id FROM task
                 WHERE org = $1 AND endpoint = $2 AND status = '"running"' AND id <> $3"#;
    let key = (task.org.raw().as_slice(), endpoint.raw().as_slice(), task.id.raw().as_slice());
    let found = tx.query_opt(sql, &[&key.0, &key.1, &key.2]).await?;
    found.map(|row| rows::id(&row, 0)).transpose()
}

/// Adds a task, unless another one recovers the same endpoint: the error.
async fn create(tx: &Tx, task: &Task) -> Result<Result<(), TaskId>> {
    // The rival may end between the two statements: then there is room.
    while !write(tx, task, ADD).await? {
        if let Some(rival) = rival(tx, task).await? {
            return Ok(Err(rival));
        }
        let (org, id) = (task.org.raw().as_slice(), task.id.raw().as_slice());
        let there = "/* task */ SELECT 1 FROM task WHERE org = $1 AND id = $2";
        if tx.query_opt(there, &[&org, &id]).await?.is_some() {
            break;
        }
    }
    Ok(Ok(()))
}

/// Adds a task in the transaction of what makes it necessary.
pub(crate) async fn start(
    tx: &Tx,
    ports: &Ports,
    org: OrganizationId,
    kind: TaskKind,
    now: Timestamp,
) -> Result<()> {
    let id = TaskId::generate(now, &*ports.entropy);
    let status = TaskStatus::Running;
    let task = Task { org, id, kind, status, cursor: None, done: 0, updated_at: now };
    write(tx, &task, ADD).await?;
    Ok(())
}

#[async_trait]
impl Tasks for PostgresStore {
    async fn create_task(&self, task: Task) -> store::Result<Option<TaskId>> {
        let task = &task;
        let create = |tx: Arc<Tx>| async move { create(&tx, task).await };
        Ok(self.shared.change(create).await?.err())
    }

    async fn running_tasks(&self, shards: &ShardSet, limit: usize) -> store::Result<Vec<Task>> {
        let shards: Vec<i16> = shards.iter().map(|shard| shard.0.cast_signed()).collect();
        let turns = r#"(SELECT *, row_number() OVER
            (PARTITION BY org ORDER BY updated_at, id) AS turn
            FROM task WHERE shard = ANY($1) AND status = '"running"') AS t"#;
        let order = "true ORDER BY turn, updated_at, id LIMIT $2";
        let conn = self.shared.read().await?;
        Ok(list(&conn, turns, order, &[&shards, &(limit as i64)]).await?)
    }

    async fn update_task(&self, task: Task) -> store::Result<()> {
        let task = &task;
        let update = |tx: Arc<Tx>| async move {
            write(&tx, task, REPLACE).await?;
            Ok(Ok::<_, Infallible>(()))
        };
        let Ok(()) = self.shared.change(update).await?;
        Ok(())
    }

    async fn task(&self, org: OrganizationId, task: TaskId) -> store::Result<Option<Task>> {
        let conn = self.shared.read().await?;
        let (org, id) = (org.raw().as_slice(), task.raw().as_slice());
        Ok(list(&conn, "task", "org = $1 AND id = $2", &[&org, &id]).await?.pop())
    }

    async fn list_tasks(
        &self,
        org: OrganizationId,
        status: Option<TaskStatus>,
        kind: Option<&str>,
        page: PageRequest<TaskId>,
    ) -> store::Result<Page<Task>> {
        let window = Window::new(&page);
        let filter = format!(
            "org = $1 AND id > $2 AND id < $3 AND ($4::text IS NULL OR status = $4)
             AND ($5::text IS NULL OR kind = $5) ORDER BY id {} LIMIT $6",
            window.direction()
        );
        let status = status.as_ref().map(rows::to_json);
        let wanted = window.wanted() as i64;
        let params: Params<'_> =
            &[&org.raw().as_slice(), &window.above, &window.below, &status, &kind, &wanted];
        let conn = self.shared.read().await?;
        Ok(window.page(list(&conn, "task", &filter, params).await?))
    }
}
