//! One endpoint with work: what waits in memory, how much may run, and what is known of the rest that
//! waits in the store.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use domain::{
    breaker::{Breaker, Permit},
    clock::Timestamp,
    delivery::{Pace, Trigger},
    id::DeliveryId,
    throttle::Throttle,
    window::Window,
};
use publish::{ApplicationCatalogue, Hot, PreparedEndpoint};
use store::deliveries::{DuePage, LaneKey};

use crate::{
    options::DispatchOptions,
    turns::{LIVE_COST, REPLAY_COST},
};

/// A lane from which nothing has come back for this long starts no more than its first window: one
/// that has just died must not fill the window it had earned.
const STALL: Duration = Duration::from_secs(1);
/// Fewest rows of a page.
const MIN_PAGE_ROWS: usize = 32;

/// What a lane knows of its endpoint.
#[derive(Clone, Debug)]
pub enum Target {
    /// Not looked up yet.
    Unknown,
    /// It takes deliveries.
    Open(Arc<ApplicationCatalogue>, Arc<PreparedEndpoint>),
    /// It is disabled: what is pending stays.
    Paused,
    /// It, or its application, is deleted: what is pending is cancelled.
    Gone,
}

/// What a lane can do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Start one.
    Start {
        /// As the breaker's probe.
        probe: bool,
    },
    /// Nothing before then.
    At(Timestamp),
    /// Nothing until something happens to it.
    Wait,
}

/// A page that is being read.
#[derive(Debug, Default)]
struct Paging {
    /// What left memory meanwhile: the page may still show it as it was.
    left: HashSet<DeliveryId>,
    /// The earliest due time noted meanwhile.
    noted: Option<Timestamp>,
}

/// One endpoint with work.
#[derive(Debug)]
pub struct Lane {
    /// Whose and which.
    pub key: LaneKey,
    /// Its endpoint.
    pub target: Target,
    /// Whether its endpoint is being looked up.
    pub resolving: bool,
    /// Whether an attempt is about to disable its endpoint.
    pub disabling: bool,
    /// Since when its endpoint fails, as last stored.
    pub first_failure_at: Option<Timestamp>,
    ready: VecDeque<Hot>,
    /// Everything of it that is in memory: waiting, under way, or being settled.
    in_memory: HashSet<DeliveryId>,
    running: u32,
    window: Window,
    first_window: u32,
    breaker: Breaker,
    throttle: Option<(u16, Throttle)>,
    last_answer: Timestamp,
    paging: Option<Paging>,
    /// The earliest due time of what waits in the store only; `MAX` if nothing does.
    next_due: Timestamp,
}

impl Lane {
    /// A lane of which nothing is known but that it exists.
    pub fn new(key: LaneKey, options: &DispatchOptions) -> Self {
        let window = Window::new(options.window);
        Self {
            key,
            target: Target::Unknown,
            resolving: false,
            disabling: false,
            first_failure_at: None,
            ready: VecDeque::new(),
            in_memory: HashSet::new(),
            running: 0,
            first_window: window.size(),
            window,
            breaker: Breaker::new(options.breaker),
            throttle: None,
            last_answer: Timestamp::EPOCH,
            paging: None,
            next_due: Timestamp::MAX,
        }
    }

    /// Sets the endpoint's rate limit. An unchanged one keeps what it has counted.
    pub fn limit(&mut self, rate: Option<u16>) {
        match (rate, &self.throttle) {
            (None, _) => self.throttle = None,
            (Some(rate), Some((old, _))) if *old == rate => {}
            (Some(rate), _) => self.throttle = Some((rate, Throttle::new(rate))),
        }
    }

    /// Takes a delivery to wait in memory. One that is there already stays as it is.
    pub fn push(&mut self, hot: Hot) -> bool {
        let fresh = self.in_memory.insert(hot.delivery.id);
        if fresh {
            self.ready.push_back(hot);
        }
        fresh
    }

    /// Whether a fresh delivery may wait in memory: there is room, and nothing older waits in the
    /// store that it would overtake.
    pub fn takes_hot(&self, now: Timestamp, options: &DispatchOptions) -> bool {
        self.ready.len() < options.lane_queue && self.next_due > now && !self.breaker.is_open()
    }

    /// Something of it waits in the store, due then.
    pub fn note_due(&mut self, due: Timestamp) {
        self.next_due = self.next_due.min(due);
        if let Some(paging) = &mut self.paging {
            paging.noted = Some(paging.noted.map_or(due, |noted| noted.min(due)));
        }
    }

    /// The earliest due time of what waits in the store only.
    pub fn next_due(&self) -> Timestamp {
        self.next_due
    }

    /// How many wait in memory.
    pub fn depth(&self) -> usize {
        self.ready.len()
    }

    /// What the breaker and the limits say, whether or not there is something to start.
    pub fn gate(&self, now: Timestamp) -> Readiness {
        let probe = match self.breaker.permit(now) {
            Permit::Pass => false,
            Permit::Probe => true,
            Permit::HoldUntil(at) => return Readiness::At(at),
            Permit::Hold => return Readiness::Wait,
        };
        if let Some((_, throttle)) = &self.throttle
            && let Err(at) = throttle.ready_at(now)
        {
            return Readiness::At(at);
        }
        let stalled = self.running > 0 && now.since(self.last_answer) > STALL;
        let room =
            if stalled { self.first_window.min(self.window.size()) } else { self.window.size() };
        if self.running < room { Readiness::Start { probe } } else { Readiness::Wait }
    }

    /// What starting the next delivery costs; `None` if nothing waits in memory.
    pub fn next_cost(&self) -> Option<u32> {
        self.ready.front().map(|hot| match hot.delivery.trigger {
            Trigger::Automatic | Trigger::Manual => LIVE_COST,
            Trigger::Replay => REPLAY_COST,
        })
    }

    /// Starts the next delivery. [`Lane::gate`] has said that it may.
    pub fn start(&mut self, now: Timestamp, probe: bool) -> Option<Hot> {
        let hot = self.ready.pop_front()?;
        if probe {
            self.breaker.probe();
        }
        if let Some((_, throttle)) = &mut self.throttle {
            // Checked by `gate` at this same moment.
            let _ = throttle.take(now);
        }
        if self.running == 0 {
            self.last_answer = now;
        }
        self.running += 1;
        Some(hot)
    }

    /// An attempt came back. Returns what it drops from memory if that opened the breaker: a lane
    /// that is held keeps nothing but its place.
    pub fn answered(&mut self, pace: Pace, probe: bool, now: Timestamp) -> Vec<Hot> {
        let full = self.running >= self.window.size();
        self.running -= 1;
        self.last_answer = now;
        match pace {
            Pace::Faster => {
                self.window.success(full);
                self.breaker.success();
            }
            // It answered: it is there.
            Pace::Same => self.breaker.success(),
            Pace::Failing => self.breaker.failure(now, probe),
            Pace::Slower => {
                self.window.setback();
                self.breaker.failure(now, probe);
            }
        }
        if self.breaker.is_open() { self.shed() } else { Vec::new() }
    }

    /// A started attempt was never sent.
    pub fn unstarted(&mut self, probe: bool, now: Timestamp) {
        self.running -= 1;
        if probe {
            self.breaker.probe_unused(now);
        }
    }

    /// Lets go of all that waits in memory; it waits in the store as well.
    pub fn shed(&mut self) -> Vec<Hot> {
        let shed: Vec<Hot> = self.ready.drain(..).collect();
        for hot in &shed {
            self.in_memory.remove(&hot.delivery.id);
            self.note_due(hot.delivery.due);
        }
        shed
    }

    /// A delivery left memory: it ended, or waits in the store (`next`) for another try.
    pub fn left(&mut self, id: DeliveryId, next: Option<Timestamp>) {
        self.in_memory.remove(&id);
        if let Some(paging) = &mut self.paging {
            paging.left.insert(id);
        }
        if let Some(due) = next {
            self.note_due(due);
        }
    }

    /// A delivery ended by something else. If it waits in memory it is let go and returned.
    pub fn ended(&mut self, id: DeliveryId) -> Option<Hot> {
        let at = self.ready.iter().position(|hot| hot.delivery.id == id)?;
        let hot = self.ready.remove(at)?;
        self.left(id, None);
        Some(hot)
    }

    /// How many rows to read now, if it is time to read.
    pub fn wants_page(&self, now: Timestamp, options: &DispatchOptions) -> Option<usize> {
        if self.paging.is_some() || self.next_due > now {
            return None;
        }
        let rows = if self.breaker.is_open() {
            1
        } else {
            let twice = 2 * self.window.size() as usize;
            twice.clamp(MIN_PAGE_ROWS, options.lane_queue.max(MIN_PAGE_ROWS))
        };
        (self.ready.len() < rows.div_ceil(2)).then_some(rows)
    }

    /// Begins reading a page; returns what the page need not show.
    pub fn begin_page(&mut self) -> Vec<DeliveryId> {
        self.paging = Some(Paging::default());
        self.in_memory.iter().copied().collect()
    }

    /// A page was read. Returns the payload bytes it brought into memory.
    pub fn end_page(&mut self, page: DuePage) -> usize {
        let Some(paging) = self.paging.take() else { return 0 };
        let next = page.next_due.unwrap_or(Timestamp::MAX);
        self.next_due = paging.noted.map_or(next, |noted| noted.min(next));
        let mut bytes = 0;
        for due in page.due {
            if !paging.left.contains(&due.delivery.id) {
                let hot = Hot { delivery: due.delivery, message: due.message };
                let size = hot_bytes(&hot);
                if self.push(hot) {
                    bytes += size;
                }
            }
        }
        bytes
    }

    /// A page could not be read: what was known of the store still holds, from `retry_at` on.
    pub fn failed_page(&mut self, retry_at: Timestamp) {
        self.paging = None;
        self.next_due = retry_at;
    }

    /// Whether nothing would be lost by forgetting it.
    pub fn is_idle(&self, now: Timestamp) -> bool {
        self.in_memory.is_empty()
            && self.running == 0
            && self.paging.is_none()
            && !self.resolving
            && self.next_due == Timestamp::MAX
            && !self.breaker.is_open()
            && self.throttle.as_ref().is_none_or(|(_, t)| t.ready_at(now).is_ok())
    }

    /// Whether the breaker holds it.
    pub fn is_held(&self) -> bool {
        self.breaker.is_open()
    }
}

/// What a waiting delivery takes of the memory budget.
pub fn hot_bytes(hot: &Hot) -> usize {
    hot.message.body.as_ref().map_or(0, |body| body.bytes.len()) + 256
}
