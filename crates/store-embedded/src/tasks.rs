//! Durable jobs.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    id::{OrganizationId, TaskId},
    page::{Page, PageRequest},
    shard::ShardSet,
    task::{Task, TaskKind, Wish},
    token::Actor,
};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use store::{
    Tasks,
    audit::{of_task, steering},
    paging::Window,
    tasks::TaskFilter,
};

use crate::{EmbeddedStore, catalog, error::Result, rows, tx::Tx, writer::Label};

pub(crate) const COLUMNS: &str =
    "org, id, data, status, cursor, done, updated_at, scanned, total, result";
/// Of a list: results may be large.
const WITHOUT_RESULT: &str =
    "org, id, data, status, cursor, done, updated_at, scanned, total, NULL";

pub(crate) fn task(row: &Row<'_>) -> Result<Task> {
    Ok(Task {
        org: rows::id(row, 0)?,
        id: rows::id(row, 1)?,
        kind: rows::json(row, 2)?,
        status: rows::json(row, 3)?,
        cursor: row.get(4)?,
        done: row.get::<_, i64>(5)?.cast_unsigned(),
        scanned: row.get::<_, i64>(7)?.cast_unsigned(),
        total: row.get::<_, Option<i64>>(8)?.map(i64::cast_unsigned),
        result: rows::opt_json(row, 9)?.map(Arc::new),
        updated_at: rows::time(row, 6)?,
    })
}

fn list(
    conn: &Connection,
    columns: &str,
    from: &str,
    filter: &str,
    params: &[&dyn ToSql],
) -> Result<Vec<Task>> {
    let mut statement =
        conn.prepare_cached(&format!("/* tasks */ SELECT {columns} FROM {from} WHERE {filter}"))?;
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
             updated_at, scanned, total, result)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            task.id.raw(),
            task.org.raw(),
            task.kind.name(),
            task.kind.target().as_ref().map(|(_, endpoint)| endpoint.raw()),
            rows::to_json(&task.kind),
            rows::to_json(&task.status),
            task.cursor,
            task.done.cast_signed(),
            task.updated_at.as_micros(),
            task.scanned.cast_signed(),
            task.total.map(u64::cast_signed),
            rows::opt_to_json(task.result.as_deref()),
        ])?;
    Ok(())
}

fn find(conn: &Connection, org: OrganizationId, task: TaskId) -> Result<Option<Task>> {
    Ok(list(conn, COLUMNS, "task", "org = ?1 AND id = ?2", &[org.raw(), task.raw()])?.pop())
}

/// The open task that sends to the same endpoint already.
fn rival(tx: &Tx<'_>, task: &Task) -> Result<Option<TaskId>> {
    let Some((_, endpoint)) = task.kind.target() else { return Ok(None) };
    let sql = r#"/* task */ SELECT id FROM task WHERE endpoint = ?1 AND org = ?2 AND id <> ?3
                 AND status IN ('"running"', '"paused"')"#;
    let params = params![endpoint.raw(), task.org.raw(), task.id.raw()];
    let found = tx.conn.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()?;
    Ok(found.map(TaskId::from_raw))
}

fn audit(tx: &mut Tx<'_>, actor: &Actor, action: &str, task: &Task) -> Result<()> {
    let org_no = tx.org_no(task.org)?;
    catalog::audit(tx, org_no, actor, action, &task.id, &of_task(task))
}

/// Adds a task in the transaction of what makes it necessary.
pub(crate) fn start(
    tx: &mut Tx<'_>,
    org: OrganizationId,
    kind: TaskKind,
    now: Timestamp,
) -> Result<()> {
    let id = TaskId::generate(now, &*tx.ports.entropy);
    write(tx, &Task::new(org, id, kind, now))
}

#[async_trait]
impl Tasks for EmbeddedStore {
    async fn create_task(&self, actor: &Actor, task: Task) -> store::Result<Option<TaskId>> {
        let actor = actor.clone();
        self.writer
            .write(Label::other("task"), move |tx| {
                let rival = rival(tx, &task)?;
                if rival.is_none() {
                    write(tx, &task)?;
                    audit(tx, &actor, "background_task.create", &task)?;
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
                let mut tasks =
                    list(conn, WITHOUT_RESULT, turns, "1 ORDER BY turn, updated_at, id", &[])?;
                tasks.retain(|task| shards.contains(task.shard()));
                tasks.truncate(limit);
                Ok(tasks)
            })
            .await
    }

    async fn update_task(&self, step: Task) -> store::Result<()> {
        self.writer
            .write(Label::other("task"), move |tx| match find(tx.conn, step.org, step.id)? {
                Some(stored) => write(tx, &stored.after(step.clone())),
                None => Ok(()),
            })
            .await
    }

    async fn steer_task(
        &self,
        actor: &Actor,
        org: OrganizationId,
        task: TaskId,
        wish: Wish,
        now: Timestamp,
    ) -> store::Result<Option<Task>> {
        let actor = actor.clone();
        self.writer
            .write(Label::other("task"), move |tx| {
                let Some(stored) = find(tx.conn, org, task)? else { return Ok(None) };
                let steered = stored.clone().steered(wish, now);
                if steered != stored {
                    write(tx, &steered)?;
                    audit(tx, &actor, steering(wish), &steered)?;
                }
                Ok(Some(steered))
            })
            .await
    }

    async fn task(&self, org: OrganizationId, task: TaskId) -> store::Result<Option<Task>> {
        self.readers.read(move |conn| find(conn, org, task)).await
    }

    async fn list_tasks(
        &self,
        org: OrganizationId,
        filter: TaskFilter,
        page: PageRequest<TaskId>,
    ) -> store::Result<Page<Task>> {
        self.readers
            .read(move |conn| {
                let window = Window::new(&page);
                let among = |column: &str, list: &str| {
                    format!("({list} = '[]' OR {column} IN (SELECT value FROM json_each({list})))")
                };
                let wanted = format!(
                    "org = ?1 AND id > ?2 AND id < ?3 AND {} AND {} ORDER BY id {} LIMIT ?6",
                    among("status", "?4"),
                    among("kind", "?5"),
                    window.direction()
                );
                let statuses: Vec<_> = filter.statuses.iter().map(rows::to_json).collect();
                let (statuses, kinds) = (rows::to_json(&statuses), rows::to_json(&filter.kinds));
                let limit = window.wanted() as i64;
                let params: &[&dyn ToSql] =
                    &[org.raw(), &window.above, &window.below, &statuses, &kinds, &limit];
                Ok(window.page(list(conn, WITHOUT_RESULT, "task", &wanted, params)?))
            })
            .await
    }
}
