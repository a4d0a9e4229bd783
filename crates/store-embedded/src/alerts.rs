//! Alert rules, and what fired.

use async_trait::async_trait;
use domain::{
    alert::{Alert, MAX_RULES, Rule},
    clock::Timestamp,
    id::{AlertId, AlertRuleId, ApplicationId, EndpointId, OrganizationId},
    page::{Page, PageRequest},
    token::Actor,
};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use serde_json::json;
use store::{
    Alerts,
    alert_doc::{read_rule, rule_doc},
    alerts::OldestDue,
    catalog::Refused,
    paging::Window,
    sealed,
    vault::Vault,
};

use crate::{
    EmbeddedStore, catalog,
    error::{Error, Result},
    rows,
    tx::{self, Tx},
    writer::Label,
};

/// Endpoints with work that are looked at for the oldest of it.
const MOST_LANES: usize = 20_000;
/// Columns that [`rule`] reads.
pub(crate) const RULE: &str = "org, id, doc, channels";

pub(crate) fn rule(row: &Row<'_>, vault: &Vault) -> Result<Rule> {
    let doc = row.get_ref(2)?.as_str().map_err(Error::corrupt)?;
    let channels = row.get_ref(3)?.as_blob().map_err(Error::corrupt)?;
    Ok(read_rule(vault, rows::id(row, 0)?, rows::id(row, 1)?, doc, channels)?)
}

fn rules(conn: &Connection, vault: &Vault, sql: &str, params: impl Params) -> Result<Vec<Rule>> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut found = statement.query(params)?;
    let mut rules = Vec::new();
    while let Some(row) = found.next()? {
        rules.push(rule(row, vault)?);
    }
    Ok(rules)
}

fn alerts(conn: &Connection, sql: &str, params: impl Params) -> Result<Vec<Alert>> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut found = statement.query(params)?;
    let mut alerts = Vec::new();
    while let Some(row) = found.next()? {
        alerts.push(rows::json(row, 0)?);
    }
    Ok(alerts)
}

/// Writes a rule. Whether one was written: where one is expected, only if it is there as it was.
pub(crate) fn write(tx: &Tx<'_>, rule: &Rule, expected: Option<Timestamp>) -> Result<bool> {
    let sql = match expected {
        None => {
            "/* create_alert_rule */ INSERT INTO alert_rule (org, id, updated_at, doc, channels)
             SELECT ?1, ?2, ?3, ?4, ?5
             WHERE (SELECT count(*) FROM alert_rule WHERE org = ?1) < ?6"
        }
        Some(_) => {
            "/* update_alert_rule */ UPDATE alert_rule SET updated_at = ?3, doc = ?4, channels = ?5
             WHERE org = ?1 AND id = ?2 AND updated_at = ?6"
        }
    };
    let channels = sealed::seal_channels(&tx.ports.vault, rule.org, rule.id, &rule.channels);
    let written = tx.conn.prepare_cached(sql)?.execute(params![
        rule.org.raw(),
        rule.id.raw(),
        rule.updated_at.as_micros(),
        rule_doc(rule),
        channels,
        expected.map_or(MAX_RULES as i64, Timestamp::as_micros),
    ])?;
    Ok(written > 0)
}

fn audit(
    tx: &mut Tx<'_>,
    org: OrganizationId,
    actor: &Actor,
    action: &str,
    rule: &AlertRuleId,
    detail: &serde_json::Value,
) -> Result<()> {
    let org_no = tx.org_no(org)?;
    catalog::audit(tx, org_no, actor, action, rule, detail)
}

/// What the audit says of a rule: nothing secret.
fn detail(rule: &Rule) -> serde_json::Value {
    let channels: Vec<_> = rule.channels.iter().map(domain::alert::Channel::shown).collect();
    let (enabled, condition) = (rule.enabled, rule.condition.kind());
    json!({ "name": rule.name, "enabled": enabled, "condition": condition, "channels": channels })
}

pub(crate) fn put(tx: &Tx<'_>, alert: &Alert) -> Result<bool> {
    let sql = "/* put_alert */ INSERT INTO alert (org, id, rule, subject, open, live, doc)
        SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT (?5 AND EXISTS (SELECT 1 FROM alert
            WHERE org = ?1 AND rule = ?3 AND subject = ?4 AND open AND id <> ?2))
        ON CONFLICT (org, id) DO UPDATE SET open = excluded.open, live = excluded.live,
        doc = excluded.doc";
    let written = tx.conn.prepare_cached(sql)?.execute(params![
        alert.org.raw(),
        alert.id.raw(),
        alert.rule.raw(),
        alert.subject.to_string(),
        alert.is_open(),
        alert.is_live(),
        rows::to_json(alert),
    ])?;
    Ok(written > 0)
}

/// Looks at the first row of each lane with work.
fn oldest_due(conn: &Connection, org: OrganizationId) -> Result<Option<OldestDue>> {
    let mut next = conn.prepare_cached(
        "/* oldest_due */ SELECT lane, due FROM due WHERE lane > ?1 ORDER BY lane, due LIMIT 1",
    )?;
    let mut owner = conn.prepare_cached(
        "/* oldest_due */ SELECT a.id, e.id FROM endpoint e
         CROSS JOIN application a ON a.no = e.app_no
         CROSS JOIN organization o ON o.no = a.org_no
         WHERE e.no = ?1 AND o.id = ?2 AND NOT e.disabled AND e.deleted_at IS NULL
         AND a.deleted_at IS NULL",
    )?;
    let (mut lane, mut oldest) = (-1, None::<OldestDue>);
    for _ in 0..MOST_LANES {
        let head = next.query_row([lane], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((found, due)): Option<(i64, i64)> = head else { break };
        lane = found;
        let due = Timestamp::from_micros(due);
        if oldest.is_some_and(|oldest| oldest.due <= due) {
            continue;
        }
        let params = params![tx::endpoint_of(lane), org.raw()];
        let ids = owner.query_row(params, |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        if let Some((app, endpoint)) = ids {
            let (app, endpoint) = (ApplicationId::from_raw(app), EndpointId::from_raw(endpoint));
            oldest = Some(OldestDue { app, endpoint, due });
        }
    }
    Ok(oldest)
}

/// Organization, rule.
type RulePlace = ([u8; 20], [u8; 20]);

/// Seals with the newest key the channels of up to `limit` rules behind `after`. Returns the last one looked
/// at (`None` at the end), and how many were sealed anew.
pub(crate) fn reseal(
    tx: &mut Tx<'_>,
    after: RulePlace,
    limit: usize,
) -> Result<(Option<RulePlace>, usize)> {
    let vault = tx.ports.vault.clone();
    let mut statement = tx.conn.prepare_cached(
        "/* reseal */ SELECT org, id, channels FROM alert_rule WHERE (org, id) > (?1, ?2)
         ORDER BY org, id LIMIT ?3",
    )?;
    let mut update = tx.conn.prepare_cached(
        "/* reseal */ UPDATE alert_rule SET channels = ?3 WHERE org = ?1 AND id = ?2",
    )?;
    let mut found = statement.query(params![after.0, after.1, limit as i64])?;
    let (mut last, mut resealed) = (None, 0);
    while let Some(row) = found.next()? {
        let (org, id): (OrganizationId, AlertRuleId) = (rows::id(row, 0)?, rows::id(row, 1)?);
        last = Some((*org.raw(), *id.raw()));
        let sealed = row.get_ref(2)?.as_blob().map_err(Error::corrupt)?;
        if let Some(anew) = vault.reseal(&sealed::channels_owner(org, id), sealed)? {
            update.execute(params![org.raw(), id.raw(), anew])?;
            resealed += 1;
        }
    }
    Ok((last, resealed))
}

/// A place behind which to go on; before all of them if there is none.
fn behind<I: domain::id::Id>(after: Option<(OrganizationId, I)>) -> (Vec<u8>, Vec<u8>) {
    after.map_or((vec![], vec![]), |(org, id)| (org.raw().to_vec(), id.raw().to_vec()))
}

#[async_trait]
impl Alerts for EmbeddedStore {
    async fn create_alert_rule(&self, actor: &Actor, rule: Rule) -> store::Result<bool> {
        let actor = actor.clone();
        self.writer
            .write(Label::other("create_alert_rule"), move |tx| {
                let written = write(tx, &rule, None)?;
                if written {
                    audit(tx, rule.org, &actor, "alert_rule.create", &rule.id, &detail(&rule))?;
                }
                Ok(written)
            })
            .await
    }

    async fn update_alert_rule(
        &self,
        actor: &Actor,
        rule: Rule,
        expected: Timestamp,
    ) -> store::Result<Result<(), Refused<AlertRuleId>>> {
        let actor = actor.clone();
        self.writer
            .write(Label::other("update_alert_rule"), move |tx| {
                if write(tx, &rule, Some(expected))? {
                    audit(tx, rule.org, &actor, "alert_rule.update", &rule.id, &detail(&rule))?;
                    return Ok(Ok(()));
                }
                let sql = "/* update_alert_rule */ SELECT 1 FROM alert_rule
                           WHERE org = ?1 AND id = ?2";
                let there = tx.conn.prepare_cached(sql)?.exists([rule.org.raw(), rule.id.raw()])?;
                Ok(Err(if there { Refused::Stale } else { Refused::NotFound }))
            })
            .await
    }

    async fn delete_alert_rule(
        &self,
        actor: &Actor,
        org: OrganizationId,
        rule: AlertRuleId,
    ) -> store::Result<bool> {
        let actor = actor.clone();
        self.writer
            .write(Label::other("delete_alert_rule"), move |tx| {
                let sql = "/* delete_alert_rule */ DELETE FROM alert_rule
                           WHERE org = ?1 AND id = ?2";
                let deleted = tx.conn.prepare_cached(sql)?.execute([org.raw(), rule.raw()])? > 0;
                if deleted {
                    audit(tx, org, &actor, "alert_rule.delete", &rule, &json!({}))?;
                }
                Ok(deleted)
            })
            .await
    }

    async fn alert_rule(
        &self,
        org: OrganizationId,
        rule: AlertRuleId,
    ) -> store::Result<Option<Rule>> {
        let vault = self.ports.vault.clone();
        self.readers
            .read(move |conn| {
                let sql = format!(
                    "/* alert_rule */ SELECT {RULE} FROM alert_rule WHERE org = ?1 AND id = ?2"
                );
                Ok(rules(conn, &vault, &sql, [org.raw(), rule.raw()])?.pop())
            })
            .await
    }

    async fn alert_rules(
        &self,
        org: OrganizationId,
        page: PageRequest<AlertRuleId>,
    ) -> store::Result<Page<Rule>> {
        let vault = self.ports.vault.clone();
        self.readers
            .read(move |conn| {
                let window = Window::new(&page);
                let sql = format!(
                    "/* alert_rules */ SELECT {RULE} FROM alert_rule
                     WHERE org = ?1 AND id > ?2 AND id < ?3 ORDER BY id {} LIMIT ?4",
                    window.direction()
                );
                let wanted = window.wanted() as i64;
                let params = params![org.raw(), window.above, window.below, wanted];
                Ok(window.page(rules(conn, &vault, &sql, params)?))
            })
            .await
    }

    async fn all_alert_rules(
        &self,
        after: Option<(OrganizationId, AlertRuleId)>,
        limit: usize,
    ) -> store::Result<Vec<Rule>> {
        let vault = self.ports.vault.clone();
        self.readers
            .read(move |conn| {
                let sql = format!(
                    "/* all_alert_rules */ SELECT {RULE} FROM alert_rule
                     WHERE (org, id) > (?1, ?2) ORDER BY org, id LIMIT ?3"
                );
                let (org, id) = behind(after);
                rules(conn, &vault, &sql, params![org, id, limit as i64])
            })
            .await
    }

    async fn put_alert(&self, alert: Alert) -> store::Result<bool> {
        self.writer.write(Label::other("put_alert"), move |tx| put(tx, &alert)).await
    }

    async fn live_alerts(
        &self,
        after: Option<(OrganizationId, AlertId)>,
        limit: usize,
    ) -> store::Result<Vec<Alert>> {
        self.readers
            .read(move |conn| {
                let sql = "/* live_alerts */ SELECT doc FROM alert INDEXED BY alert_live
                    WHERE live AND (org, id) > (?1, ?2) ORDER BY org, id LIMIT ?3";
                let (org, id) = behind(after);
                alerts(conn, sql, params![org, id, limit as i64])
            })
            .await
    }

    async fn alerts(
        &self,
        org: OrganizationId,
        open: bool,
        page: PageRequest<AlertId>,
    ) -> store::Result<Page<Alert>> {
        self.readers
            .read(move |conn| {
                let window = Window::new(&page);
                let sql = format!(
                    "/* alerts */ SELECT doc FROM alert
                     WHERE org = ?1 AND id > ?2 AND id < ?3 {} ORDER BY id {} LIMIT ?4",
                    if open { "AND open" } else { "" },
                    window.direction()
                );
                let wanted = window.wanted() as i64;
                let params = params![org.raw(), window.above, window.below, wanted];
                Ok(window.page(alerts(conn, &sql, params)?))
            })
            .await
    }

    async fn alert(&self, org: OrganizationId, alert: AlertId) -> store::Result<Option<Alert>> {
        self.readers
            .read(move |conn| {
                let sql = "/* alert */ SELECT doc FROM alert WHERE org = ?1 AND id = ?2";
                Ok(alerts(conn, sql, [org.raw(), alert.raw()])?.pop())
            })
            .await
    }

    async fn oldest_due(&self, org: OrganizationId) -> store::Result<Option<OldestDue>> {
        self.readers.read(move |conn| oldest_due(conn, org)).await
    }
}
