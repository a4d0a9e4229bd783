//! A unit of time made of smaller ones: many applications at a time.

use std::collections::{BTreeMap, VecDeque};

use domain::{
    analytics::{Rollup, Unit},
    clock::Timestamp,
    id::{ApplicationId, OrganizationId},
};

use super::{
    gather::Key,
    rows::{self as stored, COLUMNS, Mode, Sums},
    traffic,
};
use crate::{
    conn::{Conn, Params, Tx},
    error::Result,
    rows,
};

/// Applications that are rolled up at a time: fewer where each has more parts.
const QUARTERS_AT_ONCE: usize = 25;
const DAYS_AT_ONCE: usize = 4;
/// Applications that are listed at a time: finding them looks at all of an organization.
const LISTED: i64 = 10_000;

/// A unit of time, made of smaller ones.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) unit: Unit,
    pub(super) at: Timestamp,
    parts: Unit,
    /// In which time the parts begin.
    from: i64,
    until: i64,
}

impl Span {
    pub(super) fn new(unit: Unit, at: Timestamp) -> Self {
        let parts = if unit == Unit::Day { Unit::Quarter } else { Unit::Minute };
        let until = at.plus(unit.duration()).as_micros();
        Self { unit, at, parts, from: at.as_micros(), until }
    }

    /// When it ends.
    pub(super) fn end(&self) -> Timestamp {
        self.at.plus(self.unit.duration())
    }

    /// How many applications of it are rolled up at a time.
    pub(super) fn at_once(&self) -> usize {
        if self.unit == Unit::Day { DAYS_AT_ONCE } else { QUARTERS_AT_ONCE }
    }
}

/// Applications of an organization with something in the parts, behind one, in their order.
pub(super) async fn active(
    tx: &Tx,
    org: OrganizationId,
    span: Span,
    after: &[u8],
) -> Result<VecDeque<ApplicationId>> {
    let sql = "/* roll_up */ SELECT app FROM (
             SELECT app FROM rollup_app WHERE org = $1 AND unit = $2 AND at >= $3 AND at < $4
                 AND app > $5
             UNION SELECT app FROM traffic WHERE $2 = 0 AND org = $1 AND at >= $3 AND at < $4
                 AND app > $5) a
         ORDER BY app LIMIT $6";
    let unit = span.parts as i16;
    let params: Params<'_> = &[&&org.raw()[..], &unit, &span.from, &span.until, &after, &LISTED];
    tx.query(sql, params).await?.iter().map(|row| rows::id(row, 0)).collect()
}

/// Rolls up some applications of an organization; how many rows were read.
pub(super) async fn roll(
    tx: &Conn,
    span: Span,
    org: OrganizationId,
    apps: &[ApplicationId],
) -> Result<usize> {
    let sql = format!(
        "/* roll_up */ SELECT r.app, r.endpoint, r.event_type, {COLUMNS} FROM rollup r
         WHERE r.org = $1 AND r.app = ANY ($2) AND r.unit = $3 AND r.at >= $4 AND r.at < $5"
    );
    let raw: Vec<&[u8]> = apps.iter().map(|app| &app.raw()[..]).collect();
    let org_raw = &org.raw()[..];
    let params: Params<'_> = &[&org_raw, &raw, &(span.parts as i16), &span.from, &span.until];
    let found = tx.query(&sql, params).await?;
    let mut read = found.len();
    let mut rolled: BTreeMap<Key, Rollup> = BTreeMap::new();
    for row in &found {
        let endpoint = stored::endpoint(rows::bytes(row, 1)?)?;
        let event_type = stored::event_type(rows::get(row, 2)?)?;
        let key = Key { org, app: rows::id(row, 0)?, at: span.at, endpoint, event_type };
        rolled.entry(key).or_default().merge(&stored::rollup(row, 3)?);
    }
    if span.parts == Unit::Minute {
        let sql = format!(
            "/* roll_up */ SELECT t.app, t.event_type, {} FROM traffic t
             WHERE t.org = $1 AND t.app = ANY ($2) AND t.at >= $3 AND t.at < $4
             GROUP BY t.app, t.event_type",
            traffic::SUMS
        );
        let found = tx.query(&sql, &[&org_raw, &raw, &span.from, &span.until]).await?;
        read += found.len();
        for row in &found {
            let event_type = stored::event_type(rows::get(row, 1)?)?;
            let key = Key { org, app: rows::id(row, 0)?, at: span.at, endpoint: None, event_type };
            rolled.entry(key).or_default().merge(&traffic::rollup(row, 2)?);
        }
    }
    stored::write_details(tx, span.unit, &rolled, Mode::Put).await?;
    let mut sums = Sums::default();
    for (key, rollup) in &rolled {
        sums.apps.entry((org, span.at, key.app)).or_default().merge(rollup);
    }
    sums.write(tx, (span.unit, stored::ROLLED_SLOT), Mode::Put).await?;
    Ok(read)
}

/// Rolls up the event types of an organization; how many rows were read.
pub(super) async fn types(tx: &Conn, span: Span, org: OrganizationId) -> Result<usize> {
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
