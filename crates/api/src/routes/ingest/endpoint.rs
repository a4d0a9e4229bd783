//! Endpoints of a source: those of its application.

use axum::{Json, extract::State, response::Response};
use bytes::Bytes;
use domain::{id::EndpointId, name::Ref};
use http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    SourceRef, application_of,
    endpoint_bodies::{IngestEndpointIn, IngestEndpointOut, IngestEndpointUpsertIn},
};
use crate::{
    auth::OrgCaller,
    body,
    error::ApiError,
    extract::{Path, Query},
    page::{ListResponse, OrderedQuery},
    routes::endpoint::{self, Checked, EndpointUpdate},
    state::ApiState,
};

pub(super) type SourceEndpointPath = (SourceRef, Ref<EndpointId>);

/// List Ingest Endpoints
///
/// The endpoints of a source, newest first unless asked otherwise.
#[utoipa::path(get, path = "/ingest/api/v1/source/{source_id}/endpoint",
    operation_id = "v1.ingest.endpoint.list", tag = "Ingest Endpoint",
    params(crate::openapi::SourcePath, crate::openapi::OrderedPage),
    responses((status = 200, body = ListResponse<IngestEndpointOut>), ApiError))]
async fn list(
    State(state): State<ApiState>,
    Query(page): Query<OrderedQuery<EndpointId>>,
    Path((source,)): Path<(SourceRef,)>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<ListResponse<IngestEndpointOut>>, ApiError> {
    let app = application_of(&state, &caller, &source).await?;
    endpoint::page_of(&state, &app, page).await
}

/// Create Ingest Endpoint
///
/// Makes an endpoint of a source: it gets all that the source receives.
#[utoipa::path(post, path = "/ingest/api/v1/source/{source_id}/endpoint",
    operation_id = "v1.ingest.endpoint.create", tag = "Ingest Endpoint",
    params(crate::openapi::SourcePath, crate::openapi::IdempotencyKey),
    request_body = IngestEndpointIn,
    responses((status = 201, body = IngestEndpointOut), ApiError))]
async fn create(
    State(state): State<ApiState>,
    Path((source,)): Path<(SourceRef,)>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<(StatusCode, Json<IngestEndpointOut>), ApiError> {
    let app = application_of(&state, &caller, &source).await?;
    let values = IngestEndpointIn::parse(&body)?.check(&state, caller.org).await?;
    let endpoint = endpoint::create(&state, &caller, &app, values).await?;
    Ok((StatusCode::CREATED, Json(endpoint.into())))
}

/// Get Ingest Endpoint
///
/// An endpoint of a source.
#[utoipa::path(get, path = "/ingest/api/v1/source/{source_id}/endpoint/{endpoint_id}",
    operation_id = "v1.ingest.endpoint.get", tag = "Ingest Endpoint",
    params(crate::openapi::SourceEndpointPath),
    responses((status = 200, body = IngestEndpointOut), ApiError))]
async fn get(
    State(state): State<ApiState>,
    Path((source, endpoint)): Path<SourceEndpointPath>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<IngestEndpointOut>, ApiError> {
    let app = application_of(&state, &caller, &source).await?;
    endpoint::stored(&state, &app, &endpoint).await
}

/// Upsert Ingest Endpoint
///
/// Replaces an endpoint (its secret, its headers and what else has routes of its own stay), or makes one,
/// with a new id and secret, if there is none.
#[utoipa::path(put, path = "/ingest/api/v1/source/{source_id}/endpoint/{endpoint_id}",
    operation_id = "v1.ingest.endpoint.upsert", tag = "Ingest Endpoint",
    params(crate::openapi::SourceEndpointPath), request_body = IngestEndpointUpsertIn,
    responses((status = 200, body = IngestEndpointOut), (status = 201, body = IngestEndpointOut), ApiError))]
async fn upsert(
    State(state): State<ApiState>,
    Path((source, endpoint)): Path<SourceEndpointPath>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<Response, ApiError> {
    let app = application_of(&state, &caller, &source).await?;
    let update = EndpointUpdate::from(body::parse::<IngestEndpointUpsertIn>(&body)?);
    let values = update.check(&state, caller.org).await?;
    let replace = Checked::replace_common;
    endpoint::put::<IngestEndpointOut>(&state, &caller, &app, &endpoint, values, replace).await
}

/// Delete Ingest Endpoint
///
/// Deletes an endpoint. Its uid is free again; what is pending for it is cancelled; history keeps it.
#[utoipa::path(delete, path = "/ingest/api/v1/source/{source_id}/endpoint/{endpoint_id}",
    operation_id = "v1.ingest.endpoint.delete", tag = "Ingest Endpoint",
    params(crate::openapi::SourceEndpointPath),
    responses((status = 204, description = "It is gone."), ApiError))]
async fn delete(
    State(state): State<ApiState>,
    Path((source, endpoint)): Path<SourceEndpointPath>,
    OrgCaller(caller): OrgCaller,
) -> Result<StatusCode, ApiError> {
    let app = application_of(&state, &caller, &source).await?;
    endpoint::remove(&state, &caller, &app, &endpoint).await
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, upsert, delete))
}
