//! Work that remains: the due index, and what attempts make of it.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    attempt::Attempt,
    clock::Timestamp,
    delivery::{Delivery, Health, Next},
    id::{ApplicationId, DeliveryId, EndpointId, OrganizationId},
    message::Message,
    name::EventTypeName,
    shard::{Shard, ShardSet},
};

use crate::{
    Result,
    publish::{NewMessage, Published},
};

/// A lane that has work, as the store sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneKey {
    /// Its shard.
    pub shard: Shard,
    /// The environment.
    pub org: OrganizationId,
    /// The customer.
    pub app: ApplicationId,
    /// The endpoint.
    pub endpoint: EndpointId,
}

impl LaneKey {
    /// The lane of a delivery.
    pub fn of(delivery: &Delivery) -> Self {
        Self {
            shard: delivery.shard(),
            org: delivery.org,
            app: delivery.app,
            endpoint: delivery.endpoint,
        }
    }
}

/// A lane and when its earliest delivery is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneHead {
    /// Which.
    pub lane: LaneKey,
    /// Its earliest due time.
    pub next_due: Timestamp,
}

/// A due delivery, with what is needed to send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueDelivery {
    /// The work.
    pub delivery: Delivery,
    /// Its message; the body is `None` if it was expunged or has expired.
    pub message: Arc<Message>,
}

/// A page of a lane's due work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DuePage {
    /// In order of due time.
    pub due: Vec<DueDelivery>,
    /// The due time of the first row behind the page, due yet or not; `None` if there is none.
    pub next_due: Option<Timestamp>,
}

/// Bounds of a page of due work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueLimits {
    /// Only what is due at or before this.
    pub until: Timestamp,
    /// Most rows.
    pub rows: usize,
    /// Stop after the row that passes this many bytes of payload.
    pub bytes: usize,
}

/// What to write for one finished attempt, or for a delivery that ends without one.
#[derive(Clone, Debug)]
pub struct Settle {
    /// As it was when the attempt began: the write applies only if it still is so. A retry counts its
    /// attempts up by one if there was an attempt.
    pub delivery: Delivery,
    /// The attempt; `None` if it ends without one.
    pub attempt: Option<Attempt>,
    /// The event type of its message, which attempts are counted by.
    pub event_type: EventTypeName,
    /// When its message was accepted, or was to be sent if that is later: deliveries take as long as from
    /// then on.
    pub wanted_at: Timestamp,
    /// What comes next.
    pub next: Next,
    /// For the endpoint; written only on transition. Applies even if the delivery had moved on.
    pub health: Health,
    /// Messages that this causes: committed in the same transaction. Even if the delivery had moved
    /// on.
    pub messages: Vec<NewMessage>,
    /// Under which the attempt was made: [`NO_EPOCH`] where nobody else could own its shard.
    pub epoch: Epoch,
}

/// Counts the owners of a shard: the one with the highest is its owner now.
pub type Epoch = u64;

/// Of a store that has one owner.
pub const NO_EPOCH: Epoch = 0;

/// What became of one settle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The delivery had moved on (a resend that arrived, a deletion), or its shard is another owner's by
    /// now: no state was changed; the attempt is on record as superseded.
    pub superseded: bool,
    /// Pending automatic deliveries of the same message and endpoint that ended with this one,
    /// because a resend arrived.
    pub also_ended: Vec<DeliveryId>,
    /// One for each message that it caused.
    pub published: Vec<Published>,
    /// The endpoint's health did change (it was not so already).
    pub health_changed: bool,
}

/// The due index.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// Lanes of these shards that have work, behind `after`: one index seek per lane, whatever its depth.
    /// By shard, and in a shard in an order of the store's own; fewer than `limit` are the last. `after`
    /// need not have work any more.
    async fn lanes(
        &self,
        shards: &ShardSet,
        after: Option<LaneKey>,
        limit: usize,
    ) -> Result<Vec<LaneHead>>;

    /// The beginning of a lane's due work, as if the rows in `skip` (those in memory already) were not
    /// there.
    async fn due(&self, lane: LaneKey, limits: DueLimits, skip: Vec<DeliveryId>)
    -> Result<DuePage>;

    /// Writes what attempts came to: attempt, next due time or end, the endpoint's health and the
    /// messages caused, in one act each. One result per item, in order. An item whose attempt is on
    /// record already (repeated after an unknown outcome) changes nothing and counts as applied.
    async fn settle(&self, settles: Vec<Settle>) -> Result<Vec<Settled>>;

    /// Ends up to `limit` pending deliveries of a lane as cancelled (`EndpointDeleted`), the earliest
    /// due first; returns how many. For deleted endpoints and applications.
    async fn cancel(&self, lane: LaneKey, limit: usize, now: Timestamp) -> Result<usize>;
}
