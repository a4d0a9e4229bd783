//! Tokens, revocations, tasks, alerts, the audit.

use domain::{
    alert::{Alert, Rule},
    id::AuditId,
    task::Task,
};
use store::{
    StoreError,
    transfer::{AuditRow, Batch, Limits, Record},
    vault::Vault,
};

use super::{Key, limit, page};
use crate::{
    alerts,
    conn::{Conn, Params, Tx},
    error::{Error, Result},
    options::Ports,
    rows, tasks, tokens,
};

pub(super) async fn tokens(conn: &Conn, after: &Key, limits: Limits) -> Result<Batch> {
    let sql = format!(
        "/* export */ SELECT {} FROM token WHERE (org, id) > ($1, $2) ORDER BY org, id LIMIT $3",
        tokens::COLUMNS
    );
    let found = conn.query(&sql, &[&after.part(0), &after.part(1), &limit(limits)]).await?;
    page(&found, |row| {
        let token = tokens::token(row)?;
        Ok((Key::place(&[token.org.raw(), token.id.raw()]), Some(Record::Token(token))))
    })
}

pub(super) async fn revocations(conn: &Conn, after: &Key, limits: Limits) -> Result<Batch> {
    let sql = "/* export */ SELECT token, org, app, session_id, issued_until, at, forget_at, id
               FROM revocation WHERE id > $1 ORDER BY id LIMIT $2";
    let found = conn.query(sql, &[&after.part(0), &limit(limits)]).await?;
    page(&found, |row| {
        let record = Record::Revocation(tokens::revocation(row)?);
        Ok((Key::place(&[rows::bytes(row, 7)?]), Some(record)))
    })
}

pub(super) async fn tasks(conn: &Conn, after: &Key, limits: Limits) -> Result<Batch> {
    let sql = format!(
        "/* export */ SELECT {} FROM task WHERE (org, id) > ($1, $2) ORDER BY org, id LIMIT $3",
        tasks::COLUMNS
    );
    let found = conn.query(&sql, &[&after.part(0), &after.part(1), &limit(limits)]).await?;
    page(&found, |row| {
        let task = tasks::task(row)?;
        Ok((Key::place(&[task.org.raw(), task.id.raw()]), Some(Record::Task(task))))
    })
}

pub(super) async fn alert_rules(
    conn: &Conn,
    vault: &Vault,
    after: &Key,
    limits: Limits,
) -> Result<Batch> {
    let sql = format!(
        "/* export */ SELECT {} FROM alert_rule WHERE (org, id) > ($1, $2) ORDER BY org, id LIMIT $3",
        alerts::RULE
    );
    let found = conn.query(&sql, &[&after.part(0), &after.part(1), &limit(limits)]).await?;
    page(&found, |row| {
        let rule = alerts::rule(row, vault)?;
        Ok((Key::place(&[rule.org.raw(), rule.id.raw()]), Some(Record::AlertRule(rule))))
    })
}

pub(super) async fn alerts(conn: &Conn, after: &Key, limits: Limits) -> Result<Batch> {
    let sql = "/* export */ SELECT doc FROM alert WHERE (org, id) > ($1, $2)
               ORDER BY org, id LIMIT $3";
    let found = conn.query(sql, &[&after.part(0), &after.part(1), &limit(limits)]).await?;
    page(&found, |row| {
        let alert: Alert = rows::json(row, 0)?;
        Ok((Key::place(&[alert.org.raw(), alert.id.raw()]), Some(Record::Alert(alert))))
    })
}

/// One too many, or one for which another one stands.
fn unwritten(what: impl std::fmt::Display) -> Error {
    Error::Store(StoreError::Internal(format!("{what} could not be moved")))
}

pub(super) async fn write_alert_rule(tx: &Tx, ports: &Ports, rule: &Rule) -> Result<()> {
    match alerts::insert(tx, ports, rule).await? {
        true => Ok(()),
        false => Err(unwritten(rule.id)),
    }
}

pub(super) async fn write_alert(tx: &Tx, alert: &Alert) -> Result<()> {
    match alerts::put(tx, alert).await? {
        true => Ok(()),
        false => Err(unwritten(alert.id)),
    }
}

/// In the order of their time: a store may keep them in that in which they come.
pub(super) async fn audit(conn: &Conn, after: &Key, limits: Limits) -> Result<Batch> {
    let sql = "/* export */ SELECT org, at, actor, action, target, detail, id FROM audit
               WHERE (at, org, id) > ($1, $2, $3) ORDER BY at, org, id LIMIT $4";
    let at = after.part(0).try_into().map_or(i64::MIN, i64::from_be_bytes);
    let params: Params<'_> = &[&at, &after.part(1), &after.part(2), &limit(limits)];
    let found = conn.query(sql, params).await?;
    page(&found, |row| {
        let row_of = AuditRow {
            org: rows::id(row, 0)?,
            at: rows::time(row, 1)?,
            actor: rows::get(row, 2)?,
            action: rows::get(row, 3)?,
            target: rows::get(row, 4)?,
            detail: rows::get(row, 5)?,
        };
        let at = row_of.at.as_micros().to_be_bytes();
        let place = Key::place(&[&at, row_of.org.raw(), rows::bytes(row, 6)?]);
        Ok((place, Some(Record::Audit(row_of))))
    })
}

pub(super) async fn write_task(tx: &Tx, task: &Task) -> Result<()> {
    if tasks::add(tx, task).await? {
        return Ok(());
    }
    let id = task.id;
    Err(Error::Store(store::StoreError::Internal(format!("{id} is there already"))))
}

pub(super) async fn write_audit(tx: &Tx, ports: &Ports, row: &AuditRow) -> Result<()> {
    let id = AuditId::generate(row.at, &*ports.entropy);
    tx.execute(
        "/* import */ INSERT INTO audit (org, id, at, actor, action, target, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            &row.org.raw().as_slice(),
            &id.raw().as_slice(),
            &row.at.as_micros(),
            &row.actor,
            &row.action,
            &row.target,
            &row.detail,
        ],
    )
    .await?;
    Ok(())
}
