//! How work comes in: handed over fresh, told of, or found in the store.

use std::collections::HashSet;

use domain::clock::Timestamp;
use publish::Hot;
use store::deliveries::{LaneHead, LaneKey};

use super::Core;
use crate::lane::{Lane, hot_bytes};

impl Core {
    /// Takes deliveries that have just been stored. Returns the lanes of those that others own.
    pub fn hand_over(&mut self, hot: Vec<Hot>, now: Timestamp) -> Vec<LaneHead> {
        let mut others: Vec<LaneHead> = Vec::new();
        for hot in hot {
            let (key, due) = (LaneKey::of(&hot.delivery), hot.delivery.due);
            if !self.shards.is_active(key.shard) {
                // What is given back may be another owner's already.
                others.push(LaneHead { lane: key, next_due: due });
                continue;
            }
            // Another owner may have sent it before this one came to own it.
            let read_back = self.shards.taken_over_at(key.shard).is_some_and(|at| due < at);
            let room = self.room();
            let lane =
                self.lanes.entry(key.endpoint).or_insert_with(|| Lane::new(key, &self.options));
            if lane.was_paged(hot.delivery.id) {
                continue;
            }
            let (taken, size) = (lane.ready_bytes(), hot_bytes(&hot));
            let fits = taken + size <= room && !read_back;
            if due <= now && fits && lane.takes_hot(now, &self.options) {
                lane.push(hot);
                self.hot_bytes = self.hot_bytes - taken + lane.ready_bytes();
            } else {
                lane.note_due(due);
            }
            self.review(key.endpoint, now);
        }
        // One of each lane, the earliest.
        others.sort_unstable_by_key(|head| (head.lane, head.next_due));
        others.dedup_by_key(|head| head.lane);
        others
    }

    /// Work is looked for in the store from now on, until [`Core::looked`].
    pub fn look(&mut self) {
        self.left_meanwhile = Some(HashSet::new());
    }

    /// Work was looked for.
    pub fn looked(&mut self) {
        self.left_meanwhile = None;
    }

    /// A lane has work in the store, as was found by looking for it. That is no news if it is in memory,
    /// or was when looking began: a lane that keeps up goes on being fed from memory.
    pub fn found_work(&mut self, head: LaneHead, now: Timestamp) {
        let (endpoint, due) = (head.lane.endpoint, head.next_due);
        let known = self.lanes.get(&endpoint).is_some_and(|lane| lane.has_in_memory(due));
        let left = self.left_meanwhile.as_ref().is_some_and(|left| left.contains(&(endpoint, due)));
        if !known && !left {
            self.add_work(head, now);
        }
    }

    /// A lane has work in the store. That of others is none of ours.
    pub fn add_work(&mut self, head: LaneHead, now: Timestamp) {
        let key = head.lane;
        if !self.shards.is_active(key.shard) {
            return;
        }
        let lane = self.lanes.entry(key.endpoint);
        lane.or_insert_with(|| Lane::new(key, &self.options)).note_due(head.next_due);
        self.review(key.endpoint, now);
    }
}
