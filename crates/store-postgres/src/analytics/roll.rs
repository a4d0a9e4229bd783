//! Rolling up what has ended: a few applications at a time, in a transaction that holds the marks. Who
//! counts something late waits for it, and says so: a unit that is under way then begins anew. A unit is
//! written as a whole, so that it may be rolled up again.

use std::{collections::BTreeMap, time::Duration};

use domain::{
    analytics::{Rollup, Unit},
    clock::Timestamp,
    id::{ApplicationId, OrganizationId},
};
use store::analytics::RollupLimits;
use tokio::time::Instant;

use super::{
    gather::Key,
    marks::Marks,
    retention::Sweep,
    rows::{self as stored, COLUMNS, Mode, Sums},
    traffic,
};
use crate::{
    Shared,
    conn::{Conn, Params, Tx},
    error::Result,
    rows,
};

/// Rows that a step reads, roughly, and how long it takes at most: flushes may wait for it.
const STEP_ROWS: usize = 5_000;
const STEP_TIME: Duration = Duration::from_millis(500);
/// Units without anything in them that a step passes by.
const STEP_UNITS: usize = 100;
/// Applications, and organizations, that are listed at a time.
const PAGE: i64 = 100;
/// How long after its end a quarter is rolled up. What comes later is not lost: it is rolled up again.
const GRACE: Duration = Duration::from_secs(30);

/// Behind which organization and application the next step goes on.
type Place = (Vec<u8>, Vec<u8>);

/// How far the last step came.
#[derive(Default)]
pub(crate) struct Roller {
    /// What it was at, and [`Marks::late`] when that was begun.
    unit: Option<(Unit, Timestamp, i64)>,
    place: Place,
    pub(super) sweep: Sweep,
}

/// A unit of time, made of smaller ones.
#[derive(Clone, Copy)]
struct Span {
    unit: Unit,
    at: Timestamp,
    parts: Unit,
    /// In which time the parts begin.
    from: i64,
    until: i64,
}

impl Span {
    fn new(unit: Unit, at: Timestamp) -> Self {
        let parts = if unit == Unit::Day { Unit::Quarter } else { Unit::Minute };
        let until = at.plus(unit.duration()).as_micros();
        Self { unit, at, parts, from: at.as_micros(), until }
    }

    fn end(&self) -> Timestamp {
        self.at.plus(self.unit.duration())
    }
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

/// Rolls up a few applications behind `place`, and the event types of each organization whose last one
/// that is. Whether those were all, and how many rows were read.
async fn applications(tx: &Tx, span: Span, place: &mut Place) -> Result<(bool, usize)> {
    let began = Instant::now();
    let mut read = 0;
    loop {
        let orgs =
            "/* roll_up */ SELECT org FROM organization WHERE org >= $1 ORDER BY org LIMIT $2";
        let orgs = tx.query(orgs, &[&place.0, &PAGE]).await?;
        for org in &orgs {
            let org: OrganizationId = rows::id(org, 0)?;
            if place.0 != org.raw() {
                *place = (org.raw().to_vec(), Vec::new());
            }
            loop {
                let apps = active(tx, org, span, &place.1).await?;
                for app in &apps {
                    read += application(tx, span, (org, *app)).await?;
                    place.1 = app.raw().to_vec();
                    if read >= STEP_ROWS || began.elapsed() >= STEP_TIME {
                        return Ok((false, read));
                    }
                }
                if apps.len() < PAGE as usize {
                    break;
                }
            }
            read += types(tx, span, org).await?;
        }
        if orgs.len() < PAGE as usize {
            return Ok((true, read));
        }
        // The last one is listed once more, and has nothing left.
        place.1 = vec![0xff; 20];
    }
}

/// Applications of an organization with something in the parts, behind one.
async fn active(
    tx: &Tx,
    org: OrganizationId,
    span: Span,
    after: &[u8],
) -> Result<Vec<ApplicationId>> {
    let sql = "/* roll_up */ SELECT app FROM (
             SELECT app FROM rollup_app WHERE org = $1 AND unit = $2 AND at >= $3 AND at < $4
                 AND app > $5
             UNION SELECT app FROM traffic WHERE $2 = 0 AND org = $1 AND at >= $3 AND at < $4
                 AND app > $5) a
         ORDER BY app LIMIT $6";
    let unit = span.parts as i16;
    let params: Params<'_> = &[&&org.raw()[..], &unit, &span.from, &span.until, &after, &PAGE];
    tx.query(sql, params).await?.iter().map(|row| rows::id(row, 0)).collect()
}

/// Rolls up one application; how many rows were read.
async fn application(
    tx: &Conn,
    span: Span,
    (org, app): (OrganizationId, ApplicationId),
) -> Result<usize> {
    let sql = format!(
        "/* roll_up */ SELECT r.endpoint, r.event_type, {COLUMNS} FROM rollup r
         WHERE r.org = $1 AND r.app = $2 AND r.unit = $3 AND r.at >= $4 AND r.at < $5"
    );
    let ids = (&org.raw()[..], &app.raw()[..]);
    let params: Params<'_> = &[&ids.0, &ids.1, &(span.parts as i16), &span.from, &span.until];
    let found = tx.query(&sql, params).await?;
    let mut read = found.len();
    let mut rolled: BTreeMap<Key, Rollup> = BTreeMap::new();
    for row in &found {
        let endpoint = stored::endpoint(rows::bytes(row, 0)?)?;
        let event_type = stored::event_type(rows::get(row, 1)?)?;
        let key = Key { org, app, at: span.at, endpoint, event_type };
        rolled.entry(key).or_default().merge(&stored::rollup(row, 2)?);
    }
    if span.parts == Unit::Minute {
        let sql = format!(
            "/* roll_up */ SELECT t.event_type, {} FROM traffic t
             WHERE t.org = $1 AND t.app = $2 AND t.at >= $3 AND t.at < $4 GROUP BY t.event_type",
            traffic::SUMS
        );
        let params: Params<'_> = &[&ids.0, &ids.1, &span.from, &span.until];
        let found = tx.query(&sql, params).await?;
        read += found.len();
        for row in &found {
            let event_type = stored::event_type(rows::get(row, 0)?)?;
            let key = Key { org, app, at: span.at, endpoint: None, event_type };
            rolled.entry(key).or_default().merge(&traffic::rollup(row, 1)?);
        }
    }
    stored::write_details(tx, span.unit, &rolled, Mode::Put).await?;
    let mut sums = Sums::default();
    rolled.values().for_each(|rollup| {
        sums.apps.entry((org, span.at, app)).or_default().merge(rollup);
    });
    sums.write(tx, (span.unit, stored::ROLLED_SLOT), Mode::Put).await?;
    Ok(read)
}

/// Rolls up the event types of an organization; how many rows were read.
async fn types(tx: &Conn, span: Span, org: OrganizationId) -> Result<usize> {
    let sql = format!(
        "/* roll_up */ SELECT r.event_type, {COLUMNS} FROM rollup_type r
         WHERE r.org = $1 AND r.unit = $2 AND r.at >= $3 AND r.at < $4"
    );
    let id = &org.raw()[..];
    let params: Params<'_> = &[&id, &(span.parts as i16), &span.from, &span.until];
    let found = tx.query(&sql, params).await?;
    let mut read = found.len();
    let mut sums = Sums::default();
    for row in &found {
        let of = (org, span.at, stored::event_type(rows::get(row, 0)?)?);
        sums.types.entry(of).or_default().merge(&stored::rollup(row, 1)?);
    }
    if span.parts == Unit::Minute {
        let sql = format!(
            "/* roll_up */ SELECT t.event_type, {} FROM traffic t
             WHERE t.org = $1 AND t.at >= $2 AND t.at < $3 GROUP BY t.event_type",
            traffic::SUMS
        );
        let found = tx.query(&sql, &[&id, &span.from, &span.until]).await?;
        read += found.len();
        for row in &found {
            let of = (org, span.at, stored::event_type(rows::get(row, 0)?)?);
            sums.types.entry(of).or_default().merge(&traffic::rollup(row, 1)?);
        }
    }
    sums.write(tx, (span.unit, stored::ROLLED_SLOT), Mode::Put).await?;
    Ok(read)
}
