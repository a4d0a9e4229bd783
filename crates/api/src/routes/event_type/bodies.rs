//! What event types are made of.

use std::collections::BTreeMap;

use domain::{
    clock::Timestamp,
    event_type::EventType,
    id::OrganizationId,
    name::{EventTypeName, FeatureFlag},
    organization::SchemaMode,
    retry::RetrySchedule,
};
use publish::schema::Schema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    body::{self, Patch},
    error::{ApiError, Faults},
    routes::{check, environment::SchemaModeName},
};

/// Most versions of a schema.
const MAX_SCHEMAS: usize = 100;
/// Most feature flags of an event type.
const MAX_FEATURE_FLAGS: usize = 100;

/// An event type as it is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventTypeIn {
    /// Its name.
    #[schema(value_type = String, max_length = 256, pattern = "^[a-zA-Z0-9\\-_.]+$", example = "user.signup")]
    name: EventTypeName,
    /// For people.
    description: String,
    /// Not offered any more.
    #[serde(default)]
    archived: bool,
    /// Offered, but not for new use.
    #[serde(default)]
    deprecated: bool,
    /// JSON Schema (draft 7) by version: `{"1": {…}}`.
    #[schema(value_type = Option<Object>)]
    schemas: Option<BTreeMap<String, Value>>,
    /// Only portal tokens with this flag see it.
    #[schema(value_type = Option<String>, deprecated)]
    feature_flag: Option<FeatureFlag>,
    /// Only portal tokens with one of these flags see it.
    #[schema(value_type = Option<Vec<String>>)]
    feature_flags: Option<Vec<FeatureFlag>>,
    /// A group to show it under.
    group_name: Option<String>,
    /// Whether payloads are checked; `null`: as the organization says.
    #[schema(value_type = Option<SchemaModeName>)]
    schema_mode: Option<SchemaMode>,
    /// Waits between tries, like `["5s", "5m"]`; `null`: the server's.
    #[schema(value_type = Option<Vec<String>>)]
    retry_schedule: Option<RetrySchedule>,
}

/// What replaces an event type.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventTypeUpdate {
    /// For people.
    description: String,
    /// Not offered any more.
    #[serde(default)]
    archived: bool,
    /// Offered, but not for new use.
    #[serde(default)]
    deprecated: bool,
    /// JSON Schema (draft 7) by version: `{"1": {…}}`.
    #[schema(value_type = Option<Object>)]
    schemas: Option<BTreeMap<String, Value>>,
    /// Only portal tokens with this flag see it.
    #[schema(value_type = Option<String>, deprecated)]
    feature_flag: Option<FeatureFlag>,
    /// Only portal tokens with one of these flags see it.
    #[schema(value_type = Option<Vec<String>>)]
    feature_flags: Option<Vec<FeatureFlag>>,
    /// A group to show it under.
    group_name: Option<String>,
    /// Whether payloads are checked; `null`: as the organization says.
    #[schema(value_type = Option<SchemaModeName>)]
    schema_mode: Option<SchemaMode>,
    /// Waits between tries, like `["5s", "5m"]`; `null`: the server's.
    #[schema(value_type = Option<Vec<String>>)]
    retry_schedule: Option<RetrySchedule>,
}

/// What is changed of an event type.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventTypePatch {
    /// For people.
    #[serde(default, deserialize_with = "body::not_null")]
    description: Option<String>,
    /// Not offered any more.
    #[serde(default, deserialize_with = "body::not_null")]
    archived: Option<bool>,
    /// Offered, but not for new use.
    #[serde(default, deserialize_with = "body::not_null")]
    deprecated: Option<bool>,
    /// JSON Schema (draft 7) by version; `null` clears it.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    schemas: Patch<BTreeMap<String, Value>>,
    /// Only portal tokens with this flag see it; `null` clears it.
    #[serde(default)]
    #[schema(value_type = Option<String>, deprecated)]
    feature_flag: Patch<FeatureFlag>,
    /// Only portal tokens with one of these flags see it; `null` clears it.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    feature_flags: Patch<Vec<FeatureFlag>>,
    /// A group to show it under; `null` clears it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    group_name: Patch<String>,
    /// Whether payloads are checked; `null`: as the organization says.
    #[serde(default)]
    #[schema(value_type = Option<SchemaModeName>)]
    schema_mode: Patch<SchemaMode>,
    /// Waits between tries; `null`: the server's.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    retry_schedule: Patch<RetrySchedule>,
}

/// An event type.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventTypeOut {
    /// Its name.
    #[schema(value_type = String)]
    pub name: EventTypeName,
    /// For people.
    pub description: String,
    /// Not offered any more.
    pub archived: bool,
    /// Offered, but not for new use.
    pub deprecated: bool,
    /// JSON Schema (draft 7) by version.
    #[schema(value_type = Option<Object>)]
    pub schemas: Option<Value>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// A group to show it under.
    pub group_name: Option<String>,
    /// The first of `featureFlags`.
    #[schema(value_type = Option<String>, deprecated)]
    pub feature_flag: Option<FeatureFlag>,
    /// Only portal tokens with one of these flags see it.
    #[schema(value_type = Option<Vec<String>>)]
    pub feature_flags: Option<Vec<FeatureFlag>>,
    /// Whether payloads are checked; `null`: as the organization says.
    #[schema(value_type = Option<SchemaModeName>)]
    pub schema_mode: Option<SchemaMode>,
    /// Waits between tries; `null`: the server's.
    #[schema(value_type = Option<Vec<String>>)]
    pub retry_schedule: Option<RetrySchedule>,
}

impl EventTypeOut {
    /// Of an event type; its schemas only with content.
    pub fn new(event_type: EventType, with_content: bool) -> Self {
        let flags = event_type.feature_flags;
        Self {
            name: event_type.name,
            description: event_type.description,
            archived: event_type.archived,
            deprecated: event_type.deprecated,
            schemas: event_type.schemas.filter(|_| with_content),
            created_at: event_type.created_at,
            updated_at: event_type.updated_at,
            group_name: event_type.group_name,
            feature_flag: flags.first().cloned(),
            feature_flags: (!flags.is_empty()).then_some(flags),
            schema_mode: event_type.schema_mode,
            retry_schedule: event_type.retry_schedule,
        }
    }
}

impl From<EventTypeIn> for (EventTypeName, EventTypeUpdate) {
    fn from(input: EventTypeIn) -> Self {
        let update = EventTypeUpdate {
            description: input.description,
            archived: input.archived,
            deprecated: input.deprecated,
            schemas: input.schemas,
            feature_flag: input.feature_flag,
            feature_flags: input.feature_flags,
            group_name: input.group_name,
            schema_mode: input.schema_mode,
            retry_schedule: input.retry_schedule,
        };
        (input.name, update)
    }
}

impl EventTypeUpdate {
    /// The event type itself, its values checked.
    pub fn check(
        self,
        org: OrganizationId,
        name: EventTypeName,
        now: Timestamp,
    ) -> Result<EventType, ApiError> {
        let flags = self.feature_flags.or(self.feature_flag.map(|flag| vec![flag]));
        let flags = flags.unwrap_or_default();
        let mut faults = Faults::default();
        check::text(&mut faults, "description", &self.description);
        check_flags(&mut faults, &flags);
        check_group(&mut faults, self.group_name.as_deref());
        let schemas = self.schemas.map(|schemas| check_schemas(&mut faults, schemas));
        faults.finish()?;
        Ok(EventType {
            org,
            name,
            description: self.description,
            archived: self.archived,
            deprecated: self.deprecated,
            schemas,
            group_name: self.group_name,
            feature_flags: flags,
            schema_mode: self.schema_mode,
            retry_schedule: self.retry_schedule,
            created_at: now,
            updated_at: now,
        })
    }
}

fn check_flags(faults: &mut Faults, flags: &[FeatureFlag]) {
    if flags.len() > MAX_FEATURE_FLAGS {
        faults.body("featureFlags", format!("at most {MAX_FEATURE_FLAGS} items"));
    }
}

fn check_group(faults: &mut Faults, group: Option<&str>) {
    if group.is_some_and(|group| group.is_empty() || group.len() > 256) {
        faults.body("groupName", "must be 1 to 256 characters long");
    }
}

fn check_schemas(faults: &mut Faults, schemas: BTreeMap<String, Value>) -> Value {
    if schemas.len() > MAX_SCHEMAS {
        faults.body("schemas", format!("at most {MAX_SCHEMAS} versions"));
    }
    for (version, schema) in schemas.iter().take(MAX_SCHEMAS) {
        if let Err(error) = Schema::compile(schema) {
            let mut msg = format!("version {version:.50}: {error}");
            msg.truncate(msg.floor_char_boundary(500));
            faults.body("schemas", msg);
        }
    }
    Value::Object(schemas.into_iter().collect())
}

/// A change of an event type, checked.
pub struct Change {
    patch: EventTypePatch,
    schemas: Patch<Value>,
}

impl EventTypePatch {
    /// Its values, checked.
    pub fn check(mut self) -> Result<Change, ApiError> {
        let mut faults = Faults::default();
        if let Some(description) = &self.description {
            check::text(&mut faults, "description", description);
        }
        if let Patch::Value(flags) = &self.feature_flags {
            check_flags(&mut faults, flags);
        }
        if let Patch::Value(group) = &self.group_name {
            check_group(&mut faults, Some(group));
        }
        let schemas = match std::mem::take(&mut self.schemas) {
            Patch::Value(schemas) => Patch::Value(check_schemas(&mut faults, schemas)),
            Patch::Null => Patch::Null,
            Patch::Absent => Patch::Absent,
        };
        faults.finish()?;
        Ok(Change { patch: self, schemas })
    }
}

impl Change {
    /// Makes it.
    pub fn apply(&self, event_type: &mut EventType) {
        let patch = &self.patch;
        if let Some(description) = &patch.description {
            event_type.description.clone_from(description);
        }
        event_type.archived = patch.archived.unwrap_or(event_type.archived);
        event_type.deprecated = patch.deprecated.unwrap_or(event_type.deprecated);
        self.schemas.clone().apply(&mut event_type.schemas);
        match (&patch.feature_flags, &patch.feature_flag) {
            (Patch::Value(flags), _) => event_type.feature_flags.clone_from(flags),
            (Patch::Absent, Patch::Value(flag)) => event_type.feature_flags = vec![flag.clone()],
            (Patch::Null, _) | (Patch::Absent, Patch::Null) => event_type.feature_flags.clear(),
            (Patch::Absent, Patch::Absent) => {}
        }
        patch.group_name.clone().apply(&mut event_type.group_name);
        patch.schema_mode.apply(&mut event_type.schema_mode);
        patch.retry_schedule.clone().apply(&mut event_type.retry_schedule);
    }
}
