//! Durable jobs.

use async_trait::async_trait;
use domain::{
    id::{OrganizationId, TaskId},
    page::{Page, PageRequest},
    task::{Task, TaskStatus},
};

use crate::Result;

/// Background tasks.
#[async_trait]
pub trait Tasks: Send + Sync {
    /// Adds a task.
    async fn create_task(&self, task: Task) -> Result<()>;

    /// Tasks that are running, oldest first, of all organizations: at most `limit`.
    async fn running_tasks(&self, limit: usize) -> Result<Vec<Task>>;

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
