//! The audit log: who changed what.

mod export;

use axum::{Json, extract::State};
use domain::{clock::Timestamp, id::AuditId, page::Order};
use serde::Serialize;
use serde_json::value::RawValue;
use store::audit::{AuditEntry, AuditRange};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::OrgCaller,
    error::ApiError,
    extract::Query,
    page::{self, ListResponse, PageQuery},
    state::ApiState,
};

/// Something that was done.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditLogOut {
    /// Its place in the log.
    #[schema(value_type = String, example = "audit_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    pub id: AuditId,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who: a token's id, `token` for one that has no id of ours, `system` for Hookwright itself.
    pub actor: String,
    /// What: `endpoint.update`.
    pub action: String,
    /// To what: mostly an id.
    pub target: String,
    /// More of it. Holds no secrets.
    #[schema(value_type = Object)]
    pub detail: Box<RawValue>,
}

impl From<AuditEntry> for AuditLogOut {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { id, at, actor, action, target, detail } = entry;
        // It was JSON when it was written.
        let detail = RawValue::from_string(detail).unwrap_or_default();
        Self { id, at, actor, action, target, detail }
    }
}

/// List Audit Log
///
/// Who changed what in the organization, newest first. Kept as long as history is.
#[utoipa::path(get, path = "/api/v1/audit-log", operation_id = "v1.audit-log.list", tag = "Audit Log",
    params(crate::openapi::FixedPage),
    responses((status = 200, body = ListResponse<AuditLogOut>), ApiError))]
async fn list(
    State(state): State<ApiState>,
    Query(page): Query<PageQuery<AuditId>>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<ListResponse<AuditLogOut>>, ApiError> {
    let list = page::fill(page.fixed(Order::Descending), |page| {
        state.store.audit_log(caller.org, AuditRange::ALL, page)
    });
    Ok(Json(list.await?.map(AuditLogOut::from)))
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).merge(export::router())
}
