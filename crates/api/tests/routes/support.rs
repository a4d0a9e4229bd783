//! The real router over the reference store (or, where `HOOKWRIGHT_TEST_POSTGRES` has the URL of a server,
//! over a database of its own there), with a clock that stands still and a handover that remembers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use domain::{
    alert::{Channel, Rule},
    attempt::{Attempt, Outcome, OutcomeClass},
    clock::{Clock, ManualClock, Timestamp},
    delivery::{Cause, EndState, Health, Next},
    entropy::SeededEntropy,
    id::{ApplicationId, AttemptId, EndpointId, MessageId, OrganizationId},
};
use futures_util::stream;
use hookwright_api::{
    self as api, ApiOptions, ApiState, Deliveries, Handed, JudgeAgain, JwtAlgorithm, Keys,
    Listening, NotTaken, TellOfAlerts, auth,
};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use publish::{Catalogues, Handover, Hot, PublishOptions, Publisher};
use serde_json::Value;
use store::{Store, deliveries::Settle, rejected::RejectedRequest, vault::Vault};
use store_memory::MemoryStore;
use store_postgres::{Ports, PostgresOptions, PostgresStore};
use tower::ServiceExt;
use url::Url;

pub const SECRET: &[u8] = b"a secret for tests, and nothing else";
/// Takes what is `genuine` by its body.
struct JudgesByBody;

#[async_trait::async_trait]
impl JudgeAgain for JudgesByBody {
    async fn judge_again(&self, request: &RejectedRequest) -> Result<(), NotTaken> {
        match &request.body[..] {
            b"genuine" => Ok(()),
            b"" => Err(NotTaken::Unusable("nothing of it was kept".into())),
            _ => Err(NotTaken::NotGenuine("no signature matches".into())),
        }
    }
}

/// Tells nobody: a Slack channel is not there, the others are.
struct Tells;

#[async_trait::async_trait]
impl TellOfAlerts for Tells {
    fn can_mail(&self) -> bool {
        true
    }

    async fn test(&self, rule: &Rule) -> Vec<Result<(), String>> {
        let told = |channel: &Channel| match channel {
            Channel::Slack { .. } => Err("it answered 404".to_owned()),
            _ => Ok(()),
        };
        rule.channels.iter().map(told).collect()
    }
}

pub const START: Timestamp = Timestamp::from_secs(1_790_000_000);
pub const DAY: Duration = Duration::from_secs(86_400);

/// Remembers what was handed over.
#[derive(Default)]
pub struct Recorder {
    pub hot: Mutex<Vec<Hot>>,
    pub last: Mutex<Option<Hot>>,
    pub endpoints: Mutex<Vec<EndpointId>>,
    pub applications: Mutex<Vec<ApplicationId>>,
    /// How often it was told of tasks.
    pub tasks: Mutex<usize>,
    pub expunged: Mutex<Vec<MessageId>>,
}

impl Handover for Recorder {
    fn hand_over(&self, hot: Vec<Hot>) {
        if let Some(last) = hot.last() {
            *self.last.lock() = Some(last.clone());
        }
        self.hot.lock().extend(hot);
    }

    fn endpoint_changed(&self, _: OrganizationId, _: ApplicationId, endpoint: EndpointId) {
        self.endpoints.lock().push(endpoint);
    }

    fn application_changed(&self, _: OrganizationId, app: ApplicationId) {
        self.applications.lock().push(app);
    }

    fn tasks_changed(&self) {
        *self.tasks.lock() += 1;
    }

    fn message_expunged(&self, _: OrganizationId, _: ApplicationId, message: MessageId) {
        self.expunged.lock().push(message);
    }
}

/// The delivery that [`Desk`] waits for the acknowledgement of.
pub const DELIVERY: &str = "delivery_1";

/// Hands listeners what was put there, and ends.
#[derive(Default)]
pub struct Desk {
    pub elsewhere: AtomicBool,
    pub full: AtomicBool,
    pub deliveries: Mutex<Vec<Handed>>,
    pub acknowledged: Mutex<Vec<(u16, Bytes)>>,
}

impl Listening for Desk {
    fn is_here(&self, _: OrganizationId, _: ApplicationId, _: EndpointId) -> bool {
        !self.elsewhere.load(Ordering::Relaxed)
    }

    fn connect(&self, _: ApplicationId, _: &Url) -> Result<Deliveries, &'static str> {
        if self.full.load(Ordering::Relaxed) {
            return Err("There are too many listeners.");
        }
        Ok(Box::pin(stream::iter(std::mem::take(&mut *self.deliveries.lock()))))
    }

    fn acknowledge(&self, _: ApplicationId, _: &Url, id: &str, status: u16, body: Bytes) -> bool {
        self.acknowledged.lock().push((status, body));
        id == DELIVERY
    }
}

/// The PostgreSQL server to test over, if one was given.
#[expect(clippy::disallowed_methods, reason = "tests are told by the environment")]
fn postgres_url() -> Option<String> {
    std::env::var("HOOKWRIGHT_TEST_POSTGRES").ok()
}

/// A store in a new database of the server at `url`.
async fn postgres(
    url: &str,
    clock: Arc<ManualClock>,
    entropy: Arc<SeededEntropy>,
) -> PostgresStore {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("api_{}_{n}", std::process::id());
    postgres_cluster::psql(url, &format!("CREATE DATABASE {name}")).expect("a database");
    let (base, _) = url.rsplit_once('/').expect("a URL with a database");
    let vault = Arc::new(Vault::new(&[[1; 32]], entropy.clone()).expect("a vault"));
    let options = PostgresOptions {
        connections: 2,
        // Few partitions: each test makes its own.
        partition: 60 * DAY,
        ..PostgresOptions::new(format!("{base}/{name}"))
    };
    PostgresStore::open(options, Ports { vault, clock, entropy }).await.expect("opens")
}

/// A server without sockets.
pub struct Server {
    pub api: hookwright_api::Api,
    pub state: ApiState,
    pub store: Arc<dyn Store>,
    memory: Option<Arc<MemoryStore>>,
    pub clock: Arc<ManualClock>,
    pub entropy: Arc<SeededEntropy>,
    pub handed: Arc<Recorder>,
    pub desk: Arc<Desk>,
    pub keys: Keys,
}

pub fn keys() -> Keys {
    Keys::new(JwtAlgorithm::Hs256, SECRET).expect("a secret")
}

impl Server {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut ApiOptions)) -> Self {
        let Some(url) = postgres_url() else { return Self::in_memory_with(change).await };
        let clock = Arc::new(ManualClock::new(START));
        let entropy = Arc::new(SeededEntropy::new(7));
        let store = Arc::new(postgres(&url, clock.clone(), entropy.clone()).await);
        Self::node(store, None, clock, entropy, change).await
    }

    /// Over the reference store whatever is asked for, because it fails on request.
    pub async fn in_memory() -> Self {
        Self::in_memory_with(|_| {}).await
    }

    pub async fn in_memory_with(change: impl FnOnce(&mut ApiOptions)) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let entropy = Arc::new(SeededEntropy::new(7));
        let store = Arc::new(MemoryStore::with_clock(entropy.clone(), clock.clone()));
        Self::node(store.clone(), Some(store), clock, entropy, change).await
    }

    /// The reference store, of a server that has it.
    pub fn memory(&self) -> &MemoryStore {
        self.memory.as_ref().expect("made by `in_memory`")
    }

    /// A restart: another server over the same store.
    pub async fn restarted(&self) -> Self {
        let (store, memory) = (self.store.clone(), self.memory.clone());
        Self::node(store, memory, self.clock.clone(), self.entropy.clone(), |_| {}).await
    }

    /// Two nodes over one store, which know nothing of one another: no news is told.
    pub async fn two() -> (Self, Self) {
        let entropy = Arc::new(SeededEntropy::new(7));
        let store = Arc::new(MemoryStore::new(entropy.clone()));
        let start = async |name| {
            let clock = Arc::new(ManualClock::new(START));
            let node = store.node(name, clock.clone());
            Self::node(node, Some(store.clone()), clock, entropy.clone(), |_| {}).await
        };
        (start("a").await, start("b").await)
    }

    /// A server over `store`, which is all or part of `memory` if that is given.
    async fn node(
        store: Arc<dyn Store>,
        memory: Option<Arc<MemoryStore>>,
        clock: Arc<ManualClock>,
        entropy: Arc<SeededEntropy>,
        change: impl FnOnce(&mut ApiOptions),
    ) -> Self {
        let handed = Arc::new(Recorder::default());
        let publisher = Arc::new(Publisher::new(
            store.clone(),
            Arc::new(Catalogues::new(store.clone(), 1_000)),
            handed.clone(),
            clock.clone(),
            entropy.clone(),
            PublishOptions { payload_retention: 90 * DAY, max_pending: None },
        ));
        let mut options = ApiOptions::new(keys());
        options.judge = Some(Arc::new(JudgesByBody));
        options.alerts = Some(Arc::new(Tells));
        let desk = Arc::new(Desk::default());
        options.listening = desk.clone();
        change(&mut options);
        let state =
            ApiState::new(store.clone(), publisher, clock.clone(), entropy.clone(), options)
                .await
                .expect("starts");
        let api = api::router(state.clone());
        Self { api, state, store, memory, clock, entropy, handed, desk, keys: keys() }
    }

    /// A token of a new organization.
    pub fn org(&self) -> Client<'_> {
        self.client_of(OrganizationId::generate(self.clock.now(), &*self.entropy))
    }

    pub fn client_of(&self, org: OrganizationId) -> Client<'_> {
        let now = self.clock.now();
        let minted = auth::mint_organization(&self.keys, org, now, 3650 * DAY, &*self.entropy);
        self.client(minted.expect("has a key").token)
    }

    pub fn client(&self, token: String) -> Client<'_> {
        Client { server: self, token: Some(token) }
    }

    /// Whoever calls another node, calling this one.
    pub fn caller(&self, elsewhere: &Client<'_>) -> Client<'_> {
        self.client(elsewhere.token.clone().expect("a token"))
    }

    pub fn stranger(&self) -> Client<'_> {
        Client { server: self, token: None }
    }

    pub async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.api.clone().oneshot(request).await.expect("never fails");
        let (parts, mut body) = response.into_parts();
        // Events go on for ever: their first part stands for all.
        let endless = parts.headers.get("content-type").is_some_and(|t| t == "text/event-stream");
        let body = if endless {
            body.frame().await.expect("begins").expect("read").into_data().expect("data")
        } else {
            body.collect().await.expect("body").to_bytes()
        };
        Reply { status: parts.status, headers: parts.headers, body }
    }

    /// Says that an endpoint only fails, as the engine would.
    pub async fn fail(&self, app: &str, endpoint: &str) {
        let hot = self.handed.last.lock().clone().expect("something was handed over");
        assert_eq!(
            (hot.delivery.app.to_string(), hot.delivery.endpoint.to_string()),
            (app.into(), endpoint.into())
        );
        let since = self.clock.now();
        let outcome = self.outcome(&hot, 500, b"", succeeded());
        let settle = Settle { attempt: None, health: Health::Failing(since), ..outcome };
        self.store.settle(vec![settle]).await.expect("settles");
    }

    /// Ends the attempt of a delivery of a message of this type, as the engine would.
    pub async fn settle_as(&self, hot: &Hot, event_type: &str, status_code: u16, next: Next) {
        let event_type = event_type.parse().expect("an event type");
        let settle = Settle { event_type, ..self.outcome(hot, status_code, b"", next) };
        self.store.settle(vec![settle]).await.expect("settles");
    }

    /// Ends the attempt of a delivery, as the engine would.
    pub async fn settle(&self, hot: &Hot, status_code: u16, response: &[u8], next: Next) {
        let settle = self.outcome(hot, status_code, response, next);
        self.store.settle(vec![settle]).await.expect("settles");
    }

    pub fn outcome(&self, hot: &Hot, status_code: u16, response: &[u8], next: Next) -> Settle {
        let success = (200..300).contains(&status_code);
        let now = self.clock.now();
        let d = &hot.delivery;
        let attempt = Attempt {
            id: AttemptId::generate(now, &*self.entropy),
            org: d.org,
            app: d.app,
            endpoint: d.endpoint,
            message: d.message,
            delivery: d.id,
            number: d.attempts + 1,
            trigger: d.trigger,
            url: "https://example.com/hook".into(),
            outcome: Outcome {
                class: if success { OutcomeClass::Success } else { OutcomeClass::Status },
                status_code: Some(status_code),
                response: Bytes::copy_from_slice(response),
                duration: Duration::from_millis(12),
                retry_after: None,
                timed_out: false,
            },
            started_at: now,
            endpoint_revision: 1,
            secrets: Vec::new(),
            body_hash: [0; 16],
            superseded: false,
        };
        Settle {
            delivery: d.clone(),
            attempt: Some(attempt),
            event_type: "user.signup".parse().expect("an event type"),
            wanted_at: now,
            next,
            health: Health::Same,
            messages: Vec::new(),
            epoch: store::deliveries::NO_EPOCH,
        }
    }

    pub fn take_hot(&self) -> Vec<Hot> {
        std::mem::take(&mut self.handed.hot.lock())
    }
}

pub fn succeeded() -> Next {
    Next::End(EndState::Succeeded, Cause::Delivered)
}

/// Somebody with a token.
#[derive(Clone)]
pub struct Client<'a> {
    pub server: &'a Server,
    pub token: Option<String>,
}

#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The body, after a look at the status.
    #[track_caller]
    pub fn ok(self, status: u16) -> Value {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        assert_eq!(self.status.as_u16(), status, "{text}");
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The status and the code, or the first location of what is wrong.
    pub fn error(&self) -> (u16, String) {
        let json = self.json();
        let what = match &json["detail"] {
            Value::Array(faults) => {
                let loc = faults[0]["loc"].as_array().expect("loc");
                assert!(faults[0]["msg"].is_string() && faults[0]["type"].is_string());
                loc.iter().map(|l| l.as_str().expect("text")).collect::<Vec<_>>().join(".")
            }
            detail => {
                assert!(detail.is_string(), "{json}");
                json["code"].as_str().expect("code").to_owned()
            }
        };
        (self.status.as_u16(), what)
    }
}

/// Paths are below `/api/v1`, but for those of sources.
pub fn whole(path: &str) -> String {
    if path.starts_with("/ingest/") { path.to_owned() } else { format!("/api/v1{path}") }
}

impl<'a> Client<'a> {
    pub fn request(&self, method: &str, path: &str) -> http::request::Builder {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request
    }

    pub async fn raw(&self, method: &str, path: &str, body: impl Into<Bytes>) -> Reply {
        let body: Bytes = body.into();
        let request = self.request(method, path).body(Body::from(body)).expect("request");
        self.server.send(request).await
    }

    pub async fn call(&self, method: &str, path: &str, body: Value) -> Reply {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.raw(method, &whole(path), body).await
    }

    pub async fn keyed(&self, key: &str, path: &str, body: Value) -> Reply {
        let request = self.request("POST", &whole(path)).header("idempotency-key", key);
        self.server.send(request.body(Body::from(body.to_string())).expect("request")).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, Value::Null).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.call("POST", path, body).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Reply {
        self.call("PUT", path, body).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.call("PATCH", path, body).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.call("DELETE", path, Value::Null).await
    }

    /// A new application's id.
    pub async fn app(&self) -> String {
        let app = self.post("/app", serde_json::json!({"name": "Acme"})).await.ok(201);
        app["id"].as_str().expect("id").to_owned()
    }

    /// A new endpoint's id.
    pub async fn endpoint(&self, app: &str) -> String {
        let body = serde_json::json!({"url": "https://example.com/hook"});
        let endpoint = self.post(&format!("/app/{app}/endpoint"), body).await.ok(201);
        endpoint["id"].as_str().expect("id").to_owned()
    }

    /// A new endpoint's id, for listeners.
    pub async fn listened_endpoint(&self, app: &str) -> String {
        let body = serde_json::json!({"url": "https://listen.hookwright.invalid/mine"});
        let endpoint = self.post(&format!("/app/{app}/endpoint"), body).await.ok(201);
        endpoint["id"].as_str().expect("id").to_owned()
    }

    /// A new message's id.
    pub async fn message(&self, app: &str) -> String {
        let body = serde_json::json!({"eventType": "user.signup", "payload": {"a": 1}});
        let message = self.post(&format!("/app/{app}/msg"), body).await.ok(202);
        message["id"].as_str().expect("id").to_owned()
    }

    /// A portal client of an application.
    pub async fn portal(&self, app: &str, body: Value) -> Client<'a> {
        let path = format!("/auth/app-portal-access/{app}");
        let access = self.post(&path, body).await.ok(200);
        self.server.client(access["token"].as_str().expect("token").to_owned())
    }
}

/// `["a", "b"]` of a page's items.
pub fn column(page: &Value, field: &str) -> Vec<String> {
    let items = page["data"].as_array().expect("data");
    items.iter().map(|item| item[field].as_str().expect("text").to_owned()).collect()
}

impl Server {
    /// The endpoint of a delivery, as it is stored.
    pub async fn store_endpoint(&self, hot: &Hot) -> domain::endpoint::Endpoint {
        let d = &hot.delivery;
        let found = self.store.endpoint(d.org, d.app, &domain::name::Ref::Id(d.endpoint)).await;
        found.expect("answers").expect("is there")
    }

    /// The organization a client's token names.
    pub fn tenant_of(&self, client: &Client<'_>) -> String {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        let token = client.token.as_ref().expect("token");
        let claims = token.split('.').nth(1).expect("three parts");
        let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64");
        let claims: Value = serde_json::from_slice(&claims).expect("JSON");
        claims["sub"].as_str().expect("sub").to_owned()
    }
}
