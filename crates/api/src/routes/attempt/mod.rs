//! Attempts, and how messages stand at endpoints.

pub(super) mod bodies;
mod headers;
mod lists;

use axum::{Json, extract::State};
use domain::{
    delivery::Trigger,
    id::{ApplicationId, AttemptId, EndpointId, MessageId},
    name::Ref,
    token::Capability,
};
use http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::bodies::{EmptyResponse, MessageAttemptItem};
pub use self::bodies::{EndpointMessageOut, MessageAttemptOut, MessageEndpointOut};
pub(super) use self::lists::status;
use crate::{
    auth::{AnyCaller, OrgCaller},
    error::ApiError,
    extract::Path,
    state::{self, ApiState, tenant},
};

type AttemptPath = (Ref<ApplicationId>, Ref<MessageId>, AttemptId);

/// Get Attempt
///
/// An attempt.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}",
    operation_id = "v1.message-attempt.get", tag = "Message Attempt",
    params(crate::openapi::AttemptPath, crate::openapi::AttemptStatuses),
    responses((status = 200, body = MessageAttemptOut), ApiError))]
async fn get(
    State(state): State<ApiState>,
    Path((app, message, attempt)): Path<AttemptPath>,
    AnyCaller(caller): AnyCaller,
) -> Result<Json<MessageAttemptItem>, ApiError> {
    let app = state.app(&caller, &app, Capability::ViewBase).await?;
    let tenant = tenant(&app);
    let message = state.store.message(tenant, &message).await?.ok_or(ApiError::NOT_FOUND)?;
    let attempt = state.store.attempt(tenant, message.id, attempt).await?;
    Ok(Json(MessageAttemptItem::new(attempt.ok_or(ApiError::NOT_FOUND)?, true)))
}

/// Delete attempt response body
///
/// Removes what the receiver answered to an attempt.
#[utoipa::path(delete, path = "/api/v1/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}/content",
    operation_id = "v1.message-attempt.expunge-content", tag = "Message Attempt",
    params(crate::openapi::AttemptPath),
    responses((status = 204, description = "It is gone."), ApiError))]
async fn expunge(
    State(state): State<ApiState>,
    Path((app, message, attempt)): Path<AttemptPath>,
    OrgCaller(caller): OrgCaller,
) -> Result<StatusCode, ApiError> {
    let app = state.app(&caller, &app, Capability::ViewBase).await?;
    let tenant = tenant(&app);
    let message = state.store.message(tenant, &message).await?.ok_or(ApiError::NOT_FOUND)?;
    if state.store.expunge_attempt(tenant, message.id, attempt).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::NOT_FOUND)
    }
}

/// Resend Webhook
///
/// Sends a message to an endpoint again, whatever its filters say: one try, beside its schedule.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend",
    operation_id = "v1.message-attempt.resend", tag = "Message Attempt",
    params(crate::openapi::MessageEndpointPath, crate::openapi::IdempotencyKey),
    responses((status = 202, body = EmptyResponse), ApiError))]
async fn resend(
    State(state): State<ApiState>,
    Path((app, message, endpoint)): Path<(Ref<ApplicationId>, Ref<MessageId>, Ref<EndpointId>)>,
    AnyCaller(caller): AnyCaller,
) -> Result<(StatusCode, Json<EmptyResponse>), ApiError> {
    let app = state.app(&caller, &app, Capability::CreateAttempts).await?;
    let message = state.store.message(tenant(&app), &message).await?.ok_or(ApiError::NOT_FOUND)?;
    let endpoint = state::endpoint(&app, &endpoint)?;
    if message.body.is_none() || message.expires_at <= state.clock.now() {
        return Err(ApiError::BadRequest {
            code: "missing_payload",
            detail: "the message's payload has expired or was deleted".into(),
        });
    }
    state.publisher.resend(message.into(), endpoint, Trigger::Manual).await??;
    Ok((StatusCode::ACCEPTED, Json(EmptyResponse {})))
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(lists::by_endpoint))
        .routes(routes!(lists::by_message))
        .routes(routes!(lists::attempted_messages))
        .routes(routes!(lists::attempted_destinations))
        .routes(routes!(get))
        .routes(routes!(headers::get))
        .routes(routes!(expunge))
        .routes(routes!(resend))
}
