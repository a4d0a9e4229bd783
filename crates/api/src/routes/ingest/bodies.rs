//! What sources are made of, as it is asked for and answered.

use domain::{
    application::{Application, Metadata},
    clock::Timestamp,
    id::ApplicationId,
    source::{InboundToken, Source, SourceId, SourceSettings, shown_uid},
};
use providers::source;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::settings::IngestSourceSettings;
use crate::{
    body::{self, Patch},
    state::ApiState,
};

/// A source as it is asked for.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngestSourceIn {
    /// For people.
    #[schema(min_length = 2, max_length = 256)]
    pub(super) name: String,
    /// The caller's own id of it.
    #[schema(min_length = 1, max_length = 60, pattern = "^(?!src_)[a-zA-Z0-9_-]+$")]
    pub(super) uid: Option<String>,
    /// The caller's labels; at most 4,096 bytes as JSON.
    #[serde(default, deserialize_with = "body::null_is_default")]
    pub(super) metadata: Metadata,
    /// Who sends: a provider's id (`GET /api/v1/provider`), `custom`, or `cron`, which sends itself.
    #[serde(rename = "type")]
    #[schema(example = "github")]
    pub(super) kind: String,
    /// What the type takes: its secret, its settings. A `custom` one is a provider of its own, with its
    /// secret.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({"secret": "It's a Secret to Everybody"}))]
    pub(super) config: Value,
    /// What it does beyond what its provider says.
    #[serde(default, deserialize_with = "body::null_is_default")]
    #[schema(value_type = Option<IngestSourceSettings>)]
    pub(super) settings: SourceSettings,
}

/// What is changed of a source.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngestSourcePatch {
    /// For people.
    #[serde(default, deserialize_with = "body::not_null")]
    #[schema(min_length = 2, max_length = 256)]
    pub(super) name: Option<String>,
    /// The caller's own id of it; `null` clears it.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 60, pattern = "^(?!src_)[a-zA-Z0-9_-]+$")]
    pub(super) uid: Patch<String>,
    /// The caller's labels, replaced as a whole.
    #[serde(default, deserialize_with = "body::not_null")]
    pub(super) metadata: Option<Metadata>,
    /// What it does beyond what its provider says, replaced as a whole.
    #[serde(default, deserialize_with = "body::not_null")]
    #[schema(value_type = Option<IngestSourceSettings>)]
    pub(super) settings: Option<SourceSettings>,
}

/// A source.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngestSourceOut {
    /// Ours.
    #[schema(example = "src_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: String,
    /// The caller's own id of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    /// For people.
    name: String,
    /// The caller's labels.
    metadata: Metadata,
    /// Who sends.
    #[serde(rename = "type")]
    kind: String,
    /// As it was given, but without secrets. Not there for types that take nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    config: Option<Value>,
    /// Where the provider has to post. Whoever knows it can post too. `null` for `cron`.
    ingest_url: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Its application: what it has received are the messages of that.
    #[schema(value_type = String, example = "app_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    app_id: ApplicationId,
    /// What it does beyond what its provider says.
    #[schema(value_type = IngestSourceSettings)]
    settings: SourceSettings,
}

/// A source's new URL.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotateTokenOut {
    /// Where the provider has to post from now on.
    pub(super) ingest_url: String,
}

/// How the portal is opened for a source.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngestSourceConsumerPortalAccessIn {
    /// How long the token lives, in seconds.
    #[schema(minimum = 3600, maximum = 604_800, default = 604_800)]
    pub(super) expiry: Option<u64>,
    /// It may only look.
    pub(super) read_only: Option<bool>,
}

impl IngestSourceOut {
    /// How a source is shown. `None` of an application that is none.
    pub(super) fn new(state: &ApiState, app: Application) -> Option<Self> {
        let source = app.source.as_ref()?;
        // What is stored was written by us.
        let config = serde_json::from_str(source.config.as_str()).unwrap_or_default();
        Some(Self {
            id: SourceId(app.id).to_string(),
            uid: app.uid.as_ref().and_then(shown_uid).map(str::to_owned),
            config: source::shown(&source.kind, &config),
            ingest_url: ingest_url(state, &app, source),
            kind: source.kind.clone(),
            settings: source.settings.clone(),
            name: app.name,
            metadata: app.metadata,
            created_at: app.created_at,
            updated_at: app.updated_at,
            app_id: app.id,
        })
    }
}

/// Where a source is posted to; `None` if it is not.
pub(super) fn ingest_url(state: &ApiState, app: &Application, source: &Source) -> Option<String> {
    let token = source.token().filter(|_| source.kind != source::CRON)?;
    let token = InboundToken { org: app.org, app: app.id, secret: token.secret.clone() };
    Some(format!("{}/in/{token}", state.public_url))
}
