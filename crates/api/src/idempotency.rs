//! Idempotency keys: a POST that is repeated with the same `Idempotency-Key` is done once. A message's
//! key is claimed in the transaction that stores it; other answers are saved behind their request.
//! A key is of its caller and URI; the body is not part of it.

use std::{collections::HashMap, sync::Arc};

use axum::{
    body::Body,
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use domain::{
    claim::{ClaimKey, ClaimKind},
    token::Scope,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, request::Parts};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use publish::DraftClaim;
use store::publish::SavedResponse;

use crate::{auth::Caller, error::ApiError, state::ApiState};

const HEADER: &str = "idempotency-key";
/// Longest key, in bytes.
const MAX_KEY_BYTES: usize = 256;
/// Most keys that are being worked on at a time; more are told to come again.
const MAX_IN_FLIGHT: usize = 10_000;

/// Extracts a request's key, if it has one, with the URI that it belongs to.
pub struct RequestKey(Option<(HeaderValue, Uri)>);

impl RequestKey {
    fn of(headers: &HeaderMap, uri: &Uri) -> Result<Self, ApiError> {
        let Some(text) = headers.get(HEADER) else { return Ok(Self(None)) };
        if text.len() > MAX_KEY_BYTES {
            let msg = format!("at most {MAX_KEY_BYTES} bytes long");
            return Err(ApiError::invalid(&["header", HEADER], msg));
        }
        Ok(Self((!text.is_empty()).then(|| (text.clone(), uri.clone()))))
    }

    /// What is claimed: the caller's organization, the URI and the key, and what `more` says.
    fn claim(&self, caller: &Caller, more: &[&[u8]]) -> Option<ClaimKey> {
        let (text, uri) = self.0.as_ref()?;
        let path = uri.path_and_query().map_or(&[][..], |p| p.as_str().as_bytes());
        let org = caller.org;
        let parts = [&[org.raw().as_slice(), path, text.as_bytes()], more].concat();
        Some(ClaimKey::new(ClaimKind::IdempotencyKey, &parts))
    }

    /// A message's claim; `item` counts the messages of one request.
    pub fn message(
        &self,
        state: &ApiState,
        caller: &Caller,
        item: Option<usize>,
    ) -> Option<DraftClaim> {
        let item = item.map(|item| (item as u64).to_le_bytes());
        let key = match &item {
            None => self.claim(caller, &[]),
            Some(item) => self.claim(caller, &[item]),
        };
        Some(DraftClaim { key: key?, ttl: state.idempotency_ttl })
    }
}

impl FromRequestParts<ApiState> for RequestKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, ApiError> {
        Self::of(&parts.headers, &parts.uri)
    }
}

/// Requests with a key that are under way on this node: a second one waits for the first.
#[derive(Default)]
pub struct InFlight(Mutex<HashMap<ClaimKey, Arc<tokio::sync::Mutex<()>>>>);

/// Takes a key out again when nobody works on it any more.
struct Ticket<'a> {
    of: &'a InFlight,
    key: ClaimKey,
    gate: Arc<tokio::sync::Mutex<()>>,
}

impl InFlight {
    fn enter(&self, key: ClaimKey) -> Result<Ticket<'_>, ApiError> {
        let mut keys = self.0.lock();
        if keys.len() >= MAX_IN_FLIGHT && !keys.contains_key(&key) {
            return Err(ApiError::Unavailable("The server is overloaded."));
        }
        let gate = keys.entry(key).or_default().clone();
        Ok(Ticket { of: self, key, gate })
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut keys = self.of.0.lock();
        // Two: the map's and this one.
        if Arc::strong_count(&self.gate) == 2 {
            keys.remove(&self.key);
        }
    }
}

/// Middleware for POSTs that make no message. Answers other than 2xx leave the key free.
pub async fn saved(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    match answer(&state, request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn answer(state: &ApiState, request: Request, next: Next) -> Result<Response, ApiError> {
    // Without a valid token there is nothing to save; the handler says so.
    let caller = state.auth.caller(request.method(), request.headers(), state.clock.now());
    let Ok(caller) = caller else { return Ok(next.run(request).await) };
    // An answer to one portal token is not for another one, which may see less.
    let token: &[u8] = match caller.scope {
        Scope::Organization(_) => &[],
        Scope::Application { .. } => &caller.hash,
    };
    let key = RequestKey::of(request.headers(), request.uri())?.claim(&caller, &[b"saved", token]);
    let Some(key) = key else { return Ok(next.run(request).await) };
    let ticket = state.in_flight.enter(key)?;
    let _turn = ticket.gate.lock().await;
    if let Some(saved) = state.store.saved_response(caller.org, key, state.clock.now()).await? {
        return Ok(replay(saved));
    }
    let response = next.run(request).await;
    if !response.status().is_success() || is_told_once(&response) {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|_| ApiError::Internal)?.to_bytes();
    let saved = SavedResponse { status: parts.status.as_u16(), body: body.to_vec() };
    let expires_at = state.clock.now().plus(state.idempotency_ttl);
    if let Err(error) = state.store.save_response(caller.org, key, saved, expires_at).await {
        // It is done and must be answered; only a repeat would be done again.
        tracing::warn!(%error, "the answer to an idempotency key could not be saved");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// Whether an answer says of itself that it is kept nowhere.
fn is_told_once(response: &Response) -> bool {
    response.headers().get(header::CACHE_CONTROL).is_some_and(|value| value == "no-store")
}

fn replay(saved: SavedResponse) -> Response {
    let status = StatusCode::from_u16(saved.status).unwrap_or(StatusCode::OK);
    let mut response = (status, Bytes::from(saved.body)).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    if status != StatusCode::NO_CONTENT {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}
