//! Whether the server works.

use axum::extract::State;
use http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{error::ApiError, state::ApiState};

/// Health
///
/// Answers 204 while the server and its store work, 503 while they do not.
#[utoipa::path(method(get, head), path = "/api/v1/health", operation_id = "v1.health.get",
    tag = "Health", security(()),
    responses((status = 204, description = "It works."), ApiError))]
async fn health(State(state): State<ApiState>) -> Result<StatusCode, ApiError> {
    state.store.ping().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ready
///
/// The same, for whoever decides where requests go: 503 also while this node may not take them.
#[utoipa::path(method(get, head), path = "/api/v1/health/ready", operation_id = "v1.health.ready",
    tag = "Health", security(()),
    responses((status = 204, description = "It works."), ApiError))]
async fn ready(State(state): State<ApiState>) -> Result<StatusCode, ApiError> {
    if !(state.ready)() {
        return Err(ApiError::Unavailable("This node is not ready to take requests."));
    }
    health(State(state)).await
}

/// Ping
///
/// Answers 204 while there is a server at all.
#[utoipa::path(method(get, head), path = "/api/v1/health/ping", operation_id = "v1.health.ping",
    tag = "Health", security(()),
    responses((status = 204, description = "It is there.")))]
async fn ping() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(ready)).routes(routes!(ping))
}
