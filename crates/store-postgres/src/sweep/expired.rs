//! Small rows that have ended by themselves: claims, saved answers, tokens, revocations, what sources
//! refused; and those that go with history: tasks and alerts that have ended, the audit, endpoints' past
//! headers. Each is found by an index on its time.

use domain::id::{AlertId, TaskId};
use store::housekeeping::{RetentionLimits, Swept};

use super::{begin, count, end, limit};
use crate::{Shared, error::Result};

/// Removes up to `$2` rows of a table, the earliest first. Whoever holds one (a claim that is just being
/// made anew) is not waited for, and keeps it.
macro_rules! remove {
    ($table:literal, $key:literal, $over:literal) => {
        concat!(
            "/* sweep */ DELETE FROM ",
            $table,
            " WHERE ctid = ANY (ARRAY(SELECT ctid FROM ",
            $table,
            " WHERE ",
            $over,
            " ORDER BY ",
            $key,
            " LIMIT $2 FOR UPDATE SKIP LOCKED))"
        )
    };
}

/// What nodes that keep the catalogue in memory have seen by then: they ask all the time.
const CHANGES: &str = "/* sweep */ DELETE FROM catalog_change WHERE ctid = ANY (ARRAY(
    SELECT c.ctid FROM (SELECT ctid, at FROM catalog_change ORDER BY xid LIMIT $1) c
    WHERE c.at < now() - interval '10 minutes'))";

/// Removes some of each kind.
pub(super) async fn sweep(shared: &Shared, limits: RetentionLimits) -> Result<Swept> {
    let Some(tx) = begin(shared).await? else { return Ok(Swept::default()) };
    let (now, before) = (limits.now.as_micros(), limits.history_before.as_micros());
    let (mut swept, mut did, limit) = (Swept::default(), false, limit(limits));
    for (counts, sql, time) in [
        (true, remove!("claim", "expires_at", "expires_at <= $1"), now),
        (true, remove!("response", "expires_at", "expires_at <= $1"), now),
        (false, remove!("token", "expires_at", "expires_at <= $1"), now),
        (false, remove!("revocation", "forget_at", "forget_at <= $1"), now),
        (false, remove!("rejected", "expires_at", "expires_at <= $1"), now),
        (false, remove!("audit", "at", "at < $1"), before),
        (false, remove!("past_headers", "replaced_at", "replaced_at < $1"), before),
    ] {
        let removed = count(tx.execute(sql, &[&time, &limit]).await?)?;
        swept.claims += if counts { removed } else { 0 };
        swept.more |= removed >= limits.rows;
        did |= removed > 0;
    }
    let tasks = remove!("task", "id", r#"id < $1 AND status <> '"running"'"#);
    let end_of = TaskId::floor(limits.history_before);
    let alerts = remove!("alert", "id", "id < $1 AND NOT live");
    let end_of_alerts = AlertId::floor(limits.history_before);
    for removed in [
        tx.execute(tasks, &[&end_of.raw().as_slice(), &limit]).await?,
        tx.execute(alerts, &[&end_of_alerts.raw().as_slice(), &limit]).await?,
        tx.execute(CHANGES, &[&limit]).await?,
    ] {
        swept.more |= count(removed)? >= limits.rows;
        did |= removed > 0;
    }
    end(tx, did).await?;
    Ok(swept)
}
