//! How things stand now: endpoints that only fail, and work that remains.

use axum::{Json, extract::State};
use domain::{clock::Timestamp, name::Ref};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::OrgCaller,
    error::ApiError,
    extract::{FromQuery, Query, QueryPairs},
    state::ApiState,
};

/// Most items of an answer.
const MOST: usize = 250;

/// How many are wanted.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct LimitQuery {
    /// Most items.
    #[param(required = false, minimum = 1, maximum = 250, default = 50)]
    limit: usize,
}

impl FromQuery for LimitQuery {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        let limit = query.typed("limit")?.unwrap_or(50);
        if !(1..=MOST).contains(&limit) {
            return Err(ApiError::invalid(&["query", "limit"], format!("must be 1 to {MOST}")));
        }
        Ok(Self { limit })
    }
}

/// An endpoint that only fails.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailingEndpointOut {
    /// The customer.
    app_id: String,
    /// What the customer is called.
    app_name: String,
    /// Which.
    endpoint_id: String,
    /// Where to, without credentials.
    url: String,
    /// What its owner says of it.
    description: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    failing_since: Timestamp,
    /// Whether it is disabled.
    disabled: bool,
}

/// Endpoints that only fail.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailingEndpointsOut {
    /// Those that do so longest first.
    data: Vec<FailingEndpointOut>,
}

/// List Failing Endpoints
///
/// Endpoints of which no attempt has succeeded since one failed.
#[utoipa::path(get, path = "/api/v1/analytics/failing-endpoints",
    operation_id = "v1.analytics.failing-endpoints", tag = "Analytics", params(LimitQuery),
    responses((status = 200, body = FailingEndpointsOut), ApiError))]
async fn failing_endpoints(
    State(state): State<ApiState>,
    Query(LimitQuery { limit }): Query<LimitQuery>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<FailingEndpointsOut>, ApiError> {
    let mut data = Vec::new();
    for failing in state.store.failing_endpoints(caller.org, limit).await? {
        let app = Ref::Id(failing.app);
        let found = state.publisher.catalogues().application(caller.org, &app).await?;
        let Some(app) = found else { continue };
        let Some(endpoint) = app.endpoint(failing.endpoint) else { continue };
        data.push(FailingEndpointOut {
            app_id: failing.app.to_string(),
            app_name: app.application.name.clone(),
            endpoint_id: failing.endpoint.to_string(),
            url: endpoint.shown_url.to_string(),
            description: endpoint.endpoint.description.clone(),
            failing_since: failing.since,
            disabled: failing.disabled,
        });
    }
    Ok(Json(FailingEndpointsOut { data }))
}

/// What remains of an application's work.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingOut {
    /// The customer.
    app_id: String,
    /// What it is called; null for one that is deleted.
    app_name: Option<String>,
    /// Deliveries that have not ended; at least so many of a great number.
    pending: u64,
}

/// Work that remains.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BacklogOut {
    /// Deliveries that have not ended, of all organizations of this store.
    pending: u64,
    /// When the oldest of it is due, or was.
    #[schema(value_type = Option<String>, format = DateTime)]
    oldest_due: Option<Timestamp>,
    /// By application, those with most first.
    apps: Vec<PendingOut>,
}

/// Get Backlog
///
/// Deliveries that have not ended yet: those that are to be sent, and those that wait for another try.
#[utoipa::path(get, path = "/api/v1/analytics/backlog", operation_id = "v1.analytics.backlog",
    tag = "Analytics", params(LimitQuery),
    responses((status = 200, body = BacklogOut), ApiError))]
async fn backlog(
    State(state): State<ApiState>,
    Query(LimitQuery { limit }): Query<LimitQuery>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<BacklogOut>, ApiError> {
    let stats = state.store.stats().await?;
    let mut apps = Vec::new();
    for work in state.store.pending_work(caller.org, limit).await? {
        let app = Ref::Id(work.app);
        let found = state.publisher.catalogues().application(caller.org, &app).await?;
        apps.push(PendingOut {
            app_id: work.app.to_string(),
            app_name: found.map(|app| app.application.name.clone()),
            pending: work.pending,
        });
    }
    Ok(Json(BacklogOut { pending: stats.pending, oldest_due: stats.oldest_due, apps }))
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(failing_endpoints)).routes(routes!(backlog))
}
