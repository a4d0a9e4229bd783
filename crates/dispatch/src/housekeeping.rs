//! Retention in small steps, and the gauges.

use std::{sync::Arc, time::Duration};

use domain::{
    attempt::Outcome,
    delivery::{EndState, Next},
    shard::Shard,
};
use metrics::{Counter, Histogram, counter, gauge, histogram};
use store::{
    deliveries::Settled,
    housekeeping::{RetentionLimits, StoreStats},
    outage,
};
use tokio::time::sleep;

use crate::engine::Engine;

/// Its owner keeps house for all.
const KEEPER: Shard = Shard(0);
/// Wait between steps of a sweep that has more to do: other writes get their turn.
const BETWEEN_STEPS: Duration = Duration::from_millis(5);

/// The engine's counters, registered once.
pub(crate) struct Metrics {
    seconds: Histogram,
    success: Counter,
    retried: Counter,
    succeeded: Counter,
    exhausted: Counter,
    cancelled: Counter,
    superseded: Counter,
    fenced: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let ended = |state| counter!("hookwright_deliveries_total", "outcome" => state);
        Self {
            seconds: histogram!("hookwright_attempt_seconds"),
            success: counter!("hookwright_attempts_total", "class" => "success"),
            retried: ended("retried"),
            succeeded: ended("succeeded"),
            exhausted: ended("exhausted"),
            cancelled: ended("cancelled"),
            superseded: ended("superseded"),
            fenced: counter!("hookwright_fenced_settles_total"),
        }
    }

    pub(crate) fn attempt(&self, outcome: &Outcome) {
        self.seconds.record(outcome.duration.as_secs_f64());
        match outcome.class {
            domain::attempt::OutcomeClass::Success => self.success.increment(1),
            class => counter!("hookwright_attempts_total", "class" => class.as_str()).increment(1),
        }
    }

    pub(crate) fn settled(&self, next: Next, settled: &Settled) {
        match next {
            _ if settled.superseded => &self.superseded,
            Next::Retry(_) => &self.retried,
            Next::End(EndState::Succeeded, _) => &self.succeeded,
            Next::End(EndState::Exhausted, _) => &self.exhausted,
            Next::End(EndState::Cancelled, _) => &self.cancelled,
        }
        .increment(1);
    }

    /// An outcome came after its shard was lost.
    pub(crate) fn fenced(&self) {
        self.fenced.increment(1);
    }
}

impl Engine {
    /// Sweeps and measures until the engine stops.
    pub(crate) async fn run_housekeeping(self: Arc<Self>) {
        let mut stopping = self.stopping.subscribe();
        let retention = self.parts.options.retention;
        let mut keeper = false;
        loop {
            tokio::select! {
                () = sleep(retention.sweep_interval) => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
            self.core.lock().forget_idle(self.now());
            self.measure();
            // What concerns the whole store is done by one node.
            let kept = std::mem::replace(&mut keeper, self.is_keeper());
            if keeper {
                self.sweep().await;
                if let Ok(stats) = self.parts.store.stats().await {
                    self.measure_store(stats);
                }
            } else if kept {
                // Whoever does it from now on says how it is.
                self.measure_store(StoreStats::default());
            }
        }
    }

    /// Whether this node does what concerns the whole store.
    pub fn is_keeper(&self) -> bool {
        self.core.lock().shards().is_active(KEEPER)
    }

    async fn sweep(&self) {
        let retention = self.parts.options.retention;
        loop {
            let now = self.wall();
            let limits = RetentionLimits {
                now,
                history_before: now.minus(retention.history),
                rows: retention.sweep_rows,
            };
            match self.parts.store.sweep(limits).await {
                Ok(swept) => {
                    counter!("hookwright_swept_rows_total").increment(
                        (swept.payloads + swept.messages + swept.deliveries + swept.attempts)
                            as u64,
                    );
                    if !swept.more || *self.stopping.borrow() {
                        return;
                    }
                }
                Err(error) => {
                    if outage::may_log(self.wall()) {
                        tracing::warn!(%error, "retention was interrupted");
                    }
                    return;
                }
            }
            sleep(BETWEEN_STEPS).await;
        }
    }

    fn measure(&self) {
        let depths = self.depths();
        gauge!("hookwright_lanes").set(depths.lanes as f64);
        gauge!("hookwright_lanes_held").set(depths.held as f64);
        gauge!("hookwright_lane_ready_deliveries").set(depths.ready as f64);
        gauge!("hookwright_in_flight_attempts").set(depths.in_flight as f64);
        gauge!("hookwright_hot_bytes").set(depths.hot_bytes as f64);
        gauge!("hookwright_owned_shards").set(depths.shards as f64);
    }

    fn measure_store(&self, stats: StoreStats) {
        gauge!("hookwright_store_bytes").set(stats.bytes as f64);
        gauge!("hookwright_store_wal_bytes").set(stats.wal_bytes as f64);
        gauge!("hookwright_pending_deliveries").set(stats.pending as f64);
        gauge!("hookwright_unscheduled_deliveries").set(stats.unscheduled as f64);
        gauge!("hookwright_store_queued_rows").set(stats.queued as f64);
        gauge!("hookwright_store_full").set(f64::from(u8::from(stats.full)));
        let oldest = stats.oldest_due.map_or(0.0, |due| self.now().since(due).as_secs_f64());
        gauge!("hookwright_oldest_due_seconds").set(oldest);
    }
}
