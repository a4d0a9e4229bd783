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
    id::{ApplicationId, EndpointId, MessageId, OrganizationId},
};
use parking_lot::Mutex;
use publish::{Catalogues, Handover, Hot, Publisher};
use store::Store;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout_at},
};

use crate::{
    core::{Actions, Core, Depths},
    housekeeping::Metrics,
    options::DispatchOptions,
    request::RequestBuilder,
    spawn::spawn,
    time::EngineTime,
};

/// What an engine is made of.
pub struct EngineParts {
    /// What is kept.
    pub store: Arc<dyn Store>,
    /// The catalogue in memory.
    pub catalogues: Arc<Catalogues>,
    /// Where things go.
    pub destination: Arc<dyn Destination>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where chance comes from.
    pub entropy: Arc<dyn Entropy>,
    /// Settings.
    pub options: DispatchOptions,
}

/// Takes stored deliveries to their end.
pub struct Engine {
    pub(crate) parts: EngineParts,
    time: EngineTime,
    pub(crate) core: Mutex<Core>,
    pub(crate) requests: RequestBuilder,
    pub(crate) metrics: Metrics,
    publisher: OnceLock<Arc<Publisher>>,
    /// When the clock loop wakes by itself, in microseconds; an earlier need notifies it.
    armed: AtomicI64,
    rearm: Notify,
    /// Tells the job loop that there may be a new task.
    pub(crate) jobs: Notify,
    /// Becomes true when the engine stops.
    pub(crate) stopping: watch::Sender<bool>,
    idle: Notify,
}

impl Engine {
    /// An engine that does nothing yet. Publishers hand over to it; [`Engine::start`] sets it going.
    pub fn new(parts: EngineParts) -> Arc<Self> {
        let core = Core::new(parts.options.clone(), parts.catalogues.clone());
        Arc::new(Self {
            requests: RequestBuilder::new(&parts.options),
            metrics: Metrics::new(),
            time: EngineTime::new(parts.clock.clone()),
            parts,
            core: Mutex::new(core),
            publisher: OnceLock::new(),
            armed: AtomicI64::new(i64::MAX),
            rearm: Notify::new(),
            jobs: Notify::new(),
            stopping: watch::Sender::new(false),
            idle: Notify::new(),
        })
    }

    /// Sets it going: finds what is due, runs timers, jobs and housekeeping. `publisher` makes the
    /// operational webhooks.
    pub fn start(self: &Arc<Self>, publisher: Arc<Publisher>) {
        // A second start would change nothing.
        let _ = self.publisher.set(publisher);
        spawn("dispatch.find_work", self.clone().run_find_work());
        spawn("dispatch.clock", self.clone().run_clock());
        spawn("dispatch.jobs", self.clone().run_jobs());
        spawn("dispatch.housekeeping", self.clone().run_housekeeping());
    }

    /// Stops: starts nothing any more, and waits for what is under way, at most the drain timeout.
    /// Returns how many attempts were still under way then: they will be made again.
    pub async fn stop(&self) -> usize {
        self.core.lock().stop();
        self.stopping.send_replace(true);
        let deadline = Instant::now() + self.parts.options.drain_timeout;
        loop {
            let idle = self.idle.notified();
            if self.core.lock().in_flight() == 0 || timeout_at(deadline, idle).await.is_err() {
                return self.core.lock().in_flight();
            }
        }
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
        let now = self.now();
        let (told, actions, drained) = {
            let mut core = self.core.lock();
            let told = event(&mut core, now);
            (told, core.step(now), core.in_flight() == 0)
        };
        if drained {
            self.idle.notify_waiters();
        }
        self.act(actions);
        told
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
        let wake_at = actions.wake_at.map_or(i64::MAX, Timestamp::as_micros);
        if wake_at < self.armed.fetch_min(wake_at, Ordering::AcqRel) {
            self.rearm.notify_one();
        }
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

/// The engine as publishers see it.
pub struct EngineHandle(Arc<Engine>);

impl Handover for EngineHandle {
    fn hand_over(&self, hot: Vec<Hot>) {
        self.0.tell(|core, now| core.hand_over(hot, now));
    }

    fn endpoint_changed(&self, _org: OrganizationId, _app: ApplicationId, endpoint: EndpointId) {
        if let Some(url) = self.0.tell(|core, now| core.endpoint_changed(endpoint, now)) {
            // Nothing more goes out on a connection that was made for what is no more.
            self.0.parts.destination.forget(&url);
        }
        self.0.jobs.notify_one();
    }

    fn application_changed(&self, org: OrganizationId, app: ApplicationId) {
        self.0.tell(|core, now| core.application_changed(org, app, now));
        self.0.jobs.notify_one();
    }

    fn message_expunged(&self, _org: OrganizationId, app: ApplicationId, message: MessageId) {
        self.0.tell(|core, now| core.message_expunged(app, message, now));
    }
}
