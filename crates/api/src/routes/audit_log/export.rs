//! The audit log as a file, written a page at a time.

use std::{io, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use domain::{
    clock::Timestamp,
    id::AuditId,
    page::{Cursor, MAX_PAGE, Order, Page, PageRequest},
};
use futures_util::stream;
use http::header;
use store::audit::{AuditEntry, AuditRange};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::AuditLogOut;
use crate::{
    auth::{Caller, OrgCaller},
    error::ApiError,
    extract::{FromQuery, Query, QueryPairs},
    state::ApiState,
};

/// What is exported when nobody says, up to now.
const DEFAULT_SPAN: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Longest that one export may span: more than a year.
const MAX_SPAN: Duration = Duration::from_secs(400 * 24 * 3_600);
const CSV_HEAD: &str = "id,at,actor,action,target,detail\r\n";

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum ExportFormat {
    /// A line of fields each (RFC 4180).
    Csv,
    /// A line of JSON each.
    Ndjson,
}

impl ExportFormat {
    const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    const fn disposition(self) -> &'static str {
        match self {
            Self::Csv => "attachment; filename=\"audit-log.csv\"",
            Self::Ndjson => "attachment; filename=\"audit-log.ndjson\"",
        }
    }

    fn write(self, entry: AuditEntry, out: &mut Vec<u8>) {
        match self {
            Self::Csv => out.extend_from_slice(csv_line(&entry).as_bytes()),
            Self::Ndjson => {
                if let Ok(line) = serde_json::to_vec(&AuditLogOut::from(entry)) {
                    out.extend_from_slice(&line);
                    out.push(b'\n');
                }
            }
        }
    }
}

/// A line of a CSV file. What a spreadsheet would take for a formula is made a text.
fn csv_line(entry: &AuditEntry) -> String {
    let (id, at) = (entry.id.to_string(), entry.at.to_string());
    let fields = [&id, &at, &entry.actor, &entry.action, &entry.target, &entry.detail];
    let fields = fields.map(|field| {
        let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
        format!("\"{}{}\"", if formula { "'" } else { "" }, field.replace('"', "\"\""))
    });
    fields.join(",") + "\r\n"
}

struct ExportQuery {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    format: ExportFormat,
}

impl FromQuery for ExportQuery {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        let format = match query.get("format") {
            None | Some("csv") => ExportFormat::Csv,
            Some("ndjson") => ExportFormat::Ndjson,
            Some(_) => return Err(ApiError::generic("format: must be `csv` or `ndjson`")),
        };
        Ok(Self { since: query.formed("since")?, until: query.formed("until")?, format })
    }
}

impl ExportQuery {
    fn range(&self, now: Timestamp) -> Result<AuditRange, ApiError> {
        let until = self.until.unwrap_or(now);
        let since = self.since.unwrap_or(until.minus(DEFAULT_SPAN));
        if since >= until {
            return Err(ApiError::invalid(&["query", "since"], "must be earlier than `until`"));
        }
        if until.since(since) > MAX_SPAN {
            let msg = "must be at most 400 days before `until`: export a part at a time";
            return Err(ApiError::invalid(&["query", "since"], msg));
        }
        Ok(AuditRange { since, until })
    }
}

/// An export on its way.
struct Export {
    state: ApiState,
    caller: Arc<Caller>,
    range: AuditRange,
    format: ExportFormat,
    /// The page to write next; `None` once all is written.
    page: Option<Page<AuditEntry>>,
}

impl Export {
    async fn read(&self, after: Option<AuditId>) -> Result<Page<AuditEntry>, ApiError> {
        let (limit, order) = (MAX_PAGE, Order::Ascending);
        let page = PageRequest { limit, order, cursor: after.map(Cursor::After) };
        Ok(self.state.store.audit_log(self.caller.org, self.range, page).await?)
    }

    /// The next part of the file. An error breaks the answer off: nobody takes half of it for all.
    async fn part(&mut self) -> io::Result<Option<Bytes>> {
        let Some(page) = self.page.take() else { return Ok(None) };
        let last = page.items.last().map(|entry| entry.id).filter(|_| !page.done);
        let mut part = Vec::new();
        for entry in page.items {
            self.format.write(entry, &mut part);
        }
        if let Some(last) = last {
            if self.state.auth.refuses(&self.caller, self.state.clock.now()) {
                return Err(io::Error::other("the token was revoked"));
            }
            let next = self.read(Some(last)).await;
            self.page = Some(next.map_err(|error| io::Error::other(error.parts().1.to_owned()))?);
        }
        Ok(Some(part.into()))
    }
}

/// Export Audit Log
///
/// Who changed what in the organization between two moments, oldest first, as a file. In CSV, a field
/// that a spreadsheet would take for a formula has a `'` before it. An answer that breaks off is not
/// whole.
#[utoipa::path(get, path = "/api/v1/audit-log/export", operation_id = "v1.audit-log.export",
    tag = "Audit Log",
    params(
        ("since" = Option<String>, Query, format = DateTime,
            description = "The earliest; 30 days before `until` if nobody says, 400 at most."),
        ("until" = Option<String>, Query, format = DateTime,
            description = "Behind the latest; now if nobody says."),
        ("format" = inline(Option<ExportFormat>), Query, description = "`csv` if nobody says."),
    ),
    responses(
        (status = 200, content((String = "text/csv"), (AuditLogOut = "application/x-ndjson"))),
        ApiError))]
async fn export(
    State(state): State<ApiState>,
    Query(query): Query<ExportQuery>,
    OrgCaller(caller): OrgCaller,
) -> Result<Response, ApiError> {
    let range = query.range(state.clock.now())?;
    let format = query.format;
    let mut export = Export { state, caller, range, format, page: None };
    // The first page is read before anything is said, so that a store that is away is a 503.
    export.page = Some(export.read(None).await?);
    let head = if format == ExportFormat::Csv { CSV_HEAD } else { "" };
    let parts = stream::try_unfold((export, Some(head)), async |(mut export, head)| {
        if let Some(head) = head.filter(|head| !head.is_empty()) {
            return Ok::<_, io::Error>(Some((Bytes::from_static(head.as_bytes()), (export, None))));
        }
        Ok(export.part().await?.map(|part| (part, (export, None))))
    });
    let headers = [
        (header::CONTENT_TYPE, format.content_type()),
        (header::CONTENT_DISPOSITION, format.disposition()),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Body::from_stream(parts)).into_response())
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(export))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_texts_in_a_spreadsheet() {
        let line = |target: &str| {
            csv_line(&AuditEntry {
                id: AuditId::from_raw([1; 20]),
                at: Timestamp::from_secs(0),
                actor: "system".into(),
                action: "a".into(),
                target: target.into(),
                detail: "{}".into(),
            })
        };
        for (target, field) in [
            ("=1+1", "\"'=1+1\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@x", "\"'@x\""),
            ("\tx", "\"'\tx\""),
            ("a=1", "\"a=1\""),
            ("say \"a,b\"", "\"say \"\"a,b\"\"\""),
        ] {
            let line = line(target);
            assert!(line.ends_with(&format!(",{field},\"{{}}\"\r\n")), "{line}");
        }
    }
}
