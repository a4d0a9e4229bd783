//! Making, changing and listing sources.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use domain::{page::Order, source::SourceId};
use http::StatusCode;
use store::catalog::ApplicationFilter;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    SourceRef,
    bodies::{IngestSourceIn, IngestSourceOut, IngestSourcePatch},
    writes,
};
use crate::{
    auth::OrgCaller,
    body,
    error::ApiError,
    extract::{Path, Query},
    page::{self, ListResponse, OrderedQuery},
    routes::application,
    state::ApiState,
};

/// A source, to answer with.
fn shown(
    state: &ApiState,
    app: domain::application::Application,
) -> Result<IngestSourceOut, ApiError> {
    IngestSourceOut::new(state, app).ok_or(ApiError::NOT_FOUND)
}

/// List Ingest Sources
///
/// The sources of the organization, oldest first unless asked otherwise.
#[utoipa::path(get, path = "/ingest/api/v1/source", operation_id = "v1.ingest.source.list",
    tag = "Ingest Source",
    params(crate::openapi::OrderedPage),
    responses((status = 200, body = ListResponse<IngestSourceOut>), ApiError))]
async fn list(
    State(state): State<ApiState>,
    Query(page): Query<OrderedQuery<SourceId>>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<ListResponse<IngestSourceOut>>, ApiError> {
    let filter = ApplicationFilter { sources: true, ..ApplicationFilter::default() };
    let page = page.map(|id| id.0).ordered(Order::Ascending);
    let list =
        page::fill(page, |page| state.store.list_applications(caller.org, filter, page)).await?;
    // Iterators are the ids of what is listed.
    let iterator = list.iterator.as_deref().map(as_source);
    let prev_iterator = list.prev_iterator.as_deref().map(as_source);
    let list = list.filter_map(|app| IngestSourceOut::new(&state, app));
    Ok(Json(ListResponse { iterator, prev_iterator, ..list }))
}

/// An iterator over applications, as one over sources.
fn as_source(iterator: &str) -> String {
    let (back, id) = match iterator.strip_prefix('-') {
        Some(id) => ("-", id),
        None => ("", iterator),
    };
    id.parse().map_or_else(|_| iterator.to_owned(), |id| format!("{back}{}", SourceId(id)))
}

/// Create Ingest Source
///
/// Makes a source, and with it an application that has what it receives.
#[utoipa::path(post, path = "/ingest/api/v1/source", operation_id = "v1.ingest.source.create",
    tag = "Ingest Source",
    params(crate::openapi::IdempotencyKey), request_body = IngestSourceIn,
    responses((status = 201, body = IngestSourceOut), ApiError))]
async fn create(
    State(state): State<ApiState>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<(StatusCode, Json<IngestSourceOut>), ApiError> {
    let checked = body::parse::<IngestSourceIn>(&body)?.check()?;
    let app = writes::create(&state, &caller, checked).await?;
    Ok((StatusCode::CREATED, Json(shown(&state, app)?)))
}

/// Get Ingest Source
///
/// A source. Its secrets are not shown.
#[utoipa::path(get, path = "/ingest/api/v1/source/{source_id}",
    operation_id = "v1.ingest.source.get", tag = "Ingest Source",
    params(crate::openapi::SourcePath),
    responses((status = 200, body = IngestSourceOut), ApiError))]
async fn get(
    State(state): State<ApiState>,
    Path((source,)): Path<(SourceRef,)>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<IngestSourceOut>, ApiError> {
    let found = state.store.application(caller.org, &source.0).await?;
    Ok(Json(shown(&state, found.ok_or(ApiError::NOT_FOUND)?)?))
}

/// Upsert Source
///
/// Replaces a source (its URL stays), or makes one, with a new id, if there is none. Its secrets have to
/// be given again.
#[utoipa::path(put, path = "/ingest/api/v1/source/{source_id}",
    operation_id = "v1.ingest.source.upsert", tag = "Ingest Source",
    params(crate::openapi::SourcePath), request_body = IngestSourceIn,
    responses((status = 200, body = IngestSourceOut), (status = 201, body = IngestSourceOut), ApiError))]
async fn upsert(
    State(state): State<ApiState>,
    Path((source,)): Path<(SourceRef,)>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<Response, ApiError> {
    let checked = body::parse::<IngestSourceIn>(&body)?.check()?;
    let replaced = writes::edit(&state, &caller, &source, |app, source| {
        checked.replace(app, source);
        Ok(())
    });
    if let Some(app) = replaced.await? {
        return Ok(Json(shown(&state, app)?).into_response());
    }
    let app = writes::create(&state, &caller, checked).await?;
    Ok((StatusCode::CREATED, Json(shown(&state, app)?)).into_response())
}

/// Patch Ingest Source
///
/// Changes parts of a source: all but its type and configuration.
#[utoipa::path(patch, path = "/ingest/api/v1/source/{source_id}",
    operation_id = "v1.ingest.source.patch", tag = "Ingest Source",
    params(crate::openapi::SourcePath), request_body = IngestSourcePatch,
    responses((status = 200, body = IngestSourceOut), ApiError))]
async fn patch(
    State(state): State<ApiState>,
    Path((source,)): Path<(SourceRef,)>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<Json<IngestSourceOut>, ApiError> {
    let (patch, uid) = body::parse::<IngestSourcePatch>(&body)?.check()?;
    let app = writes::edit(&state, &caller, &source, |app, source| {
        if let Some(name) = &patch.name {
            app.name.clone_from(name);
        }
        if let Some(metadata) = &patch.metadata {
            app.metadata.clone_from(metadata);
        }
        if let Some(settings) = &patch.settings {
            source.settings = settings.clone();
        }
        uid.clone().apply(&mut app.uid);
        Ok(())
    });
    Ok(Json(shown(&state, app.await?.ok_or(ApiError::NOT_FOUND)?)?))
}

/// Delete Ingest Source
///
/// Deletes a source and its application. Its URL is no good any more; what is pending is cancelled.
#[utoipa::path(delete, path = "/ingest/api/v1/source/{source_id}",
    operation_id = "v1.ingest.source.delete", tag = "Ingest Source",
    params(crate::openapi::SourcePath),
    responses((status = 204, description = "It is gone."), ApiError))]
async fn delete(
    State(state): State<ApiState>,
    Path((source,)): Path<(SourceRef,)>,
    OrgCaller(caller): OrgCaller,
) -> Result<StatusCode, ApiError> {
    let found = state.store.application(caller.org, &source.0).await?;
    let app = found.filter(|app| app.source.is_some()).ok_or(ApiError::NOT_FOUND)?;
    application::remove(&state, &caller.actor(), &app).await
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, upsert, patch, delete))
}
