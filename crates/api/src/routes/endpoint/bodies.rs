//! What endpoints are made of.

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::{
    application::Metadata,
    clock::Timestamp,
    endpoint::{Endpoint, shown_url},
    id::{EndpointId, OrganizationId},
    name::{Channel, EventTypeName, InvalidName, Uid},
    retry::RetrySchedule,
    signature::SigningSecret,
};
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use super::headers;
use crate::{
    body::{self, Patch},
    error::{ApiError, Faults},
    routes::application::{check_metadata, check_patched_rates, check_rate, check_text},
    state::ApiState,
};

/// Longest URL, in bytes.
const MAX_URL_BYTES: usize = 65_536;
/// Most event types an endpoint names.
const MAX_EVENT_TYPES: usize = 1_000;
/// Most channels an endpoint names.
const MAX_CHANNELS: usize = 10;
/// What a shown URL has in place of its password.
const HIDDEN_PASSWORD: &str = "****";

/// An endpoint as it is asked for.
#[derive(ToSchema)]
pub struct EndpointIn {
    #[serde(flatten)]
    update: EndpointUpdate,
    #[serde(flatten)]
    first: EndpointFirst,
}

/// What is said of an endpoint only when it is made: later it has routes of its own.
#[derive(Deserialize, ToSchema)]
struct EndpointFirst {
    /// The signing secret: `whsec_` and base64 of 24 to 75 bytes, or `whsk_` and base64 of a 64-byte
    /// Ed25519 key. One is made if none is given.
    secret: Option<String>,
    /// Sent with every attempt.
    headers: Option<BTreeMap<String, String>>,
}

/// What replaces an endpoint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointUpdate {
    /// Where to; `http` or `https`.
    #[schema(min_length = 1, example = "https://example.com/webhook/")]
    url: String,
    /// For people.
    #[serde(default)]
    description: String,
    /// Deprecated: use `throttleRate`.
    #[schema(minimum = 1, deprecated)]
    rate_limit: Option<u16>,
    /// Most attempts per second.
    #[schema(minimum = 1)]
    throttle_rate: Option<u16>,
    /// The caller's own id of it.
    #[schema(min_length = 1, max_length = 256, pattern = "^[a-zA-Z0-9\\-_.]+$")]
    uid: Option<String>,
    /// Deprecated: kept and echoed.
    #[schema(minimum = 1, deprecated)]
    version: Option<u16>,
    /// Paused.
    #[serde(default)]
    disabled: bool,
    /// Only these event types; `null` is all.
    event_types: Option<Vec<String>>,
    /// Deprecated: use `eventTypes`.
    #[schema(deprecated)]
    filter_types: Option<Vec<String>>,
    /// Only messages with one of these channels; `null` is all.
    #[schema(min_items = 1, max_items = 10)]
    channels: Option<Vec<String>>,
    /// The caller's labels; at most 4,096 bytes as JSON.
    #[serde(default, deserialize_with = "body::null_is_default")]
    metadata: Metadata,
    /// Waits between tries, like `["5s", "5m"]`; `null`: the event type's, or the server's.
    #[schema(value_type = Option<Vec<String>>)]
    retry_schedule: Option<RetrySchedule>,
}

/// What is changed of an endpoint.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointPatch {
    /// Where to. `****` in place of the password keeps it.
    #[serde(default, deserialize_with = "body::not_null")]
    url: Option<String>,
    /// For people.
    #[serde(default, deserialize_with = "body::not_null")]
    description: Option<String>,
    /// Deprecated: use `throttleRate`.
    #[serde(default)]
    #[schema(value_type = Option<u16>, deprecated)]
    rate_limit: Patch<u16>,
    /// Most attempts per second; `null` clears it.
    #[serde(default)]
    #[schema(value_type = Option<u16>)]
    throttle_rate: Patch<u16>,
    /// The caller's own id of it; `null` clears it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    uid: Patch<String>,
    /// Deprecated: kept and echoed.
    #[serde(default, deserialize_with = "body::not_null")]
    #[schema(deprecated)]
    version: Option<u16>,
    /// Paused.
    #[serde(default, deserialize_with = "body::not_null")]
    disabled: Option<bool>,
    /// Only these event types; `null` is all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    event_types: Patch<Vec<String>>,
    /// Deprecated: use `eventTypes`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, deprecated)]
    filter_types: Patch<Vec<String>>,
    /// Only messages with one of these channels; `null` is all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    channels: Patch<Vec<String>>,
    /// The caller's labels, replaced as a whole.
    #[serde(default, deserialize_with = "body::not_null")]
    metadata: Option<Metadata>,
    /// Waits between tries; `null`: the event type's, or the server's.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    retry_schedule: Patch<RetrySchedule>,
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

/// The values of an endpoint, checked. The password of `url` may still be the hidden one.
pub struct Checked {
    pub(super) url: Url,
    pub(super) description: String,
    pub(super) throttle_rate: Option<u16>,
    pub(super) uid: Option<Uid>,
    pub(super) version: u16,
    pub(super) disabled: bool,
    pub(super) event_types: Option<Vec<EventTypeName>>,
    pub(super) channels: Option<Vec<Channel>>,
    pub(super) metadata: Metadata,
    pub(super) retry_schedule: Option<RetrySchedule>,
    pub(super) secret: Option<SigningSecret>,
    pub(super) headers: BTreeMap<String, String>,
}

impl EndpointIn {
    /// Reads it: each half by itself, so that faults are told where they are.
    pub fn parse(body: &Bytes) -> Result<Self, ApiError> {
        Ok(Self { update: body::parse(body)?, first: body::parse(body)? })
    }

    /// Its values, checked.
    pub async fn check(self, state: &ApiState, org: OrganizationId) -> Result<Checked, ApiError> {
        let mut faults = Faults::default();
        let secret = self.first.secret.and_then(|text| faults.check("secret", text.parse()));
        let headers = self.first.headers.unwrap_or_default();
        headers::check(&mut faults, &headers);
        let values = self.update.check_with(faults, state, org).await?;
        with_stored_password(&values.url, None)?;
        Ok(Checked { secret, headers, ..values })
    }
}

impl EndpointUpdate {
    /// Its values, checked.
    pub async fn check(self, state: &ApiState, org: OrganizationId) -> Result<Checked, ApiError> {
        self.check_with(Faults::default(), state, org).await
    }

    async fn check_with(
        self,
        mut faults: Faults,
        state: &ApiState,
        org: OrganizationId,
    ) -> Result<Checked, ApiError> {
        let url = faults.check("url", parse_url(&self.url, state.https_only));
        check_text(&mut faults, "description", &self.description);
        check_rate(&mut faults, self.rate_limit, self.throttle_rate);
        let uid = self.uid.and_then(|uid| faults.check("uid", parse_uid(&uid)));
        check_version(&mut faults, self.version);
        let event_types = match self.event_types.or(self.filter_types) {
            Some(names) => check_event_types(&mut faults, names, state, org).await?,
            None => None,
        };
        let channels = self.channels.and_then(|names| check_channels(&mut faults, names));
        check_metadata(&mut faults, &self.metadata);
        faults.finish()?;
        Ok(Checked {
            url: url.ok_or(ApiError::Internal)?,
            description: self.description,
            throttle_rate: self.throttle_rate.or(self.rate_limit),
            uid,
            version: self.version.unwrap_or(1),
            disabled: self.disabled,
            event_types,
            channels,
            metadata: self.metadata,
            retry_schedule: self.retry_schedule,
            secret: None,
            headers: BTreeMap::new(),
        })
    }
}

/// A change of an endpoint, checked.
pub struct Change {
    patch: EndpointPatch,
    url: Option<Url>,
    uid: Patch<Uid>,
    event_types: Patch<Vec<EventTypeName>>,
    channels: Patch<Vec<Channel>>,
}

impl EndpointPatch {
    /// Its values, checked.
    pub async fn check(
        mut self,
        state: &ApiState,
        org: OrganizationId,
    ) -> Result<Change, ApiError> {
        let mut faults = Faults::default();
        let url = self.url.take();
        let url = url.and_then(|url| faults.check("url", parse_url(&url, state.https_only)));
        if let Some(description) = &self.description {
            check_text(&mut faults, "description", description);
        }
        check_patched_rates(&mut faults, self.rate_limit, self.throttle_rate);
        check_version(&mut faults, self.version);
        let uid = std::mem::take(&mut self.uid).try_map(|uid| parse_uid(&uid));
        let uid = faults.check("uid", uid).unwrap_or_default();
        let event_types =
            match (std::mem::take(&mut self.event_types), std::mem::take(&mut self.filter_types)) {
                (Patch::Value(names), _) | (Patch::Absent, Patch::Value(names)) => {
                    let checked = check_event_types(&mut faults, names, state, org).await?;
                    checked.map_or(Patch::Absent, Patch::Value)
                }
                (Patch::Null, _) | (Patch::Absent, Patch::Null) => Patch::Null,
                (Patch::Absent, Patch::Absent) => Patch::Absent,
            };
        let channels = match std::mem::take(&mut self.channels) {
            Patch::Value(names) => {
                check_channels(&mut faults, names).map_or(Patch::Absent, Patch::Value)
            }
            Patch::Null => Patch::Null,
            Patch::Absent => Patch::Absent,
        };
        if let Some(metadata) = &self.metadata {
            check_metadata(&mut faults, metadata);
        }
        faults.finish()?;
        Ok(Change { patch: self, url, uid, event_types, channels })
    }
}

impl Change {
    /// Makes it.
    pub fn apply(&self, endpoint: &mut Endpoint) -> Result<(), ApiError> {
        if let Some(url) = &self.url {
            endpoint.url = with_stored_password(url, Some(&endpoint.url))?;
        }
        let patch = &self.patch;
        if let Some(description) = &patch.description {
            endpoint.description.clone_from(description);
        }
        if let Some(metadata) = &patch.metadata {
            endpoint.metadata.clone_from(metadata);
        }
        endpoint.version = patch.version.unwrap_or(endpoint.version);
        endpoint.disabled = patch.disabled.unwrap_or(endpoint.disabled);
        patch.rate_limit.apply(&mut endpoint.throttle_rate);
        patch.throttle_rate.apply(&mut endpoint.throttle_rate);
        patch.retry_schedule.clone().apply(&mut endpoint.retry_schedule);
        self.uid.clone().apply(&mut endpoint.uid);
        self.event_types.clone().apply(&mut endpoint.event_types);
        self.channels.clone().apply(&mut endpoint.channels);
        Ok(())
    }
}

fn parse_uid(uid: &str) -> Result<Uid, InvalidName> {
    Uid::parse_for::<EndpointId>(uid)
}

fn parse_url(text: &str, https_only: bool) -> Result<Url, &'static str> {
    if text.is_empty() || text.len() > MAX_URL_BYTES {
        return Err("must be 1 to 65536 bytes long");
    }
    let url: Url = text.parse().map_err(|_| "must be an absolute URL")?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if https_only => Err("must be https: this server sends to nothing else"),
        "http" => Ok(url),
        _ => Err("must be an http or https URL"),
    }
}

/// `url`, with the stored password where it says `****`, which is how we show one. Only if it still
/// leads to the same place: whoever cannot see the password must not be able to send it elsewhere.
pub fn with_stored_password(url: &Url, stored: Option<&Url>) -> Result<Url, ApiError> {
    if url.password() != Some(HIDDEN_PASSWORD) {
        return Ok(url.clone());
    }
    let known = stored
        .filter(|stored| stored.origin() == url.origin() && stored.username() == url.username());
    let Some(password) = known.and_then(Url::password) else {
        let msg = "give the password itself: `****` only stands for the stored one, for the same \
                   host and user";
        return Err(ApiError::invalid(&["body", "url"], msg));
    };
    let mut url = url.clone();
    // What is stored is percent-encoded already, and a `%` is not encoded again.
    url.set_password(Some(password)).map_err(|()| ApiError::Internal)?;
    Ok(url)
}

fn check_version(faults: &mut Faults, version: Option<u16>) {
    if version == Some(0) {
        faults.body("version", "must be at least 1");
    }
}

async fn check_event_types(
    faults: &mut Faults,
    names: Vec<String>,
    state: &ApiState,
    org: OrganizationId,
) -> Result<Option<Vec<EventTypeName>>, ApiError> {
    const FIELD: &str = "eventTypes";
    let names: Option<Vec<EventTypeName>> = check_names(faults, FIELD, names, MAX_EVENT_TYPES);
    let Some(names) = names else { return Ok(None) };
    let known = state.publisher.catalogues().organization(org).await?;
    let unknown: Vec<_> = names
        .iter()
        .filter(|name| known.event_types.get(*name).is_none_or(|t| t.event_type.archived))
        .take(20)
        .map(EventTypeName::as_str)
        .collect();
    if !unknown.is_empty() {
        let list = unknown.join(", ");
        faults.body(FIELD, format!("The following event types don't exist: {list}"));
    }
    Ok(Some(names))
}

fn check_channels(faults: &mut Faults, names: Vec<String>) -> Option<Vec<Channel>> {
    check_names(faults, "channels", names, MAX_CHANNELS)
}

/// A list of names, each once, in their order.
pub(crate) fn check_names<N>(
    faults: &mut Faults,
    field: &'static str,
    names: Vec<String>,
    max: usize,
) -> Option<Vec<N>>
where
    N: std::str::FromStr<Err = InvalidName> + PartialEq,
{
    if names.is_empty() || names.len() > max {
        faults.body(field, format!("must hold 1 to {max} items, or be null"));
        return None;
    }
    let mut checked = Vec::with_capacity(names.len());
    for name in names {
        let name = faults.check(field, name.parse())?;
        if !checked.contains(&name) {
            checked.push(name);
        }
    }
    Some(checked)
}
