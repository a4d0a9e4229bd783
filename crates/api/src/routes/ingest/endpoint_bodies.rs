//! What endpoints of sources are made of: as endpoints of applications, but for filters.

use bytes::Bytes;
use domain::{
    application::Metadata,
    clock::Timestamp,
    endpoint::{Endpoint, shown_url},
    id::EndpointId,
    name::Uid,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    body,
    error::ApiError,
    routes::endpoint::{EndpointFirst, EndpointIn, EndpointUpdate},
};

/// An endpoint of a source as it is asked for.
#[derive(ToSchema)]
pub struct IngestEndpointIn {
    #[serde(flatten)]
    update: IngestEndpointUpsertIn,
    #[serde(flatten)]
    first: EndpointFirst,
}

/// What replaces an endpoint of a source.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngestEndpointUpsertIn {
    /// Where to; `http` or `https`.
    #[schema(min_length = 1, example = "https://example.com/webhook/")]
    url: String,
    /// For people.
    #[serde(default)]
    description: String,
    /// Most attempts per second.
    #[schema(minimum = 1)]
    throttle_rate: Option<u16>,
    /// The caller's own id of it.
    #[schema(min_length = 1, max_length = 256, pattern = "^[a-zA-Z0-9\\-_.]+$")]
    uid: Option<String>,
    /// Paused.
    #[serde(default)]
    disabled: bool,
    /// The caller's labels; at most 4,096 bytes as JSON.
    #[serde(default, deserialize_with = "body::null_is_default")]
    metadata: Metadata,
}

/// An endpoint of a source.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngestEndpointOut {
    /// Ours.
    #[schema(value_type = String, example = "ep_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: EndpointId,
    /// Where to; a password is shown as `****`.
    url: String,
    /// For people.
    description: String,
    /// Most attempts per second.
    throttle_rate: Option<u16>,
    /// The caller's own id of it.
    #[schema(value_type = Option<String>)]
    uid: Option<Uid>,
    /// Paused.
    disabled: bool,
    /// The caller's labels.
    metadata: Metadata,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl IngestEndpointIn {
    /// Reads it: each half by itself, so that faults are told where they are.
    pub(super) fn parse(body: &Bytes) -> Result<EndpointIn, ApiError> {
        let Self { update, first } = Self { update: body::parse(body)?, first: body::parse(body)? };
        Ok(EndpointIn { update: update.into(), first })
    }
}

impl From<IngestEndpointUpsertIn> for EndpointUpdate {
    fn from(update: IngestEndpointUpsertIn) -> Self {
        Self {
            url: update.url,
            description: update.description,
            rate_limit: None,
            throttle_rate: update.throttle_rate,
            uid: update.uid,
            version: None,
            disabled: update.disabled,
            event_types: None,
            filter_types: None,
            channels: None,
            metadata: update.metadata,
            retry_schedule: None,
        }
    }
}

impl From<Endpoint> for IngestEndpointOut {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            id: endpoint.id,
            url: shown_url(&endpoint.url),
            description: endpoint.description,
            throttle_rate: endpoint.throttle_rate,
            uid: endpoint.uid,
            disabled: endpoint.disabled,
            metadata: endpoint.metadata,
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }
}
