//! What came of an endpoint's deliveries, counted.

use std::time::Duration;

use axum::{Json, extract::State};
use domain::{clock::Timestamp, token::Capability};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::EndpointPath;
use crate::{
    auth::AnyCaller,
    error::ApiError,
    extract::{FromQuery, Path, Query, QueryPairs},
    state::{self, ApiState, tenant},
};

pub(super) const DAY: Duration = Duration::from_secs(24 * 3_600);
/// What spans may be too long by: clocks differ, and requests take time.
pub(super) const SLACK: Duration = Duration::from_secs(300);
/// Longest span of statistics.
const MAX_STATS_SPAN: Duration = DAY.saturating_mul(28);

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

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(stats))
}
