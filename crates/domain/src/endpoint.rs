//! Where a customer listens.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    application::Metadata,
    clock::Timestamp,
    id::{ApplicationId, EndpointId, OrganizationId, SecretId},
    name::{Channel, EventTypeName, Uid},
    retry::RetrySchedule,
    signature::SigningSecret,
};

/// Most unexpired old secrets beside the newest one.
pub const MAX_OLD_SECRETS: usize = 10;

/// How long a transformation's code may be, in bytes.
pub const TRANSFORMATION_CODE_BYTES: RangeInclusive<usize> = 10..=51_200;
/// Most bytes of a transformation's variables, as JSON.
pub const MAX_VARIABLES_BYTES: usize = 4096;

/// A signing secret and until when it signs.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointSecret {
    /// Named by attempts that were signed with it.
    pub id: SecretId,
    /// The key itself.
    pub secret: Arc<SigningSecret>,
    /// `None` for the newest one; a rotated one signs until then.
    pub expires_at: Option<Timestamp>,
}

impl std::fmt::Debug for EndpointSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EndpointSecret").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a caller would have done to payloads on their way to an endpoint. It is kept and echoed; nothing
/// runs it. All of it is sealed where it is stored: its variables may be secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transformation {
    /// JavaScript, of [`TRANSFORMATION_CODE_BYTES`]; `None` where only variables were given so far.
    pub code: Option<String>,
    /// Whether the caller wants it to be in use.
    pub enabled: bool,
    /// What the code can read, of up to [`MAX_VARIABLES_BYTES`]; `None` if none were given.
    pub variables: Option<BTreeMap<String, String>>,
}

impl std::fmt::Debug for Transformation {
    /// Nothing of what may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transformation").field("enabled", &self.enabled).finish_non_exhaustive()
    }
}

/// Where a customer listens, and what of.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The environment.
    pub org: OrganizationId,
    /// The customer.
    pub app: ApplicationId,
    /// Ours.
    pub id: EndpointId,
    /// The caller's; unique in the application.
    pub uid: Option<Uid>,
    /// Where to. May carry basic-auth credentials, which are sent and never shown: see
    /// [`shown_url`].
    pub url: Url,
    /// For people.
    pub description: String,
    /// Most attempts per second; excess waits.
    pub throttle_rate: Option<u16>,
    /// The API's `version`: kept and echoed.
    pub version: u16,
    /// Paused: what is pending stays and goes on once enabled.
    pub disabled: bool,
    /// Only these event types; `None` is all.
    pub event_types: Option<Vec<EventTypeName>>,
    /// Only messages with one of these channels; `None` is all.
    pub channels: Option<Vec<Channel>>,
    /// The caller's labels.
    pub metadata: Metadata,
    /// Sent with every attempt.
    pub headers: BTreeMap<String, String>,
    /// Newest first.
    pub secrets: Vec<EndpointSecret>,
    /// Overrides the event type's and the server's.
    pub retry_schedule: Option<RetrySchedule>,
    /// Kept for the caller: see [`Transformation`].
    pub transformation: Option<Transformation>,
    /// When the present run of failures began; `None` while it answers.
    pub first_failure_at: Option<Timestamp>,
    /// Counts its changes; an attempt names the revision it was made with.
    pub revision: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed by somebody.
    pub updated_at: Timestamp,
}

impl std::fmt::Debug for Endpoint {
    /// Which one it is, and nothing that is secret: its URL and headers may hold credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("app", &self.app)
            .field("id", &self.id)
            .field("uid", &self.uid)
            .field("url", &shown_url(&self.url))
            .field("headers", &self.headers.keys())
            .field("disabled", &self.disabled)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// The secrets that sign at `now`, newest first.
    pub fn valid_secrets(&self, now: Timestamp) -> impl Iterator<Item = &EndpointSecret> {
        self.secrets.iter().filter(move |s| s.expires_at.is_none_or(|end| end > now))
    }
}

/// `url` as it may be shown: the password of basic-auth credentials is replaced by `****`.
pub fn shown_url(url: &Url) -> String {
    if url.password().is_none() {
        return url.as_str().to_owned();
    }
    let mut shown = url.clone();
    // Cannot fail: a URL that has a password can be given another.
    let _ = shown.set_password(Some("****"));
    shown.into()
}
