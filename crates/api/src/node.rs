//! The port to the node that the API runs on: what operators are told of it and of its work.

use std::time::Duration;

use domain::{
    breaker::BreakerState,
    clock::Timestamp,
    id::{ApplicationId, EndpointId, OrganizationId},
};

/// How an endpoint's work stands on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneState {
    /// Its circuit breaker.
    pub breaker: BreakerState,
    /// Until when the breaker lets nothing pass.
    pub held_until: Option<Timestamp>,
    /// How many attempts may be under way at a time.
    pub window: u32,
    /// How many are.
    pub in_flight: u32,
    /// How many deliveries wait in memory.
    pub queued: usize,
    /// Whether more of them wait in the store.
    pub cold: bool,
    /// Whether its rate limit lets nothing start now.
    pub throttled: bool,
}

/// A node without others, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// As it is called.
    pub name: String,
    /// When it started.
    pub started_at: Timestamp,
    /// How many shards it owns.
    pub shards: usize,
    /// Whether it is on its way out.
    pub leaving: bool,
}

/// What this node knows of itself.
pub trait NodeState: Send + Sync {
    /// What it says of itself.
    fn facts(&self) -> NodeFacts;

    /// How an endpoint's work stands; `None` if another node delivers to it.
    fn lane(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        endpoint: EndpointId,
    ) -> Option<LaneState>;
}

/// What does not change of a store while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreFacts {
    /// `sqlite` or `postgres`.
    pub kind: &'static str,
    /// How long history is kept.
    pub history: Duration,
    /// How long payloads are kept where nobody says.
    pub payload: Duration,
}

impl Default for StoreFacts {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 3_600);
        Self { kind: "sqlite", history: 90 * day, payload: 90 * day }
    }
}

/// A node that delivers nothing.
pub struct NoNode;

impl NodeState for NoNode {
    fn facts(&self) -> NodeFacts {
        let (name, started_at) = (String::new(), Timestamp::EPOCH);
        NodeFacts { name, started_at, shards: 0, leaving: false }
    }

    fn lane(&self, _: OrganizationId, _: ApplicationId, _: EndpointId) -> Option<LaneState> {
        None
    }
}
