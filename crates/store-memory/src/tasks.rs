//! Background tasks.

use async_trait::async_trait;
use domain::{
    id::{OrganizationId, TaskId},
    page::{Page, PageRequest},
    task::{Task, TaskStatus},
};
use store::{Result, Tasks};

use crate::{MemoryStore, page::page};

#[async_trait]
impl Tasks for MemoryStore {
    async fn create_task(&self, task: Task) -> Result<()> {
        self.act(|state| {
            state.tasks.insert((task.org, task.id), task);
        })
    }

    async fn running_tasks(&self, limit: usize) -> Result<Vec<Task>> {
        self.act(|state| {
            let running = state.tasks.values().filter(|t| t.status == TaskStatus::Running);
            let mut running: Vec<_> = running.cloned().collect();
            running.sort_by_key(|task| task.id);
            running.truncate(limit);
            running
        })
    }

    async fn update_task(&self, task: Task) -> Result<()> {
        self.act(|state| {
            if let Some(stored) = state.tasks.get_mut(&(task.org, task.id)) {
                *stored = task;
            }
        })
    }

    async fn task(&self, org: OrganizationId, task: TaskId) -> Result<Option<Task>> {
        self.act(|state| state.tasks.get(&(org, task)).cloned())
    }

    async fn list_tasks(
        &self,
        org: OrganizationId,
        status: Option<TaskStatus>,
        kind: Option<&str>,
        request: PageRequest<TaskId>,
    ) -> Result<Page<Task>> {
        self.act(|state| {
            let wanted = state.tasks.values().filter(|task| {
                task.org == org
                    && status.is_none_or(|status| task.status == status)
                    && kind.is_none_or(|kind| task.kind.name() == kind)
            });
            page(&request, wanted.map(|task| (task.id, task))).map(Task::clone)
        })
    }
}
