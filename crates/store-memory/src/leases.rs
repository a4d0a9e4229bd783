//! Who owns which shard: each has one owner at a time, by a lease that its heartbeats renew. Pure: the
//! time is handed in.

use std::{collections::BTreeMap, time::Duration};

use domain::shard::{SHARDS, Shard, ShardSet};
use store::deliveries::Epoch;

/// A node that was not heard of for this long owns nothing any more, as soon as others want it.
pub(crate) const LEASE: Duration = Duration::from_secs(8);

/// In the order in which nodes came.
pub(crate) type NodeId = u64;

#[derive(Clone, Copy)]
struct Beat {
    at: Duration,
    leaving: bool,
}

impl Beat {
    fn is_alive(self, now: Duration) -> bool {
        now < self.at + LEASE
    }
}

#[derive(Clone, Copy, Default)]
struct Lease {
    owner: Option<NodeId>,
    epoch: Epoch,
}

/// The rows of nodes and of leases.
pub(crate) struct Leases {
    beats: BTreeMap<NodeId, Beat>,
    leases: Vec<Lease>,
}

impl Default for Leases {
    fn default() -> Self {
        Self { beats: BTreeMap::new(), leases: vec![Lease::default(); usize::from(SHARDS)] }
    }
}

impl Leases {
    /// A node is heard of: it takes free shards up to its share, which it is told.
    pub(crate) fn heartbeat(&mut self, node: NodeId, leaving: bool, now: Duration) -> usize {
        self.beats.insert(node, Beat { at: now, leaving });
        let share = self.share(node, now);
        let mut owned = self.owned(node).count();
        for shard in 0..usize::from(SHARDS) {
            if owned < share && self.is_free(shard, now) {
                self.leases[shard].owner = Some(node);
                self.leases[shard].epoch += 1;
                owned += 1;
            }
        }
        share
    }

    /// All shares are equal, but for one. Whoever is on its way out has none.
    fn share(&self, node: NodeId, now: Duration) -> usize {
        let staying = || self.beats.iter().filter(|(_, beat)| !beat.leaving && beat.is_alive(now));
        let Some(rank) = staying().position(|(id, _)| *id == node) else { return 0 };
        let (nodes, shards) = (staying().count(), usize::from(SHARDS));
        shards / nodes + usize::from(rank < shards % nodes)
    }

    fn is_free(&self, shard: usize, now: Duration) -> bool {
        let owner = self.leases[shard].owner.and_then(|owner| self.beats.get(&owner));
        !owner.is_some_and(|beat| beat.is_alive(now))
    }

    /// What a node owns, by shard.
    pub(crate) fn owned(&self, node: NodeId) -> impl Iterator<Item = (Shard, Epoch)> + '_ {
        let rows = (0..SHARDS).map(Shard).zip(&self.leases);
        rows.filter(move |(_, lease)| lease.owner == Some(node))
            .map(|(shard, lease)| (shard, lease.epoch))
    }

    /// Whether a shard is a node's under this epoch.
    pub(crate) fn is_owned(&self, node: NodeId, shard: Shard, epoch: Epoch) -> bool {
        let lease = &self.leases[usize::from(shard.0)];
        lease.owner == Some(node) && lease.epoch == epoch
    }

    /// A node gives shards back. Whether any of them was its own.
    pub(crate) fn release(&mut self, node: NodeId, shards: &ShardSet) -> bool {
        let mut any = false;
        for shard in shards.iter() {
            let lease = &mut self.leases[usize::from(shard.0)];
            if lease.owner == Some(node) {
                lease.owner = None;
                any = true;
            }
        }
        any
    }

    /// When a node was last heard of, and whether it is on its way out.
    pub(crate) fn beat(&self, node: NodeId) -> Option<(Duration, bool)> {
        self.beats.get(&node).map(|beat| (beat.at, beat.leaving))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(leases: &Leases, nodes: &[NodeId]) -> Vec<usize> {
        nodes.iter().map(|node| leases.owned(*node).count()).collect()
    }

    /// Gives back what is over a node's share.
    fn give_back(leases: &mut Leases, node: NodeId, share: usize) {
        let surplus: ShardSet = leases.owned(node).skip(share).map(|(shard, _)| shard).collect();
        leases.release(node, &surplus);
    }

    #[test]
    fn shares_are_balanced_within_one() {
        let (mut leases, at) = (Leases::default(), Duration::from_secs);
        assert_eq!(leases.heartbeat(1, false, at(0)), 1_024);
        assert_eq!(counts(&leases, &[1]), [1_024]);
        for node in [2, 3] {
            leases.heartbeat(node, false, at(1));
        }
        assert_eq!(counts(&leases, &[1, 2, 3]), [1_024, 0, 0], "nothing is taken away");
        let share = leases.heartbeat(1, false, at(2));
        give_back(&mut leases, 1, share);
        for node in [2, 3] {
            leases.heartbeat(node, false, at(2));
        }
        assert_eq!(counts(&leases, &[1, 2, 3]), [342, 341, 341]);
        assert_eq!(leases.heartbeat(2, true, at(3)), 0, "nothing for whoever leaves");
    }

    #[test]
    fn an_owner_that_is_silent_loses_its_shards_when_somebody_wants_them() {
        let (mut leases, at) = (Leases::default(), Duration::from_millis);
        leases.heartbeat(1, false, at(0));
        leases.heartbeat(2, false, at(7_999));
        assert_eq!(counts(&leases, &[1, 2]), [1_024, 0]);
        leases.heartbeat(1, false, at(9_000));
        assert!(leases.is_owned(1, Shard(0), 1), "nobody wanted them");
        leases.heartbeat(2, false, at(17_000));
        assert_eq!(counts(&leases, &[1, 2]), [0, 1_024]);
        assert!(leases.is_owned(2, Shard(0), 2) && !leases.is_owned(2, Shard(0), 1));
        assert!(!leases.release(1, &ShardSet::ALL), "those of others stay");
        assert_eq!(counts(&leases, &[2]), [1_024]);
    }
}
