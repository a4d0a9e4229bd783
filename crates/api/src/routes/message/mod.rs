//! Messages: what customers are told.

mod batch;
mod bodies;
mod read;
mod search;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use domain::{
    filter,
    id::ApplicationId,
    name::{Channel, EventTypeName, Ref},
    token::Capability,
};
use http::StatusCode;
use publish::{Accepted, Draft};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::bodies::Payload;
pub use self::{
    bodies::{MessageIn, MessageOut},
    read::{MessageHistoryQuery, newest_first},
    search::Slots,
};
use super::{application, endpoint};
use crate::{
    auth::{Caller, OrgCaller},
    body,
    error::ApiError,
    extract::{FromQuery, Path, Query, QueryPairs},
    idempotency::RequestKey,
    state::ApiState,
    trace::TraceParent,
};

/// Whether payloads are answered.
#[derive(Clone, Copy, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ContentQuery {
    /// Answer payloads; without them they are `{}`.
    #[param(required = false, default = true)]
    pub with_content: bool,
}

impl FromQuery for ContentQuery {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        Ok(Self { with_content: query.flag("with_content", true)? })
    }
}

/// Create Message
///
/// Accepts a message, for every endpoint of the application that wants it. It is on stable storage
/// when this answers.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/msg", operation_id = "v1.message.create",
    tag = "Message",
    params(crate::openapi::AppPath, ContentQuery, crate::openapi::IdempotencyKey),
    request_body = MessageIn,
    responses((status = 202, body = MessageOut), ApiError))]
async fn create(
    State(state): State<ApiState>,
    Query(query): Query<ContentQuery>,
    Path((app,)): Path<(Ref<ApplicationId>,)>,
    OrgCaller(caller): OrgCaller,
    key: RequestKey,
    trace: TraceParent,
    body: Bytes,
) -> Result<Response, ApiError> {
    let New { draft, echo, in_line } = New::read(&state, &caller, &key, &trace, &body)?;
    let mut published = state.publish_one(&caller, &app, draft).await;
    if matches!(published, Err(ApiError::NO_APPLICATION))
        && let Some(in_line) = in_line
    {
        // Boxed: it is rare, and large.
        published = Box::pin(in_line.publish(&state, &caller, &app)).await;
    }
    let accepted = published?;
    let mut out = MessageOut::new(&accepted.message, query.with_content);
    if let (Some(echo), true, false) = (echo, query.with_content, accepted.repeated) {
        // The text of the request: known to be JSON, and not copied.
        out.payload = echo;
    }
    Ok((StatusCode::ACCEPTED, Json(out)).into_response())
}

/// A request's message.
struct New<'a> {
    draft: Draft,
    /// Its payload, to answer with.
    echo: Option<Payload<'a>>,
    in_line: Option<Box<InLine>>,
}

/// An application that is made first if it is not there, and the message that is published then.
struct InLine {
    application: application::Checked,
    draft: Draft,
}

impl<'a> New<'a> {
    fn read(
        state: &ApiState,
        caller: &Caller,
        key: &RequestKey,
        trace: &TraceParent,
        body: &'a Bytes,
    ) -> Result<Self, ApiError> {
        let input: MessageIn<'a> = body::parse(body)?;
        let echo = input.echo();
        let idempotency = key.message(state, caller, None);
        let (mut draft, application) = input.draft(body, state.clock.now(), idempotency)?;
        trace.onto(&mut draft.body);
        let in_line =
            application.map(|application| Box::new(InLine { application, draft: draft.clone() }));
        Ok(Self { draft, echo, in_line })
    }
}

impl InLine {
    async fn publish(
        self,
        state: &ApiState,
        caller: &Caller,
        app: &Ref<ApplicationId>,
    ) -> Result<Accepted, ApiError> {
        let Self { application, draft } = self;
        application::create_in_line(state, &caller.actor(), caller.org, app, application).await?;
        state.publish_one(caller, app, draft).await
    }
}

/// What would be sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessagePrecheckIn {
    /// Of which type.
    #[schema(value_type = String)]
    event_type: EventTypeName,
    /// With which channels.
    #[schema(value_type = Option<Vec<String>>)]
    channels: Option<Vec<Channel>>,
}

/// Whether anybody listens.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessagePrecheckOut {
    /// An enabled endpoint wants such a message.
    pub active: bool,
}

/// Create Message Precheck
///
/// Whether a message of this type and these channels would go anywhere.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/msg/precheck/active",
    operation_id = "v1.message.precheck", tag = "Message",
    params(crate::openapi::AppPath), request_body = MessagePrecheckIn,
    responses((status = 200, body = MessagePrecheckOut), ApiError))]
async fn precheck(
    State(state): State<ApiState>,
    Path((app,)): Path<(Ref<ApplicationId>,)>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<Json<MessagePrecheckOut>, ApiError> {
    let app = state.app(&caller, &app, Capability::ViewBase).await?;
    let MessagePrecheckIn { event_type, channels } = body::parse(&body)?;
    let channels = channels.unwrap_or_default();
    let wants =
        |e: &domain::endpoint::Endpoint| !e.disabled && filter::accepts(e, &event_type, &channels);
    let active = app.endpoints.iter().any(|e| wants(&e.endpoint));
    Ok(Json(MessagePrecheckOut { active }))
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(read::list, create))
        .routes(routes!(batch::create_batch))
        .route("/api/v1/app/{app_id}/msg/batch", get(read::get_batch))
        .routes(routes!(precheck))
        .routes(routes!(search::search))
        .routes(routes!(read::get))
        .routes(routes!(read::expunge))
        .merge(endpoint::message_router())
}
