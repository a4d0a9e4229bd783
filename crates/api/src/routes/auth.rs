//! Tokens for the portal, and their end.

use std::time::Duration;

use axum::{Json, extract::State};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use domain::{
    clock::Timestamp,
    id::{ApplicationId, TokenId},
    name::{FeatureFlag, Ref},
    token::{Capability, Revocation, Revoked, Scope},
};
use futures_util::future::try_join_all;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::application::{self, ApplicationIn};
use crate::{
    auth::{AnyCaller, Caller, MAX_TOKEN_BYTES, OrgCaller, mint},
    body,
    error::{ApiError, Faults},
    extract::Path,
    state::ApiState,
};

/// Bounds of a portal token's life, in seconds.
const EXPIRY_SECS: std::ops::RangeInclusive<u64> = 3_600..=MAX_EXPIRY_SECS;
const MAX_EXPIRY_SECS: u64 = 7 * 24 * 3_600;
/// Longest that tokens may live on after `expire-all`, in seconds.
const MAX_EXPIRE_SECS: i64 = 3 * 24 * 3_600;
/// Most sessions of one `expire-all`.
const MAX_SESSIONS: usize = 1_000;
/// Most flags of one token.
const MAX_FLAGS: usize = 25;
/// Tokens that a product signed itself may live as long as this.
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 366 * 24 * 3_600);

/// What a portal token may see and do.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppPortalAccessIn {
    /// Made first, if the application that the path names is not there.
    application: Option<ApplicationIn>,
    /// Guarded event types that it sees.
    #[serde(default, deserialize_with = "body::null_is_default")]
    #[schema(value_type = Vec<String>, max_items = 25)]
    feature_flags: Vec<FeatureFlag>,
    /// What it may do; everything if nobody says. Any of them allows to look.
    #[schema(value_type = Option<Vec<AppPortalCapability>>)]
    capabilities: Option<Vec<Capability>>,
    /// Deprecated: use `capabilities`. It may only look.
    #[schema(deprecated)]
    read_only: Option<bool>,
    /// How long it lives, in seconds.
    #[schema(minimum = 3600, maximum = 604_800, default = 604_800)]
    expiry: Option<u64>,
    /// Lets `expire-all` end the tokens of this session alone.
    #[schema(min_length = 1, max_length = 64)]
    session_id: Option<String>,
}

/// What a portal token may do.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes domain::token::Capability")]
pub(crate) enum AppPortalCapability {
    /// Read everything of the application but secrets.
    ViewBase,
    /// Read endpoint secrets.
    ViewEndpointSecret,
    /// Rotate and read endpoint secrets.
    ManageEndpointSecret,
    /// Change transformations.
    ManageTransformations,
    /// Resend, recover and send examples.
    CreateAttempts,
    /// Create, change and delete endpoints, secrets included.
    ManageEndpoint,
}

/// A way into the portal.
#[derive(Debug, Serialize, ToSchema)]
pub struct AppPortalAccessOut {
    /// Opens the portal, logged in.
    pub url: String,
    /// The token itself.
    pub token: String,
}

impl AppPortalAccessIn {
    /// For a portal that has no more to say.
    pub(crate) fn brief(expiry: Option<u64>, read_only: Option<bool>) -> Self {
        Self { expiry, read_only, ..Self::default() }
    }

    fn check(&self) -> Result<(), ApiError> {
        let mut faults = Faults::default();
        if self.expiry.is_some_and(|secs| !EXPIRY_SECS.contains(&secs)) {
            faults.body("expiry", format!("must be 3600 to {MAX_EXPIRY_SECS}"));
        }
        if self.session_id.as_ref().is_some_and(|id| !is_session(id)) {
            faults.body("sessionId", "must be 1 to 64 characters long");
        }
        if self.feature_flags.len() > MAX_FLAGS {
            faults.body("featureFlags", format!("at most {MAX_FLAGS} items"));
        }
        faults.finish()
    }
}

fn is_session(id: &str) -> bool {
    (1..=64).contains(&id.chars().count())
}

/// 400: there is no private key.
pub(crate) fn cannot_sign() -> ApiError {
    ApiError::BadRequest {
        code: "cannot_sign",
        detail: "this server holds only a public key: sign the token yourself".into(),
    }
}

/// Makes a token of an application, and the URL that opens the portal with it.
pub(crate) async fn portal_access(
    state: &ApiState,
    caller: &Caller,
    app: &Ref<ApplicationId>,
    mut input: AppPortalAccessIn,
) -> Result<Json<AppPortalAccessOut>, ApiError> {
    input.check()?;
    let in_line = input.application.take().map(ApplicationIn::check_in_line).transpose()?;
    let catalogues = state.publisher.catalogues();
    let mut found = catalogues.application_now(caller.org, app).await?;
    if let (None, Some(checked)) = (&found, in_line) {
        application::create_in_line(state, &caller.actor(), caller.org, app, checked).await?;
        found = catalogues.application_now(caller.org, app).await?;
    }
    let app = found.ok_or(ApiError::NO_APPLICATION)?.application.id;
    let read_only = input.read_only.unwrap_or(false).then(|| vec![Capability::ViewBase]);
    let capabilities = input.capabilities.map(|mut list| {
        list.sort_unstable();
        list.dedup();
        list
    });
    let scope = Scope::Application {
        app,
        feature_flags: input.feature_flags,
        capabilities: capabilities.or(read_only),
    };
    let life = Duration::from_secs(input.expiry.unwrap_or(MAX_EXPIRY_SECS));
    let time = (state.clock.now(), life);
    let keys = state.auth.keys();
    let minted = mint(keys, caller.org, &scope, input.session_id, time, &*state.entropy)
        .ok_or_else(cannot_sign)?;
    if minted.token.len() > MAX_TOKEN_BYTES {
        let msg = "the token would be too long to be sent: name fewer flags, or shorter ones";
        return Err(ApiError::invalid(&["body", "featureFlags"], msg));
    }
    state.store.create_token(&caller.actor(), minted.row).await?;
    let key = json!({ "appId": app, "token": minted.token, "region": null }).to_string();
    let url = format!("{}/portal#key={}", state.public_url, BASE64.encode(key));
    Ok(Json(AppPortalAccessOut { url, token: minted.token }))
}

/// Get Consumer App Portal Access
///
/// Makes a token of one application, for the portal.
#[utoipa::path(post, path = "/api/v1/auth/app-portal-access/{app_id}",
    operation_id = "v1.authentication.app-portal-access", tag = "Authentication",
    params(crate::openapi::AppPath, crate::openapi::IdempotencyKey),
    request_body = AppPortalAccessIn,
    responses((status = 200, body = AppPortalAccessOut), ApiError))]
async fn app_portal_access(
    State(state): State<ApiState>,
    Path((app,)): Path<(Ref<ApplicationId>,)>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<Json<AppPortalAccessOut>, ApiError> {
    portal_access(&state, &caller, &app, body::parse(&body)?).await
}

/// Get Dashboard Access
///
/// The same by its old name; the body is not looked at.
#[utoipa::path(post, path = "/api/v1/auth/dashboard-access/{app_id}",
    operation_id = "v1.authentication.dashboard-access", tag = "Authentication",
    params(crate::openapi::AppPath, crate::openapi::IdempotencyKey),
    responses((status = 200, body = AppPortalAccessOut), ApiError))]
async fn dashboard_access(
    State(state): State<ApiState>,
    Path((app,)): Path<(Ref<ApplicationId>,)>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<AppPortalAccessOut>, ApiError> {
    portal_access(&state, &caller, &app, AppPortalAccessIn::default()).await
}

/// When what is revoked at once is refused: whatever the clock of a node says that shares the store.
const AT_ONCE: Timestamp = Timestamp::EPOCH;

/// The end of one token, at once. It is remembered until that ends by itself, however far clocks are off.
pub(crate) fn end_of(hash: [u8; 32], expires_at: Timestamp, now: Timestamp) -> Revocation {
    let forget_at = expires_at.plus(Duration::from_secs(3_600));
    Revocation { what: Revoked::Token(hash), issued_until: now, at: AT_ONCE, forget_at }
}

/// Refuses tokens: `token` is the one that is meant, if it is one and has an id of ours.
pub(crate) async fn revoke(
    state: &ApiState,
    caller: &Caller,
    token: Option<TokenId>,
    revocation: Revocation,
) -> Result<(), ApiError> {
    let org = caller.org;
    state.store.revoke(&caller.actor(), org, token, revocation.clone()).await?;
    state.auth.revoke([revocation], state.clock.now());
    // Its version has moved: what is known of it would only make messages stale.
    state.publisher.catalogues().organization_changed(org);
    Ok(())
}

/// Logout
///
/// Ends the application token that this is called with.
#[utoipa::path(post, path = "/api/v1/auth/logout", operation_id = "v1.authentication.logout",
    tag = "Authentication",
    params(crate::openapi::IdempotencyKey),
    responses((status = 204, description = "It is refused from now on."), ApiError))]
async fn logout(
    State(state): State<ApiState>,
    AnyCaller(caller): AnyCaller,
) -> Result<StatusCode, ApiError> {
    // An organization's token is its backend's: not to be ended by a slip.
    if matches!(caller.scope, Scope::Organization(_)) {
        return Err(ApiError::Forbidden);
    }
    let revocation = end_of(caller.hash, caller.expires_at, state.clock.now());
    revoke(&state, &caller, caller.token, revocation).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which tokens end, and when.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApplicationTokenExpireIn)]
pub struct ExpireAllIn {
    /// In how many seconds; at once if nobody says. Tokens made after this call do not end with them.
    #[schema(minimum = 0, maximum = 259_200)]
    expiry: Option<i64>,
    /// Only those of these sessions; all if empty.
    #[serde(default, deserialize_with = "body::null_is_default")]
    #[schema(max_items = 1000)]
    session_ids: Vec<String>,
}

/// Expire All
///
/// Ends all tokens of an application, or those of some sessions.
#[utoipa::path(post, path = "/api/v1/auth/app/{app_id}/expire-all",
    operation_id = "v1.authentication.expire-all", tag = "Authentication",
    params(crate::openapi::AppPath, crate::openapi::IdempotencyKey), request_body = ExpireAllIn,
    responses((status = 204, description = "They are refused from then on."), ApiError))]
async fn expire_all(
    State(state): State<ApiState>,
    Path((app,)): Path<(Ref<ApplicationId>,)>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let app = state.app(&caller, &app, Capability::ViewBase).await?.application.id;
    let input: ExpireAllIn = body::parse(&body)?;
    let mut faults = Faults::default();
    let expiry = input.expiry.unwrap_or(0);
    if !(0..=MAX_EXPIRE_SECS).contains(&expiry) {
        faults.body("expiry", format!("must be 0 to {MAX_EXPIRE_SECS}"));
    }
    if input.session_ids.len() > MAX_SESSIONS {
        faults.body("sessionIds", format!("at most {MAX_SESSIONS} items"));
    }
    if !input.session_ids.iter().all(|id| is_session(id)) {
        faults.body("sessionIds", "each must be 1 to 64 characters long");
    }
    faults.finish()?;
    let now = state.clock.now();
    let end = now.plus(Duration::from_secs(expiry.unsigned_abs()));
    let at = if expiry == 0 { AT_ONCE } else { end };
    let org = caller.org;
    let sessions = input.session_ids.into_iter();
    let mut what: Vec<_> = sessions.map(|id| Revoked::Session(org, app, id)).collect();
    if what.is_empty() {
        what.push(Revoked::Application(org, app));
    }
    let forget_at = end.plus(LONGEST_LIFE);
    let revoked = what.into_iter().map(|what| {
        revoke(&state, &caller, None, Revocation { what, issued_until: now, at, forget_at })
    });
    // All at once: the embedded store makes one commit of them.
    try_join_all(revoked).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(app_portal_access))
        .routes(routes!(dashboard_access))
        .routes(routes!(logout))
        .routes(routes!(expire_all))
}
