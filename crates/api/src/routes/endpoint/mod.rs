//! Endpoints: where customers listen.

mod bodies;
mod checked;
mod headers;
mod history;
mod secret;
mod send_example;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use domain::{
    endpoint::{Endpoint, EndpointSecret},
    id::{ApplicationId, EndpointId, SecretId},
    name::Ref,
    operational::OperationalEvent,
    page::Order,
    signature::SigningSecret,
    token::Capability,
};
use http::StatusCode;
use publish::ApplicationCatalogue;
use store::catalog::Refused;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use self::bodies::{EndpointIn, EndpointOut, EndpointPatch, EndpointUpdate};
use self::checked::{Checked, with_stored_password};
use super::MAX_EDITS;
use crate::{
    auth::{AnyCaller, Caller},
    body,
    error::ApiError,
    extract::{Path, Query},
    page::{self, ListResponse, OrderedQuery},
    state::{self, ApiState},
};

type EndpointPath = (Ref<ApplicationId>, Ref<EndpointId>);

/// Changes an endpoint from what it is now, and tells those who must hear of it.
async fn edit(
    state: &ApiState,
    caller: &Caller,
    app: &ApplicationCatalogue,
    endpoint: &Ref<EndpointId>,
    mut change: impl FnMut(&mut Endpoint) -> Result<(), ApiError>,
) -> Result<Option<Endpoint>, ApiError> {
    let application = &app.application;
    for _ in 0..MAX_EDITS {
        let found = state.store.endpoint(application.org, application.id, endpoint).await?;
        let Some(mut endpoint) = found else { return Ok(None) };
        let was_disabled = endpoint.disabled;
        change(&mut endpoint)?;
        endpoint.revision = endpoint.revision.wrapping_add(1);
        endpoint.updated_at = state.now_after(endpoint.updated_at);
        match state.store.update_endpoint(&caller.actor(), endpoint.clone()).await? {
            Ok(()) => {}
            Err(Refused::Stale) => continue,
            Err(Refused::Taken(_)) => return Err(ApiError::CONFLICT),
            Err(Refused::NotFound) => return Ok(None),
        }
        let mut events = vec![OperationalEvent::EndpointUpdated];
        match (was_disabled, endpoint.disabled) {
            (false, true) => {
                events.push(OperationalEvent::EndpointDisabled { fail_since: None });
            }
            (true, false) => events.push(OperationalEvent::EndpointEnabled),
            _ => {}
        }
        state.endpoint_changed(app, &endpoint, &events).await;
        return Ok(Some(endpoint));
    }
    Err(ApiError::Unavailable("The endpoint is being changed by many at once."))
}

/// A new secret, signing until further notice.
fn new_secret(state: &ApiState, given: Option<SigningSecret>) -> EndpointSecret {
    let secret = given
        .unwrap_or_else(|| SigningSecret::generate(state.default_signature_type, &*state.entropy));
    EndpointSecret {
        id: SecretId::generate(state.clock.now(), &*state.entropy),
        secret: secret.into(),
        expires_at: None,
    }
}

/// Makes an endpoint.
async fn create(
    state: &ApiState,
    caller: &Caller,
    app: &ApplicationCatalogue,
    values: Checked,
) -> Result<Endpoint, ApiError> {
    let now = state.clock.now();
    let secret = new_secret(state, values.secret);
    let endpoint = Endpoint {
        org: app.application.org,
        app: app.application.id,
        id: EndpointId::generate(now, &*state.entropy),
        uid: values.uid,
        url: values.url,
        description: values.description,
        throttle_rate: values.throttle_rate,
        version: values.version,
        disabled: values.disabled,
        event_types: values.event_types,
        channels: values.channels,
        metadata: values.metadata,
        headers: values.headers,
        secrets: vec![secret],
        retry_schedule: values.retry_schedule,
        transformation: None,
        first_failure_at: None,
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    match state.store.create_endpoint(&caller.actor(), endpoint.clone()).await? {
        Ok(()) => {}
        Err(Refused::Taken(_)) => return Err(ApiError::CONFLICT),
        Err(_) => return Err(ApiError::NOT_FOUND),
    }
    state.endpoint_changed(app, &endpoint, &[OperationalEvent::EndpointCreated]).await;
    Ok(endpoint)
}

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
    let (org, app) = (app.application.org, app.application.id);
    let list = page::fill(page.ordered(Order::Descending), |page| {
        state.store.list_endpoints(org, app, page)
    })
    .await?;
    Ok(Json(list.map(EndpointOut::from)))
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
    let (org, app) = (app.application.org, app.application.id);
    let endpoint = state.store.endpoint(org, app, &endpoint).await?;
    Ok(Json(endpoint.ok_or(ApiError::NOT_FOUND)?.into()))
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
    let replaced = edit(&state, &caller, &app, &endpoint, |endpoint| {
        endpoint.url = with_stored_password(&values.url, Some(&endpoint.url))?;
        endpoint.uid.clone_from(&values.uid);
        endpoint.description.clone_from(&values.description);
        endpoint.throttle_rate = values.throttle_rate;
        endpoint.version = values.version;
        endpoint.disabled = values.disabled;
        endpoint.event_types.clone_from(&values.event_types);
        endpoint.channels.clone_from(&values.channels);
        endpoint.metadata.clone_from(&values.metadata);
        endpoint.retry_schedule.clone_from(&values.retry_schedule);
        Ok(())
    })
    .await?;
    if let Some(endpoint) = replaced {
        return Ok(Json(EndpointOut::from(endpoint)).into_response());
    }
    with_stored_password(&values.url, None)?;
    let endpoint = create(&state, &caller, &app, values).await?;
    Ok((StatusCode::CREATED, Json(EndpointOut::from(endpoint))).into_response())
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
    let endpoint = state::endpoint(&app, &endpoint)?;
    let now = state.clock.now();
    let deleted = state
        .store
        .delete_endpoint(&caller.actor(), endpoint.org, endpoint.app, endpoint.id, now)
        .await?;
    deleted.map_err(|_| ApiError::NOT_FOUND)?;
    state.endpoint_changed(&app, endpoint, &[OperationalEvent::EndpointDeleted]).await;
    Ok(StatusCode::NO_CONTENT)
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, create_endpoint))
        .routes(routes!(get, upsert, patch, delete))
        .merge(secret::router())
        .merge(headers::router())
        .merge(history::router())
}

/// The routes that make messages: their keys are claimed with these.
pub fn message_router() -> OpenApiRouter<ApiState> {
    send_example::router()
}
