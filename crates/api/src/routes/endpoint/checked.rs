//! What endpoints are made of, checked.

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::{
    application::Metadata,
    endpoint::Endpoint,
    id::{EndpointId, OrganizationId},
    name::{Channel, EventTypeName, InvalidName, Uid},
    retry::RetrySchedule,
    signature::SigningSecret,
};
use url::Url;

use super::{EndpointIn, EndpointPatch, EndpointUpdate, headers};
use crate::{
    body::{self, Patch},
    error::{ApiError, Faults},
    routes::check,
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
        check::text(&mut faults, "description", &self.description);
        check::rate(&mut faults, self.rate_limit, self.throttle_rate);
        let uid = self.uid.and_then(|uid| faults.check("uid", parse_uid(&uid)));
        check_version(&mut faults, self.version);
        let event_types = match self.event_types.or(self.filter_types) {
            Some(names) => check_event_types(&mut faults, names, state, org).await?,
            None => None,
        };
        let channels = self.channels.and_then(|names| check_channels(&mut faults, names));
        check::metadata(&mut faults, &self.metadata);
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

impl Checked {
    /// Replaces what an endpoint is made of, but for its URL.
    pub(super) fn replace(&self, endpoint: &mut Endpoint) {
        self.replace_common(endpoint);
        endpoint.version = self.version;
        endpoint.event_types.clone_from(&self.event_types);
        endpoint.channels.clone_from(&self.channels);
        endpoint.retry_schedule.clone_from(&self.retry_schedule);
    }

    /// The same of what an endpoint of a source has too.
    pub(in crate::routes) fn replace_common(&self, endpoint: &mut Endpoint) {
        endpoint.uid.clone_from(&self.uid);
        endpoint.description.clone_from(&self.description);
        endpoint.throttle_rate = self.throttle_rate;
        endpoint.disabled = self.disabled;
        endpoint.metadata.clone_from(&self.metadata);
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
            check::text(&mut faults, "description", description);
        }
        check::patched_rates(&mut faults, self.rate_limit, self.throttle_rate);
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
            check::metadata(&mut faults, metadata);
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
    let names: Option<Vec<EventTypeName>> = check::names(faults, FIELD, names, 1..=MAX_EVENT_TYPES);
    let Some(names) = names else { return Ok(None) };
    let known = state.organization(org).await?;
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
    check::names(faults, "channels", names, 1..=MAX_CHANNELS)
}
