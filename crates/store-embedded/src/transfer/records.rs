//! Tokens, revocations, tasks, alerts, the audit.

use domain::alert::{Alert, Rule};
use rusqlite::{Connection, params};
use store::{
    transfer::{AuditRow, Batch, Limits, Record},
    vault::Vault,
};

use super::{Key, page, there_already};
use crate::{alerts, error::Result, rows, tasks, tokens, tx::Tx};

pub(super) fn tokens(conn: &Connection, after: &Key, limits: Limits) -> Result<Batch> {
    let columns = tokens::COLUMNS;
    let sql = format!("/* export */ SELECT {columns} FROM token WHERE id > ?1 ORDER BY id");
    page(conn, &sql, [&after.rest], limits, |row| {
        let token = tokens::token(row)?;
        Ok((Key::place(0, &[token.id.raw()]), Some(Record::Token(token))))
    })
}

pub(super) fn revocations(conn: &Connection, after: &Key, limits: Limits) -> Result<Batch> {
    let sql = "/* export */ SELECT token, org, app, session_id, issued_until, at, forget_at, no
               FROM revocation WHERE no > ?1 ORDER BY no";
    page(conn, sql, [after.no], limits, |row| {
        let record = Record::Revocation(tokens::revocation(row)?);
        Ok((Key::place(row.get(7)?, &[]), Some(record)))
    })
}

pub(super) fn tasks(conn: &Connection, after: &Key, limits: Limits) -> Result<Batch> {
    let sql = format!("/* export */ SELECT {} FROM task WHERE id > ?1 ORDER BY id", tasks::COLUMNS);
    page(conn, &sql, [&after.rest], limits, |row| {
        let task = tasks::task(row)?;
        Ok((Key::place(0, &[task.id.raw()]), Some(Record::Task(task))))
    })
}

pub(super) fn alert_rules(
    conn: &Connection,
    vault: &Vault,
    after: &Key,
    limits: Limits,
) -> Result<Batch> {
    let sql = format!(
        "/* export */ SELECT {} FROM alert_rule WHERE (org, id) > (?1, ?2) ORDER BY org, id",
        alerts::RULE
    );
    page(conn, &sql, [after.id(0), after.id(1)], limits, |row| {
        let rule = alerts::rule(row, vault)?;
        Ok((Key::place(0, &[rule.org.raw(), rule.id.raw()]), Some(Record::AlertRule(rule))))
    })
}

pub(super) fn alerts(conn: &Connection, after: &Key, limits: Limits) -> Result<Batch> {
    let sql = "/* export */ SELECT doc FROM alert WHERE (org, id) > (?1, ?2) ORDER BY org, id";
    page(conn, sql, [after.id(0), after.id(1)], limits, |row| {
        let alert: Alert = rows::json(row, 0)?;
        Ok((Key::place(0, &[alert.org.raw(), alert.id.raw()]), Some(Record::Alert(alert))))
    })
}

pub(super) fn write_alert_rule(tx: &mut Tx<'_>, rule: &Rule) -> Result<()> {
    match alerts::write(tx, rule, None)? {
        true => Ok(()),
        false => Err(there_already(rule.id)),
    }
}

pub(super) fn write_alert(tx: &mut Tx<'_>, alert: &Alert) -> Result<()> {
    match alerts::put(tx, alert)? {
        true => Ok(()),
        false => Err(there_already(alert.id)),
    }
}

pub(super) fn audit(conn: &Connection, after: &Key, limits: Limits) -> Result<Batch> {
    let sql = "/* export */ SELECT a.no, o.id, a.at, a.actor, a.action, a.target, a.detail
               FROM audit a CROSS JOIN organization o ON o.no = a.org_no
               WHERE a.no > ?1 ORDER BY a.no";
    page(conn, sql, [after.no], limits, |row| {
        let record = Record::Audit(AuditRow {
            org: rows::id(row, 1)?,
            at: rows::time(row, 2)?,
            actor: row.get(3)?,
            action: row.get(4)?,
            target: row.get(5)?,
            detail: row.get(6)?,
        });
        Ok((Key::place(row.get(0)?, &[]), Some(record)))
    })
}

pub(super) fn write_audit(tx: &mut Tx<'_>, row: &AuditRow) -> Result<()> {
    let org_no = tx.org_no(row.org)?;
    let sql = "/* import */ INSERT INTO audit (org_no, at, actor, action, target, detail)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let at = row.at.as_micros();
    let params = params![org_no, at, row.actor, row.action, row.target, row.detail];
    tx.conn.prepare_cached(sql)?.execute(params)?;
    Ok(())
}
