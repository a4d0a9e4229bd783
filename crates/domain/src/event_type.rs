//! The catalogue of what a product sends.

use serde_json::Value;

use crate::{
    clock::Timestamp,
    id::OrganizationId,
    name::{EventTypeName, FeatureFlag},
    organization::SchemaMode,
    retry::RetrySchedule,
};

/// A kind of event.
#[derive(Clone, Debug, PartialEq)]
pub struct EventType {
    /// The environment whose catalogue this is.
    pub org: OrganizationId,
    /// Its key.
    pub name: EventTypeName,
    /// For people.
    pub description: String,
    /// Not offered any more; endpoints cannot newly subscribe to it.
    pub archived: bool,
    /// Still offered, but not for new use.
    pub deprecated: bool,
    /// JSON Schema (draft 7) by version, as given: `{"1": {…}}`.
    pub schemas: Option<Value>,
    /// A group to show it under.
    pub group_name: Option<String>,
    /// Only portal tokens that carry one of these see it; empty: all do.
    pub feature_flags: Vec<FeatureFlag>,
    /// Overrides the organization's.
    pub schema_mode: Option<SchemaMode>,
    /// Overrides the server's, for messages of this type.
    pub retry_schedule: Option<RetrySchedule>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
