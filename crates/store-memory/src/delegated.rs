//! What a node does as its store does it. Some calls tell the others what has changed.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{
    alert::{Alert, Rule},
    analytics::Counts,
    application::Application,
    attempt::Attempt,
    claim::ClaimKey,
    clock::Timestamp,
    delivery::{Delivery, Health},
    endpoint::Endpoint,
    event_type::EventType,
    id::*,
    message::Message,
    name::{EventTypeName, Ref},
    organization::Organization,
    page::{Page, PageRequest},
    shard::{Shard, ShardSet},
    task::{Subscriptions, Task, Wish},
    token::{Actor, Revocation, Token},
};
use store::{
    Alerts, Analytics, Audit, Rejected, Result, Tokens,
    alerts::OldestDue,
    analytics::*,
    audit::{AuditEntry, AuditRange},
    catalog::*,
    deliveries::*,
    history::*,
    housekeeping::*,
    nodes::News,
    publish::{NewMessage, Publish, Published, SavedResponse},
    rejected::RejectedRequest,
    tasks::{TaskFilter, Tasks},
    tokens::TokenUse,
};

use crate::MemoryNode;

fn of_application(org: OrganizationId, app: ApplicationId) -> News {
    News { applications: vec![(org, app)], ..News::default() }
}

fn of_organization(org: OrganizationId) -> News {
    News { organizations: vec![org], ..News::default() }
}

/// Calls go to the store as they are; some tell the others what has changed.
macro_rules! delegate {
    ($trait:ident {
        $($call:ident($($arg:ident: $ty:ty),*) -> $ret:ty $(, tells $news:expr)?;)*
    }) => {
        #[async_trait]
        impl $trait for MemoryNode {
            $(async fn $call(&self, $($arg: $ty),*) -> Result<$ret> {
                let news: [News; 0 $(+ { let _ = stringify!($news); 1 })?] = [$($news)?];
                let answer = $trait::$call(&*self.store, $($arg),*).await;
                news.iter().for_each(|news| self.tell(news));
                answer
            })*
        }
    };
}

delegate!(Catalog {
    load_organization(org: OrganizationId) -> OrganizationSnapshot;
    put_organization(actor: &Actor, organization: Organization, expected: u64)
        -> Result<(), Refused<OrganizationId>>, tells of_organization(organization.id);
    load_application(org: OrganizationId, app: &Ref<ApplicationId>) -> Option<ApplicationSnapshot>;
    create_application(actor: &Actor, application: Application)
        -> Result<(), Refused<ApplicationId>>, tells of_application(application.org, application.id);
    update_application(actor: &Actor, application: Application, expected: Timestamp)
        -> Result<(), Refused<ApplicationId>>, tells of_application(application.org, application.id);
    delete_application(actor: &Actor, org: OrganizationId, app: ApplicationId, now: Timestamp)
        -> Result<(), Refused<ApplicationId>>, tells of_application(org, app);
    list_applications(org: OrganizationId, filter: ApplicationFilter, page: PageRequest<ApplicationId>)
        -> Page<Application>;
    application(org: OrganizationId, app: &Ref<ApplicationId>) -> Option<Application>;
    sources(after: Option<(OrganizationId, ApplicationId)>, limit: usize) -> Vec<Application>;
    create_endpoint(actor: &Actor, endpoint: Endpoint)
        -> Result<(), Refused<EndpointId>>, tells of_application(endpoint.org, endpoint.app);
    update_endpoint(actor: &Actor, endpoint: Endpoint)
        -> Result<(), Refused<EndpointId>>, tells of_application(endpoint.org, endpoint.app);
    delete_endpoint(actor: &Actor, org: OrganizationId, app: ApplicationId, endpoint: EndpointId, now: Timestamp)
        -> Result<(), Refused<EndpointId>>, tells of_application(org, app);
    list_endpoints(org: OrganizationId, app: ApplicationId, page: PageRequest<EndpointId>)
        -> Page<Endpoint>;
    endpoint(org: OrganizationId, app: ApplicationId, endpoint: &Ref<EndpointId>) -> Option<Endpoint>;
    endpoints_ever(org: OrganizationId, app: ApplicationId, endpoints: &[EndpointId]) -> Vec<Endpoint>;
    subscriptions(org: OrganizationId, after: Option<ApplicationId>, limit: usize)
        -> Vec<Subscriptions>;
    headers_at(org: OrganizationId, app: ApplicationId, endpoint: EndpointId, revision: u32)
        -> Option<BTreeMap<String, String>>;
    create_event_type(actor: &Actor, event_type: EventType)
        -> Result<(), Refused<EventTypeName>>, tells of_organization(event_type.org);
    update_event_type(actor: &Actor, event_type: EventType, expected: Timestamp)
        -> Result<(), Refused<EventTypeName>>, tells of_organization(event_type.org);
    expunge_event_type(actor: &Actor, org: OrganizationId, name: &EventTypeName)
        -> Result<(), Refused<EventTypeName>>, tells of_organization(org);
    event_type(org: OrganizationId, name: &EventTypeName) -> Option<EventType>;
});

delegate!(Tokens {
    create_token(actor: &Actor, token: Token) -> ();
    list_tokens(org: OrganizationId, page: PageRequest<TokenId>) -> Page<Token>;
    token(org: OrganizationId, token: TokenId) -> Option<Token>;
    note_token_uses(uses: Vec<TokenUse>) -> ();
    revoke(actor: &Actor, org: OrganizationId, token: Option<TokenId>, revocation: Revocation)
        -> (), tells News { revocations: true, ..of_organization(org) };
    revocations(now: Timestamp) -> Vec<Revocation>;
});

delegate!(Audit {
    audit_log(org: OrganizationId, range: AuditRange, page: PageRequest<AuditId>)
        -> Page<AuditEntry>;
});

delegate!(Publish {
    publish(messages: Vec<NewMessage>) -> Vec<Published>;
    enqueue(deliveries: Vec<Delivery>, max_pending: Option<u64>) -> bool;
    claimed(org: OrganizationId, key: ClaimKey, now: Timestamp) -> Option<MessageId>;
    save_response(org: OrganizationId, key: ClaimKey, response: SavedResponse, expires_at: Timestamp)
        -> ();
    saved_response(org: OrganizationId, key: ClaimKey, now: Timestamp) -> Option<SavedResponse>;
});

delegate!(Rejected {
    keep_rejected(requests: Vec<RejectedRequest>) -> ();
    list_rejected(tenant: Tenant, page: PageRequest<RejectedId>) -> Page<RejectedRequest>;
    rejected(tenant: Tenant, id: RejectedId) -> Option<RejectedRequest>;
});

#[async_trait]
impl Deliveries for MemoryNode {
    async fn lanes(
        &self,
        shards: &ShardSet,
        after: Option<LaneKey>,
        limit: usize,
    ) -> Result<Vec<LaneHead>> {
        self.store.lanes(shards, after, limit).await
    }

    async fn due(
        &self,
        lane: LaneKey,
        limits: DueLimits,
        skip: Vec<DeliveryId>,
    ) -> Result<DuePage> {
        self.store.due(lane, limits, skip).await
    }

    async fn settle(&self, settles: Vec<Settle>) -> Result<Vec<Settled>> {
        let disabling: Vec<_> = settles
            .iter()
            .filter(|settle| matches!(settle.health, Health::Disable { .. }))
            .map(|settle| (settle.delivery.org, settle.delivery.app))
            .collect();
        let answer = self.store.settle_as(Some(self.id), settles);
        if !disabling.is_empty() {
            self.tell(&News { applications: disabling, ..News::default() });
        }
        answer
    }

    async fn cancel(&self, lane: LaneKey, limit: usize, now: Timestamp) -> Result<usize> {
        self.store.cancel(lane, limit, now).await
    }
}

delegate!(History {
    messages(tenant: Tenant, filter: MessageFilter, page: PageRequest<MessageId>, with_body: bool)
        -> Page<Message>;
    message(tenant: Tenant, message: &Ref<MessageId>) -> Option<Message>;
    messages_by_id(tenant: Tenant, ids: Vec<MessageId>, with_body: bool) -> Vec<Message>;
    attempts_by_endpoint(tenant: Tenant, endpoint: EndpointId, filter: AttemptFilter, page: PageRequest<AttemptId>)
        -> Page<Attempt>;
    attempts_by_message(tenant: Tenant, message: MessageId, filter: AttemptFilter, page: PageRequest<AttemptId>)
        -> Page<Attempt>;
    attempt(tenant: Tenant, message: MessageId, attempt: AttemptId) -> Option<Attempt>;
    endpoint_messages(tenant: Tenant, endpoint: EndpointId, filter: MessageFilter, statuses: Vec<Status>, page: PageRequest<MessageId>, with_body: bool)
        -> Page<EndpointMessage>;
    message_endpoints(tenant: Tenant, message: MessageId, page: PageRequest<EndpointId>)
        -> Page<MessageEndpoint>;
    delivery_records(tenant: Tenant, messages: Vec<MessageId>, endpoint: EndpointId) -> Vec<DeliveryRecord>;
    endpoint_counts(tenant: Tenant, endpoint: EndpointId, since: Timestamp, until: Timestamp)
        -> EndpointCounts;
    failed_messages(tenant: Tenant, endpoint: EndpointId, range: (Timestamp, Timestamp), after: Option<AttemptId>, limit: usize)
        -> (Vec<MessageId>, Option<AttemptId>);
    expunge_message(tenant: Tenant, message: MessageId, now: Timestamp)
        -> bool, tells News { expunged: vec![(tenant.org, tenant.app, message)], ..News::default() };
    expunge_attempt(tenant: Tenant, message: MessageId, attempt: AttemptId) -> bool;
});

delegate!(Analytics {
    flush_rollups(owned: &[(Shard, Epoch)]) -> ();
    count_unaccepted(counts: Vec<UnacceptedCount>) -> ();
    roll_up(limits: RollupLimits) -> bool;
    rolled_up() -> RolledUp;
    rollups(org: OrganizationId, of: Of, span: Span, limit: usize) -> Vec<RollupRow>;
    application_counts(org: OrganizationId, span: Span) -> Vec<(ApplicationId, Counts)>;
    recount(tenant: Tenant, span: Span) -> Vec<RollupRow>;
    failing_endpoints(org: OrganizationId, limit: usize) -> Vec<FailingEndpoint>;
    pending_work(org: OrganizationId, limit: usize) -> Vec<PendingWork>;
});

delegate!(Alerts {
    create_alert_rule(actor: &Actor, rule: Rule) -> bool;
    update_alert_rule(actor: &Actor, rule: Rule, expected: Timestamp)
        -> Result<(), Refused<AlertRuleId>>;
    delete_alert_rule(actor: &Actor, org: OrganizationId, rule: AlertRuleId) -> bool;
    alert_rule(org: OrganizationId, rule: AlertRuleId) -> Option<Rule>;
    alert_rules(org: OrganizationId, page: PageRequest<AlertRuleId>) -> Page<Rule>;
    all_alert_rules(after: Option<(OrganizationId, AlertRuleId)>, limit: usize) -> Vec<Rule>;
    put_alert(alert: Alert) -> bool;
    live_alerts(after: Option<(OrganizationId, AlertId)>, limit: usize) -> Vec<Alert>;
    alerts(org: OrganizationId, open: bool, page: PageRequest<AlertId>) -> Page<Alert>;
    alert(org: OrganizationId, alert: AlertId) -> Option<Alert>;
    oldest_due(org: OrganizationId) -> Option<OldestDue>;
});

delegate!(Tasks {
    create_task(actor: &Actor, task: Task) -> Option<TaskId>;
    running_tasks(shards: &ShardSet, limit: usize) -> Vec<Task>;
    update_task(step: Task) -> ();
    steer_task(actor: &Actor, org: OrganizationId, task: TaskId, wish: Wish, now: Timestamp)
        -> Option<Task>;
    task(org: OrganizationId, task: TaskId) -> Option<Task>;
    list_tasks(org: OrganizationId, filter: TaskFilter, page: PageRequest<TaskId>)
        -> Page<Task>;
});

delegate!(Housekeeping {
    sweep(limits: RetentionLimits) -> Swept;
    stats() -> StoreStats;
    ping() -> ();
    check() -> CheckReport;
});
