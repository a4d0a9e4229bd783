//! Durable jobs.

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    id::{OrganizationId, TaskId},
    page::{Page, PageRequest},
    shard::ShardSet,
    task::{Task, TaskStatus, Wish},
    token::Actor,
};

use crate::Result;

/// Which tasks of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Only those that are this far; all if empty.
    pub statuses: Vec<TaskStatus>,
    /// Only those of these kinds, by [`TaskKind::name`](domain::task::TaskKind::name); all if empty.
    pub kinds: Vec<&'static str>,
}

/// Background tasks. What a caller begins, pauses, resumes or cancels leaves an audit row in the same
/// transaction.
#[async_trait]
pub trait Tasks: Send + Sync {
    /// Adds a task. One that sends to an endpoint to which an open task sends already
    /// ([`TaskKind::target`](domain::task::TaskKind::target)) is not added: then the answer is that
    /// task.
    async fn create_task(&self, actor: &Actor, task: Task) -> Result<Option<TaskId>>;

    /// Tasks of these shards that are running, of all organizations: at most `limit`. Each organization
    /// has its turn before another one has its second, and whoever moved longest ago comes first.
    async fn running_tasks(&self, shards: &ShardSet, limit: usize) -> Result<Vec<Task>>;

    /// Writes what a step made of a task: its cursor, counts, result and status, as [`Task::after`] says of
    /// the task that is stored by now.
    async fn update_task(&self, step: Task) -> Result<()>;

    /// Pauses, resumes or cancels a task, as [`Task::steered`] says; the answer is what became of it,
    /// `None` if there is no such task.
    async fn steer_task(
        &self,
        actor: &Actor,
        org: OrganizationId,
        task: TaskId,
        wish: Wish,
        now: Timestamp,
    ) -> Result<Option<Task>>;

    /// A task of an organization.
    async fn task(&self, org: OrganizationId, task: TaskId) -> Result<Option<Task>>;

    /// Tasks of an organization, by id, without their results: these may be large.
    async fn list_tasks(
        &self,
        org: OrganizationId,
        filter: TaskFilter,
        page: PageRequest<TaskId>,
    ) -> Result<Page<Task>>;
}
