//! Sources that make their events themselves, by the clock. Every node makes them: the moment is the
//! event's id, so that however many do it at once, and whichever dies meanwhile, it is stored once.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{
    application::Application,
    clock::{Clock, Timestamp},
    id::{ApplicationId, OrganizationId},
    message::{Body, Origin},
    name::{Ref, Uid},
    page::{Order, PageRequest},
};
use providers::source::{CRON, Cron, Missed};
use publish::{Draft, Internal, Publisher, Rejected};
use store::{
    Store, StoreError,
    history::{MessageFilter, Tenant},
};

/// How often it is looked which sources there are: a new one begins no later than this.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Sources that are read at a time.
const PAGE: usize = 500;
/// Messages that are looked through for the last one that the clock made.
const LAST: u16 = 50;
/// How far back missed times are caught up.
const CATCH_UP: Duration = Duration::from_secs(86_400);
/// A time is missed once it has passed by this.
const LATE: Duration = Duration::from_secs(60);
/// Events that one source makes in a row, before others get their turn.
const MOST_IN_A_ROW: usize = 100;
/// What an event's id begins with; the moment follows, in seconds since 1970.
const ID: &str = "cron-";
/// How often something is tried again that the store could not do.
const AGAIN: Duration = Duration::from_secs(1);

/// One source, and when its next event is due.
struct Clocked {
    application: Application,
    cron: Cron,
    next: Option<Timestamp>,
}

/// Makes the events of all cron sources.
pub struct Scheduler {
    store: Arc<dyn Store>,
    publisher: Arc<Publisher>,
    clock: Arc<dyn Clock>,
    sources: HashMap<(OrganizationId, ApplicationId), Clocked>,
    look_at: Timestamp,
}

impl Scheduler {
    /// Hands events to `publisher`.
    pub fn new(store: Arc<dyn Store>, publisher: Arc<Publisher>, clock: Arc<dyn Clock>) -> Self {
        Self { store, publisher, clock, sources: HashMap::new(), look_at: Timestamp::EPOCH }
    }

    /// Makes what is due, for ever.
    pub async fn run(mut self) {
        loop {
            let wait = self.step().await;
            tokio::time::sleep(wait).await;
        }
    }

    /// Looks for sources if it is time to, and makes what is due. How long until there is something to
    /// do again.
    pub async fn step(&mut self) -> Duration {
        let now = self.clock.now();
        if now >= self.look_at {
            match self.look(now).await {
                Ok(()) => self.look_at = now.plus(LOOK_EVERY),
                Err(error) => {
                    if store::outage::may_log(self.clock.now()) {
                        tracing::warn!(%error, "cron sources could not be read; trying again");
                    }
                    return AGAIN;
                }
            }
        }
        let due: Vec<_> = self.sources.iter().filter(|(_, source)| is_due(source, now)).collect();
        let due: Vec<_> = due.into_iter().map(|(key, _)| *key).collect();
        for key in due {
            if let Err(error) = self.make(key, now).await {
                if store::outage::may_log(self.clock.now()) {
                    tracing::warn!(%error, app = %key.1, "a cron source's event could not be stored");
                }
                return AGAIN;
            }
        }
        let next = self.sources.values().filter_map(|source| source.next).min();
        let next = next.map_or(self.look_at, |next| next.min(self.look_at));
        next.since(self.clock.now())
    }

    async fn look(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let (mut after, mut seen) = (None, HashMap::new());
        loop {
            let page = self.store.sources(after, PAGE).await?;
            after = page.last().map(|application| (application.org, application.id));
            let more = page.len() == PAGE;
            for application in page {
                let key = (application.org, application.id);
                let known = self.sources.remove(&key);
                let same = known.filter(|known| known.application.source == application.source);
                let clocked = match same {
                    Some(known) => Some(known),
                    None => self.read(application, now).await?,
                };
                if let Some(clocked) = clocked {
                    seen.insert(key, clocked);
                }
            }
            if !more {
                self.sources = seen;
                return Ok(());
            }
        }
    }

    /// A source that is new here, or was changed.
    async fn read(
        &self,
        application: Application,
        now: Timestamp,
    ) -> Result<Option<Clocked>, StoreError> {
        let Some(source) = &application.source else { return Ok(None) };
        if source.kind != CRON || source.settings.disabled {
            return Ok(None);
        }
        let config = serde_json::from_str(source.config.as_str()).unwrap_or_default();
        let Ok(cron) = Cron::read(&config) else { return Ok(None) };
        let since = match cron.missed {
            Missed::Skip => now,
            Missed::CatchUp => {
                let last = self.last(&application).await?;
                // What is due since it was made; a changed schedule does not hold for the time before.
                last.unwrap_or(application.created_at)
                    .max(Timestamp::from_micros(now.as_micros() - CATCH_UP.as_micros() as i64))
            }
        };
        let next = cron.schedule.next(since);
        Ok(Some(Clocked { application, cron, next }))
    }

    /// The moment of the last event.
    async fn last(&self, application: &Application) -> Result<Option<Timestamp>, StoreError> {
        let tenant = Tenant { org: application.org, app: application.id };
        let page = PageRequest { limit: LAST, order: Order::Descending, cursor: None };
        let newest = self.store.messages(tenant, MessageFilter::default(), page, false).await?;
        let moments = newest.items.iter().filter_map(|message| moment(message.event_id.as_ref()?));
        Ok(moments.max())
    }

    /// Makes the events of one source that are due.
    async fn make(
        &mut self,
        key: (OrganizationId, ApplicationId),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(source) = self.sources.get_mut(&key) else { return Ok(()) };
        for _ in 0..MOST_IN_A_ROW {
            let Some(at) = source.next.filter(|at| *at <= now) else { return Ok(()) };
            let drafts = vec![draft(source, at)];
            let app = Ref::Id(key.1);
            let made = self.publisher.publish(key.0, &app, drafts, &Internal).await;
            match made {
                Ok(results) => {
                    // Else another node was first, or the source is over its quota and misses one.
                    if let Some(Err(Rejected::Store(error))) = results.into_iter().next() {
                        return Err(error);
                    }
                }
                Err(publish::PublishError::Store(error)) => return Err(error),
                // It was deleted.
                Err(_) => {
                    source.next = None;
                    return Ok(());
                }
            }
            source.next = source.cron.schedule.next(at);
            let missed = source.next.is_some_and(|next| next.plus(LATE) < now);
            if missed && source.cron.missed == Missed::Skip {
                source.next = source.cron.schedule.next(now);
            }
        }
        Ok(())
    }
}

fn is_due(source: &Clocked, now: Timestamp) -> bool {
    source.next.is_some_and(|next| next <= now)
}

fn moment(id: &Uid) -> Option<Timestamp> {
    id.as_str().strip_prefix(ID)?.parse().ok().map(Timestamp::from_secs)
}

fn draft(source: &Clocked, at: Timestamp) -> Draft {
    let content_type = source.cron.content_type.as_deref().unwrap_or("application/json");
    let body = Bytes::from(source.cron.payload.clone());
    let known = source.application.source.as_ref();
    Draft {
        event_type: CRON.parse().expect("a name"),
        event_id: format!("{ID}{}", at.as_secs()).parse().ok(),
        event_id_window: known.map(|known| known.dedupe_window()),
        channels: Vec::new(),
        tags: Vec::new(),
        body: Body::new(body, content_type.into(), Vec::new()),
        deliver_at: None,
        retention: None,
        origin: Origin::Source,
        idempotency: None,
        only: None,
    }
}
