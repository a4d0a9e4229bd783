//! Counts by time: has the store write what it counted, and roll up what has ended.

use std::{sync::Arc, time::Duration};

use store::{StoreError, analytics::RollupLimits, outage};
use tokio::time::sleep;

use crate::engine::Engine;

/// How often counts are written: as old as charts may be.
const FLUSH: Duration = Duration::from_secs(5);
/// Wait between steps of rolling up: other writes get their turn.
const BETWEEN_STEPS: Duration = Duration::from_millis(20);

impl Engine {
    /// Until the engine stops.
    pub(crate) async fn run_rollups(self: Arc<Self>) {
        let mut stopping = self.stopping.subscribe();
        loop {
            tokio::select! {
                () = sleep(FLUSH) => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
            let mut done = self.flush_rollups().await;
            // What concerns the whole store is done by one node.
            if done.is_ok() && self.is_keeper() {
                done = self.roll_up().await;
            }
            if let Err(error) = done
                && outage::may_log(self.wall())
            {
                tracing::warn!(%error, "counts by time are behind");
            }
        }
    }

    /// Has what was counted written, of the shards that this node owns.
    pub(crate) async fn flush_rollups(&self) -> Result<(), StoreError> {
        let owned = self.core.lock().shards().epochs();
        self.parts.store.flush_rollups(&owned).await
    }

    async fn roll_up(&self) -> Result<(), StoreError> {
        let retention = self.parts.options.retention;
        loop {
            let now = self.wall();
            let limits = RollupLimits {
                now,
                minutes_before: now.minus(retention.minutes),
                quarters_before: now.minus(retention.quarters),
                days_before: now.minus(retention.days),
            };
            if !self.parts.store.roll_up(limits).await? || *self.stopping.borrow() {
                return Ok(());
            }
            sleep(BETWEEN_STEPS).await;
        }
    }
}
