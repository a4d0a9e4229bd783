//! One way in: route → commit → (route again what came back stale) → hand over. Serves the API, the
//! gateway for received events, and the engine itself for operational webhooks.

pub mod catalogue;
pub mod draft;
pub mod handover;
mod loads;
pub mod operational;
pub mod publisher;
pub mod schema;

pub use catalogue::{ApplicationCatalogue, Catalogues, OrganizationCatalogue, PreparedEndpoint};
pub use draft::{Accepted, Draft, DraftClaim, PublishError, Rejected};
pub use handover::{Handover, Hot};
pub use publisher::{PublishOptions, Publisher};
