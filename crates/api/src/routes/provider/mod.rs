//! The providers that are known: who may be a source's type, what it takes, and a doctor for requests
//! that should have been genuine.

mod verify;

use axum::{Json, extract::State};
use providers::{
    Provider, catalogue,
    row::{Category, Content, Scheme},
    source::setting_names,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{auth::OrgCaller, error::ApiError, extract::Path, page::ListResponse, state::ApiState};

/// A provider.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderOut {
    /// What sources call it in their `type`.
    id: &'static str,
    /// Everything that may stand there for it: its id, and its other names.
    types: Vec<&'static str>,
    /// For people.
    name: &'static str,
    /// Where it is listed.
    #[schema(value_type = String, example = "payments")]
    category: Category,
    /// The sender's own page about its webhooks.
    docs: &'static str,
    /// Whether its facts are only recalled, and have not been checked.
    experimental: bool,
    /// How a request is told to be genuine.
    #[schema(value_type = String, example = "hmac")]
    scheme: Scheme,
    /// Whether verifying takes a secret.
    needs_secret: bool,
    /// Whether it sends the secret itself, so that a source may begin without one.
    sends_secret: bool,
    /// What a source's configuration holds beside the secret.
    settings: Vec<ProviderSetting>,
    /// What bodies hold: `json`, `form`, `multipart`, `xml`, `text`, `empty`, `any`.
    #[schema(value_type = Vec<String>)]
    content: &'static [Content],
    /// What whoever sets it up should know.
    notes: &'static str,
}

/// Something that is set beside the secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderSetting {
    /// As it is written in a source's `config`.
    name: String,
    /// What it is, for people.
    about: &'static str,
    /// What holds when it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<&'static str>,
    /// Whether it must be set.
    required: bool,
    /// Whether it is not shown again once it is set.
    hidden: bool,
    /// Whether it is the secret as well.
    secret: bool,
}

impl From<&'static Provider> for ProviderOut {
    fn from(provider: &'static Provider) -> Self {
        let row = provider.row();
        let settings = setting_names(provider).map(|(name, setting)| ProviderSetting {
            name,
            about: &setting.about,
            default: setting.default.as_deref(),
            required: setting.default.is_none(),
            hidden: setting.hidden,
            secret: setting.secret,
        });
        Self {
            id: &row.id,
            types: std::iter::once(&row.id).chain(&row.aliases).map(String::as_str).collect(),
            name: &row.name,
            category: row.category,
            docs: &row.docs,
            experimental: provider.experimental(),
            scheme: row.scheme,
            needs_secret: provider.needs_secret(),
            sends_secret: provider.sends_secret(),
            settings: settings.collect(),
            content: &row.content,
            notes: &row.notes,
        }
    }
}

/// List Providers
///
/// All providers that are known, by id, on one page. A source may also be of type `custom`, with a
/// provider of its own, or `cron`.
#[utoipa::path(get, path = "/api/v1/provider", operation_id = "v1.provider.list", tag = "Provider",
    responses((status = 200, body = ListResponse<ProviderOut>), ApiError))]
async fn list(
    State(_): State<ApiState>,
    OrgCaller(_): OrgCaller,
) -> Json<ListResponse<ProviderOut>> {
    let data = catalogue::all().iter().map(ProviderOut::from).collect();
    Json(ListResponse { data, iterator: None, prev_iterator: None, done: true })
}

/// Get Provider
///
/// A provider.
#[utoipa::path(get, path = "/api/v1/provider/{provider_id}", operation_id = "v1.provider.get",
    tag = "Provider",
    params(crate::openapi::ProviderPath),
    responses((status = 200, body = ProviderOut), ApiError))]
async fn get(
    State(_): State<ApiState>,
    Path((id,)): Path<(String,)>,
    OrgCaller(_): OrgCaller,
) -> Result<Json<ProviderOut>, ApiError> {
    catalogue::find(&id).map(|found| Json(found.into())).ok_or(ApiError::NOT_FOUND)
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get)).merge(verify::router())
}
