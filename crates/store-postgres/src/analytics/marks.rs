//! How far rolling up has come: one row, which whoever counts something late locks for a moment.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use domain::{analytics::Unit, clock::Timestamp};

use crate::{conn::Conn, error::Result, rows};

/// So long after the end of a quarter what is counted in it is counted with the marks in view. It is less
/// than the grace after which the quarter is rolled up.
const LATE: Duration = Duration::from_secs(15);

/// The row of `rolled_up`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    /// Quarters before this are complete.
    pub(super) quarters: Timestamp,
    /// Days before this are complete.
    pub(super) days: Timestamp,
    /// The end of the last quarter that was begun.
    pub(super) begun: Timestamp,
    /// Counts what came late.
    pub(super) late: i64,
    /// Minutes before this are gone: quarters before it cannot be made again.
    pub(super) minutes_kept: Timestamp,
    /// Quarters before this are gone.
    pub(super) quarters_kept: Timestamp,
}

const SELECT: &str =
    "/* rolled_up */ SELECT quarters, days, begun, late, minutes_kept, quarters_kept
    FROM rolled_up";
const LOCK: &str = "/* rolled_up */ SELECT quarters, days, begun, late, minutes_kept, quarters_kept
    FROM rolled_up FOR UPDATE";

impl Marks {
    pub(super) async fn load(conn: &Conn) -> Result<Self> {
        Self::read(conn, SELECT).await
    }

    /// Nobody else changes them until the transaction has ended.
    pub(super) async fn lock(conn: &Conn) -> Result<Self> {
        Self::read(conn, LOCK).await
    }

    async fn read(conn: &Conn, sql: &str) -> Result<Self> {
        let row = conn.query_one(sql, &[]).await?;
        Ok(Self {
            quarters: rows::time(&row, 0)?,
            days: rows::time(&row, 1)?,
            begun: rows::time(&row, 2)?,
            late: rows::get(&row, 3)?,
            minutes_kept: rows::time(&row, 4)?,
            quarters_kept: rows::time(&row, 5)?,
        })
    }

    pub(super) async fn store(&self, conn: &Conn) -> Result<()> {
        let sql = "/* rolled_up */ UPDATE rolled_up SET quarters = $1, days = $2, begun = $3,
                   late = $4, minutes_kept = $5, quarters_kept = $6";
        let time = |time: Timestamp| time.as_micros();
        let (quarters, days, begun) = (time(self.quarters), time(self.days), time(self.begun));
        let kept = (time(self.minutes_kept), time(self.quarters_kept));
        conn.execute(sql, &[&quarters, &days, &begun, &self.late, &kept.0, &kept.1]).await?;
        Ok(())
    }

    /// Something was counted in a minute: what is made of it must be made again, if it still can be.
    fn lower(&mut self, minute: Timestamp) {
        let quarter = Unit::Quarter.floor(minute).max(Unit::Quarter.ceil(self.minutes_kept));
        let day = Unit::Day.floor(minute).max(Unit::Day.ceil(self.quarters_kept));
        self.quarters = self.quarters.min(quarter);
        self.days = self.days.min(day);
        self.late += 1;
    }
}

/// What this node knows of [`Marks::begun`].
#[derive(Default)]
pub(super) struct Begun(AtomicI64);

impl Begun {
    pub(super) fn know(&self, begun: Timestamp) {
        self.0.fetch_max(begun.as_micros(), Ordering::AcqRel);
    }

    /// Whether what is counted of a moment may have been rolled up.
    pub(super) fn is_late(&self, at: Timestamp, now: Timestamp) -> bool {
        let end = Unit::Quarter.floor(at).plus(Unit::Quarter.duration());
        at.as_micros() < self.0.load(Ordering::Acquire) || end.plus(LATE) <= now
    }
}

/// Before a transaction that has counted something, in `oldest` at the earliest, is committed: if that
/// may have been rolled up, it will be again. Whoever rolls up waits for it to be committed.
pub(super) async fn counted_at(conn: &Conn, begun: &Begun, oldest: Timestamp) -> Result<()> {
    let mut marks = Marks::lock(conn).await?;
    begun.know(marks.begun);
    if oldest < marks.begun {
        marks.lower(oldest);
        marks.store(conn).await?;
    }
    Ok(())
}

/// Begins to count: nothing of what was there before.
pub(super) async fn begin(conn: &Conn, now: Timestamp) -> Result<()> {
    super::whole::begin(conn, now).await?;
    let [minute, quarter, day] =
        [Unit::Minute, Unit::Quarter, Unit::Day].map(|unit| unit.floor(now).as_micros());
    let sql = "/* rolled_up */ UPDATE counted SET up_to = $1 WHERE up_to = 0";
    conn.execute(sql, &[&minute]).await?;
    let sql = "/* rolled_up */ UPDATE rolled_up SET quarters = $1, begun = $1, days = $2
               WHERE quarters = 0";
    conn.execute(sql, &[&quarter, &day]).await?;
    Ok(())
}
