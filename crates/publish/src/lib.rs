//! One way in: route → commit → (route again what came back stale) → hand over. Serves the API, the
//! gateway for received events, and the engine itself for operational webhooks. What an accepted message
//! is sent as stands here too, for the engine that sends it and for whoever wants to know what it sent.

mod cache;
pub mod catalogue;
pub mod catalogues;
pub mod draft;
pub mod handover;
pub mod live;
pub mod load;
mod loads;
pub mod operational;
pub mod outgoing;
pub mod permit;
pub mod publisher;
mod request;
mod round;
pub mod schema;

pub use catalogue::{ApplicationCatalogue, OrganizationCatalogue, PreparedEndpoint};
pub use catalogues::Catalogues;
pub use draft::{Accepted, Draft, DraftClaim, PublishError, Rejected};
pub use handover::{Handover, Hot};
pub use live::Live;
pub use load::Load;
pub use outgoing::{Recalculated, RequestBuilder, Signed, Unknown};
pub use permit::{Internal, Permit};
pub use publisher::{PublishOptions, Publisher};
