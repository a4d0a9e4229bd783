//! Durable jobs, shown as the API's background tasks.

mod outcome;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    id::{ApplicationId, EndpointId, OrganizationId, TaskId},
    name::{Channel, EventTypeName, Tag},
    shard::Shard,
    standing::Status,
};

pub use outcome::{AppStats, MOST_APPLICATIONS, MOST_RESULT_BYTES, Outcome, Subscriptions};

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    /// Still at it, also across restarts.
    Running,
    /// Makes no step until it is resumed.
    Paused,
    /// Given up because somebody said so. What it had made by then stays.
    Cancelled,
    /// Done.
    Finished,
    /// Given up; its data says why.
    Failed,
}

impl TaskStatus {
    /// Whether it may still make a step one day.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

/// What somebody wants a task to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Makes no step until it is resumed.
    Pause,
    /// Goes on where it was.
    Resume,
    /// Never makes another step.
    Cancel,
}

impl Wish {
    /// How a task stands that followed.
    pub const fn goal(self) -> TaskStatus {
        match self {
            Self::Pause => TaskStatus::Paused,
            Self::Resume => TaskStatus::Running,
            Self::Cancel => TaskStatus::Cancelled,
        }
    }
}

/// Which of an endpoint's messages are sent again: those that meet all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReplayFilter {
    /// Of one of these types.
    pub event_types: Option<Vec<EventTypeName>>,
    /// With this channel.
    pub channel: Option<Channel>,
    /// With this tag.
    pub tag: Option<Tag>,
    /// That stand so at the endpoint.
    pub status: Option<Status>,
    /// Whose last attempt there (of any of their deliveries) was answered so: 100, 200, 300, 400, 500,
    /// or 0 for no answer.
    pub status_code_class: Option<u16>,
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
    /// Sends to one endpoint the messages of `[since, until)` that it never was sent, and that its
    /// filters of now accept.
    #[serde(rename = "endpoint.replay")]
    Replay {
        /// The customer.
        app: ApplicationId,
        /// Where to.
        endpoint: EndpointId,
        /// From when.
        since: Timestamp,
        /// Until when.
        until: Timestamp,
    },
    /// Sends again to one endpoint what it was sent of the messages of `[since, until)`.
    #[serde(rename = "endpoint.bulk-replay")]
    BulkReplay {
        /// The customer.
        app: ApplicationId,
        /// Where to.
        endpoint: EndpointId,
        /// From when.
        since: Timestamp,
        /// Until when.
        until: Timestamp,
        /// Which of them.
        only: ReplayFilter,
    },
    /// Removes what is left of a deleted application or endpoint: pending deliveries are cancelled.
    #[serde(rename = "deliveries.cancel")]
    CancelDeliveries {
        /// The customer.
        app: ApplicationId,
        /// One endpoint; `None` is all of them.
        endpoint: Option<EndpointId>,
    },
    /// Counts the attempts of `[since, until)` by application.
    #[serde(rename = "application.stats")]
    AppStats {
        /// From when.
        since: Timestamp,
        /// Until when.
        until: Timestamp,
        /// Only of these; `None` is all of them.
        apps: Option<Vec<ApplicationId>>,
    },
    /// Finds out what the endpoints of each application listen to.
    #[serde(rename = "event-type.aggregate")]
    EventTypes {},
}

impl TaskKind {
    /// The API's name of it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Recover { .. } => "endpoint.recover",
            Self::Replay { .. } => "endpoint.replay",
            Self::BulkReplay { .. } => "endpoint.bulk-replay",
            Self::CancelDeliveries { .. } => "deliveries.cancel",
            Self::AppStats { .. } => "application.stats",
            Self::EventTypes {} => "event-type.aggregate",
        }
    }

    /// The customer, and the endpoint, that it sends messages to; `None` if it sends none. An endpoint
    /// is sent to by one open task at a time.
    pub const fn target(&self) -> Option<(ApplicationId, EndpointId)> {
        match self {
            Self::Recover { app, endpoint, .. }
            | Self::Replay { app, endpoint, .. }
            | Self::BulkReplay { app, endpoint, .. } => Some((*app, *endpoint)),
            Self::CancelDeliveries { .. } | Self::AppStats { .. } | Self::EventTypes {} => None,
        }
    }

    /// Whether it tells the organization something: then it is of no application.
    pub const fn is_statistics(&self) -> bool {
        matches!(self, Self::AppStats { .. } | Self::EventTypes {})
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
    /// The last id it has looked at, raw: an attempt's for a recovery, a message's for a replay.
    pub cursor: Option<[u8; 20]>,
    /// How many messages it has sent (or cancelled) so far.
    pub done: u64,
    /// How many messages it has looked at so far.
    pub scanned: u64,
    /// How many messages there were to send when it began; `None` if that were too many to count.
    pub total: Option<u64>,
    /// What it has found out, as soon as it has.
    pub result: Option<Arc<Outcome>>,
    /// When it last moved.
    pub updated_at: Timestamp,
}

impl Task {
    /// One that begins now.
    pub const fn new(org: OrganizationId, id: TaskId, kind: TaskKind, now: Timestamp) -> Self {
        let status = TaskStatus::Running;
        Self {
            org,
            id,
            kind,
            status,
            cursor: None,
            done: 0,
            scanned: 0,
            total: None,
            result: None,
            updated_at: now,
        }
    }

    /// The shard whose owner runs it: that of its endpoint, because the lane is there; one of the
    /// organization if it has none.
    pub fn shard(&self) -> Shard {
        let none = EndpointId::from_raw([0; 20]);
        let (app, endpoint) = match self.kind {
            TaskKind::Recover { app, endpoint, .. }
            | TaskKind::Replay { app, endpoint, .. }
            | TaskKind::BulkReplay { app, endpoint, .. }
            | TaskKind::CancelDeliveries { app, endpoint: Some(endpoint) } => (app, endpoint),
            TaskKind::CancelDeliveries { app, endpoint: None } => (app, none),
            TaskKind::AppStats { .. } | TaskKind::EventTypes {} => {
                (ApplicationId::from_raw([0; 20]), none)
            }
        };
        Shard::of(&self.org, &app, &endpoint)
    }

    /// What becomes of it when a step ends that made `step` of what it was before. Whoever has paused
    /// or cancelled it meanwhile wins over the step, which still counts; one that has ended stays as it
    /// is.
    #[must_use]
    pub fn after(self, step: Self) -> Self {
        match self.status {
            TaskStatus::Running => step,
            TaskStatus::Paused | TaskStatus::Cancelled => Self { status: self.status, ..step },
            TaskStatus::Finished | TaskStatus::Failed => self,
        }
    }

    /// What becomes of it by a wish: one that has ended stays as it is.
    #[must_use]
    pub fn steered(self, wish: Wish, now: Timestamp) -> Self {
        match self.status.is_open() {
            true if self.status != wish.goal() => {
                Self { status: wish.goal(), updated_at: now, ..self }
            }
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
    const ALL: [TaskStatus; 5] = [
        TaskStatus::Running,
        TaskStatus::Paused,
        TaskStatus::Cancelled,
        TaskStatus::Finished,
        TaskStatus::Failed,
    ];

    fn task(status: TaskStatus) -> Task {
        let (app, endpoint) = (ApplicationId::from_raw([2; 20]), None);
        let kind = TaskKind::CancelDeliveries { app, endpoint };
        let task =
            Task::new(OrganizationId::from_raw([1; 20]), TaskId::from_raw([3; 20]), kind, NOW);
        Task { status, ..task }
    }

    #[test]
    fn a_step_moves_what_is_open_and_changes_no_mind() {
        for stored in ALL {
            for made in [TaskStatus::Running, TaskStatus::Finished, TaskStatus::Failed] {
                let step = Task { done: 7, cursor: Some([9; 20]), ..task(made) };
                let want = match stored {
                    TaskStatus::Running => (made, 7),
                    TaskStatus::Paused | TaskStatus::Cancelled => (stored, 7),
                    TaskStatus::Finished | TaskStatus::Failed => (stored, 0),
                };
                let got = task(stored).after(step);
                assert_eq!((got.status, got.done), want, "{stored:?} {made:?}");
            }
        }
    }

    #[test]
    fn wishes_steer_what_is_open() {
        for (wish, goal) in [
            (Wish::Pause, TaskStatus::Paused),
            (Wish::Resume, TaskStatus::Running),
            (Wish::Cancel, TaskStatus::Cancelled),
        ] {
            for stored in ALL {
                let want = if stored.is_open() { goal } else { stored };
                let got = task(stored).steered(wish, NOW);
                assert_eq!(got.status, want, "{stored:?} {wish:?}");
            }
        }
    }

    #[test]
    fn kinds_are_read_as_they_were_written() {
        let (app, endpoint) = (ApplicationId::from_raw([1; 20]), EndpointId::from_raw([2; 20]));
        let only = ReplayFilter {
            event_types: Some(vec!["a.b".parse().expect("a name")]),
            status: Some(Status::Fail),
            status_code_class: Some(500),
            ..ReplayFilter::default()
        };
        for kind in [
            TaskKind::Replay { app, endpoint, since: NOW, until: NOW },
            TaskKind::BulkReplay { app, endpoint, since: NOW, until: NOW, only },
            TaskKind::AppStats { since: NOW, until: NOW, apps: Some(vec![app]) },
            TaskKind::EventTypes {},
        ] {
            let text = serde_json::to_string(&kind).expect("JSON");
            assert!(text.contains(&format!("\"task\":\"{}\"", kind.name())), "{text}");
            assert_eq!(serde_json::from_str::<TaskKind>(&text).expect("a kind"), kind);
        }
    }
}
