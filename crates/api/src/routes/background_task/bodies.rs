//! How tasks are shown.

use std::sync::Arc;

use domain::{
    clock::Timestamp,
    id::{ApplicationId, EndpointId, TaskId},
    task::{Outcome, Task, TaskStatus},
};
use serde::Serialize;
use utoipa::ToSchema;

/// How far a task is, as Svix's clients know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BackgroundTaskStatus {
    /// Still at it, or paused.
    Running,
    /// Done, or cancelled.
    Finished,
    /// Given up: the endpoint is gone, or its data says why.
    Failed,
}

impl BackgroundTaskStatus {
    /// What is shown as this.
    pub fn shows(self) -> Vec<TaskStatus> {
        match self {
            Self::Running => vec![TaskStatus::Running, TaskStatus::Paused],
            Self::Finished => vec![TaskStatus::Finished, TaskStatus::Cancelled],
            Self::Failed => vec![TaskStatus::Failed],
        }
    }
}

impl From<TaskStatus> for BackgroundTaskStatus {
    fn from(status: TaskStatus) -> Self {
        match status {
            TaskStatus::Running | TaskStatus::Paused => Self::Running,
            TaskStatus::Finished | TaskStatus::Cancelled => Self::Finished,
            TaskStatus::Failed => Self::Failed,
        }
    }
}

/// How far a task is, exactly.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "describes domain::task::TaskStatus")]
pub(crate) enum BackgroundTaskState {
    /// Still at it.
    Running,
    /// Stands still until it is resumed.
    Paused,
    /// Ended because somebody said so.
    Cancelled,
    /// Done.
    Finished,
    /// Given up: the endpoint is gone, or its data says why.
    Failed,
}

/// A task that was begun.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RecoverOut)]
pub struct TaskOut {
    /// Ours.
    #[schema(value_type = String, example = "qtask_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    pub id: TaskId,
    /// How far it is.
    pub status: BackgroundTaskStatus,
    /// What it does.
    #[schema(value_type = String)]
    pub task: &'static str,
    /// When it last moved.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl From<Task> for TaskOut {
    fn from(task: Task) -> Self {
        Self {
            id: task.id,
            status: task.status.into(),
            task: task.kind.name(),
            updated_at: task.updated_at,
        }
    }
}

/// What a task that sends has done so far, and for whom.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SendingData {
    /// How many messages it has sent to the endpoint: made deliveries of, that is.
    pub messages_sent: u64,
    /// How many messages it has looked at.
    pub scanned: u64,
    /// How many there were to send when it began; `null` if that were too many to count.
    pub total: Option<u64>,
    /// The endpoint's application.
    pub app_id: ApplicationId,
    /// Where it sends to.
    pub endpoint_id: EndpointId,
}

/// What a task has to tell.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum BackgroundTaskData {
    /// Of its progress.
    Sending(SendingData),
    /// What it has found out.
    Found(Arc<Outcome>),
    /// Nothing yet, or not in a list.
    Nothing {},
}

impl BackgroundTaskData {
    fn of(task: &Task) -> Self {
        match (task.kind.target(), &task.result) {
            (Some((app_id, endpoint_id)), _) => Self::Sending(SendingData {
                messages_sent: task.done,
                scanned: task.scanned,
                total: task.total,
                app_id,
                endpoint_id,
            }),
            (None, Some(outcome)) => Self::Found(outcome.clone()),
            (None, None) => Self::Nothing {},
        }
    }
}

/// How many attempts were made for an application.
#[derive(ToSchema)]
#[schema(as = AppStats, rename_all = "camelCase")]
#[allow(dead_code, reason = "describes domain::task::AppStats")]
struct AppStatsOut {
    /// Attempts.
    message_destinations: u64,
    /// Ours.
    app_id: String,
    /// The caller's; null also for a deleted application.
    app_uid: Option<String>,
}

/// What the endpoints of an application listen to, disabled ones too.
#[derive(ToSchema)]
#[schema(as = AppEventTypes, rename_all = "camelCase")]
#[allow(dead_code, reason = "describes domain::task::Subscriptions")]
struct AppEventTypesOut {
    /// Ours.
    app_id: String,
    /// The types that filters of its endpoints name.
    explicitly_subscribed_event_types: Vec<String>,
    /// Whether one of them has no filter of types.
    has_catch_all_endpoint: bool,
}

/// What a task has to tell: how far it is if it sends to an endpoint; what it has found out, once it has, if
/// that is what it is for.
#[derive(ToSchema)]
#[schema(as = BackgroundTaskData, rename_all = "camelCase")]
#[allow(dead_code, reason = "describes BackgroundTaskData")]
pub(crate) struct DataOut {
    /// How many messages it has sent to the endpoint: made deliveries of, that is.
    #[schema(required = false)]
    messages_sent: u64,
    /// How many messages it has looked at.
    #[schema(required = false)]
    scanned: u64,
    /// How many there were to send when it began; `null` if that were too many to count.
    total: Option<u64>,
    /// The endpoint's application.
    #[schema(required = false)]
    app_id: String,
    /// Where it sends to.
    #[schema(required = false)]
    endpoint_id: String,
    /// By application. Left out of lists.
    #[schema(required = false)]
    app_stats: Vec<AppStatsOut>,
    /// By application. Left out of lists.
    #[schema(required = false, rename = "event_types")]
    event_types: Vec<AppEventTypesOut>,
    /// Why it failed, if it was to find something out. Left out of lists.
    #[schema(required = false)]
    reason: String,
}

/// A task.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackgroundTaskOut {
    /// What it has to tell.
    #[schema(value_type = DataOut)]
    pub data: BackgroundTaskData,
    /// Ours.
    #[schema(value_type = String, example = "qtask_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    pub id: TaskId,
    /// How far it is, as Svix's clients know it: one that is paused is `running`, one that was cancelled is
    /// `finished`.
    pub status: BackgroundTaskStatus,
    /// How far it is.
    #[schema(value_type = BackgroundTaskState)]
    pub state: TaskStatus,
    /// What it does.
    #[schema(value_type = String)]
    pub task: &'static str,
    /// When it last moved.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl From<Task> for BackgroundTaskOut {
    fn from(task: Task) -> Self {
        Self {
            data: BackgroundTaskData::of(&task),
            id: task.id,
            status: task.status.into(),
            state: task.status,
            task: task.kind.name(),
            updated_at: task.updated_at,
        }
    }
}
