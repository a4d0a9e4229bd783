//! Sending a run's messages.
use crate::{
    client::{self, Conn, Target},
    hist::Hist,
    payload::{self, Payloads},
    run::Run,
};
use aws_lc_rs::hmac;
use bytes::Bytes;
use hyper::Method;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::watch;

/// Between two tries of the same message.
const REPEAT_AFTER: Duration = Duration::from_millis(20);

/// How messages are sent.
pub struct Plan {
    /// The server, or the receiver itself in mode `nop`.
    pub target: Target,
    /// Path per application.
    pub routes: Vec<String>,
    /// Where payloads come from.
    pub payloads: Payloads,
    /// Post bare payloads (no server between).
    pub bare: bool,
    /// Connections.
    pub conns: usize,
    /// Messages per second; `None` is the closed loop.
    pub rate: Option<f64>,
    /// Send an `idempotency-key` with each message.
    pub keyed: bool,
    /// Post events to sources.
    pub inbound: Option<Inbound>,
}

/// How events are posted to sources.
pub struct Inbound {
    key: hmac::Key,
    /// Each of them twice.
    twice: bool,
}

impl Inbound {
    /// As GitHub does.
    pub fn new(twice: bool) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, payload::SECRET.as_bytes()), twice }
    }
}

/// What came of the requests.
#[derive(Default)]
pub struct Sent {
    /// Send start (scheduled time in the open loop) until the acknowledgement.
    pub ack: Hist,
    /// Messages acknowledged.
    pub ok: AtomicU64,
    /// When the last one was, in µs since the run's start.
    pub last_ack_us: AtomicU64,
    /// When each tenth of the messages was acknowledged, in µs since the run's start.
    tenths_us: [AtomicU64; 10],
    errors: Mutex<BTreeMap<String, u64>>,
    /// Requests that were not acknowledged, by their status or by the want of one.
    unwelcome: Mutex<BTreeMap<String, u64>>,
}

/// What came of one request, as far as the sender cares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Accepted,
    /// No answer, 5xx or 429: a repeat may succeed.
    Retryable,
    Refused,
}

impl Sent {
    fn failed(&self, answer: String, what: String) {
        for (counts, key) in [(&self.unwelcome, answer), (&self.errors, what)] {
            let mut counts = counts.lock().expect("no holder of this lock panics");
            *counts.entry(key).or_insert(0) += 1;
        }
    }

    /// A status that does not acknowledge.
    fn refused(&self, answer: &client::Answer) -> Outcome {
        let status = answer.status;
        let again = status >= 500 || status == 429;
        let told = if again && !answer.retry_after { " without retry-after" } else { "" };
        let text: String = String::from_utf8_lossy(&answer.body).chars().take(160).collect();
        self.failed(format!("{status}{told}"), format!("HTTP {status} {text}"));
        if again { Outcome::Retryable } else { Outcome::Refused }
    }

    /// Messages acknowledged per second in each tenth of a run of `n`, as far as it came: whether
    /// sending slows down. Known where 10 divides `n`.
    pub fn per_s_by_tenth(&self, n: usize) -> Vec<f64> {
        let mut last = 0;
        let ends = self.tenths_us.iter().map(|t| t.load(Relaxed)).take_while(|t| *t > 0);
        ends.map(|end| {
            let us = end.saturating_sub(std::mem::replace(&mut last, end)).max(1);
            (n as f64 / 10.0 * 1e6 / us as f64).round()
        })
        .collect()
    }

    /// Requests by what was answered: the status (and whether a retry was asked for without saying
    /// when), or `none`.
    pub fn answers(&self) -> BTreeMap<String, u64> {
        let mut all = self.unwelcome.lock().expect("no holder of this lock panics").clone();
        all.insert("acknowledged".into(), self.ok.load(Relaxed));
        all
    }

    /// Failed requests by what was wrong.
    pub fn errors(&self) -> BTreeMap<String, u64> {
        self.errors.lock().expect("no holder of this lock panics").clone()
    }
}

impl Plan {
    /// Sends all messages of the run over `conns` connections.
    pub async fn send_all(self: &Arc<Self>, run: &Arc<Run>, sent: &Arc<Sent>) {
        self.spawn_all(run, sent, None).await;
    }

    /// Sends until the run's messages are used up or `stop` becomes true, and repeats each
    /// message, at the next server, until it is acknowledged or refused.
    pub async fn send_until(
        self: &Arc<Self>,
        run: &Arc<Run>,
        sent: &Arc<Sent>,
        stop: watch::Receiver<bool>,
    ) {
        self.spawn_all(run, sent, Some(stop)).await;
    }

    async fn spawn_all(
        self: &Arc<Self>,
        run: &Arc<Run>,
        sent: &Arc<Sent>,
        stop: Option<watch::Receiver<bool>>,
    ) {
        let next = Arc::new(AtomicUsize::new(0));
        let mut workers = tokio::task::JoinSet::new();
        for number in 0..self.conns {
            let (plan, run, sent) = (self.clone(), run.clone(), sent.clone());
            let (next, stop) = (next.clone(), stop.clone());
            let mut conn = Conn::new(&plan.target, number);
            let mut other = Conn::new(&plan.target, number + 1);
            workers.spawn(async move {
                plan.worker(&run, &sent, (&mut conn, &mut other), &next, stop.as_ref()).await;
            });
        }
        while workers.join_next().await.is_some() {}
    }

    async fn worker(
        &self,
        run: &Run,
        sent: &Sent,
        (conn, other): (&mut Conn, &mut Conn),
        next: &AtomicUsize,
        stop: Option<&watch::Receiver<bool>>,
    ) {
        let stopped = || stop.is_some_and(|stop| *stop.borrow());
        while !stopped() {
            let i = next.fetch_add(1, Relaxed);
            if i >= run.len() {
                return;
            }
            let start = match self.rate {
                None => run.now_us(),
                Some(rate) => {
                    let due = (i as f64 * 1e6 / rate) as u64;
                    tokio::time::sleep_until((run.t0 + Duration::from_micros(due)).into()).await;
                    due
                }
            };
            let twice = self.inbound.as_ref().is_some_and(|inbound| inbound.twice);
            let mut outcome = if twice && i.is_multiple_of(2) {
                // Both at the same moment.
                tokio::join!(self.post(run, sent, conn, i, start, None), self.repeat(run, other, i))
                    .0
            } else {
                self.post(run, sent, conn, i, start, None).await
            };
            while outcome == Outcome::Retryable && stop.is_some() && !stopped() {
                conn.turn();
                tokio::time::sleep(REPEAT_AFTER).await;
                outcome = self.post(run, sent, conn, i, start, None).await;
            }
            if twice && !i.is_multiple_of(2) {
                self.repeat(run, other, i).await;
            }
            // Whatever it is about that server, it may be over.
            conn.go_home();
        }
    }

    /// Sends message `i` once; its latency counts from `start_us`.
    pub async fn send_one(&self, run: &Run, sent: &Sent, conn: &mut Conn, i: usize, start_us: u64) {
        self.post(run, sent, conn, i, start_us, None).await;
    }

    /// Sends message `i` once, to be delivered at `deliver_at`, which is `due_us` in the run's time.
    pub async fn send_scheduled(
        &self,
        run: &Run,
        sent: &Sent,
        conn: &mut Conn,
        i: usize,
        (due_us, deliver_at): (u64, jiff::Timestamp),
    ) {
        self.post(run, sent, conn, i, due_us, Some(deliver_at)).await;
    }

    /// Sends an event again that was sent before, or is at this moment, without booking it.
    async fn repeat(&self, run: &Run, conn: &mut Conn, i: usize) {
        let Some(inbound) = &self.inbound else { return };
        let body: Bytes = self.payloads.payload(run.id, i).into();
        // It may fail: the other one is what counts.
        let _ = self.send_event(inbound, run, conn, i, body).await;
    }

    async fn send_event(
        &self,
        inbound: &Inbound,
        run: &Run,
        conn: &mut Conn,
        i: usize,
        body: Bytes,
    ) -> anyhow::Result<client::Answer> {
        let signature = payload::signature(&inbound.key, &body);
        let id = payload::idempotency_key(run.id, i);
        let headers = [
            ("x-hub-signature-256", signature.as_str()),
            ("x-github-delivery", id.as_str()),
            ("x-github-event", "load.test"),
        ];
        let route = &self.routes[i % self.routes.len()];
        conn.send(Method::POST, route, body, &headers).await
    }

    async fn post(
        &self,
        run: &Run,
        sent: &Sent,
        conn: &mut Conn,
        i: usize,
        start_us: u64,
        deliver_at: Option<jiff::Timestamp>,
    ) -> Outcome {
        let bare = self.bare || self.inbound.is_some();
        let body: Bytes = if bare {
            self.payloads.payload(run.id, i).into()
        } else {
            self.payloads.message(run.id, i, deliver_at)
        };
        let key = self.keyed.then(|| payload::idempotency_key(run.id, i));
        run.sent(i, start_us);
        let route = &self.routes[i % self.routes.len()];
        let answer = match &self.inbound {
            Some(inbound) => self.send_event(inbound, run, conn, i, body).await,
            None => {
                let key = key.as_deref().map(|key| ("idempotency-key", key));
                conn.send(Method::POST, route, body, key.as_slice()).await
            }
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(e) => {
                sent.failed("none".into(), format!("{e:#}"));
                return Outcome::Retryable;
            }
        };
        if answer.status != if bare { 200 } else { 202 } {
            return sent.refused(&answer);
        }
        let now = run.now_us();
        sent.ack.record(now.saturating_sub(start_us));
        let ok = sent.ok.fetch_add(1, Relaxed) as usize + 1;
        sent.last_ack_us.fetch_max(now, Relaxed);
        if (ok * 10).is_multiple_of(run.len()) {
            sent.tenths_us[ok * 10 / run.len() - 1].store(now, Relaxed);
        }
        run.accepted(i, now);
        Outcome::Accepted
    }
}
