//! The query of analytics: measures by dimensions over time.

use std::str::FromStr;

use axum::{Json, extract::State};
use domain::{
    analytics::Granularity,
    clock::Timestamp,
    id::{ApplicationId, EndpointId},
    name::{EventTypeName, Ref},
};
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{measures::Measure, series};
use crate::{
    auth::AnyCaller,
    error::ApiError,
    extract::{FromQuery, Query, QueryPairs},
    state::ApiState,
};

/// Most groups of an answer.
pub(super) const MOST_GROUPS: usize = 1_000;
/// What the default is.
const GROUPS: usize = 50;
/// How long a stretch is if nobody says.
const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

/// What rows are told apart by, beside the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dimension {
    App,
    Endpoint,
    EventType,
    Outcome,
}

impl FromStr for Dimension {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "app" => Self::App,
            "endpoint" => Self::Endpoint,
            "eventType" => Self::EventType,
            "outcome" => Self::Outcome,
            other => {
                let known = "app, endpoint, eventType, outcome";
                return Err(format!("`{other:.64}` is not a dimension: there are {known}"));
            }
        })
    }
}

/// What is asked.
pub(super) struct Question {
    pub(super) measures: Vec<Measure>,
    pub(super) dimensions: Vec<Dimension>,
    pub(super) granularity: Granularity,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) zone: TimeZone,
    pub(super) zone_name: String,
    pub(super) app: Option<Ref<ApplicationId>>,
    pub(super) endpoint: Option<Ref<EndpointId>>,
    pub(super) event_type: Option<EventTypeName>,
    pub(super) order_by: Measure,
    pub(super) limit: usize,
}

impl Question {
    /// From when until when.
    pub(super) fn range(&self, now: Timestamp) -> Result<(Timestamp, Timestamp), ApiError> {
        let until = self.until.unwrap_or(now);
        let since = self.since.unwrap_or(until.minus(DAY));
        if since >= until {
            return Err(ApiError::invalid(&["query", "since"], "must lie before `until`"));
        }
        Ok((since, until))
    }

    pub(super) fn has(&self, dimension: Dimension) -> bool {
        self.dimensions.contains(&dimension)
    }
}

impl FromQuery for Question {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        let measures: Vec<Measure> = query.list("measures")?.unwrap_or_default();
        if measures.is_empty() {
            return Err(ApiError::invalid(&["query", "measures"], "name at least one measure"));
        }
        let granularity = match query.get("granularity") {
            None | Some("total") => Granularity::Total,
            Some("minute") => Granularity::Minute,
            Some("hour") => Granularity::Hour,
            Some("day") => Granularity::Day,
            Some(_) => {
                let msg = "must be minute, hour, day or total";
                return Err(ApiError::invalid(&["query", "granularity"], msg));
            }
        };
        let zone_name = query.get("timeZone").unwrap_or("UTC").to_owned();
        let zone = TimeZone::get(&zone_name).map_err(|_| {
            let msg = "must be the name of a time zone, as Europe/Berlin";
            ApiError::invalid(&["query", "timeZone"], msg)
        })?;
        let limit = query.typed("limit")?.unwrap_or(GROUPS);
        if !(1..=MOST_GROUPS).contains(&limit) {
            let msg = format!("must be 1 to {MOST_GROUPS}");
            return Err(ApiError::invalid(&["query", "limit"], msg));
        }
        Ok(Self {
            order_by: query.formed("orderBy")?.unwrap_or(Measure::Attempts),
            measures,
            dimensions: query.list("dimensions")?.unwrap_or_default(),
            granularity,
            since: query.typed("since")?,
            until: query.typed("until")?,
            zone,
            zone_name,
            app: query.formed("appId")?,
            endpoint: query.formed("endpointId")?,
            event_type: query.formed("eventType")?,
            limit,
        })
    }
}

/// The parameters, described.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[allow(dead_code, reason = "describes Question")]
struct QuestionParams {
    /// A list of: messages, bytes, attempts, successes, failures, retries, successRate, responseP50,
    /// responseP95, responseP99, deliveryP50, deliveryP95, deliveryP99, duplicates, rejected. Latencies
    /// are in milliseconds: of responses, and from when a message was accepted until it arrived.
    #[param(example = "attempts,successRate")]
    measures: String,
    /// A list of: app, endpoint, eventType, outcome. Endpoints only of one application. An outcome has
    /// attempts and nothing else.
    dimensions: Option<String>,
    /// minute, hour, day or total.
    #[param(required = false, default = "total")]
    granularity: String,
    /// From when; a day before `until` if nobody says.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<String>,
    /// Until when; now if nobody says.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<String>,
    /// Whose hours and days.
    #[param(required = false, default = "UTC")]
    time_zone: String,
    /// Only of this application.
    app_id: Option<String>,
    /// Only of this endpoint of it.
    endpoint_id: Option<String>,
    /// Only of this event type.
    event_type: Option<String>,
    /// The measure that groups are ordered by, the largest first.
    #[param(required = false, default = "attempts")]
    order_by: String,
    /// Most groups.
    #[param(required = false, minimum = 1, maximum = 1000, default = 50)]
    limit: u16,
}

/// What was measured.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalyticsOut {
    /// The beginning of the stretch.
    #[schema(value_type = String, format = DateTime)]
    pub(super) since: Timestamp,
    /// Its end.
    #[schema(value_type = String, format = DateTime)]
    pub(super) until: Timestamp,
    /// The zone that hours and days are of.
    pub(super) time_zone: String,
    /// One for each group and point of time that has anything: `time` (unless it is a total), `appId` and
    /// `appName`, `endpointId`, `eventType`, `outcome` as far as they were asked for, and the measures;
    /// null is a measure of nothing. The first group first, each in the order of time.
    #[schema(value_type = Vec<Object>)]
    pub(super) rows: Vec<Map<String, Value>>,
    /// There are more groups.
    pub(super) truncated: bool,
    /// How old the answer may be: all that was counted until a few seconds before this is in it.
    #[schema(value_type = String, format = DateTime)]
    pub(super) as_of: Timestamp,
}

/// Query Analytics
///
/// Measures of the traffic, by dimensions, over time. A token of an application is answered for that
/// application.
#[utoipa::path(get, path = "/api/v1/analytics/query", operation_id = "v1.analytics.query",
    tag = "Analytics", params(QuestionParams),
    responses((status = 200, body = AnalyticsOut), ApiError))]
async fn query(
    State(state): State<ApiState>,
    Query(question): Query<Question>,
    AnyCaller(caller): AnyCaller,
) -> Result<Json<AnalyticsOut>, ApiError> {
    series::answer(&state, &caller, question).await.map(Json)
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(query))
}
