//! Tokens that were made here: which there are, and when they were last used; making those of the
//! organization, and ending any of them.

use std::time::Duration;

use axum::{Json, extract::State, response::IntoResponse};
use bytes::Bytes;
use domain::{
    clock::Timestamp,
    id::{ApplicationId, TokenId},
    page::Order,
    token::{Access, Scope, Token},
};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::auth::{cannot_sign, end_of, revoke};
use crate::{
    auth::{OrgCaller, mint},
    body,
    error::{ApiError, Faults},
    extract::{Path, Query},
    page::{self, ListResponse, PageQuery},
    state::ApiState,
};

/// Bounds of the life of an organization's token, in seconds: a minute to ten years.
const EXPIRY_SECS: std::ops::RangeInclusive<u64> = 60..=DEFAULT_EXPIRY_SECS;
const DEFAULT_EXPIRY_SECS: u64 = 3_650 * 24 * 3_600;
/// Longest name, in characters.
const MAX_NAME: usize = 64;

/// What a token may do.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenScope {
    /// Read and change.
    Full,
    /// Only read.
    Read,
}

/// Whose a token is.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "describes TokenOut::kind")]
pub(crate) enum TokenKind {
    /// The organization's.
    Organization,
    /// An application's: it opens the portal.
    Application,
}

/// A token, without the token itself.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenOut {
    /// What it is revoked by.
    #[schema(value_type = String, example = "key_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    pub id: TokenId,
    /// Whose it is.
    #[schema(value_type = TokenKind)]
    pub kind: &'static str,
    /// Of which application, if it is of one.
    #[schema(value_type = Option<String>)]
    pub app_id: Option<ApplicationId>,
    /// What people call it.
    pub name: Option<String>,
    /// What it may do at the most.
    #[schema(value_type = TokenScope)]
    pub scope: &'static str,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it ends by itself.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// When it was last used, up to two minutes late; `null` if it never was.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
    /// Whether it was ended before its time.
    pub revoked: bool,
}

impl TokenOut {
    fn new(state: &ApiState, token: Token, now: Timestamp) -> Self {
        Self {
            revoked: state.auth.refuses_row(&token, now),
            id: token.id,
            kind: if token.app.is_some() { "application" } else { "organization" },
            app_id: token.app,
            name: token.name,
            scope: token.access.as_str(),
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
        }
    }
}

/// A token of the organization that is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenIn {
    /// What people call it: who uses it.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// What it may do.
    scope: TokenScope,
    /// How long it lives, in seconds; ten years if nobody says.
    #[schema(minimum = 60, maximum = 315_360_000, default = 315_360_000)]
    expiry_secs: Option<u64>,
}

/// A token that was made.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenMadeOut {
    /// What it is revoked by.
    #[schema(value_type = String, example = "key_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    pub id: TokenId,
    /// The token itself. It is shown here and never again.
    pub token: String,
}

/// List Tokens
///
/// The tokens of the organization and of its applications that were made here and have not ended by
/// themselves, newest first. Tokens that a product signs itself, and those that `hookwright token` prints,
/// are not kept and not listed.
#[utoipa::path(get, path = "/api/v1/auth/token", operation_id = "v1.authentication.list-tokens",
    tag = "Authentication",
    params(crate::openapi::FixedPage),
    responses((status = 200, body = ListResponse<TokenOut>), ApiError))]
async fn list(
    State(state): State<ApiState>,
    Query(page): Query<PageQuery<TokenId>>,
    OrgCaller(caller): OrgCaller,
) -> Result<Json<ListResponse<TokenOut>>, ApiError> {
    let list =
        page::fill(page.fixed(Order::Descending), |page| state.store.list_tokens(caller.org, page));
    let (list, now) = (list.await?, state.clock.now());
    // What has ended is taken away a little later.
    Ok(Json(
        list.filter_map(|token| {
            (now < token.expires_at).then(|| TokenOut::new(&state, token, now))
        }),
    ))
}

/// Create Token
///
/// Makes a token of the organization. It is shown once, and not kept: an idempotency key does not bring
/// it back.
#[utoipa::path(post, path = "/api/v1/auth/token", operation_id = "v1.authentication.create-token",
    tag = "Authentication", request_body = TokenIn,
    responses((status = 201, body = TokenMadeOut), ApiError))]
async fn create(
    State(state): State<ApiState>,
    OrgCaller(caller): OrgCaller,
    body: Bytes,
) -> Result<impl IntoResponse, ApiError> {
    let TokenIn { name, scope, expiry_secs } = body::parse(&body)?;
    let mut faults = Faults::default();
    let length = name.chars().count();
    if !(1..=MAX_NAME).contains(&length) || name.chars().any(char::is_control) {
        faults.body("name", format!("must be 1 to {MAX_NAME} characters, no control characters"));
    }
    let secs = expiry_secs.unwrap_or(DEFAULT_EXPIRY_SECS);
    if !EXPIRY_SECS.contains(&secs) {
        faults.body("expirySecs", format!("must be 60 to {DEFAULT_EXPIRY_SECS}"));
    }
    faults.finish()?;
    let access = match scope {
        TokenScope::Full => Access::Full,
        TokenScope::Read => Access::Read,
    };
    let (scope, time) =
        (Scope::Organization(access), (state.clock.now(), Duration::from_secs(secs)));
    let minted = mint(state.auth.keys(), caller.org, &scope, None, time, &*state.entropy);
    let mut minted = minted.ok_or_else(cannot_sign)?;
    minted.row.name = Some(name);
    let id = minted.row.id;
    state.store.create_token(&caller.actor(), minted.row).await?;
    let made = TokenMadeOut { id, token: minted.token };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(made)))
}

/// Revoke Token
///
/// Ends a token of the organization or of one of its applications: it is refused from now on.
#[utoipa::path(delete, path = "/api/v1/auth/token/{token_id}",
    operation_id = "v1.authentication.revoke-token", tag = "Authentication",
    params(crate::openapi::TokenPath),
    responses((status = 204, description = "It is refused from now on."), ApiError))]
async fn end(
    State(state): State<ApiState>,
    Path((id,)): Path<(TokenId,)>,
    OrgCaller(caller): OrgCaller,
) -> Result<StatusCode, ApiError> {
    let now = state.clock.now();
    let token = state.store.token(caller.org, id).await?;
    let token = token.filter(|token| now < token.expires_at).ok_or(ApiError::NOT_FOUND)?;
    if state.auth.refuses_row(&token, now) {
        return Ok(StatusCode::NO_CONTENT);
    }
    let hash = token.hash.ok_or_else(|| {
        ApiError::conflict(
            "An earlier release made this token and did not keep what it is revoked by: end all \
             tokens of its application, or of its session, with expire-all.",
        )
    })?;
    revoke(&state, &caller, Some(id), end_of(hash, token.expires_at, now)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(end))
}
