//! Event types: the catalogue of what an organization sends.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use domain::{
    clock::Timestamp,
    event_type::EventType,
    id::OrganizationId,
    name::{EventTypeName, FeatureFlag},
    operational::EVENT_TYPES,
    organization::SchemaMode,
    page::{Cursor, Order, Page, PageRequest},
    retry::RetrySchedule,
    token::{Actor, Scope},
};
use http::StatusCode;
use publish::schema::Schema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Store, StoreError, catalog::Refused};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    application::{MAX_EDITS, check_text},
    environment::SchemaModeName,
};
use crate::{
    auth::{AnyCaller, Caller, OrgCaller},
    body::{self, Patch},
    error::{ApiError, Faults},
    extract::{FromQuery, Path, Query, QueryPairs},
    page::{ListResponse, PageQuery},
    state::ApiState,
};

/// Most feature flags of an event type.
const MAX_FEATURE_FLAGS: usize = 100;

/// An event type as it is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventTypeIn {
    /// Its name.
    #[schema(value_type = String, max_length = 256, pattern = "^[a-zA-Z0-9\\-_.]+$", example = "user.signup")]
    name: EventTypeName,
    /// For people.
    description: String,
    /// Not offered any more.
    #[serde(default)]
    archived: bool,
    /// Offered, but not for new use.
    #[serde(default)]
    deprecated: bool,
    /// JSON Schema (draft 7) by version: `{"1": {…}}`.
    #[schema(value_type = Option<Object>)]
    schemas: Option<BTreeMap<String, Value>>,
    /// Only portal tokens with this flag see it.
    #[schema(value_type = Option<String>, deprecated)]
    feature_flag: Option<FeatureFlag>,
    /// Only portal tokens with one of these flags see it.
    #[schema(value_type = Option<Vec<String>>)]
    feature_flags: Option<Vec<FeatureFlag>>,
    /// A group to show it under.
    group_name: Option<String>,
    /// Whether payloads are checked; `null`: as the organization says.
    #[schema(value_type = Option<SchemaModeName>)]
    schema_mode: Option<SchemaMode>,
    /// Waits between tries, like `["5s", "5m"]`; `null`: the server's.
    #[schema(value_type = Option<Vec<String>>)]
    retry_schedule: Option<RetrySchedule>,
}

/// What replaces an event type.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventTypeUpdate {
    /// For people.
    description: String,
    /// Not offered any more.
    #[serde(default)]
    archived: bool,
    /// Offered, but not for new use.
    #[serde(default)]
    deprecated: bool,
    /// JSON Schema (draft 7) by version: `{"1": {…}}`.
    #[schema(value_type = Option<Object>)]
    schemas: Option<BTreeMap<String, Value>>,
    /// Only portal tokens with this flag see it.
    #[schema(value_type = Option<String>, deprecated)]
    feature_flag: Option<FeatureFlag>,
    /// Only portal tokens with one of these flags see it.
    #[schema(value_type = Option<Vec<String>>)]
    feature_flags: Option<Vec<FeatureFlag>>,
    /// A group to show it under.
    group_name: Option<String>,
    /// Whether payloads are checked; `null`: as the organization says.
    #[schema(value_type = Option<SchemaModeName>)]
    schema_mode: Option<SchemaMode>,
    /// Waits between tries, like `["5s", "5m"]`; `null`: the server's.
    #[schema(value_type = Option<Vec<String>>)]
    retry_schedule: Option<RetrySchedule>,
}

/// What is changed of an event type.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventTypePatch {
    /// For people.
    #[serde(default, deserialize_with = "body::not_null")]
    description: Option<String>,
    /// Not offered any more.
    #[serde(default, deserialize_with = "body::not_null")]
    archived: Option<bool>,
    /// Offered, but not for new use.
    #[serde(default, deserialize_with = "body::not_null")]
    deprecated: Option<bool>,
    /// JSON Schema (draft 7) by version; `null` clears it.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    schemas: Patch<BTreeMap<String, Value>>,
    /// Only portal tokens with this flag see it; `null` clears it.
    #[serde(default)]
    #[schema(value_type = Option<String>, deprecated)]
    feature_flag: Patch<FeatureFlag>,
    /// Only portal tokens with one of these flags see it; `null` clears it.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    feature_flags: Patch<Vec<FeatureFlag>>,
    /// A group to show it under; `null` clears it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    group_name: Patch<String>,
    /// Whether payloads are checked; `null`: as the organization says.
    #[serde(default)]
    #[schema(value_type = Option<SchemaModeName>)]
    schema_mode: Patch<SchemaMode>,
    /// Waits between tries; `null`: the server's.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    retry_schedule: Patch<RetrySchedule>,
}

/// An event type.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventTypeOut {
    /// Its name.
    #[schema(value_type = String)]
    pub name: EventTypeName,
    /// For people.
    pub description: String,
    /// Not offered any more.
    pub archived: bool,
    /// Offered, but not for new use.
    pub deprecated: bool,
    /// JSON Schema (draft 7) by version.
    #[schema(value_type = Option<Object>)]
    pub schemas: Option<Value>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// A group to show it under.
    pub group_name: Option<String>,
    /// The first of `featureFlags`.
    #[schema(value_type = Option<String>, deprecated)]
    pub feature_flag: Option<FeatureFlag>,
    /// Only portal tokens with one of these flags see it.
    #[schema(value_type = Option<Vec<String>>)]
    pub feature_flags: Option<Vec<FeatureFlag>>,
    /// Whether payloads are checked; `null`: as the organization says.
    #[schema(value_type = Option<SchemaModeName>)]
    pub schema_mode: Option<SchemaMode>,
    /// Waits between tries; `null`: the server's.
    #[schema(value_type = Option<Vec<String>>)]
    pub retry_schedule: Option<RetrySchedule>,
}

impl EventTypeOut {
    fn new(event_type: EventType, with_content: bool) -> Self {
        let flags = event_type.feature_flags;
        Self {
            name: event_type.name,
            description: event_type.description,
            archived: event_type.archived,
            deprecated: event_type.deprecated,
            schemas: event_type.schemas.filter(|_| with_content),
            created_at: event_type.created_at,
            updated_at: event_type.updated_at,
            group_name: event_type.group_name,
            feature_flag: flags.first().cloned(),
            feature_flags: (!flags.is_empty()).then_some(flags),
            schema_mode: event_type.schema_mode,
            retry_schedule: event_type.retry_schedule,
        }
    }
}

impl From<EventTypeIn> for (EventTypeName, EventTypeUpdate) {
    fn from(input: EventTypeIn) -> Self {
        let update = EventTypeUpdate {
            description: input.description,
            archived: input.archived,
            deprecated: input.deprecated,
            schemas: input.schemas,
            feature_flag: input.feature_flag,
            feature_flags: input.feature_flags,
            group_name: input.group_name,
            schema_mode: input.schema_mode,
            retry_schedule: input.retry_schedule,
        };
        (input.name, update)
    }
}

impl EventTypeUpdate {
    fn check(
        self,
        org: OrganizationId,
        name: EventTypeName,
        now: Timestamp,
    ) -> Result<EventType, ApiError> {
        let flags = self.feature_flags.or(self.feature_flag.map(|flag| vec![flag]));
        let flags = flags.unwrap_or_default();
        let mut faults = Faults::default();
        check_text(&mut faults, "description", &self.description);
        check_flags(&mut faults, &flags);
        check_group(&mut faults, self.group_name.as_deref());
        let schemas = self.schemas.map(|schemas| check_schemas(&mut faults, schemas));
        faults.finish()?;
        Ok(EventType {
            org,
            name,
            description: self.description,
            archived: self.archived,
            deprecated: self.deprecated,
            schemas,
            group_name: self.group_name,
            feature_flags: flags,
            schema_mode: self.schema_mode,
            retry_schedule: self.retry_schedule,
            created_at: now,
            updated_at: now,
        })
    }
}

fn check_flags(faults: &mut Faults, flags: &[FeatureFlag]) {
    if flags.len() > MAX_FEATURE_FLAGS {
        faults.body("featureFlags", format!("at most {MAX_FEATURE_FLAGS} items"));
    }
}

fn check_group(faults: &mut Faults, group: Option<&str>) {
    if group.is_some_and(|group| group.is_empty() || group.len() > 256) {
        faults.body("groupName", "must be 1 to 256 characters long");
    }
}

fn check_schemas(faults: &mut Faults, schemas: BTreeMap<String, Value>) -> Value {
    for (version, schema) in &schemas {
        if let Err(error) = Schema::compile(schema) {
            let mut msg = format!("version {version:.50}: {error}");
            msg.truncate(msg.floor_char_boundary(500));
            faults.body("schemas", msg);
        }
    }
    Value::Object(schemas.into_iter().collect())
}

/// Whether the caller sees an event type: portal tokens see guarded ones only with a flag of theirs.
fn is_visible(caller: &Caller, event_type: &EventType) -> bool {
    let Scope::Application { feature_flags, .. } = &caller.scope else { return true };
    let flags = &event_type.feature_flags;
    flags.is_empty() || flags.iter().any(|flag| feature_flags.contains(flag))
}

fn exists() -> ApiError {
    ApiError::Conflict {
        code: "event_type_exists",
        detail: "An event type with that name already exists",
    }
}

/// Makes the event types of operational webhooks, so that endpoints can subscribe to them.
pub(crate) async fn create_operational(
    store: &dyn Store,
    now: Timestamp,
) -> Result<(), StoreError> {
    let org = OrganizationId::management();
    for name in EVENT_TYPES {
        let name: EventTypeName = name.parse().expect("a valid name");
        if store.event_type(org, &name).await?.is_some() {
            continue;
        }
        let event_type = EventType {
            org,
            name,
            description: "An operational webhook.".into(),
            archived: false,
            deprecated: false,
            schemas: None,
            group_name: None,
            feature_flags: Vec::new(),
            schema_mode: None,
            retry_schedule: None,
            created_at: now,
            updated_at: now,
        };
        // Another node may be as fast.
        let _ = store.create_event_type(&Actor::System, event_type).await?;
    }
    Ok(())
}

/// Changes an event type from what it is now.
async fn edit(
    state: &ApiState,
    caller: &Caller,
    name: &EventTypeName,
    change: impl Fn(&mut EventType),
) -> Result<Option<EventType>, ApiError> {
    for _ in 0..MAX_EDITS {
        let Some(mut event_type) = state.store.event_type(caller.org, name).await? else {
            return Ok(None);
        };
        let expected = event_type.updated_at;
        change(&mut event_type);
        event_type.updated_at = state.now_after(expected);
        let actor = caller.actor();
        match state.store.update_event_type(&actor, event_type.clone(), expected).await? {
            Ok(()) => {
                state.publisher.catalogues().organization_changed(caller.org);
                return Ok(Some(event_type));
            }
            Err(Refused::Stale) => {}
            Err(Refused::Taken(_)) => return Err(exists()),
            Err(Refused::NotFound) => return Ok(None),
        }
    }
    Err(ApiError::Unavailable("The event type is being changed by many at once."))
}

async fn create(
    state: &ApiState,
    caller: &Caller,
    event_type: EventType,
) -> Result<Response, ApiError> {
    match state.store.create_event_type(&caller.actor(), event_type.clone()).await? {
        Ok(()) => {
            state.publisher.catalogues().organization_changed(caller.org);
            let out = EventTypeOut::new(event_type, true);
            Ok((StatusCode::CREATED, Json(out)).into_response())
        }
        Err(_) => Err(exists()),
    }
}

/// The query of the list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Archived ones too.
    #[param(required = false, default = false)]
    include_archived: bool,
    /// Their schemas too.
    #[param(required = false, default = false)]
    with_content: bool,
}

impl FromQuery for ListQuery {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            include_archived: query.flag("include_archived", false)?,
            with_content: query.flag("with_content", false)?,
        })
    }
}

/// A page of names in ascending order.
fn page<'a>(
    mut names: Vec<&'a EventTypeName>,
    request: &PageRequest<EventTypeName>,
) -> Page<&'a EventTypeName> {
    names.sort_unstable();
    let limit = usize::from(request.limit);
    match &request.cursor {
        Some(Cursor::Before(name)) => {
            let end = names.partition_point(|n| *n < name);
            let start = end.saturating_sub(limit);
            Page { items: names[start..end].to_vec(), done: start == 0 }
        }
        cursor => {
            let start = match cursor {
                Some(Cursor::After(name)) => names.partition_point(|n| *n <= name),
                _ => 0,
            };
            let end = (start + limit).min(names.len());
            Page { items: names[start..end].to_vec(), done: end == names.len() }
        }
    }
}

/// List Event Types
///
/// The organization's event types, by name.
#[utoipa::path(get, path = "/api/v1/event-type", operation_id = "v1.event-type.list",
    tag = "Event Type",
    params(crate::openapi::OrderedPage, ListQuery),
    responses((status = 200, body = ListResponse<EventTypeOut>), ApiError))]
async fn list(
    State(state): State<ApiState>,
    Query((request, query)): Query<(PageQuery<EventTypeName>, ListQuery)>,
    AnyCaller(caller): AnyCaller,
) -> Result<Json<ListResponse<EventTypeOut>>, ApiError> {
    let organization = state.publisher.catalogues().organization(caller.org).await?;
    let names = organization
        .event_types
        .values()
        .map(|known| &known.event_type)
        .filter(|t| (query.include_archived || !t.archived) && is_visible(&caller, t))
        .map(|event_type| &event_type.name)
        .collect();
    let page = page(names, &request.fixed(Order::Ascending)).map(|name| {
        let event_type = organization.event_types[name].event_type.clone();
        EventTypeOut::new(event_type, query.with_content)
    });
    Ok(Json(ListResponse::new(page, |out| out.name.clone())))
}

/// Create Event Type
///
/// Makes an event type, or brings an archived one back with this content.
#[utoipa::path(post, path = "/api/v1/event-type", operation_id = "v1.event-type.create",
    tag = "Event Type",
    params(crate::openapi::IdempotencyKey), request_body = EventTypeIn,
    responses((status = 201, body = EventTypeOut), ApiError))]
async fn create_event_type(
    State(state): State<ApiState>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<Response, ApiError> {
    let (name, update) = body::parse::<EventTypeIn>(&body)?.into();
    let event_type = update.check(caller.org, name, state.clock.now())?;
    create(&state, &caller, event_type).await
}

/// Get Event Type
///
/// An event type.
#[utoipa::path(get, path = "/api/v1/event-type/{event_type_name}",
    operation_id = "v1.event-type.get", tag = "Event Type",
    params(crate::openapi::EventTypePath),
    responses((status = 200, body = EventTypeOut), ApiError))]
async fn get(
    State(state): State<ApiState>,
    Path((name,)): Path<(EventTypeName,)>,
    AnyCaller(caller): AnyCaller,
) -> Result<Json<EventTypeOut>, ApiError> {
    let found = state.store.event_type(caller.org, &name).await?;
    let found = found.filter(|t| is_visible(&caller, t)).ok_or(ApiError::NOT_FOUND)?;
    Ok(Json(EventTypeOut::new(found, true)))
}

/// Upsert Event Type
///
/// Replaces an event type, or makes it.
#[utoipa::path(put, path = "/api/v1/event-type/{event_type_name}",
    operation_id = "v1.event-type.upsert", tag = "Event Type",
    params(crate::openapi::EventTypePath), request_body = EventTypeUpdate,
    responses((status = 200, body = EventTypeOut), (status = 201, body = EventTypeOut), ApiError))]
async fn upsert(
    State(state): State<ApiState>,
    Path((name,)): Path<(EventTypeName,)>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<Response, ApiError> {
    let update: EventTypeUpdate = body::parse(&body)?;
    let wanted = update.check(caller.org, name.clone(), state.clock.now())?;
    let replace = |event_type: &mut EventType| {
        *event_type = EventType { created_at: event_type.created_at, ..wanted.clone() };
    };
    match edit(&state, &caller, &name, replace).await? {
        Some(event_type) => Ok(Json(EventTypeOut::new(event_type, true)).into_response()),
        None => create(&state, &caller, wanted).await,
    }
}

/// Patch Event Type
///
/// Changes parts of an event type.
#[utoipa::path(patch, path = "/api/v1/event-type/{event_type_name}",
    operation_id = "v1.event-type.patch", tag = "Event Type",
    params(crate::openapi::EventTypePath), request_body = EventTypePatch,
    responses((status = 200, body = EventTypeOut), ApiError))]
async fn patch(
    State(state): State<ApiState>,
    Path((name,)): Path<(EventTypeName,)>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<Json<EventTypeOut>, ApiError> {
    let input: EventTypePatch = body::parse(&body)?;
    let mut faults = Faults::default();
    if let Some(description) = &input.description {
        check_text(&mut faults, "description", description);
    }
    if let Patch::Value(flags) = &input.feature_flags {
        check_flags(&mut faults, flags);
    }
    if let Patch::Value(group) = &input.group_name {
        check_group(&mut faults, Some(group));
    }
    let schemas = match input.schemas {
        Patch::Value(schemas) => Patch::Value(check_schemas(&mut faults, schemas)),
        Patch::Null => Patch::Null,
        Patch::Absent => Patch::Absent,
    };
    faults.finish()?;
    let change = |event_type: &mut EventType| {
        if let Some(description) = &input.description {
            event_type.description.clone_from(description);
        }
        event_type.archived = input.archived.unwrap_or(event_type.archived);
        event_type.deprecated = input.deprecated.unwrap_or(event_type.deprecated);
        schemas.clone().apply(&mut event_type.schemas);
        match (&input.feature_flags, &input.feature_flag) {
            (Patch::Value(flags), _) => event_type.feature_flags.clone_from(flags),
            (Patch::Absent, Patch::Value(flag)) => event_type.feature_flags = vec![flag.clone()],
            (Patch::Null, _) | (Patch::Absent, Patch::Null) => event_type.feature_flags.clear(),
            (Patch::Absent, Patch::Absent) => {}
        }
        input.group_name.clone().apply(&mut event_type.group_name);
        input.schema_mode.apply(&mut event_type.schema_mode);
        input.retry_schedule.clone().apply(&mut event_type.retry_schedule);
    };
    let event_type = edit(&state, &caller, &name, change).await?.ok_or(ApiError::NOT_FOUND)?;
    Ok(Json(EventTypeOut::new(event_type, true)))
}

/// The query of deleting one.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct DeleteQuery {
    /// Remove it for good, instead of archiving it.
    #[param(required = false, default = false)]
    expunge: bool,
}

impl FromQuery for DeleteQuery {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        Ok(Self { expunge: query.flag("expunge", false)? })
    }
}

/// Delete Event Type
///
/// Archives an event type, or removes it for good.
#[utoipa::path(delete, path = "/api/v1/event-type/{event_type_name}",
    operation_id = "v1.event-type.delete", tag = "Event Type",
    params(crate::openapi::EventTypePath, DeleteQuery),
    responses((status = 204, description = "It is archived, or gone."), ApiError))]
async fn delete(
    State(state): State<ApiState>,
    Query(query): Query<DeleteQuery>,
    Path((name,)): Path<(EventTypeName,)>,
    OrgCaller(caller): OrgCaller,
) -> Result<StatusCode, ApiError> {
    if query.expunge {
        let gone = state.store.expunge_event_type(&caller.actor(), caller.org, &name).await?;
        gone.map_err(|_| ApiError::NOT_FOUND)?;
        state.publisher.catalogues().organization_changed(caller.org);
    } else {
        let archived = edit(&state, &caller, &name, |event_type| event_type.archived = true);
        archived.await?.ok_or(ApiError::NOT_FOUND)?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, create_event_type))
        .routes(routes!(get, upsert, patch, delete))
}
