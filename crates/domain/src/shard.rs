//! Which shard an endpoint's work belongs to.

use crate::id::{ApplicationId, EndpointId, OrganizationId};

/// How many shards there are; fixed for ever, because it is stored with every due row.
pub const SHARDS: u16 = 1024;

/// A share of the work that one node owns at a time: `0..SHARDS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(pub u16);

impl Shard {
    /// The shard of an endpoint's deliveries. FNV-1a over the raw ids: stable across versions.
    pub fn of(org: &OrganizationId, app: &ApplicationId, endpoint: &EndpointId) -> Self {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in org.raw().iter().chain(app.raw()).chain(endpoint.raw()) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        // The low bits of FNV are its weakest: fold the high half in.
        Self(((hash ^ (hash >> 32)) % u64::from(SHARDS)) as u16)
    }
}
