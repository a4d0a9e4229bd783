//! Alert rules, and what fired.

use async_trait::async_trait;
use domain::{
    alert::{Alert, MAX_RULES, Rule},
    clock::Timestamp,
    id::{AlertId, AlertRuleId, OrganizationId},
    page::{Page, PageRequest},
    token::Actor,
};
use store::{Alerts, Result, alerts::OldestDue, catalog::Refused};

use crate::{MemoryStore, page::page, state::State};

impl State {
    fn oldest_due(&self, org: OrganizationId) -> Option<OldestDue> {
        let of_org = self.due.values().filter(|delivery| delivery.org == org);
        let enabled = of_org.filter(|delivery| {
            let row = self.endpoints.get(&(org, delivery.app, delivery.endpoint));
            row.is_some_and(|row| !row.endpoint.disabled && !row.deleted)
        });
        let oldest = enabled.min_by_key(|delivery| (delivery.due, delivery.endpoint))?;
        Some(OldestDue { app: oldest.app, endpoint: oldest.endpoint, due: oldest.due })
    }

    fn put_alert(&mut self, alert: Alert) -> bool {
        let rival = |other: &Alert| {
            other.is_open()
                && (other.org, other.rule) == (alert.org, alert.rule)
                && other.subject == alert.subject
                && other.id != alert.id
        };
        if alert.is_open() && self.alerts.values().any(rival) {
            return false;
        }
        self.alerts.insert((alert.org, alert.id), alert);
        true
    }
}

#[async_trait]
impl Alerts for MemoryStore {
    async fn create_alert_rule(&self, _: &Actor, rule: Rule) -> Result<bool> {
        self.act(|state| {
            let of_org = state.alert_rules.keys().filter(|(org, _)| *org == rule.org).count();
            if of_org >= MAX_RULES {
                return false;
            }
            state.alert_rules.insert((rule.org, rule.id), rule);
            true
        })
    }

    async fn update_alert_rule(
        &self,
        _: &Actor,
        rule: Rule,
        expected: Timestamp,
    ) -> Result<Result<(), Refused<AlertRuleId>>> {
        self.act(|state| {
            let stored =
                state.alert_rules.get_mut(&(rule.org, rule.id)).ok_or(Refused::NotFound)?;
            if stored.updated_at != expected {
                return Err(Refused::Stale);
            }
            *stored = rule;
            Ok(())
        })
    }

    async fn delete_alert_rule(
        &self,
        _: &Actor,
        org: OrganizationId,
        rule: AlertRuleId,
    ) -> Result<bool> {
        self.act(|state| state.alert_rules.remove(&(org, rule)).is_some())
    }

    async fn alert_rule(&self, org: OrganizationId, rule: AlertRuleId) -> Result<Option<Rule>> {
        self.act(|state| state.alert_rules.get(&(org, rule)).cloned())
    }

    async fn alert_rules(
        &self,
        org: OrganizationId,
        request: PageRequest<AlertRuleId>,
    ) -> Result<Page<Rule>> {
        self.act(|state| {
            let of_org = state.alert_rules.iter().filter(|((owner, _), _)| *owner == org);
            page(&request, of_org.map(|((_, id), rule)| (*id, rule))).map(Rule::clone)
        })
    }

    async fn all_alert_rules(
        &self,
        after: Option<(OrganizationId, AlertRuleId)>,
        limit: usize,
    ) -> Result<Vec<Rule>> {
        self.act(|state| {
            let behind =
                state.alert_rules.iter().filter(|(key, _)| after.is_none_or(|at| **key > at));
            behind.take(limit).map(|(_, rule)| rule.clone()).collect()
        })
    }

    async fn put_alert(&self, alert: Alert) -> Result<bool> {
        self.commit(|state| state.put_alert(alert))
    }

    async fn live_alerts(
        &self,
        after: Option<(OrganizationId, AlertId)>,
        limit: usize,
    ) -> Result<Vec<Alert>> {
        self.act(|state| {
            let behind = state.alerts.iter().filter(|(key, _)| after.is_none_or(|at| **key > at));
            let live = behind.map(|(_, alert)| alert).filter(|alert| alert.is_live());
            live.take(limit).cloned().collect()
        })
    }

    async fn alerts(
        &self,
        org: OrganizationId,
        open: bool,
        request: PageRequest<AlertId>,
    ) -> Result<Page<Alert>> {
        self.act(|state| {
            let wanted = state
                .alerts
                .values()
                .filter(|alert| alert.org == org && (!open || alert.is_open()));
            page(&request, wanted.map(|alert| (alert.id, alert))).map(Alert::clone)
        })
    }

    async fn alert(&self, org: OrganizationId, alert: AlertId) -> Result<Option<Alert>> {
        self.act(|state| state.alerts.get(&(org, alert)).cloned())
    }

    async fn oldest_due(&self, org: OrganizationId) -> Result<Option<OldestDue>> {
        self.act(|state| state.oldest_due(org))
    }
}
