//! How an endpoint's work stands at the moment, on the node that is asked.

use axum::{Json, extract::State};
use domain::{clock::Timestamp, token::Capability};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::EndpointPath;
use crate::{
    auth::AnyCaller, error::ApiError, extract::Path, node::LaneState, openapi, state,
    state::ApiState,
};

/// A circuit breaker.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "describes domain::breaker::BreakerState")]
pub(crate) enum BreakerState {
    /// Everything passes.
    Closed,
    /// Nothing passes, for a while.
    Open,
    /// One attempt, which is under way, decides.
    HalfOpen,
}

/// How an endpoint's work stands. All but `here` is `null` where another node delivers to it.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointStateOut {
    /// Whether the node that was asked delivers to it.
    here: bool,
    /// Its circuit breaker.
    #[schema(value_type = Option<BreakerState>)]
    breaker: Option<&'static str>,
    /// Until when the breaker lets nothing pass; `null` if it does.
    #[schema(value_type = Option<String>, format = DateTime)]
    held_until: Option<Timestamp>,
    /// How many attempts may be under way at a time: it adapts.
    window: Option<u32>,
    /// How many are.
    in_flight: Option<u32>,
    /// How many deliveries wait in memory.
    queued: Option<usize>,
    /// Whether more of them wait in the store.
    cold: Option<bool>,
    /// Whether its rate limit lets nothing start now.
    throttled: Option<bool>,
}

impl From<LaneState> for EndpointStateOut {
    fn from(lane: LaneState) -> Self {
        Self {
            here: true,
            breaker: Some(lane.breaker.as_str()),
            held_until: lane.held_until,
            window: Some(lane.window),
            in_flight: Some(lane.in_flight),
            queued: Some(lane.queued),
            cold: Some(lane.cold),
            throttled: Some(lane.throttled),
        }
    }
}

/// Get Endpoint State
///
/// How an endpoint's work stands now: its circuit breaker, its window, what is under way and what waits.
/// Only the node that delivers to an endpoint knows; with several nodes, `here` says whether that is the
/// one that answered.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/state",
    operation_id = "v1.endpoint.get-state", tag = "Endpoint",
    params(openapi::EndpointPath),
    responses((status = 200, body = EndpointStateOut), ApiError))]
async fn get_state(
    State(state): State<ApiState>,
    Path((app, endpoint)): Path<EndpointPath>,
    AnyCaller(caller): AnyCaller,
) -> Result<Json<EndpointStateOut>, ApiError> {
    let app = state.app(&caller, &app, Capability::ViewBase).await?;
    let endpoint = state::endpoint(&app, &endpoint)?;
    let lane = state.node.lane(endpoint.org, endpoint.app, endpoint.id);
    Ok(Json(lane.map(EndpointStateOut::from).unwrap_or_default()))
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get_state))
}
