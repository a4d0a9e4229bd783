//! Counting. Minutes are counted as things happen; larger units are added up when somebody asks.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{
    analytics::{CountedAttempt, Counts, Rollup, Unit},
    clock::Timestamp,
    id::{ApplicationId, EndpointId, OrganizationId},
    message::Message,
    name::EventTypeName,
    shard::Shard,
};
use store::{
    Analytics, Result, StoreError,
    analytics::{
        FailingEndpoint, Of, PendingWork, RolledUp, RollupLimits, RollupRow, Span, UnacceptedCount,
    },
    deliveries::{Epoch, Settle},
    history::Tenant,
};

use crate::{MemoryStore, state::State};

/// In the order of time within an application.
type Key = (OrganizationId, ApplicationId, Timestamp, Option<EndpointId>, Option<EventTypeName>);

/// What was counted.
#[derive(Clone)]
pub(crate) struct Counted {
    minutes: BTreeMap<Key, Rollup>,
    rolled_up: RolledUp,
}

impl Default for Counted {
    fn default() -> Self {
        let rolled_up = RolledUp { quarters: Timestamp::EPOCH, days: Timestamp::EPOCH };
        Self { minutes: BTreeMap::new(), rolled_up }
    }
}

impl Counted {
    fn minute(
        &mut self,
        (org, app): (OrganizationId, ApplicationId),
        at: Timestamp,
        endpoint: Option<EndpointId>,
        event_type: Option<EventTypeName>,
    ) -> &mut Rollup {
        let key = (org, app, Unit::Minute.floor(at), endpoint, event_type);
        self.minutes.entry(key).or_default()
    }

    /// A message was stored.
    pub(crate) fn message(&mut self, message: &Message) {
        let bytes = message.body.as_ref().map_or(0, |body| body.bytes.len());
        let (tenant, event_type) = ((message.org, message.app), Some(message.event_type.clone()));
        self.minute(tenant, message.created_at, None, event_type).add_message(bytes);
    }

    /// An attempt changed its delivery's state.
    pub(crate) fn attempt(&mut self, settle: &Settle) {
        let Some(attempt) = &settle.attempt else { return };
        let counted = CountedAttempt::new(attempt, settle.wanted_at);
        let (tenant, event_type) = ((attempt.org, attempt.app), Some(settle.event_type.clone()));
        self.minute(tenant, counted.ended_at, Some(attempt.endpoint), event_type).add(&counted);
    }

    fn rollups(&self, org: OrganizationId, of: Of, span: Span) -> Vec<RollupRow> {
        let mut rows: BTreeMap<_, Rollup> = BTreeMap::new();
        for ((owner, app, at, endpoint, event_type), rollup) in &self.minutes {
            if *owner != org || *at < span.from || *at >= span.until {
                continue;
            }
            let at = span.unit.floor(*at);
            let key = match of {
                Of::Application(wanted) if wanted != *app => continue,
                Of::Application(_) => (at, Some(*app), *endpoint, event_type.clone()),
                Of::Applications => (at, Some(*app), None, None),
                Of::EventTypes => (at, None, None, event_type.clone()),
            };
            rows.entry(key).or_default().merge(rollup);
        }
        let row = |((at, app, endpoint, event_type), rollup)| RollupRow {
            at,
            app,
            endpoint,
            event_type,
            rollup,
        };
        rows.into_iter().map(row).collect()
    }
}

impl State {
    fn recount(&self, tenant: Tenant, span: Span) -> Vec<RollupRow> {
        let Tenant { org, app } = tenant;
        let mut counted = Counted::default();
        let first = (org, app, domain::id::MessageId::from_raw([0; 20]));
        let of_tenant = |o: &OrganizationId, a: &ApplicationId| (*o, *a) == (org, app);
        for (_, row) in self.messages.range(first..).take_while(|((o, a, _), _)| of_tenant(o, a)) {
            counted.message(&row.message);
        }
        for ((o, a, message, _), attempt) in &self.attempts {
            if !of_tenant(o, a) || attempt.superseded {
                continue;
            }
            let message = self.messages.get(&(*o, *a, *message)).map(|row| &row.message);
            let Some(message) = message else { continue };
            let attempted = CountedAttempt::new(attempt, message.wanted_at());
            let event_type = Some(message.event_type.clone());
            let endpoint = Some(attempt.endpoint);
            counted.minute((org, app), attempted.ended_at, endpoint, event_type).add(&attempted);
        }
        counted.rollups(org, Of::Application(app), span)
    }
}

#[async_trait]
impl Analytics for MemoryStore {
    async fn flush_rollups(&self, _: &[(Shard, Epoch)]) -> Result<()> {
        self.act(|_| ())
    }

    async fn count_unaccepted(&self, counts: Vec<UnacceptedCount>) -> Result<()> {
        self.act(|state| {
            for UnacceptedCount { tenant, at, why, count } in counts {
                let minute = state.counted.minute((tenant.org, tenant.app), at, None, None);
                minute.unaccepted[why as usize] += count;
            }
        })
    }

    async fn roll_up(&self, limits: RollupLimits) -> Result<bool> {
        self.act(|state| {
            let now = limits.now;
            state.counted.rolled_up =
                RolledUp { quarters: Unit::Quarter.floor(now), days: Unit::Day.floor(now) };
            state.counted.minutes.retain(|(_, _, at, ..), _| *at >= limits.days_before);
            false
        })
    }

    async fn rolled_up(&self) -> Result<RolledUp> {
        self.act(|state| state.counted.rolled_up)
    }

    async fn rollups(
        &self,
        org: OrganizationId,
        of: Of,
        span: Span,
        limit: usize,
    ) -> Result<Vec<RollupRow>> {
        let rows = self.act(|state| state.counted.rollups(org, of, span))?;
        if rows.len() > limit { Err(StoreError::Overloaded) } else { Ok(rows) }
    }

    async fn application_counts(
        &self,
        org: OrganizationId,
        span: Span,
    ) -> Result<Vec<(ApplicationId, Counts)>> {
        self.act(|state| {
            let mut counts: BTreeMap<ApplicationId, Counts> = BTreeMap::new();
            for row in state.counted.rollups(org, Of::Applications, span) {
                let Some(app) = row.app else { continue };
                counts.entry(app).or_default().merge(&row.rollup.counts());
            }
            counts.into_iter().filter(|(_, counts)| *counts != Counts::default()).collect()
        })
    }

    async fn recount(&self, tenant: Tenant, span: Span) -> Result<Vec<RollupRow>> {
        self.act(|state| state.recount(tenant, span))
    }

    async fn failing_endpoints(
        &self,
        org: OrganizationId,
        limit: usize,
    ) -> Result<Vec<FailingEndpoint>> {
        self.act(|state| {
            let of_org = state.endpoints.values().filter(|row| row.endpoint.org == org);
            let mut failing: Vec<_> = of_org
                .filter(|row| {
                    let app = (org, row.endpoint.app);
                    !row.deleted && state.applications.contains_key(&app)
                })
                .filter_map(|row| {
                    let endpoint = &row.endpoint;
                    let since = endpoint.first_failure_at?;
                    let (app, disabled) = (endpoint.app, endpoint.disabled);
                    Some(FailingEndpoint { app, endpoint: endpoint.id, since, disabled })
                })
                .collect();
            failing.sort_by_key(|failing| (failing.since, failing.endpoint));
            failing.truncate(limit);
            failing
        })
    }

    async fn pending_work(&self, org: OrganizationId, limit: usize) -> Result<Vec<PendingWork>> {
        self.act(|state| {
            let mut pending: BTreeMap<ApplicationId, u64> = BTreeMap::new();
            for delivery in state.due.values().filter(|delivery| delivery.org == org) {
                *pending.entry(delivery.app).or_default() += 1;
            }
            let mut work: Vec<_> =
                pending.into_iter().map(|(app, pending)| PendingWork { app, pending }).collect();
            work.sort_by_key(|work| (std::cmp::Reverse(work.pending), work.app));
            work.truncate(limit);
            work
        })
    }
}
