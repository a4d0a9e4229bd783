//! Durable jobs.

use std::sync::Arc;

use domain::{
    clock::Timestamp,
    id::{AttemptId, EndpointId, TaskId},
    page::{Order, PageRequest},
    shard::ShardSet,
    task::{AppStats, Outcome, ReplayFilter, Subscriptions, Task, TaskKind, TaskStatus, Wish},
};

use super::fixture::{ACTOR, Fixture, assert_pages, at, first, newest};
use crate::{Store, tasks::TaskFilter};

impl Fixture<'_> {
    fn new_task(&self, created_at: Timestamp, recover: bool) -> Task {
        let app = self.new_application(at(0)).id;
        let endpoint = EndpointId::generate(at(0), &*self.entropy);
        let kind = match recover {
            true => TaskKind::Recover { app, endpoint, since: at(1), until: at(2) },
            false => TaskKind::CancelDeliveries { app, endpoint: None },
        };
        Task::new(self.org, TaskId::generate(created_at, &*self.entropy), kind, created_at)
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
        assert_eq!(store.create_task(&ACTOR, task.clone()).await, Ok(None));
    }
    assert_eq!(store.running_tasks(&ShardSet::ALL, 10).await, Ok(vec![old.clone(), new.clone()]));
    assert_eq!(store.running_tasks(&ShardSet::ALL, 1).await, Ok(vec![old.clone()]));

    let moved = Task {
        cursor: Some(*AttemptId::generate(at(1), &*f.entropy).raw()),
        done: 500,
        scanned: 700,
        updated_at: at(9),
        ..old.clone()
    };
    assert_eq!(store.update_task(moved.clone()).await, Ok(()));
    assert_eq!(store.task(f.org, old.id).await, Ok(Some(moved.clone())));
    assert_eq!(store.running_tasks(&ShardSet::ALL, 10).await, Ok(vec![new.clone(), moved.clone()]));
    let ended = Task { status: TaskStatus::Finished, ..moved.clone() };
    // What has ended does not run again, whoever still thinks so.
    for step in [&ended, &moved, &Task { status: TaskStatus::Failed, ..moved.clone() }] {
        assert_eq!(store.update_task(step.clone()).await, Ok(()));
        assert_eq!(store.task(f.org, old.id).await, Ok(Some(ended.clone())));
        assert_eq!(store.running_tasks(&ShardSet::ALL, 10).await, Ok(vec![new.clone()]));
    }
    assert_eq!(store.task(g.org, old.id).await, Ok(None), "another organization's");
    assert_eq!(store.task(f.org, f.new_task(at(1), true).id).await, Ok(None));
}

/// Whoever pauses or cancels a task wins over the step that is under way, which still counts.
pub async fn are_paused_and_cancelled(store: &dyn Store) {
    let f = Fixture::new(store);
    let task = Task { total: Some(1_000), ..f.new_task(at(1), true) };
    assert_eq!(store.create_task(&ACTOR, task.clone()).await, Ok(None));
    let steer = async |wish, now| store.steer_task(&ACTOR, f.org, task.id, wish, now).await;
    let running = async || store.running_tasks(&ShardSet::ALL, 9).await.expect("tasks");

    let paused = Task { status: TaskStatus::Paused, updated_at: at(5), ..task.clone() };
    for now in [at(5), at(6)] {
        assert_eq!(steer(Wish::Pause, now).await, Ok(Some(paused.clone())), "as it is already");
    }
    assert_eq!(running().await, []);
    let step = Task { cursor: Some([7; 20]), done: 5, scanned: 6, updated_at: at(7), ..task };
    assert_eq!(store.update_task(step.clone()).await, Ok(()));
    let stepped = Task { status: TaskStatus::Paused, ..step.clone() };
    assert_eq!(store.task(f.org, step.id).await, Ok(Some(stepped.clone())));
    assert_eq!(running().await, []);
    // It still stands in the way of another one at the same endpoint.
    let second = Task { kind: step.kind.clone(), ..f.new_task(at(2), true) };
    assert_eq!(store.create_task(&ACTOR, second.clone()).await, Ok(Some(step.id)));

    let resumed = Task { updated_at: at(8), ..step.clone() };
    assert_eq!(steer(Wish::Resume, at(8)).await, Ok(Some(resumed.clone())));
    assert_eq!(running().await, [resumed]);

    let cancelled = Task { status: TaskStatus::Cancelled, updated_at: at(9), ..step.clone() };
    assert_eq!(steer(Wish::Cancel, at(9)).await, Ok(Some(cancelled.clone())));
    for wish in [Wish::Resume, Wish::Pause, Wish::Cancel] {
        assert_eq!(steer(wish, at(10)).await, Ok(Some(cancelled.clone())), "it has ended");
    }
    let last = Task { done: 9, status: TaskStatus::Finished, updated_at: at(11), ..step };
    assert_eq!(store.update_task(last.clone()).await, Ok(()));
    let kept = Task { status: TaskStatus::Cancelled, ..last };
    assert_eq!(store.task(f.org, kept.id).await, Ok(Some(kept.clone())));
    assert_eq!(store.create_task(&ACTOR, second).await, Ok(None));

    let g = f.other();
    assert_eq!(store.steer_task(&ACTOR, g.org, kept.id, Wish::Pause, at(12)).await, Ok(None));
    let none = TaskId::generate(at(1), &*f.entropy);
    assert_eq!(store.steer_task(&ACTOR, f.org, none, Wish::Pause, at(12)).await, Ok(None));
}

/// Organizations take turns, however many tasks one of them has.
pub async fn take_turns(store: &dyn Store) {
    let f = Fixture::new(store);
    let g = f.other();
    let mut many = Vec::new();
    for i in 0..4 {
        let task = f.new_task(at(i), true);
        assert_eq!(store.create_task(&ACTOR, task.clone()).await, Ok(None));
        many.push(task);
    }
    let late = Task { org: g.org, ..f.new_task(at(9), false) };
    assert_eq!(store.create_task(&ACTOR, late.clone()).await, Ok(None));
    let wanted = [&many[0], &late, &many[1]].map(Task::clone);
    assert_eq!(store.running_tasks(&ShardSet::ALL, 3).await, Ok(wanted.to_vec()));
    let moved = Task { updated_at: at(20), ..many[0].clone() };
    assert_eq!(store.update_task(moved.clone()).await, Ok(()));
    let wanted = [&many[1], &late, &many[2], &many[3], &moved].map(Task::clone);
    assert_eq!(store.running_tasks(&ShardSet::ALL, 9).await, Ok(wanted.to_vec()));
}

/// An endpoint is sent to by one task at a time, of whichever kind.
pub async fn recover_an_endpoint_once(store: &dyn Store) {
    let f = Fixture::new(store);
    let first = f.new_task(at(1), true);
    assert_eq!(store.create_task(&ACTOR, first.clone()).await, Ok(None));
    let second = Task { kind: first.kind.clone(), ..f.new_task(at(2), true) };
    assert_eq!(store.create_task(&ACTOR, second.clone()).await, Ok(Some(first.id)));
    assert_eq!(store.task(f.org, second.id).await, Ok(None));
    let (app, endpoint) = first.kind.target().expect("it sends to an endpoint");
    let only = ReplayFilter::default();
    for kind in [
        TaskKind::Replay { app, endpoint, since: at(1), until: at(2) },
        TaskKind::BulkReplay { app, endpoint, since: at(1), until: at(2), only },
    ] {
        let third = Task { kind, ..f.new_task(at(2), true) };
        assert_eq!(store.create_task(&ACTOR, third).await, Ok(Some(first.id)));
    }
    let ended = Task { status: TaskStatus::Finished, ..first };
    assert_eq!(store.update_task(ended).await, Ok(()));
    assert_eq!(store.create_task(&ACTOR, second.clone()).await, Ok(None));
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
        assert_eq!(store.create_task(&ACTOR, task.clone()).await, Ok(None));
        tasks.push(task);
    }
    let foreign = Task { org: g.org, ..f.new_task(at(1), true) };
    assert_eq!(store.create_task(&ACTOR, foreign.clone()).await, Ok(None));

    let (running, finished) = (TaskStatus::Running, TaskStatus::Finished);
    let (recover, cancel) = ("endpoint.recover", "deliveries.cancel");
    for (statuses, kinds, wanted) in [
        (&[][..], &[][..], vec![0, 1, 2, 3]),
        (&[running], &[], vec![0, 1]),
        (&[finished], &[], vec![2, 3]),
        (&[finished, TaskStatus::Failed, running], &[], vec![0, 1, 2, 3]),
        (&[TaskStatus::Failed], &[], vec![]),
        (&[], &[recover], vec![0, 2]),
        (&[], &[cancel], vec![1, 3]),
        (&[], &["no.such", cancel, recover], vec![0, 1, 2, 3]),
        (&[finished], &[cancel], vec![3]),
        (&[], &["no.such"], vec![]),
    ] {
        let filter = TaskFilter { statuses: statuses.to_vec(), kinds: kinds.to_vec() };
        let page = store.list_tasks(f.org, filter.clone(), first(10)).await.expect("list_tasks");
        let wanted: Vec<_> = wanted.into_iter().map(|i: usize| tasks[i].clone()).collect();
        assert_eq!(page.items, wanted, "{filter:?}");
    }
    let all = TaskFilter::default;
    let listed = store.list_tasks(g.org, all(), first(10)).await.expect("list_tasks");
    assert_eq!(listed.items, [foreign]);

    let mut ids: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
    for order in [Order::Ascending, Order::Descending] {
        assert_pages(&ids, order, async |page: PageRequest<TaskId>| {
            let page = store.list_tasks(f.org, all(), page).await.expect("list_tasks");
            page.map(|task| task.id)
        })
        .await;
        ids.reverse();
    }
}

/// What a task has found out is kept with it; lists, which would become long, leave it out.
pub async fn keep_what_they_found_out(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let stats = AppStats { message_destinations: 7, app_id: app.id, app_uid: app.uid.clone() };
    let subscriptions =
        Subscriptions { has_catch_all_endpoint: true, ..Subscriptions::none(app.id) };
    let (since, until) = (at(1), at(2));
    let only = Some(vec![app.id]);
    for (kind, outcome) in [
        (TaskKind::AppStats { since, until, apps: only }, Outcome::AppStats(vec![stats])),
        (TaskKind::EventTypes {}, Outcome::EventTypes(vec![subscriptions])),
        (TaskKind::EventTypes {}, Outcome::Failure("too many".into())),
    ] {
        let task = Task { kind, ..f.new_task(at(1), false) };
        assert_eq!(store.create_task(&ACTOR, task.clone()).await, Ok(None));
        assert_eq!(store.task(f.org, task.id).await, Ok(Some(task.clone())));
        assert!(store.running_tasks(&ShardSet::ALL, 9).await.expect("tasks").contains(&task));
        let status = TaskStatus::Finished;
        let ended = Task { status, result: Some(Arc::new(outcome)), updated_at: at(2), ..task };
        assert_eq!(store.update_task(ended.clone()).await, Ok(()));
        assert_eq!(store.task(f.org, ended.id).await, Ok(Some(ended.clone())));
        let steered = store.steer_task(&ACTOR, f.org, ended.id, Wish::Cancel, at(3)).await;
        assert_eq!(steered, Ok(Some(ended.clone())));
        assert_eq!(store.task(f.org, ended.id).await, Ok(Some(ended.clone())));
        let kinds = vec![ended.kind.name()];
        let filter = TaskFilter { kinds, ..TaskFilter::default() };
        let listed = store.list_tasks(f.org, filter, newest(9)).await.expect("list_tasks").items;
        assert!(listed.contains(&Task { result: None, ..ended }), "{listed:?}");
    }
}
