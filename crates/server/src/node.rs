//! What the API tells operators of this node.

use std::sync::Arc;

use api::{LaneState, NodeFacts, NodeState};
use dispatch::Engine;
use domain::{
    clock::Timestamp,
    id::{ApplicationId, EndpointId, OrganizationId},
};

/// This node.
pub struct ThisNode {
    /// Knows its work.
    pub engine: Arc<Engine>,
    /// As it is called.
    pub name: String,
    /// When it started.
    pub started_at: Timestamp,
}

impl NodeState for ThisNode {
    fn facts(&self) -> NodeFacts {
        NodeFacts {
            name: self.name.clone(),
            started_at: self.started_at,
            shards: self.engine.shards().len(),
            leaving: self.engine.is_stopping(),
        }
    }

    fn lane(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        endpoint: EndpointId,
    ) -> Option<LaneState> {
        let lane = self.engine.lane(org, app, endpoint)?;
        Some(LaneState {
            breaker: lane.breaker,
            held_until: lane.held_until,
            window: lane.window,
            in_flight: lane.in_flight,
            queued: lane.queued,
            cold: lane.cold,
            throttled: lane.throttled,
        })
    }
}
