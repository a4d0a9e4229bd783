//! Connections that wait for the next request, and how many may be in use.
//!
//! Idle connections belong to an application and an origin: no application gets a connection that
//! another one opened. The one used last is used next, so that what is not needed grows old.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use domain::{attempt::OutcomeClass, id::ApplicationId};
use metrics::Gauge;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use url::{Position, Url};

use super::{HttpOptions, answer::Failure, connection::Connection};

/// New connections of one application to one host that nothing has come back on, at a time. Receivers
/// queue some hundred at most before they accept them, and the network tries again after a second.
const MAX_NEW: usize = 64;

/// Whose connections, and to where. Nothing is copied from the URL.
#[derive(Clone, Copy)]
pub(super) struct Origin<'u> {
    /// Host, and port if it is not the scheme's own.
    authority: &'u str,
    owner: Owner,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Owner {
    app: ApplicationId,
    tls: bool,
}

impl<'u> Origin<'u> {
    /// # Errors
    /// The URL's scheme is another than `http` and `https`.
    pub(super) fn of(app: ApplicationId, url: &'u Url) -> Result<Self, Failure> {
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            other => {
                let text = format!("messages go to http and https URLs, not to {other:.32}");
                return Err(Failure::new(OutcomeClass::Invalid, text));
            }
        };
        Ok(Self { authority: authority(url), owner: Owner { app, tls } })
    }
}

fn authority(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

pub(super) struct Pool {
    slots: Semaphore,
    max_idle_per_host: usize,
    max_idle_total: usize,
    lifetime: Duration,
    idle_timeout: Duration,
    idle: Mutex<Idle>,
    /// Turns to make a new connection, where somebody makes one.
    turns: Mutex<HashMap<(String, Owner), Arc<Semaphore>>>,
    idle_gauge: Gauge,
}

#[derive(Default)]
struct Idle {
    /// By authority, then by owner, so that all of a URL can be forgotten whoever's they are.
    hosts: HashMap<Arc<str>, HashMap<Owner, VecDeque<Waiting>>>,
    /// Where each one is, in the order in which they began to wait.
    order: BTreeMap<u64, (Arc<str>, Owner)>,
    /// Counts what goes into `order`.
    next: u64,
    /// Counts what was forgotten; a connection of an earlier epoch to a forgotten authority is not
    /// kept.
    epoch: u64,
    /// Authorities forgotten within the last lifetime: the epoch they began with, and when.
    forgotten: HashMap<Arc<str>, (u64, Duration)>,
}

struct Waiting {
    ticket: u64,
    since: Duration,
    connection: Box<Connection>,
}

impl Pool {
    pub(super) fn new(options: &HttpOptions) -> Self {
        Self {
            slots: Semaphore::new(options.max_connections.min(Semaphore::MAX_PERMITS)),
            max_idle_per_host: options.max_idle_per_host,
            max_idle_total: options.max_idle_total,
            lifetime: options.connection_lifetime,
            idle_timeout: options.idle_timeout,
            idle: Mutex::default(),
            turns: Mutex::default(),
            idle_gauge: metrics::gauge!("hookwright_connections_idle"),
        }
    }

    /// Waits until one more connection may be in use.
    pub(super) async fn slot(&self) -> SemaphorePermit<'_> {
        self.slots.acquire().await.expect("the semaphore is never closed")
    }

    /// Waits until one more connection may be made there. A warm one may have come back meanwhile.
    pub(super) async fn turn(&self, origin: Origin<'_>) -> OwnedSemaphorePermit {
        let turns = {
            let mut turns = self.turns.lock();
            let there = turns.entry((origin.authority.to_owned(), origin.owner));
            Arc::clone(there.or_insert_with(|| Arc::new(Semaphore::new(MAX_NEW))))
        };
        turns.acquire_owned().await.expect("the semaphore is never closed")
    }

    /// The epoch that a connection dialled now belongs to.
    pub(super) fn epoch(&self) -> u64 {
        self.idle.lock().epoch
    }

    /// A connection that can be sent on. Those found closed or too old are dropped.
    pub(super) fn take(&self, origin: Origin<'_>, now: Duration) -> Option<Box<Connection>> {
        loop {
            // The guard is gone before a connection is asked or dropped.
            let mut waiting = self.idle.lock().pop(origin)?;
            if !self.is_over(&waiting, now) && waiting.connection.is_ready() {
                return Some(waiting.connection);
            }
        }
    }

    /// Keeps a connection for the next request if it can take one and there is room.
    pub(super) fn put(&self, origin: Origin<'_>, mut connection: Box<Connection>, now: Duration) {
        let aged = now.saturating_sub(connection.born) >= self.lifetime;
        if aged || self.max_idle_total == 0 || !connection.is_ready() {
            return;
        }
        let mut closed = None;
        let mut idle = self.idle.lock();
        if idle.is_forgotten(origin.authority, connection.epoch) {
            return;
        }
        if idle.waiting(origin) >= self.max_idle_per_host {
            return;
        }
        if idle.order.len() >= self.max_idle_total {
            closed = idle.pop_oldest();
        }
        idle.push(origin, connection, now);
        drop(idle);
        drop(closed);
    }

    /// Closes all connections to where this URL leads: the idle ones now, those in use when their
    /// exchange ends.
    pub(super) fn forget(&self, url: &Url, now: Duration) {
        let mut idle = self.idle.lock();
        idle.epoch += 1;
        let epoch = idle.epoch;
        let authority: Arc<str> = authority(url).into();
        let closed = idle.hosts.remove(&authority);
        for waiting in closed.iter().flat_map(HashMap::values).flatten() {
            idle.order.remove(&waiting.ticket);
        }
        idle.forgotten.insert(authority, (epoch, now));
        drop(idle);
        drop(closed);
    }

    /// Closes what has idled or lived for too long.
    pub(super) fn sweep(&self, now: Duration) {
        let mut closed = Vec::new();
        let mut idle = self.idle.lock();
        let Idle { hosts, order, forgotten, .. } = &mut *idle;
        hosts.retain(|_, owners| {
            owners.retain(|_, queue| {
                let (over, rest): (VecDeque<_>, VecDeque<_>) =
                    std::mem::take(queue).into_iter().partition(|w| self.is_over(w, now));
                *queue = rest;
                over.iter().for_each(|waiting| drop(order.remove(&waiting.ticket)));
                closed.extend(over);
                !queue.is_empty()
            });
            !owners.is_empty()
        });
        forgotten.retain(|_, (_, at)| now.saturating_sub(*at) < self.lifetime);
        self.idle_gauge.set(order.len() as f64);
        drop(idle);
        drop(closed);
        // One: nobody has a turn there, or waits for one.
        self.turns.lock().retain(|_, there| Arc::strong_count(there) > 1);
    }

    fn is_over(&self, waiting: &Waiting, now: Duration) -> bool {
        now.saturating_sub(waiting.since) >= self.idle_timeout
            || now.saturating_sub(waiting.connection.born) >= self.lifetime
    }
}

impl Idle {
    fn pop(&mut self, origin: Origin<'_>) -> Option<Waiting> {
        let waiting = self.hosts.get_mut(origin.authority)?.get_mut(&origin.owner)?.pop_back()?;
        self.order.remove(&waiting.ticket);
        Some(waiting)
    }

    fn pop_oldest(&mut self) -> Option<Waiting> {
        let (_, (authority, owner)) = self.order.pop_first()?;
        self.hosts.get_mut(&authority)?.get_mut(&owner)?.pop_front()
    }

    fn push(&mut self, origin: Origin<'_>, connection: Box<Connection>, now: Duration) {
        let authority = match self.hosts.get_key_value(origin.authority) {
            Some((known, _)) => Arc::clone(known),
            None => origin.authority.into(),
        };
        let ticket = self.next;
        self.next += 1;
        self.order.insert(ticket, (Arc::clone(&authority), origin.owner));
        let queue = self.hosts.entry(authority).or_default().entry(origin.owner).or_default();
        queue.push_back(Waiting { ticket, since: now, connection });
    }

    fn waiting(&self, origin: Origin<'_>) -> usize {
        let owners = self.hosts.get(origin.authority);
        owners.and_then(|owners| owners.get(&origin.owner)).map_or(0, VecDeque::len)
    }

    fn is_forgotten(&self, authority: &str, epoch: u64) -> bool {
        self.forgotten.get(authority).is_some_and(|(since, _)| epoch < *since)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn new_connections_of_one_application_to_one_host_take_turns() {
        let pool = Pool::new(&HttpOptions::default());
        let url: Url = "https://one.test/hook".parse().expect("a URL");
        let other: Url = "https://two.test/hook".parse().expect("a URL");
        let origin = |app, url| Origin::of(ApplicationId::from_raw([app; 20]), url).expect("https");
        let turn = |app, url| pool.turn(origin(app, url)).now_or_never();
        let mut turns: Vec<_> = (0..MAX_NEW).map(|_| turn(1, &url)).collect();
        assert!(turns.iter().all(Option::is_some));
        assert!(turn(1, &url).is_none(), "all turns are taken");
        assert!(turn(2, &url).is_some() && turn(1, &other).is_some(), "these are others");
        turns.pop();
        assert!(turn(1, &url).is_some());
        pool.sweep(Duration::ZERO);
        assert_eq!(pool.turns.lock().len(), 1, "forgotten where nobody has a turn");
        assert!(turn(1, &url).is_some());
    }
}
