//! Alerts: rules, and what fired. For the organization alone: beyond Svix's API.

mod bodies;
mod condition;
mod history;
mod rule;

use utoipa_axum::router::OpenApiRouter;

use crate::state::ApiState;

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().merge(rule::router()).merge(history::router())
}
