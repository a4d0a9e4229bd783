//! What is to be done now: attempts that start, pages that are read, endpoints that are looked up.

use std::time::Duration;

use domain::clock::Timestamp;
use store::deliveries::DueLimits;

use super::{Actions, Core, PageOrder, Start};
use crate::{
    budget::Held,
    lane::{Readiness, Target, hot_bytes},
    timers::Alarm,
    turns::Turn,
};

/// Most attempts started per step, so that the lock is short.
const MAX_STARTS_PER_STEP: usize = 256;
/// Most payload bytes of one page.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

impl Core {
    /// Takes what is to be done now. `monotonic` is the clock by which shards are owned.
    pub fn step(&mut self, now: Timestamp, monotonic: Duration) -> Actions {
        while let Some(alarm) = self.timers.pop_due(now) {
            match alarm {
                Alarm::Lane(endpoint) => self.review(endpoint, now),
                Alarm::Tenant(app) => self.turns.wake(app),
            }
        }
        let mut actions = Actions::default();
        // Others may own the shards by now: neither is anything read that could not start.
        if self.shards.may_start(monotonic) && !self.stopping {
            self.take_starts(&mut actions, now);
            self.take_pages(&mut actions, now);
        }
        while self.resolves_running < self.options.concurrent_pages
            && let Some(key) = self.resolve_queue.pop_front()
        {
            self.resolves_running += 1;
            actions.resolves.push(key);
        }
        actions.cancels = std::mem::take(&mut self.cancels);
        actions.wake_at = if actions.starts.len() == MAX_STARTS_PER_STEP {
            Some(now)
        } else {
            self.timers.next()
        };
        actions.rested = self.shards.take_rested();
        actions.reserves = self.turns.take_reserves();
        actions
    }

    fn take_starts(&mut self, actions: &mut Actions, now: Timestamp) {
        while self.unwritten == 0
            && self.budget.has_room()
            && actions.starts.len() < MAX_STARTS_PER_STEP
        {
            let (app, endpoint) = match self.turns.next(now) {
                Turn::Lane(app, endpoint) => (app, endpoint),
                Turn::Throttled(app, at) => {
                    self.timers.set(Alarm::Tenant(app), at);
                    continue;
                }
                Turn::Nobody => break,
            };
            let pressure = self.budget.pressure();
            let lane = self.lanes.get_mut(&endpoint);
            let ready = lane.as_ref().and_then(|lane| {
                let Target::Open(application, prepared) = &lane.target else { return None };
                let epoch = self.shards.epoch(lane.key.shard)?;
                let Readiness::Start { probe } = lane.gate(pressure, now) else { return None };
                Some((lane.next_cost()?, application.clone(), prepared.clone(), (probe, epoch)))
            });
            let (Some(lane), Some((cost, application, endpoint_now, (probe, epoch)))) =
                (lane, ready)
            else {
                self.turns.passed(app);
                self.review(endpoint, now);
                continue;
            };
            if !self.turns.pay(app, cost) {
                continue;
            }
            let hot = lane.start(now, probe).expect("it has a cost, so there is one");
            self.turns.took(app, now);
            let held = Held { bytes: hot_bytes(&hot), suspect: !lane.is_good() };
            self.hot_bytes -= held.bytes;
            self.budget.take(held);
            self.shards.started(lane.key.shard);
            actions.starts.push(Start {
                hot,
                application,
                endpoint: endpoint_now,
                first_failure_at: lane.first_failure_at,
                probe,
                held,
                epoch,
            });
            if lane.depth() == 0 || lane.gate(pressure, now) != (Readiness::Start { probe: false })
            {
                // The front of its tenant's lanes is another one now, unless it is the only one;
                // either way `review` decides anew, and an enlisted lane is passed when its turn
                // comes.
                self.review(endpoint, now);
            }
        }
    }

    fn take_pages(&mut self, actions: &mut Actions, now: Timestamp) {
        while self.pages_running < self.options.concurrent_pages {
            let room = self.room();
            if room == 0 && !self.budget.has_room() {
                break;
            }
            let Some(endpoint) = self.page_queue.pop_front() else { break };
            self.page_queued.remove(&endpoint);
            let Some(lane) = self.lanes.get_mut(&endpoint) else { continue };
            let Some(rows) = lane.wants_page(now, &self.options) else { continue };
            let share = room.saturating_sub(lane.ready_bytes()) / 2;
            if share == 0 && lane.depth() > 0 {
                // It is looked at again when those have started.
                continue;
            }
            // At least one row, whatever its size: it starts at once.
            let limits = DueLimits { until: now, rows, bytes: share.min(MAX_PAGE_BYTES) };
            let skip = lane.begin_page();
            self.pages_running += 1;
            self.page_bytes += limits.bytes;
            actions.pages.push(PageOrder { lane: lane.key, limits, skip });
        }
    }
}
