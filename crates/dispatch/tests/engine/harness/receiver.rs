//! Receivers that answer as they are told, and remember what came.

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use domain::{
    attempt::{Outcome, OutcomeClass},
    destination::{Destination, Request},
    id::MessageId,
};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};
use url::Url;

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When.
    pub at: Instant,
    /// At which host.
    pub host: String,
    /// Of which message.
    pub message: MessageId,
    /// All of it.
    pub request: Request,
}

impl Arrival {
    /// A header's value; there must be exactly one.
    pub fn header(&self, name: &str) -> &str {
        let mut found = self.request.headers.iter().filter(|(n, _)| &**n == name);
        let (_, value) = found.next().unwrap_or_else(|| panic!("no header {name}"));
        assert!(found.next().is_none(), "header {name} twice");
        value
    }
}

/// What a receiver does with a request.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    class: OutcomeClass,
    status: Option<u16>,
    after: Duration,
    retry_after: Option<Duration>,
    timed_out: bool,
    panics: bool,
}

impl Answer {
    /// This status, at once.
    pub fn status(status: u16) -> Self {
        let success = (200..300).contains(&status);
        Self {
            class: if success { OutcomeClass::Success } else { OutcomeClass::Status },
            status: Some(status),
            after: Duration::ZERO,
            retry_after: None,
            timed_out: false,
            panics: false,
        }
    }

    /// The way there panics: a bug of ours.
    pub fn panics() -> Self {
        Self { panics: true, ..Self::ok() }
    }

    /// 200, at once.
    pub fn ok() -> Self {
        Self::status(200)
    }

    /// Nobody listens.
    pub fn refused() -> Self {
        Self { class: OutcomeClass::Connect, status: None, ..Self::ok() }
    }

    /// Nothing ever: the deadline ends it.
    pub fn hang() -> Self {
        let after = Duration::MAX;
        Self { class: OutcomeClass::Ambiguous, status: None, after, timed_out: true, ..Self::ok() }
    }

    /// The same, later.
    pub fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }

    /// With a `Retry-After`.
    pub fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }
}

type Script = Box<dyn FnMut(usize) -> Answer + Send>;

#[derive(Default)]
struct Inner {
    arrivals: HashMap<String, Vec<Arrival>>,
    scripts: HashMap<String, (usize, Script)>,
    /// Requests that are being answered, by host.
    busy: BTreeMap<String, usize>,
    most_busy: BTreeMap<String, usize>,
}

/// All receivers there are, by host. One that has not been told anything says 200 at once.
#[derive(Default)]
pub struct Receivers(Mutex<Inner>);

impl Receivers {
    /// Tells a host what to answer; the function is given the number of the request, from 0.
    pub fn on(&self, host: &str, script: impl FnMut(usize) -> Answer + Send + 'static) {
        self.0.lock().scripts.insert(host.to_owned(), (0, Box::new(script)));
    }

    /// Tells a host to answer always the same.
    pub fn always(&self, host: &str, answer: Answer) {
        self.on(host, move |_| answer);
    }

    /// What came to a host, in order.
    pub fn at(&self, host: &str) -> Vec<Arrival> {
        self.0.lock().arrivals.get(host).cloned().unwrap_or_default()
    }

    /// How much came to a host.
    pub fn count(&self, host: &str) -> usize {
        self.0.lock().arrivals.get(host).map_or(0, Vec::len)
    }

    /// How much came at all.
    pub fn total(&self) -> usize {
        self.0.lock().arrivals.values().map(Vec::len).sum()
    }

    /// How many requests a host is answering.
    pub fn busy(&self, host: &str) -> usize {
        self.0.lock().busy.get(host).copied().unwrap_or(0)
    }

    /// The most that a host was answering at a time.
    pub fn most_busy(&self, host: &str) -> usize {
        self.0.lock().most_busy.get(host).copied().unwrap_or(0)
    }

    /// Nothing came twice to the same host.
    pub fn assert_no_duplicates(&self) {
        self.no_duplicates(|_| true);
    }

    /// Nothing came twice to this one.
    pub fn assert_no_duplicates_at(&self, host: &str) {
        self.no_duplicates(|arrival| arrival.host == host);
    }

    fn no_duplicates(&self, at: impl Fn(&Arrival) -> bool) {
        let mut counts: HashMap<(String, MessageId), usize> = HashMap::new();
        for arrival in self.0.lock().arrivals.values().flatten().filter(|a| at(a)) {
            *counts.entry((arrival.host.clone(), arrival.message)).or_default() += 1;
        }
        let twice: Vec<_> = counts.iter().filter(|(_, n)| **n > 1).collect();
        assert!(twice.is_empty(), "sent more than once: {twice:?}");
    }

    fn arrive(&self, request: Request) -> (String, Answer) {
        let host = request.url.host_str().expect("a host").to_owned();
        let id = request.headers.iter().find(|(name, _)| &**name == "webhook-id");
        let id = &id.expect("every request has an id").1;
        let message = id.parse().expect("the id of a message");
        let mut inner = self.0.lock();
        let answer = match inner.scripts.get_mut(&host) {
            Some((nth, script)) => {
                *nth += 1;
                script(*nth - 1)
            }
            None => Answer::ok(),
        };
        let busy = inner.busy.entry(host.clone()).or_default();
        *busy += 1;
        let busy = *busy;
        let most = inner.most_busy.entry(host.clone()).or_default();
        *most = busy.max(*most);
        let arrival = Arrival { at: Instant::now(), host: host.clone(), message, request };
        inner.arrivals.entry(host.clone()).or_default().push(arrival);
        (host, answer)
    }

    fn leave(&self, host: &str) {
        if let Some(busy) = self.0.lock().busy.get_mut(host) {
            *busy -= 1;
        }
    }
}

/// The way from one process to the receivers. It ends with the process.
pub struct Wire {
    /// Where it leads.
    pub receivers: Arc<Receivers>,
    /// Whether its process has died.
    pub dead: super::store::Dead,
}

impl Destination for Wire {
    fn deliver(&self, request: Request) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        Box::pin(async move {
            self.dead.check().await;
            let began = Instant::now();
            let deadline = request.deadline;
            let (host, answer) = self.receivers.arrive(request);
            assert!(!answer.panics, "made so by a test");
            sleep(answer.after.min(deadline)).await;
            self.dead.check().await;
            self.receivers.leave(&host);
            Outcome {
                class: answer.class,
                status_code: answer.status,
                response: Bytes::new(),
                duration: began.elapsed(),
                retry_after: answer.retry_after,
                timed_out: answer.timed_out,
            }
        })
    }

    fn forget(&self, _url: &Url) {}
}
