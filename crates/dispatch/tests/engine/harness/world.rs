//! Everything put together, with shorthands for what tests do.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{
    application::Application,
    attempt::Attempt,
    clock::{Clock, Timestamp},
    delivery::{Cause, EndState, Trigger},
    endpoint::{Endpoint, EndpointSecret},
    entropy::SeededEntropy,
    id::*,
    message::{Body, Message, Origin},
    name::Ref,
    page::{Order, PageRequest},
    retry::RetrySchedule,
    shard::{Shard, ShardSet},
    signature::{SignatureType, SigningSecret},
    token::Actor,
};
use hookwright_dispatch::DispatchOptions;
use publish::{Draft, PublishError};
use store::{
    Catalog, Deliveries, History, Housekeeping,
    history::{DeliveryRecord, Tenant},
};
use store_memory::MemoryStore;
use tokio::time::{Instant, sleep};

use super::{Arrival, MS, Process, Receivers, SEC, VirtualClock, process::boot};

/// The world.
pub struct World {
    pub receivers: Arc<Receivers>,
    pub clock: Arc<VirtualClock>,
    pub entropy: Arc<SeededEntropy>,
    pub org: OrganizationId,
    pub options: DispatchOptions,
    memory: Arc<MemoryStore>,
    /// Whether its processes are nodes that share the store.
    shared: bool,
    pub process: Process,
    /// Those beside the first.
    others: Vec<Process>,
}

impl std::ops::Deref for World {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

/// Options that tests change: short schedules without jitter.
pub fn plain_options() -> DispatchOptions {
    let mut options = DispatchOptions::default();
    options.policy.timing.jitter = 0.0;
    options.policy.schedule = schedule(&[5, 10, 20, 40, 80]);
    options
}

/// A schedule of seconds.
pub fn schedule(seconds: &[u64]) -> RetrySchedule {
    RetrySchedule::new(seconds.iter().map(|s| Duration::from_secs(*s))).expect("short enough")
}

impl World {
    /// A running world.
    pub fn new(change: impl FnOnce(&mut DispatchOptions)) -> Self {
        Self::with_seed(1, change)
    }

    /// A running world of its own chances.
    pub fn with_seed(seed: u64, change: impl FnOnce(&mut DispatchOptions)) -> Self {
        Self::begin(seed, false, change)
    }

    /// A world in which one node runs that shares the store with those that [`World::join`].
    pub fn shared(change: impl FnOnce(&mut DispatchOptions)) -> Self {
        Self::begin(1, true, change)
    }

    fn begin(seed: u64, shared: bool, change: impl FnOnce(&mut DispatchOptions)) -> Self {
        let mut options = plain_options();
        change(&mut options);
        let entropy = Arc::new(SeededEntropy::new(seed));
        let clock = Arc::new(VirtualClock::new(Instant::now()));
        let memory = Arc::new(MemoryStore::new(entropy.clone()));
        let receivers = Arc::new(Receivers::default());
        let process = boot(&memory, &receivers, &clock, &entropy, &options, shared);
        let org = OrganizationId::DEFAULT.parse().expect("an id");
        let others = Vec::new();
        Self { receivers, clock, entropy, org, options, memory, shared, process, others }
    }

    /// Another process over the store.
    fn boot(&self) -> Process {
        let Self { memory, receivers, clock, entropy, options, shared, .. } = self;
        boot(memory, receivers, clock, entropy, options, *shared)
    }

    /// The process dies, now, and another one starts over what was stored.
    pub fn crash(&mut self) {
        self.process.store.dead.die();
        self.process = self.boot();
    }

    /// Another node starts; returns its number. The first one's is 0.
    pub fn join(&mut self) -> usize {
        self.others.push(self.boot());
        self.others.len()
    }

    /// A node by its number.
    pub fn node(&self, number: usize) -> &Process {
        match number {
            0 => &self.process,
            _ => &self.others[number - 1],
        }
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &Process> {
        (0..=self.others.len()).map(|number| self.node(number))
    }

    /// How many shards each node owns, by its own account.
    pub fn owned(&self) -> Vec<usize> {
        self.nodes().map(|node| node.engine.depths().shards).collect()
    }

    /// Lets time pass until nodes own as many shards as these. None has two owners.
    pub async fn shared_out(&self, time: Duration, owned: &[usize]) {
        let so = async || self.owned() == owned;
        self.until(time, &format!("shards are shared out as {owned:?}"), so).await;
        let of = |node: &Process| node.engine.shards().iter().collect::<Vec<_>>();
        let worked_on: Vec<_> = self.nodes().flat_map(of).collect();
        let shards: ShardSet = worked_on.iter().copied().collect();
        assert!(shards.len() == worked_on.len(), "some have two owners");
    }

    /// An endpoint at `https://<host>/` whose work is the node's.
    pub async fn endpoint_of(
        &self,
        node: usize,
        host: &str,
        change: impl Fn(&mut Endpoint),
    ) -> (Application, Endpoint) {
        let shards = self.node(node).engine.shards();
        self.endpoint_in(|shard| shards.contains(shard), host, change).await
    }

    /// An endpoint at `https://<host>/`, of an application of its own, whose shard is one of these.
    pub async fn endpoint_in(
        &self,
        wanted: impl Fn(Shard) -> bool,
        host: &str,
        change: impl Fn(&mut Endpoint),
    ) -> (Application, Endpoint) {
        let app = self.application(|_| {}).await;
        let id = loop {
            let id = EndpointId::generate(self.now(), &*self.entropy);
            if wanted(Shard::of(&app.org, &app.id, &id)) {
                break id;
            }
        };
        let with_id = |endpoint: &mut Endpoint| {
            endpoint.id = id;
            change(endpoint);
        };
        let endpoint = self.endpoint(&app, host, with_id).await;
        (app, endpoint)
    }

    /// The process ends in order, and another one starts.
    pub async fn restart(&mut self) {
        assert_eq!(self.engine.stop().await, 0, "attempts left");
        self.crash();
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub async fn application(&self, change: impl FnOnce(&mut Application)) -> Application {
        self.application_of(self.org, change).await
    }

    pub async fn application_of(
        &self,
        org: OrganizationId,
        change: impl FnOnce(&mut Application),
    ) -> Application {
        let mut application = Application {
            org,
            id: ApplicationId::generate(self.now(), &*self.entropy),
            uid: None,
            name: "a customer".into(),
            throttle_rate: None,
            metadata: Default::default(),
            source: None,
            created_at: self.now(),
            updated_at: self.now(),
        };
        change(&mut application);
        let created =
            self.store.inner.create_application(&Actor::System, application.clone()).await;
        created.expect("the store answers").expect("created");
        self.publisher.catalogues().application_changed(
            org,
            application.id,
            application.uid.as_ref(),
        );
        application
    }

    /// An endpoint at `https://<host>/`.
    pub async fn endpoint(
        &self,
        app: &Application,
        host: &str,
        change: impl FnOnce(&mut Endpoint),
    ) -> Endpoint {
        let mut endpoint = Endpoint {
            org: app.org,
            app: app.id,
            id: EndpointId::generate(self.now(), &*self.entropy),
            uid: None,
            url: format!("https://{host}/").parse().expect("a URL"),
            description: String::new(),
            throttle_rate: None,
            version: 1,
            disabled: false,
            event_types: None,
            channels: None,
            metadata: Default::default(),
            headers: Default::default(),
            secrets: vec![self.secret(SignatureType::Hmac256, None)],
            retry_schedule: None,
            transformation: None,
            first_failure_at: None,
            revision: 1,
            created_at: self.now(),
            updated_at: self.now(),
        };
        change(&mut endpoint);
        let created = self.store.inner.create_endpoint(&Actor::System, endpoint.clone()).await;
        created.expect("the store answers").expect("created");
        self.told(&endpoint);
        endpoint
    }

    pub fn secret(&self, kind: SignatureType, expires_at: Option<Timestamp>) -> EndpointSecret {
        EndpointSecret {
            id: SecretId::generate(self.now(), &*self.entropy),
            secret: Arc::new(SigningSecret::generate(kind, &*self.entropy)),
            expires_at,
        }
    }

    /// Changes an endpoint, as the API does.
    pub async fn change(&self, endpoint: &Endpoint, change: impl FnOnce(&mut Endpoint)) {
        let mut changed = self.stored(endpoint).await;
        change(&mut changed);
        changed.revision += 1;
        let updated = self.store.inner.update_endpoint(&Actor::System, changed).await;
        updated.expect("the store answers").expect("updated");
        self.told(endpoint);
    }

    /// Deletes an endpoint, as the API does.
    pub async fn delete(&self, endpoint: &Endpoint) {
        let Endpoint { org, app, id, .. } = *endpoint;
        let deleted =
            self.store.inner.delete_endpoint(&Actor::System, org, app, id, self.now()).await;
        deleted.expect("the store answers").expect("deleted");
        self.told(endpoint);
    }

    fn told(&self, endpoint: &Endpoint) {
        let Endpoint { org, app, id, .. } = *endpoint;
        self.publisher.catalogues().application_changed(org, app, None);
        self.publisher.handover().endpoint_changed(org, app, id);
    }

    /// An endpoint as it is stored.
    pub async fn stored(&self, endpoint: &Endpoint) -> Endpoint {
        let reference = Ref::Id(endpoint.id);
        let found = self.memory.endpoint(endpoint.org, endpoint.app, &reference).await;
        found.expect("the store answers").expect("it is there")
    }

    pub fn draft(&self, payload: impl Into<Bytes>) -> Draft {
        Draft {
            event_type: "invoice.paid".parse().expect("a name"),
            event_id: None,
            event_id_window: None,
            channels: Vec::new(),
            tags: Vec::new(),
            body: Body::json(payload.into()),
            deliver_at: None,
            retention: None,
            origin: Origin::Api,
            idempotency: None,
            only: None,
        }
    }

    /// Publishes; it must be accepted.
    pub async fn publish(&self, app: &Application, drafts: Vec<Draft>) -> Vec<Arc<Message>> {
        let accepted = self.try_publish(app, drafts).await.expect("published");
        accepted.into_iter().map(|a| a.expect("accepted").message).collect()
    }

    pub async fn try_publish(
        &self,
        app: &Application,
        drafts: Vec<Draft>,
    ) -> Result<Vec<Result<publish::Accepted, publish::Rejected>>, PublishError> {
        self.publisher.publish(app.org, &Ref::Id(app.id), drafts, &publish::Internal).await
    }

    /// Publishes small messages at one of several nodes.
    pub async fn send_at(&self, node: usize, app: &Application, n: usize) -> Vec<Arc<Message>> {
        let publisher = &self.node(node).publisher;
        let drafts = vec![self.draft("{}"); n];
        let accepted =
            publisher.publish(app.org, &Ref::Id(app.id), drafts, &publish::Internal).await;
        let accepted = accepted.expect("published").into_iter();
        accepted.map(|a| a.expect("accepted").message).collect()
    }

    /// Publishes one small message.
    pub async fn send(&self, app: &Application) -> Arc<Message> {
        self.publish(app, vec![self.draft("{}")]).await.remove(0)
    }

    /// Publishes many small messages.
    pub async fn send_many(&self, app: &Application, n: usize) -> Vec<Arc<Message>> {
        self.publish(app, vec![self.draft("{}"); n]).await
    }

    pub async fn resend(&self, message: &Arc<Message>, endpoint: &Endpoint, trigger: Trigger) {
        let sent = self.publisher.resend(message.clone(), endpoint, trigger).await;
        sent.expect("the store answers").expect("resent");
    }

    /// The records of a message's deliveries to an endpoint, oldest first.
    pub async fn records(&self, message: &Message, endpoint: &Endpoint) -> Vec<DeliveryRecord> {
        let tenant = Tenant { org: message.org, app: message.app };
        let found = self.memory.delivery_records(tenant, vec![message.id], endpoint.id).await;
        found.expect("the store answers")
    }

    /// The attempts of a message, oldest first.
    pub async fn attempts(&self, message: &Message) -> Vec<Attempt> {
        let tenant = Tenant { org: message.org, app: message.app };
        let page = PageRequest { limit: 100, order: Order::Ascending, cursor: None };
        let found = self.memory.attempts_by_message(tenant, message.id, Default::default(), page);
        found.await.expect("the store answers").items
    }

    /// How the only delivery of a message to an endpoint ended, if it has.
    pub async fn end(&self, message: &Message, endpoint: &Endpoint) -> Option<(EndState, Cause)> {
        let records = self.records(message, endpoint).await;
        assert_eq!(records.len(), 1);
        records[0].end
    }

    /// How many deliveries are pending in the store.
    pub async fn pending(&self) -> u64 {
        self.memory.stats().await.expect("the store answers").pending
    }

    /// Whether nothing is pending in the store.
    pub async fn idle(&self) -> bool {
        self.memory.lanes(&ShardSet::ALL, None, 1).await.expect("the store answers").is_empty()
    }

    /// Lets time pass.
    pub async fn pass(&self, time: Duration) {
        sleep(time).await;
    }

    /// Lets time pass until something is so; it must be so within `time`.
    pub async fn until(&self, time: Duration, what: &str, so: impl AsyncFn() -> bool) {
        let began = Instant::now();
        while !so().await {
            let waited = began.elapsed();
            assert!(waited < time, "not within {time:?}: {what}");
            sleep((waited / 50).clamp(MS, SEC)).await;
        }
    }

    /// Lets time pass until `n` requests have come to a host, and returns the last one of them.
    pub async fn arrivals(&self, time: Duration, host: &str, n: usize) -> Arrival {
        let so = async || self.receivers.count(host) >= n;
        self.until(time, &format!("{n} arrivals at {host}"), so).await;
        self.receivers.at(host).swap_remove(n - 1)
    }

    /// Lets time pass until nothing is pending, and checks that the store is whole.
    pub async fn drained(&self, time: Duration) {
        self.until(time, "nothing is pending", async || self.idle().await).await;
        let report = self.memory.check().await.expect("the store answers");
        assert_eq!(report.problems, [""; 0]);
    }

    /// The store itself, for what no process does.
    pub fn memory(&self) -> &MemoryStore {
        &self.memory
    }
}
