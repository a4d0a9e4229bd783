//! One customer of the product: a tenant.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    clock::Timestamp,
    id::{ApplicationId, OrganizationId},
    name::Uid,
    source::Source,
};

/// Labels a caller keeps on an application or endpoint; at most [`MAX_METADATA_BYTES`] as JSON.
pub type Metadata = BTreeMap<String, String>;

/// Bound of [`Metadata`], in bytes of its JSON text.
pub const MAX_METADATA_BYTES: usize = 4096;

/// A customer of the product. Everything below it is its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// The environment it belongs to.
    pub org: OrganizationId,
    /// Ours.
    pub id: ApplicationId,
    /// The caller's; unique in the organization.
    pub uid: Option<Uid>,
    /// For people.
    pub name: String,
    /// Most attempts per second over all of its endpoints; excess waits.
    pub throttle_rate: Option<u16>,
    /// The caller's labels.
    pub metadata: Metadata,
    /// What it receives by; `None` for a customer, who is sent what the product posts.
    pub source: Option<Arc<Source>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
