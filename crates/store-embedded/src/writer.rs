//! The writer: one thread, one connection, one transaction at a time. It takes whatever waits at this
//! moment (no timer: an idle store commits at once), writes it in one transaction with one sync, and
//! answers all. Outcomes go before new work.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread::JoinHandle,
};

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use store::StoreError;
use tokio::sync::oneshot;

use crate::{
    analytics::Dirty,
    backup::{self, BackupJob},
    checkpoint::Checkpoints,
    error::{self, Error, Severity},
    options::{EmbeddedOptions, Ports},
    space::Room,
    tx::Tx,
};

/// Most rows of outcomes, and of new work, in one transaction: bounds how long the next one waits. The
/// more go together, the more of them share pages.
const MAX_ROWS: usize = 8_192;
/// The same of what can wait.
const MAX_OTHER_ROWS: usize = 2_048;
/// Most bytes of a kind in one transaction.
const MAX_BYTES: usize = 16 << 20;

/// How often the processor is offered to others before a transaction begins.
const YIELDS: u32 = 4;

/// What is written first, and what is refused when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Outcomes: they free what new work needs.
    Settle,
    /// New work.
    Ingest,
    /// Catalogue, tasks, retention.
    Other,
}

/// A named piece of a transaction, and its bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label {
    pub(crate) kind: Kind,
    /// For metrics.
    pub(crate) name: &'static str,
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
}

impl Label {
    /// Something small.
    pub(crate) fn other(name: &'static str) -> Self {
        Self { kind: Kind::Other, name, rows: 1, bytes: 0 }
    }
}

struct Job {
    label: Label,
    work: Box<dyn Work>,
}

/// What a job does and whom it answers. It may run more than once: when another job of its
/// transaction failed, the transaction starts again without that one.
trait Work: Send {
    fn run(&mut self, tx: &mut Tx<'_>) -> error::Result<()>;
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Call<T, F> {
    run: F,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F: FnMut(&mut Tx<'_>) -> error::Result<T> + Send> Work for Call<T, F> {
    fn run(&mut self, tx: &mut Tx<'_>) -> error::Result<()> {
        self.value = Some((self.run)(tx)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { value, reply, .. } = *self;
        // Whoever asked may have gone.
        let _ = reply.send(outcome.and_then(|()| value.ok_or(StoreError::Unknown)));
    }
}

#[derive(Default)]
struct Waiting {
    settles: VecDeque<Job>,
    ingests: VecDeque<Job>,
    others: VecDeque<Job>,
    backups: VecDeque<BackupJob>,
    rows: usize,
    bytes: usize,
    stopping: bool,
    /// Why nothing is taken any more.
    dead: Option<String>,
}

impl Waiting {
    fn of(&mut self, kind: Kind) -> &mut VecDeque<Job> {
        match kind {
            Kind::Settle => &mut self.settles,
            Kind::Ingest => &mut self.ingests,
            Kind::Other => &mut self.others,
        }
    }

    /// The next transaction: of each kind as much as its bounds allow, so that no kind starves.
    fn next(&mut self) -> Vec<Job> {
        let mut jobs = Vec::new();
        for kind in [Kind::Settle, Kind::Ingest, Kind::Other] {
            let (mut rows, mut bytes) = (0, 0);
            let max_rows = if kind == Kind::Other { MAX_OTHER_ROWS } else { MAX_ROWS };
            let queue = self.of(kind);
            while let Some(job) = queue.front() {
                let fits =
                    rows + job.label.rows <= max_rows && bytes + job.label.bytes <= MAX_BYTES;
                if rows > 0 && !fits {
                    break;
                }
                rows += job.label.rows;
                bytes += job.label.bytes;
                jobs.extend(queue.pop_front());
            }
            self.rows -= rows;
            self.bytes -= bytes;
        }
        jobs
    }
}

struct Shared {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    queue_rows: usize,
    queue_bytes: usize,
}

/// The way to the writer's thread.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    room: Arc<Room>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread. `conn` is ready for use; its log's length in frames goes to `wal_frames`.
    pub(crate) fn start(
        mut conn: Connection,
        options: &EmbeddedOptions,
        ports: Ports,
        room: Arc<Room>,
        checkpoints: Arc<Checkpoints>,
        dirty: Dirty,
    ) -> error::Result<Self> {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            wake: Condvar::new(),
            queue_rows: options.queue_rows,
            queue_bytes: options.queue_bytes,
        });
        // Also turns SQLite's own checkpoints off.
        let wal_frames = Arc::new(AtomicU32::new(0));
        let frames = wal_frames.clone();
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: std::ffi::c_int| {
            frames.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        let (theirs, their_room) = (shared.clone(), room.clone());
        let on_fatal = ports.on_fatal.clone();
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(move || {
            let _end = Ended { shared: &theirs, on_fatal };
            match Tx::new(&conn, ports, dirty) {
                Ok(tx) => {
                    Committer { tx, shared: &theirs, room: &their_room, checkpoints, wal_frames }
                        .run()
                }
                Err(error) => theirs.die(StoreError::from(error).to_string()),
            }
        });
        let thread =
            thread.map_err(|e| StoreError::Internal(format!("cannot start a thread: {e}")))?;
        Ok(Self { shared, room, thread: Some(thread) })
    }

    /// Runs `run` in a transaction, together with whatever else waits, and answers after the sync.
    pub(crate) async fn write<T, F>(&self, label: Label, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> error::Result<T> + Send + 'static,
    {
        if label.kind == Kind::Ingest && self.room.is_full() {
            return Err(full());
        }
        let (reply, answer) = oneshot::channel();
        let work = Box::new(Call { run, value: None, reply });
        self.shared.push(Job { label, work })?;
        answer.await.unwrap_or(Err(StoreError::Unknown))
    }

    /// Rows that wait to be written.
    pub(crate) fn queued_rows(&self) -> usize {
        self.shared.waiting.lock().rows
    }

    /// Copies the database to `path` between transactions.
    pub(crate) async fn backup(&self, path: PathBuf) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        {
            let mut waiting = self.shared.waiting.lock();
            waiting.refused()?;
            waiting.backups.push_back(BackupJob { path, reply });
        }
        self.shared.wake.notify_one();
        answer.await.unwrap_or(Err(StoreError::Unknown))
    }
}

impl Waiting {
    fn refused(&self) -> Result<(), StoreError> {
        match &self.dead {
            Some(why) => Err(StoreError::Unavailable(why.clone())),
            None if self.stopping => Err(StoreError::Unavailable("it is stopping".into())),
            None => Ok(()),
        }
    }
}

impl Drop for Writer {
    /// Writes what waits and stops.
    fn drop(&mut self) {
        self.shared.waiting.lock().stopping = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer of the store panicked");
        }
    }
}

fn full() -> StoreError {
    StoreError::Full("no room on the disk for new messages".into())
}

impl Shared {
    fn push(&self, job: Job) -> Result<(), StoreError> {
        let mut waiting = self.waiting.lock();
        waiting.refused()?;
        let rows = waiting.rows + job.label.rows;
        let bytes = waiting.bytes + job.label.bytes;
        // Outcomes are bounded by what is in flight, and must get through.
        let over = rows > self.queue_rows || bytes > self.queue_bytes;
        if over && waiting.rows > 0 && job.label.kind != Kind::Settle {
            return Err(StoreError::Overloaded);
        }
        (waiting.rows, waiting.bytes) = (rows, bytes);
        waiting.of(job.label.kind).push_back(job);
        drop(waiting);
        self.wake.notify_one();
        Ok(())
    }

    fn die(&self, why: String) {
        tracing::error!(why, "the store takes nothing any more");
        let mut waiting = self.waiting.lock();
        // Dropping a job answers it as unknown.
        *waiting = Waiting { dead: Some(why), stopping: waiting.stopping, ..Waiting::default() };
    }
}

/// Leaves nobody waiting when the thread ends, however it ends.
struct Ended<'a> {
    shared: &'a Shared,
    on_fatal: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        {
            let mut waiting = self.shared.waiting.lock();
            let why = waiting.dead.take().unwrap_or_else(|| "it has stopped".into());
            *waiting = Waiting { dead: Some(why), ..Waiting::default() };
        }
        if std::thread::panicking() {
            (self.on_fatal)("the writer of the store panicked");
        }
    }
}

struct Committer<'a, 'c> {
    tx: Tx<'c>,
    shared: &'a Shared,
    room: &'a Room,
    checkpoints: Arc<Checkpoints>,
    wal_frames: Arc<AtomicU32>,
}

/// Where a transaction failed: in which of its jobs, or (`None`) at its commit.
struct Failed {
    job: Option<usize>,
    error: Error,
}

impl Committer<'_, '_> {
    fn run(mut self) {
        loop {
            // Where others want the processor, they are about to bring more: what they bring goes along
            // in the same transaction. Where nobody does this takes no time.
            for _ in 0..YIELDS {
                std::thread::yield_now();
            }
            let (jobs, backup) = {
                let mut waiting = self.shared.waiting.lock();
                loop {
                    let jobs = waiting.next();
                    let backup = waiting.backups.pop_front();
                    if !jobs.is_empty() || backup.is_some() {
                        break (jobs, backup);
                    }
                    if waiting.stopping || waiting.dead.is_some() {
                        return;
                    }
                    self.shared.wake.wait(&mut waiting);
                }
            };
            self.transaction(jobs);
            if self.tx.claims.step_is_due() {
                self.carry_claims();
            }
            if let Some(job) = backup {
                self.backup(job);
            }
        }
    }

    /// Work of the store's own, in a transaction of its own. What fails is tried again later.
    fn carry_claims(&mut self) {
        let (reply, _nobody) = oneshot::channel();
        let run = |tx: &mut Tx<'_>| tx.carry_claims();
        let work = Box::new(Call { run, value: None, reply });
        self.transaction(vec![Job { label: Label::other("claims"), work }]);
    }

    /// A few pages at a time, with a transaction of what waits between: nobody waits for it long, and
    /// what is written meanwhile by this connection is part of it.
    fn backup(&mut self, job: BackupJob) {
        let source = self.tx.conn;
        let outcome = backup::copy(source, &job.path, &mut || {
            let jobs = {
                let mut waiting = self.shared.waiting.lock();
                waiting.next()
            };
            self.transaction(jobs);
        });
        let _ = job.reply.send(outcome.map_err(StoreError::from));
    }

    /// Writes `jobs` in one transaction and answers them.
    fn transaction(&mut self, mut jobs: Vec<Job>) {
        while !jobs.is_empty() {
            let started = self.tx.ports.clock.monotonic();
            let Err(failed) = self.attempt(&mut jobs) else {
                let took = self.tx.ports.clock.monotonic().saturating_sub(started);
                measure(&jobs, took.as_secs_f64());
                for job in jobs {
                    job.work.answer(Ok(()));
                }
                self.checkpoints
                    .after_commit(self.tx.conn, self.wal_frames.load(Ordering::Relaxed));
                return;
            };
            jobs = self.after_failure(failed, jobs);
        }
    }

    fn attempt(&mut self, jobs: &mut [Job]) -> Result<(), Failed> {
        let whole = |error| Failed { job: None, error };
        self.tx.begin().map_err(whole)?;
        for (i, job) in jobs.iter_mut().enumerate() {
            job.work.run(&mut self.tx).map_err(|error| Failed { job: Some(i), error })?;
        }
        self.tx.commit().map_err(whole)
    }

    /// Undoes the transaction and answers whom it concerns; the jobs that are left try again.
    fn after_failure(&mut self, failed: Failed, mut jobs: Vec<Job>) -> Vec<Job> {
        let severity = failed.error.severity();
        // A commit that failed may have been written; what failed before it was not.
        let at_commit = failed.job.is_none();
        let answer = StoreError::from(failed.error);
        tracing::warn!(error = %answer, jobs = jobs.len(), "a transaction failed");
        if severity == Severity::Fatal {
            self.shared.die(answer.to_string());
            (self.tx.ports.on_fatal)(&format!(
                "a sync of the database failed ({answer}): ending, to recover from what is on disk"
            ));
            return answer_all(jobs, &StoreError::Unknown);
        }
        if let Err(error) = self.tx.rollback() {
            self.shared.die(StoreError::from(error).to_string());
            return answer_all(jobs, &StoreError::Unknown);
        }
        match (severity, failed.job) {
            (Severity::Full, _) => {
                if self.room.give_up_ballast() {
                    return jobs;
                }
                self.room.found_full();
                let (ingests, rest): (Vec<_>, Vec<_>) =
                    jobs.into_iter().partition(|job| job.label.kind == Kind::Ingest);
                if ingests.is_empty() {
                    return answer_all(rest, &answer);
                }
                answer_all(ingests, &full());
                rest
            }
            (Severity::Job, Some(i)) => {
                jobs.remove(i).work.answer(Err(answer));
                jobs
            }
            _ if at_commit => answer_all(jobs, &StoreError::Unknown),
            _ => answer_all(jobs, &answer),
        }
    }
}

fn answer_all(jobs: Vec<Job>, error: &StoreError) -> Vec<Job> {
    for job in jobs {
        job.work.answer(Err(error.clone()));
    }
    Vec::new()
}

/// Rows and seconds of a transaction, by the names of its parts.
fn measure(jobs: &[Job], seconds: f64) {
    let mut parts: Vec<(&'static str, usize)> = Vec::with_capacity(4);
    for job in jobs {
        match parts.iter_mut().find(|(name, _)| *name == job.label.name) {
            Some((_, rows)) => *rows += job.label.rows,
            None => parts.push((job.label.name, job.label.rows)),
        }
    }
    for (name, rows) in parts {
        metrics::histogram!("hookwright_store_batch_rows", "transaction" => name)
            .record(rows as f64);
        metrics::histogram!("hookwright_store_commit_seconds", "transaction" => name)
            .record(seconds);
    }
}
