//! Sending again to an endpoint, as background tasks: what failed (recover), what it was never sent, and
//! all that it was sent. Each can be asked beforehand how much that would be.

mod bodies;

use axum::{Json, extract::State};
use bytes::Bytes;
use domain::{
    endpoint::Endpoint,
    id::TaskId,
    task::{Task, TaskKind},
    token::Capability,
};
use http::StatusCode;
use store::replay;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::bodies::Asked;
pub use self::bodies::{BulkReplayIn, RecoverIn, ReplayIn, ReplayPreviewOut};
use super::EndpointPath;
use crate::{
    auth::AnyCaller,
    body,
    error::ApiError,
    extract::Path,
    routes::background_task::TaskOut,
    state::{self, ApiState},
};

/// The endpoint, and the task that is asked for.
async fn asked<In: Asked>(
    state: &ApiState,
    AnyCaller(caller): &AnyCaller,
    (app, endpoint): &EndpointPath,
    body: &Bytes,
) -> Result<(Endpoint, TaskKind), ApiError> {
    let app = state.app(caller, app, Capability::CreateAttempts).await?;
    let endpoint = state::endpoint(&app, endpoint)?.clone();
    let kind = body::parse::<In>(body)?.task(&endpoint, state.clock.now())?;
    Ok((endpoint, kind))
}

async fn count(
    state: &ApiState,
    endpoint: &Endpoint,
    kind: &TaskKind,
) -> Result<replay::Count, ApiError> {
    Ok(replay::count(&*state.store, &*state.clock, kind, endpoint).await?)
}

/// Begins a task.
async fn begin<In: Asked>(
    state: &ApiState,
    caller: &AnyCaller,
    path: &EndpointPath,
    body: &Bytes,
) -> Result<(StatusCode, Json<TaskOut>), ApiError> {
    let (endpoint, kind) = asked::<In>(state, caller, path, body).await?;
    let actor = caller.0.actor();
    let total = count(state, &endpoint, &kind).await?.exact();
    let now = state.clock.now();
    let id = TaskId::generate(now, &*state.entropy);
    let task = Task { total, ..Task::new(endpoint.org, id, kind, now) };
    if let Some(other) = state.store.create_task(&actor, task.clone()).await? {
        let detail = format!("The task {other} sends to this endpoint already; it has not ended.");
        return Err(ApiError::conflict(detail));
    }
    state.publisher.handover().tasks_changed();
    Ok((StatusCode::ACCEPTED, Json(task.into())))
}

/// Says what a task would do.
async fn preview<In: Asked>(
    state: &ApiState,
    caller: &AnyCaller,
    path: &EndpointPath,
    body: &Bytes,
) -> Result<Json<ReplayPreviewOut>, ApiError> {
    let (endpoint, kind) = asked::<In>(state, caller, path, body).await?;
    let replay::Count { messages, capped } = count(state, &endpoint, &kind).await?;
    Ok(Json(ReplayPreviewOut { messages, capped }))
}

/// Recover Failed Webhooks
///
/// Resends what has a failed attempt in a span of time and never succeeded, as a background task. One task
/// at a time sends to an endpoint.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/recover",
    operation_id = "v1.endpoint.recover", tag = "Endpoint",
    params(crate::openapi::EndpointPath, crate::openapi::IdempotencyKey), request_body = RecoverIn,
    responses((status = 202, body = TaskOut), ApiError))]
async fn recover(
    State(state): State<ApiState>,
    Path(path): Path<EndpointPath>,
    caller: AnyCaller,
    body: Bytes,
) -> Result<(StatusCode, Json<TaskOut>), ApiError> {
    begin::<RecoverIn>(&state, &caller, &path, &body).await
}

/// Preview Recovery
///
/// How many messages a recovery would resend now.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/recover/preview",
    operation_id = "v1.endpoint.recover-preview", tag = "Endpoint",
    params(crate::openapi::EndpointPath), request_body = RecoverIn,
    responses((status = 200, body = ReplayPreviewOut), ApiError))]
async fn recover_preview(
    State(state): State<ApiState>,
    Path(path): Path<EndpointPath>,
    caller: AnyCaller,
    body: Bytes,
) -> Result<Json<ReplayPreviewOut>, ApiError> {
    preview::<RecoverIn>(&state, &caller, &path, &body).await
}

/// Replay Missing Webhooks
///
/// Sends the messages of a span of time that the endpoint never was sent, and that its filters of now
/// accept, as a background task. One task at a time sends to an endpoint.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/replay-missing",
    operation_id = "v1.endpoint.replay-missing", tag = "Endpoint",
    params(crate::openapi::EndpointPath, crate::openapi::IdempotencyKey), request_body = ReplayIn,
    responses((status = 202, body = TaskOut), ApiError))]
async fn replay_missing(
    State(state): State<ApiState>,
    Path(path): Path<EndpointPath>,
    caller: AnyCaller,
    body: Bytes,
) -> Result<(StatusCode, Json<TaskOut>), ApiError> {
    begin::<ReplayIn>(&state, &caller, &path, &body).await
}

/// Preview Replay of Missing Webhooks
///
/// How many messages a replay of what is missing would send now.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/replay-missing/preview",
    operation_id = "v1.endpoint.replay-missing-preview", tag = "Endpoint",
    params(crate::openapi::EndpointPath), request_body = ReplayIn,
    responses((status = 200, body = ReplayPreviewOut), ApiError))]
async fn replay_missing_preview(
    State(state): State<ApiState>,
    Path(path): Path<EndpointPath>,
    caller: AnyCaller,
    body: Bytes,
) -> Result<Json<ReplayPreviewOut>, ApiError> {
    preview::<ReplayIn>(&state, &caller, &path, &body).await
}

/// Bulk Replay Messages
///
/// Sends again what the endpoint was sent of the messages of a span of time, whether it arrived or failed,
/// as a background task. One task at a time sends to an endpoint.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/bulk-replay",
    operation_id = "v1.endpoint.bulk-replay", tag = "Endpoint",
    params(crate::openapi::EndpointPath, crate::openapi::IdempotencyKey), request_body = BulkReplayIn,
    responses((status = 202, body = TaskOut), ApiError))]
async fn bulk_replay(
    State(state): State<ApiState>,
    Path(path): Path<EndpointPath>,
    caller: AnyCaller,
    body: Bytes,
) -> Result<(StatusCode, Json<TaskOut>), ApiError> {
    begin::<BulkReplayIn>(&state, &caller, &path, &body).await
}

/// Preview Bulk Replay
///
/// How many messages a bulk replay would send now.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/bulk-replay/preview",
    operation_id = "v1.endpoint.bulk-replay-preview", tag = "Endpoint",
    params(crate::openapi::EndpointPath), request_body = BulkReplayIn,
    responses((status = 200, body = ReplayPreviewOut), ApiError))]
async fn bulk_replay_preview(
    State(state): State<ApiState>,
    Path(path): Path<EndpointPath>,
    caller: AnyCaller,
    body: Bytes,
) -> Result<Json<ReplayPreviewOut>, ApiError> {
    preview::<BulkReplayIn>(&state, &caller, &path, &body).await
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(recover))
        .routes(routes!(recover_preview))
        .routes(routes!(replay_missing))
        .routes(routes!(replay_missing_preview))
        .routes(routes!(bulk_replay))
        .routes(routes!(bulk_replay_preview))
}
