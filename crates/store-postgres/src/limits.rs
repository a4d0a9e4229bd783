//! Rates of applications whose endpoints have several owners: each takes the next attempts of the rate for
//! itself, by one update.

use domain::{
    clock::Timestamp,
    id::{ApplicationId, OrganizationId},
};
use store::nodes::Slice;

use crate::{Shared, error::Result, rows};

/// How far ahead attempts are given out at most, in microseconds: what an owner that dies has taken for
/// itself is lost.
const AHEAD: i64 = 200_000;

/// `$3` is how long the attempts take at the rate, `$4` how far ahead they may begin.
const RESERVE: &str = "/* reserve */ WITH t AS MATERIALIZED
    (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now)
    INSERT INTO app_limit AS l (org, app, next) SELECT $1, $2, t.now + $3 FROM t
    ON CONFLICT (org, app) DO UPDATE
        SET next = greatest(l.next, excluded.next - $3) + $3 WHERE l.next <= excluded.next - $3 + $4
    RETURNING next - $3";

pub(crate) async fn reserve(
    shared: &Shared,
    org: OrganizationId,
    app: ApplicationId,
    rate: u16,
    attempts: u32,
) -> Result<Slice> {
    // Rounded up: never more than the rate.
    let interval = i64::from(1_000_000_u32.div_ceil(rate.max(1).into()));
    let (takes, ahead) = (interval * i64::from(attempts), AHEAD.max(2 * interval));
    let (org, app) = (org.raw().as_slice(), app.raw().as_slice());
    let conn = shared.read().await?;
    if let Some(row) = conn.query_opt(RESERVE, &[&org, &app, &takes, &ahead]).await? {
        return Ok(Slice { from: rows::time(&row, 0)?, attempts });
    }
    let next = "/* reserve */ SELECT next FROM app_limit WHERE org = $1 AND app = $2";
    let next: i64 = rows::get(&conn.query_one(next, &[&org, &app]).await?, 0)?;
    Ok(Slice { from: Timestamp::from_micros(next - ahead), attempts: 0 })
}
