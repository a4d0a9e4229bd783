//! Background tasks: what goes on after its request was answered. Only those that the API makes are
//! shown: recoveries.

use axum::{Json, extract::State};
use domain::{
    clock::Timestamp,
    id::TaskId,
    page::Order,
    task::{Task, TaskKind, TaskStatus},
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::OrgCaller,
    error::ApiError,
    extract::{FromQuery, Path, Query, QueryPairs},
    page::{self, ListResponse, OrderedQuery},
    state::ApiState,
};

/// The kind of task that is shown.
const RECOVER: &str = "endpoint.recover";

/// Kinds that Svix knows; of those that we do not have there are none.
const KINDS: [&str; 8] = [
    "endpoint.replay",
    RECOVER,
    "application.stats",
    "message.broadcast",
    "sdk.generate",
    "event-type.aggregate",
    "application.purge_content",
    "endpoint.bulk-replay",
];

/// A task that was begun.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RecoverOut)]
pub struct TaskOut {
    /// Ours.
    #[schema(value_type = String, example = "qtask_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    pub id: TaskId,
    /// How far it is.
    #[schema(value_type = BackgroundTaskStatus)]
    pub status: TaskStatus,
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
            status: task.status,
            task: task.kind.name(),
            updated_at: task.updated_at,
        }
    }
}

/// How far a task is.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "describes domain::task::TaskStatus")]
pub(crate) enum BackgroundTaskStatus {
    /// Still at it.
    Running,
    /// Done.
    Finished,
    /// Given up.
    Failed,
}

/// A task.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackgroundTaskOut {
    /// What it has done so far.
    #[schema(value_type = Object)]
    pub data: serde_json::Value,
    /// Ours.
    #[schema(value_type = String, example = "qtask_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    pub id: TaskId,
    /// How far it is.
    #[schema(value_type = BackgroundTaskStatus)]
    pub status: TaskStatus,
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
            data: json!({ "messagesSent": task.done }),
            id: task.id,
            status: task.status,
            task: task.kind.name(),
            updated_at: task.updated_at,
        }
    }
}

struct ListQuery {
    status: Option<TaskStatus>,
    kind: &'static str,
}

impl FromQuery for ListQuery {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        let status = match query.get("status") {
            None => None,
            Some("running") => Some(TaskStatus::Running),
            Some("finished") => Some(TaskStatus::Finished),
            Some("failed") => Some(TaskStatus::Failed),
            Some(_) => {
                return Err(ApiError::generic("status: must be running, finished or failed"));
            }
        };
        let kind = match query.get("task") {
            None => RECOVER,
            Some(kind) => *KINDS
                .iter()
                .find(|known| **known == kind)
                .ok_or_else(|| ApiError::generic("task: there is no such kind of task"))?,
        };
        Ok(Self { status, kind })
    }
}

/// List Background Tasks
///
/// The tasks of the organization, newest first unless asked otherwise.
#[utoipa::path(get, path = "/api/v1/background-task", operation_id = "v1.background-task.list",
    tag = "Background Task",
    params(crate::openapi::OrderedPage,
        ("status" = Option<BackgroundTaskStatus>, Query, description = "Only those."),
        ("task" = Option<String>, Query, description = "Only of this kind.")),
    responses((status = 200, body = ListResponse<BackgroundTaskOut>), ApiError))]
async fn list(
    State(state): State<ApiState>,
    Query((page, query)): Query<(OrderedQuery<TaskId>, ListQuery)>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<ListResponse<BackgroundTaskOut>>, ApiError> {
    let list = page::fill(page.ordered(Order::Descending), |page| {
        state.store.list_tasks(caller.org, query.status, Some(query.kind), page)
    })
    .await?;
    Ok(Json(list.map(BackgroundTaskOut::from)))
}

/// Get Background Task
///
/// A task.
#[utoipa::path(get, path = "/api/v1/background-task/{task_id}",
    operation_id = "v1.background-task.get", tag = "Background Task",
    params(crate::openapi::TaskPath),
    responses((status = 200, body = BackgroundTaskOut), ApiError))]
async fn get(
    State(state): State<ApiState>,
    Path((id,)): Path<(TaskId,)>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<BackgroundTaskOut>, ApiError> {
    match state.store.task(caller.org, id).await? {
        Some(task) if matches!(task.kind, TaskKind::Recover { .. }) => Ok(Json(task.into())),
        _ => Err(ApiError::NOT_FOUND),
    }
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}
