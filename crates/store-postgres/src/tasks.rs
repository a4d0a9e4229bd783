//! Durable jobs.

use std::{convert::Infallible, sync::Arc};

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    id::{OrganizationId, TaskId},
    page::{Page, PageRequest},
    shard::ShardSet,
    task::{Task, TaskKind, Wish},
    token::Actor,
};
use store::{
    Tasks,
    audit::{of_task, steering},
    paging::Window,
    tasks::TaskFilter,
};
use tokio_postgres::Row;

use crate::{
    PostgresStore,
    catalog::audit,
    conn::{Conn, Params, Tx},
    error::{Error, Result},
    options::Ports,
    rows,
};

pub(crate) const COLUMNS: &str =
    "org, id, data, status, cursor, done, updated_at, scanned, total, result";
/// Of a list: results may be large.
const WITHOUT_RESULT: &str =
    "org, id, data, status, cursor, done, updated_at, scanned, total, NULL::text";

pub(crate) fn task(row: &Row) -> Result<Task> {
    Ok(Task {
        org: rows::id(row, 0)?,
        id: rows::id(row, 1)?,
        kind: rows::json(row, 2)?,
        status: rows::json(row, 3)?,
        cursor: rows::get::<Option<&[u8]>>(row, 4)?
            .map(|cursor| cursor.try_into().map_err(Error::corrupt))
            .transpose()?,
        done: rows::narrow(rows::get::<i64>(row, 5)?)?,
        scanned: rows::narrow(rows::get::<i64>(row, 7)?)?,
        total: rows::get::<Option<i64>>(row, 8)?.map(rows::narrow).transpose()?,
        result: rows::opt_json(row, 9)?.map(Arc::new),
        updated_at: rows::time(row, 6)?,
    })
}

async fn list(
    conn: &Conn,
    columns: &str,
    from: &str,
    filter: &str,
    params: Params<'_>,
) -> Result<Vec<Task>> {
    let sql = format!("/* tasks */ SELECT {columns} FROM {from} WHERE {filter}");
    conn.query(&sql, params).await?.iter().map(task).collect()
}

/// Adds a task, unless it is there already or another one runs that sends to the same endpoint. Whether
/// it was added.
pub(crate) async fn add(tx: &Tx, task: &Task) -> Result<bool> {
    let sql =
        "/* task */ INSERT INTO task (org, id, shard, kind, endpoint, data, status, cursor, done,
         updated_at, scanned, total, result)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT DO NOTHING";
    let target = task.kind.target();
    let written = tx
        .execute(
            sql,
            &[
                &task.org.raw().as_slice(),
                &task.id.raw().as_slice(),
                &task.shard().0.cast_signed(),
                &task.kind.name(),
                &target.as_ref().map(|(_, endpoint)| endpoint.raw().as_slice()),
                &rows::to_json(&task.kind),
                &rows::to_json(&task.status),
                &task.cursor.as_ref().map(<[u8; 20]>::as_slice),
                &task.done.cast_signed(),
                &task.updated_at.as_micros(),
                &task.scanned.cast_signed(),
                &task.total.map(u64::cast_signed),
                &task.result.as_deref().map(rows::to_json),
            ],
        )
        .await?;
    Ok(written > 0)
}

/// Writes what becomes of a task, of the task as it stands now, which nobody else changes meanwhile.
/// `None` if there is no such task.
async fn change(
    tx: &Tx,
    org: OrganizationId,
    id: TaskId,
    becomes: impl FnOnce(Task) -> Task,
) -> Result<Option<Task>> {
    let (org, id) = (org.raw().as_slice(), id.raw().as_slice());
    let sql =
        format!("/* task */ SELECT {COLUMNS} FROM task WHERE org = $1 AND id = $2 FOR UPDATE");
    let Some(row) = tx.query_opt(&sql, &[&org, &id]).await? else { return Ok(None) };
    let task = becomes(task(&row)?);
    let sql = "/* task */ UPDATE task SET status = $3, cursor = $4, done = $5, updated_at = $6,
         scanned = $7, result = $8 WHERE org = $1 AND id = $2";
    tx.execute(
        sql,
        &[
            &org,
            &id,
            &rows::to_json(&task.status),
            &task.cursor.as_ref().map(<[u8; 20]>::as_slice),
            &task.done.cast_signed(),
            &task.updated_at.as_micros(),
            &task.scanned.cast_signed(),
            &task.result.as_deref().map(rows::to_json),
        ],
    )
    .await?;
    Ok(Some(task))
}

/// The open task that sends to the same endpoint already.
async fn rival(tx: &Tx, task: &Task) -> Result<Option<TaskId>> {
    let Some((_, endpoint)) = task.kind.target() else { return Ok(None) };
    let sql = r#"/* task */ SELECT id FROM task WHERE org = $1 AND endpoint = $2 AND id <> $3
                 AND status IN ('"running"', '"paused"') LIMIT 1"#;
    let key = (task.org.raw().as_slice(), endpoint.raw().as_slice(), task.id.raw().as_slice());
    let found = tx.query_opt(sql, &[&key.0, &key.1, &key.2]).await?;
    found.map(|row| rows::id(&row, 0)).transpose()
}

/// Adds a task, unless an open one sends to the same endpoint: the error.
async fn create(tx: &Tx, ports: &Ports, actor: &Actor, task: &Task) -> Result<Result<(), TaskId>> {
    // One may come, or end, between the statements.
    loop {
        if let Some(rival) = rival(tx, task).await? {
            return Ok(Err(rival));
        }
        if add(tx, task).await? {
            let action = "background_task.create";
            audit(tx, ports, task.org, actor, action, &task.id, &of_task(task)).await?;
            break;
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
    add(tx, &Task::new(org, id, kind, now)).await?;
    Ok(())
}

#[async_trait]
impl Tasks for PostgresStore {
    async fn create_task(&self, actor: &Actor, task: Task) -> store::Result<Option<TaskId>> {
        let (ports, task) = (&self.shared.ports, &task);
        let create = |tx: Arc<Tx>| async move { create(&tx, ports, actor, task).await };
        Ok(self.shared.change(create).await?.err())
    }

    async fn running_tasks(&self, shards: &ShardSet, limit: usize) -> store::Result<Vec<Task>> {
        let shards: Vec<i16> = shards.iter().map(|shard| shard.0.cast_signed()).collect();
        let turns = r#"(SELECT *, row_number() OVER
            (PARTITION BY org ORDER BY updated_at, id) AS turn
            FROM task WHERE shard = ANY($1) AND status = '"running"') AS t"#;
        let order = "true ORDER BY turn, updated_at, id LIMIT $2";
        let conn = self.shared.read().await?;
        Ok(list(&conn, WITHOUT_RESULT, turns, order, &[&shards, &(limit as i64)]).await?)
    }

    async fn update_task(&self, step: Task) -> store::Result<()> {
        let step = &step;
        let update = |tx: Arc<Tx>| async move {
            change(&tx, step.org, step.id, |stored| stored.after(step.clone())).await?;
            Ok(Ok::<_, Infallible>(()))
        };
        let Ok(()) = self.shared.change(update).await?;
        Ok(())
    }

    async fn steer_task(
        &self,
        actor: &Actor,
        org: OrganizationId,
        task: TaskId,
        wish: Wish,
        now: Timestamp,
    ) -> store::Result<Option<Task>> {
        let ports = &self.shared.ports;
        let steer = |tx: Arc<Tx>| async move {
            let mut is_new = false;
            let steered = change(&tx, org, task, |stored| {
                let steered = stored.clone().steered(wish, now);
                is_new = steered != stored;
                steered
            })
            .await?;
            if let Some(task) = steered.as_ref().filter(|_| is_new) {
                let action = steering(wish);
                audit(&tx, ports, org, actor, action, &task.id, &of_task(task)).await?;
            }
            Ok(Ok::<_, Infallible>(steered))
        };
        let Ok(steered) = self.shared.change(steer).await?;
        Ok(steered)
    }

    async fn task(&self, org: OrganizationId, task: TaskId) -> store::Result<Option<Task>> {
        let conn = self.shared.read().await?;
        let (org, id) = (org.raw().as_slice(), task.raw().as_slice());
        Ok(list(&conn, COLUMNS, "task", "org = $1 AND id = $2", &[&org, &id]).await?.pop())
    }

    async fn list_tasks(
        &self,
        org: OrganizationId,
        filter: TaskFilter,
        page: PageRequest<TaskId>,
    ) -> store::Result<Page<Task>> {
        let window = Window::new(&page);
        let wanted = format!(
            "org = $1 AND id > $2 AND id < $3 AND ($4::text[] = '{{}}' OR status = ANY($4))
             AND ($5::text[] = '{{}}' OR kind = ANY($5)) ORDER BY id {} LIMIT $6",
            window.direction()
        );
        let statuses: Vec<_> = filter.statuses.iter().map(rows::to_json).collect();
        let limit = window.wanted() as i64;
        let org = org.raw().as_slice();
        let params: Params<'_> =
            &[&org, &window.above, &window.below, &statuses, &filter.kinds, &limit];
        let conn = self.shared.read().await?;
        Ok(window.page(list(&conn, WITHOUT_RESULT, "task", &wanted, params).await?))
    }
}
