//! Event types: the catalogue of what an organization sends.

mod bodies;
mod validate;

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
    name::EventTypeName,
    operational::EVENT_TYPES,
    page::{Cursor, Order, Page, PageRequest},
    token::{Actor, Scope},
};
use http::StatusCode;
use store::{Store, StoreError, catalog::Refused};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use self::bodies::{EventTypeIn, EventTypeOut, EventTypePatch, EventTypeUpdate};
use super::MAX_EDITS;
use crate::{
    auth::{AnyCaller, Caller, OrgCaller},
    body,
    error::ApiError,
    extract::{FromQuery, Path, Query, QueryPairs},
    page::{ListResponse, PageQuery},
    state::ApiState,
};

/// Whether the caller sees an event type: portal tokens see guarded ones only with a flag of theirs.
pub(crate) fn is_visible(caller: &Caller, event_type: &EventType) -> bool {
    let Scope::Application { feature_flags, .. } = &caller.scope else { return true };
    let flags = &event_type.feature_flags;
    flags.is_empty() || flags.iter().any(|flag| feature_flags.contains(flag))
}

fn exists() -> ApiError {
    ApiError::Conflict {
        code: "event_type_exists",
        detail: "An event type with that name already exists".into(),
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
            Page { items: names[start..end].to_vec(), done: start == 0, reached: None }
        }
        cursor => {
            let start = match cursor {
                Some(Cursor::After(name)) => names.partition_point(|n| *n <= name),
                _ => 0,
            };
            let end = (start + limit).min(names.len());
            Page { items: names[start..end].to_vec(), done: end == names.len(), reached: None }
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
    let organization = state.organization(caller.org).await?;
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
    let change = body::parse::<EventTypePatch>(&body)?.check()?;
    let event_type = edit(&state, &caller, &name, |event_type| change.apply(event_type));
    let event_type = event_type.await?.ok_or(ApiError::NOT_FOUND)?;
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
        .routes(routes!(validate::validate))
}
