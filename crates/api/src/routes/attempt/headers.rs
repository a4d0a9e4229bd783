//! What an attempt was sent with. No attempt keeps it: it is calculated again from what is on record.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use domain::token::Capability;
use publish::{Recalculated, Unknown};
use serde::Serialize;
use utoipa::ToSchema;

use super::AttemptPath;
use crate::{
    auth::AnyCaller,
    error::ApiError,
    extract::Path,
    routes::endpoint::headers::is_sensitive,
    state::{ApiState, tenant},
};

/// Headers of an attempt's request.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageAttemptHeadersOut {
    /// With their values; names are in lower case, and values of one name are joined by `, `.
    sent_headers: BTreeMap<String, String>,
    /// Names of those whose values are not shown.
    sensitive: Vec<String>,
    /// What cannot be told of the request any more, and why: a sentence each.
    unknown: Vec<&'static str>,
}

impl MessageAttemptHeadersOut {
    fn new(sent: Recalculated) -> Self {
        let mut sensitive = Vec::new();
        let mut sent_headers = sent.headers;
        sent_headers.retain(|name, _| {
            let hidden = is_sensitive(name);
            if hidden {
                sensitive.push(name.clone());
            }
            !hidden
        });
        if sent.authorization {
            sensitive.push("authorization".to_owned());
            sensitive.sort_unstable();
        }
        Self { sent_headers, sensitive, unknown: sent.unknown.into_iter().map(reason).collect() }
    }
}

const fn reason(unknown: Unknown) -> &'static str {
    match unknown {
        Unknown::EndpointHeaders => {
            "The endpoint's own headers, and accept: it was changed since, and what it had is not on record."
        }
        Unknown::Body => {
            "The signature, content-type, content-length and headers of the payload: it has expired, was \
             deleted, or is not what was sent."
        }
        Unknown::Secret => "The signature: a secret that it was made with is gone.",
    }
}

/// Get Attempt Headers
///
/// Calculates the headers that an attempt's request was sent with, from what is on record: the message, the
/// endpoint's headers as they were at that time, and the secrets that it was signed with. Which signature
/// headers there are, and the `user-agent`, are settings of the server; they are answered as they are now. An
/// attempt that got no connection has the headers that it would have sent.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}/headers",
    operation_id = "v1.message-attempt.get-headers", tag = "Message Attempt",
    params(crate::openapi::AttemptPath),
    responses((status = 200, body = MessageAttemptHeadersOut), ApiError))]
pub(super) async fn get(
    State(state): State<ApiState>,
    Path((app, message, attempt)): Path<AttemptPath>,
    AnyCaller(caller): AnyCaller,
) -> Result<Json<MessageAttemptHeadersOut>, ApiError> {
    let app = state.app(&caller, &app, Capability::ViewBase).await?;
    let tenant = tenant(&app);
    let message = state.store.message(tenant, &message).await?.ok_or(ApiError::NOT_FOUND)?;
    let attempt = state.store.attempt(tenant, message.id, attempt).await?;
    let attempt = attempt.ok_or(ApiError::NOT_FOUND)?;
    let of = (tenant.org, tenant.app, attempt.endpoint);
    let endpoints = state.store.endpoints_ever(of.0, of.1, &[of.2]).await?;
    let secrets = endpoints.first().map_or(&[][..], |endpoint| &endpoint.secrets);
    let own = state.store.headers_at(of.0, of.1, of.2, attempt.endpoint_revision).await?;
    let body = message.body.as_ref();
    let sent = state.requests.recalculate(&attempt, body, secrets, own.as_ref());
    Ok(Json(MessageAttemptHeadersOut::new(sent)))
}
