//! Alert rules, and what fired. Several nodes may take themselves for the one that looks at the rules: an
//! index holds that a rule fires once for a subject.

use std::{convert::Infallible, sync::Arc};

use async_trait::async_trait;
use domain::{
    alert::{Alert, Channel, MAX_RULES, Rule},
    clock::Timestamp,
    id::{AlertId, AlertRuleId, Id, OrganizationId},
    page::{Page, PageRequest},
    token::Actor,
};
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
use tokio_postgres::Row;

use crate::{PostgresStore, catalog::audit, conn::Tx, error::Result, options::Ports, rows};

/// Endpoints with work of one shard that are looked at for the oldest of it.
const MOST_LANES: i64 = 200;
/// Held by whoever adds a rule, for its transaction: else two of them could both be the last one. The
/// organization is the other half of it. ("Hkwa")
const LOCK: i32 = 0x486b_7761;
/// Columns that [`rule`] reads.
pub(crate) const RULE: &str = "org, id, doc, channels";
/// The earliest row of each lane, a seek for each of them.
const OLDEST: &str = "/* oldest_due */ SELECT l.app, l.endpoint, l.due
    FROM generate_series(0, 1023) AS s (shard) CROSS JOIN LATERAL (
        WITH RECURSIVE lane AS (
            (SELECT q.shard, q.endpoint, q.due, q.org, q.app FROM due q
             WHERE q.shard = s.shard::smallint ORDER BY q.endpoint, q.due LIMIT 1)
            UNION ALL
            SELECT n.* FROM lane, LATERAL
                (SELECT q.shard, q.endpoint, q.due, q.org, q.app FROM due q
                 WHERE q.shard = lane.shard AND q.endpoint > lane.endpoint
                 ORDER BY q.endpoint, q.due LIMIT 1) n)
        SELECT * FROM lane LIMIT $2) l
    WHERE l.org = $1 AND EXISTS (SELECT 1 FROM endpoint e JOIN application a
            ON a.org = e.org AND a.app = e.app AND a.deleted_at IS NULL
        WHERE e.org = l.org AND e.app = l.app AND e.endpoint = l.endpoint
        AND NOT e.disabled AND e.deleted_at IS NULL)
    ORDER BY l.due, l.endpoint LIMIT 1";

pub(crate) fn rule(row: &Row, vault: &Vault) -> Result<Rule> {
    let (org, id) = (rows::id(row, 0)?, rows::id(row, 1)?);
    Ok(read_rule(vault, org, id, rows::get(row, 2)?, rows::bytes(row, 3)?)?)
}

/// What the audit says of a rule: nothing secret.
fn detail(rule: &Rule) -> serde_json::Value {
    let channels: Vec<_> = rule.channels.iter().map(Channel::shown).collect();
    let (enabled, condition) = (rule.enabled, rule.condition.kind());
    json!({ "name": rule.name, "enabled": enabled, "condition": condition, "channels": channels })
}

async fn create(tx: &Tx, ports: &Ports, actor: &Actor, rule: &Rule) -> Result<bool> {
    let written = insert(tx, ports, rule).await?;
    if written {
        audit(tx, ports, rule.org, actor, "alert_rule.create", &rule.id, &detail(rule)).await?;
    }
    Ok(written)
}

/// Inserts a rule, unless the organization has as many as it may.
pub(crate) async fn insert(tx: &Tx, ports: &Ports, rule: &Rule) -> Result<bool> {
    let org = rule.org.raw().as_slice();
    let half = i32::from_be_bytes([org[16], org[17], org[18], org[19]]);
    tx.query("/* create_alert_rule */ SELECT pg_advisory_xact_lock($1, $2)", &[&LOCK, &half])
        .await?;
    let channels = sealed::seal_channels(&ports.vault, rule.org, rule.id, &rule.channels);
    let written = tx
        .execute(
            "/* create_alert_rule */ INSERT INTO alert_rule (org, id, updated_at, doc, channels)
             SELECT $1, $2, $3, $4, $5
             WHERE (SELECT count(*) FROM alert_rule WHERE org = $1) < $6",
            &[
                &org,
                &rule.id.raw().as_slice(),
                &rule.updated_at.as_micros(),
                &rule_doc(rule),
                &channels,
                &(MAX_RULES as i64),
            ],
        )
        .await?;
    Ok(written > 0)
}

async fn update(
    tx: &Tx,
    ports: &Ports,
    actor: &Actor,
    rule: &Rule,
    expected: Timestamp,
) -> Result<Result<(), Refused<AlertRuleId>>> {
    let (org, id) = (rule.org.raw().as_slice(), rule.id.raw().as_slice());
    let channels = sealed::seal_channels(&ports.vault, rule.org, rule.id, &rule.channels);
    let written = tx
        .execute(
            "/* update_alert_rule */ UPDATE alert_rule SET updated_at = $3, doc = $4, channels = $5
             WHERE org = $1 AND id = $2 AND updated_at = $6",
            &[
                &org,
                &id,
                &rule.updated_at.as_micros(),
                &rule_doc(rule),
                &channels,
                &expected.as_micros(),
            ],
        )
        .await?;
    if written == 0 {
        let sql = "/* update_alert_rule */ SELECT 1 FROM alert_rule WHERE org = $1 AND id = $2";
        let there = tx.query_opt(sql, &[&org, &id]).await?.is_some();
        return Ok(Err(if there { Refused::Stale } else { Refused::NotFound }));
    }
    audit(tx, ports, rule.org, actor, "alert_rule.update", &rule.id, &detail(rule)).await?;
    Ok(Ok(()))
}

async fn delete(
    tx: &Tx,
    ports: &Ports,
    actor: &Actor,
    org: OrganizationId,
    id: AlertRuleId,
) -> Result<bool> {
    let sql = "/* delete_alert_rule */ DELETE FROM alert_rule WHERE org = $1 AND id = $2";
    let deleted = tx.execute(sql, &[&org.raw().as_slice(), &id.raw().as_slice()]).await? > 0;
    if deleted {
        audit(tx, ports, org, actor, "alert_rule.delete", &id, &json!({})).await?;
    }
    Ok(deleted)
}

/// A second one that is open for the same rule and subject is not inserted. Where two nodes do so at once,
/// one loses to the index, and finds out when it tries again.
pub(crate) async fn put(tx: &Tx, alert: &Alert) -> Result<bool> {
    let written = tx
        .execute(
            "/* put_alert */ INSERT INTO alert (org, id, rule, subject, open, live, doc)
             SELECT $1::bytea, $2::bytea, $3::bytea, $4::text, $5::boolean, $6::boolean, $7::text
             WHERE NOT ($5 AND EXISTS (SELECT 1 FROM alert a WHERE a.org = $1 AND a.rule = $3
                 AND a.subject = $4 AND a.open AND a.id <> $2))
             ON CONFLICT (org, id) DO UPDATE SET open = excluded.open, live = excluded.live,
             doc = excluded.doc",
            &[
                &alert.org.raw().as_slice(),
                &alert.id.raw().as_slice(),
                &alert.rule.raw().as_slice(),
                &alert.subject.to_string(),
                &alert.is_open(),
                &alert.is_live(),
                &rows::to_json(alert),
            ],
        )
        .await?;
    Ok(written > 0)
}

/// A place behind which to go on; before all of them if there is none.
fn behind<I: Id>(after: Option<(OrganizationId, I)>) -> (Vec<u8>, Vec<u8>) {
    after.map_or((vec![], vec![]), |(org, id)| (org.raw().to_vec(), id.raw().to_vec()))
}

fn done<T>(done: Result<T, Infallible>) -> T {
    let Ok(done) = done;
    done
}

#[async_trait]
impl Alerts for PostgresStore {
    async fn create_alert_rule(&self, actor: &Actor, rule: Rule) -> store::Result<bool> {
        let (ports, rule) = (&self.shared.ports, &rule);
        let change = |tx: Arc<Tx>| async move { Ok(Ok(create(&tx, ports, actor, rule).await?)) };
        Ok(done(self.shared.change(change).await?))
    }

    async fn update_alert_rule(
        &self,
        actor: &Actor,
        rule: Rule,
        expected: Timestamp,
    ) -> store::Result<Result<(), Refused<AlertRuleId>>> {
        let (ports, rule) = (&self.shared.ports, &rule);
        let change = |tx: Arc<Tx>| async move { update(&tx, ports, actor, rule, expected).await };
        Ok(self.shared.change(change).await?)
    }

    async fn delete_alert_rule(
        &self,
        actor: &Actor,
        org: OrganizationId,
        rule: AlertRuleId,
    ) -> store::Result<bool> {
        let ports = &self.shared.ports;
        let change =
            |tx: Arc<Tx>| async move { Ok(Ok(delete(&tx, ports, actor, org, rule).await?)) };
        Ok(done(self.shared.change(change).await?))
    }

    async fn alert_rule(
        &self,
        org: OrganizationId,
        id: AlertRuleId,
    ) -> store::Result<Option<Rule>> {
        let sql =
            format!("/* alert_rule */ SELECT {RULE} FROM alert_rule WHERE org = $1 AND id = $2");
        let conn = self.shared.read().await?;
        let found = conn.query_opt(&sql, &[&org.raw().as_slice(), &id.raw().as_slice()]).await?;
        Ok(found.map(|row| rule(&row, &self.shared.ports.vault)).transpose()?)
    }

    async fn alert_rules(
        &self,
        org: OrganizationId,
        page: PageRequest<AlertRuleId>,
    ) -> store::Result<Page<Rule>> {
        let window = Window::new(&page);
        let sql = format!(
            "/* alert_rules */ SELECT {RULE} FROM alert_rule
             WHERE org = $1 AND id > $2 AND id < $3 ORDER BY id {} LIMIT $4",
            window.direction()
        );
        let (org, limit) = (org.raw().as_slice(), window.wanted() as i64);
        let conn = self.shared.read().await?;
        let found = conn.query(&sql, &[&org, &window.above, &window.below, &limit]).await?;
        let vault = &self.shared.ports.vault;
        let rules: Result<_> = found.iter().map(|row| rule(row, vault)).collect();
        Ok(window.page(rules?))
    }

    async fn all_alert_rules(
        &self,
        after: Option<(OrganizationId, AlertRuleId)>,
        limit: usize,
    ) -> store::Result<Vec<Rule>> {
        let sql = format!(
            "/* all_alert_rules */ SELECT {RULE} FROM alert_rule
             WHERE (org, id) > ($1, $2) ORDER BY org, id LIMIT $3"
        );
        let (org, id) = behind(after);
        let conn = self.shared.read().await?;
        let found = conn.query(&sql, &[&org, &id, &(limit as i64)]).await?;
        let vault = &self.shared.ports.vault;
        Ok(found.iter().map(|row| rule(row, vault)).collect::<Result<_>>()?)
    }

    async fn put_alert(&self, alert: Alert) -> store::Result<bool> {
        let alert = &alert;
        let change = |tx: Arc<Tx>| async move { Ok(Ok(put(&tx, alert).await?)) };
        Ok(done(self.shared.change(change).await?))
    }

    async fn live_alerts(
        &self,
        after: Option<(OrganizationId, AlertId)>,
        limit: usize,
    ) -> store::Result<Vec<Alert>> {
        let sql = "/* live_alerts */ SELECT doc FROM alert
            WHERE live AND (org, id) > ($1, $2) ORDER BY org, id LIMIT $3";
        let (org, id) = behind(after);
        let conn = self.shared.read().await?;
        let found = conn.query(sql, &[&org, &id, &(limit as i64)]).await?;
        Ok(found.iter().map(|row| rows::json(row, 0)).collect::<Result<_>>()?)
    }

    async fn alerts(
        &self,
        org: OrganizationId,
        open: bool,
        page: PageRequest<AlertId>,
    ) -> store::Result<Page<Alert>> {
        let window = Window::new(&page);
        let sql = format!(
            "/* alerts */ SELECT doc FROM alert
             WHERE org = $1 AND id > $2 AND id < $3 {} ORDER BY id {} LIMIT $4",
            if open { "AND open" } else { "" },
            window.direction()
        );
        let (org, limit) = (org.raw().as_slice(), window.wanted() as i64);
        let conn = self.shared.read().await?;
        let found = conn.query(&sql, &[&org, &window.above, &window.below, &limit]).await?;
        let alerts: Result<_> = found.iter().map(|row| rows::json(row, 0)).collect();
        Ok(window.page(alerts?))
    }

    async fn alert(&self, org: OrganizationId, alert: AlertId) -> store::Result<Option<Alert>> {
        let sql = "/* alert */ SELECT doc FROM alert WHERE org = $1 AND id = $2";
        let conn = self.shared.read().await?;
        let found = conn.query_opt(sql, &[&org.raw().as_slice(), &alert.raw().as_slice()]).await?;
        Ok(found.map(|row| rows::json(&row, 0)).transpose()?)
    }

    async fn oldest_due(&self, org: OrganizationId) -> store::Result<Option<OldestDue>> {
        let conn = self.shared.read().await?;
        let found = conn.query_opt(OLDEST, &[&org.raw().as_slice(), &MOST_LANES]).await?;
        let oldest = |row: Row| -> Result<OldestDue> {
            let (app, endpoint) = (rows::id(&row, 0)?, rows::id(&row, 1)?);
            Ok(OldestDue { app, endpoint, due: rows::time(&row, 2)? })
        };
        Ok(found.map(oldest).transpose()?)
    }
}
