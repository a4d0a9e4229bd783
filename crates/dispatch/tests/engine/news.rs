//! What nodes tell each other: work for lanes of others, and changes of what they keep in memory.

use domain::{
    clock::Timestamp,
    delivery::{Cause, EndState},
    id::TaskId,
    name::Ref,
    task::{Task, TaskKind, TaskStatus},
    token::{Actor, Revocation, Revoked},
};
use store::{Catalog, History, Tasks, Tokens, history::Tenant};
use tokio::time::{Instant, timeout};

use crate::harness::{Answer, HOUR, MS, SEC, World};

async fn two() -> World {
    let mut world = World::shared(|_| {});
    world.join();
    world.shared_out(3 * SEC, &[512, 512]).await;
    world
}

#[tokio::test(start_paused = true)]
async fn what_is_published_elsewhere_is_delivered_by_its_owner_at_once() {
    let world = two().await;
    let (app, _) = world.endpoint_of(0, "one.test", |_| {}).await;
    let began = Instant::now();
    world.send_at(1, &app, 3).await;
    let came = world.arrivals(SEC, "one.test", 3).await;
    assert_eq!(came.at, began);
    world.drained(SEC).await;
    assert_eq!((world.node(0).store.calls("settle"), world.node(1).store.calls("settle")), (3, 0));
    assert_eq!((world.node(0).store.calls("wake"), world.node(1).store.calls("wake")), (0, 1));
    let mut draft = world.draft("{}");
    draft.deliver_at = Some(world.now().plus(30 * SEC));
    let began = Instant::now();
    let publisher = &world.node(1).publisher;
    let app = Ref::Id(app.id);
    let sent = publisher.publish(world.org, &app, vec![draft], &publish::Internal).await;
    sent.expect("published").remove(0).expect("accepted");
    let came = world.arrivals(HOUR, "one.test", 4).await;
    assert_eq!(came.at - began, 30 * SEC, "when it is due");
}

#[tokio::test(start_paused = true)]
async fn what_its_owner_was_not_told_of_it_finds_by_itself() {
    let world = two().await;
    let (app, _) = world.endpoint_of(0, "one.test", |_| {}).await;
    world.receivers.always("one.test", Answer::ok().after(10 * MS));
    world.node(1).store.fail("wake");
    for n in 1..=20 {
        let began = Instant::now();
        world.send_at(1, &app, 1).await;
        let came = world.arrivals(3 * SEC, "one.test", n).await;
        assert!(came.at - began <= 2_010 * MS, "{:?}", came.at - began);
        world.pass(333 * MS).await;
    }
    // Beside what it is told of, too.
    for _ in 0..1_000 {
        world.send_at(0, &app, 1).await;
        world.send_at(1, &app, 1).await;
        world.pass(7 * MS).await;
    }
    world.drained(3 * SEC).await;
    assert_eq!(world.receivers.total(), 2_020);
    world.receivers.assert_no_duplicates();
}

#[tokio::test(start_paused = true)]
async fn looking_for_work_reads_nothing_of_a_lane_that_keeps_up() {
    let world = World::shared(|_| {});
    world.store.be_slow(5, 3 * MS);
    let app = world.application(|_| {}).await;
    world.endpoint(&app, "one.test", |_| {}).await;
    world.receivers.always("one.test", Answer::ok().after(20 * MS));
    world.pass(SEC).await;
    world.send(&app).await;
    world.drained(SEC).await;
    let pages = world.store.calls("due");
    for _ in 0..10_000 {
        world.send(&app).await;
        world.pass(MS).await;
    }
    assert!(world.store.calls("lanes") > 5, "it looks");
    assert_eq!(world.store.calls("due"), pages, "and knows all that it finds");
    world.drained(SEC).await;
    world.receivers.assert_no_duplicates();
}

#[tokio::test(start_paused = true)]
async fn what_is_handed_over_before_anything_is_owned_is_not_lost() {
    let world = World::shared(|_| {});
    assert_eq!(world.owned(), [0]);
    let app = world.application(|_| {}).await;
    world.endpoint(&app, "one.test", |_| {}).await;
    world.send_many(&app, 50).await;
    world.drained(SEC).await;
    assert_eq!(world.receivers.total(), 50);
    world.receivers.assert_no_duplicates();
}

#[tokio::test(start_paused = true)]
async fn a_change_of_an_endpoint_is_heard_of_by_its_owner() {
    let world = two().await;
    let (app, endpoint) = world.endpoint_of(1, "one.test", |_| {}).await;
    world.send(&app).await;
    world.arrivals(SEC, "one.test", 1).await;
    // At the first node; the second one sends.
    world.change(&endpoint, |e| e.url = "https://two.test/".parse().expect("a URL")).await;
    world.pass(MS).await;
    world.send_at(1, &app, 1).await;
    world.arrivals(MS, "two.test", 1).await;
    world.change(&endpoint, |e| e.disabled = true).await;
    world.pass(MS).await;
    world.send_at(1, &app, 1).await;
    world.send_at(0, &app, 1).await;
    world.pass(HOUR).await;
    assert_eq!(world.receivers.total(), 2);
}

#[tokio::test(start_paused = true)]
async fn when_news_are_lost_everything_is_looked_at_again() {
    let world = two().await;
    let (app, endpoint) = world.endpoint_of(1, "one.test", |_| {}).await;
    world.send_at(1, &app, 1).await;
    world.drained(SEC).await;
    // Nobody tells of it.
    let mut changed = world.stored(&endpoint).await;
    changed.url = "https://two.test/".parse().expect("a URL");
    changed.revision += 1;
    let updated = world.memory().update_endpoint(&Actor::System, changed).await;
    updated.expect("the store answers").expect("updated");
    world.node(1).member.as_ref().expect("a node").lose_news();
    let revoked = world.node(1).engine.revocations().notified();
    timeout(SEC, revoked).await.expect("revocations may be new too");
    world.send_at(0, &app, 1).await;
    world.arrivals(SEC, "two.test", 1).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_expunged_elsewhere_is_not_sent_any_more() {
    let world = two().await;
    let (app, _) = world.endpoint_of(1, "one.test", |e| e.throttle_rate = Some(1)).await;
    let messages = world.send_at(1, &app, 3).await;
    world.pass(500 * MS).await;
    let tenant = Tenant { org: app.org, app: app.id };
    let expunged = world.store.expunge_message(tenant, messages[1].id, world.now()).await;
    assert_eq!(expunged, Ok(true));
    world.pass(HOUR).await;
    let came: Vec<_> = world.receivers.at("one.test").iter().map(|a| a.message).collect();
    assert_eq!(came, [messages[0].id, messages[2].id]);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_is_heard_of() {
    let world = two().await;
    let now = world.now();
    let what = Revoked::Token([7; 32]);
    let revocation = Revocation { what, issued_until: now, at: now, forget_at: now.plus(HOUR) };
    let revoked = world.node(1).engine.revocations().notified();
    world
        .store
        .revoke(&Actor::System, world.org, None, revocation)
        .await
        .expect("the store answers");
    timeout(MS, revoked).await.expect("told");
}

#[tokio::test(start_paused = true)]
async fn a_task_is_run_by_the_owner_of_its_endpoint() {
    let mut world =
        World::shared(|options| options.policy.schedule = crate::harness::schedule(&[]));
    world.join();
    world.shared_out(3 * SEC, &[512, 512]).await;
    let (app, endpoint) = world.endpoint_of(1, "one.test", |_| {}).await;
    world.receivers.always("one.test", Answer::status(500));
    let messages = world.send_at(1, &app, 5).await;
    world.drained(SEC).await;
    world.pass(SEC).await;
    world.receivers.always("one.test", Answer::ok());
    let (since, until) = (Timestamp::EPOCH, world.now());
    let kind = TaskKind::Recover { app: app.id, endpoint: endpoint.id, since, until };
    let id = TaskId::generate(world.now(), &*world.entropy);
    let task = Task::new(world.org, id, kind, world.now());
    assert_eq!(world.store.create_task(&Actor::System, task).await, Ok(None));
    world.publisher.handover().tasks_changed();
    world.arrivals(6 * SEC, "one.test", 10).await;
    world.drained(SEC).await;
    let task = world.store.task(world.org, id).await.expect("the store answers").expect("there");
    assert_eq!((task.status, task.done), (TaskStatus::Finished, 5));
    assert_eq!(world.node(0).store.calls("update_task"), 0);
    for message in &messages {
        let ends: Vec<_> =
            world.records(message, &endpoint).await.iter().map(|record| record.end).collect();
        assert_eq!(ends.last(), Some(&Some((EndState::Succeeded, Cause::Delivered))));
    }
}
