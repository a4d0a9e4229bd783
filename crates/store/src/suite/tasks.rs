//! Durable jobs.

use domain::{
    clock::Timestamp,
    id::{AttemptId, EndpointId, TaskId},
    page::{Order, PageRequest},
    shard::ShardSet,
    task::{Task, TaskKind, TaskStatus},
};

use super::fixture::{Fixture, assert_pages, at, first};
use crate::Store;

impl Fixture<'_> {
    fn new_task(&self, created_at: Timestamp, recover: bool) -> Task {
        let app = self.new_application(at(0)).id;
        let endpoint = EndpointId::generate(at(0), &*self.entropy);
        Task {
            org: self.org,
            id: TaskId::generate(created_at, &*self.entropy),
            kind: match recover {
                true => TaskKind::Recover { app, endpoint, since: at(1), until: at(2) },
                false => TaskKind::CancelDeliveries { app, endpoint: None },
            },
            status: TaskStatus::Running,
            cursor: None,
            done: 0,
            updated_at: created_at,
        }
    }
}

/// A task is kept with its cursor; those that run are found again after a restart, and whoever moved
/// longest ago comes first.
pub async fn run_until_they_are_done(store: &dyn Store) {
    let f = Fixture::new(store);
    let g = f.other();
    let old = f.new_task(at(1), true);
    let new = Task { org: g.org, ..f.new_task(at(2), false) };
    for task in [&new, &old] {
        assert_eq!(store.create_task(task.clone()).await, Ok(None));
    }
    assert_eq!(store.running_tasks(&ShardSet::ALL, 10).await, Ok(vec![old.clone(), new.clone()]));
    assert_eq!(store.running_tasks(&ShardSet::ALL, 1).await, Ok(vec![old.clone()]));

    let moved = Task {
        cursor: Some(AttemptId::generate(at(1), &*f.entropy)),
        done: 500,
        updated_at: at(9),
        ..old.clone()
    };
    assert_eq!(store.update_task(moved.clone()).await, Ok(()));
    assert_eq!(store.task(f.org, old.id).await, Ok(Some(moved.clone())));
    assert_eq!(store.running_tasks(&ShardSet::ALL, 10).await, Ok(vec![new.clone(), moved.clone()]));
    for status in [TaskStatus::Finished, TaskStatus::Failed] {
        let ended = Task { status, ..moved.clone() };
        assert_eq!(store.update_task(ended.clone()).await, Ok(()));
        assert_eq!(store.task(f.org, old.id).await, Ok(Some(ended)));
        assert_eq!(store.running_tasks(&ShardSet::ALL, 10).await, Ok(vec![new.clone()]));
    }
    assert_eq!(store.task(g.org, old.id).await, Ok(None), "another organization's");
    assert_eq!(store.task(f.org, f.new_task(at(1), true).id).await, Ok(None));
}

/// Organizations take turns, however many tasks one of them has.
pub async fn take_turns(store: &dyn Store) {
    let f = Fixture::new(store);
    let g = f.other();
    let mut many = Vec::new();
    for i in 0..4 {
        let task = f.new_task(at(i), true);
        assert_eq!(store.create_task(task.clone()).await, Ok(None));
        many.push(task);
    }
    let late = Task { org: g.org, ..f.new_task(at(9), false) };
    assert_eq!(store.create_task(late.clone()).await, Ok(None));
    let wanted = [&many[0], &late, &many[1]].map(Task::clone);
    assert_eq!(store.running_tasks(&ShardSet::ALL, 3).await, Ok(wanted.to_vec()));
    let moved = Task { updated_at: at(20), ..many[0].clone() };
    assert_eq!(store.update_task(moved.clone()).await, Ok(()));
    let wanted = [&many[1], &late, &many[2], &many[3], &moved].map(Task::clone);
    assert_eq!(store.running_tasks(&ShardSet::ALL, 9).await, Ok(wanted.to_vec()));
}

/// An endpoint is recovered by one task at a time.
pub async fn recover_an_endpoint_once(store: &dyn Store) {
    let f = Fixture::new(store);
    let first = f.new_task(at(1), true);
    assert_eq!(store.create_task(first.clone()).await, Ok(None));
    let second = Task { kind: first.kind.clone(), ..f.new_task(at(2), true) };
    assert_eq!(store.create_task(second.clone()).await, Ok(Some(first.id)));
    assert_eq!(store.task(f.org, second.id).await, Ok(None));
    let ended = Task { status: TaskStatus::Finished, ..first };
    assert_eq!(store.update_task(ended).await, Ok(()));
    assert_eq!(store.create_task(second.clone()).await, Ok(None));
    assert_eq!(store.task(f.org, second.id).await, Ok(Some(second)));
}

/// Pages by id, with filters, of one organization.
pub async fn are_listed(store: &dyn Store) {
    let f = Fixture::new(store);
    let g = f.other();
    let mut tasks = Vec::new();
    for i in 0..4 {
        let mut task = f.new_task(at(i), i % 2 == 0);
        if i > 1 {
            task.status = TaskStatus::Finished;
        }
        assert_eq!(store.create_task(task.clone()).await, Ok(None));
        tasks.push(task);
    }
    let foreign = Task { org: g.org, ..f.new_task(at(1), true) };
    assert_eq!(store.create_task(foreign.clone()).await, Ok(None));

    let (running, finished) = (Some(TaskStatus::Running), Some(TaskStatus::Finished));
    let (recover, cancel) = (Some("endpoint.recover"), Some("deliveries.cancel"));
    for (status, kind, wanted) in [
        (None, None, vec![0, 1, 2, 3]),
        (running, None, vec![0, 1]),
        (finished, None, vec![2, 3]),
        (Some(TaskStatus::Failed), None, vec![]),
        (None, recover, vec![0, 2]),
        (None, cancel, vec![1, 3]),
        (finished, cancel, vec![3]),
        (None, Some("no.such"), vec![]),
    ] {
        let page = store.list_tasks(f.org, status, kind, first(10)).await.expect("list_tasks");
        let wanted: Vec<_> = wanted.into_iter().map(|i: usize| tasks[i].clone()).collect();
        assert_eq!(page.items, wanted, "{status:?} {kind:?}");
    }
    let listed = store.list_tasks(g.org, None, None, first(10)).await.expect("list_tasks");
    assert_eq!(listed.items, [foreign]);

    let mut ids: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
    for order in [Order::Ascending, Order::Descending] {
        assert_pages(&ids, order, async |page: PageRequest<TaskId>| {
            let page = store.list_tasks(f.org, None, None, page).await.expect("list_tasks");
            page.map(|task| task.id)
        })
        .await;
        ids.reverse();
    }
}
