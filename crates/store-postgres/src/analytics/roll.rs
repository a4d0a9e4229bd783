//! Rolling up what has ended: a few applications at a time, in a transaction that holds the marks. Who
//! counts something late waits for it, and says so: a unit that is under way then begins anew. A unit is
//! written as a whole, so that it may be rolled up again.

use std::{collections::VecDeque, time::Duration};

use domain::{
    analytics::Unit,
    clock::Timestamp,
    id::{ApplicationId, OrganizationId},
};
use store::analytics::RollupLimits;
use tokio::time::Instant;

use super::{
    marks::Marks,
    parts::{Span, active, roll, types},
    retention::Sweep,
};
use crate::{Shared, conn::Tx, error::Result, rows};

/// Rows that a step reads, roughly, and how long it takes at most: flushes may wait for it.
const STEP_ROWS: usize = 5_000;
const STEP_TIME: Duration = Duration::from_millis(500);
/// Units without anything in them that a step passes by.
const STEP_UNITS: usize = 100;
/// Organizations that are listed at a time.
const ORGANIZATIONS: i64 = 100;
/// How long after its end a quarter is rolled up. What comes later is not lost: it is rolled up again.
const GRACE: Duration = Duration::from_secs(30);

/// How far the last step came in a unit.
#[derive(Default)]
struct Place {
    /// Of this organization.
    org: Vec<u8>,
    /// The last application that was listed, and those up to it that remain.
    listed: Vec<u8>,
    apps: VecDeque<ApplicationId>,
}

/// How far the last step came.
#[derive(Default)]
pub(crate) struct Roller {
    /// What it was at, and [`Marks::late`] when that was begun: nothing was added to it since.
    unit: Option<(Unit, Timestamp, i64)>,
    place: Place,
    pub(super) sweep: Sweep,
}

/// What is to be rolled up next. Days only of complete quarters.
fn next_unit(marks: &Marks, now: Timestamp) -> Option<Span> {
    let quarter = Span::new(Unit::Quarter, marks.quarters);
    if quarter.end().plus(GRACE) <= now {
        return Some(quarter);
    }
    let day = Span::new(Unit::Day, marks.days);
    (day.end() <= marks.quarters).then_some(day)
}

impl Shared {
    /// One step; whether there is more to do now.
    pub(super) async fn roll_up(&self, limits: RollupLimits) -> Result<bool> {
        let roller = &mut *self.counting.roller.lock().await;
        let tx = self.begin().await?;
        let more = self.step(&tx, roller, limits).await;
        let ended = match more {
            Ok(_) => tx.commit().await,
            Err(_) => Ok(()),
        };
        if more.is_err() || ended.is_err() {
            // Nothing is known of how far it came.
            *roller = Roller::default();
        }
        ended.and(more)
    }

    async fn step(&self, tx: &Tx, roller: &mut Roller, limits: RollupLimits) -> Result<bool> {
        let mut marks = Marks::lock(tx).await?;
        for _ in 0..STEP_UNITS {
            let Some(span) = next_unit(&marks, limits.now) else {
                let more = roller.sweep.step(tx, &mut marks, limits).await?;
                return Ok(more);
            };
            let begun = Some((span.unit, span.at, marks.late));
            if roller.unit != begun {
                (roller.unit, roller.place) = (begun, Place::default());
            }
            if span.unit == Unit::Quarter && marks.begun < span.end() {
                marks.begun = span.end();
                marks.store(tx).await?;
                self.counting.begun.know(marks.begun);
            }
            let (done, read) = applications(tx, span, &mut roller.place).await?;
            if !done {
                return Ok(true);
            }
            match span.unit {
                Unit::Day => marks.days = span.end(),
                Unit::Quarter | Unit::Minute => marks.quarters = span.end(),
            }
            marks.store(tx).await?;
            roller.unit = None;
            if read > 0 {
                return Ok(true);
            }
        }
        Ok(true)
    }
}

/// Rolls up a few applications from `place` on, and the event types of each organization whose last one
/// that is. Whether those were all, and how many rows were read.
async fn applications(tx: &Tx, span: Span, place: &mut Place) -> Result<(bool, usize)> {
    let began = Instant::now();
    let mut read = 0;
    loop {
        let orgs =
            "/* roll_up */ SELECT org FROM organization WHERE org >= $1 ORDER BY org LIMIT $2";
        let orgs = tx.query(orgs, &[&place.org, &ORGANIZATIONS]).await?;
        for org in &orgs {
            let org: OrganizationId = rows::id(org, 0)?;
            if place.org != org.raw() {
                *place = Place { org: org.raw().to_vec(), ..Place::default() };
            }
            loop {
                if place.apps.is_empty() {
                    place.apps = active(tx, org, span, &place.listed).await?;
                    let Some(last) = place.apps.back() else { break };
                    place.listed = last.raw().to_vec();
                }
                let some = span.at_once().min(place.apps.len());
                let some: Vec<_> = place.apps.drain(..some).collect();
                read += roll(tx, span, org, &some).await?;
                if read >= STEP_ROWS || began.elapsed() >= STEP_TIME {
                    return Ok((false, read));
                }
            }
            read += types(tx, span, org).await?;
        }
        if orgs.len() < ORGANIZATIONS as usize {
            return Ok((true, read));
        }
        // The last one is listed once more, and has nothing left.
        place.listed = vec![0xff; 20];
    }
}
