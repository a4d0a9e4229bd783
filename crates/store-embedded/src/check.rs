//! Whether what is stored is whole.

use rusqlite::{Connection, params};
use store::housekeeping::CheckReport;

use crate::{analytics, error::Result, rows, schema, unscheduled};

/// Most findings of a kind that are named one by one.
const MOST_NAMED: usize = 20;

/// What a check found.
pub(crate) struct Found {
    pub(crate) report: CheckReport,
    /// Accepted, not ended and not scheduled.
    pub(crate) unscheduled: u64,
}

/// Compares every row with those that belong to it, all at one moment. That takes as long as reading
/// the file does; the log grows meanwhile.
pub(crate) fn check(conn: &Connection) -> Result<Found> {
    let transaction = conn.unchecked_transaction()?;
    let mut report = CheckReport::default();
    facts(conn, &mut report)?;
    let mut whole = conn.prepare("PRAGMA integrity_check(20)")?;
    for line in whole.query_map([], |row| row.get::<_, String>(0))? {
        match line? {
            ok if ok == "ok" => report.facts.push("every page and index is whole".into()),
            damage => report.problems.push(format!("damaged: {damage}")),
        }
    }
    let unscheduled = unscheduled::count(conn)?;
    let checks = [
        ("pending deliveries are not scheduled", unscheduled),
        (
            "scheduled deliveries are not on record as pending",
            count(
                conn,
                "/* check */ SELECT count(*) FROM due u LEFT JOIN delivery d
                    ON d.endpoint_no = u.lane & 0xffffffffff AND d.message_id = u.message_id
                    AND d.delivery_id = u.delivery_id AND d.state IS NULL
                 WHERE d.endpoint_no IS NULL",
            )?,
        ),
        (
            "scheduled deliveries have no message",
            count(
                conn,
                "/* check */ SELECT count(*) FROM due u
                 LEFT JOIN message m ON m.app_no = u.app_no AND m.id = u.message_id
                 WHERE m.id IS NULL",
            )?,
        ),
        (
            "scheduled deliveries have lost their payload before its time",
            count(
                conn,
                "/* check */ SELECT count(*) FROM due u
                 JOIN message m ON m.app_no = u.app_no AND m.id = u.message_id
                 LEFT JOIN payload p ON p.id = m.payload
                 WHERE m.payload > (SELECT swept FROM progress) AND p.id IS NULL",
            )?,
        ),
        (
            "more or fewer deliveries are scheduled than counted",
            count(
                conn,
                "/* check */ SELECT abs((SELECT pending FROM progress) - (SELECT count(*) FROM due))",
            )?,
        ),
    ];
    let wrong = checks.into_iter().filter(|(_, count)| *count > 0);
    report.problems.extend(wrong.map(|(what, count)| format!("{count} {what}")));
    routed(conn, &mut report)?;
    analytics::check(conn, &mut report)?;
    drop(whole);
    drop(transaction);
    Ok(Found { report, unscheduled })
}

fn count(conn: &Connection, sql: &str) -> Result<u64> {
    Ok(conn.query_row(sql, [], |row| row.get::<_, i64>(0))?.unsigned_abs())
}

fn facts(conn: &Connection, report: &mut CheckReport) -> Result<()> {
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    report.facts.push(format!("SQLite {}, file version {version}", rusqlite::version()));
    let sync = if schema::has_fdatasync() { "on" } else { "OFF: each commit syncs metadata too" };
    report.facts.push(format!("fdatasync is {sync}"));
    for (table, name) in [
        ("application", "applications"),
        ("endpoint", "endpoints"),
        ("message", "messages"),
        ("payload", "payloads"),
        ("delivery", "deliveries"),
        ("due", "of them pending"),
        ("attempt", "attempts"),
        ("claim", "claims"),
        ("claim_recent", "young claims"),
    ] {
        let rows = count(conn, &format!("/* check */ SELECT count(*) FROM {table}"))?;
        report.facts.push(format!("{rows} {name}"));
    }
    Ok(())
}

/// Each message as many automatic deliveries on record as it was routed to.
fn routed(conn: &Connection, report: &mut CheckReport) -> Result<()> {
    let mut messages = conn.prepare("/* check */ SELECT id, routed, endpoints FROM message")?;
    let mut deliveries = conn.prepare(
        "/* check */ SELECT count(*) FROM delivery
         WHERE endpoint_no = ?1 AND message_id = ?2 AND trigger = 0",
    )?;
    let mut found = messages.query([])?;
    let mut wrong = 0;
    while let Some(row) = found.next()? {
        let id: domain::id::MessageId = rows::id(row, 0)?;
        let (routed, endpoints): (i64, Vec<u8>) = (row.get(1)?, row.get(2)?);
        let mut on_record = 0;
        for endpoint_no in rows::numbers(&endpoints) {
            on_record +=
                deliveries.query_row(params![endpoint_no, id.raw()], |row| row.get::<_, i64>(0))?;
        }
        if on_record != routed {
            wrong += 1;
            if wrong <= MOST_NAMED {
                let line = format!("{id} was routed to {routed} endpoints, on record: {on_record}");
                report.problems.push(line);
            }
        }
    }
    if wrong > MOST_NAMED {
        report.problems.push(format!("{wrong} messages in all do not match their deliveries"));
    }
    Ok(())
}
