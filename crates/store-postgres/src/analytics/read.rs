//! Reading rollups. Those of minutes are in two tables: messages in `traffic`, attempts in the others.

use std::collections::BTreeMap;

use domain::{
    analytics::{Counts, Rollup, Unit},
    clock::Timestamp,
    id::{ApplicationId, EndpointId, OrganizationId},
    name::EventTypeName,
};
use store::{
    StoreError,
    analytics::{FailingEndpoint, Of, PendingWork, RollupRow, Span},
};
use tokio_postgres::Row;

use super::{rows as stored, traffic};
use crate::{
    conn::{Conn, Params},
    error::{Error, Result},
    rows,
};

/// Rows that are read for each one that is wanted: nodes write rows of their own.
const SLOTS: usize = 16;

/// What a rollup is of, in the order of time.
type Place = (Timestamp, Option<ApplicationId>, Option<EndpointId>, Option<EventTypeName>);

/// Columns of a [`Place`] in both tables, and how rows of the second one are found.
struct Query {
    rollups: &'static str,
    traffic: &'static str,
    /// How the rows of traffic are put together.
    by: &'static str,
}

const OF_APPLICATION: Query = Query {
    rollups: "r.at, r.app, r.endpoint, r.event_type, r.messages, r.bytes, r.retries, r.detail
        FROM rollup r WHERE r.org = $1 AND r.app = $6 AND r.unit = $2 AND r.at >= $3 AND r.at < $4",
    traffic: "t.at, t.app, ''::bytea, t.event_type",
    by: "t.org = $1 AND t.app = $5 AND t.at >= $2 AND t.at < $3
        GROUP BY t.at, t.app, t.event_type",
};
const OF_APPLICATIONS: Query = Query {
    rollups: "r.at, r.app, ''::bytea, '', r.messages, r.bytes, r.retries, r.detail
        FROM rollup_app r WHERE r.org = $1 AND $6::bytea = '' AND r.unit = $2 AND r.at >= $3
        AND r.at < $4",
    traffic: "t.at, t.app, ''::bytea, ''",
    by: "t.org = $1 AND $5::bytea = '' AND t.at >= $2 AND t.at < $3 GROUP BY t.at, t.app",
};
const OF_TYPES: Query = Query {
    rollups: "r.at, ''::bytea, ''::bytea, r.event_type, r.messages, r.bytes, r.retries, r.detail
        FROM rollup_type r WHERE r.org = $1 AND $6::bytea = '' AND r.unit = $2 AND r.at >= $3
        AND r.at < $4",
    traffic: "t.at, ''::bytea, ''::bytea, t.event_type",
    by: "t.org = $1 AND $5::bytea = '' AND t.at >= $2 AND t.at < $3 GROUP BY t.at, t.event_type",
};

fn place(row: &Row) -> Result<Place> {
    let app = rows::bytes(row, 1)?;
    let app = if app.is_empty() { None } else { Some(rows::raw_id(app)?) };
    let endpoint = stored::endpoint(rows::bytes(row, 2)?)?;
    Ok((rows::time(row, 0)?, app, endpoint, stored::event_type(rows::get(row, 3)?)?))
}

pub(super) async fn rollups(
    conn: &Conn,
    org: OrganizationId,
    of: Of,
    span: Span,
    limit: usize,
) -> Result<Vec<RollupRow>> {
    let query = match of {
        Of::Application(_) => OF_APPLICATION,
        Of::Applications => OF_APPLICATIONS,
        Of::EventTypes => OF_TYPES,
    };
    let app = match of {
        Of::Application(app) => app.raw().to_vec(),
        Of::Applications | Of::EventTypes => Vec::new(),
    };
    let org = &org.raw()[..];
    let (from, until, unit) = (span.from.as_micros(), span.until.as_micros(), span.unit as i16);
    let most = (limit + 1).saturating_mul(SLOTS);
    let bound = i64::try_from(most).unwrap_or(i64::MAX);
    let mut merged: BTreeMap<Place, Rollup> = BTreeMap::new();
    let mut add = |found: Vec<Row>, read: fn(&Row, usize) -> Result<Rollup>| {
        for row in &found {
            merged.entry(place(row)?).or_default().merge(&read(row, 4)?);
            if merged.len() > limit {
                return Err(Error::from(StoreError::Overloaded));
            }
        }
        if found.len() >= most { Err(StoreError::Overloaded.into()) } else { Ok(()) }
    };
    let sql = format!("/* rollups */ SELECT {} ORDER BY r.at LIMIT $5", query.rollups);
    let params: Params<'_> = &[&org, &unit, &from, &until, &bound, &app];
    add(conn.query(&sql, params).await?, stored::rollup)?;
    if span.unit == Unit::Minute {
        let sql = format!(
            "/* rollups */ SELECT {}, {} FROM traffic t WHERE {} LIMIT $4",
            query.traffic,
            traffic::SUMS,
            query.by
        );
        let params: Params<'_> = &[&org, &from, &until, &bound, &app];
        add(conn.query(&sql, params).await?, traffic::rollup)?;
    }
    let row = |((at, app, endpoint, event_type), rollup)| RollupRow {
        at,
        app,
        endpoint,
        event_type,
        rollup,
    };
    Ok(merged.into_iter().map(row).collect())
}

pub(super) async fn application_counts(
    conn: &Conn,
    org: OrganizationId,
    span: Span,
) -> Result<Vec<(ApplicationId, Counts)>> {
    const OF_UNIT: &str =
        "SELECT app, messages, bytes, attempts, successes, retries FROM rollup_app
        WHERE org = $1 AND unit = $2 AND at >= $3 AND at < $4";
    const WITH_TRAFFIC: &str = "UNION ALL SELECT app, messages, bytes, 0, 0, 0 FROM traffic
        WHERE org = $1 AND at >= $3 AND at < $4";
    let also = if span.unit == Unit::Minute { WITH_TRAFFIC } else { "" };
    let sql = format!(
        "/* application_counts */ SELECT app, sum(messages)::bigint, sum(bytes)::bigint,
             sum(attempts)::bigint, sum(successes)::bigint, sum(retries)::bigint
         FROM ({OF_UNIT} {also}) c GROUP BY app ORDER BY app"
    );
    let (from, until) = (span.from.as_micros(), span.until.as_micros());
    let params: Params<'_> = &[&&org.raw()[..], &(span.unit as i16), &from, &until];
    let mut all = Vec::new();
    for row in conn.query(&sql, params).await? {
        let count = |column| Ok::<_, Error>(rows::get::<i64>(&row, column)?.unsigned_abs());
        let counts = Counts {
            messages: count(1)?,
            bytes: count(2)?,
            attempts: count(3)?,
            successes: count(4)?,
            retries: count(5)?,
        };
        if counts != Counts::default() {
            all.push((rows::id(&row, 0)?, counts));
        }
    }
    Ok(all)
}

pub(super) async fn failing_endpoints(
    conn: &Conn,
    org: OrganizationId,
    limit: usize,
) -> Result<Vec<FailingEndpoint>> {
    let sql = "/* failing_endpoints */ SELECT e.app, e.endpoint, e.first_failure_at, e.disabled
         FROM endpoint e JOIN application a ON a.org = e.org AND a.app = e.app
         WHERE e.org = $1 AND e.first_failure_at IS NOT NULL AND e.deleted_at IS NULL
         AND a.deleted_at IS NULL ORDER BY e.first_failure_at, e.endpoint LIMIT $2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = conn.query(sql, &[&&org.raw()[..], &limit]).await?;
    let failing = |row: &Row| {
        Ok(FailingEndpoint {
            app: rows::id(row, 0)?,
            endpoint: rows::id(row, 1)?,
            since: rows::time(row, 2)?,
            disabled: rows::get(row, 3)?,
        })
    };
    found.iter().map(failing).collect()
}

pub(super) async fn pending_work(
    conn: &Conn,
    org: OrganizationId,
    limit: usize,
) -> Result<Vec<PendingWork>> {
    let sql = "/* pending_work */ SELECT app, sum(count)::bigint AS pending FROM pending
         WHERE org = $1 GROUP BY app HAVING sum(count) > 0 ORDER BY pending DESC, app LIMIT $2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = conn.query(sql, &[&&org.raw()[..], &limit]).await?;
    let work = |row: &Row| {
        let pending = rows::get::<i64>(row, 1)?.unsigned_abs();
        Ok(PendingWork { app: rows::id(row, 0)?, pending })
    };
    found.iter().map(work).collect()
}
