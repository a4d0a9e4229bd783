//! What goes on right now, for those who watch: messages as they are accepted, attempts as they are
//! settled, on this node. Best effort, in memory, and nothing is done for it while nobody watches.
//! Whoever watches has a queue of its own, so that a slow reader misses events and holds up nobody, and
//! learns how many of its own it missed.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use domain::{
    attempt::{Attempt, OutcomeClass},
    clock::Timestamp,
    delivery::Trigger,
    id::{ApplicationId, AttemptId, EndpointId, MessageId, OrganizationId},
    message::Message,
    name::{Channel, EventTypeName, Tag, Uid},
};
use parking_lot::RwLock;
use tokio::sync::mpsc;

use crate::catalogue::ApplicationCatalogue;

/// Most that watch at a time, on one node.
pub const MOST_WATCHERS: usize = 256;
/// Events that wait for one of them; what comes while it is full is missed.
const QUEUE: usize = 1_024;

/// A message that was accepted, without its payload.
#[derive(Debug)]
pub struct LiveMessage {
    /// Its application's name.
    pub app_name: String,
    /// See [`Message`].
    pub id: MessageId,
    /// See [`Message`].
    pub event_id: Option<Uid>,
    /// See [`Message`].
    pub channels: Vec<Channel>,
    /// See [`Message`].
    pub tags: Vec<Tag>,
    /// To how many endpoints it goes.
    pub endpoints: usize,
    /// When it was accepted.
    pub at: Timestamp,
}

/// An attempt that was settled, without the answer's body.
#[derive(Debug)]
pub struct LiveAttempt {
    /// Its application's name.
    pub app_name: String,
    /// See [`Attempt`].
    pub id: AttemptId,
    /// Where to.
    pub endpoint: EndpointId,
    /// Of which message.
    pub message: MessageId,
    /// Where it was sent, credentials hidden.
    pub url: String,
    /// How it ended.
    pub class: OutcomeClass,
    /// The HTTP status, where there was one.
    pub status_code: Option<u16>,
    /// How long it took.
    pub duration: std::time::Duration,
    /// The how-manieth try of its delivery.
    pub number: u16,
    /// Why it was made.
    pub trigger: Trigger,
    /// When it began.
    pub at: Timestamp,
}

/// What happened.
#[derive(Debug)]
pub enum LiveKind {
    /// A message was accepted.
    Message(LiveMessage),
    /// An attempt was settled.
    Attempt(LiveAttempt),
}

/// Something that happened.
#[derive(Debug)]
pub struct LiveEvent {
    /// In which application.
    pub app: ApplicationId,
    /// Of which type the message is.
    pub event_type: EventTypeName,
    /// What.
    pub kind: LiveKind,
}

/// What a watcher gets.
#[derive(Clone, Debug)]
pub enum Seen {
    /// Something happened.
    Event(Arc<LiveEvent>),
    /// It read too slowly: it missed so many.
    Lost(u64),
}

/// Why nobody more may watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotWatching {
    /// There are [`MOST_WATCHERS`].
    Full,
    /// The node stops.
    Closed,
}

/// Somebody who watches: an organization, or one application of it.
struct Place {
    no: u64,
    org: OrganizationId,
    app: Option<ApplicationId>,
    queue: mpsc::Sender<Arc<LiveEvent>>,
    lost: Arc<AtomicU64>,
}

impl Place {
    fn is_for(&self, org: OrganizationId, app: ApplicationId) -> bool {
        self.org == org && self.app.is_none_or(|own| own == app)
    }
}

#[derive(Default)]
struct Places {
    list: Vec<Place>,
    last: u64,
    closed: bool,
}

/// Tells those who watch this node.
#[derive(Default)]
pub struct Live {
    /// Whether anybody does: looked at before anything else is done.
    watched: AtomicBool,
    places: RwLock<Places>,
}

impl Live {
    /// Begins to watch an organization, or one application of it. What happened before is not seen.
    ///
    /// # Errors
    /// There is no room, or the node stops.
    pub fn watch(
        self: &Arc<Self>,
        org: OrganizationId,
        app: Option<ApplicationId>,
    ) -> Result<Watch, NotWatching> {
        let (queue, events) = mpsc::channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let mut places = self.places.write();
        if places.closed {
            return Err(NotWatching::Closed);
        }
        if places.list.len() >= MOST_WATCHERS {
            return Err(NotWatching::Full);
        }
        places.last += 1;
        let no = places.last;
        places.list.push(Place { no, org, app, queue, lost: lost.clone() });
        self.watched.store(true, Ordering::Relaxed);
        Ok(Watch { live: self.clone(), no, events, lost })
    }

    /// Ends all that watch, for good.
    pub fn close(&self) {
        let mut places = self.places.write();
        places.closed = true;
        places.list.clear();
        self.watched.store(false, Ordering::Relaxed);
    }

    /// How many watch.
    pub fn watchers(&self) -> usize {
        self.places.read().list.len()
    }

    /// A message was accepted, for so many endpoints.
    pub fn message(&self, application: &ApplicationCatalogue, message: &Message, endpoints: usize) {
        if !self.watched.load(Ordering::Relaxed) {
            return;
        }
        self.tell(message.org, message.app, || LiveEvent {
            app: message.app,
            event_type: message.event_type.clone(),
            kind: LiveKind::Message(LiveMessage {
                app_name: application.application.name.clone(),
                id: message.id,
                event_id: message.event_id.clone(),
                channels: message.channels.clone(),
                tags: message.tags.clone(),
                endpoints,
                at: message.created_at,
            }),
        });
    }

    /// An attempt of a message of this type was settled.
    pub fn attempt(
        &self,
        application: &ApplicationCatalogue,
        event_type: &EventTypeName,
        attempt: &Attempt,
    ) {
        if !self.watched.load(Ordering::Relaxed) {
            return;
        }
        self.tell(attempt.org, attempt.app, || LiveEvent {
            app: attempt.app,
            event_type: event_type.clone(),
            kind: LiveKind::Attempt(LiveAttempt {
                app_name: application.application.name.clone(),
                id: attempt.id,
                endpoint: attempt.endpoint,
                message: attempt.message,
                url: attempt.url.clone(),
                class: attempt.outcome.class,
                status_code: attempt.outcome.status_code,
                duration: attempt.outcome.duration,
                number: attempt.number,
                trigger: attempt.trigger,
                at: attempt.started_at,
            }),
        });
    }

    /// Puts it into the queues of those that it concerns, made once for all of them.
    fn tell(&self, org: OrganizationId, app: ApplicationId, event: impl FnOnce() -> LiveEvent) {
        let places = self.places.read();
        let mut concerned = places.list.iter().filter(|place| place.is_for(org, app)).peekable();
        if concerned.peek().is_none() {
            return;
        }
        let event = Arc::new(event());
        for place in concerned {
            if place.queue.try_send(event.clone()).is_err() {
                place.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The events of one watcher. Dropping it is how it goes away.
pub struct Watch {
    live: Arc<Live>,
    no: u64,
    events: mpsc::Receiver<Arc<LiveEvent>>,
    lost: Arc<AtomicU64>,
}

impl Watch {
    /// The next event, once there is one; `None` when the node stops. Dropping the future loses none.
    pub async fn next(&mut self) -> Option<Seen> {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            return Some(Seen::Lost(lost));
        }
        self.events.recv().await.map(Seen::Event)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut places = self.live.places.write();
        places.list.retain(|place| place.no != self.no);
        self.live.watched.store(!places.list.is_empty(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use store::suite::fixture::{Fixture, at};
    use store_memory::MemoryStore;

    use super::*;

    /// Two applications of one organization and one of another, and a message of each.
    async fn world() -> Vec<(ApplicationCatalogue, Message)> {
        let entropy = Arc::new(domain::entropy::SeededEntropy::new(1));
        let store = MemoryStore::new(entropy);
        let f = Fixture::new(&store);
        let other = f.other();
        let of = |f: &Fixture<'_>| {
            let application = f.new_application(at(0));
            let message = f.message(&application, at(1));
            (ApplicationCatalogue { application, endpoints: Vec::new(), version: 1 }, message)
        };
        vec![of(&f), of(&f), of(&other)]
    }

    fn ids(watch: &mut Watch) -> Vec<MessageId> {
        let seen = std::iter::from_fn(|| watch.events.try_recv().ok());
        seen.map(|event| match &event.kind {
            LiveKind::Message(message) => message.id,
            LiveKind::Attempt(attempt) => attempt.message,
        })
        .collect()
    }

    #[tokio::test]
    async fn each_sees_its_own() {
        let world = world().await;
        let live = Arc::new(Live::default());
        let (org, app) = (world[0].1.org, world[0].1.app);
        let mut whole = live.watch(org, None).expect("room");
        let mut one = live.watch(org, Some(app)).expect("room");
        for (application, message) in &world {
            live.message(application, message, 1);
        }
        assert_eq!(ids(&mut whole), [world[0].1.id, world[1].1.id]);
        assert_eq!(ids(&mut one), [world[0].1.id]);
        drop(whole);
        assert_eq!(live.watchers(), 1);
        drop(one);
        assert!(!live.watched.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn a_slow_reader_learns_how_many_of_its_own_it_missed() {
        let world = world().await;
        let live = Arc::new(Live::default());
        let mut watch = live.watch(world[0].1.org, Some(world[0].1.app)).expect("room");
        for (application, message) in &world {
            for _ in 0..QUEUE + 5 {
                live.message(application, message, 1);
            }
        }
        assert!(matches!(watch.next().await, Some(Seen::Lost(5))));
        for _ in 0..QUEUE {
            assert!(matches!(watch.next().await, Some(Seen::Event(_))));
        }
        live.close();
        assert!(watch.next().await.is_none());
    }

    #[tokio::test]
    async fn there_is_room_for_so_many() {
        let world = world().await;
        let live = Arc::new(Live::default());
        let org = world[0].1.org;
        let watches: Vec<_> =
            (0..MOST_WATCHERS).map(|_| live.watch(org, None).expect("room")).collect();
        assert_eq!(live.watch(org, None).err(), Some(NotWatching::Full));
        drop(watches);
        live.watch(org, None).expect("room again");
        live.close();
        assert_eq!(live.watch(org, None).err(), Some(NotWatching::Closed));
    }
}
