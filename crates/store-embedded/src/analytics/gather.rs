//! What was counted and is not written yet. The writer keeps it: it knows what was committed, and in
//! which order. What a transaction counts joins the rest when that is committed, and is forgotten when
//! it is undone.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use domain::{
    analytics::{CountedAttempt, Rollup, Unaccepted, Unit},
    clock::Timestamp,
    name::EventTypeName,
};
use rusqlite::{Connection, params};

use super::{keys::Key, rows};
use crate::error::Result;

/// It is written a part at a time, so that new work does not wait for all of it.
const PARTS: usize = 16;
/// Rows after which a step of writing ends.
const STEP_ROWS: usize = 512;
/// Most rows that wait; what comes beyond is counted anew at the next start.
const MOST_ROWS: usize = 200_000;

/// What happened.
pub(crate) enum Fact {
    /// A message of so many bytes was stored.
    Message(usize),
    /// An attempt changed its delivery's state.
    Attempt(CountedAttempt),
    /// A source made no event of something, so many times.
    Unaccepted(Unaccepted, u64),
}

impl Fact {
    fn count(&self, rollup: &mut Rollup) {
        match self {
            Self::Message(bytes) => rollup.add_message(*bytes),
            Self::Attempt(attempt) => rollup.add(attempt),
            Self::Unaccepted(why, count) => rollup.unaccepted[*why as usize] += count,
        }
    }
}

/// How far counting has come; the row of `rolled_up`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    /// Minutes before this one are written.
    pub(crate) counted: Timestamp,
    /// Quarters before this one are complete.
    pub(crate) quarters: Timestamp,
    /// Days before this one are complete.
    pub(crate) days: Timestamp,
    /// From this quarter on its minutes are all there: it can be made anew of them.
    pub(crate) minutes_kept: Timestamp,
    /// From this day on its quarters are all there.
    pub(crate) quarters_kept: Timestamp,
}

impl Marks {
    pub(crate) fn load(conn: &Connection) -> Result<Self> {
        let sql = "/* rollup */ SELECT counted, quarters, days, minutes_kept, quarters_kept
                   FROM rolled_up";
        let time =
            |row: &rusqlite::Row<'_>, column| row.get::<_, i64>(column).map(Timestamp::from_micros);
        Ok(conn.prepare_cached(sql)?.query_row([], |row| {
            Ok(Self {
                counted: time(row, 0)?,
                quarters: time(row, 1)?,
                days: time(row, 2)?,
                minutes_kept: time(row, 3)?,
                quarters_kept: time(row, 4)?,
            })
        })?)
    }

    pub(crate) fn store(&self, conn: &Connection) -> Result<()> {
        let sql = "/* rollup */ UPDATE rolled_up SET counted = ?1, quarters = ?2, days = ?3,
                   minutes_kept = ?4, quarters_kept = ?5";
        let marks = [self.counted, self.quarters, self.days, self.minutes_kept, self.quarters_kept]
            .map(Timestamp::as_micros);
        conn.prepare_cached(sql)?.execute(marks)?;
        Ok(())
    }

    /// Something was counted in a minute: what is made of it is not complete any more. What is too old to be
    /// made anew stays as it is.
    pub(super) fn lower(&mut self, minute: Timestamp) {
        if minute >= self.minutes_kept {
            self.quarters = self.quarters.min(Unit::Quarter.floor(minute));
        }
        if minute >= self.minutes_kept.max(self.quarters_kept) {
            self.days = self.days.min(Unit::Day.floor(minute));
        }
    }
}

/// Which parts have something to write, for whoever asks for it to be done.
#[derive(Clone, Default)]
pub(crate) struct Dirty(Arc<AtomicU32>);

impl Dirty {
    /// Whether there is anything.
    pub(crate) fn any(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    fn set(&self, part: usize, dirty: bool) {
        match dirty {
            true => self.0.fetch_or(1 << part, Ordering::AcqRel),
            false => self.0.fetch_and(!(1 << part), Ordering::AcqRel),
        };
    }
}

type Part = HashMap<Key, Rollup>;

/// See [the module](self).
pub(crate) struct Gather {
    /// Of the open transaction.
    open: Vec<(Key, Fact)>,
    /// Committed and not written.
    parts: [Part; PARTS],
    /// Written by the open transaction.
    writing: Vec<(usize, Part)>,
    pub(crate) marks: Marks,
    stored: Marks,
    /// There was more than there is room for: minutes from `counted` on must be counted anew.
    overflowed: bool,
    dirty: Dirty,
}

impl Gather {
    pub(crate) fn load(conn: &Connection, dirty: Dirty) -> Result<Self> {
        let marks = Marks::load(conn)?;
        Ok(Self {
            open: Vec::new(),
            parts: Default::default(),
            writing: Vec::new(),
            marks,
            stored: marks,
            overflowed: false,
            dirty,
        })
    }

    /// Counts something that the open transaction does.
    pub(crate) fn note(
        &mut self,
        (org_no, app_no): (i64, i64),
        at: Timestamp,
        (endpoint_no, event_type): (i64, Option<EventTypeName>),
        fact: Fact,
    ) {
        let at = Unit::Minute.floor(at);
        // Should the process end before it is written, it must be found again.
        self.marks.counted = self.marks.counted.min(at);
        self.open.push((Key { org_no, app_no, at, endpoint_no, event_type }, fact));
    }

    /// What must be written before the open transaction is committed.
    pub(crate) fn before_commit(&self, conn: &Connection) -> Result<()> {
        if self.marks != self.stored { self.marks.store(conn) } else { Ok(()) }
    }

    pub(crate) fn committed(&mut self) {
        self.stored = self.marks;
        self.writing.clear();
        if self.open.is_empty() {
            return;
        }
        let mut rows: usize = self.parts.iter().map(HashMap::len).sum();
        for (key, fact) in self.open.drain(..) {
            let at = key.app_no.unsigned_abs() as usize % PARTS;
            let part = &mut self.parts[at];
            if rows >= MOST_ROWS && !part.contains_key(&key) {
                self.overflowed = true;
                continue;
            }
            let rollup = part.entry(key).or_insert_with(|| {
                rows += 1;
                Rollup::default()
            });
            fact.count(rollup);
            self.dirty.set(at, true);
        }
    }

    pub(crate) fn rolled_back(&mut self) {
        self.marks = self.stored;
        self.open.clear();
        for (at, part) in self.writing.drain(..) {
            self.dirty.set(at, true);
            self.parts[at] = part;
        }
    }

    /// Writes a few parts; whether there are more. When there are none, all is written: what is counted in
    /// the minute that goes on lowers the mark again.
    pub(super) fn write(&mut self, conn: &Connection, now: Timestamp) -> Result<bool> {
        let mut written = 0;
        for at in 0..PARTS {
            let part = std::mem::take(&mut self.parts[at]);
            if part.is_empty() {
                continue;
            }
            if written >= STEP_ROWS {
                self.parts[at] = part;
                return Ok(true);
            }
            written += part.len();
            self.dirty.set(at, false);
            // Kept until it is committed.
            self.writing.push((at, part));
            let (_, part) = &self.writing[self.writing.len() - 1];
            rows::add(conn, part, &mut self.marks)?;
        }
        // What the open transaction has counted so far is not among it.
        let open = self.open.iter().map(|(key, _)| key.at).min().unwrap_or(Timestamp::MAX);
        if !self.overflowed {
            self.marks.counted = all_written(now).min(open);
        }
        Ok(false)
    }
}

/// The mark when nothing waits: behind the minute that goes on.
pub(super) fn all_written(now: Timestamp) -> Timestamp {
    Unit::Minute.floor(now).plus(Unit::Minute.duration())
}

/// Begins to count: nothing of what was there before.
pub(crate) fn begin(conn: &Connection, now: Timestamp) -> Result<()> {
    let sql = "/* rollup */ UPDATE rolled_up SET counted = ?1, quarters = ?2, days = ?3
               WHERE counted = 0";
    let from = [Unit::Minute, Unit::Quarter, Unit::Day].map(|unit| unit.floor(now).as_micros());
    conn.execute(sql, params![from[0], from[1], from[2]])?;
    Ok(())
}
