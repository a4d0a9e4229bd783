//! An environment of one product; gets its row (settings) on first use.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::OrganizationId;

/// What happens to a payload that does not match its event type's schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchemaMode {
    /// It is not looked at.
    #[default]
    Off,
    /// It is accepted, counted and logged.
    Warn,
    /// It is refused with 422.
    Reject,
}

/// Settings of an organization. Absent: what the server's configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OrganizationSettings {
    /// Whether payloads are checked against event types that do not say so themselves.
    pub schema_mode: SchemaMode,
    /// Most deliveries of one application that may wait at a time; more answers 429.
    pub max_pending_deliveries: Option<u64>,
    /// How long payloads are kept where the message does not say.
    pub payload_retention: Option<Duration>,
}

/// An environment of one product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// Named by whoever signs tokens: it exists because a token says so.
    pub id: OrganizationId,
    /// See there.
    pub settings: OrganizationSettings,
}
