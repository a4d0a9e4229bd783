//! What happened, in numbers: from rollups, so that a question costs what its answer is long, however
//! much was sent.

mod applications;
mod groups;
mod measures;
mod query;
mod series;
mod standing;
mod usage;

use utoipa_axum::router::OpenApiRouter;

use crate::state::ApiState;

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().merge(query::router()).merge(usage::router()).merge(standing::router())
}
