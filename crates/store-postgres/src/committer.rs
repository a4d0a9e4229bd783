//! The group committer: it takes whatever waits at this moment (an idle store commits at once, a busy one
//! waits a little if it is little: see [`Pace`]), writes it in one transaction, and answers all. There is one for outcomes and one for new
//! work, each with a connection of its own, so that neither waits for the other.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use store::StoreError;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep},
};

use crate::{error::Error, pace::Pace, quiet::Quiet, spawn::spawn};

/// Most rows in one transaction: bounds how long the next one waits.
const MAX_ROWS: usize = 2_048;
/// So many rows do not wait for more.
const ENOUGH: usize = 96;
/// Most bytes in one transaction.
const MAX_BYTES: usize = 8 << 20;
/// How long it is tried to find out what became of a commit whose answer was lost.
const FIND_OUT: Duration = Duration::from_secs(8);
/// How often a transaction that lost against another one is tried again.
const MOST_CONFLICTS: u32 = 10;
/// After PostgreSQL could not be reached, those who come meanwhile are told so at once.
const AWAY: Duration = Duration::from_millis(250);

/// What must not be twice in one transaction: each sees what the one before it left.
pub(crate) type Key = [u8; 20];

/// Why a transaction came to nothing.
pub(crate) struct Failed {
    pub(crate) error: Error,
    /// Whether a COMMIT was on its way: then it may have been done all the same.
    pub(crate) committing: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, committing: false }
    }
}

/// What a committer writes.
#[async_trait]
pub(crate) trait Act: Send + Sync + 'static {
    /// One thing to write.
    type Item: Send + Sync + 'static;
    /// What became of it.
    type Done: Send + 'static;
    /// For metrics and the log.
    const NAME: &'static str;
    /// Whether it may be refused when too much waits.
    const MAY_WAIT: bool;
    /// Least time between two transactions while there is much to write.
    const BETWEEN: Duration;

    /// Rows and bytes that an item is bounded by.
    fn size(item: &Self::Item) -> (usize, usize);

    /// What no other item of the same transaction may have.
    fn keys(item: &Self::Item) -> Vec<Key>;

    /// Writes items in one transaction; one answer each, in order. Writing the same ones again, after
    /// an unknown outcome, is safe.
    async fn write(&self, items: &[&Self::Item]) -> Result<Vec<Self::Done>, Failed>;
}

struct Job<A: Act> {
    items: Vec<A::Item>,
    rows: usize,
    bytes: usize,
    reply: oneshot::Sender<store::Result<Vec<A::Done>>>,
}

struct Waiting<A: Act> {
    jobs: VecDeque<Job<A>>,
    rows: usize,
    bytes: usize,
    stopped: bool,
}

struct Queue<A: Act> {
    waiting: Mutex<Waiting<A>>,
    wake: Notify,
    max_rows: usize,
    max_bytes: usize,
}

/// The way to a committer's task.
pub(crate) struct Committer<A: Act> {
    queue: Arc<Queue<A>>,
}

impl<A: Act> Committer<A> {
    /// Starts the task. It ends when the committer is dropped and what waits is written.
    pub(crate) fn start(act: A, quiet: Arc<Quiet>, max_rows: usize, max_bytes: usize) -> Self {
        let waiting = Waiting { jobs: VecDeque::new(), rows: 0, bytes: 0, stopped: false };
        let queue = Arc::new(Queue {
            waiting: Mutex::new(waiting),
            wake: Notify::new(),
            max_rows,
            max_bytes,
        });
        spawn(
            "store.committer",
            Worker { act, queue: queue.clone(), quiet, away_until: None }.run(),
        );
        Self { queue }
    }

    /// Writes items, together with whatever else waits; one answer each, after they are durable.
    pub(crate) async fn write(&self, items: Vec<A::Item>) -> store::Result<Vec<A::Done>> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let (mut rows, mut bytes) = (0, 0);
        for item in &items {
            let (more_rows, more_bytes) = A::size(item);
            (rows, bytes) = (rows + more_rows, bytes + more_bytes);
        }
        let (reply, answer) = oneshot::channel();
        {
            let mut waiting = self.queue.waiting.lock();
            let over = waiting.rows + rows > self.queue.max_rows
                || waiting.bytes + bytes > self.queue.max_bytes;
            if A::MAY_WAIT && over && waiting.rows > 0 {
                return Err(StoreError::Overloaded);
            }
            waiting.rows += rows;
            waiting.bytes += bytes;
            waiting.jobs.push_back(Job { items, rows, bytes, reply });
        }
        self.queue.wake.notify_one();
        answer.await.unwrap_or(Err(StoreError::Unknown))
    }

    /// Rows that wait to be written.
    pub(crate) fn queued(&self) -> usize {
        self.queue.waiting.lock().rows
    }
}

impl<A: Act> Drop for Committer<A> {
    fn drop(&mut self) {
        self.queue.waiting.lock().stopped = true;
        self.queue.wake.notify_one();
    }
}

impl<A: Act> Queue<A> {
    /// What goes into the next transaction; `None` at the end.
    async fn next(&self, pace: &mut Pace) -> Option<Vec<Job<A>>> {
        loop {
            let more = self.wake.notified();
            let wait = {
                let mut waiting = self.waiting.lock();
                let wait = waiting.rows < ENOUGH && !waiting.stopped && pace.must_wait();
                if !waiting.jobs.is_empty() && !wait {
                    pace.started(waiting.rows);
                    return Some(waiting.take());
                }
                if waiting.jobs.is_empty() && waiting.stopped {
                    return None;
                }
                wait
            };
            tokio::select! {
                () = more => {}
                () = pace.wait(), if wait => {}
            }
        }
    }
}

impl<A: Act> Waiting<A> {
    fn take(&mut self) -> Vec<Job<A>> {
        let (mut jobs, mut rows, mut bytes) = (Vec::new(), 0, 0);
        while let Some(job) = self.jobs.front() {
            if rows > 0 && (rows + job.rows > MAX_ROWS || bytes + job.bytes > MAX_BYTES) {
                break;
            }
            (rows, bytes) = (rows + job.rows, bytes + job.bytes);
            jobs.extend(self.jobs.pop_front());
        }
        (self.rows, self.bytes) = (self.rows - rows, self.bytes - bytes);
        jobs
    }
}

struct Worker<A: Act> {
    act: A,
    queue: Arc<Queue<A>>,
    quiet: Arc<Quiet>,
    away_until: Option<Instant>,
}

impl<A: Act> Worker<A> {
    async fn run(mut self) {
        let queue = self.queue.clone();
        let mut pace = Pace::new(A::BETWEEN);
        while let Some(jobs) = queue.next(&mut pace).await {
            let started = Instant::now();
            let (mut items, mut replies) = (Vec::new(), Vec::new());
            for job in jobs {
                replies.push((job.items.len(), job.reply));
                items.extend(job.items);
            }
            let mut done = self.write_all(&items).await.into_iter();
            for (count, reply) in replies {
                // A failure of one is told for all of its call; whoever asked may have gone.
                let _ = reply.send(done.by_ref().take(count).collect());
            }
            metrics::histogram!("hookwright_store_commit_seconds", "transaction" => A::NAME)
                .record(started.elapsed().as_secs_f64());
            metrics::histogram!("hookwright_store_batch_rows", "transaction" => A::NAME)
                .record(items.len() as f64);
        }
    }

    /// Writes items in as many transactions as it takes, because some may not be in one together.
    async fn write_all(&mut self, items: &[A::Item]) -> Vec<store::Result<A::Done>> {
        let mut results: Vec<Option<store::Result<A::Done>>> = items.iter().map(|_| None).collect();
        let mut left: Vec<usize> = (0..items.len()).collect();
        while !left.is_empty() {
            let mut taken = HashSet::new();
            let (now, later): (Vec<_>, Vec<_>) = left.into_iter().partition(|at| {
                let keys = A::keys(&items[*at]);
                // Whoever waits for one before it keeps those behind it waiting as well.
                let free = keys.iter().all(|key| !taken.contains(key));
                taken.extend(keys);
                free
            });
            left = later;
            self.write_some(items, now, &mut results).await;
        }
        let lost = || Err(StoreError::Unknown);
        results.into_iter().map(|result| result.unwrap_or_else(lost)).collect()
    }

    /// Writes items in one transaction; in several, where one of them is at fault.
    async fn write_some(
        &mut self,
        items: &[A::Item],
        some: Vec<usize>,
        results: &mut [Option<store::Result<A::Done>>],
    ) {
        let mut groups = vec![some];
        while let Some(group) = groups.pop() {
            let chosen: Vec<&A::Item> = group.iter().map(|at| &items[*at]).collect();
            match self.persist(&chosen).await {
                Ok(done) => {
                    for (at, done) in group.iter().zip(done) {
                        results[*at] = Some(Ok(done));
                    }
                }
                Err(StoreError::Internal(_) | StoreError::Corrupt(_)) if group.len() > 1 => {
                    let (one, other) = group.split_at(group.len() / 2);
                    groups.extend([other.to_vec(), one.to_vec()]);
                }
                Err(error) => {
                    for at in &group {
                        results[*at] = Some(Err(error.clone()));
                    }
                }
            }
        }
    }

    /// Writes items in one transaction, and finds out what became of it where that is not clear.
    async fn persist(&mut self, items: &[&A::Item]) -> store::Result<Vec<A::Done>> {
        let started = Instant::now();
        if self.away_until.is_some_and(|until| started < until) {
            return Err(StoreError::Unavailable("PostgreSQL does not answer".into()));
        }
        let (mut unknown, mut conflicts, mut tries) = (false, 0, 0_u32);
        loop {
            tries += 1;
            let failed = match self.act.write(items).await {
                Ok(done) => {
                    self.away_until = None;
                    return Ok(done);
                }
                Err(failed) => failed,
            };
            let error = failed.error;
            unknown |= failed.committing && (error.is_away() || matches!(error, Error::Late));
            if error.is_conflict() && conflicts < MOST_CONFLICTS {
                conflicts += 1;
                continue;
            }
            if unknown {
                // The same ids again: what was written stays as it is, what was not is written now.
                self.quiet.warn(A::NAME, &error, "whether a commit was done is not known yet");
                if started.elapsed() > FIND_OUT {
                    return Err(StoreError::Unknown);
                }
                sleep((Duration::from_millis(20) * tries.min(25)).min(AWAY)).await;
                continue;
            }
            if error.is_away() {
                // What was idle while PostgreSQL was away is dead, and a new connection is good.
                if tries == 1 && started.elapsed() < AWAY {
                    continue;
                }
                self.quiet.warn(A::NAME, &error, "PostgreSQL takes no writes");
                self.away_until = Some(Instant::now() + AWAY);
            } else {
                self.quiet.warn(A::NAME, &error, "a transaction failed");
            }
            return Err(error.into());
        }
    }
}
