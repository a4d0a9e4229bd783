//! The truth about minutes, from messages and attempts.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use domain::{
    analytics::{Counted as Record, CountedAttempt, LONGEST_ATTEMPT, Rollup, Unit},
    clock::Timestamp,
    id::{AttemptId, EndpointId, MessageId},
};
use store::{
    analytics::{RollupRow, Span},
    codec,
    history::Tenant,
};

use super::{gather::Key, rows as stored};
use crate::{
    Shared,
    conn::{Conn, Params},
    error::{Error, Result},
    rows,
};

/// Endpoints of one statement, and how many attempts of each it reads.
pub(super) const ENDPOINTS: usize = 100;
const ATTEMPTS: usize = 500;
/// Endpoints that are listed at a time, and messages that are read.
pub(super) const PAGE: usize = 1_000;

pub(super) type Counted = BTreeMap<Key, Rollup>;

/// An endpoint of which attempts are read.
pub(super) struct Walk {
    tenant: Tenant,
    pub(super) endpoint: EndpointId,
    /// Those that ended before are left out.
    since: Timestamp,
    /// The last one that was read.
    behind: [u8; 20],
}

impl Walk {
    pub(super) fn new(tenant: Tenant, endpoint: EndpointId, since: Timestamp) -> Self {
        let behind = *AttemptId::floor(since.minus(LONGEST_ATTEMPT)).raw();
        Self { tenant, endpoint, since, behind }
    }
}

/// Few attempts are left out; each endpoint's are found by their key.
fn attempts_sql() -> String {
    // All of an attempt but what is long.
    let columns = rows::ATTEMPT.replace("t.response", "''::bytea").replace("t.url", "''");
    let columns = columns.replace("t.secrets", "''::bytea");
    format!(
        "/* recount */ SELECT {columns}, u.place, m.event_type, m.created_at, m.deliver_at
         FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bigint[])
             WITH ORDINALITY AS u (org, app, endpoint, behind, since, place)
         CROSS JOIN LATERAL (SELECT * FROM attempt t WHERE t.org = u.org AND t.app = u.app
             AND t.endpoint = u.endpoint AND t.id > u.behind AND t.id < $6 AND NOT t.superseded
             AND t.started_at + t.duration >= u.since AND t.started_at + t.duration < $7
             ORDER BY t.id LIMIT $8) t
         LEFT JOIN LATERAL (SELECT m.event_type, m.created_at, m.deliver_at FROM message m
             WHERE m.org = t.org AND m.app = t.app AND m.id = t.message OFFSET 0) m ON true
         ORDER BY u.place, t.id"
    )
}

/// Tells of a page of the attempts that ended before `until`, with the minutes that they count in, and
/// takes those endpoints off the list of which there are no more.
pub(super) async fn attempts(
    conn: &Conn,
    walks: &mut VecDeque<Walk>,
    until: Timestamp,
    mut tell: impl FnMut(Key, Record),
) -> Result<()> {
    let mut page: Vec<Walk> = walks.drain(..walks.len().min(ENDPOINTS)).collect();
    let orgs: Vec<&[u8]> = page.iter().map(|walk| &walk.tenant.org.raw()[..]).collect();
    let apps: Vec<&[u8]> = page.iter().map(|walk| &walk.tenant.app.raw()[..]).collect();
    let endpoints: Vec<&[u8]> = page.iter().map(|walk| &walk.endpoint.raw()[..]).collect();
    let behind: Vec<&[u8]> = page.iter().map(|walk| &walk.behind[..]).collect();
    let since: Vec<i64> = page.iter().map(|walk| walk.since.as_micros()).collect();
    let end = match until {
        Timestamp::MAX => [0xff; 20],
        until => *AttemptId::floor(until).raw(),
    };
    let (limit, before) = (ATTEMPTS as i64, until.as_micros());
    let params: Params<'_> =
        &[&orgs, &apps, &endpoints, &behind, &since, &end.as_slice(), &before, &limit];
    let found = conn.query(&attempts_sql(), params).await?;
    let mut read = vec![0; page.len()];
    for row in &found {
        let place = usize::try_from(rows::get::<i64>(row, 17)? - 1).map_err(Error::corrupt)?;
        let walk = &mut page[place];
        let attempt = rows::attempt(row, walk.tenant, walk.endpoint)?;
        (walk.behind, read[place]) = (*attempt.id.raw(), read[place] + 1);
        // As `Message::wanted_at` says. Of one that is gone nothing is known.
        let wanted_at = rows::opt_time(row, 19)?.max(rows::opt_time(row, 20)?);
        let attempt = CountedAttempt::new(&attempt, wanted_at.unwrap_or(attempt.started_at));
        let key = Key {
            org: walk.tenant.org,
            app: walk.tenant.app,
            at: Unit::Minute.floor(attempt.ended_at),
            endpoint: Some(walk.endpoint),
            event_type: stored::event_type(rows::get::<Option<_>>(row, 18)?.unwrap_or_default())?,
        };
        tell(key, Record::Attempt(attempt));
    }
    let more = page.into_iter().zip(read).filter(|(_, read)| *read == ATTEMPTS);
    walks.extend(more.map(|(walk, _)| walk));
    Ok(())
}

/// Tells of an application's messages of a span of time, with the minutes that they count in.
pub(super) async fn messages(
    conn: &Conn,
    tenant: Tenant,
    (from, until): (Timestamp, Timestamp),
    mut tell: impl FnMut(Key, Record),
) -> Result<()> {
    let sql = format!(
        "/* recount */ SELECT m.id, m.event_type, m.created_at, p.codec, p.body
         FROM (SELECT * FROM message m WHERE m.org = $1 AND m.app = $2 AND m.id > $3 AND m.id < $4
             ORDER BY m.id LIMIT $5) m {} ORDER BY m.id",
        rows::join_payload("")
    );
    // The time of an id is that of its message, to a few milliseconds.
    let second = Duration::from_secs(1);
    let mut after = *MessageId::floor(from.minus(second)).raw();
    let end = *MessageId::floor(until.plus(second)).raw();
    loop {
        let (org, app) = (&tenant.org.raw()[..], &tenant.app.raw()[..]);
        let params: Params<'_> = &[&org, &app, &&after[..], &&end[..], &(PAGE as i64)];
        let found = conn.query(&sql, params).await?;
        for row in &found {
            after = *rows::id::<MessageId>(row, 0)?.raw();
            let created_at = rows::time(row, 2)?;
            if created_at < from || created_at >= until {
                continue;
            }
            let bytes = match rows::get::<Option<i16>>(row, 3)? {
                None => None,
                Some(codec) => {
                    Some(codec::decode(rows::narrow(codec)?, rows::bytes(row, 4)?)?.len())
                }
            };
            let key = Key {
                org: tenant.org,
                app: tenant.app,
                at: Unit::Minute.floor(created_at),
                endpoint: None,
                event_type: stored::event_type(rows::get(row, 1)?)?,
            };
            tell(key, Record::Message(bytes));
        }
        if found.len() < PAGE {
            return Ok(());
        }
    }
}

/// What the rollups of an application's minutes must say.
pub(super) async fn recount(shared: &Shared, tenant: Tenant, span: Span) -> Result<Vec<RollupRow>> {
    let tx = shared.snapshot().await?;
    let mut counted = Counted::new();
    let mut count = |key, record: Record| record.add_to(counted.entry(key).or_default());
    messages(&tx, tenant, (span.from, span.until), &mut count).await?;
    let sql = "/* recount */ SELECT endpoint FROM endpoint WHERE org = $1 AND app = $2";
    let (org, app) = (&tenant.org.raw()[..], &tenant.app.raw()[..]);
    let mut walks = VecDeque::new();
    for row in tx.query(sql, &[&org, &app]).await? {
        walks.push_back(Walk::new(tenant, rows::id(&row, 0)?, span.from));
    }
    while !walks.is_empty() {
        attempts(&tx, &mut walks, span.until, &mut count).await?;
    }
    tx.rollback().await?;
    let row = |(key, rollup): (Key, Rollup)| RollupRow {
        at: key.at,
        app: Some(key.app),
        endpoint: key.endpoint,
        event_type: key.event_type,
        rollup,
    };
    Ok(counted.into_iter().map(row).collect())
}
