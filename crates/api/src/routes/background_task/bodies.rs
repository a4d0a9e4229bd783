//! How tasks are shown.

use domain::{
    clock::Timestamp,
    id::{ApplicationId, EndpointId, TaskId},
    task::{Task, TaskStatus},
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
    /// Given up: the endpoint is gone.
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
    /// Given up: the endpoint is gone.
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

/// What a task has done so far, and for whom.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackgroundTaskData {
    /// How many messages it has sent to the endpoint: made deliveries of, that is.
    pub messages_sent: u64,
    /// How many messages it has looked at.
    pub scanned: u64,
    /// How many there were to send when it began; `null` if that were too many to count.
    pub total: Option<u64>,
    /// The endpoint's application.
    #[schema(value_type = Option<String>)]
    pub app_id: Option<ApplicationId>,
    /// Where it sends to.
    #[schema(value_type = Option<String>)]
    pub endpoint_id: Option<EndpointId>,
}

/// A task.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackgroundTaskOut {
    /// What it has done so far.
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
        let target = task.kind.target();
        Self {
            data: BackgroundTaskData {
                messages_sent: task.done,
                scanned: task.scanned,
                total: task.total,
                app_id: target.map(|(app, _)| app),
                endpoint_id: target.map(|(_, endpoint)| endpoint),
            },
            id: task.id,
            status: task.status.into(),
            state: task.status,
            task: task.kind.name(),
            updated_at: task.updated_at,
        }
    }
}
