//! What came of an endpoint's deliveries: counts, and recovery of what failed.

use std::time::Duration;

use axum::{Json, extract::State};
use bytes::Bytes;
use domain::{
    clock::Timestamp,
    id::TaskId,
    task::{Task, TaskKind, TaskStatus},
    token::Capability,
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::EndpointPath;
use crate::{
    auth::AnyCaller,
    body,
    error::ApiError,
    extract::{FromQuery, Path, Query, QueryPairs},
    routes::background_task::TaskOut,
    state::{self, ApiState, tenant},
};

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// What spans may be too long by: clocks differ, and requests take time.
const SLACK: Duration = Duration::from_secs(300);
/// Longest span of statistics.
const MAX_STATS_SPAN: Duration = DAY.saturating_mul(28);
/// How far back recovery goes.
const MAX_RECOVER_SPAN: Duration = DAY.saturating_mul(14);

/// Attempts of an endpoint, counted by how they ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointStats {
    /// That succeeded.
    pub success: u64,
    /// Deliveries that have not been tried yet.
    pub pending: u64,
    /// Deliveries that wait for another try.
    pub sending: u64,
    /// That failed.
    pub fail: u64,
    /// Always 0: a delivery that was cancelled makes no attempt.
    pub canceled: u64,
}

/// Of which time.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct StatsQuery {
    /// From when; 28 days before `until` if nobody says.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Until when; now if nobody says.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

impl FromQuery for StatsQuery {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        Ok(Self { since: query.typed("since")?, until: query.typed("until")? })
    }
}

/// Endpoint Stats
///
/// Counts an endpoint's attempts.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/stats",
    operation_id = "v1.endpoint.get-stats", tag = "Endpoint",
    params(crate::openapi::EndpointPath, StatsQuery),
    responses((status = 200, body = EndpointStats), ApiError))]
async fn stats(
    State(state): State<ApiState>,
    Query(query): Query<StatsQuery>,
    Path((app, endpoint)): Path<EndpointPath>,
    AnyCaller(caller): AnyCaller,
) -> Result<Json<EndpointStats>, ApiError> {
    let now = state.clock.now();
    let until = query.until.unwrap_or(now);
    let since = query.since.unwrap_or(until.minus(MAX_STATS_SPAN));
    let app = state.app(&caller, &app, Capability::ViewBase).await?;
    let endpoint = state::endpoint(&app, &endpoint)?;
    let refuse = |detail: &str| {
        Err(ApiError::BadRequest { code: "invalid_range", detail: detail.to_owned() })
    };
    if until > now.plus(SLACK) {
        return refuse("`until` lies in the future");
    }
    if since > until {
        return refuse("`since` lies behind `until`");
    }
    if until.since(since) > MAX_STATS_SPAN + SLACK {
        return refuse("`since` and `until` are at most 28 days apart");
    }
    let counts = state.store.endpoint_counts(tenant(&app), endpoint.id, since, until).await?;
    Ok(Json(EndpointStats {
        success: counts.success,
        pending: counts.pending,
        sending: counts.sending,
        fail: counts.fail,
        canceled: 0,
    }))
}

/// What to recover.
#[derive(Debug, Deserialize, ToSchema)]
pub struct RecoverIn {
    /// From when; at most 14 days back.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Until when; now if nobody says.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

/// Recover Failed Webhooks
///
/// Resends what has a failed attempt in a span of time and never succeeded, as a background task. One at
/// a time for an endpoint.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/recover",
    operation_id = "v1.endpoint.recover", tag = "Endpoint",
    params(crate::openapi::EndpointPath, crate::openapi::IdempotencyKey), request_body = RecoverIn,
    responses((status = 202, body = TaskOut), ApiError))]
async fn recover(
    State(state): State<ApiState>,
    Path((app, endpoint)): Path<EndpointPath>,
    AnyCaller(caller): AnyCaller,
    body: Bytes,
) -> Result<(StatusCode, Json<TaskOut>), ApiError> {
    let app = state.app(&caller, &app, Capability::CreateAttempts).await?;
    let endpoint = state::endpoint(&app, &endpoint)?;
    let RecoverIn { since, until } = body::parse(&body)?;
    let now = state.clock.now();
    let until = until.unwrap_or(now);
    if since > until {
        return Err(ApiError::invalid(&["body", "since"], "must not lie behind `until`"));
    }
    if until.since(since) > MAX_RECOVER_SPAN + SLACK {
        let msg = "must be at most 14 days before `until`";
        return Err(ApiError::invalid(&["body", "since"], msg));
    }
    let task = Task {
        org: endpoint.org,
        id: TaskId::generate(now, &*state.entropy),
        kind: TaskKind::Recover { app: endpoint.app, endpoint: endpoint.id, since, until },
        status: TaskStatus::Running,
        cursor: None,
        done: 0,
        updated_at: now,
    };
    if state.store.create_task(task.clone()).await?.is_some() {
        let detail = "The endpoint is being recovered already; its task is among those that run.";
        return Err(ApiError::conflict(detail));
    }
    state.publisher.handover().application_changed(endpoint.org, endpoint.app);
    Ok((StatusCode::ACCEPTED, Json(task.into())))
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(stats)).routes(routes!(recover))
}
