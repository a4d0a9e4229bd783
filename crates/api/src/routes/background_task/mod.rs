//! Background tasks: what goes on after its request was answered. Only those that the API makes are
//! shown: those that send to an endpoint, and statistics.

mod bodies;

use axum::{Json, extract::State};
use domain::{
    id::TaskId,
    page::Order,
    task::{Task, Wish},
    token::Capability,
};
use store::tasks::TaskFilter;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use self::bodies::{BackgroundTaskOut, BackgroundTaskStatus, TaskOut};
use crate::{
    auth::{AnyCaller, Caller, OrgCaller},
    error::ApiError,
    extract::{FromQuery, Path, Query, QueryPairs},
    page::{self, ListResponse, OrderedQuery},
    state::ApiState,
};

/// The kinds of tasks that are shown.
const SHOWN: [&str; 5] = [
    "endpoint.recover",
    "endpoint.replay",
    "endpoint.bulk-replay",
    "application.stats",
    "event-type.aggregate",
];

/// Other kinds that Svix knows: of them there are none.
const NONE: [&str; 3] = ["message.broadcast", "sdk.generate", "application.purge_content"];

struct ListQuery(TaskFilter);

impl FromQuery for ListQuery {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        let statuses = match query.get("status") {
            None => Vec::new(),
            Some("running") => BackgroundTaskStatus::Running.shows(),
            Some("finished") => BackgroundTaskStatus::Finished.shows(),
            Some("failed") => BackgroundTaskStatus::Failed.shows(),
            Some(_) => {
                return Err(ApiError::generic("status: must be running, finished or failed"));
            }
        };
        let kinds = match query.get("task") {
            None => SHOWN.to_vec(),
            Some(kind) => {
                let known = SHOWN.iter().chain(&NONE).find(|known| **known == kind);
                let there_is_none = || ApiError::generic("task: there is no such kind of task");
                vec![*known.ok_or_else(there_is_none)?]
            }
        };
        Ok(Self(TaskFilter { statuses, kinds }))
    }
}

/// List Background Tasks
///
/// The tasks of the organization, newest first unless asked otherwise. What they have found out is left
/// out: see the single task.
#[utoipa::path(get, path = "/api/v1/background-task", operation_id = "v1.background-task.list",
    tag = "Background Task",
    params(crate::openapi::OrderedPage,
        ("status" = Option<BackgroundTaskStatus>, Query, description = "Only those."),
        ("task" = Option<String>, Query, description = "Only of this kind.")),
    responses((status = 200, body = ListResponse<BackgroundTaskOut>), ApiError))]
async fn list(
    State(state): State<ApiState>,
    Query((page, ListQuery(filter))): Query<(OrderedQuery<TaskId>, ListQuery)>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<ListResponse<BackgroundTaskOut>>, ApiError> {
    let list = page::fill(page.ordered(Order::Descending), |page| {
        state.store.list_tasks(caller.org, filter.clone(), page)
    })
    .await?;
    Ok(Json(list.map(BackgroundTaskOut::from)))
}

/// A task that the caller may do that with.
async fn reached(
    state: &ApiState,
    caller: &Caller,
    id: TaskId,
    need: Capability,
) -> Result<Task, ApiError> {
    let task = state.store.task(caller.org, id).await?.ok_or(ApiError::NOT_FOUND)?;
    match task.kind.target() {
        Some((app, _)) => caller.reaches(app, need)?,
        // For the organization alone; others may not even know that it is there.
        None if task.kind.is_statistics() => {
            caller.organization().map_err(|_| ApiError::NOT_FOUND)?;
        }
        None => return Err(ApiError::NOT_FOUND),
    }
    Ok(task)
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
    AnyCaller(caller): AnyCaller,
) -> Result<Json<BackgroundTaskOut>, ApiError> {
    Ok(Json(reached(&state, &caller, id, Capability::ViewBase).await?.into()))
}

/// Does as the caller wishes, and answers what became of the task.
async fn steer(
    state: &ApiState,
    caller: &Caller,
    id: TaskId,
    wish: Wish,
) -> Result<Json<BackgroundTaskOut>, ApiError> {
    reached(state, caller, id, Capability::CreateAttempts).await?;
    let now = state.clock.now();
    let steered = state.store.steer_task(&caller.actor(), caller.org, id, wish, now).await?;
    let task = steered.ok_or(ApiError::NOT_FOUND)?;
    if task.status != wish.goal() {
        return Err(ApiError::conflict("The task has ended."));
    }
    if wish == Wish::Resume {
        // Whoever runs tasks looks again.
        state.publisher.handover().tasks_changed();
    }
    Ok(Json(task.into()))
}

/// Pause Background Task
///
/// Lets a task stand still until it is resumed. A step that is under way is made to its end, and what the
/// task has sent already is delivered. Pausing one that is paused changes nothing; one that has ended is a
/// conflict.
#[utoipa::path(post, path = "/api/v1/background-task/{task_id}/pause",
    operation_id = "v1.background-task.pause", tag = "Background Task",
    params(crate::openapi::TaskPath),
    responses((status = 200, body = BackgroundTaskOut), ApiError))]
async fn pause(
    State(state): State<ApiState>,
    Path((id,)): Path<(TaskId,)>,
    AnyCaller(caller): AnyCaller,
) -> Result<Json<BackgroundTaskOut>, ApiError> {
    steer(&state, &caller, id, Wish::Pause).await
}

/// Resume Background Task
///
/// Lets a paused task go on where it was.
#[utoipa::path(post, path = "/api/v1/background-task/{task_id}/resume",
    operation_id = "v1.background-task.resume", tag = "Background Task",
    params(crate::openapi::TaskPath),
    responses((status = 200, body = BackgroundTaskOut), ApiError))]
async fn resume(
    State(state): State<ApiState>,
    Path((id,)): Path<(TaskId,)>,
    AnyCaller(caller): AnyCaller,
) -> Result<Json<BackgroundTaskOut>, ApiError> {
    steer(&state, &caller, id, Wish::Resume).await
}

/// Cancel Background Task
///
/// Ends a task for good: it makes no more deliveries. Those that it has made stay, and are sent.
#[utoipa::path(post, path = "/api/v1/background-task/{task_id}/cancel",
    operation_id = "v1.background-task.cancel", tag = "Background Task",
    params(crate::openapi::TaskPath),
    responses((status = 200, body = BackgroundTaskOut), ApiError))]
async fn cancel(
    State(state): State<ApiState>,
    Path((id,)): Path<(TaskId,)>,
    AnyCaller(caller): AnyCaller,
) -> Result<Json<BackgroundTaskOut>, ApiError> {
    steer(&state, &caller, id, Wish::Cancel).await
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(cancel))
}
