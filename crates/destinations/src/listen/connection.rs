//! A listener's connection, as whoever serves it sees it.

use std::{pin::pin, sync::Arc, time::Duration};

use domain::destination::Request;
use tokio::sync::Notify;

use super::{Key, Shared, place::Next};

/// A delivery that a listener is given.
#[derive(Debug)]
pub struct Handed {
    /// What it is acknowledged by.
    pub id: String,
    /// How long its acknowledgement may take.
    pub timeout: Duration,
    /// What is delivered.
    pub request: Request,
}

/// A connection of a listener. When it is dropped, what was handed out on it and not acknowledged ends.
pub struct Connection {
    shared: Arc<Shared>,
    key: Key,
    number: u64,
    wake: Arc<Notify>,
}

impl Connection {
    pub(super) fn new(shared: Arc<Shared>, key: Key, number: u64, wake: Arc<Notify>) -> Self {
        Self { shared, key, number, wake }
    }

    /// The next delivery, once there is one; `None` when the connection is to end, because another one
    /// took over or the server stops. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Handed> {
        loop {
            let mut woken = pin!(self.wake.notified());
            // From here on, so that nothing between the look and the wait goes unnoticed.
            woken.as_mut().enable();
            match self.look() {
                Next::Delivery(handed) => return Some(handed),
                Next::Over => return None,
                Next::Nothing => woken.await,
            }
        }
    }

    fn look(&self) -> Next {
        let now = self.shared.clock.monotonic();
        let mut places = self.shared.places.lock();
        let place = places.of.get_mut(&self.key);
        place.map_or(Next::Over, |place| place.next(self.number, now))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut places = self.shared.places.lock();
        let Some(place) = places.of.get_mut(&self.key) else { return };
        let was_served = place.end(self.number);
        if place.is_empty() {
            places.of.remove(&self.key);
        }
        if was_served {
            places.connected -= 1;
        }
    }
}
