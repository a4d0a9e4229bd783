//! Durable jobs: sending again (recover and the replays), cancelling what a deleted endpoint or application
//! leaves, and statistics of an organization. Each step is idempotent and leaves a cursor, so a job goes on
//! where it was after any interruption. One that is paused or cancelled in the middle of a step makes that
//! step to its end.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest;
use domain::{
    delivery::Trigger,
    id::{ApplicationId, DeliveryId, EndpointId, MessageId, TaskId},
    name::Ref,
    routing,
    shard::{Shard, ShardSet},
    task::{Outcome, Task, TaskKind, TaskStatus},
};
use store::{
    StoreError,
    deliveries::{LaneHead, LaneKey},
    outage, replay, statistics,
};
use tokio::time::sleep;

use crate::engine::Engine;

/// Tasks looked at a time.
const TASKS: usize = 16;
/// Messages sent again at a time: few, so that what is fresh finds a gap between them.
const SENT: u16 = 50;
/// How long to wait for each of them, so that live traffic has most of the machine: 1,000 a second.
const PACE: Duration = Duration::from_millis(1);
/// Deliveries cancelled at a time.
const STEP: usize = 200;
/// Lanes looked through at a time.
const LANES: usize = 1_000;
/// First and longest wait while no task can go on.
const REST: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How often tasks are looked for without being told.
const POLL: Duration = Duration::from_secs(5);

impl Engine {
    /// Runs tasks, one step of each in turn, until the engine stops.
    pub(crate) async fn run_jobs(self: Arc<Self>) {
        let mut stopping = self.stopping.subscribe();
        let mut rest = REST.0;
        while !*stopping.borrow() {
            // Whoever owns an endpoint runs its tasks. One that is lost in the middle of a step does no
            // harm: steps may be repeated.
            let owned = self.core.lock().shards().active();
            let wait = match self.parts.store.running_tasks(&owned, TASKS).await {
                Ok(tasks) if tasks.is_empty() => POLL,
                Ok(tasks) => {
                    let (mut stepped, mut sent) = (false, 0);
                    for task in tasks {
                        let id = task.id;
                        match self.step_task(task).await {
                            Ok(Some(made)) => {
                                stepped = true;
                                sent += made;
                            }
                            Ok(None) => {}
                            Err(error) => {
                                if outage::may_log(self.wall()) {
                                    tracing::warn!(%error, task = %id, "a task's step failed; it goes on");
                                }
                            }
                        }
                    }
                    if stepped && sent == 0 {
                        rest = REST.0;
                        continue;
                    }
                    if stepped {
                        rest = REST.0;
                        tokio::select! {
                            () = sleep(PACE * sent) => continue,
                            _ = stopping.wait_for(|stop| *stop) => return,
                        }
                    }
                    let rested = rest;
                    rest = (2 * rest).min(REST.1);
                    rested
                }
                Err(error) => {
                    if outage::may_log(self.wall()) {
                        tracing::warn!(%error, "tasks could not be read");
                    }
                    POLL
                }
            };
            tokio::select! {
                () = self.jobs.notified() => {}
                () = sleep(wait) => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// One step, if there is one to make now; how many messages it sent.
    async fn step_task(self: &Arc<Self>, mut task: Task) -> Result<Option<u32>, StoreError> {
        let mut sent = 0;
        match task.kind {
            TaskKind::Recover { app, endpoint, .. }
            | TaskKind::Replay { app, endpoint, .. }
            | TaskKind::BulkReplay { app, endpoint, .. } => {
                if self.tell(|core, now| core.is_busy(endpoint, now)) {
                    return Ok(None);
                }
                sent = self.send_again(&mut task, app, endpoint).await?;
            }
            TaskKind::CancelDeliveries { app, endpoint } => {
                task.done += self.cancel_all(task.org, app, endpoint).await?;
                task.status = TaskStatus::Finished;
            }
            TaskKind::AppStats { since, until, ref apps } => {
                let (store, apps, now) = (&*self.parts.store, apps.as_deref(), self.wall());
                let found =
                    statistics::app_stats(store, task.org, apps, (since, until), now).await?;
                found_out(&mut task, found);
            }
            TaskKind::EventTypes {} => {
                let found = statistics::event_types(&*self.parts.store, task.org).await?;
                found_out(&mut task, found);
            }
        }
        task.updated_at = self.wall();
        self.parts.store.update_task(task).await?;
        Ok(Some(sent))
    }

    /// One step of a task that sends: a page of messages, each sent once; how many.
    async fn send_again(
        self: &Arc<Self>,
        task: &mut Task,
        app: ApplicationId,
        endpoint: EndpointId,
    ) -> Result<u32, StoreError> {
        let application = self.parts.catalogues.application(task.org, &Ref::Id(app)).await?;
        let prepared = application.and_then(|a| a.endpoint(endpoint).cloned());
        let Some(prepared) = prepared else {
            task.status = TaskStatus::Failed;
            return Ok(0);
        };
        let (store, endpoint, now) = (&self.parts.store, &prepared.endpoint, self.wall());
        let found = replay::page(&**store, &task.kind, endpoint, task.cursor, SENT, now).await?;
        let deliveries: Vec<_> = found
            .messages
            .iter()
            .map(|message| {
                let entropy = &*self.parts.entropy;
                let mut delivery =
                    routing::deliver(message, endpoint, Trigger::Replay, now, entropy);
                delivery.id = replay_id(task.id, message.id);
                delivery
            })
            .collect();
        let sent = deliveries.len() as u32;
        task.done += u64::from(sent);
        task.scanned += found.scanned;
        if let Some(first) = deliveries.first() {
            let lane = LaneKey::of(first);
            store.enqueue(deliveries, None).await?;
            self.tell(|core, now| core.add_work(LaneHead { lane, next_due: now }, now));
        }
        task.cursor = found.next.or(task.cursor);
        if found.next.is_none() {
            task.status = TaskStatus::Finished;
        }
        Ok(sent)
    }

    /// Cancels what is pending for one endpoint, or for all of an application.
    async fn cancel_all(
        &self,
        org: domain::id::OrganizationId,
        app: ApplicationId,
        endpoint: Option<EndpointId>,
    ) -> Result<u64, StoreError> {
        let mut cancelled = 0;
        if let Some(endpoint) = endpoint {
            let shard = Shard::of(&org, &app, &endpoint);
            return self.cancel_to_end(LaneKey { shard, org, app, endpoint }).await;
        }
        let mut after = None;
        loop {
            // All there are: cancelling needs no owner.
            let heads = self.parts.store.lanes(&ShardSet::ALL, after, LANES).await?;
            after = heads.last().map(|head| head.lane);
            for head in heads.iter().filter(|h| h.lane.org == org && h.lane.app == app) {
                cancelled += self.cancel_to_end(head.lane).await?;
            }
            if heads.len() < LANES {
                return Ok(cancelled);
            }
        }
    }

    async fn cancel_to_end(&self, lane: LaneKey) -> Result<u64, StoreError> {
        let mut cancelled = 0;
        loop {
            match self.parts.store.cancel(lane, STEP, self.wall()).await? {
                0 => return Ok(cancelled),
                n => cancelled += n as u64,
            }
        }
    }
}

/// A task has found out what it was to find out, or that it cannot be told.
fn found_out(task: &mut Task, found: Outcome) {
    task.status = match found {
        Outcome::Failure(_) => TaskStatus::Failed,
        Outcome::AppStats(_) | Outcome::EventTypes(_) => TaskStatus::Finished,
    };
    task.result = Some(Arc::new(found));
}

/// The id of the delivery that a task makes of a message: the same each time, so that a step that is
/// repeated adds nothing.
fn replay_id(task: TaskId, message: MessageId) -> DeliveryId {
    let hash = digest::digest(&digest::SHA256, &[task.raw().as_slice(), message.raw()].concat());
    let mut raw = *task.raw();
    raw[5..].copy_from_slice(&hash.as_ref()[..15]);
    DeliveryId::from_raw(raw)
}
