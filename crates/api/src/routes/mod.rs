//! The routes: one file (or folder) per resource, each with its bodies, its handlers and its
//! `router()`.

pub mod alert;
pub mod analytics;
pub mod application;
pub mod attempt;
pub mod audit_log;
pub mod auth;
pub mod background_task;
mod check;
pub mod endpoint;
pub mod environment;
pub mod event_type;
pub mod health;
pub mod ingest;
pub mod live;
pub mod message;
pub mod operate;
pub mod provider;
pub mod statistics;
pub mod token;

use std::time::Duration;

use axum::{
    extract::{DefaultBodyLimit, Request},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use http::Method;
use tower::Layer;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, Cors, CorsLayer};
use utoipa_axum::router::OpenApiRouter;

use crate::{docs, edge::Edge, error::ApiError, idempotency, observe, openapi, state::ApiState};

/// How often a change is made anew because somebody else's came between.
const MAX_EDITS: usize = 8;
/// How long browsers may remember what they are allowed.
const CORS_MAX_AGE: Duration = Duration::from_secs(600);

/// All operations, with their description. `wrap` wraps those that write something other than
/// messages.
pub(crate) fn operations(
    wrap: impl FnOnce(OpenApiRouter<ApiState>) -> OpenApiRouter<ApiState>,
) -> OpenApiRouter<ApiState> {
    let writes = OpenApiRouter::new()
        .merge(application::router())
        .merge(endpoint::router())
        .merge(event_type::router())
        .merge(environment::router())
        .merge(attempt::router())
        .merge(auth::router())
        .merge(token::router())
        .merge(ingest::router())
        .merge(statistics::router())
        .merge(alert::router());
    OpenApiRouter::with_openapi(openapi::frame())
        .merge(wrap(writes))
        .merge(message::router())
        .merge(background_task::router())
        .merge(analytics::router())
        .merge(provider::router())
        .merge(audit_log::router())
        .merge(live::router())
        .merge(operate::router())
        .merge(health::router())
}

/// The whole API, as a service.
pub type Api = Cors<Edge>;

/// The whole API.
pub fn router(state: ApiState) -> Api {
    let saved = middleware::from_fn_with_state(state.clone(), idempotency::saved);
    let finished = middleware::from_fn(finished);
    let (routes, _) = operations(|writes| writes.layer(saved).layer(finished)).split_for_parts();
    let metrics = middleware::from_fn_with_state(state.clone(), observe::requests);
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::any())
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .max_age(CORS_MAX_AGE);
    let routes = routes
        .route("/docs", get(docs::page))
        .route("/api/v1/openapi.json", get(openapi::serve))
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .fallback(async || ApiError::NotFound("There is no such route."))
        // One layer of two: each one puts every request's work into a box of its own. The edge has
        // bounded the body already.
        .layer((DefaultBodyLimit::disable(), metrics))
        .with_state(state.clone());
    cors.layer(Edge::new(routes, state.body_limit, state.body_timeout))
}

/// Middleware: a write is finished even if its caller goes away, so that whoever must hear of it
/// does.
async fn finished(request: Request, next: Next) -> Response {
    if request.method() == Method::GET || request.method() == Method::HEAD {
        return next.run(request).await;
    }
    #[expect(clippy::disallowed_methods, reason = "the one place of this crate that spawns")]
    let running = tokio::spawn(next.run(request));
    match running.await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "a handler did not finish");
            ApiError::Internal.into_response()
        }
    }
}
