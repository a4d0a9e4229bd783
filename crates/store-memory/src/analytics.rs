//! Counting. Minutes are counted as things happen; larger units are added up when somebody asks.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use domain::{
    analytics::{
        Compared, Comparison, Counted as Record, CountedAttempt, Counts, Place, Rollup, Unit, Whole,
    },
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
    /// Minutes before this are gone.
    kept: Timestamp,
}

impl Default for Counted {
    fn default() -> Self {
        let rolled_up = RolledUp { quarters: Timestamp::EPOCH, days: Timestamp::EPOCH };
        Self { minutes: BTreeMap::new(), rolled_up, kept: Timestamp::EPOCH }
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
    /// Tells of each of an application's messages and attempts, when it was and what it is counted as.
    fn each_counted(&self, tenant: Tenant, mut tell: impl FnMut(Timestamp, Place, Record)) {
        let Tenant { org, app } = tenant;
        let first = (org, app, domain::id::MessageId::from_raw([0; 20]));
        let of_tenant = |o: &OrganizationId, a: &ApplicationId| (*o, *a) == (org, app);
        for (_, row) in self.messages.range(first..).take_while(|((o, a, _), _)| of_tenant(o, a)) {
            let message = &row.message;
            let bytes = message.body.as_ref().map(|body| body.bytes.len());
            let place = (None, Some(message.event_type.clone()));
            tell(message.created_at, place, Record::Message(bytes));
        }
        for ((o, a, message, _), attempt) in &self.attempts {
            if !of_tenant(o, a) || attempt.superseded {
                continue;
            }
            let message = self.messages.get(&(*o, *a, *message)).map(|row| &row.message);
            let wanted_at = message.map_or(attempt.started_at, |message| message.wanted_at());
            let attempted = CountedAttempt::new(attempt, wanted_at);
            let place = (Some(attempt.endpoint), message.map(|message| message.event_type.clone()));
            tell(attempted.ended_at, place, Record::Attempt(attempted));
        }
    }

    fn recount(&self, tenant: Tenant, span: Span) -> Vec<RollupRow> {
        let mut counted = Counted::default();
        self.each_counted(tenant, |at, (endpoint, event_type), record| {
            let minute = counted.minute((tenant.org, tenant.app), at, endpoint, event_type);
            record.add_to(minute);
        });
        counted.rollups(tenant.org, Of::Application(tenant.app), span)
    }

    /// Whether what was counted is what a recount gives.
    pub(crate) fn compare_counts(&self) -> Compared {
        let none = Timestamp::EPOCH;
        let whole = Whole {
            records_from: Whole::records_from(none, self.history_swept),
            minutes_from: self.counted.kept,
            quarters_from: none,
            days_from: none,
            quarters_until: none,
            days_until: none,
        };
        let counted = self.counted.minutes.keys().map(|(org, app, ..)| (*org, *app));
        let messages = self.messages.keys().map(|(org, app, _)| (*org, *app));
        let attempts = self.attempts.keys().map(|(org, app, ..)| (*org, *app));
        let tenants: BTreeSet<_> = counted.chain(messages).chain(attempts).collect();
        let mut compared = Compared::default();
        for (org, app) in tenants {
            let mut comparison = Comparison::new(whole, app, &mut compared);
            self.each_counted(Tenant { org, app }, |at, place, record| {
                comparison.record(at, &place, &record, Timestamp::MAX);
            });
            for ((o, a, at, endpoint, event_type), rollup) in &self.counted.minutes {
                if (*o, *a) == (org, app) {
                    let place = (*endpoint, event_type.clone());
                    comparison.counted((Unit::Minute, *at), place, rollup, Timestamp::MAX);
                }
            }
            comparison.told_until(Timestamp::MAX);
        }
        compared
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
            state.counted.kept = state.counted.kept.max(limits.days_before);
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
