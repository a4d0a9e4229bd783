//! Reading messages, and removing what they say.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use domain::{
    clock::Timestamp,
    id::{ApplicationId, MessageId},
    name::Ref,
    page::{Cursor, Order, PageRequest},
    token::Capability,
};
use http::StatusCode;
use store::history::MessageFilter;

use super::{ContentQuery, MessageOut};
use crate::{
    auth::{AnyCaller, OrgCaller},
    error::ApiError,
    extract::{FromQuery, Path, Query, QueryPairs},
    page::{self, ListResponse, PageQuery},
    state::{ApiState, tenant},
};

/// Which messages: the filters that all lists of history share.
pub struct MessageHistoryQuery(pub MessageFilter);

impl FromQuery for MessageHistoryQuery {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        // Ids tell the time in steps of 4 ms. Of the step that a bound falls into, all are `after`
        // it and none `before`, so that the bound may be a time that was answered.
        let step = |at: Timestamp| MessageId::floor(at).timestamp();
        Ok(Self(MessageFilter {
            before: query.typed("before")?.map(step),
            after: query.typed("after")?.map(|at| step(at).minus(Duration::from_micros(1))),
            channel: query.formed("channel")?,
            tag: query.formed("tag")?,
            event_types: query.list("event_types")?,
        }))
    }
}

/// Where a list of history begins. With `after` alone it is what came right behind that moment, still
/// newest first.
pub fn newest_first<K>(
    page: PageQuery<K>,
    filter: &MessageFilter,
    floor: impl Fn(Timestamp) -> K,
) -> PageRequest<K> {
    let from_after = !page.has_iterator() && filter.before.is_none();
    let mut request = page.fixed(Order::Descending);
    if let (true, Some(after)) = (from_after, filter.after) {
        request.cursor = Some(Cursor::Before(floor(after)));
    }
    request
}

/// List Messages
///
/// The messages of an application, newest first.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg", operation_id = "v1.message.list",
    tag = "Message",
    params(crate::openapi::AppPath, crate::openapi::FixedPage, ContentQuery,
        crate::openapi::MessageFilters),
    responses((status = 200, body = ListResponse<MessageOut>), ApiError))]
pub(super) async fn list(
    State(state): State<ApiState>,
    Query((page, (content, MessageHistoryQuery(filter)))): Query<(
        PageQuery<MessageId>,
        (ContentQuery, MessageHistoryQuery),
    )>,
    Path((app,)): Path<(Ref<ApplicationId>,)>,
    AnyCaller(caller): AnyCaller,
) -> Result<Response, ApiError> {
    let app = state.app(&caller, &app, Capability::ViewBase).await?;
    let tenant = tenant(&app);
    let with_content = content.with_content;
    let list = page::fill(newest_first(page, &filter, MessageId::floor), |page| {
        state.store.messages(tenant, filter.clone(), page, with_content)
    })
    .await?;
    Ok(Json(list.lend(|message| MessageOut::new(message, with_content))).into_response())
}

/// Get Message
///
/// A message.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg/{msg_id}", operation_id = "v1.message.get",
    tag = "Message",
    params(crate::openapi::MessagePath, ContentQuery),
    responses((status = 200, body = MessageOut), ApiError))]
pub(super) async fn get(
    State(state): State<ApiState>,
    Query(query): Query<ContentQuery>,
    Path((app, message)): Path<(Ref<ApplicationId>, Ref<MessageId>)>,
    AnyCaller(caller): AnyCaller,
) -> Result<Response, ApiError> {
    let app = state.app(&caller, &app, Capability::ViewBase).await?;
    let message = state.store.message(tenant(&app), &message).await?;
    let message = message.ok_or(ApiError::NOT_FOUND)?;
    Ok(Json(MessageOut::new(&message, query.with_content)).into_response())
}

/// The message whose event id is `batch`: its path is also where batches are posted to.
pub(super) async fn get_batch(
    state: State<ApiState>,
    query: Query<ContentQuery>,
    Path((app,)): Path<(Ref<ApplicationId>,)>,
    caller: AnyCaller,
) -> Result<Response, ApiError> {
    let message = "batch".parse().map_err(|_| ApiError::Internal)?;
    get(state, query, Path((app, message)), caller).await
}

/// Delete message payload
///
/// Removes a message's payload; what is pending of it is cancelled.
#[utoipa::path(delete, path = "/api/v1/app/{app_id}/msg/{msg_id}/content",
    operation_id = "v1.message.expunge-content", tag = "Message",
    params(crate::openapi::MessagePath),
    responses((status = 204, description = "It is gone."), ApiError))]
pub(super) async fn expunge(
    State(state): State<ApiState>,
    Path((app, message)): Path<(Ref<ApplicationId>, Ref<MessageId>)>,
    OrgCaller(caller): OrgCaller,
) -> Result<StatusCode, ApiError> {
    let app = state.app(&caller, &app, Capability::ViewBase).await?;
    let tenant = tenant(&app);
    let message = state.store.message(tenant, &message).await?.ok_or(ApiError::NOT_FOUND)?;
    let now = state.clock.now();
    if !state.store.expunge_message(tenant, message.id, now).await? {
        return Err(ApiError::NOT_FOUND);
    }
    // Whoever holds it in memory, to be sent, lets it go.
    state.publisher.handover().message_expunged(tenant.org, tenant.app, message.id);
    Ok(StatusCode::NO_CONTENT)
}
