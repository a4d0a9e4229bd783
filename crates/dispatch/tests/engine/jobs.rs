//! Tasks: recover, and what a deletion leaves.

use std::sync::Arc;

use domain::{
    application::Application,
    delivery::{Cause, EndState, Trigger},
    endpoint::Endpoint,
    id::TaskId,
    message::Message,
    shard::ShardSet,
    standing::Status,
    task::{
        AppStats, MOST_APPLICATIONS, Outcome, ReplayFilter, Subscriptions, Task, TaskKind,
        TaskStatus, Wish,
    },
    token::Actor,
};
use store::Tasks;
use tokio::time::Instant;

use crate::harness::{Answer, HOUR, MS, SEC, World, schedule};

/// An endpoint at which `n` messages have failed for good, and the moment after.
async fn failed(world: &World, n: usize) -> (Application, Endpoint, Vec<Arc<Message>>) {
    let app = world.application(|_| {}).await;
    let endpoint = world.endpoint(&app, "one.test", |e| e.retry_schedule = Some(schedule(&[])));
    let endpoint = endpoint.await;
    world.receivers.always("one.test", Answer::status(400));
    let messages = world.send_many(&app, n).await;
    world.drained(HOUR).await;
    assert_eq!(world.receivers.total(), n);
    world.pass(SEC).await;
    world.receivers.always("one.test", Answer::ok());
    (app, endpoint, messages)
}

async fn recover(world: &World, endpoint: &Endpoint) -> TaskId {
    let kind = TaskKind::Recover {
        app: endpoint.app,
        endpoint: endpoint.id,
        since: endpoint.created_at,
        until: world.now(),
    };
    begin(world, endpoint, kind).await
}

async fn begin(world: &World, endpoint: &Endpoint, kind: TaskKind) -> TaskId {
    let id = TaskId::generate(world.now(), &*world.entropy);
    let task = Task::new(endpoint.org, id, kind, world.now());
    world.memory().create_task(&Actor::System, task.clone()).await.expect("the store answers");
    world.publisher.handover().tasks_changed();
    task.id
}

async fn task(world: &World, id: TaskId) -> Task {
    world.memory().task(world.org, id).await.expect("the store answers").expect("it is there")
}

#[tokio::test(start_paused = true)]
async fn recover_sends_again_what_failed_page_by_page() {
    let world = World::new(|_| {});
    let (app, endpoint, messages) = failed(&world, 950).await;
    let id = recover(&world, &endpoint).await;
    world.pass(SEC).await;
    let newer = world.send(&app).await;
    let done = async || task(&world, id).await.status != TaskStatus::Running;
    world.until(60 * SEC, "the task ends", done).await;
    world.drained(SEC).await;
    let ended = task(&world, id).await;
    assert_eq!((ended.status, ended.done), (TaskStatus::Finished, 950));
    assert_eq!(world.receivers.total(), 2 * 950 + 1);
    for message in [&messages[0], &messages[949]] {
        let records = world.records(message, &endpoint).await;
        let replay = records.iter().find(|r| r.trigger == Trigger::Replay).expect("sent again");
        assert_eq!(replay.end, Some((EndState::Succeeded, Cause::Delivered)));
    }
    assert_eq!(world.records(&newer, &endpoint).await.len(), 1, "that had not failed");
}

#[tokio::test(start_paused = true)]
async fn a_recovery_that_is_interrupted_goes_on_and_repeats_nothing() {
    for seed in 0..8 {
        let mut world = World::with_seed(seed, |_| {});
        let (_, endpoint, _) = failed(&world, 900).await;
        world.store.be_slow(seed, SEC / 20);
        let id = recover(&world, &endpoint).await;
        world.pass(SEC / 100 * (10 + 7 * seed as u32)).await;
        world.store.lose_next("enqueue");
        world.pass(SEC / 10).await;
        let under_way = world.engine.depths().in_flight;
        world.crash();
        let done = async || task(&world, id).await.status == TaskStatus::Finished;
        world.until(60 * SEC, "the task is finished", done).await;
        world.drained(60 * SEC).await;
        let sent = world.receivers.total();
        assert!(sent >= 1_800 && sent <= 1_800 + under_way, "{sent}, {under_way} under way");
    }
}

#[tokio::test(start_paused = true)]
async fn recover_does_not_wait_for_the_schedule() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    let endpoint =
        world.endpoint(&app, "one.test", |e| e.retry_schedule = Some(schedule(&[36_000])));
    let endpoint = endpoint.await;
    world.receivers.always("one.test", Answer::status(400));
    let message = world.send(&app).await;
    world.arrivals(SEC, "one.test", 1).await;
    world.pass(SEC).await;
    world.receivers.always("one.test", Answer::ok());
    let id = recover(&world, &endpoint).await;
    // The replay arrives, and that ends what was to be tried again.
    world.drained(60 * SEC).await;
    assert_eq!(task(&world, id).await.done, 1);
    assert_eq!(world.receivers.total(), 2);
    let ends = world.records(&message, &endpoint).await.into_iter().map(|r| (r.trigger, r.end));
    let arrived = |cause| Some((EndState::Succeeded, cause));
    let mut ends: Vec<_> = ends.collect();
    ends.sort_by_key(|(trigger, _)| *trigger as u8);
    assert_eq!(
        ends,
        [
            (Trigger::Automatic, arrived(Cause::ResendSucceeded)),
            (Trigger::Replay, arrived(Cause::Delivered)),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn recovering_a_deleted_endpoint_fails() {
    let world = World::new(|_| {});
    let (_, endpoint, _) = failed(&world, 10).await;
    world.delete(&endpoint).await;
    let id = recover(&world, &endpoint).await;
    world.pass(10 * SEC).await;
    assert_eq!(task(&world, id).await.status, TaskStatus::Failed);
    assert_eq!(world.receivers.total(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_task_goes_on_when_the_store_is_back() {
    let world = World::new(|_| {});
    let (_, endpoint, _) = failed(&world, 300).await;
    world.store.fail("enqueue");
    let id = recover(&world, &endpoint).await;
    world.pass(30 * SEC).await;
    assert_eq!(task(&world, id).await.status, TaskStatus::Running);
    world.store.heal();
    world.pass(10 * SEC).await;
    assert_eq!(task(&world, id).await.status, TaskStatus::Finished);
    world.drained(SEC).await;
    assert_eq!(world.receivers.total(), 600);
}

#[tokio::test(start_paused = true)]
async fn what_a_deleted_endpoint_leaves_is_cancelled_by_a_task_alone() {
    let mut world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    let endpoint = world.endpoint(&app, "one.test", |_| {}).await;
    let mut draft = world.draft("{}");
    // Nothing is due, so no lane looks.
    draft.deliver_at = Some(world.now().plus(24 * HOUR));
    let messages = world.publish(&app, vec![draft; 450]).await;
    world.engine.stop().await;
    world.delete(&endpoint).await;
    world.crash();
    world.drained(10 * SEC).await;
    let end = world.end(&messages[449], &endpoint).await;
    assert_eq!(end, Some((EndState::Cancelled, Cause::EndpointDeleted)));
    let tasks = world.memory().running_tasks(&ShardSet::ALL, 10).await.expect("the store answers");
    assert_eq!(tasks, []);
}

#[tokio::test(start_paused = true)]
async fn a_recovery_leaves_the_way_to_what_comes_fresh() {
    let world = World::new(|options| options.window.max = 16);
    let (app, endpoint, _) = failed(&world, 5_000).await;
    world.receivers.always("one.test", Answer::ok().after(20 * MS));
    let id = recover(&world, &endpoint).await;
    let before = world.receivers.total();
    for n in 1..=20 {
        let began = Instant::now();
        let fresh = world.send(&app).await;
        let arrived = async || world.receivers.at("one.test").iter().any(|a| a.message == fresh.id);
        world.until(SEC, "the fresh one arrives", arrived).await;
        assert!(began.elapsed() < SEC / 2, "{n}: {:?}", began.elapsed());
    }
    assert!(world.receivers.total() < before + 5_000, "the recovery goes on meanwhile");
    let done = async || task(&world, id).await.status != TaskStatus::Running;
    world.until(120 * SEC, "the task ends", done).await;
    world.drained(10 * SEC).await;
    assert_eq!(task(&world, id).await.done, 5_000);
}

#[tokio::test(start_paused = true)]
async fn what_an_endpoint_never_got_is_sent_to_it() {
    let world = World::new(|_| {});
    let app = world.application(|_| {}).await;
    world.receivers.always("one.test", Answer::ok());
    world.receivers.always("new.test", Answer::ok());
    world.endpoint(&app, "one.test", |_| {}).await;
    let mut other = world.draft("{}");
    other.event_type = "other.type".parse().expect("a name");
    world.publish(&app, vec![other]).await;
    let missed = world.send_many(&app, 450).await;
    world.drained(10 * SEC).await;
    world.pass(SEC).await;
    let wanted = missed[0].event_type.clone();
    let new = world.endpoint(&app, "new.test", |e| e.event_types = Some(vec![wanted])).await;
    let sent = world.send_many(&app, 3).await;
    world.drained(SEC).await;
    world.pass(SEC).await;
    let (app, endpoint) = (new.app, new.id);
    let (since, until) = (missed[0].created_at, world.now());
    let kind = TaskKind::Replay { app, endpoint, since, until };
    for (round, want) in [(1, 450), (2, 0)] {
        let id = begin(&world, &new, kind.clone()).await;
        let done = async || task(&world, id).await.status != TaskStatus::Running;
        world.until(60 * SEC, "the task ends", done).await;
        world.drained(10 * SEC).await;
        let ended = task(&world, id).await;
        let got = (ended.status, ended.done, ended.scanned);
        assert_eq!(got, (TaskStatus::Finished, want, 454), "{round}");
        assert_eq!(world.receivers.at("new.test").len(), 453, "each once: {round}");
        world.pass(SEC).await;
    }
    assert_eq!(world.records(&sent[0], &new).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_is_sent_again_as_the_filter_says() {
    let world = World::new(|_| {});
    let (app, endpoint, failed) = failed(&world, 30).await;
    world.send_many(&app, 12).await;
    world.drained(SEC).await;
    world.pass(SEC).await;
    let (app, id) = (endpoint.app, endpoint.id);
    let only = ReplayFilter::default;
    for (only, want) in [
        (ReplayFilter { status: Some(Status::Success), ..only() }, 12),
        (ReplayFilter { status_code_class: Some(500), ..only() }, 0),
        (ReplayFilter { channel: Some("none".parse().expect("a name")), ..only() }, 0),
        (ReplayFilter { event_types: Some(vec![failed[0].event_type.clone()]), ..only() }, 42),
        (ReplayFilter { status_code_class: Some(400), ..only() }, 30),
    ] {
        let (since, until) = (failed[0].created_at, world.now());
        let before = world.receivers.total();
        let kind = TaskKind::BulkReplay { app, endpoint: id, since, until, only: only.clone() };
        let id = begin(&world, &endpoint, kind).await;
        let done = async || task(&world, id).await.status != TaskStatus::Running;
        world.until(60 * SEC, "the task ends", done).await;
        world.drained(10 * SEC).await;
        assert_eq!(task(&world, id).await.done, want, "{only:?}");
        assert_eq!(world.receivers.total() - before, want as usize, "{only:?}");
        world.pass(SEC).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_paused_stands_still_until_it_is_resumed_or_cancelled() {
    let world = World::new(|options| options.window.max = 4);
    let (_, endpoint, _) = failed(&world, 3_000).await;
    world.receivers.always("one.test", Answer::ok().after(20 * MS));
    let id = recover(&world, &endpoint).await;
    let steer = async |wish| {
        let steered =
            world.memory().steer_task(&Actor::System, world.org, id, wish, world.now()).await;
        world.publisher.handover().tasks_changed();
        steered.expect("the store answers").expect("it is there").status
    };
    let begun = async || task(&world, id).await.done > 0;
    world.until(60 * SEC, "it has begun", begun).await;
    assert_eq!(steer(Wish::Pause).await, TaskStatus::Paused);
    // The step that was under way ends, and all that was made by then is sent.
    world.pass(SEC).await;
    let stood = task(&world, id).await;
    assert!(stood.done < 3_000, "{}", stood.done);
    world.drained(60 * SEC).await;
    assert_eq!(task(&world, id).await, stood);
    assert_eq!(world.receivers.total(), 3_000 + stood.done as usize);

    assert_eq!(steer(Wish::Resume).await, TaskStatus::Running);
    let moved = async || task(&world, id).await.done > stood.done;
    world.until(60 * SEC, "it goes on", moved).await;
    assert_eq!(steer(Wish::Cancel).await, TaskStatus::Cancelled);
    world.drained(60 * SEC).await;
    let ended = task(&world, id).await;
    assert_eq!(ended.status, TaskStatus::Cancelled);
    assert!(ended.done < 3_000, "{}", ended.done);
    assert_eq!(world.receivers.total(), 3_000 + ended.done as usize);
}

/// Begins a task of the organization.
async fn find_out(world: &World, kind: TaskKind) -> TaskId {
    let id = TaskId::generate(world.now(), &*world.entropy);
    let task = Task::new(world.org, id, kind, world.now());
    let created = world.memory().create_task(&Actor::System, task).await;
    assert_eq!(created, Ok(None));
    world.publisher.handover().tasks_changed();
    id
}

#[tokio::test(start_paused = true)]
async fn statistics_are_found_out_also_across_a_restart() {
    let mut world = World::new(|_| {});
    let (app, endpoint, _) = failed(&world, 7).await;
    let listens = |e: &mut Endpoint| e.event_types = Some(vec!["a.b".parse().expect("a name")]);
    let quiet = world.application(|app| app.uid = Some("quiet".parse().expect("a uid"))).await;
    world.endpoint(&quiet, "two.test", listens).await;
    let (since, until) = (endpoint.created_at, world.now());
    let stats = |n, app: &Application| AppStats {
        message_destinations: n,
        app_id: app.id,
        app_uid: app.uid.clone(),
    };
    let all = Outcome::AppStats(vec![stats(7, &app), stats(0, &quiet)]);
    let one = Outcome::AppStats(vec![stats(0, &quiet)]);
    let mut types = [Subscriptions::none(app.id), Subscriptions::none(quiet.id)];
    types[0].add(None);
    types[1].add(Some(vec!["a.b".parse().expect("a name")]));
    for (kind, want) in [
        (TaskKind::AppStats { since, until, apps: None }, all),
        (TaskKind::AppStats { since, until, apps: Some(vec![quiet.id]) }, one),
        (TaskKind::EventTypes {}, Outcome::EventTypes(types.to_vec())),
    ] {
        // The step is made, and what it found out is lost with its process.
        world.store.fail("update_task");
        let id = find_out(&world, kind).await;
        world.pass(SEC).await;
        assert!(world.store.calls("update_task") > 0);
        let begun = task(&world, id).await;
        assert_eq!((begun.status, &begun.result), (TaskStatus::Running, &None));
        world.crash();
        let done = async || task(&world, id).await.status != TaskStatus::Running;
        world.until(10 * SEC, "the task ends", done).await;
        let ended = task(&world, id).await;
        assert_eq!((ended.status, ended.result.as_deref()), (TaskStatus::Finished, Some(&want)));
    }
}

#[tokio::test(start_paused = true)]
async fn statistics_of_too_many_applications_fail_and_say_what_to_ask() {
    let world = World::new(|_| {});
    let mut some = None;
    for _ in 0..=MOST_APPLICATIONS {
        some = Some(world.application(|_| {}).await.id);
    }
    let (since, until) = (world.now().minus(HOUR), world.now());
    for (apps, want) in [(None, Some("appIds")), (some.map(|app| vec![app]), None)] {
        let id = find_out(&world, TaskKind::AppStats { since, until, apps }).await;
        told(&world, id, want).await;
    }
    let id = find_out(&world, TaskKind::EventTypes {}).await;
    told(&world, id, Some("GET /api/v1/app/{app_id}/endpoint")).await;
}

/// Waits until a task has failed for a reason that names this, or has finished.
async fn told(world: &World, id: TaskId, want: Option<&str>) {
    let done = async || task(world, id).await.status != TaskStatus::Running;
    world.until(10 * SEC, "the task ends", done).await;
    let ended = task(world, id).await;
    match (want, ended.result.as_deref()) {
        (Some(named), Some(Outcome::Failure(why))) => {
            assert_eq!(ended.status, TaskStatus::Failed);
            assert!(why.contains(named), "{why}");
        }
        (None, Some(Outcome::AppStats(found))) => {
            assert_eq!((ended.status, found.len()), (TaskStatus::Finished, 1));
        }
        other => panic!("{other:?}"),
    }
}
