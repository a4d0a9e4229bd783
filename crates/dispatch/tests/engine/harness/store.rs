//! A store as the engine may meet it: slow, failing, forgetful of its answers, or of a process that has
//! died. What it keeps is the reference store's.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    alert::{Alert, Rule},
    analytics::Counts,
    application::Application,
    attempt::Attempt,
    claim::ClaimKey,
    clock::Timestamp,
    delivery::Delivery,
    endpoint::Endpoint,
    entropy::{Entropy, SeededEntropy},
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
use parking_lot::Mutex;
use store::{
    Nodes, Result, Store, StoreError,
    alerts::{Alerts, OldestDue},
    analytics::*,
    audit::{Audit, AuditEntry, AuditRange},
    catalog::*,
    deliveries::*,
    history::*,
    housekeeping::*,
    nodes::{News, NodeInfo, Ownership, Slice},
    publish::{NewMessage, Publish, Published, SavedResponse},
    rejected::{Rejected, RejectedRequest},
    tasks::{TaskFilter, Tasks},
    tokens::{TokenUse, Tokens},
};
use tokio::time::sleep;

/// Whether a process has died: then nothing that it began goes on.
#[derive(Clone, Default)]
pub struct Dead(Arc<AtomicBool>);

impl Dead {
    /// It dies.
    pub fn die(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it has.
    pub fn has_died(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Never comes back if it has died.
    pub async fn check(&self) {
        if self.has_died() {
            std::future::pending::<()>().await;
        }
    }
}

#[derive(Default)]
struct Mood {
    /// The longest that a call takes on its way in and on its way out, and by what chance.
    slow: Option<(SeededEntropy, Duration)>,
    failing: HashSet<&'static str>,
    refusing: HashSet<&'static str>,
    losing: HashSet<&'static str>,
    /// A call whose answer is on its way until it is let go.
    held: Option<&'static str>,
    calls: HashMap<&'static str, usize>,
}

/// The way from one process to the store.
pub struct TestStore {
    /// What is kept, as its node sees it.
    pub inner: Arc<dyn Store>,
    /// Whether its process has died.
    pub dead: Dead,
    mood: Mutex<Mood>,
}

impl TestStore {
    pub fn new(inner: Arc<dyn Store>, dead: Dead) -> Self {
        Self { inner, dead, mood: Mutex::default() }
    }

    /// Each call takes up to `longest` on its way in, and again on its way out.
    pub fn be_slow(&self, seed: u64, longest: Duration) {
        self.mood.lock().slow = Some((SeededEntropy::new(seed), longest));
    }

    /// This call fails until it is healed, and changes nothing.
    pub fn fail(&self, call: &'static str) {
        self.mood.lock().failing.insert(call);
    }

    /// This call is refused for its own fault until it is healed, and changes nothing.
    pub fn refuse(&self, call: &'static str) {
        self.mood.lock().refusing.insert(call);
    }

    /// What failed or was refused works again.
    pub fn heal(&self) {
        let mut mood = self.mood.lock();
        mood.failing.clear();
        mood.refusing.clear();
    }

    /// The next such call is done, and its answer is lost.
    pub fn lose_next(&self, call: &'static str) {
        self.mood.lock().losing.insert(call);
    }

    /// This call's answers do not come before [`TestStore::let_go`].
    pub fn hold(&self, call: &'static str) {
        self.mood.lock().held = Some(call);
    }

    /// What was held comes.
    pub fn let_go(&self) {
        self.mood.lock().held = None;
    }

    /// How often it was called so.
    pub fn calls(&self, call: &'static str) -> usize {
        self.mood.lock().calls.get(call).copied().unwrap_or(0)
    }

    async fn before(&self, call: &'static str) -> Result<()> {
        self.dead.check().await;
        *self.mood.lock().calls.entry(call).or_default() += 1;
        self.linger().await;
        if self.mood.lock().failing.contains(call) {
            return Err(StoreError::Unavailable("made so by a test".into()));
        }
        if self.mood.lock().refusing.contains(call) {
            return Err(StoreError::Internal("made so by a test".into()));
        }
        Ok(())
    }

    async fn after<T>(&self, call: &'static str, answer: Result<T>) -> Result<T> {
        self.linger().await;
        while self.mood.lock().held == Some(call) {
            sleep(Duration::from_millis(1)).await;
        }
        self.dead.check().await;
        if self.mood.lock().losing.remove(call) { Err(StoreError::Unknown) } else { answer }
    }

    async fn linger(&self) {
        let wait =
            self.mood.lock().slow.as_ref().map(|(chance, longest)| longest.mul_f64(chance.unit()));
        if let Some(wait) = wait {
            sleep(wait).await;
        }
    }
}

macro_rules! delegate {
    ($trait:ident { $($call:ident($($arg:ident: $ty:ty),*) -> $ret:ty;)* }) => {
        #[async_trait]
        impl $trait for TestStore {
            $(async fn $call(&self, $($arg: $ty),*) -> $ret {
                self.before(stringify!($call)).await?;
                let answer = $trait::$call(&*self.inner, $($arg),*).await;
                self.after(stringify!($call), answer).await
            })*
        }
    };
}

delegate! {
        Catalog {
        load_organization(org: OrganizationId) -> Result<OrganizationSnapshot>;
    put_organization(actor: &Actor, organization: Organization, expected: u64) -> Result<Result<(), Refused<OrganizationId>>>;
    load_application(org: OrganizationId, app: &Ref<ApplicationId>) -> Result<Option<ApplicationSnapshot>>;
    create_application(actor: &Actor, application: Application) -> Result<Result<(), Refused<ApplicationId>>>;
    update_application(actor: &Actor, application: Application, expected: Timestamp) -> Result<Result<(), Refused<ApplicationId>>>;
    delete_application(actor: &Actor, org: OrganizationId, app: ApplicationId, now: Timestamp) -> Result<Result<(), Refused<ApplicationId>>>;
    list_applications(org: OrganizationId, filter: ApplicationFilter, page: PageRequest<ApplicationId>) -> Result<Page<Application>>;
    application(org: OrganizationId, app: &Ref<ApplicationId>) -> Result<Option<Application>>;
    sources(after: Option<(OrganizationId, ApplicationId)>, limit: usize) -> Result<Vec<Application>>;
    create_endpoint(actor: &Actor, endpoint: Endpoint) -> Result<Result<(), Refused<EndpointId>>>;
    update_endpoint(actor: &Actor, endpoint: Endpoint) -> Result<Result<(), Refused<EndpointId>>>;
    delete_endpoint(actor: &Actor, org: OrganizationId, app: ApplicationId, endpoint: EndpointId, now: Timestamp) -> Result<Result<(), Refused<EndpointId>>>;
    list_endpoints(org: OrganizationId, app: ApplicationId, page: PageRequest<EndpointId>) -> Result<Page<Endpoint>>;
    endpoint(org: OrganizationId, app: ApplicationId, endpoint: &Ref<EndpointId>) -> Result<Option<Endpoint>>;
    endpoints_ever(org: OrganizationId, app: ApplicationId, endpoints: &[EndpointId]) -> Result<Vec<Endpoint>>;
    subscriptions(org: OrganizationId, after: Option<ApplicationId>, limit: usize)
        -> Result<Vec<Subscriptions>>;
    headers_at(org: OrganizationId, app: ApplicationId, endpoint: EndpointId, revision: u32) -> Result<Option<BTreeMap<String, String>>>;
    create_event_type(actor: &Actor, event_type: EventType) -> Result<Result<(), Refused<EventTypeName>>>;
    update_event_type(actor: &Actor, event_type: EventType, expected: Timestamp) -> Result<Result<(), Refused<EventTypeName>>>;
    expunge_event_type(actor: &Actor, org: OrganizationId, name: &EventTypeName) -> Result<Result<(), Refused<EventTypeName>>>;
    event_type(org: OrganizationId, name: &EventTypeName) -> Result<Option<EventType>>;
} }
delegate! {
        Tokens {
        create_token(actor: &Actor, token: Token) -> Result<()>;
    list_tokens(org: OrganizationId, page: PageRequest<TokenId>) -> Result<Page<Token>>;
    token(org: OrganizationId, token: TokenId) -> Result<Option<Token>>;
    note_token_uses(uses: Vec<TokenUse>) -> Result<()>;
    revoke(actor: &Actor, org: OrganizationId, token: Option<TokenId>, revocation: Revocation) -> Result<()>;
    revocations(now: Timestamp) -> Result<Vec<Revocation>>;
} }
delegate! {
        Audit {
        audit_log(org: OrganizationId, range: AuditRange, page: PageRequest<AuditId>) -> Result<Page<AuditEntry>>;
} }
delegate! {
        Publish {
        publish(messages: Vec<NewMessage>) -> Result<Vec<Published>>;
    enqueue(deliveries: Vec<Delivery>, max_pending: Option<u64>) -> Result<bool>;
    claimed(org: OrganizationId, key: ClaimKey, now: Timestamp) -> Result<Option<MessageId>>;
    save_response(org: OrganizationId, key: ClaimKey, response: SavedResponse, expires_at: Timestamp) -> Result<()>;
    saved_response(org: OrganizationId, key: ClaimKey, now: Timestamp) -> Result<Option<SavedResponse>>;
} }
delegate! {
        Deliveries {
        lanes(shards: &ShardSet, after: Option<LaneKey>, limit: usize) -> Result<Vec<LaneHead>>;
    due(lane: LaneKey, limits: DueLimits, skip: Vec<DeliveryId>) -> Result<DuePage>;
    settle(settles: Vec<Settle>) -> Result<Vec<Settled>>;
    cancel(lane: LaneKey, limit: usize, now: Timestamp) -> Result<usize>;
} }
delegate! {
        History {
        messages(tenant: Tenant, filter: MessageFilter, page: PageRequest<MessageId>, with_body: bool) -> Result<Page<Message>>;
    message(tenant: Tenant, message: &Ref<MessageId>) -> Result<Option<Message>>;
    messages_by_id(tenant: Tenant, ids: Vec<MessageId>, with_body: bool) -> Result<Vec<Message>>;
    attempts_by_endpoint(tenant: Tenant, endpoint: EndpointId, filter: AttemptFilter, page: PageRequest<AttemptId>) -> Result<Page<Attempt>>;
    attempts_by_message(tenant: Tenant, message: MessageId, filter: AttemptFilter, page: PageRequest<AttemptId>) -> Result<Page<Attempt>>;
    attempt(tenant: Tenant, message: MessageId, attempt: AttemptId) -> Result<Option<Attempt>>;
    endpoint_messages(tenant: Tenant, endpoint: EndpointId, filter: MessageFilter, statuses: Vec<Status>, page: PageRequest<MessageId>, with_body: bool) -> Result<Page<EndpointMessage>>;
    message_endpoints(tenant: Tenant, message: MessageId, page: PageRequest<EndpointId>) -> Result<Page<MessageEndpoint>>;
    delivery_records(tenant: Tenant, messages: Vec<MessageId>, endpoint: EndpointId) -> Result<Vec<DeliveryRecord>>;
    endpoint_counts(tenant: Tenant, endpoint: EndpointId, since: Timestamp, until: Timestamp) -> Result<EndpointCounts>;
    failed_messages(tenant: Tenant, endpoint: EndpointId, range: (Timestamp, Timestamp), after: Option<AttemptId>, limit: usize) -> Result<(Vec<MessageId>, Option<AttemptId>)>;
    expunge_message(tenant: Tenant, message: MessageId, now: Timestamp) -> Result<bool>;
    expunge_attempt(tenant: Tenant, message: MessageId, attempt: AttemptId) -> Result<bool>;
} }
delegate! {
        Analytics {
        flush_rollups(owned: &[(Shard, Epoch)]) -> Result<()>;
    count_unaccepted(counts: Vec<UnacceptedCount>) -> Result<()>;
    roll_up(limits: RollupLimits) -> Result<bool>;
    rolled_up() -> Result<RolledUp>;
    rollups(org: OrganizationId, of: Of, span: Span, limit: usize) -> Result<Vec<RollupRow>>;
    application_counts(org: OrganizationId, span: Span) -> Result<Vec<(ApplicationId, Counts)>>;
    recount(tenant: Tenant, span: Span) -> Result<Vec<RollupRow>>;
    failing_endpoints(org: OrganizationId, limit: usize) -> Result<Vec<FailingEndpoint>>;
    pending_work(org: OrganizationId, limit: usize) -> Result<Vec<PendingWork>>;
} }
delegate! {
        Alerts {
        create_alert_rule(actor: &Actor, rule: Rule) -> Result<bool>;
    update_alert_rule(actor: &Actor, rule: Rule, expected: Timestamp)
        -> Result<Result<(), Refused<AlertRuleId>>>;
    delete_alert_rule(actor: &Actor, org: OrganizationId, rule: AlertRuleId) -> Result<bool>;
    alert_rule(org: OrganizationId, rule: AlertRuleId) -> Result<Option<Rule>>;
    alert_rules(org: OrganizationId, page: PageRequest<AlertRuleId>) -> Result<Page<Rule>>;
    all_alert_rules(after: Option<(OrganizationId, AlertRuleId)>, limit: usize)
        -> Result<Vec<Rule>>;
    put_alert(alert: Alert) -> Result<bool>;
    live_alerts(after: Option<(OrganizationId, AlertId)>, limit: usize) -> Result<Vec<Alert>>;
    alerts(org: OrganizationId, open: bool, page: PageRequest<AlertId>) -> Result<Page<Alert>>;
    alert(org: OrganizationId, alert: AlertId) -> Result<Option<Alert>>;
    oldest_due(org: OrganizationId) -> Result<Option<OldestDue>>;
} }
delegate! {
        Tasks {
        create_task(actor: &Actor, task: Task) -> Result<Option<TaskId>>;
    running_tasks(shards: &ShardSet, limit: usize) -> Result<Vec<Task>>;
    update_task(step: Task) -> Result<()>;
    steer_task(actor: &Actor, org: OrganizationId, task: TaskId, wish: Wish, now: Timestamp)
        -> Result<Option<Task>>;
    task(org: OrganizationId, task: TaskId) -> Result<Option<Task>>;
    list_tasks(org: OrganizationId, filter: TaskFilter, page: PageRequest<TaskId>) -> Result<Page<Task>>;
} }
delegate! {
        Rejected {
        keep_rejected(requests: Vec<RejectedRequest>) -> Result<()>;
    list_rejected(tenant: Tenant, page: PageRequest<RejectedId>) -> Result<Page<RejectedRequest>>;
    rejected(tenant: Tenant, id: RejectedId) -> Result<Option<RejectedRequest>>;
} }
delegate! {
        Housekeeping {
        sweep(limits: RetentionLimits) -> Result<Swept>;
    stats() -> Result<StoreStats>;
    ping() -> Result<()>;
    check() -> Result<CheckReport>;
} }

#[async_trait]
impl Nodes for TestStore {
    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    async fn heartbeat(&self, leaving: bool) -> Result<Ownership> {
        self.before("heartbeat").await?;
        let answer = self.inner.heartbeat(leaving).await;
        self.after("heartbeat", answer).await
    }

    async fn release(&self, shards: &ShardSet) -> Result<()> {
        self.before("release").await?;
        let answer = self.inner.release(shards).await;
        self.after("release", answer).await
    }

    async fn reserve(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        rate: u16,
        attempts: u32,
    ) -> Result<Slice> {
        self.before("reserve").await?;
        let answer = self.inner.reserve(org, app, rate, attempts).await;
        self.after("reserve", answer).await
    }

    async fn nodes(&self) -> Result<Vec<NodeInfo>> {
        self.before("nodes").await?;
        self.inner.nodes().await
    }

    fn wake(&self, lanes: Vec<LaneHead>) {
        let mut mood = self.mood.lock();
        *mood.calls.entry("wake").or_default() += 1;
        if !mood.failing.contains("wake") && !self.dead.has_died() {
            self.inner.wake(lanes);
        }
    }

    async fn news(&self) -> News {
        let news = self.inner.news().await;
        self.dead.check().await;
        news
    }
}
