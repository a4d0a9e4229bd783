//! What endpoints are made of, as it is asked for and answered.

use std::collections::BTreeMap;

use domain::{
    application::Metadata,
    clock::Timestamp,
    endpoint::{Endpoint, shown_url},
    id::EndpointId,
    name::{Channel, EventTypeName, Uid},
    retry::RetrySchedule,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body::{self, Patch};

/// An endpoint as it is asked for.
#[derive(ToSchema)]
pub struct EndpointIn {
    #[serde(flatten)]
    pub(in crate::routes) update: EndpointUpdate,
    #[serde(flatten)]
    pub(in crate::routes) first: EndpointFirst,
}

/// What is said of an endpoint only when it is made: later it has routes of its own.
#[derive(Deserialize, ToSchema)]
pub(in crate::routes) struct EndpointFirst {
    /// The signing secret: `whsec_` and base64 of 24 to 75 bytes, or `whsk_` and base64 of a 64-byte
    /// Ed25519 key. One is made if none is given.
    pub(in crate::routes) secret: Option<String>,
    /// Sent with every attempt.
    pub(in crate::routes) headers: Option<BTreeMap<String, String>>,
}

/// What replaces an endpoint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointUpdate {
    /// Where to; `http` or `https`.
    #[schema(min_length = 1, example = "https://example.com/webhook/")]
    pub(in crate::routes) url: String,
    /// For people.
    #[serde(default)]
    pub(in crate::routes) description: String,
    /// Deprecated: use `throttleRate`.
    #[schema(minimum = 1, deprecated)]
    pub(in crate::routes) rate_limit: Option<u16>,
    /// Most attempts per second.
    #[schema(minimum = 1)]
    pub(in crate::routes) throttle_rate: Option<u16>,
    /// The caller's own id of it.
    #[schema(min_length = 1, max_length = 256, pattern = "^[a-zA-Z0-9\\-_.]+$")]
    pub(in crate::routes) uid: Option<String>,
    /// Deprecated: kept and echoed.
    #[schema(minimum = 1, deprecated)]
    pub(in crate::routes) version: Option<u16>,
    /// Paused.
    #[serde(default)]
    pub(in crate::routes) disabled: bool,
    /// Only these event types; `null` is all.
    pub(in crate::routes) event_types: Option<Vec<String>>,
    /// Deprecated: use `eventTypes`.
    #[schema(deprecated)]
    pub(in crate::routes) filter_types: Option<Vec<String>>,
    /// Only messages with one of these channels; `null` is all.
    #[schema(min_items = 1, max_items = 10)]
    pub(in crate::routes) channels: Option<Vec<String>>,
    /// The caller's labels; at most 4,096 bytes as JSON.
    #[serde(default, deserialize_with = "body::null_is_default")]
    pub(in crate::routes) metadata: Metadata,
    /// Waits between tries, like `["5s", "5m"]`; `null`: the event type's, or the server's.
    #[schema(value_type = Option<Vec<String>>)]
    pub(in crate::routes) retry_schedule: Option<RetrySchedule>,
}

/// What is changed of an endpoint.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointPatch {
    /// Where to. `****` in place of the password keeps it.
    #[serde(default, deserialize_with = "body::not_null")]
    pub(super) url: Option<String>,
    /// For people.
    #[serde(default, deserialize_with = "body::not_null")]
    pub(super) description: Option<String>,
    /// Deprecated: use `throttleRate`.
    #[serde(default)]
    #[schema(value_type = Option<u16>, deprecated)]
    pub(super) rate_limit: Patch<u16>,
    /// Most attempts per second; `null` clears it.
    #[serde(default)]
    #[schema(value_type = Option<u16>)]
    pub(super) throttle_rate: Patch<u16>,
    /// The caller's own id of it; `null` clears it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) uid: Patch<String>,
    /// Deprecated: kept and echoed.
    #[serde(default, deserialize_with = "body::not_null")]
    #[schema(deprecated)]
    pub(super) version: Option<u16>,
    /// Paused.
    #[serde(default, deserialize_with = "body::not_null")]
    pub(super) disabled: Option<bool>,
    /// Only these event types; `null` is all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub(super) event_types: Patch<Vec<String>>,
    /// Deprecated: use `eventTypes`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, deprecated)]
    pub(super) filter_types: Patch<Vec<String>>,
    /// Only messages with one of these channels; `null` is all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub(super) channels: Patch<Vec<String>>,
    /// The caller's labels, replaced as a whole.
    #[serde(default, deserialize_with = "body::not_null")]
    pub(super) metadata: Option<Metadata>,
    /// Waits between tries; `null`: the event type's, or the server's.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub(super) retry_schedule: Patch<RetrySchedule>,
}

/// An endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointOut {
    /// Ours.
    #[schema(value_type = String, example = "ep_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    pub id: EndpointId,
    /// The caller's labels.
    pub metadata: Metadata,
    /// Where to; a password is shown as `****`.
    pub url: String,
    /// For people.
    pub description: String,
    /// Deprecated: see `throttleRate`.
    #[schema(deprecated)]
    pub rate_limit: Option<u16>,
    /// Most attempts per second.
    pub throttle_rate: Option<u16>,
    /// The caller's own id of it.
    #[schema(value_type = Option<String>)]
    pub uid: Option<Uid>,
    /// Deprecated.
    #[schema(deprecated)]
    pub version: u16,
    /// Paused.
    pub disabled: bool,
    /// Only these event types; `null` is all.
    #[schema(value_type = Option<Vec<String>>)]
    pub event_types: Option<Vec<EventTypeName>>,
    /// Deprecated: see `eventTypes`.
    #[schema(value_type = Option<Vec<String>>, deprecated)]
    pub filter_types: Option<Vec<EventTypeName>>,
    /// Only messages with one of these channels; `null` is all.
    #[schema(value_type = Option<Vec<String>>)]
    pub channels: Option<Vec<Channel>>,
    /// Waits between tries; `null`: the event type's, or the server's.
    #[schema(value_type = Option<Vec<String>>)]
    pub retry_schedule: Option<RetrySchedule>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl From<Endpoint> for EndpointOut {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            id: endpoint.id,
            metadata: endpoint.metadata,
            url: shown_url(&endpoint.url),
            description: endpoint.description,
            rate_limit: endpoint.throttle_rate,
            throttle_rate: endpoint.throttle_rate,
            uid: endpoint.uid,
            version: endpoint.version,
            disabled: endpoint.disabled,
            filter_types: endpoint.event_types.clone(),
            event_types: endpoint.event_types,
            channels: endpoint.channels,
            retry_schedule: endpoint.retry_schedule,
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }
}
