//! Statistics of an organization, found out by background tasks from the counts by time that are kept
//! anyway.

use std::time::Duration;

use axum::{Json, extract::State};
use bytes::Bytes;
use domain::{
    clock::Timestamp,
    id::{ApplicationId, TaskId},
    name::Ref,
    page::{Order, PageRequest},
    task::{Task, TaskKind, TaskStatus},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::tasks::TaskFilter;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Caller, OrgCaller},
    body,
    error::{ApiError, Faults},
    routes::{
        background_task::{BackgroundTaskStatus, TaskOut},
        check,
    },
    state::ApiState,
};

/// Longest range.
const MAX_SPAN: Duration = Duration::from_secs(366 * 86_400);
/// Most applications that are named.
const MAX_NAMED: usize = 1_000;
/// Open tasks of this kind that an organization has, about: two that are asked for at once may both be the
/// last one.
const MAX_OPEN: u16 = 100;

/// What to count.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppUsageStatsIn {
    /// Attempts from then on.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Until when; at most 366 days behind `since`.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// Only for these, by id or uid: at most 1,000. At least one of them must be there.
    app_ids: Option<Vec<String>>,
}

impl AppUsageStatsIn {
    /// Range and names, checked.
    fn checked(self) -> Result<(Range, Option<Names>), ApiError> {
        let refuse = |detail: &str| {
            Err(ApiError::BadRequest { code: "invalid_range", detail: detail.to_owned() })
        };
        if self.since >= self.until {
            return refuse("`since` must lie before `until`");
        }
        if self.until.since(self.since) > MAX_SPAN {
            return refuse("`since` and `until` are at most 366 days apart");
        }
        let mut faults = Faults::default();
        let names = self.app_ids;
        let named =
            names.and_then(|names| check::names(&mut faults, "appIds", names, 1..=MAX_NAMED));
        faults.finish()?;
        Ok(((self.since, self.until), named))
    }
}

/// From when until when.
type Range = (Timestamp, Timestamp);
/// How applications are named.
type Names = Vec<Ref<ApplicationId>>;

/// A task that was begun, and what it will not tell of.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppUsageStatsOut {
    /// Ours.
    #[schema(value_type = String, example = "qtask_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: TaskId,
    /// How far it is.
    status: BackgroundTaskStatus,
    /// What it does.
    #[schema(value_type = String)]
    task: &'static str,
    /// Those of `appIds` that are no application.
    unresolved_app_ids: Vec<String>,
    /// When it last moved.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// Begins a task.
async fn begin(state: &ApiState, caller: &Caller, kind: TaskKind) -> Result<TaskOut, ApiError> {
    let statuses = vec![TaskStatus::Running, TaskStatus::Paused];
    let kinds = vec!["application.stats", "event-type.aggregate"];
    let page = PageRequest { limit: MAX_OPEN, order: Order::Ascending, cursor: None };
    let open = state.store.list_tasks(caller.org, TaskFilter { statuses, kinds }, page).await?;
    if open.items.len() >= usize::from(MAX_OPEN) {
        let detail = format!("{MAX_OPEN} tasks for statistics have not ended: wait for them.");
        return Err(ApiError::conflict(detail));
    }
    let now = state.clock.now();
    let task = Task::new(caller.org, TaskId::generate(now, &*state.entropy), kind, now);
    state.store.create_task(&caller.actor(), task.clone()).await?;
    state.publisher.handover().tasks_changed();
    Ok(task.into())
}

/// Aggregate App Stats
///
/// Counts the attempts (`messageDestinations`) that were made for each application, as a background task:
/// its `data` has them as `appStats` when it has finished.
#[utoipa::path(post, path = "/api/v1/stats/usage/app",
    operation_id = "v1.statistics.aggregate-app-stats", tag = "Statistics",
    params(crate::openapi::IdempotencyKey), request_body = AppUsageStatsIn,
    responses((status = 202, body = AppUsageStatsOut), ApiError))]
async fn app_stats(
    State(state): State<ApiState>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<(StatusCode, Json<AppUsageStatsOut>), ApiError> {
    let ((since, until), named) = body::parse::<AppUsageStatsIn>(&body)?.checked()?;
    let (mut apps, mut unresolved_app_ids) = (named.is_some().then(Vec::new), Vec::new());
    for name in named.iter().flatten() {
        match state.store.application(caller.org, name).await? {
            Some(found) if found.source.is_none() => apps.get_or_insert_default().push(found.id),
            _ => unresolved_app_ids.push(match name {
                Ref::Id(id) => id.to_string(),
                Ref::Uid(uid) => uid.to_string(),
            }),
        }
    }
    if apps.as_ref().is_some_and(Vec::is_empty) {
        return Err(ApiError::invalid(&["body", "appIds"], "none of these is an application"));
    }
    let TaskOut { id, status, task, updated_at } =
        begin(&state, &caller, TaskKind::AppStats { since, until, apps }).await?;
    let out = AppUsageStatsOut { id, status, task, unresolved_app_ids, updated_at };
    Ok((StatusCode::ACCEPTED, Json(out)))
}

/// Aggregate Event Types
///
/// Finds out which event types the endpoints of each application listen to, as a background task: its `data`
/// has them as `event_types` when it has finished.
#[utoipa::path(put, path = "/api/v1/stats/usage/event-types",
    operation_id = "v1.statistics.aggregate-event-types", tag = "Statistics",
    responses((status = 202, body = TaskOut), ApiError))]
async fn event_types(
    State(state): State<ApiState>,
    OrgCaller(caller): OrgCaller,
) -> Result<(StatusCode, Json<TaskOut>), ApiError> {
    let task = begin(&state, &caller, TaskKind::EventTypes {}).await?;
    Ok((StatusCode::ACCEPTED, Json(task)))
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(app_stats)).routes(routes!(event_types))
}
