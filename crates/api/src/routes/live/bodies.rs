//! How events of the live tail are shown.

use bytes::Bytes;
use domain::{
    attempt::OutcomeClass,
    clock::Timestamp,
    delivery::Trigger,
    id::{ApplicationId, AttemptId, EndpointId, MessageId},
    name::{Channel, EventTypeName, Tag, Uid},
};
use publish::live::{LiveEvent, LiveKind};
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::MessageAttemptTriggerType;

/// What is shown.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "describes LiveQuery")]
pub(super) enum ShownKind {
    /// Messages that are accepted.
    Message,
    /// Attempts that are settled.
    Attempt,
}

/// How an attempt ended.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "describes LiveAttemptOut::status")]
pub(super) enum LiveStatus {
    /// A 2xx.
    Success,
    /// Anything else.
    Fail,
}

/// A message that was accepted (`event: message`).
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveMessageOut<'a> {
    /// Ours.
    #[schema(value_type = String)]
    id: MessageId,
    /// Of which application.
    #[schema(value_type = String)]
    app_id: ApplicationId,
    /// What that is called.
    app_name: &'a str,
    /// Its type.
    #[schema(value_type = String)]
    event_type: &'a EventTypeName,
    /// The caller's id of it.
    #[schema(value_type = Option<String>)]
    event_id: Option<&'a Uid>,
    /// Its channels.
    #[schema(value_type = Vec<String>)]
    channels: &'a [Channel],
    /// Its tags.
    #[schema(value_type = Vec<String>)]
    tags: &'a [Tag],
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// To how many endpoints it goes.
    endpoints: usize,
}

/// An attempt that was settled (`event: attempt`).
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveAttemptOut<'a> {
    /// Ours.
    #[schema(value_type = String)]
    id: AttemptId,
    /// Of which application.
    #[schema(value_type = String)]
    app_id: ApplicationId,
    /// What that is called.
    app_name: &'a str,
    /// To which endpoint.
    #[schema(value_type = String)]
    endpoint_id: EndpointId,
    /// Of which message.
    #[schema(value_type = String)]
    msg_id: MessageId,
    /// The message's type.
    #[schema(value_type = String)]
    event_type: &'a EventTypeName,
    /// Where it was sent; a password is shown as `****`.
    url: &'a str,
    /// How it ended.
    #[schema(value_type = LiveStatus)]
    status: &'static str,
    /// 0 where there was no answer.
    response_status_code: u16,
    /// From its start until its end.
    response_duration_ms: u64,
    /// How it ended, more exactly: `success`, `status`, `timeout`, `ambiguous`, `dns`, `connect`, `tls`,
    /// `protocol`, `blocked` or `invalid`.
    outcome: &'static str,
    /// The how-manieth try of its delivery, from 1.
    number: u16,
    /// 0 by schedule, 1 because somebody asked for it.
    #[schema(value_type = MessageAttemptTriggerType)]
    trigger_type: u8,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
}

/// Events were missed (`event: lost`).
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveLostOut {
    /// How many.
    count: u64,
}

/// The `data` of an event.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum LiveOut<'a> {
    /// A message.
    Message(LiveMessageOut<'a>),
    /// An attempt.
    Attempt(LiveAttemptOut<'a>),
    /// What was missed.
    Lost(LiveLostOut),
}

impl<'a> LiveOut<'a> {
    /// So many were missed.
    pub const fn lost(count: u64) -> Self {
        Self::Lost(LiveLostOut { count })
    }

    /// An event as it is shown.
    pub fn of(event: &'a LiveEvent) -> Self {
        let LiveEvent { app, event_type, kind } = event;
        match kind {
            LiveKind::Message(message) => Self::Message(LiveMessageOut {
                id: message.id,
                app_id: *app,
                app_name: &message.app_name,
                event_type,
                event_id: message.event_id.as_ref(),
                channels: &message.channels,
                tags: &message.tags,
                timestamp: message.at,
                endpoints: message.endpoints,
            }),
            LiveKind::Attempt(attempt) => Self::Attempt(LiveAttemptOut {
                id: attempt.id,
                app_id: *app,
                app_name: &attempt.app_name,
                endpoint_id: attempt.endpoint,
                msg_id: attempt.message,
                event_type,
                url: &attempt.url,
                status: if attempt.class == OutcomeClass::Success { "success" } else { "fail" },
                response_status_code: attempt.status_code.unwrap_or(0),
                response_duration_ms: u64::try_from(attempt.duration.as_millis())
                    .unwrap_or(u64::MAX),
                outcome: attempt.class.as_str(),
                number: attempt.number,
                trigger_type: match attempt.trigger {
                    Trigger::Automatic => 0,
                    Trigger::Manual | Trigger::Replay => 1,
                },
                timestamp: attempt.at,
            }),
        }
    }

    /// As it is sent: JSON has no line breaks outside of texts, and in them they are escaped.
    pub fn part(&self) -> Bytes {
        let name = match self {
            Self::Message(_) => "message",
            Self::Attempt(_) => "attempt",
            Self::Lost(_) => "lost",
        };
        let data = serde_json::to_string(self).unwrap_or_default();
        format!("event: {name}\ndata: {data}\n\n").into()
    }
}
