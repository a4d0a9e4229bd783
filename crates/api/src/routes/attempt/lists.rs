//! Lists of attempts, of an endpoint's messages, and of a message's endpoints.

use std::collections::HashMap;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use domain::{
    attempt::Attempt,
    id::{ApplicationId, AttemptId, EndpointId, MessageId},
    name::Ref,
    page::Order,
    standing::STATUS_CODE_CLASSES,
    token::Capability,
};
use store::history::{AttemptFilter, EndpointMessage, MessageEndpoint, Status};

use super::{
    EndpointMessageOut, MessageAttemptItem, MessageAttemptOut, MessageEndpointOut,
    bodies::ShownStatus,
};
use crate::{
    auth::AnyCaller,
    error::ApiError,
    extract::{FromQuery, Path, Query, QueryPairs},
    page::{self, ListResponse, PageQuery},
    routes::message::{ContentQuery, MessageHistoryQuery, MessageOut, newest_first},
    state::{self, ApiState, tenant},
};

/// Filters of lists of attempts.
pub(super) struct AttemptQuery {
    status: Option<Status>,
    status_code_class: Option<u16>,
}

impl FromQuery for AttemptQuery {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        let class: Option<u16> = query.typed("status_code_class")?;
        if class.is_some_and(|c| !STATUS_CODE_CLASSES.contains(&c)) {
            let msg = "status_code_class: must be 0, 100, 200, 300, 400 or 500";
            return Err(ApiError::generic(msg));
        }
        Ok(Self { status: status(query)?, status_code_class: class })
    }
}

pub(in crate::routes) fn status(query: &QueryPairs<'_>) -> Result<Option<Status>, ApiError> {
    let Some(number) = query.typed("status")? else { return Ok(None) };
    let status = Status::from_number(number);
    status.map(Some).ok_or_else(|| ApiError::generic("status: must be 0 to 4"))
}

/// Whether messages are answered with their attempts.
pub(super) struct WithMessage(bool);

impl FromQuery for WithMessage {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        Ok(Self(query.flag("with_msg", false)?))
    }
}

/// Which endpoint's attempts.
pub(super) struct AtEndpoint(Option<Ref<EndpointId>>);

impl FromQuery for AtEndpoint {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        Ok(Self(query.formed("endpoint_id")?))
    }
}

/// Whether the caller knows that a delivery can be cancelled.
pub(super) struct Expanded(bool);

impl FromQuery for Expanded {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        Ok(Self(query.flag("expanded_statuses", false)?))
    }
}

/// Filters of the list of an endpoint's messages.
pub(super) struct StatusQuery {
    status: Option<Status>,
    expanded: bool,
}

impl FromQuery for StatusQuery {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        let status = status(query)?;
        let Expanded(expanded) = Expanded::from_query(query)?;
        // Whoever asks for cancelled ones knows the word.
        Ok(Self { status, expanded: expanded || status == Some(Status::Canceled) })
    }
}

/// The query of lists of attempts.
type AttemptsQuery<M> =
    (((PageQuery<AttemptId>, AttemptQuery), M), (ContentQuery, MessageHistoryQuery));

/// The query of the list of an endpoint's messages.
type MessagesQuery = ((PageQuery<MessageId>, StatusQuery), (ContentQuery, MessageHistoryQuery));

/// List Attempts By Endpoint
///
/// Attempts at one endpoint, newest first.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/attempt/endpoint/{endpoint_id}",
    operation_id = "v1.message-attempt.list-by-endpoint", tag = "Message Attempt",
    params(crate::openapi::EndpointPath, crate::openapi::FixedPage,
        crate::openapi::AttemptFilters, ContentQuery, crate::openapi::MessageFilters,
        ("with_msg" = Option<bool>, Query, description = "Answer the messages too, without their payloads.")),
    responses((status = 200, body = ListResponse<MessageAttemptOut>), ApiError))]
pub(super) async fn by_endpoint(
    State(state): State<ApiState>,
    Query((((page, query), WithMessage(with_msg)), (content, MessageHistoryQuery(message)))): Query<
        AttemptsQuery<WithMessage>,
    >,
    Path((app, endpoint)): Path<(Ref<ApplicationId>, Ref<EndpointId>)>,
    AnyCaller(caller): AnyCaller,
) -> Result<Response, ApiError> {
    let app = state.app(&caller, &app, Capability::ViewBase).await?;
    let tenant = tenant(&app);
    let endpoint = state::endpoint(&app, &endpoint)?.id;
    let request = newest_first(page, &message, AttemptId::floor);
    let filter = AttemptFilter {
        message,
        status: query.status,
        status_code_class: query.status_code_class,
        endpoint: None,
    };
    let list = page::fill(request, |page| {
        state.store.attempts_by_endpoint(tenant, endpoint, filter.clone(), page)
    })
    .await?;
    let messages: HashMap<_, _> = if with_msg {
        let mut ids: Vec<_> = list.data.iter().map(|attempt: &Attempt| attempt.message).collect();
        ids.sort_unstable();
        ids.dedup();
        let found = state.store.messages_by_id(tenant, ids, false).await?;
        found.into_iter().map(|message| (message.id, message)).collect()
    } else {
        HashMap::new()
    };
    let list = list.map(|attempt| {
        let message = messages.get(&attempt.message);
        let mut out = MessageAttemptOut::new(attempt, content.with_content);
        out.msg = message.map(|message| MessageOut::new(message, false));
        out
    });
    Ok(Json(list).into_response())
}

/// List Attempts By Msg
///
/// Attempts of one message, newest first.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/attempt/msg/{msg_id}",
    operation_id = "v1.message-attempt.list-by-msg", tag = "Message Attempt",
    params(crate::openapi::MessagePath, crate::openapi::FixedPage,
        crate::openapi::AttemptFilters, ContentQuery, crate::openapi::MessageFilters,
        ("endpoint_id" = Option<String>, Query, description = "Only at this endpoint.")),
    responses((status = 200, body = ListResponse<MessageAttemptOut>), ApiError))]
pub(super) async fn by_message(
    State(state): State<ApiState>,
    Query((((page, query), AtEndpoint(endpoint)), (content, MessageHistoryQuery(filter)))): Query<
        AttemptsQuery<AtEndpoint>,
    >,
    Path((app, message)): Path<(Ref<ApplicationId>, Ref<MessageId>)>,
    AnyCaller(caller): AnyCaller,
) -> Result<Response, ApiError> {
    let app = state.app(&caller, &app, Capability::ViewBase).await?;
    let tenant = tenant(&app);
    let message = state.store.message(tenant, &message).await?.ok_or(ApiError::NOT_FOUND)?.id;
    let request = newest_first(page, &filter, AttemptId::floor);
    let endpoint = match &endpoint {
        // History names deleted endpoints too, by id.
        Some(Ref::Id(id)) => Some(*id),
        Some(uid) => Some(state::endpoint(&app, uid)?.id),
        None => None,
    };
    let filter = AttemptFilter {
        message: filter,
        status: query.status,
        status_code_class: query.status_code_class,
        endpoint,
    };
    let list = page::fill(request, |page| {
        state.store.attempts_by_message(tenant, message, filter.clone(), page)
    })
    .await?;
    let show = |attempt| MessageAttemptItem::new(attempt, content.with_content);
    Ok(Json(list.map(show)).into_response())
}

/// List Attempted Messages
///
/// Messages that were sent, or are to be sent, to one endpoint, newest first.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/msg",
    operation_id = "v1.message-attempt.list-attempted-messages", tag = "Message Attempt",
    params(crate::openapi::EndpointPath, crate::openapi::FixedPage,
        crate::openapi::StatusFilter, ContentQuery, crate::openapi::MessageFilters),
    responses((status = 200, body = ListResponse<EndpointMessageOut>), ApiError))]
pub(super) async fn attempted_messages(
    State(state): State<ApiState>,
    Query(((page, query), (content, MessageHistoryQuery(filter)))): Query<MessagesQuery>,
    Path((app, endpoint)): Path<(Ref<ApplicationId>, Ref<EndpointId>)>,
    AnyCaller(caller): AnyCaller,
) -> Result<Response, ApiError> {
    let app = state.app(&caller, &app, Capability::ViewBase).await?;
    let tenant = tenant(&app);
    let endpoint = state::endpoint(&app, &endpoint)?.id;
    let with_content = content.with_content;
    let statuses = ShownStatus::shown_as(query.status, query.expanded);
    let list = page::fill(newest_first(page, &filter, MessageId::floor), |page| {
        let (filter, statuses) = (filter.clone(), statuses.clone());
        state.store.endpoint_messages(tenant, endpoint, filter, statuses, page, with_content)
    })
    .await?;
    let list = list.lend(|item: &EndpointMessage| {
        let status = ShownStatus::new(item.status, query.expanded);
        EndpointMessageOut {
            message: MessageOut::new(&item.message, with_content),
            status: status.number(),
            status_text: status.text(),
            next_attempt: item.next_attempt,
        }
    });
    Ok(Json(list).into_response())
}

/// List Attempted Destinations
///
/// Endpoints that one message was sent, or is to be sent, to, by id; deleted ones too.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg/{msg_id}/endpoint",
    operation_id = "v1.message-attempt.list-attempted-destinations", tag = "Message Attempt",
    params(crate::openapi::MessagePath, crate::openapi::FixedPage, crate::openapi::Expanded),
    responses((status = 200, body = ListResponse<MessageEndpointOut>), ApiError))]
pub(super) async fn attempted_destinations(
    State(state): State<ApiState>,
    Query((page, Expanded(expanded))): Query<(PageQuery<EndpointId>, Expanded)>,
    Path((app, message)): Path<(Ref<ApplicationId>, Ref<MessageId>)>,
    AnyCaller(caller): AnyCaller,
) -> Result<Json<ListResponse<MessageEndpointOut>>, ApiError> {
    let app = state.app(&caller, &app, Capability::ViewBase).await?;
    let tenant = tenant(&app);
    let message = state.store.message(tenant, &message).await?.ok_or(ApiError::NOT_FOUND)?.id;
    let list = page::fill(page.fixed(Order::Ascending), |page| {
        state.store.message_endpoints(tenant, message, page)
    })
    .await?;
    let ids: Vec<_> = list.data.iter().map(|item: &MessageEndpoint| item.endpoint).collect();
    let endpoints = state.store.endpoints_ever(tenant.org, tenant.app, &ids).await?;
    let mut endpoints: HashMap<_, _> = endpoints.into_iter().map(|e| (e.id, e)).collect();
    let list = list.filter_map(|item| {
        let status = ShownStatus::new(item.status, expanded);
        Some(MessageEndpointOut {
            endpoint: endpoints.remove(&item.endpoint)?.into(),
            status: status.number(),
            status_text: status.text(),
            next_attempt: item.next_attempt,
        })
    });
    Ok(Json(list))
}
