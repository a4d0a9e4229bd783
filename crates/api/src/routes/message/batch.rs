//! Many messages in one request, with one result each.

use axum::{Json, extract::State};
use bytes::Bytes;
use domain::{id::ApplicationId, name::Ref};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{ContentQuery, MessageIn, MessageOut};
use crate::{
    auth::OrgCaller,
    body,
    error::{ApiError, Fault},
    extract::{Path, Query},
    idempotency::RequestKey,
    state::ApiState,
    trace::TraceParent,
};

/// Most messages of a batch.
const MAX_BATCH: usize = 1_000;

/// Many messages.
#[derive(Deserialize, ToSchema)]
#[schema(as = MessageBatchIn)]
pub struct MessageBatchIn<'a> {
    /// At most 1,000. `application` is not looked at: the application must be there.
    #[serde(borrow)]
    #[schema(value_type = Vec<MessageIn>, min_items = 1, max_items = 1000)]
    messages: Vec<&'a RawValue>,
}

/// What became of each.
#[derive(Serialize, ToSchema)]
pub struct MessageBatchOut {
    /// In the order of the request.
    #[schema(value_type = Vec<MessageBatchItem>)]
    data: Vec<Box<RawValue>>,
}

/// What became of one.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageBatchItem)]
pub struct MessageBatchItem<'a> {
    /// The status it would have had alone.
    status: u16,
    /// The message, if it was accepted (202).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<MessageOut>)]
    message: Option<MessageOut<'a>>,
    /// Why not, if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<MessageBatchError<'a>>,
}

/// Why one was not accepted.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageBatchError)]
pub struct MessageBatchError<'a> {
    /// For programs.
    code: &'a str,
    /// A text, or for 422 the list of what is wrong.
    #[schema(value_type = Object)]
    detail: Detail<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Detail<'a> {
    Text(&'a str),
    Faults(&'a [Fault]),
}

impl MessageBatchItem<'_> {
    fn raw(&self) -> Result<Box<RawValue>, ApiError> {
        serde_json::value::to_raw_value(self).map_err(|_| ApiError::Internal)
    }

    fn failed(error: &ApiError) -> Result<Box<RawValue>, ApiError> {
        let (code, text) = error.parts();
        let detail = match error {
            ApiError::Invalid(faults) => Detail::Faults(faults),
            _ => Detail::Text(text),
        };
        let status = error.status().as_u16();
        let error = Some(MessageBatchError { code, detail });
        MessageBatchItem { status, message: None, error }.raw()
    }
}

/// Create Messages
///
/// Accepts many messages of one application, each by itself: one that is refused does not keep the
/// others out. All that are accepted are on stable storage when this answers.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/msg/batch",
    operation_id = "v1.message.create-batch", tag = "Message",
    params(crate::openapi::AppPath, ContentQuery, crate::openapi::IdempotencyKey),
    request_body = MessageBatchIn,
    responses((status = 200, body = MessageBatchOut), ApiError))]
pub(super) async fn create_batch(
    State(state): State<ApiState>,
    Query(query): Query<ContentQuery>,
    Path((app,)): Path<(Ref<ApplicationId>,)>,
    OrgCaller(caller): OrgCaller,
    key: RequestKey,
    trace: TraceParent,
    body: Bytes,
) -> Result<Json<MessageBatchOut>, ApiError> {
    let MessageBatchIn { messages } = body::parse(&body)?;
    if messages.is_empty() || messages.len() > MAX_BATCH {
        let msg = format!("must hold 1 to {MAX_BATCH} messages");
        return Err(ApiError::invalid(&["body", "messages"], msg));
    }
    let now = state.clock.now();
    let mut drafts = Vec::with_capacity(messages.len());
    let mut refused = Vec::with_capacity(messages.len());
    for (at, text) in messages.iter().enumerate() {
        let idempotency = key.message(&state, &caller, Some(at));
        let draft = body::parse_text::<MessageIn<'_>>(text.get())
            .and_then(|input| input.draft(&body, now, idempotency));
        match draft {
            Ok((mut draft, _)) => {
                trace.onto(&mut draft.body);
                drafts.push(draft);
                refused.push(None);
            }
            Err(error) => refused.push(Some(error)),
        }
    }
    let mut published = state.publish(&caller, &app, drafts).await?.into_iter();
    let mut data = Vec::with_capacity(refused.len());
    for refused in refused {
        let result = match refused {
            Some(error) => Err(error),
            None => published.next().ok_or(ApiError::Internal)?.map_err(ApiError::from),
        };
        data.push(match result {
            Ok(accepted) => MessageBatchItem {
                status: StatusCode::ACCEPTED.as_u16(),
                message: Some(MessageOut::new(&accepted.message, query.with_content)),
                error: None,
            }
            .raw()?,
            Err(error) => MessageBatchItem::failed(&error)?,
        });
    }
    Ok(Json(MessageBatchOut { data }))
}
