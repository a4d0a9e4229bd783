//! Endpoints: where customers listen.

mod bodies;
mod checked;
pub(super) mod headers;
mod history;
mod lane;
mod listen;
mod replay;
pub(super) mod secret;
mod send_example;
mod work;

use axum::{Json, extract::State, response::Response};
use bytes::Bytes;
use domain::{
    id::{ApplicationId, EndpointId},
    name::Ref,
    token::Capability,
};
use http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use self::bodies::{EndpointIn, EndpointOut, EndpointPatch, EndpointUpdate};
use self::work::new_secret;
pub(super) use self::{
    bodies::EndpointFirst,
    checked::Checked,
    work::{create, edit, page_of, put, remove, stored},
};
use crate::{
    auth::AnyCaller,
    body,
    error::ApiError,
    extract::{Path, Query},
    page::{ListResponse, OrderedQuery},
    state::ApiState,
};

type EndpointPath = (Ref<ApplicationId>, Ref<EndpointId>);

/// List Endpoints
///
/// The endpoints of an application, newest first unless asked otherwise.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint", operation_id = "v1.endpoint.list",
    tag = "Endpoint",
    params(crate::openapi::AppPath, crate::openapi::OrderedPage),
    responses((status = 200, body = ListResponse<EndpointOut>), ApiError))]
async fn list(
    State(state): State<ApiState>,
    Query(page): Query<OrderedQuery<EndpointId>>,
    Path((app,)): Path<(Ref<ApplicationId>,)>,
    AnyCaller(caller): AnyCaller,
) -> Result<Json<ListResponse<EndpointOut>>, ApiError> {
    let app = state.app(&caller, &app, Capability::ViewBase).await?;
    page_of(&state, &app, page).await
}

/// Create Endpoint
///
/// Makes an endpoint.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint", operation_id = "v1.endpoint.create",
    tag = "Endpoint",
    params(crate::openapi::AppPath, crate::openapi::IdempotencyKey), request_body = EndpointIn,
    responses((status = 201, body = EndpointOut), ApiError))]
async fn create_endpoint(
    State(state): State<ApiState>,
    Path((app,)): Path<(Ref<ApplicationId>,)>,
    AnyCaller(caller): AnyCaller,
    body: Bytes,
) -> Result<(StatusCode, Json<EndpointOut>), ApiError> {
    let app = state.app(&caller, &app, Capability::ManageEndpoint).await?;
    let values = EndpointIn::parse(&body)?.check(&state, caller.org).await?;
    let endpoint = create(&state, &caller, &app, values).await?;
    Ok((StatusCode::CREATED, Json(endpoint.into())))
}

/// Get Endpoint
///
/// An endpoint.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}",
    operation_id = "v1.endpoint.get", tag = "Endpoint",
    params(crate::openapi::EndpointPath),
    responses((status = 200, body = EndpointOut), ApiError))]
async fn get(
    State(state): State<ApiState>,
    Path((app, endpoint)): Path<EndpointPath>,
    AnyCaller(caller): AnyCaller,
) -> Result<Json<EndpointOut>, ApiError> {
    let app = state.app(&caller, &app, Capability::ViewBase).await?;
    stored(&state, &app, &endpoint).await
}

/// Upsert Endpoint
///
/// Replaces an endpoint (its secret and headers stay), or makes one, with a new id and secret, if
/// there is none.
#[utoipa::path(put, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}",
    operation_id = "v1.endpoint.upsert", tag = "Endpoint",
    params(crate::openapi::EndpointPath), request_body = EndpointUpdate,
    responses((status = 200, body = EndpointOut), (status = 201, body = EndpointOut), ApiError))]
async fn upsert(
    State(state): State<ApiState>,
    Path((app, endpoint)): Path<EndpointPath>,
    AnyCaller(caller): AnyCaller,
    body: Bytes,
) -> Result<Response, ApiError> {
    let app = state.app(&caller, &app, Capability::ManageEndpoint).await?;
    let values = body::parse::<EndpointUpdate>(&body)?.check(&state, caller.org).await?;
    put::<EndpointOut>(&state, &caller, &app, &endpoint, values, Checked::replace).await
}

/// Patch Endpoint
///
/// Changes parts of an endpoint.
#[utoipa::path(patch, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}",
    operation_id = "v1.endpoint.patch", tag = "Endpoint",
    params(crate::openapi::EndpointPath), request_body = EndpointPatch,
    responses((status = 200, body = EndpointOut), ApiError))]
async fn patch(
    State(state): State<ApiState>,
    Path((app, endpoint)): Path<EndpointPath>,
    AnyCaller(caller): AnyCaller,
    body: Bytes,
) -> Result<Json<EndpointOut>, ApiError> {
    let app = state.app(&caller, &app, Capability::ManageEndpoint).await?;
    let change = body::parse::<EndpointPatch>(&body)?.check(&state, caller.org).await?;
    let endpoint =
        edit(&state, &caller, &app, &endpoint, |endpoint| change.apply(endpoint)).await?;
    Ok(Json(endpoint.ok_or(ApiError::NOT_FOUND)?.into()))
}

/// Delete Endpoint
///
/// Deletes an endpoint. Its uid is free again; what is pending for it is cancelled; history keeps it.
#[utoipa::path(delete, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}",
    operation_id = "v1.endpoint.delete", tag = "Endpoint",
    params(crate::openapi::EndpointPath),
    responses((status = 204, description = "It is gone."), ApiError))]
async fn delete(
    State(state): State<ApiState>,
    Path((app, endpoint)): Path<EndpointPath>,
    AnyCaller(caller): AnyCaller,
) -> Result<StatusCode, ApiError> {
    let app = state.app(&caller, &app, Capability::ManageEndpoint).await?;
    remove(&state, &caller, &app, &endpoint).await
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, create_endpoint))
        .routes(routes!(get, upsert, patch, delete))
        .merge(secret::router())
        .merge(headers::router())
        .merge(history::router())
        .merge(replay::router())
        .merge(listen::router())
        .merge(lane::router())
}

/// The routes that make messages: their keys are claimed with these.
pub fn message_router() -> OpenApiRouter<ApiState> {
    send_example::router()
}
