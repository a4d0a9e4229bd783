//! Transformations of a source's endpoints: kept and shown, not run.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use bytes::Bytes;
use domain::endpoint::{MAX_VARIABLES_BYTES, TRANSFORMATION_CODE_BYTES, Transformation};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{application_of, endpoint::SourceEndpointPath};
use crate::{
    auth::OrgCaller,
    body::{self, Patch},
    error::{ApiError, Faults},
    extract::Path,
    routes::endpoint,
    state::{self, ApiState},
};

/// A transformation.
#[derive(Debug, Serialize, ToSchema)]
pub struct IngestEndpointTransformationOut {
    /// JavaScript.
    code: Option<String>,
    /// Whether it is meant to be in use. This server does not run it.
    enabled: bool,
    /// What the code can read.
    variables: Option<BTreeMap<String, String>>,
}

/// What is changed of a transformation.
#[derive(Deserialize, ToSchema)]
pub struct IngestEndpointTransformationPatch {
    /// JavaScript; `null` clears it.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 10, max_length = 51200)]
    code: Patch<String>,
    /// Whether it is meant to be in use.
    #[serde(default, deserialize_with = "body::not_null")]
    enabled: Option<bool>,
    /// What the code can read, replaced as a whole; at most 4,096 bytes as JSON. `null` clears it.
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    variables: Patch<BTreeMap<String, String>>,
}

impl IngestEndpointTransformationPatch {
    fn check(&self) -> Result<(), ApiError> {
        let mut faults = Faults::default();
        if let Patch::Value(code) = &self.code
            && !TRANSFORMATION_CODE_BYTES.contains(&code.len())
        {
            let (least, most) =
                (TRANSFORMATION_CODE_BYTES.start(), TRANSFORMATION_CODE_BYTES.end());
            faults.body("code", format!("must be {least} to {most} bytes long"));
        }
        if let Patch::Value(variables) = &self.variables
            && serde_json::to_vec(variables).is_ok_and(|json| json.len() > MAX_VARIABLES_BYTES)
        {
            faults.body("variables", format!("at most {MAX_VARIABLES_BYTES} bytes as JSON"));
        }
        faults.finish()
    }
}

/// Get Ingest Endpoint Transformation
///
/// What was given as an endpoint's transformation.
#[utoipa::path(get,
    path = "/ingest/api/v1/source/{source_id}/endpoint/{endpoint_id}/transformation",
    operation_id = "v1.ingest.endpoint.transformation.get", tag = "Ingest Endpoint",
    params(crate::openapi::SourceEndpointPath),
    responses((status = 200, body = IngestEndpointTransformationOut), ApiError))]
async fn get(
    State(state): State<ApiState>,
    Path((source, endpoint)): Path<SourceEndpointPath>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<IngestEndpointTransformationOut>, ApiError> {
    let app = application_of(&state, &caller, &source).await?;
    let kept = state::endpoint(&app, &endpoint)?.transformation.clone().unwrap_or(NONE);
    let Transformation { code, enabled, variables } = kept;
    Ok(Json(IngestEndpointTransformationOut { code, enabled, variables }))
}

/// What an endpoint has that was given none.
const NONE: Transformation = Transformation { code: None, enabled: false, variables: None };

/// Set Ingest Endpoint Transformation
///
/// Changes what is kept as an endpoint's transformation.
#[utoipa::path(patch,
    path = "/ingest/api/v1/source/{source_id}/endpoint/{endpoint_id}/transformation",
    operation_id = "v1.ingest.endpoint.transformation.patch", tag = "Ingest Endpoint",
    params(crate::openapi::SourceEndpointPath),
    request_body = IngestEndpointTransformationPatch,
    responses((status = 204, description = "It is kept."), ApiError))]
async fn patch(
    State(state): State<ApiState>,
    Path((source, endpoint)): Path<SourceEndpointPath>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let app = application_of(&state, &caller, &source).await?;
    let patch: IngestEndpointTransformationPatch = body::parse(&body)?;
    patch.check()?;
    let edited = endpoint::edit(&state, &caller, &app, &endpoint, |endpoint| {
        let kept = endpoint.transformation.get_or_insert(NONE);
        patch.code.clone().apply(&mut kept.code);
        patch.variables.clone().apply(&mut kept.variables);
        kept.enabled = patch.enabled.unwrap_or(kept.enabled);
        Ok(())
    });
    edited.await?.ok_or(ApiError::NOT_FOUND)?;
    Ok(StatusCode::NO_CONTENT)
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get, patch))
}
