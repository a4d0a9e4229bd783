//! Reading, apart from the writer: a few threads, each with a connection of its own. A read is one
//! transaction, sees one moment, and lasts a second at most, because the log cannot start again
//! behind it.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use domain::clock::Clock;
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use store::StoreError;
use tokio::sync::oneshot;

use crate::{error, schema};

/// Longest read.
const MOST_TIME: Duration = Duration::from_secs(1);
/// SQLite's steps between two looks at the clock.
const STEPS: i32 = 20_000;
/// Most reads that wait; more answers `Overloaded`.
const MOST_WAITING: usize = 10_000;

type Read = Box<dyn FnOnce(&Connection) + Send>;

#[derive(Default)]
struct Queue {
    reads: VecDeque<Read>,
    stopping: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

/// The way to the readers' threads.
pub(crate) struct Readers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    pub(crate) fn start(path: &Path, count: usize, clock: &Arc<dyn Clock>) -> error::Result<Self> {
        let mut readers = Self { shared: Arc::default(), threads: Vec::new() };
        for i in 0..count.max(1) {
            let mut conn = schema::connect_reader(path)?;
            let deadline = Arc::new(AtomicU64::new(u64::MAX));
            let (theirs, their_clock) = (deadline.clone(), clock.clone());
            conn.progress_handler(
                STEPS,
                Some(move || micros(their_clock.monotonic()) > theirs.load(Ordering::Relaxed)),
            )?;
            let (shared, clock) = (readers.shared.clone(), clock.clone());
            let thread = std::thread::Builder::new()
                .name(format!("store-reader-{i}"))
                .spawn(move || run(&conn, &shared, &deadline, &*clock))
                .map_err(|e| StoreError::Internal(format!("cannot start a thread: {e}")))?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Runs `read` in one transaction.
    pub(crate) async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> error::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        {
            let mut queue = self.shared.queue.lock();
            if queue.reads.len() >= MOST_WAITING {
                return Err(StoreError::Overloaded);
            }
            queue.reads.push_back(Box::new(move |conn| {
                let value = conn.unchecked_transaction().map_err(error::Error::from);
                let value = value.and_then(|transaction| {
                    let value = read(conn);
                    // It wrote nothing: this only ends it.
                    drop(transaction);
                    value
                });
                // Whoever asked may have gone.
                let _ = reply.send(value.map_err(StoreError::from));
            }));
        }
        self.shared.wake.notify_one();
        let stopped = || StoreError::Unavailable("it has stopped".into());
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.shared.queue.lock().stopping = true;
        self.shared.wake.notify_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a reader of the store panicked");
            }
        }
    }
}

fn run(conn: &Connection, shared: &Shared, deadline: &AtomicU64, clock: &dyn Clock) {
    loop {
        let read = {
            let mut queue = shared.queue.lock();
            loop {
                if let Some(read) = queue.reads.pop_front() {
                    break read;
                }
                if queue.stopping {
                    return;
                }
                shared.wake.wait(&mut queue);
            }
        };
        deadline.store(micros(clock.monotonic() + MOST_TIME), Ordering::Relaxed);
        // A panic is its caller's alone: dropping the rest of it answers him.
        if catch_unwind(AssertUnwindSafe(|| read(conn))).is_err() {
            tracing::error!("a read of the store panicked");
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
