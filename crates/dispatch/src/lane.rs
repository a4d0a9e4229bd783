//! One endpoint with work: what waits in memory, how much may run, and what is known of the rest that
//! waits in the store.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use domain::{
    breaker::{Breaker, BreakerState, Permit},
    clock::Timestamp,
    delivery::{Pace, Trigger},
    id::{DeliveryId, MessageId},
    throttle::Throttle,
    window::Window,
};
use publish::{ApplicationCatalogue, Hot, PreparedEndpoint};
use store::deliveries::{DueDelivery, DuePage, LaneKey};

use crate::{
    budget::Pressure,
    options::DispatchOptions,
    turns::{LIVE_COST, REPLAY_COST},
};

/// A lane from which nothing has come back for this long starts no more than its first window: one
/// that has just died must not fill the window it had earned.
const STALL: Duration = Duration::from_secs(1);
/// Fewest deliveries that a lane wants to have in memory, if it has as many.
const MIN_PAGE_ROWS: usize = 32;
/// A lane that waits for the engine to be less busy asks again after this.
const PRESSED: Duration = Duration::from_millis(100);
/// How long after its commit a delivery may still be handed over.
const HANDOVER_WITHIN: Duration = Duration::from_secs(10);

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

/// What a lane's last answer says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing has come back yet.
    Unknown,
    /// It kept up.
    Good,
    /// It timed out, or was too much for it.
    Bad,
}

/// How a lane stands, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneState {
    /// Its circuit breaker.
    pub breaker: BreakerState,
    /// Until when the breaker lets nothing pass.
    pub held_until: Option<Timestamp>,
    /// How many attempts may be under way at a time.
    pub window: u32,
    /// How many are.
    pub in_flight: u32,
    /// How many deliveries wait in memory.
    pub queued: usize,
    /// Whether more of them wait in the store.
    pub cold: bool,
    /// Whether its endpoint's rate limit lets nothing start now.
    pub throttled: bool,
}

/// A page that is being read.
#[derive(Debug, Default)]
struct Paging {
    /// What left memory meanwhile: the page may still show it as it was.
    ended: HashSet<DeliveryId>,
    /// Messages whose content was taken away meanwhile.
    expunged: HashSet<MessageId>,
    /// The earliest due time noted meanwhile.
    noted: Option<Timestamp>,
    /// Whether the lane has let go of what waits meanwhile: what the page shows may be old.
    void: bool,
}

/// One endpoint with work.
#[derive(Debug)]
pub struct Lane {
    /// Whose and which.
    pub key: LaneKey,
    /// Its endpoint.
    pub target: Target,
    /// Whether its endpoint was disabled when it was last looked up.
    pub paused: bool,
    /// Whether its endpoint is being looked up.
    pub resolving: bool,
    /// Whether the endpoint was changed while it was being looked up: what is found may be old.
    pub resolve_again: bool,
    /// Whether an attempt is about to disable its endpoint.
    pub disabling: bool,
    /// Since when its endpoint fails, as last stored.
    pub first_failure_at: Option<Timestamp>,
    ready: VecDeque<Hot>,
    /// What those take of the memory budget.
    ready_bytes: usize,
    /// Everything of it that is in memory, with its due time in the store: waiting, under way, or being
    /// settled.
    in_memory: HashMap<DeliveryId, Timestamp>,
    running: u32,
    /// Those, and the ones that are being settled.
    under_way: u32,
    window: Window,
    /// What the window was at first.
    first_window: Window,
    breaker: Breaker,
    throttle: Option<(u16, Throttle)>,
    last_answer: Timestamp,
    standing: Standing,
    /// Whether anything has come back since it last stood still for longer than [`STALL`].
    proven: bool,
    paging: Option<Paging>,
    /// Fresh deliveries that a page has shown before they were handed over, with their due times.
    paged: HashMap<DeliveryId, Timestamp>,
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
            paused: false,
            resolving: false,
            resolve_again: false,
            disabling: false,
            first_failure_at: None,
            ready: VecDeque::new(),
            ready_bytes: 0,
            in_memory: HashMap::new(),
            running: 0,
            under_way: 0,
            first_window: window.clone(),
            window,
            breaker: Breaker::new(options.breaker),
            throttle: None,
            last_answer: Timestamp::EPOCH,
            standing: Standing::Unknown,
            proven: false,
            paging: None,
            paged: HashMap::new(),
            next_due: Timestamp::MAX,
        }
    }

    /// Sets the endpoint's rate limit, which somebody else kept until `since` if that is given. An
    /// unchanged one keeps what it has counted.
    pub fn limit(&mut self, rate: Option<u16>, since: Option<Timestamp>, now: Timestamp) {
        match (rate, &self.throttle) {
            (None, _) => self.throttle = None,
            (Some(rate), Some((old, _))) if *old == rate => {}
            (Some(rate), _) => self.throttle = Some((rate, throttle(rate, since, now))),
        }
    }

    /// Takes a delivery to wait in memory. One that is there already stays as it is.
    pub fn push(&mut self, hot: Hot) -> bool {
        let fresh = !self.in_memory.contains_key(&hot.delivery.id);
        if fresh {
            self.in_memory.insert(hot.delivery.id, hot.delivery.due);
            self.ready_bytes += hot_bytes(&hot);
            self.ready.push_back(hot);
        }
        fresh
    }

    /// Whether a page has shown this delivery before it was handed over: then it may even have ended.
    pub fn was_paged(&mut self, id: DeliveryId) -> bool {
        self.paged.remove(&id).is_some()
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

    /// What those take of the memory budget.
    pub fn ready_bytes(&self) -> usize {
        self.ready_bytes
    }

    /// What the breaker and the limits say, whether or not there is something to start. The more the
    /// engine is pressed, the less is given to lanes from which little comes back.
    pub fn gate(&self, pressure: Pressure, now: Timestamp) -> Readiness {
        if self.disabling {
            return Readiness::Wait;
        }
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
        let window = match stalled {
            true => self.window.size().min(self.first_window.size()),
            false => self.window.size(),
        };
        let room = match self.standing {
            _ if pressure == Pressure::Low => window,
            Standing::Good if !stalled && self.proven => window,
            Standing::Good if !stalled => 1,
            Standing::Unknown if !stalled && pressure < Pressure::Jammed => 1,
            _ if pressure < Pressure::Tight => 1,
            _ => 0,
        };
        if self.running < room {
            Readiness::Start { probe }
        } else if self.running < window {
            Readiness::At(now.plus(PRESSED))
        } else {
            Readiness::Wait
        }
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
        self.ready_bytes -= hot_bytes(&hot);
        if probe {
            self.breaker.probe(now);
        }
        if let Some((_, throttle)) = &mut self.throttle {
            // Checked by `gate` at this same moment.
            let _ = throttle.take(now);
        }
        if self.running == 0 {
            self.proven &= now.since(self.last_answer) <= STALL;
            self.last_answer = now;
        }
        self.running += 1;
        self.under_way += 1;
        Some(hot)
    }

    /// An attempt came back. If that opened the breaker the lane lets go of what waits: one that is
    /// held keeps nothing but its place.
    pub fn answered(&mut self, pace: Pace, probe: bool, now: Timestamp) {
        let held = self.breaker.is_open();
        let full = self.running >= self.window.size();
        self.running -= 1;
        self.last_answer = now;
        self.proven = true;
        self.standing = match pace {
            Pace::Faster | Pace::Same | Pace::Failing => Standing::Good,
            Pace::Slower => Standing::Bad,
        };
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
        if self.breaker.is_open() {
            self.shed();
        } else if held {
            // It is back: what its window shrank to while it was down says nothing any more.
            self.window = self.first_window.clone();
        }
    }

    /// It begins anew, after it was paused: what it had earned before says nothing any more.
    pub fn begin_anew(&mut self) {
        self.window = self.first_window.clone();
        self.standing = Standing::Unknown;
        self.proven = false;
    }

    /// A started attempt was never sent.
    pub fn unstarted(&mut self, probe: bool, now: Timestamp) {
        self.running -= 1;
        if probe {
            self.breaker.probe_unused(now);
        }
    }

    /// An attempt is over, with everything that belongs to it.
    pub fn over(&mut self) {
        self.under_way -= 1;
    }

    /// Somebody else may work on it from now on: lets go of what waits, and of what is no longer true
    /// when it comes back.
    pub fn lose(&mut self) {
        self.rest();
        self.target = Target::Unknown;
        self.resolve_again = self.resolving;
        self.throttle = None;
        self.paged.clear();
    }

    /// Lets go of what waits, and of what is being read.
    pub fn rest(&mut self) {
        self.shed();
        if let Some(paging) = &mut self.paging {
            paging.void = true;
        }
    }

    /// Whether nothing of it is under way, neither attempts nor reading.
    pub fn is_at_rest(&self) -> bool {
        self.under_way == 0 && self.paging.is_none() && !self.resolving
    }

    /// Lets go of all that waits in memory; it waits in the store as well.
    pub fn shed(&mut self) {
        while let Some(hot) = self.ready.pop_front() {
            self.in_memory.remove(&hot.delivery.id);
            self.note_due(hot.delivery.due);
        }
        self.ready_bytes = 0;
    }

    /// What waits in the store is dealt with by somebody else.
    pub fn forget_due(&mut self) {
        self.next_due = Timestamp::MAX;
    }

    /// A delivery left memory: it ended, or waits in the store (`next`) for another try. Returns when it
    /// was due.
    pub fn left(&mut self, id: DeliveryId, next: Option<Timestamp>) -> Option<Timestamp> {
        let due = self.in_memory.remove(&id);
        if let Some(paging) = &mut self.paging {
            paging.ended.insert(id);
        }
        if let Some(due) = next {
            self.note_due(due);
        }
        due
    }

    /// A delivery stays in memory only to be left out of what is read.
    pub fn set_aside(&mut self, id: DeliveryId) {
        self.in_memory.insert(id, Timestamp::MAX);
    }

    /// Whether something of it that is due then is in memory.
    pub fn has_in_memory(&self, due: Timestamp) -> bool {
        self.in_memory.values().any(|known| *known == due)
    }

    /// A delivery ended by something else. If it waits in memory it is let go.
    pub fn ended(&mut self, id: DeliveryId) {
        if let Some(paging) = &mut self.paging {
            paging.ended.insert(id);
        }
        let at = self.ready.iter().position(|hot| hot.delivery.id == id);
        if let Some(hot) = at.and_then(|at| self.ready.remove(at)) {
            self.in_memory.remove(&id);
            self.ready_bytes -= hot_bytes(&hot);
        }
    }

    /// A message's content was taken away: what waits of it in memory is let go.
    pub fn expunged(&mut self, message: MessageId) {
        if let Some(paging) = &mut self.paging {
            paging.expunged.insert(message);
        }
        let (gone, rest) = std::mem::take(&mut self.ready)
            .into_iter()
            .partition(|hot: &Hot| hot.delivery.message == message);
        self.ready = rest;
        let gone: VecDeque<Hot> = gone;
        for hot in gone {
            self.in_memory.remove(&hot.delivery.id);
            self.ready_bytes -= hot_bytes(&hot);
        }
    }

    /// Whether it has enough to do for now: more would only wait in front of what comes fresh.
    pub fn is_busy(&self, now: Timestamp) -> bool {
        self.ready.len() > self.window.size() as usize || self.next_due <= now
    }

    /// How many rows to read now, if it is time to read.
    pub fn wants_page(&self, now: Timestamp, options: &DispatchOptions) -> Option<usize> {
        if self.paging.is_some() || self.next_due > now {
            return None;
        }
        let wanted = if self.breaker.is_open() {
            1
        } else {
            let twice = 2 * self.window.size() as usize;
            twice.max(MIN_PAGE_ROWS).min(options.lane_queue.max(1))
        };
        let waiting = self.ready.len();
        (waiting < wanted.div_ceil(2)).then(|| wanted - waiting)
    }

    /// Begins reading a page; returns what the page need not show.
    pub fn begin_page(&mut self) -> Vec<DeliveryId> {
        self.paging = Some(Paging::default());
        self.in_memory.keys().copied().collect()
    }

    /// A page was read.
    pub fn end_page(&mut self, page: DuePage, now: Timestamp) {
        let Some(paging) = self.paging.take() else { return };
        if paging.void {
            return;
        }
        let next = page.next_due.unwrap_or(Timestamp::MAX);
        self.next_due = paging.noted.map_or(next, |noted| noted.min(next));
        let fresh = |due| now.since(due) < HANDOVER_WITHIN;
        self.paged.retain(|_, due| fresh(*due));
        for DueDelivery { delivery, message } in page.due {
            let (id, due, untried) = (delivery.id, delivery.due, delivery.attempts == 0);
            if !paging.ended.contains(&id)
                && !paging.expunged.contains(&delivery.message)
                && self.push(Hot { delivery, message })
                && untried
                && fresh(due)
            {
                self.paged.insert(id, due);
            }
        }
        if self.breaker.is_open() && self.ready.len() > 1 {
            // It was asked for before the breaker opened.
            self.shed();
        }
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

    /// Whether its endpoint kept up when it last answered.
    pub fn is_good(&self) -> bool {
        self.standing == Standing::Good
    }

    /// How it stands, for people.
    pub fn state(&self, now: Timestamp) -> LaneState {
        let held_until = match self.breaker.permit(now) {
            Permit::HoldUntil(at) => Some(at),
            Permit::Pass | Permit::Probe | Permit::Hold => None,
        };
        let throttled = |(_, throttle): &(u16, Throttle)| throttle.ready_at(now).is_err();
        LaneState {
            breaker: self.breaker.state(),
            held_until,
            window: self.window.size(),
            in_flight: self.running,
            queued: self.ready.len(),
            cold: self.next_due < Timestamp::MAX,
            throttled: self.throttle.as_ref().is_some_and(throttled),
        }
    }

    /// Whether the breaker holds it.
    pub fn is_held(&self) -> bool {
        self.breaker.is_open()
    }
}

/// A rate limit, which somebody else kept until `since` if that is given.
pub fn throttle(rate: u16, since: Option<Timestamp>, now: Timestamp) -> Throttle {
    match since {
        Some(since) => Throttle::taken_over(rate, since, now),
        None => Throttle::new(rate, now),
    }
}

/// What a waiting delivery takes of the memory budget.
pub fn hot_bytes(hot: &Hot) -> usize {
    hot.message.body.as_ref().map_or(0, |body| body.bytes.len()) + 256
}
