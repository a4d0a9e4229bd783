//! The HTTP API: Svix's, and what we add to it. One file per resource under [`routes`] (bodies,
//! handlers, its `router()`); errors become statuses in [`error`] alone.
//!
//! A request passes [`edge`] (trailing slash, body), then CORS, metrics, and its handler. Handlers
//! check in one order: query, path, token, application, body.

pub mod auth;
pub mod body;
mod csv;
pub mod docs;
pub mod edge;
pub mod error;
pub mod extract;
pub mod idempotency;
pub mod listening;
pub mod node;
pub mod observe;
pub mod openapi;
pub mod page;
pub mod routes;
pub mod state;
mod trace;

pub use auth::{Auth, JwtAlgorithm, Keys};
pub use error::ApiError;
pub use listening::{Deliveries, Handed, Listening};
pub use node::{LaneState, NoNode, NodeFacts, NodeState, StoreFacts};
pub use openapi::openapi_json;
pub use routes::{Api, router};
pub use state::{Adopt, ApiOptions, ApiState, JudgeAgain, NotTaken, Ready, TellOfAlerts};
