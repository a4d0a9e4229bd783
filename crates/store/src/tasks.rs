//! Durable jobs.

use async_trait::async_trait;
use domain::{
    id::{OrganizationId, TaskId},
    page::{Page, PageRequest},
    shard::ShardSet,
    task::{Task, TaskStatus},
};

use crate::Result;

/// Background tasks.
#[async_trait]
pub trait Tasks: Send + Sync {
    /// Adds a task. A recovery of an endpoint that is being recovered is not added: then the answer is
    /// the task that runs.
    async fn create_task(&self, task: Task) -> Result<Option<TaskId>>;

    /// Tasks of these shards that are running, of all organizations: at most `limit`. Each organization
    /// has its turn before another one has its second, and whoever moved longest ago comes first.
    async fn running_tasks(&self, shards: &ShardSet, limit: usize) -> Result<Vec<Task>>;

    /// Writes a task's cursor, count and status.
    async fn update_task(&self, task: Task) -> Result<()>;

    /// A task of an organization.
    async fn task(&self, org: OrganizationId, task: TaskId) -> Result<Option<Task>>;

    /// Tasks of an organization, by id.
    async fn list_tasks(
        &self,
        org: OrganizationId,
        status: Option<TaskStatus>,
        kind: Option<&str>,
        page: PageRequest<TaskId>,
    ) -> Result<Page<Task>>;
}
