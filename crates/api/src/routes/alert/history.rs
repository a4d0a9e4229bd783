//! What fired.

use axum::{Json, extract::State};
use domain::{
    alert::{Alert, Notice},
    clock::Timestamp,
    id::{AlertId, AlertRuleId, ApplicationId, EndpointId},
    page::Order,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::OrgCaller,
    error::ApiError,
    extract::{FromQuery, Path, Query, QueryPairs},
    page::{self, ListResponse, OrderedQuery},
    state::ApiState,
};

/// What one channel was told.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertNoticeOut {
    /// `alert.fired` or `alert.cleared`.
    event: &'static str,
    /// Its kind, and its host or address.
    channel: String,
    /// When it was sent.
    #[schema(value_type = Option<String>, format = DateTime)]
    sent_at: Option<Timestamp>,
    /// How often that failed.
    tries: u32,
    /// When it is tried again.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_try_at: Option<Timestamp>,
    /// What happened last, if it failed.
    error: Option<String>,
}

impl From<Notice> for AlertNoticeOut {
    fn from(notice: Notice) -> Self {
        use domain::operational::{ALERT_CLEARED, ALERT_FIRED};
        Self {
            event: if notice.cleared { ALERT_CLEARED } else { ALERT_FIRED },
            channel: notice.shown,
            sent_at: notice.sent_at,
            tries: notice.tries,
            next_try_at: notice.next_try,
            error: notice.error,
        }
    }
}

/// A rule that fired.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertOut {
    /// Ours.
    #[schema(value_type = String, example = "alert_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: AlertId,
    /// Which rule.
    #[schema(value_type = String)]
    rule_id: AlertRuleId,
    /// What that was called.
    rule_name: String,
    /// The type of its condition.
    condition: String,
    /// The application that it is about, or whose endpoint.
    #[schema(value_type = Option<String>)]
    app_id: Option<ApplicationId>,
    /// The endpoint that it is about.
    #[schema(value_type = Option<String>)]
    endpoint_id: Option<EndpointId>,
    /// Since when it had been so.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// When it fired.
    #[schema(value_type = String, format = DateTime)]
    fired_at: Timestamp,
    /// When it was over; null as long as it is not.
    #[schema(value_type = Option<String>, format = DateTime)]
    cleared_at: Option<Timestamp>,
    /// What was observed when it fired: percent, milliseconds, seconds or a number, as the rule's threshold.
    value: f64,
    /// What it was compared with.
    threshold: f64,
    /// It in plain words.
    text: String,
    /// Who was told.
    notices: Vec<AlertNoticeOut>,
}

impl From<Alert> for AlertOut {
    fn from(alert: Alert) -> Self {
        Self {
            id: alert.id,
            rule_id: alert.rule,
            rule_name: alert.rule_name,
            condition: alert.condition,
            app_id: alert.subject.app(),
            endpoint_id: alert.subject.endpoint(),
            since: alert.since,
            fired_at: alert.fired_at,
            cleared_at: alert.cleared_at,
            value: alert.value,
            threshold: alert.threshold,
            text: alert.text,
            notices: alert.notices.into_iter().map(AlertNoticeOut::from).collect(),
        }
    }
}

struct OpenQuery {
    open: bool,
}

impl FromQuery for OpenQuery {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        Ok(Self { open: query.flag("open", false)? })
    }
}

/// List Alerts
///
/// What fired, newest first unless asked otherwise. It goes with history.
#[utoipa::path(get, path = "/api/v1/alert", operation_id = "v1.alert.list", tag = "Alert",
    params(crate::openapi::OrderedPage,
        ("open" = Option<bool>, Query, description = "Only those that are not over.")),
    responses((status = 200, body = ListResponse<AlertOut>), ApiError))]
async fn list(
    State(state): State<ApiState>,
    Query((page, query)): Query<(OrderedQuery<AlertId>, OpenQuery)>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<ListResponse<AlertOut>>, ApiError> {
    let page = page.ordered(Order::Descending);
    let list = page::fill(page, |page| state.store.alerts(caller.org, query.open, page)).await?;
    Ok(Json(list.map(AlertOut::from)))
}

/// Get Alert
///
/// A rule that fired.
#[utoipa::path(get, path = "/api/v1/alert/{alert_id}", operation_id = "v1.alert.get", tag = "Alert",
    params(("alert_id" = String, Path, description = "The alert's id.")),
    responses((status = 200, body = AlertOut), ApiError))]
async fn get(
    State(state): State<ApiState>,
    Path((id,)): Path<(AlertId,)>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<AlertOut>, ApiError> {
    let alert = state.store.alert(caller.org, id).await?.ok_or(ApiError::NOT_FOUND)?;
    Ok(Json(alert.into()))
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}
