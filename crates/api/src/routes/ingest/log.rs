//! What a source has refused, as far as it is kept.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use domain::{clock::Timestamp, id::RejectedId, page::Order, source::SourceId};
use serde::Serialize;
use store::rejected::RejectedRequest;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{SourceRef, application_of};
use crate::{
    auth::OrgCaller,
    error::ApiError,
    extract::{Path, Query},
    page::{self, ListResponse, OrderedQuery},
    state::{self, ApiState},
};

/// A request that was refused. Svix's names have underscores here, and so have ours.
#[derive(Debug, Serialize, ToSchema)]
pub struct IngestLogOut {
    /// Ours.
    #[schema(value_type = String)]
    id: RejectedId,
    /// The source.
    #[schema(example = "src_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    source_id: String,
    /// What it was answered.
    status_code: u16,
    /// Why it was refused.
    error_text: String,
    /// Without credentials; the values of one name are joined by commas.
    headers: BTreeMap<String, String>,
    /// The body's beginning as text: up to 64 KiB.
    payload: String,
    /// The same bytes as they came, in base64.
    body_base64: String,
    /// How long the body was, as far as it was read.
    body_bytes: u64,
    /// Of HTTP.
    method: String,
    /// Path and query, without the token.
    url: String,
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// The same.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<RejectedRequest> for IngestLogOut {
    fn from(request: RejectedRequest) -> Self {
        let mut headers = BTreeMap::<String, String>::new();
        for (name, value) in request.headers {
            headers
                .entry(name)
                .and_modify(|values| {
                    values.push_str(", ");
                    values.push_str(&value);
                })
                .or_insert(value);
        }
        Self {
            id: request.id,
            source_id: SourceId(request.app).to_string(),
            status_code: request.status,
            error_text: request.reason,
            headers,
            payload: String::from_utf8_lossy(&request.body).into_owned(),
            body_base64: BASE64.encode(&request.body),
            body_bytes: request.body_bytes,
            method: request.method,
            url: request.url,
            created_at: request.at,
            updated_at: request.at,
        }
    }
}

/// List Logs
///
/// Requests that a source has refused, newest first unless asked otherwise. They are kept for a short
/// time, and the last thousand at most.
#[utoipa::path(get, path = "/ingest/api/v1/source/{source_id}/log",
    operation_id = "v1.ingest.log.list", tag = "Ingest Logs",
    params(crate::openapi::SourcePath, crate::openapi::OrderedPage),
    responses((status = 200, body = ListResponse<IngestLogOut>), ApiError))]
async fn list(
    State(state): State<ApiState>,
    Query(page): Query<OrderedQuery<RejectedId>>,
    Path((source,)): Path<(SourceRef,)>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<ListResponse<IngestLogOut>>, ApiError> {
    let app = application_of(&state, &caller, &source).await?;
    let tenant = state::tenant(&app);
    let list =
        page::fill(page.ordered(Order::Descending), |page| state.store.list_rejected(tenant, page))
            .await?;
    Ok(Json(list.map(IngestLogOut::from)))
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list))
}
