//! Ways into a source: its URL's token, and the portal.

use axum::{Json, extract::State};
use bytes::Bytes;
use domain::{name::Ref, source::MAX_OLD_TOKENS};
use providers::source::CRON;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    SourceRef, application_of,
    bodies::{IngestSourceConsumerPortalAccessIn, RotateTokenOut, ingest_url},
    writes,
};
use crate::{
    auth::OrgCaller,
    body,
    error::ApiError,
    extract::Path,
    routes::auth::{AppPortalAccessIn, AppPortalAccessOut, portal_access},
    state::ApiState,
};

/// Rotate Ingest Token
///
/// Gives a source a new URL. The old one is good for 48 hours more; of those there may be three.
#[utoipa::path(post, path = "/ingest/api/v1/source/{source_id}/token/rotate",
    operation_id = "v1.ingest.source.rotate-token", tag = "Ingest Source",
    params(crate::openapi::SourcePath, crate::openapi::IdempotencyKey),
    responses((status = 200, body = RotateTokenOut), ApiError))]
async fn rotate(
    State(state): State<ApiState>,
    Path((source,)): Path<(SourceRef,)>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<RotateTokenOut>, ApiError> {
    let app = writes::edit(&state, &caller, &source, |_, source| {
        if source.kind == CRON {
            let detail = "a cron source has no URL".into();
            return Err(ApiError::BadRequest { code: "no_url", detail });
        }
        if !source.rotate_token(state.clock.now(), &*state.entropy) {
            let detail = format!("there are {MAX_OLD_TOKENS} old URLs that are still good");
            return Err(ApiError::BadRequest { code: "limit_reached", detail });
        }
        Ok(())
    });
    let app = app.await?.ok_or(ApiError::NOT_FOUND)?;
    let url = app.source.as_ref().and_then(|source| ingest_url(&state, &app, source));
    Ok(Json(RotateTokenOut { ingest_url: url.ok_or(ApiError::Internal)? }))
}

/// Ingest Source Consumer Portal Access
///
/// Makes a token of a source's application, for the portal.
#[utoipa::path(post, path = "/ingest/api/v1/source/{source_id}/dashboard",
    operation_id = "v1.ingest.authentication.consumer-portal-access", tag = "Ingest Source",
    params(crate::openapi::SourcePath, crate::openapi::IdempotencyKey),
    request_body = IngestSourceConsumerPortalAccessIn,
    responses((status = 200, body = AppPortalAccessOut), ApiError))]
async fn dashboard(
    State(state): State<ApiState>,
    Path((source,)): Path<(SourceRef,)>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<Json<AppPortalAccessOut>, ApiError> {
    let app = application_of(&state, &caller, &source).await?.application.id;
    // Some clients send none if there is nothing to say.
    let nothing = Bytes::from_static(b"{}");
    let body = if body.is_empty() { &nothing } else { &body };
    let input: IngestSourceConsumerPortalAccessIn = body::parse(body)?;
    let input = AppPortalAccessIn::brief(input.expiry, input.read_only);
    portal_access(&state, &caller, &Ref::Id(app), input).await
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(rotate)).routes(routes!(dashboard))
}
