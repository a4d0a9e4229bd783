//! Secrets and headers of a source's endpoints.

use axum::{Json, extract::State};
use bytes::Bytes;
use http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{application_of, endpoint::SourceEndpointPath};
use crate::{
    auth::OrgCaller,
    error::ApiError,
    extract::Path,
    routes::endpoint::{
        headers::{self, EndpointHeadersIn, EndpointHeadersOut},
        secret::{self, EndpointSecretOut, EndpointSecretRotateIn},
    },
    state::ApiState,
};

/// Get Ingest Endpoint Secret
///
/// What a receiver verifies with.
#[utoipa::path(get, path = "/ingest/api/v1/source/{source_id}/endpoint/{endpoint_id}/secret",
    operation_id = "v1.ingest.endpoint.get-secret", tag = "Ingest Endpoint",
    params(crate::openapi::SourceEndpointPath),
    responses((status = 200, body = EndpointSecretOut), ApiError))]
async fn get_secret(
    State(state): State<ApiState>,
    Path((source, endpoint)): Path<SourceEndpointPath>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<EndpointSecretOut>, ApiError> {
    let app = application_of(&state, &caller, &source).await?;
    secret::shown(&app, &endpoint)
}

/// Rotate Ingest Endpoint Secret
///
/// Puts a new secret in place; the old one goes on to sign beside it for a while.
#[utoipa::path(post, path = "/ingest/api/v1/source/{source_id}/endpoint/{endpoint_id}/secret/rotate",
    operation_id = "v1.ingest.endpoint.rotate-secret", tag = "Ingest Endpoint",
    params(crate::openapi::SourceEndpointPath, crate::openapi::IdempotencyKey),
    request_body = EndpointSecretRotateIn,
    responses((status = 204, description = "It signs from now on."), ApiError))]
async fn rotate_secret(
    State(state): State<ApiState>,
    Path((source, endpoint)): Path<SourceEndpointPath>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let app = application_of(&state, &caller, &source).await?;
    // Svix's clients expect no body here.
    let rotated = secret::replace(&state, &caller, &app, &endpoint, &body).await;
    rotated.map(|_| StatusCode::NO_CONTENT)
}

/// Get Ingest Endpoint Headers
///
/// An endpoint's own headers; of sensitive ones only the names.
#[utoipa::path(get, path = "/ingest/api/v1/source/{source_id}/endpoint/{endpoint_id}/headers",
    operation_id = "v1.ingest.endpoint.get-headers", tag = "Ingest Endpoint",
    params(crate::openapi::SourceEndpointPath),
    responses((status = 200, body = EndpointHeadersOut), ApiError))]
async fn get_headers(
    State(state): State<ApiState>,
    Path((source, endpoint)): Path<SourceEndpointPath>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<EndpointHeadersOut>, ApiError> {
    let app = application_of(&state, &caller, &source).await?;
    headers::shown(&app, &endpoint)
}

/// Set Ingest Endpoint Headers
///
/// Replaces all of an endpoint's own headers.
#[utoipa::path(put, path = "/ingest/api/v1/source/{source_id}/endpoint/{endpoint_id}/headers",
    operation_id = "v1.ingest.endpoint.set-headers", tag = "Ingest Endpoint",
    params(crate::openapi::SourceEndpointPath), request_body = EndpointHeadersIn,
    responses((status = 204, description = "They are set."), ApiError))]
async fn set_headers(
    State(state): State<ApiState>,
    Path((source, endpoint)): Path<SourceEndpointPath>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let app = application_of(&state, &caller, &source).await?;
    headers::replace(&state, &caller, &app, &endpoint, &body).await
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(get_secret))
        .routes(routes!(rotate_secret))
        .routes(routes!(get_headers, set_headers))
}
