//! Trying a payload against an event type's schema, without sending it.

use axum::{Json, extract::State};
use bytes::Bytes;
use domain::name::EventTypeName;
use publish::schema::SchemaFault;
use serde::Serialize;
use utoipa::ToSchema;

use super::is_visible;
use crate::{auth::AnyCaller, body, error::ApiError, extract::Path, state::ApiState};

/// Whether a payload is as its event type's schema says.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventTypeValidateOut {
    /// Nothing is wrong with it; or there is no schema.
    valid: bool,
    /// What is wrong with it: ten faults at most.
    errors: Vec<SchemaErrorOut>,
}

/// Something that is wrong with a payload.
#[derive(Debug, Serialize, ToSchema)]
pub struct SchemaErrorOut {
    /// Where: a JSON pointer, empty for the payload as a whole.
    path: String,
    /// What.
    message: String,
}

impl From<SchemaFault> for SchemaErrorOut {
    fn from(SchemaFault { path, message }: SchemaFault) -> Self {
        Self { path, message }
    }
}

/// Validate Payload
///
/// Checks a payload (the body) against the schema of an event type, the one of its highest version, as
/// messages of that type are checked. It is not sent, and it does not matter whether the organization
/// checks what it sends.
#[utoipa::path(post, path = "/api/v1/event-type/{event_type_name}/validate",
    operation_id = "v1.event-type.validate", tag = "Event Type",
    params(crate::openapi::EventTypePath), request_body = Object,
    responses((status = 200, body = EventTypeValidateOut), ApiError))]
pub(super) async fn validate(
    State(state): State<ApiState>,
    Path((name,)): Path<(EventTypeName,)>,
    AnyCaller(caller): AnyCaller,
    body: Bytes,
) -> Result<Json<EventTypeValidateOut>, ApiError> {
    let organization = state.organization(caller.org).await?;
    let found = organization.event_types.get(&name);
    let found = found.filter(|found| is_visible(&caller, &found.event_type));
    let found = found.ok_or(ApiError::NOT_FOUND)?;
    let payload = body::parse(&body)?;
    let faults = found.schema.as_ref().map(|schema| schema.faults(&payload, true));
    let errors: Vec<_> = faults.unwrap_or_default().into_iter().map(SchemaErrorOut::from).collect();
    Ok(Json(EventTypeValidateOut { valid: errors.is_empty(), errors }))
}
