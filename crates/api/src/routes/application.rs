//! Applications: the customers of an organization.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use domain::{
    application::{Application, MAX_METADATA_BYTES, Metadata},
    clock::Timestamp,
    id::{ApplicationId, OrganizationId},
    name::{Ref, Uid},
    page::Order,
    token::{Actor, Capability},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::catalog::{ApplicationFilter, Refused};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{AnyCaller, OrgCaller},
    body::{self, Patch},
    error::{ApiError, Fault, Faults},
    extract::{FromQuery, Path, Query, QueryPairs},
    page::{self, ListResponse, PageQuery},
    state::ApiState,
};

/// How often a change is made anew because somebody else's came between.
pub(crate) const MAX_EDITS: usize = 8;

/// An application as it is asked for.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationIn {
    /// For people.
    #[schema(min_length = 1, example = "My first application")]
    pub name: String,
    /// The caller's own id of it.
    #[schema(min_length = 1, max_length = 256, pattern = "^[a-zA-Z0-9\\-_.]+$")]
    pub uid: Option<String>,
    /// The caller's labels; at most 4,096 bytes as JSON.
    #[serde(default, deserialize_with = "body::null_is_default")]
    pub metadata: Metadata,
    /// Deprecated: use `throttleRate`.
    #[schema(minimum = 1, deprecated)]
    pub rate_limit: Option<u16>,
    /// Most attempts per second over all of its endpoints.
    #[schema(minimum = 1)]
    pub throttle_rate: Option<u16>,
}

/// What is changed of an application.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationPatch {
    /// For people.
    #[serde(default, deserialize_with = "body::not_null")]
    name: Option<String>,
    /// The caller's own id of it; `null` clears it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    uid: Patch<String>,
    /// The caller's labels, replaced as a whole.
    #[serde(default, deserialize_with = "body::not_null")]
    metadata: Option<Metadata>,
    /// Deprecated: use `throttleRate`.
    #[serde(default)]
    #[schema(value_type = Option<u16>, deprecated)]
    rate_limit: Patch<u16>,
    /// Most attempts per second; `null` clears it.
    #[serde(default)]
    #[schema(value_type = Option<u16>)]
    throttle_rate: Patch<u16>,
}

/// An application.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationOut {
    /// The caller's own id of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub uid: Option<Uid>,
    /// For people.
    pub name: String,
    /// Deprecated: see `throttleRate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(deprecated)]
    pub rate_limit: Option<u16>,
    /// Most attempts per second over all of its endpoints.
    pub throttle_rate: Option<u16>,
    /// Ours.
    #[schema(value_type = String, example = "app_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    pub id: ApplicationId,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// The caller's labels.
    pub metadata: Metadata,
}

impl From<Application> for ApplicationOut {
    fn from(app: Application) -> Self {
        Self {
            uid: app.uid,
            name: app.name,
            rate_limit: app.throttle_rate,
            throttle_rate: app.throttle_rate,
            id: app.id,
            created_at: app.created_at,
            updated_at: app.updated_at,
            metadata: app.metadata,
        }
    }
}

/// What an application is made of, checked.
#[derive(Clone, Debug)]
pub struct Checked {
    name: String,
    uid: Option<Uid>,
    metadata: Metadata,
    throttle_rate: Option<u16>,
}

impl ApplicationIn {
    /// Its values, checked, where it stands in another body.
    pub fn check_in_line(self) -> Result<Checked, ApiError> {
        self.check().map_err(|error| error.within("application"))
    }

    /// Its values, checked.
    pub fn check(self) -> Result<Checked, ApiError> {
        let mut faults = Faults::default();
        check_name(&mut faults, &self.name);
        check_metadata(&mut faults, &self.metadata);
        check_rate(&mut faults, self.rate_limit, self.throttle_rate);
        let uid = self.uid.map(|uid| faults.check("uid", parse_uid(&uid)));
        faults.finish()?;
        Ok(Checked {
            name: self.name,
            uid: uid.flatten(),
            metadata: self.metadata,
            throttle_rate: self.throttle_rate.or(self.rate_limit),
        })
    }
}

impl Checked {
    fn application(self, org: OrganizationId, id: ApplicationId, now: Timestamp) -> Application {
        Application {
            org,
            id,
            uid: self.uid,
            name: self.name,
            throttle_rate: self.throttle_rate,
            metadata: self.metadata,
            created_at: now,
            updated_at: now,
        }
    }
}

fn parse_uid(uid: &str) -> Result<Uid, domain::name::InvalidName> {
    Uid::parse_for::<ApplicationId>(uid)
}

fn check_name(faults: &mut Faults, name: &str) {
    if name.is_empty() {
        faults.body("name", "must not be empty");
    }
    check_text(faults, "name", name);
}

/// Text for people holds no control characters below a tab.
pub(crate) fn check_text(faults: &mut Faults, field: &'static str, text: &str) {
    if text.bytes().any(|b| b <= 0x08) {
        faults.body(field, "must not hold control characters");
    }
}

pub(crate) fn check_metadata(faults: &mut Faults, metadata: &Metadata) {
    let bytes = serde_json::to_vec(metadata).map_or(usize::MAX, |json| json.len());
    if bytes > MAX_METADATA_BYTES {
        faults.body("metadata", format!("at most {MAX_METADATA_BYTES} bytes as JSON"));
    }
}

pub(crate) fn check_rate(faults: &mut Faults, rate_limit: Option<u16>, throttle: Option<u16>) {
    for (field, rate) in [("rateLimit", rate_limit), ("throttleRate", throttle)] {
        if rate == Some(0) {
            faults.body(field, "must be at least 1");
        }
    }
}

fn taken() -> ApiError {
    ApiError::Conflict {
        code: "conflict",
        detail: "An application with that id or uid already exists",
    }
}

/// Makes an application; `Err(Ok(id))` if its uid is taken by that one.
pub(crate) async fn create(
    state: &ApiState,
    actor: &Actor,
    org: OrganizationId,
    checked: Checked,
) -> Result<Application, Result<ApplicationId, ApiError>> {
    let now = state.clock.now();
    let id = ApplicationId::generate(now, &*state.entropy);
    let application = checked.application(org, id, now);
    let created = state.store.create_application(actor, application.clone()).await;
    match created.map_err(|error| Err(error.into()))? {
        Ok(()) => {
            changed(state, &application);
            Ok(application)
        }
        Err(Refused::Taken(by)) => Err(Ok(by)),
        Err(_) => Err(Err(ApiError::Internal)),
    }
}

/// The application that is made in line, by a message or a portal access to an application that is not
/// there yet: its uid must be what the path names.
pub(crate) async fn create_in_line(
    state: &ApiState,
    actor: &Actor,
    org: OrganizationId,
    path: &Ref<ApplicationId>,
    checked: Checked,
) -> Result<(), ApiError> {
    let mismatch = |kind, msg: &str| {
        let fault = Fault::new(&["body", "application", "uid"], msg);
        ApiError::Invalid(vec![Fault { kind, ..fault }])
    };
    match (&checked.uid, path) {
        (None, _) => {
            let msg = "must be set: it is the application that the path names";
            return Err(mismatch("application_uid_missing", msg));
        }
        (Some(uid), Ref::Uid(named)) if uid == named => {}
        _ => {
            let msg = "must be the same as in the path";
            return Err(mismatch("application_uid_mismatch", msg));
        }
    }
    match create(state, actor, org, checked).await {
        // Somebody else was first: fine.
        Ok(_) | Err(Ok(_)) => Ok(()),
        Err(Err(error)) => Err(error),
    }
}

fn changed(state: &ApiState, app: &Application) {
    state.publisher.catalogues().application_changed(app.org, app.id, app.uid.as_ref());
    state.publisher.handover().application_changed(app.org, app.id);
}

/// Changes an application from what it is now.
async fn edit(
    state: &ApiState,
    actor: &Actor,
    org: OrganizationId,
    app: &Ref<ApplicationId>,
    change: impl Fn(&mut Application),
) -> Result<Option<Application>, ApiError> {
    for _ in 0..MAX_EDITS {
        let Some(mut application) = state.store.application(org, app).await? else {
            return Ok(None);
        };
        let expected = application.updated_at;
        change(&mut application);
        application.updated_at = state.now_after(expected);
        match state.store.update_application(actor, application.clone(), expected).await? {
            Ok(()) => {
                changed(state, &application);
                return Ok(Some(application));
            }
            Err(Refused::Stale) => {}
            Err(Refused::Taken(_)) => return Err(taken()),
            Err(Refused::NotFound) => return Ok(None),
        }
    }
    Err(ApiError::Unavailable("The application is being changed by many at once."))
}

struct ListQuery(ApplicationFilter);

impl FromQuery for ListQuery {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        Ok(Self(ApplicationFilter {
            exclude_without_endpoints: query.flag("exclude_apps_with_no_endpoints", false)?,
            exclude_with_disabled_endpoints: query
                .flag("exclude_apps_with_disabled_endpoints", false)?,
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
    Query((page, ListQuery(filter))): Query<(PageQuery<ApplicationId>, ListQuery)>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<ListResponse<ApplicationOut>>, ApiError> {
    let page = page::fill(
        page.ordered(Order::Ascending),
        |app: &Application| app.id,
        |page| state.store.list_applications(caller.org, filter, page),
    )
    .await?;
    Ok(Json(ListResponse::new(page.map(ApplicationOut::from), |app| app.id)))
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
    let by = match create(&state, &caller.actor(), caller.org, checked).await {
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
    Err(taken())
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
    let replace = |app: &mut Application| {
        app.name.clone_from(&checked.name);
        app.uid.clone_from(&checked.uid);
        app.metadata.clone_from(&checked.metadata);
        app.throttle_rate = checked.throttle_rate;
    };
    if let Some(app) = edit(&state, &actor, caller.org, &app, replace).await? {
        return Ok(Json(ApplicationOut::from(app)).into_response());
    }
    match create(&state, &actor, caller.org, checked).await {
        Ok(app) => Ok((StatusCode::CREATED, Json(ApplicationOut::from(app))).into_response()),
        Err(Ok(_)) => Err(taken()),
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
    let input: ApplicationPatch = body::parse(&body)?;
    let mut faults = Faults::default();
    if let Some(name) = &input.name {
        check_name(&mut faults, name);
    }
    if let Some(metadata) = &input.metadata {
        check_metadata(&mut faults, metadata);
    }
    check_patched_rates(&mut faults, input.rate_limit, input.throttle_rate);
    let uid = faults.check("uid", input.uid.try_map(|uid| parse_uid(&uid)));
    faults.finish()?;
    let uid = uid.unwrap_or_default();
    let change = |app: &mut Application| {
        if let Some(name) = &input.name {
            app.name.clone_from(name);
        }
        if let Some(metadata) = &input.metadata {
            app.metadata.clone_from(metadata);
        }
        uid.clone().apply(&mut app.uid);
        input.rate_limit.apply(&mut app.throttle_rate);
        input.throttle_rate.apply(&mut app.throttle_rate);
    };
    let app = edit(&state, &caller.actor(), caller.org, &app, change).await?;
    Ok(Json(app.ok_or(ApiError::NOT_FOUND)?.into()))
}

pub(crate) fn check_patched_rates(
    faults: &mut Faults,
    rate_limit: Patch<u16>,
    throttle_rate: Patch<u16>,
) {
    let value = |patch| match patch {
        Patch::Value(rate) => Some(rate),
        Patch::Null | Patch::Absent => None,
    };
    check_rate(faults, value(rate_limit), value(throttle_rate));
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
    let now = state.clock.now();
    let deleted = state.store.delete_application(&caller.actor(), caller.org, app.id, now).await?;
    deleted.map_err(|_| ApiError::NOT_FOUND)?;
    changed(&state, &app);
    Ok(StatusCode::NO_CONTENT)
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, create_application))
        .routes(routes!(get, upsert, patch, delete))
}
