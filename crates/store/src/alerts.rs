//! Alert rules, and what fired. Rules are changed by callers; alerts are written by the one node that looks
//! at the rules.

use async_trait::async_trait;
use domain::{
    alert::{Alert, Rule},
    clock::Timestamp,
    id::{AlertId, AlertRuleId, ApplicationId, EndpointId, OrganizationId},
    page::{Page, PageRequest},
    token::Actor,
};

use crate::{Result, catalog::Refused};

/// The work of an organization that is due longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldestDue {
    /// The customer.
    pub app: ApplicationId,
    /// Where it is to go.
    pub endpoint: EndpointId,
    /// When it is due, or was.
    pub due: Timestamp,
}

/// Rules and alerts. Every write of a rule adds its audit row in the same transaction.
#[async_trait]
pub trait Alerts: Send + Sync {
    /// Adds a rule; `false` if the organization has [`domain::alert::MAX_RULES`] of them already.
    async fn create_alert_rule(&self, actor: &Actor, rule: Rule) -> Result<bool>;

    /// Replaces a rule. `Stale` unless its `updated_at` still is `expected`.
    async fn update_alert_rule(
        &self,
        actor: &Actor,
        rule: Rule,
        expected: Timestamp,
    ) -> Result<Result<(), Refused<AlertRuleId>>>;

    /// Deletes a rule; whether it was there. Its alerts stay in history.
    async fn delete_alert_rule(
        &self,
        actor: &Actor,
        org: OrganizationId,
        rule: AlertRuleId,
    ) -> Result<bool>;

    /// A rule of an organization.
    async fn alert_rule(&self, org: OrganizationId, rule: AlertRuleId) -> Result<Option<Rule>>;

    /// A page of an organization's rules, by id.
    async fn alert_rules(
        &self,
        org: OrganizationId,
        page: PageRequest<AlertRuleId>,
    ) -> Result<Page<Rule>>;

    /// Rules of all organizations behind `after`, by organization and id: at most `limit`.
    async fn all_alert_rules(
        &self,
        after: Option<(OrganizationId, AlertRuleId)>,
        limit: usize,
    ) -> Result<Vec<Rule>>;

    /// Adds an alert, or replaces it as it is now; `false`, and nothing is done, if another one of the same
    /// rule and subject is open.
    async fn put_alert(&self, alert: Alert) -> Result<bool>;

    /// Alerts of all organizations behind `after` with which there is something to do
    /// ([`Alert::is_live`]), by organization and id: at most `limit`.
    async fn live_alerts(
        &self,
        after: Option<(OrganizationId, AlertId)>,
        limit: usize,
    ) -> Result<Vec<Alert>>;

    /// A page of an organization's alerts, by id: the newest first in descending order. `open`: only those
    /// that are not over. They go with history, but not as long as they are live.
    async fn alerts(
        &self,
        org: OrganizationId,
        open: bool,
        page: PageRequest<AlertId>,
    ) -> Result<Page<Alert>>;

    /// An alert of an organization.
    async fn alert(&self, org: OrganizationId, alert: AlertId) -> Result<Option<Alert>>;

    /// The work of an organization that is due longest, of endpoints that are not disabled. A store may
    /// look at a bounded number of endpoints with work.
    async fn oldest_due(&self, org: OrganizationId) -> Result<Option<OldestDue>>;
}
