//! What each application used in a month, for a bill.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use domain::{analytics::Granularity, clock::Timestamp, name::Ref};
use http::header;
use serde::Serialize;
use store::statistics;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::series;
use crate::{
    auth::OrgCaller,
    csv::Csv,
    error::ApiError,
    extract::{FromQuery, Query, QueryPairs},
    state::ApiState,
};

/// Which month, and how it is written.
struct UsageQuery {
    month: (Timestamp, Timestamp),
    csv: bool,
}

impl FromQuery for UsageQuery {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        let invalid = || ApiError::invalid(&["query", "month"], "must be a month, as 2026-11");
        let month = month(query.get("month").ok_or_else(invalid)?).ok_or_else(invalid)?;
        let csv = match query.get("format") {
            None | Some("json") => false,
            Some("csv") => true,
            Some(_) => return Err(ApiError::invalid(&["query", "format"], "must be json or csv")),
        };
        Ok(Self { month, csv })
    }
}

/// A month of UTC: its beginning and its end.
fn month(text: &str) -> Option<(Timestamp, Timestamp)> {
    let (year, month) = text.split_once('-')?;
    if year.len() != 4 || month.len() != 2 {
        return None;
    }
    let (year, month): (u16, u8) = (year.parse().ok()?, month.parse().ok()?);
    let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    let begin = |year: u16, month: u8| format!("{year:04}-{month:02}-01T00:00:00Z").parse().ok();
    Some((begin(year, month)?, begin(next_year, next)?))
}

/// The parameters, described.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes UsageQuery")]
struct UsageParams {
    /// A month of UTC.
    #[param(example = "2026-11")]
    month: String,
    /// json or csv.
    #[param(required = false, default = "json")]
    format: String,
}

/// What an application used.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageOut {
    /// Ours.
    app_id: String,
    /// The caller's; null also for one that is deleted.
    app_uid: Option<String>,
    /// What it is called; null for one that is deleted.
    app_name: Option<String>,
    /// Messages accepted.
    messages: u64,
    /// Attempts made.
    attempts: u64,
    /// Those that arrived.
    successes: u64,
    /// Those that did not.
    failures: u64,
    /// Bytes of the messages' payloads.
    bytes: u64,
}

/// Export Usage
///
/// Counts of each application in a month, by its id. With `format=csv` as a table with a line of names.
#[utoipa::path(get, path = "/api/v1/analytics/usage", operation_id = "v1.analytics.usage",
    tag = "Analytics", params(UsageParams),
    responses((status = 200, body = Vec<UsageOut>), ApiError))]
async fn usage(
    State(state): State<ApiState>,
    Query(UsageQuery { month, csv }): Query<UsageQuery>,
    OrgCaller(caller): OrgCaller,
) -> Result<Response, ApiError> {
    let spans = series::plan(&state, Granularity::Total, true, month).await?;
    let mut all: Vec<_> =
        statistics::counts(&*state.store, caller.org, &spans).await?.into_iter().collect();
    all.sort_by_key(|(app, _)| *app);
    let mut rows = Vec::with_capacity(all.len());
    for (app, counts) in all {
        let found = state.publisher.catalogues().application(caller.org, &Ref::Id(app)).await?;
        let found = found.as_ref().map(|found| &found.application);
        rows.push(UsageOut {
            app_id: app.to_string(),
            app_uid: found.and_then(|app| app.uid.as_ref()).map(ToString::to_string),
            app_name: found.map(|app| app.name.clone()),
            messages: counts.messages,
            attempts: counts.attempts,
            successes: counts.successes,
            failures: counts.attempts - counts.successes,
            bytes: counts.bytes,
        });
    }
    if !csv {
        return Ok(Json(rows).into_response());
    }
    let names = "appId,appUid,appName,messages,attempts,successes,failures,bytes";
    let mut table = Csv::new(names);
    for row in &rows {
        let uid = row.app_uid.as_deref().unwrap_or_default();
        let name = row.app_name.as_deref().unwrap_or_default();
        let counts = [row.messages, row.attempts, row.successes, row.failures, row.bytes];
        table.line(
            [row.app_id.as_str(), uid, name]
                .map(str::to_owned)
                .into_iter()
                .chain(counts.map(|count| count.to_string())),
        );
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=usage.csv"),
    ];
    Ok((headers, table.text()).into_response())
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(usage))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_of_the_calendar() {
        let shown = |text| month(text).map(|(from, until)| format!("{from} {until}"));
        assert_eq!(shown("2026-12").as_deref(), Some("2026-12-01T00:00:00Z 2027-01-01T00:00:00Z"));
        assert_eq!(shown("2028-02").as_deref(), Some("2028-02-01T00:00:00Z 2028-03-01T00:00:00Z"));
        for text in ["", "2026", "2026-13", "2026-00", "2026-1", "26-01", "2026-01-01"] {
            assert_eq!(month(text), None, "{text}");
        }
    }
}
