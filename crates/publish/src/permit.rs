//! The right to publish, which may end while a message is on its way.

use async_trait::async_trait;
use store::StoreError;

use crate::catalogue::OrganizationCatalogue;

/// The right of whoever publishes. Where several nodes share a store, one of them may have ended it
/// and this one not have heard of it.
#[async_trait]
pub trait Permit: Send + Sync {
    /// Whether it holds, by all that had been revoked when this was loaded. Revoking counts an
    /// organization's version up: what is revoked later makes a message stale that is routed with it.
    async fn still_holds(&self, organization: &OrganizationCatalogue) -> Result<bool, StoreError>;
}

/// That of the engine itself: it never ends.
#[derive(Clone, Copy, Debug)]
pub struct Internal;

#[async_trait]
impl Permit for Internal {
    async fn still_holds(&self, _: &OrganizationCatalogue) -> Result<bool, StoreError> {
        Ok(true)
    }
}
