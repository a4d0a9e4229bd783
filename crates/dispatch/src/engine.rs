//! The engine put together: [`Core`] decides, this acts.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use domain::{
    clock::{Clock, Timestamp},
    destination::Destination,
    entropy::Entropy,
    id::{ApplicationId, EndpointId, OrganizationId},
    shard::{Shard, ShardSet},
};
use parking_lot::Mutex;
use publish::{Catalogues, Hot, Publisher, RequestBuilder};
use store::{Store, deliveries::LaneKey, nodes::Ownership};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    core::{Actions, Core, Depths},
    handle::EngineHandle,
    housekeeping::Metrics,
    lane::LaneState,
    options::DispatchOptions,
    spawn::spawn,
    time::EngineTime,
    turns::Reserve,
};

/// How long stopping waits for the store to take shards back: others have them anyway when their lease
/// is over.
const LEAVE_WITHIN: Duration = Duration::from_secs(3);
/// Further than this from the store's clock, a node's own clock is not fit for use.
const MAX_CLOCK_OFFSET: Duration = Duration::from_secs(1);

/// What an engine is made of.
pub struct EngineParts {
    /// What is kept.
    pub store: Arc<dyn Store>,
    /// The catalogue in memory.
    pub catalogues: Arc<Catalogues>,
    /// Where things go.
    pub destination: Arc<dyn Destination>,
    /// What time it is. Its monotonic part is what leases are measured by: it must run on while the
    /// process is stopped or the machine sleeps.
    pub clock: Arc<dyn Clock>,
    /// Where chance comes from.
    pub entropy: Arc<dyn Entropy>,
    /// Settings.
    pub options: DispatchOptions,
}

/// Takes stored deliveries to their end.
pub struct Engine {
    pub(crate) parts: EngineParts,
    pub(crate) time: Arc<EngineTime>,
    pub(crate) core: Mutex<Core>,
    pub(crate) requests: RequestBuilder,
    pub(crate) metrics: Metrics,
    publisher: OnceLock<Arc<Publisher>>,
    /// When the clock loop wakes by itself, in microseconds; an earlier need notifies it.
    armed: AtomicI64,
    rearm: Notify,
    /// Tells the job loop that there may be a new task.
    pub(crate) jobs: Notify,
    /// Tells that there are shards whose work nobody has looked for.
    pub(crate) gained: Notify,
    /// Tells that a shard that is given back has come to rest.
    pub(crate) rested: Notify,
    /// Tells that a heartbeat may bring something.
    pub(crate) beat: Notify,
    pub(crate) revocations: Notify,
    ownership: Mutex<Option<JoinHandle<()>>>,
    /// Becomes true when the engine stops.
    pub(crate) stopping: watch::Sender<bool>,
    idle: Notify,
}

impl Engine {
    /// An engine that does nothing yet. Publishers hand over to it; [`Engine::start`] sets it going.
    pub fn new(parts: EngineParts) -> Arc<Self> {
        let mut core = Core::new(parts.options.clone(), parts.catalogues.clone());
        let time = Arc::new(EngineTime::new(parts.clock.clone()));
        if !parts.store.is_shared() {
            core.own(&Ownership::alone(), Duration::MAX, time.now());
        }
        Arc::new(Self {
            requests: RequestBuilder::new(parts.options.header_style, &parts.options.user_agent),
            metrics: Metrics::new(),
            time,
            parts,
            core: Mutex::new(core),
            publisher: OnceLock::new(),
            armed: AtomicI64::new(i64::MAX),
            rearm: Notify::new(),
            jobs: Notify::new(),
            gained: Notify::new(),
            rested: Notify::new(),
            beat: Notify::new(),
            revocations: Notify::new(),
            ownership: Mutex::new(None),
            stopping: watch::Sender::new(false),
            idle: Notify::new(),
        })
    }

    /// Sets it going: finds what is due, runs timers, jobs and housekeeping. `publisher` makes the
    /// operational webhooks.
    pub fn start(self: &Arc<Self>, publisher: Arc<Publisher>) {
        // A second start would change nothing.
        let _ = self.publisher.set(publisher);
        if self.parts.store.is_shared() {
            let ownership = spawn("dispatch.ownership", self.clone().run_ownership());
            *self.ownership.lock() = Some(ownership);
            spawn("dispatch.news", self.clone().run_news());
        }
        spawn("dispatch.find_work", self.clone().run_find_work());
        spawn("dispatch.clock", self.clone().run_clock());
        spawn("dispatch.jobs", self.clone().run_jobs());
        spawn("dispatch.housekeeping", self.clone().run_housekeeping());
        spawn("dispatch.rollups", self.clone().run_rollups());
    }

    /// Stops: starts nothing any more, and waits for what is under way, at most the drain timeout. Shards
    /// are given back as they come to rest, so that others go on with them at once. Returns how many
    /// attempts were still under way then: they will be made again.
    pub async fn stop(&self) -> usize {
        let drain_timeout = self.parts.options.drain_timeout;
        let now = self.now();
        self.core.lock().stop(now.plus(drain_timeout), now);
        self.stopping.send_replace(true);
        let deadline = Instant::now() + drain_timeout;
        loop {
            let idle = self.idle.notified();
            if self.core.lock().in_flight() == 0 || timeout_at(deadline, idle).await.is_err() {
                break;
            }
        }
        let left = self.core.lock().in_flight();
        // What is not written is counted anew, by whoever goes on.
        match timeout(LEAVE_WITHIN, self.flush_rollups()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "counts by time were not written"),
            Err(_) => tracing::debug!("counts by time were not written in time"),
        }
        let ownership = self.ownership.lock().take();
        if let Some(mut ownership) = ownership
            && timeout(LEAVE_WITHIN, &mut ownership).await.is_err()
        {
            tracing::warn!("the store does not take shards back; others wait for the lease to end");
            ownership.abort();
        }
        left
    }

    /// The engine as publishers see it.
    pub fn handle(self: &Arc<Self>) -> Arc<EngineHandle> {
        Arc::new(EngineHandle(self.clone()))
    }

    pub(crate) fn publisher(&self) -> Option<&Arc<Publisher>> {
        self.publisher.get()
    }

    /// How much it has to do, and what it holds.
    pub fn depths(&self) -> Depths {
        self.core.lock().depths()
    }

    /// Whether it does its part: it was started, its lease is valid if the store is shared, and its clock
    /// is near enough to the store's.
    pub fn ready(&self) -> bool {
        let started = self.publisher.get().is_some() && !*self.stopping.borrow();
        let offset = self.clock_offset().unwrap_or(0).unsigned_abs();
        let monotonic = self.parts.clock.monotonic();
        started
            && Duration::from_micros(offset) <= MAX_CLOCK_OFFSET
            && self.core.lock().shards().may_start(monotonic)
    }

    /// By how many microseconds the store's clock was ahead of this node's when it was last seen;
    /// `None` if the store goes by this node's.
    pub fn clock_offset(&self) -> Option<i64> {
        self.time.offset()
    }

    /// This node's clock, corrected by the store's: for whatever is stored.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.time.clone()
    }

    /// Tells whoever keeps revocations in memory that there are new ones, or may be. For one waiter,
    /// which misses none.
    pub fn revocations(&self) -> &Notify {
        &self.revocations
    }

    /// The shards that it owns, as far as it knows, and has not begun to give back.
    pub fn shards(&self) -> ShardSet {
        self.core.lock().shards().active()
    }

    /// How an endpoint's work stands; `None` if another node delivers to it, as far as is known.
    pub fn lane(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        endpoint: EndpointId,
    ) -> Option<LaneState> {
        let key = LaneKey { shard: Shard::of(&org, &app, &endpoint), org, app, endpoint };
        self.core.lock().lane_state(key, self.now())
    }

    /// Whether it was told to stop.
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// The time by which work is due.
    pub(crate) fn now(&self) -> Timestamp {
        self.time.now()
    }

    /// The time that is shown to others.
    pub(crate) fn wall(&self) -> Timestamp {
        self.time.wall()
    }

    /// Tells the core what happened and does what follows from it.
    pub(crate) fn tell<T>(self: &Arc<Self>, event: impl FnOnce(&mut Core, Timestamp) -> T) -> T {
        let (told, actions, drained) = {
            let mut core = self.core.lock();
            let (now, monotonic) = self.time.read();
            let told = event(&mut core, now);
            (told, core.step(now, monotonic), core.in_flight() == 0)
        };
        if drained {
            self.idle.notify_waiters();
        }
        self.act(actions);
        told
    }

    /// Takes deliveries that have just been stored; the owners of the others are told.
    pub(crate) fn hand_over(self: &Arc<Self>, hot: Vec<Hot>) {
        let others = self.tell(|core, now| core.hand_over(hot, now));
        if !others.is_empty() {
            self.parts.store.wake(others);
        }
    }

    fn act(self: &Arc<Self>, actions: Actions) {
        for start in actions.starts {
            spawn("dispatch.attempt", self.clone().attempt(start));
        }
        for page in actions.pages {
            spawn("dispatch.page", self.clone().read_page(page));
        }
        for key in actions.resolves {
            spawn("dispatch.resolve", self.clone().resolve(key));
        }
        for key in actions.cancels {
            spawn("dispatch.cancel", self.clone().cancel_lane(key));
        }
        for reserve in actions.reserves {
            spawn("dispatch.reserve", self.clone().reserve(reserve));
        }
        if actions.rested {
            self.rested.notify_one();
        }
        let wake_at = actions.wake_at.map_or(i64::MAX, Timestamp::as_micros);
        if wake_at < self.armed.fetch_min(wake_at, Ordering::AcqRel) {
            self.rearm.notify_one();
        }
    }

    /// Takes a part of a tenant's rate.
    async fn reserve(self: Arc<Self>, Reserve { org, app, rate, attempts }: Reserve) {
        let slice = self.parts.store.reserve(org, app, rate, attempts).await;
        self.tell(|core, now| core.reserved(app, slice.ok(), now));
    }

    /// Wakes the core when an alarm is due.
    async fn run_clock(self: Arc<Self>) {
        let mut stopping = self.stopping.subscribe();
        loop {
            let at = Timestamp::from_micros(self.armed.load(Ordering::Acquire));
            // Never longer than this, so that a clock that was set forward is noticed.
            let wait = at.since(self.now()).min(Duration::from_secs(1));
            tokio::select! {
                () = sleep(wait) => {
                    self.armed.store(i64::MAX, Ordering::Release);
                    self.tell(|_, _| ());
                }
                () = self.rearm.notified() => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
        }
    }
}
