//! The doctor: why a captured request is not genuine. It shows no signature and no secret.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use domain::clock::Timestamp;
use providers::{
    Keys, Request, Verdict,
    doctor::{self, Diagnosis, Finding},
    source::{self, Configured},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::OrgCaller, body, error::ApiError, extract::Path, routes::check, state::ApiState,
};

/// Most headers of a request that is looked at.
const MAX_HEADERS: usize = 200;
/// How many requests are looked at at a time: each may take hundreds of verifications.
static ROOMS: Semaphore = Semaphore::const_new(2);

/// What is to be looked at.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderVerifyIn {
    /// The request, as it was received.
    request: CapturedRequest,
    /// Secrets to try.
    #[serde(default)]
    #[schema(max_items = 16)]
    secrets: Vec<String>,
    /// What else the provider takes, as a source's `config`, without secrets.
    #[serde(default, deserialize_with = "body::null_is_default")]
    #[schema(value_type = Option<Object>)]
    config: Map<String, Value>,
    /// When it was received; now if nobody says.
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
}

/// A request as it was received.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapturedRequest {
    /// `POST` if nobody says.
    #[serde(default = "post")]
    #[schema(default = "POST")]
    method: String,
    /// As the sender knows it, query included.
    #[serde(default)]
    url: String,
    /// By name; a list of values if one came more than once.
    #[schema(value_type = BTreeMap<String, Object>)]
    headers: BTreeMap<String, Values>,
    /// Exactly the bytes received, in base64.
    #[serde(default)]
    body_base64: String,
}

fn post() -> String {
    "POST".into()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Many(Vec<String>),
}

/// What the doctor says.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderVerifyOut {
    /// `genuine`, `refused`, or `needs_key` if that cannot be said without the key at `keyUrl`.
    verdict: &'static str,
    /// Why it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What is wrong, the likeliest first.
    findings: Vec<ProviderFinding>,
    /// Where the provider's key is.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_url: Option<String>,
    /// The event's id, of a genuine request.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    /// The event's type, of a genuine request.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_type: Option<String>,
    /// Which of the secrets fits, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_index: Option<usize>,
}

/// One thing that is wrong, or may be.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderFinding {
    /// `body`, `secret`, `url`, `clock`, `other_provider`, `decompressed`, `refused` or `nothing_fits`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// For people.
    message: String,
}

impl From<&Finding> for ProviderFinding {
    fn from(finding: &Finding) -> Self {
        let kind = match finding {
            Finding::Body(_) => "body",
            Finding::Secret { .. } => "secret",
            Finding::Url(_) => "url",
            Finding::Clock { .. } => "clock",
            Finding::OtherProvider(_) => "other_provider",
            Finding::Decompressed => "decompressed",
            Finding::Refused(_) => "refused",
            Finding::NothingFits => "nothing_fits",
        };
        Self { kind, message: finding.to_string() }
    }
}

impl From<Diagnosis> for ProviderVerifyOut {
    fn from(diagnosis: Diagnosis) -> Self {
        let out = Self {
            verdict: "genuine",
            reason: None,
            findings: diagnosis.findings.iter().map(ProviderFinding::from).collect(),
            key_url: None,
            event_id: None,
            event_type: None,
            secret_index: None,
        };
        match diagnosis.verdict {
            Verdict::Genuine(event) => Self {
                event_id: event.event_id,
                event_type: event.event_type,
                secret_index: event.secret,
                ..out
            },
            Verdict::Refused(reason) => {
                Self { verdict: "refused", reason: Some(reason.to_string()), ..out }
            }
            Verdict::NeedsKey(key) => Self { verdict: "needs_key", key_url: Some(key.url), ..out },
        }
    }
}

/// A request that is ready to be looked at.
struct Checked {
    configured: Configured,
    request: CapturedRequest,
    body: Vec<u8>,
    at: Timestamp,
}

impl ProviderVerifyIn {
    fn check(mut self, provider: &str, now: Timestamp) -> Result<Checked, ApiError> {
        if self.config.contains_key("secret") || self.config.contains_key("secrets") {
            return Err(ApiError::invalid(&["body", "config"], "secrets stand beside it"));
        }
        if !self.secrets.is_empty() {
            self.config.insert("secrets".into(), self.secrets.into());
        }
        let configured = source::configured(provider, &Value::Object(self.config));
        let configured = configured.map_err(|error| match error.field.as_deref() {
            None => ApiError::NOT_FOUND,
            Some("secret" | "secrets" | "publicKey") => {
                ApiError::invalid(&["body", "secrets"], error.why)
            }
            Some(_) => ApiError::Invalid(vec![check::config_fault(error)]),
        })?;
        if self.request.headers.len() > MAX_HEADERS {
            let msg = format!("at most {MAX_HEADERS} headers");
            return Err(ApiError::invalid(&["body", "request", "headers"], msg));
        }
        let body = BASE64.decode(&self.request.body_base64).map_err(|_| {
            ApiError::invalid(&["body", "request", "bodyBase64"], "must be padded base64")
        })?;
        self.request.method.make_ascii_uppercase();
        Ok(Checked { configured, request: self.request, body, at: self.at.unwrap_or(now) })
    }
}

impl Checked {
    fn diagnose(&self) -> Diagnosis {
        let headers: Vec<(&str, &[u8])> = self
            .request
            .headers
            .iter()
            .flat_map(|(name, values)| {
                let values = match values {
                    Values::One(value) => std::slice::from_ref(value),
                    Values::Many(values) => values,
                };
                values.iter().map(|value| (name.as_str(), value.as_bytes()))
            })
            .collect();
        let CapturedRequest { method, url, .. } = &self.request;
        let request = Request { method, url, headers: &headers, body: &self.body };
        let Configured { provider, secrets } = &self.configured;
        doctor::diagnose(provider, &request, secrets, self.at, &Keys::new())
    }
}

/// Verify Request
///
/// Says whether a captured request is one of this provider's, and if not, why: a changed body, another
/// secret, a clock, a URL behind a proxy. Nothing is kept, and no signature or secret is shown.
#[utoipa::path(post, path = "/api/v1/provider/{provider_id}/verify",
    operation_id = "v1.provider.verify", tag = "Provider",
    params(crate::openapi::ProviderPath), request_body = ProviderVerifyIn,
    responses((status = 200, body = ProviderVerifyOut), ApiError))]
async fn verify(
    State(state): State<ApiState>,
    Path((provider,)): Path<(String,)>,
    OrgCaller(_): OrgCaller,
    body: Bytes,
) -> Result<Json<ProviderVerifyOut>, ApiError> {
    let input: ProviderVerifyIn = body::parse(&body)?;
    let checked = input.check(&provider, state.clock.now())?;
    let _room = ROOMS.acquire().await.map_err(|_| ApiError::Internal)?;
    let diagnosis = tokio::task::spawn_blocking(move || checked.diagnose()).await;
    Ok(Json(diagnosis.map_err(|_| ApiError::Internal)?.into()))
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(verify))
}
