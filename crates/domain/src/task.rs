//! Durable jobs, shown as the API's background tasks.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    id::{ApplicationId, AttemptId, EndpointId, OrganizationId, TaskId},
    shard::Shard,
};

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    /// Still at it, also across restarts.
    Running,
    /// Done.
    Finished,
    /// Given up; its data says why.
    Failed,
}

/// What a task does. Its steps are idempotent: it may be stopped anywhere and goes on at its cursor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task")]
pub enum TaskKind {
    /// Resends to one endpoint what has a failed attempt in `[since, until)` and never succeeded.
    #[serde(rename = "endpoint.recover")]
    Recover {
        /// The customer.
        app: ApplicationId,
        /// Where to.
        endpoint: EndpointId,
        /// From when.
        since: Timestamp,
        /// Until when.
        until: Timestamp,
    },
    /// Removes what is left of a deleted application or endpoint: pending deliveries are cancelled.
    #[serde(rename = "deliveries.cancel")]
    CancelDeliveries {
        /// The customer.
        app: ApplicationId,
        /// One endpoint; `None` is all of them.
        endpoint: Option<EndpointId>,
    },
}

impl TaskKind {
    /// The API's name of it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Recover { .. } => "endpoint.recover",
            Self::CancelDeliveries { .. } => "deliveries.cancel",
        }
    }
}

impl Task {
    /// The shard whose owner runs it: that of its endpoint, because the lane is there.
    pub fn shard(&self) -> Shard {
        match self.kind {
            TaskKind::Recover { app, endpoint, .. }
            | TaskKind::CancelDeliveries { app, endpoint: Some(endpoint) } => {
                Shard::of(&self.org, &app, &endpoint)
            }
            TaskKind::CancelDeliveries { app, endpoint: None } => {
                Shard::of(&self.org, &app, &EndpointId::from_raw([0; 20]))
            }
        }
    }
}

/// A durable job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The environment.
    pub org: OrganizationId,
    /// Ours.
    pub id: TaskId,
    /// What it does.
    pub kind: TaskKind,
    /// How far it is.
    pub status: TaskStatus,
    /// The last attempt it has looked at.
    pub cursor: Option<AttemptId>,
    /// How many messages it has sent (or cancelled) so far.
    pub done: u64,
    /// When it last moved.
    pub updated_at: Timestamp,
}
