//! The facts: what a rule's condition is at the moment, of each subject that has any. Everything that is
//! read has a bound.

use std::{collections::BTreeMap, time::Duration};

use domain::{
    alert::{Condition, Latency, Of as Window, Per, Rejections, Subject},
    analytics::{Available, Counts, Granularity, Rollup, Sketch, Unaccepted, pieces},
    clock::Timestamp,
    id::{ApplicationId, OrganizationId},
    name::Ref,
    page::{Order, PageRequest},
};
use store::{
    Store, StoreError,
    analytics::{Of, RollupRow, Span},
    history::{MessageFilter, Tenant},
};

/// Endpoints that only fail, that are looked at: those that do so longest.
const MOST_FAILING: usize = 1_000;
/// Rollups that one look at a rule reads at a time; more are too many to look at every few seconds.
const MOST_ROLLUPS: usize = 100_000;
/// Applications whose endpoints are looked at, where each endpoint is a subject: those with most attempts.
const MOST_APPLICATIONS: usize = 100;

/// Values by subject. Of whoever is not in it nothing can be said.
pub type Observed = BTreeMap<Subject, f64>;

/// Whose rule is looked at, and when.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// Where the facts are.
    pub store: &'a dyn Store,
    /// Whose.
    pub org: OrganizationId,
    /// When.
    pub now: Timestamp,
}

impl Look<'_> {
    /// What a condition is at the moment.
    pub async fn at(self, condition: &Condition) -> Result<Observed, StoreError> {
        match *condition {
            Condition::EndpointFailing { .. } => self.failing(false).await,
            Condition::EndpointDisabled => self.failing(true).await,
            Condition::BacklogAge { .. } => self.backlog().await,
            Condition::SuccessRateBelow { of, .. } => self.success_rates(of).await,
            Condition::LatencyAbove { latency, percentile, of, .. } => {
                let quantile = f64::from(u8::from(percentile)) / 100.0;
                self.latencies(latency, quantile, of).await
            }
            Condition::SourceRejecting { over, window } => self.rejections(over, window).await,
            Condition::NothingReceived { app, .. } => self.silence(app).await,
        }
    }

    /// For how long endpoints have failed; or which of them are disabled for it.
    async fn failing(self, disabled: bool) -> Result<Observed, StoreError> {
        let failing = self.store.failing_endpoints(self.org, MOST_FAILING).await?;
        let value = |since| if disabled { 1.0 } else { self.now.since(since).as_secs_f64() };
        let wanted = failing.into_iter().filter(|failing| failing.disabled == disabled);
        Ok(wanted.map(|f| (Subject::Endpoint(f.app, f.endpoint), value(f.since))).collect())
    }

    async fn backlog(self) -> Result<Observed, StoreError> {
        let oldest = self.store.oldest_due(self.org).await?;
        let age = oldest.map_or(Duration::ZERO, |oldest| self.now.since(oldest.due));
        Ok(BTreeMap::from([(Subject::Organization, age.as_secs_f64())]))
    }

    async fn success_rates(self, of: Window) -> Result<Observed, StoreError> {
        let mut counts: BTreeMap<Subject, Counts> = BTreeMap::new();
        for span in self.spans(of.window).await? {
            match of.per {
                Per::Organization | Per::Application => {
                    for (app, more) in self.store.application_counts(self.org, span).await? {
                        let subject = subject(of.per, app);
                        counts.entry(subject).or_default().merge(&more);
                    }
                }
                Per::Endpoint => {
                    for (subject, rollup) in self.by_endpoint(span).await? {
                        counts.entry(subject).or_default().merge(&rollup.counts());
                    }
                }
            }
        }
        counts.retain(|_, counts| counts.attempts >= of.min_attempts);
        let percent = |c: Counts| c.successes as f64 * 100.0 / c.attempts as f64;
        Ok(counts.into_iter().map(|(subject, counts)| (subject, percent(counts))).collect())
    }

    async fn latencies(
        self,
        latency: Latency,
        quantile: f64,
        of: Window,
    ) -> Result<Observed, StoreError> {
        let mut sketches: BTreeMap<Subject, Sketch> = BTreeMap::new();
        for span in self.spans(of.window).await? {
            let found = match of.per {
                Per::Organization | Per::Application => {
                    let rows = self.rollups(Of::Applications, span).await?;
                    let named = |row: RollupRow| Some((subject(of.per, row.app?), row.rollup));
                    rows.into_iter().filter_map(named).collect()
                }
                Per::Endpoint => self.by_endpoint(span).await?,
            };
            for (subject, rollup) in found {
                let sketch = match latency {
                    Latency::Delivery => &rollup.delivery,
                    Latency::Response => &rollup.response,
                };
                sketches.entry(subject).or_default().merge(sketch);
            }
        }
        sketches.retain(|_, sketch| sketch.count() >= of.min_attempts);
        let millis = |(subject, sketch): (Subject, Sketch)| {
            Some((subject, sketch.quantile(quantile)?.as_secs_f64() * 1_000.0))
        };
        Ok(sketches.into_iter().filter_map(millis).collect())
    }

    /// How much sources refuse. What they have already is nothing wrong with it.
    async fn rejections(self, over: Rejections, window: Duration) -> Result<Observed, StoreError> {
        let mut counts: BTreeMap<Subject, (u64, u64)> = BTreeMap::new();
        for span in self.spans(window).await? {
            for row in self.rollups(Of::Applications, span).await? {
                let Some(app) = row.app else { continue };
                let refused: u64 = row.rollup.unaccepted.iter().sum::<u64>()
                    - row.rollup.unaccepted[Unaccepted::Duplicate as usize];
                let entry = counts.entry(Subject::Application(app)).or_default();
                entry.0 += refused;
                entry.1 += refused + row.rollup.messages;
            }
        }
        let value = |(subject, (refused, all)): (Subject, (u64, u64))| match over {
            Rejections::Count(_) => Some((subject, refused as f64)),
            Rejections::Share { min_requests, .. } => {
                (all >= min_requests).then_some((subject, refused as f64 * 100.0 / all as f64))
            }
        };
        Ok(counts.into_iter().filter_map(value).collect())
    }

    /// For how long an application has got no message: since it was made, if never.
    async fn silence(self, app: ApplicationId) -> Result<Observed, StoreError> {
        let Some(found) = self.store.application(self.org, &Ref::Id(app)).await? else {
            return Ok(Observed::new());
        };
        let tenant = Tenant { org: self.org, app };
        let page = PageRequest { limit: 1, order: Order::Descending, cursor: None };
        let last = self.store.messages(tenant, MessageFilter::default(), page, false).await?;
        let last = last.items.first().map_or(found.created_at, |message| message.created_at);
        let age = self.now.since(last).as_secs_f64();
        Ok(BTreeMap::from([(Subject::Application(app), age)]))
    }

    /// The rollups that tell of a window.
    async fn spans(self, window: Duration) -> Result<Vec<Span>, StoreError> {
        let rolled_up = self.store.rolled_up().await?;
        let available = Available {
            // A window is shorter than minutes are kept.
            minutes_from: self.now.minus(window).minus(Duration::from_secs(3_600)),
            quarters_until: rolled_up.quarters,
            days_until: rolled_up.days,
        };
        let range = (self.now.minus(window), self.now.plus(Duration::from_micros(1)));
        let pieces = pieces(Granularity::Total, true, range, available);
        Ok(pieces.into_iter().map(|(unit, from, until)| Span { unit, from, until }).collect())
    }

    async fn rollups(self, of: Of, span: Span) -> Result<Vec<RollupRow>, StoreError> {
        self.store.rollups(self.org, of, span, MOST_ROLLUPS).await
    }

    async fn by_endpoint(self, span: Span) -> Result<Vec<(Subject, Rollup)>, StoreError> {
        let mut apps = self.store.application_counts(self.org, span).await?;
        apps.sort_by_key(|(app, counts)| (std::cmp::Reverse(counts.attempts), *app));
        apps.truncate(MOST_APPLICATIONS);
        let mut found = Vec::new();
        for (app, _) in apps {
            let rows = self.rollups(Of::Application(app), span).await?;
            let named = |row: RollupRow| Some((Subject::Endpoint(app, row.endpoint?), row.rollup));
            found.extend(rows.into_iter().filter_map(named));
        }
        Ok(found)
    }
}

fn subject(per: Per, app: ApplicationId) -> Subject {
    match per {
        Per::Organization => Subject::Organization,
        Per::Application | Per::Endpoint => Subject::Application(app),
    }
}
