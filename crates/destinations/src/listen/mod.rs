//! Listeners: receivers that nobody can dial, such as a developer's machine. They come to us over one
//! connection, take deliveries from it and acknowledge each with an answer.
//!
//! To the engine this is a destination like any other. A delivery waits for its listener during the
//! first half of its deadline, so that one which comes back at that moment gets it at once; the other
//! half, at least, is the listener's. What was handed out on a connection that then breaks ends at once:
//! it comes again by its retry schedule.

mod connection;
mod place;

use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{
    attempt::{MAX_RESPONSE_BYTES, Outcome, OutcomeClass},
    clock::Clock,
    destination::{Destination, Request},
    entropy::Entropy,
    id::ApplicationId,
};
use parking_lot::Mutex;
use tokio::{sync::oneshot, time::timeout};
use url::Url;

pub use self::connection::{Connection, Handed};
use self::place::{Ended, Entered, Place, Ticket};

/// Most listeners that are connected at a time.
pub const MAX_LISTENERS: usize = 1_000;

/// A listener: its application and the path of its URL. One application's listeners cannot be reached by
/// the URL of another's.
type Key = (ApplicationId, String);

/// Everybody who listens, and what waits for them.
pub struct Listeners(Arc<Shared>);

struct Shared {
    places: Mutex<Places>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

#[derive(Default)]
struct Places {
    of: HashMap<Key, Place>,
    /// Of the places, those with a listener.
    connected: usize,
    /// Connections so far: each has a number of its own.
    connections: u64,
    closed: bool,
}

/// Why a listener is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There are [`MAX_LISTENERS`] of them.
    #[error("{MAX_LISTENERS} listeners are connected already")]
    Full,
    /// The server stops.
    #[error("the server is stopping")]
    Closed,
}

/// What a listener answers to a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The HTTP status that the delivery met on the listener's side.
    pub status: u16,
    /// The answer's body; of a longer one than [`MAX_RESPONSE_BYTES`] the beginning is kept.
    pub body: Bytes,
}

impl Listeners {
    /// Nobody yet. Durations are measured by `clock`, deadlines are timers of tokio; `entropy` makes the
    /// ids of deliveries, which must never come again, not even after a restart.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self(Arc::new(Shared { places: Mutex::default(), clock, entropy }))
    }

    /// Lets a listener in. It takes the place of an older connection for the same URL, which ends.
    ///
    /// # Errors
    /// There are too many, or the server stops.
    pub fn connect(&self, app: ApplicationId, url: &Url) -> Result<Connection, Refused> {
        let key = (app, url.path().to_owned());
        let mut places = self.0.places.lock();
        let places = &mut *places;
        let is_new = places.of.get(&key).is_none_or(|place| place.listener.is_none());
        if places.closed {
            return Err(Refused::Closed);
        }
        if is_new && places.connected >= MAX_LISTENERS {
            return Err(Refused::Full);
        }
        places.connected += usize::from(is_new);
        places.connections += 1;
        let number = places.connections;
        let place = places.of.entry(key.clone()).or_default();
        let wake = place.take_over(number);
        Ok(Connection::new(self.0.clone(), key, number, wake))
    }

    /// Takes the answer to a delivery; `false` if there is no such delivery under way any more.
    pub fn acknowledge(
        &self,
        app: ApplicationId,
        url: &Url,
        id: &str,
        mut acknowledgement: Acknowledgement,
    ) -> bool {
        let Ok(ticket) = Ticket::from_str_radix(id, 16) else { return false };
        acknowledgement.body.truncate(MAX_RESPONSE_BYTES);
        let key = (app, url.path().to_owned());
        let mut places = self.0.places.lock();
        let Some(place) = places.of.get_mut(&key) else { return false };
        place.acknowledge(ticket, acknowledgement)
    }

    /// Ends all connections and everything that waits, and lets nobody in any more: the server stops.
    pub fn close(&self) {
        let mut places = self.0.places.lock();
        places.closed = true;
        places.connected = 0;
        for (_, mut place) in places.of.drain() {
            place.close();
        }
    }

    async fn deliver(&self, request: Request) -> Outcome {
        let started = self.0.clock.monotonic();
        let ended = self.exchange(request).await;
        Outcome { duration: self.0.clock.monotonic().saturating_sub(started), ..ended }
    }

    async fn exchange(&self, request: Request) -> Outcome {
        let key = (request.app, request.url.path().to_owned());
        let deadline = request.deadline;
        let patience = deadline / 2;
        let ticket = self.0.ticket();
        let (answer, mut answered) = oneshot::channel();
        {
            let mut places = self.0.places.lock();
            if places.closed {
                return failed(OutcomeClass::Connect, "the server is stopping");
            }
            let by = self.0.clock.monotonic() + deadline;
            let place = places.of.entry(key.clone()).or_default();
            if place.enter(ticket, Entered { request, by, answer }).is_err() {
                return failed(OutcomeClass::Connect, "too many deliveries wait for the listener");
            }
        }
        // Whatever happens, also to this future: nothing of it stays behind.
        let stay = Stay { shared: &self.0, key, ticket };
        let ended = match timeout(patience, &mut answered).await {
            Ok(ended) => Some(ended),
            Err(_) if stay.is_handed_out() => timeout(deadline - patience, answered).await.ok(),
            Err(_) => None,
        };
        match ended {
            Some(Ok(Ended::Acknowledged(with))) => acknowledged(with),
            Some(Ok(Ended::Broken)) => failed(
                OutcomeClass::Ambiguous,
                "the listener's connection ended without an acknowledgement",
            ),
            Some(Ok(Ended::Closed) | Err(_)) => {
                failed(OutcomeClass::Connect, "the server is stopping")
            }
            None => stay.out_of_time(patience, deadline),
        }
    }
}

/// A delivery's stay with its place.
struct Stay<'a> {
    shared: &'a Shared,
    key: Key,
    ticket: Ticket,
}

impl Stay<'_> {
    fn is_handed_out(&self) -> bool {
        let places = self.shared.places.lock();
        places.of.get(&self.key).is_some_and(|place| place.is_handed_out(self.ticket))
    }

    fn out_of_time(&self, patience: Duration, deadline: Duration) -> Outcome {
        let listens = {
            let places = self.shared.places.lock();
            places.of.get(&self.key).is_some_and(|place| place.listener.is_some())
        };
        let timed_out = |outcome| Outcome { timed_out: true, ..outcome };
        if self.is_handed_out() {
            let text = format!("the listener did not acknowledge it within {deadline:?}");
            timed_out(failed(OutcomeClass::Ambiguous, text))
        } else if listens {
            let text = format!("the listener took no more deliveries within {patience:?}");
            timed_out(failed(OutcomeClass::Timeout, text))
        } else {
            failed(OutcomeClass::Connect, format!("nobody listened within {patience:?}"))
        }
    }
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        let mut places = self.shared.places.lock();
        let Some(place) = places.of.get_mut(&self.key) else { return };
        place.leave(self.ticket);
        if place.is_empty() {
            places.of.remove(&self.key);
        }
    }
}

impl Shared {
    fn ticket(&self) -> Ticket {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        Ticket::from_le_bytes(bytes)
    }
}

/// As the same answer over HTTP.
fn acknowledged(with: Acknowledgement) -> Outcome {
    let success = (200..300).contains(&with.status);
    Outcome {
        class: if success { OutcomeClass::Success } else { OutcomeClass::Status },
        status_code: Some(with.status),
        response: with.body,
        duration: Duration::ZERO,
        retry_after: None,
        timed_out: false,
    }
}

fn failed(class: OutcomeClass, text: impl Into<Bytes>) -> Outcome {
    let response = text.into();
    let duration = Duration::ZERO;
    Outcome { class, status_code: None, response, duration, retry_after: None, timed_out: false }
}

impl Destination for Listeners {
    fn deliver(&self, request: Request) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        Box::pin(self.deliver(request))
    }

    /// Nothing is kept of an endpoint but its listener, who asks anew whether it may stay.
    fn forget(&self, _url: &Url) {}
}
