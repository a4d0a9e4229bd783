//! How attempts and deliveries are shown.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use domain::{
    attempt::{Attempt, OutcomeClass},
    clock::Timestamp,
    delivery::Trigger,
    id::{AttemptId, EndpointId, MessageId},
};
use serde::Serialize;
use store::history::Status;
use utoipa::ToSchema;

use crate::{
    openapi::{MessageAttemptTriggerType, MessageStatus},
    routes::{endpoint::EndpointOut, message::MessageOut},
};

/// `{}`.
#[derive(Debug, Serialize, ToSchema)]
pub struct EmptyResponse {}

/// How something stands, as numbers and as words.
#[derive(Clone, Copy, Debug)]
pub struct ShownStatus(Status);

impl ShownStatus {
    /// Clients that did not ask for the expanded statuses do not know that a delivery can be
    /// cancelled: nothing is left to be done, which Svix tells them as a success.
    pub fn new(status: Status, expanded: bool) -> Self {
        match status {
            Status::Canceled if !expanded => Self(Status::Success),
            status => Self(status),
        }
    }

    /// What is shown as `status`; all if that is `None`.
    pub fn shown_as(status: Option<Status>, expanded: bool) -> Vec<Status> {
        match status {
            Some(Status::Success) if !expanded => vec![Status::Success, Status::Canceled],
            status => Vec::from_iter(status),
        }
    }

    /// For `status`.
    pub const fn number(self) -> u8 {
        self.0 as u8
    }

    /// For `statusText`.
    pub const fn text(self) -> &'static str {
        match self.0 {
            Status::Success => "success",
            Status::Pending => "pending",
            Status::Fail => "fail",
            Status::Sending => "sending",
            Status::Canceled => "canceled",
        }
    }
}

/// One try, without its message.
pub type MessageAttemptItem = MessageAttemptOut<'static>;

/// One try.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MessageAttemptOut)]
pub struct MessageAttemptOut<'a> {
    /// Where it was sent; a password is shown as `****`.
    pub url: String,
    /// What was answered (base64 if it is not UTF-8), or what went wrong.
    pub response: String,
    /// 0 where there was no answer.
    pub response_status_code: u16,
    /// From its start until its end.
    pub response_duration_ms: u64,
    /// 0 success, 2 fail.
    #[schema(value_type = MessageStatus)]
    pub status: u8,
    /// The same in words.
    pub status_text: &'static str,
    /// 0 by schedule, 1 because somebody asked for it.
    #[schema(value_type = MessageAttemptTriggerType)]
    pub trigger_type: u8,
    /// Of which message.
    #[schema(value_type = String)]
    pub msg_id: MessageId,
    /// To which endpoint.
    #[schema(value_type = String)]
    pub endpoint_id: EndpointId,
    /// Ours.
    #[schema(value_type = String, example = "atmpt_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    pub id: AttemptId,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// The message, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<MessageOut>)]
    pub msg: Option<MessageOut<'a>>,
}

impl MessageAttemptOut<'_> {
    /// Of an attempt; without content its response is empty.
    pub fn new(attempt: Attempt, with_content: bool) -> Self {
        let outcome = attempt.outcome;
        let status = match outcome.class {
            OutcomeClass::Success => Status::Success,
            _ => Status::Fail,
        };
        let status = ShownStatus::new(status, true);
        let response = match std::str::from_utf8(&outcome.response) {
            _ if !with_content => String::new(),
            Ok(text) => text.to_owned(),
            Err(_) => BASE64.encode(&outcome.response),
        };
        Self {
            url: attempt.url,
            response,
            response_status_code: outcome.status_code.unwrap_or(0),
            response_duration_ms: u64::try_from(outcome.duration.as_millis()).unwrap_or(u64::MAX),
            status: status.number(),
            status_text: status.text(),
            trigger_type: match attempt.trigger {
                Trigger::Automatic => 0,
                Trigger::Manual | Trigger::Replay => 1,
            },
            msg_id: attempt.message,
            endpoint_id: attempt.endpoint,
            id: attempt.id,
            timestamp: attempt.started_at,
            msg: None,
        }
    }
}

/// A message, and how it stands at one endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EndpointMessageOut)]
pub struct EndpointMessageOut<'a> {
    /// The message.
    #[serde(flatten)]
    #[schema(value_type = MessageOut)]
    pub message: MessageOut<'a>,
    /// 0 success, 1 pending, 2 fail, 3 sending, 4 canceled.
    #[schema(value_type = MessageStatus)]
    pub status: u8,
    /// The same in words.
    pub status_text: &'static str,
    /// The next try.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt: Option<Timestamp>,
}

/// An endpoint, and how one message stands there.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageEndpointOut {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: EndpointOut,
    /// 0 success, 1 pending, 2 fail, 3 sending, 4 canceled.
    #[schema(value_type = MessageStatus)]
    pub status: u8,
    /// The same in words.
    pub status_text: &'static str,
    /// The next try.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt: Option<Timestamp>,
}
