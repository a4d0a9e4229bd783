//! Who owns what where several nodes share a store, and what they tell each other. A store that has one
//! node takes the defaults: it owns everything, for ever, and nobody has news for it.

use std::time::Duration;

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    id::{ApplicationId, MessageId, OrganizationId},
    shard::{Shard, ShardSet},
};

use crate::{
    Result,
    deliveries::{Epoch, LaneHead, NO_EPOCH},
};

/// What a heartbeat answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// What this node owns, by shard.
    pub shards: Vec<(Shard, Epoch)>,
    /// How many shards are its share: it gives back what is over, once that has come to rest.
    pub share: usize,
    /// Counted from when the heartbeat was sent: after this others may own these shards. `None` is
    /// never.
    pub lease: Option<Duration>,
    /// The store's clock, at some moment while the heartbeat was under way; `None` is the node's own.
    pub time: Option<Timestamp>,
}

impl Ownership {
    /// Of the only node.
    pub fn alone() -> Self {
        let shards: Vec<_> = ShardSet::ALL.iter().map(|shard| (shard, NO_EPOCH)).collect();
        Self { share: shards.len(), shards, lease: None, time: None }
    }
}

/// A node, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its own, made anew at each start.
    pub id: String,
    /// As it was configured.
    pub name: String,
    /// Of its release.
    pub version: String,
    /// When it started.
    pub started_at: Timestamp,
    /// How long ago its last heartbeat was.
    pub silent_for: Duration,
    /// Whether it is on its way out.
    pub leaving: bool,
    /// How many shards it owns.
    pub shards: usize,
    /// The highest epoch among them.
    pub epoch: Epoch,
    /// Lanes of its shards whose work is overdue, and the due time of the earliest.
    pub overdue: (usize, Option<Timestamp>),
}

/// What other nodes did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Lanes of this node that have new work.
    pub lanes: Vec<LaneHead>,
    /// Applications that were changed, or their endpoints.
    pub applications: Vec<(OrganizationId, ApplicationId)>,
    /// Organizations whose settings or event types were changed.
    pub organizations: Vec<OrganizationId>,
    /// Messages whose content was taken away: what is in memory of them is not sent any more.
    pub expunged: Vec<(OrganizationId, ApplicationId, MessageId)>,
    /// Tokens were revoked.
    pub revocations: bool,
    /// Shards were given back: a heartbeat may bring some. Losing this costs the time until the next.
    pub shards: bool,
    /// There may have been more that nobody knows of: everything that is kept in memory of the
    /// catalogue may be old.
    pub lost: bool,
}

/// A part of an application's rate that one owner has to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// When its first attempt may start; the next one an interval later, and so on. By the store's
    /// clock.
    pub from: Timestamp,
    /// How many there are; 0: so much is taken already that it must be asked again, not before `from`.
    pub attempts: u32,
}

/// The nodes of a store.
#[async_trait]
pub trait Nodes: Send + Sync {
    /// Whether other nodes may use the store: then what is kept in memory of it may be old.
    fn is_shared(&self) -> bool {
        false
    }

    /// Says that this node lives, and takes free shards up to its share; none if it is `leaving`.
    async fn heartbeat(&self, _leaving: bool) -> Result<Ownership> {
        Ok(Ownership::alone())
    }

    /// Gives shards back that have come to rest. Those of other owners stay.
    async fn release(&self, _shards: &ShardSet) -> Result<()> {
        Ok(())
    }

    /// All nodes that were heard of lately.
    async fn nodes(&self) -> Result<Vec<NodeInfo>> {
        Ok(Vec::new())
    }

    /// The id of this node among them; `None` of a store that is not shared.
    fn this_node(&self) -> Option<String> {
        None
    }

    /// Tells the owners of these lanes that there is work, soon and without a promise: they look for
    /// work by themselves as well.
    fn wake(&self, _lanes: Vec<LaneHead>) {}

    /// Takes the next `attempts` of an application's rate, which is in attempts per second. Owners that
    /// ask at the same time get parts that follow one another, so that together they keep to it. (The
    /// only owner of all endpoints counts by itself.)
    async fn reserve(
        &self,
        _org: OrganizationId,
        _app: ApplicationId,
        _rate: u16,
        attempts: u32,
    ) -> Result<Slice> {
        Ok(Slice { from: Timestamp::EPOCH, attempts })
    }

    /// Waits for news of others. Dropping the future loses none.
    async fn news(&self) -> News {
        std::future::pending().await
    }
}
