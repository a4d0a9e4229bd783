//! Reading what the core asks for.

use std::sync::Arc;

use domain::name::Ref;
use store::deliveries::LaneKey;
use tokio::time::sleep;

use crate::{core::PageOrder, engine::Engine};

/// Lanes read at a time when the engine looks for work.
const LANES: usize = 1_000;
/// Deliveries cancelled at a time.
const CANCELS: usize = 500;

impl Engine {
    /// Finds every lane that has work: one index seek each.
    pub(crate) async fn find_work(self: Arc<Self>) {
        let mut after = None;
        loop {
            match self.parts.store.lanes(after, LANES).await {
                Ok(heads) => {
                    after = heads.last().map(|head| head.lane);
                    let more = heads.len() == LANES;
                    self.tell(|core, now| {
                        for head in heads {
                            core.add_work(head, now);
                        }
                    });
                    if !more {
                        return;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "work that remains could not be found; trying again");
                    sleep(std::time::Duration::from_secs(1)).await;
                }
            }
            if *self.stopping.borrow() {
                return;
            }
        }
    }

    pub(crate) async fn read_page(self: Arc<Self>, order: PageOrder) {
        let page = self.parts.store.due(order.lane, order.limits, order.skip).await;
        let page = page
            .inspect_err(|error| {
                tracing::warn!(%error, endpoint = %order.lane.endpoint,
                "due deliveries could not be read; trying again")
            })
            .ok();
        self.tell(|core, now| core.page_read(order.lane, page, now));
    }

    pub(crate) async fn resolve(self: Arc<Self>, key: LaneKey) {
        let found = self.parts.catalogues.application(key.org, &Ref::Id(key.app)).await;
        match found {
            Ok(application) => self.tell(|core, now| core.resolved(key, application, now)),
            Err(error) => {
                tracing::warn!(%error, endpoint = %key.endpoint, "endpoint could not be read");
                self.tell(|core, now| core.unresolved(key, now));
            }
        }
    }

    /// Ends what is pending for an endpoint that is gone.
    pub(crate) async fn cancel_lane(self: Arc<Self>, key: LaneKey) {
        loop {
            match self.parts.store.cancel(key, CANCELS, self.now()).await {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => {
                    // The rows stay, and are found again at the next start.
                    tracing::warn!(%error, endpoint = %key.endpoint, "cancelling was interrupted");
                    return;
                }
            }
        }
    }
}
