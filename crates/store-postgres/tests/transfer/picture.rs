//! All that can be asked of a store, asked.

use domain::{
    analytics::Unit,
    clock::Timestamp,
    endpoint::Endpoint,
    name::Ref,
    shard::{Shard, ShardSet},
};
use store::{
    Store,
    analytics::{Of, Span},
    catalog::ApplicationFilter,
    deliveries::LaneKey,
    history::{AttemptFilter, MessageFilter},
    suite::{
        fixture::{at, first},
        sources::SOURCES,
        traffic::until,
    },
    tasks::TaskFilter,
};

use super::filling::Filled;

/// What a store answers.
pub struct Picture {
    lines: Vec<String>,
    endpoints: Vec<Endpoint>,
}

impl Picture {
    /// Fails where two of them differ.
    pub fn assert_same(&self, other: &Self) {
        assert_eq!(self.endpoints, other.endpoints);
        for (ours, theirs) in self.lines.iter().zip(&other.lines) {
            assert_eq!(ours, theirs);
        }
        assert_eq!(self.lines.len(), other.lines.len());
    }

    fn note(&mut self, what: &str, answer: impl std::fmt::Debug) {
        self.lines.push(format!("{what}: {answer:?}"));
    }

    /// Of a store that holds what was filled in, or is meant to.
    pub async fn of(store: &dyn Store, filled: &Filled) -> Self {
        let mut picture = Self { lines: Vec::new(), endpoints: Vec::new() };
        for org in &filled.orgs {
            picture.note("organization", store.load_organization(*org).await);
            let all = ApplicationFilter::default();
            picture.note("apps", store.list_applications(*org, all, first(250)).await);
            picture.note("sources", store.list_applications(*org, SOURCES, first(250)).await);
            let tasks = store.list_tasks(*org, TaskFilter::default(), first(250)).await;
            for task in tasks.as_ref().map_or(&[][..], |page| &page.items) {
                picture.note("task", store.task(*org, task.id).await);
            }
            picture.note("tasks", tasks);
        }
        picture.of_counts(store, filled).await;
        for (org, name) in &filled.event_types {
            picture.note("event type", store.event_type(*org, name).await);
        }
        for (org, app) in &filled.apps {
            let loaded = store.load_application(*org, &Ref::Id(*app)).await.expect("loads");
            picture.note("version", loaded.as_ref().map(|loaded| loaded.version));
            picture.endpoints.extend(loaded.map(|loaded| loaded.endpoints).unwrap_or_default());
        }
        picture.at_endpoints(store, filled).await;
        picture.of_messages(store, filled).await;
        picture.of_the_rest(store, filled).await;
        picture
    }

    async fn of_counts(&mut self, store: &dyn Store, filled: &Filled) {
        // Those of a time are in an order of the store's own.
        let rollups = async |org, of, span| {
            let mut rows = store.rollups(org, of, span, 1_000).await.expect("rollups");
            rows.sort_by_key(|row| (row.at, row.app, row.endpoint, row.event_type.clone()));
            rows
        };
        for unit in [Unit::Minute, Unit::Quarter, Unit::Day] {
            let span = Span { unit, from: unit.floor(at(0)), until: at(3 * 86_400) };
            for org in &filled.orgs {
                for of in [Of::Applications, Of::EventTypes] {
                    self.note("rollups", rollups(*org, of, span).await);
                }
                self.note("sums", store.application_counts(*org, span).await);
            }
            for (org, app) in &filled.apps {
                let of = Of::Application(*app);
                self.note("rollups", rollups(*org, of, span).await);
            }
        }
        self.note("rolled up", store.rolled_up().await);
    }

    async fn at_endpoints(&mut self, store: &dyn Store, filled: &Filled) {
        for (tenant, endpoint) in &filled.endpoints {
            let (tenant, endpoint) = (*tenant, *endpoint);
            let ever = store.endpoints_ever(tenant.org, tenant.app, &[endpoint]).await;
            self.endpoints.extend(ever.expect("endpoints"));
            for revision in 1..=3 {
                let headers = store.headers_at(tenant.org, tenant.app, endpoint, revision).await;
                self.note("headers", headers.expect("headers"));
            }
            let filter = AttemptFilter::default();
            let attempts = store.attempts_by_endpoint(tenant, endpoint, filter, first(250)).await;
            self.note("attempts", attempts.expect("attempts"));
            let filter = MessageFilter::default();
            let messages = store
                .endpoint_messages(tenant, endpoint, filter, Vec::new(), first(250), true)
                .await;
            self.note("messages", messages.expect("messages"));
            let counts = store.endpoint_counts(tenant, endpoint, at(0), at(1_000)).await;
            self.note("counts", counts.expect("counts"));
            let range = (at(0), at(1_000));
            let failed = store.failed_messages(tenant, endpoint, range, None, 100).await;
            self.note("failed", failed.expect("failed messages"));
            let shard = Shard::of(&tenant.org, &tenant.app, &endpoint);
            let lane = LaneKey { shard, org: tenant.org, app: tenant.app, endpoint };
            let due = store.due(lane, until(Timestamp::MAX), Vec::new()).await;
            self.note("due", due.expect("due"));
        }
    }

    async fn of_messages(&mut self, store: &dyn Store, filled: &Filled) {
        for (tenant, id) in &filled.messages {
            let (tenant, id) = (*tenant, *id);
            let message = store.message(tenant, &Ref::Id(id)).await.expect("message");
            let message = message.expect("it is there");
            if let Some(event_id) = &message.event_id {
                let found = store.message(tenant, &Ref::Uid(event_id.clone())).await;
                self.note("by event id", found.expect("message"));
            }
            self.note("message", message);
            let endpoints = store.message_endpoints(tenant, id, first(250)).await;
            let endpoints = endpoints.expect("endpoints");
            for endpoint in &endpoints.items {
                let records = store.delivery_records(tenant, vec![id], endpoint.endpoint).await;
                self.note("records", records.expect("records"));
            }
            self.note("endpoints", endpoints);
            let filter = AttemptFilter::default();
            let attempts = store.attempts_by_message(tenant, id, filter, first(250)).await;
            self.note("attempts", attempts.expect("attempts"));
        }
    }

    async fn of_the_rest(&mut self, store: &dyn Store, filled: &Filled) {
        // Of a shard they are in an order of the store's own.
        let mut lanes = store.lanes(&ShardSet::ALL, None, 1_000).await.expect("lanes");
        lanes.sort_unstable_by_key(|head| head.lane);
        self.note("lanes", lanes);
        self.note("running", store.running_tasks(&ShardSet::ALL, 100).await);
        for (org, key) in &filled.keys {
            for now in [425, 450] {
                self.note("claimed", store.claimed(*org, *key, at(now)).await);
                self.note("answer", store.saved_response(*org, *key, at(now)).await);
            }
        }
        let mut revocations = store.revocations(at(500)).await.expect("revocations");
        revocations.sort_by_key(|revocation| format!("{revocation:?}"));
        self.note("revocations", revocations);
        let stats = store.stats().await.expect("stats");
        self.note("stats", (stats.pending, stats.oldest_due, stats.unscheduled));
    }
}
