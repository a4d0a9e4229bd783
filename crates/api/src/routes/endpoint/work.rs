//! What the routes of endpoints do, whether they are reached by an application or by a source.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use domain::{
    endpoint::{Endpoint, EndpointSecret},
    id::{EndpointId, SecretId},
    name::Ref,
    operational::OperationalEvent,
    page::Order,
    signature::SigningSecret,
};
use http::StatusCode;
use publish::ApplicationCatalogue;
use serde::Serialize;
use store::catalog::Refused;

use super::checked::{Checked, with_stored_password};
use crate::{
    auth::Caller,
    error::ApiError,
    page::{self, ListResponse, OrderedQuery},
    routes::MAX_EDITS,
    state::{self, ApiState},
};

/// Changes an endpoint from what it is now, and tells those who must hear of it.
pub(in crate::routes) async fn edit(
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
pub(super) fn new_secret(state: &ApiState, given: Option<SigningSecret>) -> EndpointSecret {
    let secret = given
        .unwrap_or_else(|| SigningSecret::generate(state.default_signature_type, &*state.entropy));
    EndpointSecret {
        id: SecretId::generate(state.clock.now(), &*state.entropy),
        secret: secret.into(),
        expires_at: None,
    }
}

/// Makes an endpoint.
pub(in crate::routes) async fn create(
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

/// A page of an application's endpoints, each as `Out`.
pub(in crate::routes) async fn page_of<Out: From<Endpoint>>(
    state: &ApiState,
    app: &ApplicationCatalogue,
    page: OrderedQuery<EndpointId>,
) -> Result<Json<ListResponse<Out>>, ApiError> {
    let (org, app) = (app.application.org, app.application.id);
    let list = page::fill(page.ordered(Order::Descending), |page| {
        state.store.list_endpoints(org, app, page)
    })
    .await?;
    Ok(Json(list.map(Out::from)))
}

/// An endpoint as it is stored.
pub(in crate::routes) async fn stored<Out: From<Endpoint>>(
    state: &ApiState,
    app: &ApplicationCatalogue,
    endpoint: &Ref<EndpointId>,
) -> Result<Json<Out>, ApiError> {
    let (org, app) = (app.application.org, app.application.id);
    let endpoint = state.store.endpoint(org, app, endpoint).await?;
    Ok(Json(Out::from(endpoint.ok_or(ApiError::NOT_FOUND)?)))
}

/// Replaces an endpoint as `replace` does, or makes it if there is none.
pub(in crate::routes) async fn put<Out: From<Endpoint> + Serialize>(
    state: &ApiState,
    caller: &Caller,
    app: &ApplicationCatalogue,
    endpoint: &Ref<EndpointId>,
    values: Checked,
    replace: impl Fn(&Checked, &mut Endpoint),
) -> Result<Response, ApiError> {
    let replaced = edit(state, caller, app, endpoint, |endpoint| {
        endpoint.url = with_stored_password(&values.url, Some(&endpoint.url))?;
        replace(&values, endpoint);
        Ok(())
    })
    .await?;
    if let Some(endpoint) = replaced {
        return Ok(Json(Out::from(endpoint)).into_response());
    }
    with_stored_password(&values.url, None)?;
    let endpoint = create(state, caller, app, values).await?;
    Ok((StatusCode::CREATED, Json(Out::from(endpoint))).into_response())
}

/// Deletes an endpoint.
pub(in crate::routes) async fn remove(
    state: &ApiState,
    caller: &Caller,
    app: &ApplicationCatalogue,
    endpoint: &Ref<EndpointId>,
) -> Result<StatusCode, ApiError> {
    let endpoint = state::endpoint(app, endpoint)?;
    let now = state.clock.now();
    let deleted = state
        .store
        .delete_endpoint(&caller.actor(), endpoint.org, endpoint.app, endpoint.id, now)
        .await?;
    deleted.map_err(|_| ApiError::NOT_FOUND)?;
    state.endpoint_changed(app, endpoint, &[OperationalEvent::EndpointDeleted]).await;
    Ok(StatusCode::NO_CONTENT)
}
