//! Whether what is stored is whole.

use domain::{
    id::{ApplicationId, EndpointId, MessageId, OrganizationId},
    shard::Shard,
};
use store::housekeeping::CheckReport;
use tokio_postgres::Client;

use crate::{Shared, analytics, error::Result, rows};

/// Most findings of a kind that are named one by one.
const MOST_NAMED: usize = 20;

/// All at one moment, however long it takes. The tables are locked before that moment, against nobody
/// but who would drop one: its rows would be gone while those that point there are still seen.
pub(crate) const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s';
    SET LOCAL idle_in_transaction_session_timeout = 0;
    LOCK TABLE message, payload, delivery, attempt, due, pending IN ACCESS SHARE MODE";

/// A finding, and how to count it.
const CHECKS: [(&str, &str); 4] = [
    (
        UNSCHEDULED,
        "/* check */ SELECT count(*) FROM delivery d WHERE d.state IS NULL AND NOT EXISTS
             (SELECT 1 FROM due u WHERE u.org = d.org AND u.app = d.app AND u.endpoint = d.endpoint
              AND u.message = d.message AND u.delivery = d.delivery AND u.due = d.next_due
              AND u.attempts = d.attempts)",
    ),
    (
        "scheduled deliveries are not on record as pending",
        "/* check */ SELECT count(*) FROM due u WHERE NOT EXISTS
             (SELECT 1 FROM delivery d WHERE d.org = u.org AND d.app = u.app
              AND d.endpoint = u.endpoint AND d.message = u.message AND d.delivery = u.delivery
              AND d.state IS NULL)",
    ),
    (
        "scheduled deliveries have no message",
        "/* check */ SELECT count(*) FROM due u WHERE NOT EXISTS
             (SELECT 1 FROM message m WHERE m.org = u.org AND m.app = u.app AND m.id = u.message)",
    ),
    (
        "scheduled deliveries have lost their payload before its time",
        "/* check */ SELECT count(*) FROM due u
         JOIN message m ON m.org = u.org AND m.app = u.app AND m.id = u.message
         WHERE m.has_payload AND m.expires_at > coalesce((SELECT convert_from(value, 'UTF8')::bigint
             FROM meta WHERE name = 'payloads_swept'), 0)
         AND NOT EXISTS (SELECT 1 FROM payload p WHERE p.org = m.org AND p.app = m.app
             AND p.message = m.id AND p.expires_at = m.expires_at)",
    ),
];
const UNSCHEDULED: &str = "pending deliveries are not scheduled";

/// What a check found.
pub(crate) struct Found {
    pub(crate) report: CheckReport,
    /// Accepted, not ended and not scheduled.
    pub(crate) unscheduled: u64,
}

/// Compares every row with those that belong to it, on a connection of its own.
pub(crate) async fn check(shared: &Shared) -> Result<Found> {
    let (client, _) = shared.connector.connect_one(None).await?;
    client.batch_execute(BEGIN).await?;
    let mut found = Found { report: CheckReport::default(), unscheduled: 0 };
    let report = &mut found.report;
    server(&client, report).await?;
    tables(&client, report).await?;
    for (what, sql) in CHECKS {
        let wrong = count(&client, sql).await?;
        if wrong > 0 {
            report.problems.push(format!("{wrong} {what}"));
        }
        if what == UNSCHEDULED {
            found.unscheduled = wrong;
        }
    }
    shards(&client, report).await?;
    counted(&client, report).await?;
    routed(&client, report).await?;
    client.batch_execute("ROLLBACK").await?;
    analytics::check(shared, report).await?;
    Ok(found)
}

async fn count(client: &Client, sql: &str) -> Result<u64> {
    rows::narrow(rows::get::<i64>(&client.query_one(sql, &[]).await?, 0)?)
}

/// What its promises rest on.
async fn server(client: &Client, report: &mut CheckReport) -> Result<()> {
    let sql = "/* check */ SELECT current_setting('server_version'),
             (SELECT version FROM hookwright_version), current_setting('fsync'),
             current_setting('full_page_writes'), current_setting('synchronous_commit'),
             (SELECT count(*) FROM pg_stat_replication),
             current_setting('synchronous_standby_names')";
    let row = client.query_one(sql, &[]).await?;
    let text = |column| rows::get::<&str>(&row, column);
    let version = rows::get::<i32>(&row, 1)?;
    report.facts.push(format!("PostgreSQL {}, tables of version {version}", text(0)?));
    let loud = |setting: &str| match setting {
        "off" => "OFF: what is acknowledged can be lost".to_owned(),
        setting => setting.to_owned(),
    };
    for (name, column) in [("fsync", 2), ("full_page_writes", 3), ("synchronous_commit", 4)] {
        report.facts.push(format!("{name} is {}", loud(text(column)?)));
    }
    let synchronous = match text(6)? {
        "" => "none of them synchronous",
        names => names,
    };
    let standbys = rows::get::<i64>(&row, 5)?;
    report.facts.push(match standbys {
        0 => "no standby is connected".into(),
        standbys => format!("{standbys} standbys are connected ({synchronous})"),
    });
    Ok(())
}

async fn tables(client: &Client, report: &mut CheckReport) -> Result<()> {
    for (table, name) in [
        ("application", "applications"),
        ("endpoint", "endpoints"),
        ("message", "messages"),
        ("payload", "payloads"),
        ("delivery", "deliveries"),
        ("due", "of them pending"),
        ("attempt", "attempts"),
        ("claim", "claims"),
    ] {
        let rows = count(client, &format!("/* check */ SELECT count(*) FROM {table}")).await?;
        report.facts.push(format!("{rows} {name}"));
    }
    Ok(())
}

/// Work is where its owner looks for it.
async fn shards(client: &Client, report: &mut CheckReport) -> Result<()> {
    let sql = "/* check */ SELECT DISTINCT shard, org, app, endpoint FROM due";
    let mut wrong = 0;
    for row in client.query(sql, &[]).await? {
        let (org, app): (OrganizationId, ApplicationId) = (rows::id(&row, 1)?, rows::id(&row, 2)?);
        let endpoint: EndpointId = rows::id(&row, 3)?;
        wrong += u64::from(
            Shard::of(&org, &app, &endpoint) != Shard(rows::narrow(rows::get::<i16>(&row, 0)?)?),
        );
    }
    if wrong > 0 {
        report.problems.push(format!("{wrong} endpoints have work in a wrong shard"));
    }
    Ok(())
}

/// Of each application as much is scheduled as is counted.
async fn counted(client: &Client, report: &mut CheckReport) -> Result<()> {
    let sql = "/* check */ SELECT app, coalesce(c.count, 0), coalesce(u.count, 0)
         FROM (SELECT org, app, sum(count)::bigint AS count FROM pending GROUP BY org, app) c
         FULL JOIN (SELECT org, app, count(*) AS count FROM due GROUP BY org, app) u
             USING (org, app)
         WHERE coalesce(c.count, 0) <> coalesce(u.count, 0) ORDER BY org, app";
    let found = client.query(sql, &[]).await?;
    for row in found.iter().take(MOST_NAMED) {
        let (app, counted): (ApplicationId, i64) = (rows::id(row, 0)?, rows::get(row, 1)?);
        let scheduled: i64 = rows::get(row, 2)?;
        report.problems.push(format!(
            "{scheduled} deliveries of {app} are scheduled, and {counted} are counted"
        ));
    }
    if found.len() > MOST_NAMED {
        let wrong = found.len();
        report.problems.push(format!("{wrong} applications in all have a wrong count"));
    }
    Ok(())
}

/// Each message as many automatic deliveries on record as it was routed to.
async fn routed(client: &Client, report: &mut CheckReport) -> Result<()> {
    // Endpoint by endpoint, by the key of the table.
    let sql = "/* check */ SELECT m.id, m.routed, r.count, count(*) OVER () FROM message m
         CROSS JOIN LATERAL (SELECT coalesce(sum(d.count), 0)::bigint AS count
             FROM (SELECT DISTINCT substr(m.endpoints, place, 20) AS endpoint
                   FROM generate_series(1, length(m.endpoints), 20) AS place) e
             CROSS JOIN LATERAL (SELECT count(*) AS count FROM delivery d WHERE d.org = m.org
                 AND d.app = m.app AND d.endpoint = e.endpoint AND d.message = m.id
                 AND d.trigger = 0) d) r
         WHERE r.count <> m.routed LIMIT $1";
    let most = i64::try_from(MOST_NAMED).unwrap_or(i64::MAX);
    let mut wrong = 0;
    for row in client.query(sql, &[&most]).await? {
        let (id, routed): (MessageId, i32) = (rows::id(&row, 0)?, rows::get(&row, 1)?);
        let on_record: i64 = rows::get(&row, 2)?;
        wrong = rows::narrow(rows::get::<i64>(&row, 3)?)?;
        let line = format!("{id} was routed to {routed} endpoints, on record: {on_record}");
        report.problems.push(line);
    }
    if wrong > MOST_NAMED {
        report.problems.push(format!("{wrong} messages in all do not match their deliveries"));
    }
    Ok(())
}
