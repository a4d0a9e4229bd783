//! Operational webhooks: what a product's operators are told about its customers' endpoints. They are
//! messages of the management organization, to the application whose uid is the tenant's organization.

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    alert::Alert,
    clock::Timestamp,
    id::{AttemptId, EndpointId, MessageId},
    name::Uid,
};

/// Names of the event types.
pub const EVENT_TYPES: [&str; 10] = [
    ALERT_FIRED,
    ALERT_CLEARED,
    "endpoint.created",
    "endpoint.updated",
    "endpoint.deleted",
    "endpoint.disabled",
    "endpoint.enabled",
    "message.attempt.failing",
    "message.attempt.exhausted",
    "message.attempt.recovered",
];

/// An alert rule fired.
pub const ALERT_FIRED: &str = "alert.fired";
/// What it fired for is over.
pub const ALERT_CLEARED: &str = "alert.cleared";

/// The try whose failure is told as `message.attempt.failing`.
pub const FAILING_ATTEMPT: u16 = 4;

/// The last attempt, as it stands in a message's event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LastAttempt {
    /// Which.
    pub id: AttemptId,
    /// 0 where there was no answer.
    pub response_status_code: u16,
    /// When.
    pub timestamp: Timestamp,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationalEvent {
    /// An endpoint was created.
    EndpointCreated,
    /// An endpoint was changed, or its secret rotated.
    EndpointUpdated,
    /// An endpoint was deleted.
    EndpointDeleted,
    /// An endpoint was disabled: by hand, or because it failed for too long.
    EndpointDisabled {
        /// Since when it failed; `None` when disabled by hand.
        fail_since: Option<Timestamp>,
    },
    /// An endpoint was enabled again.
    EndpointEnabled,
    /// A message has failed [`FAILING_ATTEMPT`] times and will be tried again.
    AttemptFailing(MessageId, LastAttempt),
    /// A message has failed for the last time.
    AttemptExhausted(MessageId, LastAttempt),
    /// A message that was failing has arrived.
    AttemptRecovered(MessageId, LastAttempt),
}

/// Which endpoint it is about.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The application's id, as text.
    pub app_id: String,
    /// The application's uid.
    pub app_uid: Option<&'a Uid>,
    /// The endpoint.
    pub endpoint_id: EndpointId,
    /// Its uid.
    pub endpoint_uid: Option<&'a Uid>,
    /// The event id of the message it is about, if any.
    pub event_id: Option<&'a Uid>,
}

impl OperationalEvent {
    /// The event type's name.
    pub const fn event_type(&self) -> &'static str {
        match self {
            Self::EndpointCreated => "endpoint.created",
            Self::EndpointUpdated => "endpoint.updated",
            Self::EndpointDeleted => "endpoint.deleted",
            Self::EndpointDisabled { .. } => "endpoint.disabled",
            Self::EndpointEnabled => "endpoint.enabled",
            Self::AttemptFailing(..) => "message.attempt.failing",
            Self::AttemptExhausted(..) => "message.attempt.exhausted",
            Self::AttemptRecovered(..) => "message.attempt.recovered",
        }
    }

    /// The payload: `{"type": …, "data": {…}}`.
    pub fn payload(&self, subject: &Subject<'_>) -> Value {
        let mut data = json!({
            "appId": subject.app_id,
            "appUid": subject.app_uid,
            "endpointId": subject.endpoint_id,
        });
        match self {
            Self::AttemptFailing(id, last)
            | Self::AttemptExhausted(id, last)
            | Self::AttemptRecovered(id, last) => {
                data["msgId"] = json!(id);
                data["msgEventId"] = json!(subject.event_id);
                data["lastAttempt"] = json!(last);
            }
            Self::EndpointDisabled { fail_since } => {
                data["endpointUid"] = json!(subject.endpoint_uid);
                data["failSince"] = json!(fail_since);
                data["trigger"] = json!(if fail_since.is_some() { "automatic" } else { "manual" });
            }
            _ => data["endpointUid"] = json!(subject.endpoint_uid),
        }
        json!({ "type": self.event_type(), "data": data })
    }
}

/// The payload of `alert.fired` or `alert.cleared`: `{"type": …, "data": {…}}`. `text` is it in plain words,
/// `url` where it is looked at.
pub fn alert_payload(alert: &Alert, cleared: bool, text: &str, url: &str) -> Value {
    json!({
        "type": if cleared { ALERT_CLEARED } else { ALERT_FIRED },
        "data": {
            "alertId": alert.id,
            "ruleId": alert.rule,
            "ruleName": alert.rule_name,
            "condition": alert.condition,
            "appId": alert.subject.app(),
            "endpointId": alert.subject.endpoint(),
            "since": alert.since,
            "firedAt": alert.fired_at,
            "clearedAt": alert.cleared_at,
            "value": alert.value,
            "threshold": alert.threshold,
            "text": text,
            "url": url,
        },
    })
}
