//! Background tasks.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    id::{OrganizationId, TaskId},
    page::{Page, PageRequest},
    shard::ShardSet,
    task::{Task, TaskStatus, Wish},
    token::Actor,
};
use store::{
    Result, Tasks,
    audit::{of_task, steering},
    tasks::TaskFilter,
};

use crate::{MemoryStore, audit::Deed, page::page, state::State};

impl State {
    /// The open task that sends to the same endpoint already.
    fn rival(&self, task: &Task) -> Option<TaskId> {
        let target = task.kind.target()?;
        let mut open = self.tasks.values().filter(|t| t.status.is_open());
        let same = |t: &&Task| t.org == task.org && t.kind.target() == Some(target);
        open.find(|t| same(t) && t.id != task.id).map(|task| task.id)
    }
}

#[async_trait]
impl Tasks for MemoryStore {
    async fn create_task(&self, actor: &Actor, task: Task) -> Result<Option<TaskId>> {
        let now = self.clock.now();
        self.act(|state| {
            let rival = state.rival(&task);
            if rival.is_none() {
                let action = "background_task.create";
                state.audit(Deed::new(task.org, actor, action, task.id, of_task(&task)), now);
                state.tasks.insert((task.org, task.id), task);
            }
            rival
        })
    }

    async fn running_tasks(&self, shards: &ShardSet, limit: usize) -> Result<Vec<Task>> {
        self.act(|state| {
            let running = state.tasks.values().filter(|t| t.status == TaskStatus::Running);
            let running = running.filter(|t| shards.contains(t.shard()));
            let mut running: Vec<_> = running.cloned().collect();
            running.sort_by_key(|task| (task.updated_at, task.id));
            let mut turns: BTreeMap<OrganizationId, usize> = BTreeMap::new();
            let turn = |task: Task| {
                let turn = turns.entry(task.org).or_default();
                *turn += 1;
                (*turn, task)
            };
            let mut running: Vec<_> = running.into_iter().map(turn).collect();
            // Stable: within a turn, whoever moved longest ago stays first.
            running.sort_by_key(|(turn, _)| *turn);
            running.truncate(limit);
            running.into_iter().map(|(_, task)| task).collect()
        })
    }

    async fn update_task(&self, step: Task) -> Result<()> {
        self.act(|state| {
            if let Some(stored) = state.tasks.get_mut(&(step.org, step.id)) {
                *stored = stored.clone().after(step);
            }
        })
    }

    async fn steer_task(
        &self,
        actor: &Actor,
        org: OrganizationId,
        task: TaskId,
        wish: Wish,
        now: Timestamp,
    ) -> Result<Option<Task>> {
        self.act(|state| {
            let stored = state.tasks.get(&(org, task))?.clone();
            let steered = stored.clone().steered(wish, now);
            if steered != stored {
                let deed = Deed::new(org, actor, steering(wish), task, of_task(&steered));
                state.audit(deed, self.clock.now());
                state.tasks.insert((org, task), steered.clone());
            }
            Some(steered)
        })
    }

    async fn task(&self, org: OrganizationId, task: TaskId) -> Result<Option<Task>> {
        self.act(|state| state.tasks.get(&(org, task)).cloned())
    }

    async fn list_tasks(
        &self,
        org: OrganizationId,
        filter: TaskFilter,
        request: PageRequest<TaskId>,
    ) -> Result<Page<Task>> {
        self.act(|state| {
            let wanted = state.tasks.values().filter(|task| {
                task.org == org
                    && (filter.statuses.is_empty() || filter.statuses.contains(&task.status))
                    && (filter.kinds.is_empty() || filter.kinds.contains(&task.kind.name()))
            });
            page(&request, wanted.map(|task| (task.id, task)))
                .map(|task| Task { result: None, ..task.clone() })
        })
    }
}
