//! Retention of rollups: when there is nothing to roll up, what is older than it is kept for goes, some
//! applications at a time.

use domain::{analytics::Unit, clock::Timestamp};
use store::analytics::RollupLimits;
use tokio_postgres::Row;

use super::{marks::Marks, whole};
use crate::{
    conn::{Params, Tx},
    error::Result,
    rows,
};

/// Applications that a step looks at, and rows that a statement takes away.
const APPS: i64 = 200;
const ROWS: i64 = 5_000;

/// Units that begin before these are over.
type Ends = [(Unit, Timestamp); 3];

/// Where retention is.
#[derive(Default)]
pub(super) struct Sweep {
    /// The last application that was looked at; `None` at the beginning.
    after: Option<(Vec<u8>, Vec<u8>)>,
    /// What the last walk through all of them took away.
    done: Option<Ends>,
}

impl Sweep {
    /// A step; whether there is more. What is not rolled up yet stays. It moves on by whole quarters and
    /// days: so all are walked through now and then, and no quarter or day loses a part of it.
    pub(super) async fn step(
        &mut self,
        tx: &Tx,
        marks: &mut Marks,
        limits: RollupLimits,
    ) -> Result<bool> {
        let ends = [
            (Unit::Minute, Unit::Quarter.floor(limits.minutes_before.min(marks.quarters))),
            (Unit::Quarter, Unit::Day.floor(limits.quarters_before.min(marks.days))),
            (Unit::Day, Unit::Day.floor(limits.days_before)),
        ];
        if self.done == Some(ends) {
            return Ok(false);
        }
        // First of all: nobody makes those again of which something is missing.
        let kept = (ends[0].1.max(marks.minutes_kept), ends[1].1.max(marks.quarters_kept));
        if kept != (marks.minutes_kept, marks.quarters_kept) {
            (marks.minutes_kept, marks.quarters_kept) = kept;
            marks.store(tx).await?;
        }
        tx.execute(whole::SWEEP_DAYS, &[&ends[2].1.as_micros()]).await?;
        if self.details(tx, &ends).await? || sums(tx, &ends).await? {
            return Ok(true);
        }
        (self.after, self.done) = (None, Some(ends));
        Ok(false)
    }

    /// Of a page of applications; whether there are more.
    async fn details(&mut self, tx: &Tx, ends: &Ends) -> Result<bool> {
        let (org, app) = self.after.clone().unwrap_or_default();
        let sql = "/* roll_up */ SELECT org, app FROM application WHERE (org, app) > ($1, $2)
                   ORDER BY org, app LIMIT $3";
        let found = tx.query(sql, &[&org, &app, &APPS]).await?;
        let id = |row: &Row, column| rows::bytes(row, column).map(<[u8]>::to_vec);
        let orgs = found.iter().map(|row| id(row, 0)).collect::<Result<Vec<_>>>()?;
        let apps = found.iter().map(|row| id(row, 1)).collect::<Result<Vec<_>>>()?;
        let sql = "/* roll_up */ DELETE FROM rollup WHERE ctid = ANY (ARRAY(
            SELECT old.place FROM unnest($1::bytea[], $2::bytea[]) AS u (org, app)
            CROSS JOIN LATERAL (SELECT r.ctid AS place FROM rollup r
                WHERE r.org = u.org AND r.app = u.app AND r.unit = $3 AND r.at < $4 LIMIT $5) old
            LIMIT $5))";
        let mut full = false;
        for (unit, end) in ends {
            let params: Params<'_> = &[&orgs, &apps, &(*unit as i16), &end.as_micros(), &ROWS];
            full |= tx.execute(sql, params).await? >= ROWS.unsigned_abs();
        }
        if full {
            // There may be more of the same.
            return Ok(true);
        }
        let Some(last) = orgs.into_iter().zip(apps).next_back() else { return Ok(false) };
        self.after = Some(last);
        Ok(found.len() >= APPS as usize)
    }
}

/// Of all organizations, found by their time; whether there may be more.
async fn sums(tx: &Tx, ends: &Ends) -> Result<bool> {
    let mut full = false;
    for (unit, end) in ends {
        for sql in [
            "/* roll_up */ DELETE FROM rollup_app WHERE ctid = ANY (ARRAY(
                SELECT old.place FROM organization o CROSS JOIN LATERAL
                    (SELECT r.ctid AS place FROM rollup_app r
                     WHERE r.org = o.org AND r.unit = $1 AND r.at < $2 LIMIT $3) old LIMIT $3))",
            "/* roll_up */ DELETE FROM rollup_type WHERE ctid = ANY (ARRAY(
                SELECT old.place FROM organization o CROSS JOIN LATERAL
                    (SELECT r.ctid AS place FROM rollup_type r
                     WHERE r.org = o.org AND r.unit = $1 AND r.at < $2 LIMIT $3) old LIMIT $3))",
            "/* roll_up */ DELETE FROM traffic WHERE $1::smallint = 0 AND ctid = ANY (ARRAY(
                SELECT old.place FROM organization o CROSS JOIN LATERAL
                    (SELECT t.ctid AS place FROM traffic t
                     WHERE t.org = o.org AND t.at < $2 LIMIT $3) old LIMIT $3))",
        ] {
            let params: Params<'_> = &[&(*unit as i16), &end.as_micros(), &ROWS];
            full |= tx.execute(sql, params).await? >= ROWS.unsigned_abs();
        }
    }
    Ok(full)
}
