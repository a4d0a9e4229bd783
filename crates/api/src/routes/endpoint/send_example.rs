//! A message made from an event type's example, to one endpoint.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use domain::{
    message::{Body, Origin},
    name::{EventTypeName, Ref},
    token::Capability,
};
use publish::Draft;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::EndpointPath;
use crate::{
    auth::AnyCaller,
    body,
    error::ApiError,
    extract::Path,
    idempotency::RequestKey,
    routes::{event_type::is_visible, message::MessageOut},
    state::{self, ApiState},
};

/// An event type that is always there, with an example of its own.
const PING: &str = "svix.ping";
const PING_PAYLOAD: &[u8] = br#"{"success": true}"#;

/// Which example.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventExampleIn {
    /// Of which event type.
    #[schema(value_type = String)]
    event_type: EventTypeName,
    /// Which one of them, from 0.
    #[serde(default)]
    example_index: usize,
}

fn example(schemas: Option<&Value>, index: usize) -> Option<Bytes> {
    let examples = schemas?.get("1")?.get("examples")?;
    Some(Bytes::from(examples.get(index)?.to_string()))
}

/// Send Event Type Example Message
///
/// Sends the example of an event type to an endpoint, whatever its filters say.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/send-example",
    operation_id = "v1.endpoint.send-example", tag = "Endpoint",
    params(crate::openapi::EndpointPath, crate::openapi::IdempotencyKey),
    request_body = EventExampleIn,
    responses((status = 200, body = MessageOut), ApiError))]
async fn send(
    State(state): State<ApiState>,
    Path((app, endpoint)): Path<EndpointPath>,
    AnyCaller(caller): AnyCaller,
    key: RequestKey,
    body: Bytes,
) -> Result<Response, ApiError> {
    let idempotency = key.message(&state, &caller, None);
    let app = state.app(&caller, &app, Capability::CreateAttempts).await?;
    let endpoint = state::endpoint(&app, &endpoint)?;
    let EventExampleIn { event_type, example_index } = body::parse(&body)?;
    let payload = if event_type.as_str() == PING {
        Bytes::from_static(PING_PAYLOAD)
    } else {
        let organization = state.organization(caller.org).await?;
        let known = organization.event_types.get(&event_type);
        let known = known.filter(|known| is_visible(&caller, &known.event_type));
        let known = known.ok_or(ApiError::NOT_FOUND)?;
        example(known.event_type.schemas.as_ref(), example_index).ok_or_else(|| {
            ApiError::BadRequest {
                code: "invalid_scheme",
                detail: format!("the event type {event_type} has no such example"),
            }
        })?
    };
    let draft = Draft {
        event_type,
        event_id: None,
        event_id_window: None,
        channels: Vec::new(),
        tags: Vec::new(),
        body: Body::json(payload),
        deliver_at: None,
        retention: None,
        origin: Origin::Api,
        idempotency,
        only: Some(endpoint.id),
    };
    let app = Ref::Id(app.application.id);
    let accepted = state.publish_one(&caller, &app, draft).await?;
    Ok(Json(MessageOut::new(&accepted.message, true)).into_response())
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(send))
}
