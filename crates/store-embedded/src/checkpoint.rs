//! Checkpoints beside the commit path, and a look at the disk every second.
//!
//! The log is copied into the database by a thread with a connection of its own, while the writer goes
//! on appending. What it appended meanwhile is copied by further rounds, each shorter than the one
//! before; the last little bit is the writer's, which alone can start the log again from its
//! beginning. So no commit ever waits for a whole checkpoint, and the log stays bounded.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use store::StoreError;

use crate::{
    error::{Error, Result, Severity},
    options::Ports,
    schema,
    space::Room,
};

/// Frames (pages of 4 KiB) in the log that start a checkpoint: 64 MiB.
const START_FRAMES: u32 = 16_000;
/// Frames left that the writer copies itself.
const LAST_FRAMES: u32 = 512;
/// Frames from which the writer copies whatever is left: 192 MiB.
const MOST_FRAMES: u32 = 48_000;
/// Frames after which it tries again, where a reader of an old state kept the log.
const TRY_AGAIN_FRAMES: u32 = 4_096;
/// Wait between rounds of which one brought nothing: a reader of an old state holds the log.
const HELD_UP: Duration = Duration::from_millis(100);
/// The disk is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Default)]
struct State {
    wanted: bool,
    stopping: bool,
}

/// What the writer and the checkpoint thread tell one another.
pub(crate) struct Checkpoints {
    state: Mutex<State>,
    wake: Condvar,
    /// Little is left: the writer may finish.
    finish: AtomicBool,
    /// Frames at which the writer tries next, if nobody tells it to finish before.
    force_at: AtomicU32,
    on_fatal: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Checkpoints {
    pub(crate) fn new(ports: &Ports) -> Self {
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            finish: AtomicBool::new(false),
            force_at: AtomicU32::new(MOST_FRAMES),
            on_fatal: ports.on_fatal.clone(),
        }
    }

    /// Called by the writer between two transactions, with the length of the log.
    pub(crate) fn after_commit(&self, conn: &Connection, frames: u32) {
        if frames < START_FRAMES {
            self.force_at.store(MOST_FRAMES, Ordering::Relaxed);
            return;
        }
        if frames >= self.force_at.load(Ordering::Relaxed) {
            self.force_at.store(frames + TRY_AGAIN_FRAMES, Ordering::Relaxed);
            self.finish.store(true, Ordering::Relaxed);
        }
        if self.finish.swap(false, Ordering::Relaxed) {
            if let Err(error) = checkpoint(conn, "RESTART") {
                self.failed(&error);
            }
            return;
        }
        let mut state = self.state.lock();
        if !state.wanted {
            state.wanted = true;
            self.wake.notify_one();
        }
    }

    fn failed(&self, error: &Error) {
        tracing::warn!(%error, "a checkpoint failed");
        if error.severity() == Severity::Fatal {
            (self.on_fatal)(
                "a sync of the database failed: ending, to recover from what is on disk",
            );
        }
    }
}

/// Copies the log into the database. Returns the frames of the log that are not yet copied.
fn checkpoint(conn: &Connection, mode: &str) -> Result<u32> {
    let (log, copied): (i64, i64) =
        conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
            Ok((row.get(1)?, row.get(2)?))
        })?;
    Ok(u32::try_from(log - copied).unwrap_or(0))
}

/// The thread.
pub(crate) struct Keeper {
    checkpoints: Arc<Checkpoints>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(crate) fn start(
        path: &Path,
        room: Arc<Room>,
        checkpoints: Arc<Checkpoints>,
    ) -> Result<Self> {
        let conn = schema::connect(path)?;
        conn.pragma_update(None, "cache_size", 0)?;
        let theirs = checkpoints.clone();
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".into())
            .spawn(move || run(&conn, &room, &theirs))
            .map_err(|e| StoreError::Internal(format!("cannot start a thread: {e}")))?;
        Ok(Self { checkpoints, thread: Some(thread) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.checkpoints.state.lock().stopping = true;
        self.checkpoints.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(conn: &Connection, room: &Room, checkpoints: &Checkpoints) {
    // Frames left by the round before, while there is more to copy.
    let mut left_before = None;
    let mut held_up = false;
    loop {
        let wanted = {
            let mut state = checkpoints.state.lock();
            if !state.stopping && (!state.wanted || held_up) {
                let wait = if state.wanted { HELD_UP } else { LOOK_EVERY };
                checkpoints.wake.wait_for(&mut state, wait);
            }
            if state.stopping {
                return;
            }
            state.wanted
        };
        room.look();
        if !wanted {
            continue;
        }
        match checkpoint(conn, "PASSIVE") {
            Ok(left) if left > LAST_FRAMES => {
                held_up = left_before.is_some_and(|before| left >= before);
                left_before = Some(left);
                continue;
            }
            Ok(_) => checkpoints.finish.store(true, Ordering::Relaxed),
            Err(error) => checkpoints.failed(&error),
        }
        (left_before, held_up) = (None, false);
        checkpoints.state.lock().wanted = false;
    }
}
