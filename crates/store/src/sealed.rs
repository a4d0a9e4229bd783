//! What is secret of a row, as stores keep it: sealed for that row alone. The same in every store, so
//! that what is moved from one to another stays as it is.

use std::{borrow::Cow, collections::BTreeMap, fmt::Display, sync::Arc};

use bytes::Bytes;
use domain::{
    alert::Channel,
    application::Application,
    claim::ClaimKey,
    clock::Timestamp,
    endpoint::{Endpoint, EndpointSecret, Transformation},
    id::{AlertRuleId, ApplicationId, EndpointId, OrganizationId, RejectedId, SecretId},
    signature::SigningSecret,
    source::Source,
};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    Result, StoreError,
    rejected::{RejectedRequest, RejectedRow},
    vault::Vault,
};

const KEY_CHECK_OWNER: &[u8] = b"hookwright key check";

/// Columns of an endpoint that hold something sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Its URL, where that holds a password.
    Url,
    /// Its own headers.
    Headers,
    /// Its signing secrets.
    Secrets,
    /// Its transformation.
    Transformation,
}

impl Column {
    /// What a sealed value of it belongs to.
    pub fn owner(self, endpoint: EndpointId) -> Vec<u8> {
        let column: &[u8] = match self {
            Self::Url => b"url",
            Self::Headers => b"headers",
            Self::Secrets => b"secrets",
            Self::Transformation => b"transformation",
        };
        [b"endpoint ", column, b" ", endpoint.raw().as_slice()].concat()
    }
}

/// What a saved answer belongs to.
pub fn response_owner(key: ClaimKey) -> Vec<u8> {
    [b"response ".as_slice(), &key.0].concat()
}

/// What an application's sealed source belongs to.
pub fn source_owner(org: OrganizationId, app: ApplicationId) -> Vec<u8> {
    [b"application source ".as_slice(), org.raw(), app.raw()].concat()
}

/// What the sealed part of a refused request belongs to.
pub fn rejected_owner(org: OrganizationId, app: ApplicationId, id: RejectedId) -> Vec<u8> {
    [b"rejected ".as_slice(), org.raw(), app.raw(), id.raw()].concat()
}

/// What the sealed channels of an alert rule belong to.
pub fn channels_owner(org: OrganizationId, rule: AlertRuleId) -> Vec<u8> {
    [b"alert channels ".as_slice(), org.raw(), rule.raw()].concat()
}

/// A signing secret, inside the seal.
#[derive(Serialize, Deserialize)]
struct StoredSecret {
    id: SecretId,
    secret: String,
    expires_at: Option<Timestamp>,
}

fn corrupt(what: impl Display) -> StoreError {
    StoreError::Corrupt(what.to_string())
}

fn json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("only maps with text keys, lists and text are written so")
}

/// A value that only the vault's keys open: says whether a store's key was given.
pub fn key_check(vault: &Vault) -> Vec<u8> {
    vault.seal(KEY_CHECK_OWNER, b"opens")
}

/// Whether one of the vault's keys opens what [`key_check`] made.
pub fn opens(vault: &Vault, sealed: &[u8]) -> bool {
    vault.open(KEY_CHECK_OWNER, sealed).is_ok()
}

/// An endpoint's URL, sealed if it holds a password; `None` if it may be stored as it is.
pub fn seal_url(vault: &Vault, endpoint: &Endpoint) -> Option<Vec<u8>> {
    endpoint.url.password()?;
    Some(vault.seal(&Column::Url.owner(endpoint.id), endpoint.url.as_str().as_bytes()))
}

/// Opens what [`seal_url`] made.
pub fn open_url(vault: &Vault, id: EndpointId, sealed: &[u8]) -> Result<Url> {
    let text = String::from_utf8(vault.open(&Column::Url.owner(id), sealed)?);
    text.map_err(corrupt)?.parse().map_err(corrupt)
}

/// An application's source; `None` for a customer.
pub fn seal_source(vault: &Vault, application: &Application) -> Option<Vec<u8>> {
    let source = application.source.as_deref()?;
    Some(vault.seal(&source_owner(application.org, application.id), &json(source)))
}

/// Opens what [`seal_source`] made.
pub fn open_source(
    vault: &Vault,
    org: OrganizationId,
    app: ApplicationId,
    sealed: Option<&[u8]>,
) -> Result<Option<Arc<Source>>> {
    let Some(sealed) = sealed else { return Ok(None) };
    let opened = vault.open(&source_owner(org, app), sealed)?;
    serde_json::from_slice(&opened).map(Some).map_err(corrupt)
}

/// An endpoint's headers; `None` if it has none.
pub fn seal_headers(
    vault: &Vault,
    id: EndpointId,
    headers: &BTreeMap<String, String>,
) -> Option<Vec<u8>> {
    let sealed = || vault.seal(&Column::Headers.owner(id), &json(headers));
    (!headers.is_empty()).then(sealed)
}

/// Opens what [`seal_headers`] made.
pub fn open_headers(
    vault: &Vault,
    id: EndpointId,
    sealed: Option<&[u8]>,
) -> Result<BTreeMap<String, String>> {
    let Some(sealed) = sealed else { return Ok(BTreeMap::new()) };
    serde_json::from_slice(&vault.open(&Column::Headers.owner(id), sealed)?).map_err(corrupt)
}

/// An endpoint's transformation; `None` if it has none.
pub fn seal_transformation(vault: &Vault, endpoint: &Endpoint) -> Option<Vec<u8>> {
    let transformation = endpoint.transformation.as_ref()?;
    Some(vault.seal(&Column::Transformation.owner(endpoint.id), &json(transformation)))
}

/// Opens what [`seal_transformation`] made.
pub fn open_transformation(
    vault: &Vault,
    id: EndpointId,
    sealed: Option<&[u8]>,
) -> Result<Option<Transformation>> {
    let Some(sealed) = sealed else { return Ok(None) };
    let opened = vault.open(&Column::Transformation.owner(id), sealed)?;
    serde_json::from_slice(&opened).map(Some).map_err(corrupt)
}

/// An endpoint's signing secrets.
pub fn seal_secrets(vault: &Vault, endpoint: &Endpoint) -> Vec<u8> {
    let stored = |secret: &EndpointSecret| StoredSecret {
        id: secret.id,
        secret: secret.secret.expose().to_string(),
        expires_at: secret.expires_at,
    };
    let stored: Vec<_> = endpoint.secrets.iter().map(stored).collect();
    vault.seal(&Column::Secrets.owner(endpoint.id), &json(&stored))
}

/// Opens what [`seal_secrets`] made.
pub fn open_secrets(vault: &Vault, id: EndpointId, sealed: &[u8]) -> Result<Vec<EndpointSecret>> {
    let opened = vault.open(&Column::Secrets.owner(id), sealed)?;
    let stored: Vec<StoredSecret> = serde_json::from_slice(&opened).map_err(corrupt)?;
    let secret = |stored: StoredSecret| {
        let secret: SigningSecret = stored.secret.parse().map_err(corrupt)?;
        Ok(EndpointSecret {
            id: stored.id,
            secret: Arc::new(secret),
            expires_at: stored.expires_at,
        })
    };
    stored.into_iter().map(secret).collect()
}

/// An alert rule's channels.
pub fn seal_channels(
    vault: &Vault,
    org: OrganizationId,
    rule: AlertRuleId,
    channels: &[Channel],
) -> Vec<u8> {
    vault.seal(&channels_owner(org, rule), &json(channels))
}

/// Opens what [`seal_channels`] made.
pub fn open_channels(
    vault: &Vault,
    org: OrganizationId,
    rule: AlertRuleId,
    sealed: &[u8],
) -> Result<Vec<Channel>> {
    let opened = vault.open(&channels_owner(org, rule), sealed)?;
    serde_json::from_slice(&opened).map_err(corrupt)
}

/// The texts of a refused request, inside the seal: in front of its body, behind their length in four
/// bytes.
#[derive(Serialize, Deserialize)]
struct RejectedHead<'a> {
    reason: Cow<'a, str>,
    method: Cow<'a, str>,
    url: Cow<'a, str>,
    headers: Cow<'a, [(String, String)]>,
}

/// What was sent in a refused request, and why that was refused.
pub fn seal_rejected(vault: &Vault, request: &RejectedRequest) -> Vec<u8> {
    let head = json(&RejectedHead {
        reason: (&request.reason).into(),
        method: (&request.method).into(),
        url: (&request.url).into(),
        headers: (&request.headers).into(),
    });
    let content = [&(head.len() as u32).to_be_bytes(), &*head, &request.body].concat();
    vault.seal(&rejected_owner(request.org, request.app, request.id), &content)
}

/// Opens what [`seal_rejected`] made.
pub fn open_rejected(vault: &Vault, row: RejectedRow, sealed: &[u8]) -> Result<RejectedRequest> {
    let RejectedRow { org, app, id, at, status, body_bytes, expires_at } = row;
    let content = Bytes::from(vault.open(&rejected_owner(org, app, id), sealed)?);
    let cut = || corrupt("a refused request is cut off");
    let (length, rest) = content.split_first_chunk::<4>().ok_or_else(cut)?;
    let length = u32::from_be_bytes(*length) as usize;
    let head: RejectedHead<'_> =
        serde_json::from_slice(rest.get(..length).ok_or_else(cut)?).map_err(corrupt)?;
    Ok(RejectedRequest {
        org,
        app,
        id,
        at,
        status,
        reason: head.reason.into_owned(),
        method: head.method.into_owned(),
        url: head.url.into_owned(),
        headers: head.headers.into_owned(),
        body: content.slice(4 + length..),
        body_bytes,
        expires_at,
    })
}
