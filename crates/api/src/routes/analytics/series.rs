//! Answering a question from rollups.

use domain::{
    analytics::Granularity,
    clock::Timestamp,
    id::ApplicationId,
    name::Ref,
    token::{Capability, Scope},
};
use store::{
    StoreError,
    analytics::{Of, RollupRow, Span, spans},
};

use super::{
    applications,
    groups::{Group, Groups, Names, grouped, rank, row},
    query::{AnalyticsOut, Dimension, Question},
};
use crate::{
    auth::Caller,
    error::ApiError,
    state::{self, ApiState},
};

/// Rollups that one question may look at.
const MOST_ROLLUPS: usize = 200_000;
/// Units of time that are in memory at once: a day of quarters.
const AT_ONCE: u32 = 96;

/// One application, if the caller or the question names one.
async fn application(
    state: &ApiState,
    caller: &Caller,
    question: &Question,
) -> Result<Option<ApplicationId>, ApiError> {
    let app = match (&question.app, &caller.scope) {
        (Some(app), _) => app.clone(),
        (None, Scope::Application { app, .. }) => Ref::Id(*app),
        (None, Scope::Organization(_)) => return Ok(None),
    };
    Ok(Some(state.app(caller, &app, Capability::ViewBase).await?.application.id))
}

/// The pieces of time that a stretch is made of.
pub(super) async fn plan(
    state: &ApiState,
    granularity: Granularity,
    utc_days: bool,
    range: (Timestamp, Timestamp),
) -> Result<Vec<Span>, ApiError> {
    Ok(spans(&*state.store, granularity, utc_days, range, state.clock.now()).await?)
}

pub(super) async fn answer(
    state: &ApiState,
    caller: &Caller,
    question: Question,
) -> Result<AnalyticsOut, ApiError> {
    let now = state.clock.now();
    let (since, until) = question.range(now)?;
    let app = application(state, caller, &question).await?;
    let utc = question.zone.to_fixed_offset().is_ok_and(|offset| offset.is_zero());
    let spans = plan(state, question.granularity, utc, (since, until)).await?;
    let endpoint = match (app, &question.endpoint) {
        (_, None) => None,
        (Some(app), Some(endpoint)) => {
            let app = state.app(caller, &Ref::Id(app), Capability::ViewBase).await?;
            Some(state::endpoint(&app, endpoint)?.id)
        }
        (None, Some(_)) => return Err(needs_app("endpointId")),
    };
    let (mut groups, mut names, mut truncated) = (Groups::new(), Names::new(), false);
    match app {
        Some(app) => {
            let wanted =
                |row: &RollupRow| endpoint.is_none_or(|wanted| row.endpoint == Some(wanted));
            let add = |rows: Vec<RollupRow>| {
                grouped(&mut groups, &question, rows.into_iter().filter(wanted));
            };
            read(state, caller, Of::Application(app), &spans, add).await?;
            if question.has(Dimension::App) {
                let found = state.app(caller, &Ref::Id(app), Capability::ViewBase).await?;
                names.insert(app, found.application.name.clone());
            }
        }
        None if question.has(Dimension::Endpoint) => return Err(needs_app("dimensions")),
        None if question.has(Dimension::App) => {
            (groups, names, truncated) =
                applications::groups(state, caller, &question, &spans).await?;
        }
        None => {
            let add = |rows| grouped(&mut groups, &question, rows);
            read(state, caller, Of::EventTypes, &spans, add).await?;
        }
    }
    let mut order: Vec<_> =
        groups.iter().map(|(group, points)| (rank(&question, points), group)).collect();
    order.sort_by(|(a, left), (b, right)| b.total_cmp(a).then_with(|| left.cmp(right)));
    truncated |= order.len() > question.limit;
    let chosen: Vec<Group> =
        order.into_iter().take(question.limit).map(|(_, group)| group.clone()).collect();
    let mut rows = Vec::new();
    for group in chosen {
        for (time, rollup) in groups.remove(&group).unwrap_or_default() {
            rows.push(row(&question, &group, time, &rollup, &names));
        }
    }
    Ok(AnalyticsOut { since, until, time_zone: question.zone_name, rows, truncated, as_of: now })
}

fn needs_app(field: &'static str) -> ApiError {
    ApiError::invalid(&["query", field], "endpoints are told of one application: name its `appId`")
}

/// Gives all rollups of a stretch to `add`, [`AT_ONCE`] units of time at once.
pub(super) async fn read(
    state: &ApiState,
    caller: &Caller,
    of: Of,
    spans: &[Span],
    mut add: impl FnMut(Vec<RollupRow>),
) -> Result<(), ApiError> {
    let mut left = MOST_ROLLUPS;
    for span in spans.iter().flat_map(|span| span.parts(AT_ONCE)) {
        let rows = state.store.rollups(caller.org, of, span, left).await;
        let rows = rows.map_err(|error| match error {
            StoreError::Overloaded | StoreError::TooLong => ApiError::generic(
                "That is too much to look at: ask for a shorter stretch, or a larger granularity.",
            ),
            error => error.into(),
        })?;
        left -= rows.len().min(left);
        add(rows);
    }
    Ok(())
}
