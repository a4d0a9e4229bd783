//! Making, changing and trying rules.

use axum::{Json, extract::State};
use bytes::Bytes;
use domain::{
    alert::{Condition, MAX_RULES, Rule},
    id::{AlertRuleId, ApplicationId},
    name::Ref,
    page::Order,
    source::SourceId,
};
use http::StatusCode;
use serde::Serialize;
use store::catalog::Refused;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::bodies::{AlertChannelOut, AlertRuleIn, AlertRuleOut};
use crate::{
    auth::{Caller, OrgCaller},
    body,
    error::ApiError,
    extract::{Path, Query},
    page::{self, ListResponse, OrderedQuery},
    state::ApiState,
};

/// The application that a condition names, by id or uid or as a source.
async fn named(
    state: &ApiState,
    caller: &Caller,
    rule: &AlertRuleIn,
) -> Result<Option<ApplicationId>, ApiError> {
    let Some(name) = rule.condition.app() else { return Ok(None) };
    let app: Ref<ApplicationId> = match name.parse::<SourceId>() {
        Ok(source) => Ref::Id(source.0),
        Err(_) => match name.parse() {
            Ok(app) => app,
            Err(_) => return Ok(None),
        },
    };
    Ok(state.store.application(caller.org, &app).await?.map(|app| app.id))
}

fn can_mail(state: &ApiState) -> bool {
    state.alerts.as_ref().is_some_and(|alerts| alerts.can_mail())
}

async fn find(state: &ApiState, caller: &Caller, id: AlertRuleId) -> Result<Rule, ApiError> {
    state.store.alert_rule(caller.org, id).await?.ok_or(ApiError::NOT_FOUND)
}

/// List Alert Rules
///
/// The rules of the organization, oldest first unless asked otherwise.
#[utoipa::path(get, path = "/api/v1/alert/rule", operation_id = "v1.alert.rule.list", tag = "Alert",
    params(crate::openapi::OrderedPage),
    responses((status = 200, body = ListResponse<AlertRuleOut>), ApiError))]
async fn list(
    State(state): State<ApiState>,
    Query(page): Query<OrderedQuery<AlertRuleId>>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<ListResponse<AlertRuleOut>>, ApiError> {
    let page = page.ordered(Order::Ascending);
    let list = page::fill(page, |page| state.store.alert_rules(caller.org, page)).await?;
    Ok(Json(list.map(AlertRuleOut::from)))
}

/// Create Alert Rule
///
/// A rule that is looked at every 15 seconds. An organization has at most 100.
#[utoipa::path(post, path = "/api/v1/alert/rule", operation_id = "v1.alert.rule.create",
    tag = "Alert", request_body = AlertRuleIn,
    responses((status = 201, body = AlertRuleOut), ApiError))]
async fn create(
    State(state): State<ApiState>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<(StatusCode, Json<AlertRuleOut>), ApiError> {
    let wanted: AlertRuleIn = body::parse(&body)?;
    let now = state.clock.now();
    let mut rule = Rule {
        org: caller.org,
        id: AlertRuleId::generate(now, &*state.entropy),
        name: String::new(),
        enabled: true,
        condition: Condition::EndpointDisabled,
        hold: std::time::Duration::ZERO,
        channels: Vec::new(),
        created_at: now,
        updated_at: now,
    };
    let app = named(&state, &caller, &wanted).await?;
    wanted.apply(&mut rule, app, can_mail(&state))?;
    if !state.store.create_alert_rule(&caller.actor(), rule.clone()).await? {
        let detail = format!("An organization has at most {MAX_RULES} alert rules.");
        return Err(ApiError::conflict(detail));
    }
    Ok((StatusCode::CREATED, Json(rule.into())))
}

/// Get Alert Rule
///
/// A rule.
#[utoipa::path(get, path = "/api/v1/alert/rule/{rule_id}", operation_id = "v1.alert.rule.get",
    tag = "Alert", params(("rule_id" = String, Path, description = "The rule's id.")),
    responses((status = 200, body = AlertRuleOut), ApiError))]
async fn get(
    State(state): State<ApiState>,
    Path((id,)): Path<(AlertRuleId,)>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<AlertRuleOut>, ApiError> {
    Ok(Json(find(&state, &caller, id).await?.into()))
}

/// Update Alert Rule
///
/// Replaces a rule that is there.
#[utoipa::path(put, path = "/api/v1/alert/rule/{rule_id}", operation_id = "v1.alert.rule.update",
    tag = "Alert", params(("rule_id" = String, Path, description = "The rule's id.")),
    request_body = AlertRuleIn,
    responses((status = 200, body = AlertRuleOut), ApiError))]
async fn update(
    State(state): State<ApiState>,
    Path((id,)): Path<(AlertRuleId,)>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<Json<AlertRuleOut>, ApiError> {
    let wanted: AlertRuleIn = body::parse(&body)?;
    let mut rule = find(&state, &caller, id).await?;
    let app = named(&state, &caller, &wanted).await?;
    wanted.apply(&mut rule, app, can_mail(&state))?;
    let expected = rule.updated_at;
    rule.updated_at = state.now_after(expected);
    let updated = state.store.update_alert_rule(&caller.actor(), rule.clone(), expected).await?;
    match updated {
        Ok(()) => Ok(Json(rule.into())),
        Err(Refused::NotFound) => Err(ApiError::NOT_FOUND),
        Err(Refused::Stale | Refused::Taken(_)) => Err(ApiError::CONFLICT),
    }
}

/// Delete Alert Rule
///
/// Deletes a rule. Its open alerts end, and nobody is told of that.
#[utoipa::path(delete, path = "/api/v1/alert/rule/{rule_id}",
    operation_id = "v1.alert.rule.delete", tag = "Alert",
    params(("rule_id" = String, Path, description = "The rule's id.")),
    responses((status = 204, description = "It is gone."), ApiError))]
async fn delete(
    State(state): State<ApiState>,
    Path((id,)): Path<(AlertRuleId,)>,
    OrgCaller(caller): OrgCaller,
) -> Result<StatusCode, ApiError> {
    match state.store.delete_alert_rule(&caller.actor(), caller.org, id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::NOT_FOUND),
    }
}

/// What came of a test notice to one channel.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertTestOut {
    /// Which.
    channel: AlertChannelOut,
    /// Whether it was sent.
    sent: bool,
    /// What happened instead.
    error: Option<String>,
}

/// What came of test notices.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertTestsOut {
    /// By channel, in the order of the rule.
    data: Vec<AlertTestOut>,
}

/// Test Alert Rule
///
/// Sends a notice that says that it is a test to each channel of a rule, and waits for what comes of it.
#[utoipa::path(post, path = "/api/v1/alert/rule/{rule_id}/test",
    operation_id = "v1.alert.rule.test", tag = "Alert",
    params(("rule_id" = String, Path, description = "The rule's id.")),
    responses((status = 200, body = AlertTestsOut), ApiError))]
async fn test(
    State(state): State<ApiState>,
    Path((id,)): Path<(AlertRuleId,)>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<AlertTestsOut>, ApiError> {
    let rule = find(&state, &caller, id).await?;
    let alerts = state.alerts.as_ref();
    let alerts = alerts.ok_or(ApiError::Unavailable("This server sends no notices."))?;
    let told = alerts.test(&rule).await;
    let data = rule.channels.iter().zip(told).map(|(channel, told)| AlertTestOut {
        channel: channel.into(),
        sent: told.is_ok(),
        error: told.err(),
    });
    Ok(Json(AlertTestsOut { data: data.collect() }))
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update, delete))
        .routes(routes!(test))
}
