//! Which shards this node owns: a heartbeat from time to time renews the lease of what it has, brings
//! what is free, and says what is over its share. That is given back once it has come to rest.
//!
//! Whoever owns something stops by itself. Attempts start, and are sent, only while this node's own
//! monotonic clock says that its lease, counted from when the last heartbeat that was answered was sent,
//! is not over, less a margin. So that clock must run on while the process is stopped or the machine
//! sleeps: others may own the shards when it wakes.

use std::{sync::Arc, time::Duration};

use metrics::gauge;
use store::{StoreError, outage};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::engine::Engine;

/// Nothing starts any more when this much of a lease is left: for an attempt on its way out, and for
/// clocks of two machines that do not run equally fast.
const MARGIN: Duration = Duration::from_millis(1_500);
/// Longest wait for the answer to a heartbeat.
const PATIENCE: Duration = Duration::from_secs(4);
/// The same when shards are given back: the next heartbeat must not be late for it.
const RELEASE_PATIENCE: Duration = Duration::from_secs(1);
/// First and longest wait before a call that failed is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(1));
/// Heartbeats of a lease: three may fail in a row, and one more is still in time.
const BEATS: u32 = 4;
/// Least time between two heartbeats that are not due, however much others give back.
const BETWEEN_BEATS: Duration = Duration::from_millis(100);
/// What comes to rest within this time is given back together.
const GATHER: Duration = Duration::from_millis(20);

impl Engine {
    /// Sends heartbeats and gives shards back, until the engine stops and all is given back.
    pub(crate) async fn run_ownership(self: Arc<Self>) {
        let mut stopping = self.stopping.subscribe();
        let mut failures = Failures::default();
        loop {
            let leaving = *stopping.borrow_and_update();
            let began = Instant::now();
            let wait = match self.heartbeat(leaving).await {
                // Nobody else can ever own anything.
                Ok(None) => return,
                Ok(Some(lease)) => {
                    failures = Failures::default();
                    lease / BEATS
                }
                Err(error) => {
                    if outage::may_log(self.wall()) {
                        tracing::error!(%error,
                            "a heartbeat failed; nothing starts once the lease is over");
                    }
                    failures.wait() + began.elapsed()
                }
            };
            self.measure_lease();
            let mut beat_at = began + wait;
            loop {
                let rested_by = self.give_back().await;
                if leaving && self.core.lock().shards().owned().is_empty() {
                    return;
                }
                tokio::select! {
                    () = sleep_until(beat_at.min(rested_by)) => {
                        if Instant::now() >= beat_at {
                            break;
                        }
                    }
                    () = self.rested.notified() => sleep(GATHER).await,
                    () = self.beat.notified(), if !leaving => {
                        beat_at = beat_at.min(began + BETWEEN_BEATS);
                    }
                    _ = stopping.changed(), if !leaving => break,
                }
            }
        }
    }

    /// Says that this node lives; returns how long its lease is, `None` for ever.
    async fn heartbeat(self: &Arc<Self>, leaving: bool) -> Result<Option<Duration>, StoreError> {
        let sent = self.parts.clock.monotonic();
        let answer = within(PATIENCE, self.parts.store.heartbeat(leaving)).await?;
        if let Some(time) = answer.time {
            self.time.saw(time, sent);
        }
        let until = answer.lease.map_or(Duration::MAX, |lease| {
            (sent + lease).saturating_sub(MARGIN.min(lease / BEATS))
        });
        let change = self.tell(|core, now| core.own(&answer, until, now));
        if !change.lost.is_empty() {
            tracing::info!(shards = change.lost.len(), "shards lost: others work on them");
        }
        if !change.begun.is_empty() {
            tracing::info!(shards = change.begun.len(), share = answer.share, "shards gained");
            self.gained.notify_one();
            self.jobs.notify_one();
        }
        Ok(answer.lease)
    }

    /// Gives back what has come to rest. Returns when to do so again at the latest.
    async fn give_back(self: &Arc<Self>) -> Instant {
        let (shards, rested_by) = {
            let mut core = self.core.lock();
            let now = self.now();
            let shards = core.give_back(now);
            (shards, core.shards().give_back_at().map(|at| at.since(now)))
        };
        if !shards.is_empty() {
            let released = within(RELEASE_PATIENCE, self.parts.store.release(&shards)).await;
            if let Err(error) = released {
                if outage::may_log(self.wall()) {
                    tracing::warn!(%error, "shards could not be given back; trying again");
                }
                return Instant::now() + RETRY.1;
            }
            tracing::info!(shards = shards.len(), "shards given back");
            self.tell(|core, now| core.gone(&shards, now));
        }
        Instant::now() + rested_by.unwrap_or(PATIENCE)
    }

    fn measure_lease(&self) {
        if let Some(left) = self.core.lock().shards().left(self.parts.clock.monotonic()) {
            gauge!("hookwright_lease_seconds").set(left.as_secs_f64());
        }
    }
}

/// Calls that failed, one after another.
#[derive(Default)]
struct Failures {
    wait: Option<Duration>,
}

impl Failures {
    /// How long to wait before the next call.
    fn wait(&mut self) -> Duration {
        let wait = self.wait.unwrap_or(RETRY.0);
        self.wait = Some((2 * wait).min(RETRY.1));
        wait
    }
}

/// The store's answer, if it comes in time.
async fn within<T>(
    patience: Duration,
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(patience, answer).await.unwrap_or(Err(StoreError::Unknown))
}
