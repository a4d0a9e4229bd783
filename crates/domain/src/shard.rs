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

/// A set of shards.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShardSet([u64; SHARDS as usize / 64]);

impl ShardSet {
    /// None.
    pub const NONE: Self = Self([0; SHARDS as usize / 64]);
    /// All.
    pub const ALL: Self = Self([u64::MAX; SHARDS as usize / 64]);

    /// Whether it holds a shard.
    pub fn contains(&self, shard: Shard) -> bool {
        self.0[usize::from(shard.0) / 64] >> (shard.0 % 64) & 1 == 1
    }

    /// Adds a shard.
    pub fn insert(&mut self, shard: Shard) {
        self.0[usize::from(shard.0) / 64] |= 1 << (shard.0 % 64);
    }

    /// Takes a shard out.
    pub fn remove(&mut self, shard: Shard) {
        self.0[usize::from(shard.0) / 64] &= !(1 << (shard.0 % 64));
    }

    /// How many it holds.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// Those it holds, in order.
    pub fn iter(&self) -> impl Iterator<Item = Shard> + '_ {
        (0..SHARDS).map(Shard).filter(|shard| self.contains(*shard))
    }
}

impl FromIterator<Shard> for ShardSet {
    fn from_iter<T: IntoIterator<Item = Shard>>(shards: T) -> Self {
        let mut set = Self::NONE;
        shards.into_iter().for_each(|shard| set.insert(shard));
        set
    }
}

impl std::fmt::Debug for ShardSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter().map(|shard| shard.0)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let wanted = [0, 1, 63, 64, 700, 1_023].map(Shard);
        let mut set: ShardSet = wanted.into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), wanted);
        assert_eq!(set.len(), 6);
        wanted.into_iter().for_each(|shard| set.remove(shard));
        assert!(set.is_empty());
        assert_eq!(ShardSet::ALL.len(), usize::from(SHARDS));
        assert!(ShardSet::ALL.contains(Shard(1_023)));
    }
}
