//! Applications: the customers of an organization.

mod bodies;
mod writes;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use domain::{id::ApplicationId, name::Ref, page::Order, token::Capability};
use http::StatusCode;
use store::catalog::ApplicationFilter;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use self::bodies::{ApplicationIn, ApplicationOut, ApplicationPatch, Checked};
use self::writes::not_a_source;
pub(crate) use self::writes::{create, create_in_line, edit, fresh, remove, taken};
use crate::{
    auth::{AnyCaller, OrgCaller},
    body,
    error::ApiError,
    extract::{FromQuery, Path, Query, QueryPairs},
    page::{self, ListResponse, OrderedQuery},
    state::ApiState,
};

struct ListQuery(ApplicationFilter);

impl FromQuery for ListQuery {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        Ok(Self(ApplicationFilter {
            exclude_without_endpoints: query.flag("exclude_apps_with_no_endpoints", false)?,
            exclude_with_disabled_endpoints: query
                .flag("exclude_apps_with_disabled_endpoints", false)?,
            sources: false,
        }))
    }
}

/// List Applications
///
/// The customers of the organization, oldest first unless asked otherwise.
#[utoipa::path(get, path = "/api/v1/app", operation_id = "v1.application.list",
    tag = "Application",
    params(crate::openapi::OrderedPage,
        ("exclude_apps_with_no_endpoints" = Option<bool>, Query, description = "Leave out those without endpoints."),
        ("exclude_apps_with_disabled_endpoints" = Option<bool>, Query, description = "Leave out those with a disabled endpoint.")),
    responses((status = 200, body = ListResponse<ApplicationOut>), ApiError))]
async fn list(
    State(state): State<ApiState>,
    Query((page, ListQuery(filter))): Query<(OrderedQuery<ApplicationId>, ListQuery)>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<ListResponse<ApplicationOut>>, ApiError> {
    let list = page::fill(page.ordered(Order::Ascending), |page| {
        state.store.list_applications(caller.org, filter, page)
    })
    .await?;
    Ok(Json(list.map(ApplicationOut::from)))
}

/// The query of creating one.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct CreateQuery {
    /// Answer 200 with the application as it is if its uid is taken already.
    #[param(required = false, default = false)]
    get_if_exists: bool,
}

impl FromQuery for CreateQuery {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        Ok(Self { get_if_exists: query.flag("get_if_exists", false)? })
    }
}

/// Create Application
///
/// Makes an application.
#[utoipa::path(post, path = "/api/v1/app", operation_id = "v1.application.create",
    tag = "Application",
    params(CreateQuery, crate::openapi::IdempotencyKey), request_body = ApplicationIn,
    responses((status = 200, body = ApplicationOut), (status = 201, body = ApplicationOut), ApiError))]
async fn create_application(
    State(state): State<ApiState>,
    Query(query): Query<CreateQuery>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<Response, ApiError> {
    let checked = body::parse::<ApplicationIn>(&body)?.check()?;
    let application = checked.application(caller.org, fresh(&state));
    let by = match create(&state, &caller.actor(), application.clone()).await {
        Ok(app) => {
            return Ok((StatusCode::CREATED, Json(ApplicationOut::from(app))).into_response());
        }
        Err(by) => by?,
    };
    if query.get_if_exists
        && let Some(app) = state.store.application(caller.org, &Ref::Id(by)).await?
    {
        return Ok(Json(ApplicationOut::from(app)).into_response());
    }
    Err(taken(&application))
}

/// Get Application
///
/// An application.
#[utoipa::path(get, path = "/api/v1/app/{app_id}", operation_id = "v1.application.get",
    tag = "Application",
    params(crate::openapi::AppPath),
    responses((status = 200, body = ApplicationOut), ApiError))]
async fn get(
    State(state): State<ApiState>,
    Path((app,)): Path<(Ref<ApplicationId>,)>,
    AnyCaller(caller): AnyCaller,
) -> Result<Json<ApplicationOut>, ApiError> {
    let found = state.store.application(caller.org, &app).await?.ok_or(ApiError::NOT_FOUND)?;
    caller.reaches(found.id, Capability::ViewBase)?;
    Ok(Json(found.into()))
}

/// Upsert Application
///
/// Replaces an application, or makes one (with a new id, and the uid of the body) if there is none.
#[utoipa::path(put, path = "/api/v1/app/{app_id}", operation_id = "v1.application.upsert",
    tag = "Application",
    params(crate::openapi::AppPath), request_body = ApplicationIn,
    responses((status = 200, body = ApplicationOut), (status = 201, body = ApplicationOut), ApiError))]
async fn upsert(
    State(state): State<ApiState>,
    Path((app,)): Path<(Ref<ApplicationId>,)>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<Response, ApiError> {
    let checked = body::parse::<ApplicationIn>(&body)?.check()?;
    let actor = caller.actor();
    let replaced = edit(&state, &actor, caller.org, &app, |app| {
        not_a_source(app)?;
        checked.replace(app);
        Ok(())
    });
    if let Some(app) = replaced.await? {
        return Ok(Json(ApplicationOut::from(app)).into_response());
    }
    let application = checked.application(caller.org, fresh(&state));
    match create(&state, &actor, application.clone()).await {
        Ok(app) => Ok((StatusCode::CREATED, Json(ApplicationOut::from(app))).into_response()),
        Err(Ok(_)) => Err(taken(&application)),
        Err(Err(error)) => Err(error),
    }
}

/// Patch Application
///
/// Changes parts of an application.
#[utoipa::path(patch, path = "/api/v1/app/{app_id}", operation_id = "v1.application.patch",
    tag = "Application",
    params(crate::openapi::AppPath), request_body = ApplicationPatch,
    responses((status = 200, body = ApplicationOut), ApiError))]
async fn patch(
    State(state): State<ApiState>,
    Path((app,)): Path<(Ref<ApplicationId>,)>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<Json<ApplicationOut>, ApiError> {
    let change = body::parse::<ApplicationPatch>(&body)?.check()?;
    let actor = caller.actor();
    let app = edit(&state, &actor, caller.org, &app, |app| {
        not_a_source(app)?;
        change.apply(app);
        Ok(())
    });
    let app = app.await?;
    Ok(Json(app.ok_or(ApiError::NOT_FOUND)?.into()))
}

/// Delete Application
///
/// Deletes an application. Its uid is free again; what is pending for it is cancelled.
#[utoipa::path(delete, path = "/api/v1/app/{app_id}", operation_id = "v1.application.delete",
    tag = "Application",
    params(crate::openapi::AppPath),
    responses((status = 204, description = "It is gone."), ApiError))]
async fn delete(
    State(state): State<ApiState>,
    Path((app,)): Path<(Ref<ApplicationId>,)>,
    OrgCaller(caller): OrgCaller,
) -> Result<StatusCode, ApiError> {
    let app = state.store.application(caller.org, &app).await?.ok_or(ApiError::NOT_FOUND)?;
    not_a_source(&app)?;
    remove(&state, &caller.actor(), &app).await
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, create_application))
        .routes(routes!(get, upsert, patch, delete))
}
