//! An endpoint's signing secret.

use std::time::Duration;

use axum::{Json, extract::State};
use bytes::Bytes;
use domain::{
    endpoint::MAX_OLD_SECRETS, id::EndpointId, name::Ref, signature::SigningSecret,
    token::Capability,
};
use publish::ApplicationCatalogue;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{EndpointPath, edit, new_secret};
use crate::{
    auth::{AnyCaller, Caller},
    body,
    error::{ApiError, Faults},
    extract::Path,
    state::{self, ApiState},
};

/// Longest time that a rotated secret goes on to sign, in seconds.
const MAX_GRACE_SECS: u32 = 7 * 24 * 3_600;

/// A secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointSecretOut {
    /// What a receiver verifies with: the secret (`whsec_`), or the public key (`whpk_`).
    #[schema(example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")]
    pub key: String,
}

/// How a secret is rotated.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSecretRotateIn {
    /// The new one; made if `null`.
    #[serde(default)]
    key: Option<String>,
    /// How long the old one goes on to sign, in seconds.
    #[serde(default = "default_grace")]
    #[schema(maximum = 604_800, default = 86_400)]
    grace_period_seconds: Option<u32>,
}

const fn default_grace() -> Option<u32> {
    Some(DEFAULT_GRACE_SECS)
}

/// How long a rotated secret goes on to sign when nobody says, in seconds.
const DEFAULT_GRACE_SECS: u32 = 24 * 3_600;

/// Get Endpoint Secret
///
/// What a receiver verifies with.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/secret",
    operation_id = "v1.endpoint.get-secret", tag = "Endpoint",
    params(crate::openapi::EndpointPath),
    responses((status = 200, body = EndpointSecretOut), ApiError))]
async fn get(
    State(state): State<ApiState>,
    Path((app, endpoint)): Path<EndpointPath>,
    AnyCaller(caller): AnyCaller,
) -> Result<Json<EndpointSecretOut>, ApiError> {
    let app = state.app(&caller, &app, Capability::ViewEndpointSecret).await?;
    shown(&app, &endpoint)
}

/// What a receiver verifies with.
pub(in crate::routes) fn shown(
    app: &ApplicationCatalogue,
    endpoint: &Ref<EndpointId>,
) -> Result<Json<EndpointSecretOut>, ApiError> {
    let endpoint = state::endpoint(app, endpoint)?;
    let newest = endpoint.secrets.first().ok_or(ApiError::Internal)?;
    Ok(Json(EndpointSecretOut { key: newest.secret.verifying_key().to_string() }))
}

/// Rotate Endpoint Secret
///
/// Puts a new secret in place; the old one goes on to sign beside it for a while.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/secret/rotate",
    operation_id = "v1.endpoint.rotate-secret", tag = "Endpoint",
    params(crate::openapi::EndpointPath, crate::openapi::IdempotencyKey),
    request_body = EndpointSecretRotateIn,
    responses((status = 200, body = EndpointSecretOut), ApiError))]
async fn rotate(
    State(state): State<ApiState>,
    Path((app, endpoint)): Path<EndpointPath>,
    AnyCaller(caller): AnyCaller,
    body: Bytes,
) -> Result<Json<EndpointSecretOut>, ApiError> {
    let app = state.app(&caller, &app, Capability::ManageEndpointSecret).await?;
    replace(&state, &caller, &app, &endpoint, &body).await
}

/// Puts a new secret in place, as the body of a rotation says.
pub(in crate::routes) async fn replace(
    state: &ApiState,
    caller: &Caller,
    app: &ApplicationCatalogue,
    endpoint: &Ref<EndpointId>,
    body: &Bytes,
) -> Result<Json<EndpointSecretOut>, ApiError> {
    let input: EndpointSecretRotateIn = body::parse(body)?;
    let mut faults = Faults::default();
    let key: Option<SigningSecret> = input.key.and_then(|key| faults.check("key", key.parse()));
    let grace = input.grace_period_seconds.unwrap_or(DEFAULT_GRACE_SECS);
    if grace > MAX_GRACE_SECS {
        faults.body("gracePeriodSeconds", format!("at most {MAX_GRACE_SECS}"));
    }
    faults.finish()?;
    let fresh = new_secret(state, key);
    let edited = edit(state, caller, app, endpoint, |endpoint| {
        let now = state.clock.now();
        endpoint.secrets.retain(|secret| secret.expires_at.is_none_or(|end| end > now));
        let old = endpoint.secrets.iter().filter(|s| s.expires_at.is_some()).count();
        if old >= MAX_OLD_SECRETS {
            return Err(ApiError::BadRequest {
                code: "limit_reached",
                detail: format!("there are {old} old secrets that have not expired yet"),
            });
        }
        match grace {
            0 => endpoint.secrets.retain(|secret| secret.expires_at.is_some()),
            _ => {
                let end = now.plus(Duration::from_secs(u64::from(grace)));
                for secret in &mut endpoint.secrets {
                    secret.expires_at.get_or_insert(end);
                }
            }
        }
        endpoint.secrets.insert(0, fresh.clone());
        Ok(())
    });
    edited.await?.ok_or(ApiError::NOT_FOUND)?;
    // Newer clients read the new key; older ones, which expect no body, ignore it.
    Ok(Json(EndpointSecretOut { key: fresh.secret.verifying_key().to_string() }))
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get)).routes(routes!(rotate))
}
