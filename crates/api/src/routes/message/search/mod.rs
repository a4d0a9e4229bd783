//! Searching an application's messages, also for text in their payloads: a bounded scan that streams what
//! it finds and says how far it is. No index is kept for it.

mod bodies;
mod scan;
mod slots;
mod text;

use std::{convert::Infallible, time::Duration};

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use domain::{
    clock::Timestamp,
    id::{ApplicationId, MessageId},
    name::{Channel, EventTypeName, Ref, Tag},
    page::{DEFAULT_PAGE, MAX_PAGE},
    standing::Status,
    token::Capability,
};
use futures_util::stream;
use http::header;
use store::history::MessageFilter;
use utoipa::IntoParams;

pub use self::slots::Slots;
use self::{
    bodies::Line,
    scan::{Scan, Wanted},
    text::Needle,
};
use crate::{
    auth::AnyCaller,
    error::ApiError,
    extract::{FromQuery, Path, Query, QueryPairs},
    openapi::MessageStatus,
    routes::attempt,
    state::{ApiState, tenant},
};

/// How far back a search goes if nobody says.
const DEFAULT_SPAN: Duration = Duration::from_secs(24 * 3_600);

/// What is looked for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::routes) struct SearchQuery {
    /// In the payload as it was posted, whatever the case of its letters. 1 to 256 bytes.
    #[param(value_type = Option<String>, min_length = 1, max_length = 256)]
    text: Option<Needle>,
    /// Messages from then on; 24 hours before `until` if nobody says.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Messages before then; now if nobody says.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Only of these types.
    #[param(value_type = Option<Vec<String>>)]
    event_types: Option<Vec<EventTypeName>>,
    /// Only with this channel.
    #[param(value_type = Option<String>)]
    channel: Option<Channel>,
    /// Only with this tag.
    #[param(value_type = Option<String>)]
    tag: Option<Tag>,
    /// Only those that stand so at one of their endpoints: 0 success, 1 pending, 2 fail, 3 sending, 4
    /// canceled.
    #[param(inline, value_type = Option<MessageStatus>)]
    status: Option<Status>,
    /// Most messages to find.
    #[param(required = false, minimum = 1, maximum = 250, default = 50)]
    limit: u16,
}

impl FromQuery for SearchQuery {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        let limit: u64 = query.typed("limit")?.unwrap_or(u64::from(DEFAULT_PAGE));
        let limit = match u16::try_from(limit) {
            Ok(limit @ 1..=MAX_PAGE) => limit,
            _ => {
                let msg = format!("must be 1 to {MAX_PAGE}");
                return Err(ApiError::invalid(&["query", "limit"], msg));
            }
        };
        Ok(Self {
            text: query.formed("text")?,
            since: query.typed("since")?,
            until: query.typed("until")?,
            event_types: query.list("event_types")?,
            channel: query.formed("channel")?,
            tag: query.formed("tag")?,
            status: attempt::status(query)?,
            limit,
        })
    }
}

impl SearchQuery {
    fn wanted(self, now: Timestamp) -> Result<Wanted, ApiError> {
        let until = self.until.unwrap_or(now.plus(Duration::from_secs(1)));
        let since = self.since.unwrap_or(until.minus(DEFAULT_SPAN));
        if since > until {
            return Err(ApiError::invalid(&["query", "since"], "must not lie behind `until`"));
        }
        // Ids tell the time in steps: of the step that `since` falls into, all are found.
        let step = |at: Timestamp| MessageId::floor(at).timestamp();
        let filter = MessageFilter {
            before: Some(step(until)),
            after: Some(step(since).minus(Duration::from_micros(1))),
            channel: self.channel,
            tag: self.tag,
            event_types: self.event_types,
        };
        let limit = self.limit.into();
        Ok(Wanted { filter, text: self.text, status: self.status, limit })
    }
}

/// Search Messages
///
/// Looks through an application's messages, newest first, and answers line by line (`application/x-ndjson`):
/// `{"message": …}` for each that is found, `{"progress": …}` at least each second, `{"done": …}` at the
/// end. It reads at most 1,000,000 messages, and for at most 60 seconds; then `reason` is `bound`. A node
/// does 8 at a time, 2 of one application: over that the answer is 503 with `Retry-After`. It ends when its
/// reader goes away.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg/search", operation_id = "v1.message.search",
    tag = "Message",
    params(crate::openapi::AppPath, SearchQuery),
    responses((status = 200, body = Line, content_type = "application/x-ndjson"), ApiError))]
pub(super) async fn search(
    State(state): State<ApiState>,
    Query(query): Query<SearchQuery>,
    Path((app,)): Path<(Ref<ApplicationId>,)>,
    AnyCaller(caller): AnyCaller,
) -> Result<Response, ApiError> {
    let app = state.app(&caller, &app, Capability::ViewBase).await?;
    let wanted = query.wanted(state.clock.now())?;
    let busy = ApiError::Unavailable("Too many searches go on; try again later.");
    let slot = state.searches.take(app.application.id).ok_or(busy)?;
    let scan = Scan::new(state, tenant(&app), wanted, slot);
    let lines = stream::unfold(scan, |mut scan| async move {
        let line = scan.line().await?;
        Some((Ok::<_, Infallible>(line), scan))
    });
    let kind =
        [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")];
    Ok((kind, Body::from_stream(lines)).into_response())
}
