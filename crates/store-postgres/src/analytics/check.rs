//! Whether the counts that are written are those of a recount, beside nodes that go on: an application and
//! some hours of it at a time, and of each endpoint up to when its shard is counted.

use std::collections::{HashMap, VecDeque};

use domain::{
    analytics::{Compared, Comparison, LONGEST_ATTEMPT, Unit, Whole},
    clock::Timestamp,
    id::{ApplicationId, AttemptId, EndpointId, MessageId, OrganizationId},
    shard::Shard,
};
use store::{history::Tenant, housekeeping::CheckReport, transfer::PROGRESS};

use super::{
    gather::Key,
    recount::{PAGE, Walk, attempts, messages},
    rows::{self as stored, COLUMNS},
    sums, takeover, traffic, whole,
};
use crate::{
    MIGRATION_TIMEOUT, Shared, check,
    conn::{Conn, Params},
    error::Result,
    rows,
};

pub(super) const UNITS: [Unit; 3] = [Unit::Minute, Unit::Quarter, Unit::Day];

/// Compares all that is there as a whole and that is written: see [`Whole`].
pub(crate) async fn check(shared: &Shared, report: &mut CheckReport) -> Result<()> {
    let pool = shared.connector.by_key().pool(1, shared.options.call_timeout);
    let conn = Conn::new(pool.get().await?, MIGRATION_TIMEOUT, shared.connector.doubts());
    // It ends with the connection.
    conn.batch(check::BEGIN).await?;
    let moving = "/* check */ SELECT 1 FROM meta WHERE name = $1";
    if conn.query_opt(moving, &[&PROGRESS]).await?.is_some() {
        report.facts.push("counts by time are not compared: a move into this store goes on".into());
        return Ok(());
    }
    let bounds =
        Bounds { whole: whole::whole(&conn).await?, counted: takeover::marks(&conn).await? };
    let mut compared = Compared::default();
    let mut after: [Vec<u8>; 2] = Default::default();
    loop {
        let sql = "/* check */ SELECT org, app FROM application WHERE (org, app) > ($1, $2)
                   ORDER BY org, app LIMIT $3";
        let page = conn.query(sql, &[&after[0], &after[1], &(PAGE as i64)]).await?;
        for row in &page {
            let (org, app): (OrganizationId, ApplicationId) =
                (rows::id(row, 0)?, rows::id(row, 1)?);
            after = [org.raw().to_vec(), app.raw().to_vec()];
            application(&conn, Tenant { org, app }, &bounds, &mut compared).await?;
        }
        if page.len() < PAGE {
            break;
        }
    }
    sums::check(&conn, bounds.whole, &mut compared).await?;
    report.facts.push(compared.fact());
    report.problems.extend(compared.problems());
    Ok(())
}

struct Bounds {
    whole: Whole,
    counted: HashMap<Shard, Timestamp>,
}

impl Bounds {
    /// Up to when an endpoint is counted. Messages are, as soon as they are stored.
    fn counted(&self, tenant: Tenant, endpoint: Option<EndpointId>) -> Timestamp {
        let Some(endpoint) = endpoint else { return Timestamp::MAX };
        let shard = Shard::of(&tenant.org, &tenant.app, &endpoint);
        self.counted.get(&shard).copied().unwrap_or(Timestamp::EPOCH)
    }
}

async fn application(
    conn: &Conn,
    tenant: Tenant,
    bounds: &Bounds,
    compared: &mut Compared,
) -> Result<()> {
    let sql = "/* check */ SELECT endpoint FROM endpoint WHERE org = $1 AND app = $2";
    let found = conn.query(sql, &[&&tenant.org.raw()[..], &&tenant.app.raw()[..]]).await?;
    let endpoints: Vec<EndpointId> =
        found.iter().map(|row| rows::id(row, 0)).collect::<Result<_>>()?;
    let Some(span) = extent(conn, tenant, &endpoints).await? else { return Ok(()) };
    let mut comparison = Comparison::new(bounds.whole, tenant.app, compared);
    for (from, until) in bounds.whole.windows(span, endpoints.len()) {
        let mut record = |key: Key, record| {
            let counted = bounds.counted(tenant, key.endpoint);
            comparison.record(key.at, &(key.endpoint, key.event_type), &record, counted);
        };
        messages(conn, tenant, (from, until), &mut record).await?;
        let walks = endpoints.iter().map(|endpoint| Walk::new(tenant, *endpoint, from));
        let mut walks: VecDeque<Walk> = walks.collect();
        while !walks.is_empty() {
            attempts(conn, &mut walks, until, &mut record).await?;
        }
        written(conn, tenant, (from, until), bounds, &mut comparison).await?;
        comparison.told_until(until);
    }
    comparison.told_until(Timestamp::MAX);
    Ok(())
}

/// What was counted of a window.
async fn written(
    conn: &Conn,
    tenant: Tenant,
    (from, until): (Timestamp, Timestamp),
    bounds: &Bounds,
    comparison: &mut Comparison<'_>,
) -> Result<()> {
    let (org, app) = (&tenant.org.raw()[..], &tenant.app.raw()[..]);
    let (from, until) = (from.as_micros(), until.as_micros());
    let sql = format!(
        "/* check */ SELECT r.at, r.endpoint, r.event_type, {COLUMNS} FROM rollup r
         WHERE r.org = $1 AND r.app = $2 AND r.unit = $3 AND r.at >= $4 AND r.at < $5"
    );
    for unit in UNITS {
        let params: Params<'_> = &[&org, &app, &(unit as i16), &from, &until];
        for row in &conn.query(&sql, params).await? {
            let endpoint = stored::endpoint(rows::bytes(row, 1)?)?;
            let place = (endpoint, stored::event_type(rows::get(row, 2)?)?);
            let counted = bounds.counted(tenant, endpoint);
            let at = rows::time(row, 0)?;
            comparison.counted((unit, at), place, &stored::rollup(row, 3)?, counted);
        }
    }
    let sql = format!(
        "/* check */ SELECT t.at, t.event_type, {} FROM traffic t
         WHERE t.org = $1 AND t.app = $2 AND t.at >= $3 AND t.at < $4 GROUP BY t.at, t.event_type",
        traffic::SUMS
    );
    for row in &conn.query(&sql, &[&org, &app, &from, &until]).await? {
        let place = (None, stored::event_type(rows::get(row, 1)?)?);
        let at = (Unit::Minute, rows::time(row, 0)?);
        comparison.counted(at, place, &traffic::rollup(row, 2)?, Timestamp::MAX);
    }
    Ok(())
}

/// From when to when there is anything of an application.
async fn extent(
    conn: &Conn,
    tenant: Tenant,
    endpoints: &[EndpointId],
) -> Result<Option<(Timestamp, Timestamp)>> {
    let (org, app) = (&tenant.org.raw()[..], &tenant.app.raw()[..]);
    let mut times: Vec<Timestamp> = Vec::new();
    let sql = "/* check */ (SELECT id FROM message WHERE org = $1 AND app = $2 ORDER BY id LIMIT 1)
         UNION ALL
         (SELECT id FROM message WHERE org = $1 AND app = $2 ORDER BY id DESC LIMIT 1)";
    for row in &conn.query(sql, &[&org, &app]).await? {
        times.push(rows::id::<MessageId>(row, 0)?.timestamp());
    }
    let sql = "/* check */ SELECT a.id, z.id FROM unnest($3::bytea[]) AS u (endpoint)
         CROSS JOIN LATERAL (SELECT t.id FROM attempt t WHERE t.org = $1 AND t.app = $2
             AND t.endpoint = u.endpoint ORDER BY t.id LIMIT 1) a
         CROSS JOIN LATERAL (SELECT t.id FROM attempt t WHERE t.org = $1 AND t.app = $2
             AND t.endpoint = u.endpoint ORDER BY t.id DESC LIMIT 1) z";
    let raw: Vec<&[u8]> = endpoints.iter().map(|endpoint| &endpoint.raw()[..]).collect();
    for row in &conn.query(sql, &[&org, &app, &raw]).await? {
        times.push(rows::id::<AttemptId>(row, 0)?.timestamp());
        times.push(rows::id::<AttemptId>(row, 1)?.timestamp().plus(LONGEST_ATTEMPT));
    }
    let sql = "/* check */ SELECT e.first, e.last FROM generate_series(0, 2) AS u (unit)
         CROSS JOIN LATERAL (SELECT min(at) AS first, max(at) AS last FROM rollup
             WHERE org = $1 AND app = $2 AND unit = u.unit) e
         UNION ALL SELECT min(at), max(at) FROM traffic WHERE org = $1 AND app = $2";
    for row in &conn.query(sql, &[&org, &app]).await? {
        times.extend(rows::opt_time(row, 0)?);
        times.extend(rows::opt_time(row, 1)?);
    }
    Ok(times.iter().min().copied().zip(times.iter().max().copied()))
}
