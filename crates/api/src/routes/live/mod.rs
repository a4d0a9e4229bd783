//! The live tail: what this node accepts and sends, as it happens, as server-sent events.

mod bodies;
mod filter;

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use domain::{id::ApplicationId, name::Ref, token::Capability};
use futures_util::stream;
use http::header;
use publish::live::{LiveEvent, NotWatching, Seen, Watch};
use tokio::time::{Interval, MissedTickBehavior, interval};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{
    bodies::{LiveOut, ShownKind},
    filter::{Filter, LiveQuery},
};
use crate::{
    auth::{AnyCaller, Caller},
    error::ApiError,
    extract::Query,
    routes::event_type,
    state::ApiState,
};

/// How often a reader hears that the connection is alive; and how long, at most, it stays after it may
/// not any more.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// A comment, which readers pass over.
const ALIVE: &[u8] = b": alive\n\n";

/// A reader that was let in.
struct Tail {
    state: ApiState,
    caller: Arc<Caller>,
    filter: Filter,
    watch: Watch,
    heartbeat: Interval,
}

impl Tail {
    /// The next part of the answer; `None` at the end.
    async fn part(&mut self) -> Option<Bytes> {
        loop {
            tokio::select! {
                // First of all whether it may still read: what waits is not shown to one who may not.
                biased;
                _ = self.heartbeat.tick() => {
                    return self.may_go_on().await.then_some(Bytes::from_static(ALIVE));
                }
                seen = self.watch.next() => match seen? {
                    Seen::Lost(count) => return Some(LiveOut::lost(count).part()),
                    Seen::Event(event) if self.shows(&event).await => {
                        return Some(LiveOut::of(&event).part());
                    }
                    Seen::Event(_) => {}
                },
            }
        }
    }

    /// Whether all is still as it was when it came: its token, and the application. An outage of the
    /// store is no reason to go.
    async fn may_go_on(&self) -> bool {
        let now = self.state.clock.now();
        if self.state.auth.refuses(&self.caller, now) || now >= self.caller.expires_at {
            return false;
        }
        let Some(app) = self.filter.app else { return true };
        match self.state.app(&self.caller, &Ref::Id(app), Capability::ViewBase).await {
            Ok(_) | Err(ApiError::Unavailable(_) | ApiError::Internal) => true,
            Err(_) => false,
        }
    }

    /// Whether an event is asked for, and the caller may know of its type.
    async fn shows(&self, event: &LiveEvent) -> bool {
        if !self.filter.wants(event) {
            return false;
        }
        if self.caller.organization().is_ok() {
            return true;
        }
        let organization = self.state.publisher.catalogues().organization(self.caller.org).await;
        // Where that is not known, it is not shown.
        organization.is_ok_and(|organization| {
            let known = organization.event_types.get(&event.event_type);
            known.is_none_or(|known| event_type::is_visible(&self.caller, &known.event_type))
        })
    }
}

/// The application that a caller may watch, or wants to; `None` is the whole organization.
async fn watched(
    state: &ApiState,
    caller: &Caller,
    asked: Option<Ref<ApplicationId>>,
) -> Result<Option<Arc<publish::ApplicationCatalogue>>, ApiError> {
    let app = match asked.or_else(|| caller.application().map(Ref::Id)) {
        Some(app) => app,
        None => return Ok(None),
    };
    Ok(Some(state.app(caller, &app, Capability::ViewBase).await?))
}

/// Live Tail
///
/// Messages as they are accepted and attempts as they are settled, as server-sent events, for as long as
/// the connection lasts: `event: message`, `event: attempt`, and `event: lost` with the number of events
/// that were missed because they were read too slowly. Every 10 seconds a comment says that the
/// connection is alive. It shows what happens from now on, and on several nodes what the node that
/// answers accepts and sends: it is for looking, and the lists are for knowing. An application's token
/// sees its own application. 503 says that too many are watching this node: come again later.
#[utoipa::path(get, path = "/api/v1/live", operation_id = "v1.live.tail", tag = "Live",
    params(
        ("appId" = Option<String>, Query, description = "Only of this application, by id or uid."),
        ("endpointId" = Option<String>, Query,
            description = "Only attempts of this endpoint; by uid if `appId` says whose."),
        ("eventTypes" = Option<Vec<String>>, Query, description = "Only of these types."),
        ("kind" = inline(Option<ShownKind>), Query, description = "Only these."),
        ("status" = inline(Option<bodies::LiveStatus>), Query,
            description = "Only attempts that ended so."),
    ),
    responses((status = 200, body = LiveOut, content_type = "text/event-stream"), ApiError))]
async fn tail(
    State(state): State<ApiState>,
    Query(query): Query<LiveQuery>,
    AnyCaller(caller): AnyCaller,
) -> Result<Response, ApiError> {
    let app = watched(&state, &caller, query.app.clone()).await?;
    let filter = query.filter(app.as_deref())?;
    let watch = state.publisher.live().watch(caller.org, filter.app).map_err(|why| match why {
        NotWatching::Full => ApiError::Unavailable("Too many are watching this node."),
        NotWatching::Closed => ApiError::Unavailable("The server is stopping."),
    })?;
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let tail = Tail { state, caller, filter, watch, heartbeat };
    let parts = stream::unfold(tail, async |mut tail| {
        let part = tail.part().await?;
        Some((Ok::<_, Infallible>(part), tail))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // Proxies that gather answers would keep events from the reader.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(parts)).into_response())
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(tail))
}
