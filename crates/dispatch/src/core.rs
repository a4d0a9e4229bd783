//! What is decided: which delivery starts next, which page is read, when to look again. One value
//! behind one short lock; nothing here waits.

mod owning;
mod step;
mod work;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use domain::{
    clock::Timestamp,
    delivery::{Health, Pace},
    id::{ApplicationId, DeliveryId, EndpointId, MessageId, OrganizationId},
};
use publish::{ApplicationCatalogue, Catalogues, Hot, PreparedEndpoint};
use store::{
    StoreError,
    deliveries::{DueLimits, DuePage, Epoch, LaneKey},
    nodes::Slice,
};
use url::Url;

use crate::{
    budget::{Budget, Held},
    lane::{Lane, LaneState, Readiness, Target},
    options::DispatchOptions,
    shards::Shards,
    timers::{Alarm, Timers},
    turns::{Reserve, Turns},
};

/// Most that is remembered of what left memory while work was looked for. Beyond it lanes read a page
/// that they need not have read.
const MAX_LEFT: usize = 100_000;
/// Wait before a page or an endpoint that could not be read is asked for again.
const READ_RETRY: Duration = Duration::from_millis(500);

/// One attempt to make.
#[derive(Debug)]
pub struct Start {
    /// What.
    pub hot: Hot,
    /// Whose.
    pub application: Arc<ApplicationCatalogue>,
    /// Where to.
    pub endpoint: Arc<PreparedEndpoint>,
    /// Since when the endpoint fails, as last stored.
    pub first_failure_at: Option<Timestamp>,
    /// Whether it is the breaker's probe.
    pub probe: bool,
    /// What it takes of the budgets until it is settled.
    pub held: Held,
    /// Under which its shard is owned.
    pub epoch: Epoch,
}

/// A page to read.
#[derive(Debug)]
pub struct PageOrder {
    /// Of this lane.
    pub lane: LaneKey,
    /// Within these.
    pub limits: DueLimits,
    /// Without these.
    pub skip: Vec<DeliveryId>,
}

/// What is to be done.
#[derive(Debug, Default)]
pub struct Actions {
    /// Attempts to make.
    pub starts: Vec<Start>,
    /// Pages to read.
    pub pages: Vec<PageOrder>,
    /// Endpoints to look up.
    pub resolves: Vec<LaneKey>,
    /// Lanes whose endpoint is gone: cancel what is left.
    pub cancels: Vec<LaneKey>,
    /// When to take the next step at the latest.
    pub wake_at: Option<Timestamp>,
    /// A shard that is given back has come to rest.
    pub rested: bool,
    /// Parts of tenants' rates to take from the store.
    pub reserves: Vec<Reserve>,
}

/// The deciding part of the engine.
pub struct Core {
    options: DispatchOptions,
    catalogues: Arc<Catalogues>,
    shards: Shards,
    lanes: HashMap<EndpointId, Lane>,
    turns: Turns,
    timers: Timers,
    budget: Budget,
    hot_bytes: usize,
    page_queue: VecDeque<EndpointId>,
    page_queued: HashSet<EndpointId>,
    pages_running: usize,
    /// What the pages that are being read may bring.
    page_bytes: usize,
    resolve_queue: VecDeque<LaneKey>,
    resolves_running: usize,
    /// Settles that could not be written yet: while there are any, nothing starts.
    unwritten: usize,
    stopping: bool,
    cancels: Vec<LaneKey>,
    /// While work is looked for: what has left memory since that began, by when it was due.
    left_meanwhile: Option<HashSet<(EndpointId, Timestamp)>>,
}

/// Sizes, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depths {
    /// Lanes in memory.
    pub lanes: usize,
    /// Lanes that their breaker holds.
    pub held: usize,
    /// Deliveries that wait in memory.
    pub ready: usize,
    /// Attempts under way or being settled.
    pub in_flight: usize,
    /// Payload bytes that wait in memory.
    pub hot_bytes: usize,
    /// Shards that this node owns.
    pub shards: usize,
}

impl Core {
    /// An engine without work, that owns nothing.
    pub fn new(options: DispatchOptions, catalogues: Arc<Catalogues>) -> Self {
        Self {
            budget: Budget::new(options.max_in_flight, options.in_flight_bytes),
            options,
            catalogues,
            shards: Shards::none(),
            lanes: HashMap::new(),
            turns: Turns::default(),
            timers: Timers::default(),
            hot_bytes: 0,
            page_queue: VecDeque::new(),
            page_queued: HashSet::new(),
            pages_running: 0,
            page_bytes: 0,
            resolve_queue: VecDeque::new(),
            resolves_running: 0,
            unwritten: 0,
            stopping: false,
            cancels: Vec::new(),
            left_meanwhile: None,
        }
    }

    /// What is left of the memory budget. A lane may take as much as it leaves to the others: one
    /// that does not move gets half of it at most, and there is always some left for those that do.
    fn room(&self) -> usize {
        self.options.hot_bytes.saturating_sub(self.hot_bytes + self.page_bytes)
    }

    /// Does something to a lane that may change what it has in memory.
    fn on_lane(&mut self, endpoint: EndpointId, act: impl FnOnce(&mut Lane)) {
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return };
        let before = lane.ready_bytes();
        act(lane);
        self.hot_bytes = self.hot_bytes - before + lane.ready_bytes();
    }

    /// Whether a lane has enough to do for now.
    pub fn is_busy(&self, endpoint: EndpointId, now: Timestamp) -> bool {
        self.lanes.get(&endpoint).is_some_and(|lane| lane.is_busy(now))
    }

    /// An endpoint was changed. Returns where it was reached until now, if that is known.
    pub fn endpoint_changed(&mut self, endpoint: EndpointId, now: Timestamp) -> Option<Arc<Url>> {
        let lane = self.lanes.get_mut(&endpoint)?;
        let before = std::mem::replace(&mut lane.target, Target::Unknown);
        lane.resolve_again = lane.resolving;
        self.review(endpoint, now);
        match before {
            Target::Open(_, prepared) => Some(prepared.url.clone()),
            _ => None,
        }
    }

    /// An application was changed: all its lanes look again.
    pub fn application_changed(&mut self, org: OrganizationId, app: ApplicationId, now: Timestamp) {
        self.look_again(|key| key.app == app && key.org == org, now);
    }

    /// Anything may have been changed: all lanes look again.
    pub fn all_changed(&mut self, now: Timestamp) {
        self.look_again(|_| true, now);
    }

    fn look_again(&mut self, concerned: impl Fn(&LaneKey) -> bool, now: Timestamp) {
        let keys = self.lanes.values().map(|lane| lane.key).filter(|key| concerned(key));
        let mut concerned: Vec<EndpointId> = keys.map(|key| key.endpoint).collect();
        // A map's order must not show.
        concerned.sort_unstable();
        for endpoint in concerned {
            self.endpoint_changed(endpoint, now);
        }
    }

    /// An endpoint was looked up in the store: its application (`None` if that is gone), or why not.
    pub fn resolved(
        &mut self,
        key: LaneKey,
        found: Result<Option<Arc<ApplicationCatalogue>>, StoreError>,
        now: Timestamp,
    ) {
        self.resolves_running -= 1;
        let Some(lane) = self.lanes.get_mut(&key.endpoint) else { return };
        lane.resolving = false;
        match found {
            Ok(_) if std::mem::take(&mut lane.resolve_again) => self.review(key.endpoint, now),
            Ok(application) => self.aim(key, application, now),
            Err(_) => self.timers.set(Alarm::Lane(key.endpoint), now.plus(READ_RETRY)),
        }
    }

    /// Takes an endpoint's application as it is now.
    fn aim(
        &mut self,
        key: LaneKey,
        application: Option<Arc<ApplicationCatalogue>>,
        now: Timestamp,
    ) {
        let Some(lane) = self.lanes.get_mut(&key.endpoint) else { return };
        let was_paused = lane.paused;
        let since = self.shards.taken_over_at(key.shard);
        lane.target = match application {
            None => Target::Gone,
            Some(application) => {
                let rate = application.application.throttle_rate;
                self.turns.limit((key.org, key.app), rate, self.shards.are_leased(), now);
                match application.endpoint(key.endpoint).cloned() {
                    None => Target::Gone,
                    Some(prepared) => {
                        lane.limit(prepared.endpoint.throttle_rate, since, now);
                        lane.first_failure_at = prepared.endpoint.first_failure_at;
                        lane.disabling = prepared.endpoint.disabled;
                        if prepared.endpoint.disabled {
                            Target::Paused
                        } else {
                            Target::Open(application, prepared)
                        }
                    }
                }
            }
        };
        lane.paused = matches!(lane.target, Target::Paused);
        if was_paused && !lane.paused {
            lane.begin_anew();
        }
        self.review(key.endpoint, now);
    }

    /// A part of a tenant's rate is this node's; `None` if the store did not answer.
    pub fn reserved(&mut self, app: ApplicationId, slice: Option<Slice>, now: Timestamp) {
        self.turns.reserved(app, slice, now);
    }

    /// A page was read within these limits, or could not be.
    pub fn page_read(
        &mut self,
        key: LaneKey,
        limits: DueLimits,
        page: Option<DuePage>,
        now: Timestamp,
    ) {
        self.pages_running -= 1;
        self.page_bytes -= limits.bytes;
        self.on_lane(key.endpoint, |lane| match page {
            Some(page) => lane.end_page(page, now),
            None => lane.failed_page(now.plus(READ_RETRY)),
        });
        self.review(key.endpoint, now);
    }

    /// An attempt came back with an answer; its outcome is yet to be written.
    pub fn answered(&mut self, endpoint: EndpointId, pace: Pace, probe: bool, now: Timestamp) {
        self.on_lane(endpoint, |lane| lane.answered(pace, probe, now));
        self.review(endpoint, now);
    }

    /// A started attempt was not sent: its delivery ends without one, or waits in the store.
    pub fn unstarted(&mut self, endpoint: EndpointId, probe: bool, now: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(&endpoint) {
            lane.unstarted(probe, now);
        }
    }

    /// A started attempt came to nothing that can be written: its delivery stays out of the way until
    /// the next start of the process, lest it be sent without end.
    pub fn set_aside(
        &mut self,
        endpoint: EndpointId,
        (delivery, held): (DeliveryId, Held),
        now: Timestamp,
    ) {
        self.over(endpoint, held);
        self.on_lane(endpoint, |lane| lane.set_aside(delivery));
        self.review(endpoint, now);
    }

    /// An attempt is over, with everything that belongs to it.
    fn over(&mut self, endpoint: EndpointId, held: Held) {
        self.budget.release(held);
        if let Some(lane) = self.lanes.get_mut(&endpoint) {
            lane.over();
            self.shards.settled(lane.key.shard);
        }
    }

    /// What a delivery came to is on stable storage: `next` is its next due time, or when to look for
    /// it where that is not known. `held` is what its attempt took.
    pub fn settled(
        &mut self,
        endpoint: EndpointId,
        (delivery, held): (DeliveryId, Held),
        next: Option<Timestamp>,
        also_ended: &[DeliveryId],
        now: Timestamp,
    ) {
        self.over(endpoint, held);
        let mut due = None;
        self.on_lane(endpoint, |lane| {
            due = lane.left(delivery, next);
            for id in also_ended {
                lane.ended(*id);
            }
        });
        if let (Some(left), Some(due)) = (&mut self.left_meanwhile, due)
            && left.len() < MAX_LEFT
        {
            left.insert((endpoint, due));
        }
        self.review(endpoint, now);
    }

    /// A message's content was taken away: no attempt of it starts any more.
    pub fn message_expunged(&mut self, app: ApplicationId, message: MessageId, now: Timestamp) {
        let mut concerned: Vec<EndpointId> =
            self.lanes.values().filter(|l| l.key.app == app).map(|l| l.key.endpoint).collect();
        // A map's order must not show.
        concerned.sort_unstable();
        for endpoint in concerned {
            self.on_lane(endpoint, |lane| lane.expunged(message));
            self.review(endpoint, now);
        }
    }

    /// Lets one of several attempts that end together disable the endpoint.
    pub fn once(&mut self, endpoint: EndpointId, health: Health) -> Health {
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return health };
        match health {
            Health::Disable { .. } if std::mem::replace(&mut lane.disabling, true) => Health::Same,
            _ => health,
        }
    }

    /// The endpoint's health was written (`changed`), or was so in the store already. False if that
    /// is not what the lane knew: outcomes have crossed.
    pub fn health_written(
        &mut self,
        endpoint: EndpointId,
        first_failure_at: Option<Timestamp>,
        changed: bool,
    ) -> bool {
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return true };
        if changed {
            lane.first_failure_at = first_failure_at;
            // What is being looked up may be from before.
            lane.resolve_again |= lane.resolving;
        }
        lane.first_failure_at.is_some() == first_failure_at.is_some()
    }

    /// A settle cannot be written at the moment (`true`), or has been after all (`false`).
    pub fn unwritten(&mut self, stuck: bool) {
        if stuck {
            self.unwritten += 1;
        } else {
            self.unwritten -= 1;
        }
    }

    /// Attempts under way or being settled.
    pub fn in_flight(&self) -> usize {
        self.budget.attempts()
    }

    /// Sizes, for metrics.
    pub fn depths(&self) -> Depths {
        Depths {
            lanes: self.lanes.len(),
            held: self.lanes.values().filter(|lane| lane.is_held()).count(),
            ready: self.lanes.values().map(Lane::depth).sum(),
            in_flight: self.budget.attempts(),
            hot_bytes: self.hot_bytes,
            shards: self.shards.owned().len(),
        }
    }

    /// How the work of an endpoint of a shard of this node stands; `None` of others' endpoints. One that
    /// has no lane has no work, and its lane will begin with what it would have at first.
    pub fn lane_state(&self, key: LaneKey, now: Timestamp) -> Option<LaneState> {
        self.shards.epoch(key.shard)?;
        match self.lanes.get(&key.endpoint) {
            Some(lane) => (lane.key == key).then(|| lane.state(now)),
            None => Some(Lane::new(key, &self.options).state(now)),
        }
    }

    /// Forgets lanes that have nothing to do, beyond what may stay.
    pub fn forget_idle(&mut self, now: Timestamp) {
        if self.lanes.len() > self.options.idle_lanes {
            self.lanes.retain(|_, lane| !lane.is_idle(now));
        }
    }

    /// Looks at a lane after anything has happened to it: what it can start, read, or wait for.
    fn review(&mut self, endpoint: EndpointId, now: Timestamp) {
        let pressure = self.budget.pressure();
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return };
        if !self.shards.is_active(lane.key.shard) {
            self.timers.clear(Alarm::Lane(endpoint));
            if self.shards.epoch(lane.key.shard).is_none() && lane.is_at_rest() {
                self.lanes.remove(&endpoint);
            }
            return;
        }
        let has_work = lane.depth() > 0 || lane.next_due() < Timestamp::MAX;
        match lane.target {
            Target::Open(..) => {}
            Target::Unknown if lane.resolving || !has_work => return,
            Target::Unknown if lane.depth() == 0 && lane.next_due() > now => {
                // Time enough to look it up when something is due.
                self.timers.set(Alarm::Lane(endpoint), lane.next_due());
                return;
            }
            Target::Unknown => {
                let key = lane.key;
                match self.catalogues.cached(key.org, key.app) {
                    Some(application) => self.aim(key, Some(application), now),
                    None => {
                        lane.resolving = true;
                        self.resolve_queue.push_back(key);
                    }
                }
                return;
            }
            Target::Paused | Target::Gone => {
                if matches!(lane.target, Target::Gone) && has_work {
                    self.cancels.push(lane.key);
                }
                self.on_lane(endpoint, |lane| {
                    lane.shed();
                    if matches!(lane.target, Target::Gone) {
                        lane.forget_due();
                    }
                });
                self.timers.clear(Alarm::Lane(endpoint));
                return;
            }
        }
        let mut look_again = if lane.next_due() > now { lane.next_due() } else { Timestamp::MAX };
        match lane.gate(pressure, now) {
            Readiness::Start { .. } => {
                if lane.depth() > 0 {
                    self.turns.enlist(lane.key.app, endpoint);
                }
                if lane.wants_page(now, &self.options).is_some()
                    && self.page_queued.insert(endpoint)
                {
                    self.page_queue.push_back(endpoint);
                }
            }
            Readiness::At(at) if has_work => look_again = look_again.min(at),
            Readiness::At(_) | Readiness::Wait => {}
        }
        self.timers.set(Alarm::Lane(endpoint), look_again);
    }
}
