//! Reading what the core asks for.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use domain::{name::Ref, shard::ShardSet};
use futures_util::FutureExt;
use store::{StoreError, deliveries::LaneKey, outage};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{core::PageOrder, engine::Engine};

/// Lanes read at a time when the engine looks for work.
const LANES: usize = 1_000;
/// How often work is looked for again: what was stored and never handed over (its publisher was
/// dropped, or did not learn that it was stored) waits no longer than this.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// The same where others publish too, who may not have been able to tell of it.
const LOOK_AGAIN_SHARED: Duration = Duration::from_secs(2);
/// Wait before something is tried again that the store could not do.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// Deliveries cancelled at a time.
const CANCELS: usize = 500;

impl Engine {
    /// Finds work that remains: in what is gained at once, and in everything from time to time.
    pub(crate) async fn run_find_work(self: Arc<Self>) {
        let mut stopping = self.stopping.subscribe();
        let wait = match self.parts.store.is_shared() {
            true => LOOK_AGAIN_SHARED,
            false => LOOK_AGAIN,
        };
        let mut again = Instant::now() + wait;
        loop {
            let mut shards = self.core.lock().take_unlooked();
            if Instant::now() >= again {
                again = Instant::now() + wait;
                shards = self.core.lock().shards().active();
            }
            self.find_work(&shards).await;
            tokio::select! {
                () = self.gained.notified() => {}
                () = sleep_until(again) => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Finds every lane of these shards that has work: one index seek each.
    async fn find_work(self: &Arc<Self>, shards: &ShardSet) {
        if shards.is_empty() {
            return;
        }
        self.core.lock().look();
        self.look_through(shards).await;
        self.core.lock().looked();
    }

    async fn look_through(self: &Arc<Self>, shards: &ShardSet) {
        // Seldom enough, each lane may as well read on from what is found.
        let often = self.parts.store.is_shared();
        let mut after = None;
        while !*self.stopping.borrow() {
            match self.parts.store.lanes(shards, after, LANES).await {
                Ok(heads) => {
                    after = heads.last().map(|head| head.lane);
                    let more = heads.len() == LANES;
                    self.tell(|core, now| {
                        for head in heads {
                            if often {
                                core.found_work(head, now);
                            } else {
                                core.add_work(head, now);
                            }
                        }
                    });
                    if !more {
                        return;
                    }
                }
                Err(error) => {
                    if outage::may_log(self.wall()) {
                        tracing::error!(%error, "work that remains could not be found; trying again");
                    }
                    sleep(STORE_RETRY).await;
                }
            }
        }
    }

    pub(crate) async fn read_page(self: Arc<Self>, order: PageOrder) {
        let page = caught(self.parts.store.due(order.lane, order.limits, order.skip)).await;
        let page = page
            .inspect_err(|error| {
                if outage::may_log(self.wall()) {
                    tracing::warn!(%error, endpoint = %order.lane.endpoint,
                        "due deliveries could not be read; trying again");
                }
            })
            .ok();
        self.tell(|core, now| core.page_read(order.lane, order.limits, page, now));
    }

    pub(crate) async fn resolve(self: Arc<Self>, key: LaneKey) {
        let application = Ref::Id(key.app);
        let found = caught(self.parts.catalogues.application(key.org, &application)).await;
        if let Err(error) = &found
            && outage::may_log(self.wall())
        {
            tracing::warn!(%error, endpoint = %key.endpoint, "endpoint could not be read");
        }
        self.tell(|core, now| core.resolved(key, found, now));
    }

    /// Ends what is pending for an endpoint that is gone.
    pub(crate) async fn cancel_lane(self: Arc<Self>, key: LaneKey) {
        while !*self.stopping.borrow() {
            match self.parts.store.cancel(key, CANCELS, self.wall()).await {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => {
                    if outage::may_log(self.wall()) {
                        tracing::warn!(%error, endpoint = %key.endpoint, "cancelling was interrupted");
                    }
                    sleep(STORE_RETRY).await;
                }
            }
        }
    }
}

/// A panic is an error like others: whoever waits for the answer gets one.
async fn caught<T>(reading: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let read = AssertUnwindSafe(reading).catch_unwind().await;
    read.unwrap_or_else(|_| Err(StoreError::Internal("reading panicked".into())))
}
