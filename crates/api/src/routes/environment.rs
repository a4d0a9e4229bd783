//! An organization's settings.

use std::{ops::RangeInclusive, time::Duration};

use axum::{Json, extract::State};
use bytes::Bytes;
use domain::{
    duration::HumanDuration,
    organization::{OrganizationSettings, SchemaMode},
};
use serde::{Deserialize, Serialize};
use store::catalog::OrganizationSnapshot;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::MAX_EDITS;
use crate::{
    auth::OrgCaller,
    body::{self, Patch},
    error::{ApiError, Faults},
    state::ApiState,
};

/// How long payloads may be kept: as long as a message may ask for.
const RETENTION: RangeInclusive<Duration> =
    Duration::from_secs(3_600)..=Duration::from_secs(90 * 24 * 3_600);

/// Settings of an organization.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentSettingsOut {
    /// Whether payloads are checked against event types that do not say so themselves.
    #[schema(value_type = SchemaModeName)]
    schema_mode: SchemaMode,
    /// Most deliveries of one application that may wait at a time; `null`: as configured.
    max_pending_deliveries: Option<u64>,
    /// How long payloads are kept, like `30d`; `null`: as configured.
    #[schema(value_type = Option<String>)]
    payload_retention: Option<HumanDuration>,
}

/// What happens to a payload that does not match its schema.
#[derive(ToSchema)]
#[schema(as = SchemaMode, rename_all = "lowercase")]
#[allow(dead_code, reason = "describes domain::organization::SchemaMode")]
pub(crate) enum SchemaModeName {
    /// It is not looked at.
    Off,
    /// It is accepted and logged.
    Warn,
    /// It is refused with 422.
    Reject,
}

impl From<OrganizationSettings> for EnvironmentSettingsOut {
    fn from(settings: OrganizationSettings) -> Self {
        Self {
            schema_mode: settings.schema_mode,
            max_pending_deliveries: settings.max_pending_deliveries,
            payload_retention: settings.payload_retention.map(HumanDuration),
        }
    }
}

/// What is changed of them.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentSettingsPatch {
    /// See there.
    #[serde(default, deserialize_with = "body::not_null")]
    #[schema(value_type = Option<SchemaModeName>)]
    schema_mode: Option<SchemaMode>,
    /// `null`: as configured.
    #[serde(default)]
    #[schema(value_type = Option<u64>, minimum = 1)]
    max_pending_deliveries: Patch<u64>,
    /// `1h` to `90d`; `null`: as configured.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    payload_retention: Patch<HumanDuration>,
}

impl EnvironmentSettingsPatch {
    fn check(&self) -> Result<(), ApiError> {
        let mut faults = Faults::default();
        if matches!(self.max_pending_deliveries, Patch::Value(0)) {
            faults.body("maxPendingDeliveries", "must be at least 1");
        }
        if matches!(self.payload_retention, Patch::Value(HumanDuration(d)) if !RETENTION.contains(&d))
        {
            faults.body("payloadRetention", "must be 1h to 90d");
        }
        faults.finish()
    }

    fn apply(&self, settings: &mut OrganizationSettings) {
        settings.schema_mode = self.schema_mode.unwrap_or(settings.schema_mode);
        self.max_pending_deliveries.apply(&mut settings.max_pending_deliveries);
        let mut retention = settings.payload_retention.map(HumanDuration);
        self.payload_retention.apply(&mut retention);
        settings.payload_retention = retention.map(|r| r.0);
    }
}

/// Get Environment Settings
///
/// The organization's settings.
#[utoipa::path(get, path = "/api/v1/environment/settings",
    operation_id = "v1.environment.get-settings", tag = "Environment",
    responses((status = 200, body = EnvironmentSettingsOut), ApiError))]
async fn get(
    State(state): State<ApiState>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<EnvironmentSettingsOut>, ApiError> {
    let snapshot = state.store.load_organization(caller.org).await?;
    Ok(Json(snapshot.organization.settings.into()))
}

/// Patch Environment Settings
///
/// Changes some of the organization's settings.
#[utoipa::path(patch, path = "/api/v1/environment/settings",
    operation_id = "v1.environment.patch-settings", tag = "Environment", request_body = EnvironmentSettingsPatch,
    responses((status = 200, body = EnvironmentSettingsOut), ApiError))]
async fn patch(
    State(state): State<ApiState>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<Json<EnvironmentSettingsOut>, ApiError> {
    let input: EnvironmentSettingsPatch = body::parse(&body)?;
    input.check()?;
    for _ in 0..MAX_EDITS {
        let OrganizationSnapshot { mut organization, version, .. } =
            state.store.load_organization(caller.org).await?;
        input.apply(&mut organization.settings);
        let settings = organization.settings.clone();
        let put = state.store.put_organization(&caller.actor(), organization, version).await?;
        if put.is_ok() {
            state.publisher.catalogues().organization_changed(caller.org);
            return Ok(Json(settings.into()));
        }
        // Somebody else's change came between.
    }
    Err(ApiError::Unavailable("The settings are being changed by many at once."))
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get, patch))
}
