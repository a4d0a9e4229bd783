//! What the core knows of ownership: lanes follow their shards.

use std::time::Duration;

use domain::{
    clock::Timestamp,
    shard::{Shard, ShardSet},
};
use store::{
    deliveries::{Epoch, LaneKey},
    nodes::Ownership,
};

use super::Core;
use crate::{
    lane::Lane,
    shards::{Change, Shards},
};

impl Core {
    /// A heartbeat was answered: this is owned, and nothing of it starts from `until` on, by the
    /// monotonic clock. What begins is to be looked through for work.
    pub fn own(&mut self, ownership: &Ownership, until: Duration, now: Timestamp) -> Change {
        let by = now.plus(self.options.drain_timeout);
        let change = if self.stopping {
            let ownership = Ownership { share: 0, ..ownership.clone() };
            self.shards.told(&ownership, until, (now, by))
        } else {
            self.shards.told(ownership, until, (now, by))
        };
        if change.taken_over {
            // What others wrote of the health of these endpoints is not in there.
            self.catalogues.forget_all();
        }
        self.reown(&change, now);
        change
    }

    /// Lanes of what is lost or given back let go of what waits; those of what begins go on.
    fn reown(&mut self, change: &Change, now: Timestamp) {
        if change.is_none() {
            return;
        }
        let mut concerned: Vec<LaneKey> =
            self.lanes.values().map(|lane| lane.key).filter(|k| change.concerns(k.shard)).collect();
        // A map's order must not show.
        concerned.sort_unstable();
        for key in concerned {
            if change.lost.contains(key.shard) {
                self.on_lane(key.endpoint, Lane::lose);
            } else if change.stopped.contains(key.shard) {
                self.on_lane(key.endpoint, Lane::rest);
            }
            self.review(key.endpoint, now);
        }
    }

    /// Starts nothing any more, and gives back all that is owned, `by` then at the latest.
    pub fn stop(&mut self, by: Timestamp, now: Timestamp) {
        self.stopping = true;
        let change = self.shards.give_all_back(by);
        self.reown(&change, now);
    }

    /// What can be given back now.
    pub fn give_back(&mut self, now: Timestamp) -> ShardSet {
        self.shards.give_back(now)
    }

    /// These were given back.
    pub fn gone(&mut self, shards: &ShardSet, now: Timestamp) {
        let change = self.shards.gone(shards, now);
        self.reown(&change, now);
    }

    /// What is owned, until when, and what of it is to be given back.
    pub fn shards(&self) -> &Shards {
        &self.shards
    }

    /// What nobody has looked for work in since it was gained.
    pub fn take_unlooked(&mut self) -> ShardSet {
        self.shards.take_unlooked()
    }

    /// Whether an attempt that was started under this epoch may still be sent.
    pub fn may_send(&self, shard: Shard, epoch: Epoch, monotonic: Duration) -> bool {
        self.shards.may_start(monotonic) && self.shards.is_kept(shard, epoch)
    }
}
