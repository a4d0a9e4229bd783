//! What it costs to accept and complete a message:
//!
//! ```text
//! cargo run --release -p hookwright-store-embedded --example commit_bench -- \
//!     [messages=200000] [producers=256] [fanout=1] [applications=1] [payload=1024] [cache=32] [settle=1] [dir=…]
//! ```
//!
//! Each producer publishes a message with an idempotency key, waits for the commit, and settles its
//! deliveries as succeeded, each in a call of its own (`settle=0` leaves them pending, and then shows
//! how long it takes to open the store and to find its lanes). Prints messages per second and microseconds of
//! CPU per message: of the process (with the producers' own work: ids, compression) and of each
//! thread of the store.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use domain::{
    application::Application,
    attempt::{Attempt, Outcome, OutcomeClass},
    claim::{ClaimKey, ClaimKind},
    clock::{Clock, Timestamp},
    delivery::{Cause, Delivery, EndState, Health, Next},
    endpoint::{Endpoint, EndpointSecret},
    entropy::{Entropy, SeededEntropy},
    id::{ApplicationId, AttemptId, EndpointId, MessageId, OrganizationId, SecretId},
    message::{Body, Message, Origin},
    name::Ref,
    routing,
    shard::ShardSet,
    signature::{SignatureType, SigningSecret},
    token::Actor,
};
use hookwright_store_embedded::{EmbeddedOptions, EmbeddedStore, Ports, disk_space};
use store::{
    Catalog, Deliveries, Publish,
    catalog::{ApplicationSnapshot, Versions},
    deliveries::{DueLimits, Settle},
    publish::{Claim, NewMessage, Published},
    vault::Vault,
};

struct WallClock(std::time::Instant);

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
impl WallClock {
    fn new() -> Self {
        Self(std::time::Instant::now())
    }
}

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp::EPOCH.plus(since.unwrap_or_default())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

struct Bench {
    store: EmbeddedStore,
    clock: Arc<WallClock>,
    entropy: Arc<SeededEntropy>,
    apps: Vec<ApplicationSnapshot>,
    payload: usize,
    settle: bool,
}

impl Bench {
    fn message(&self, n: usize) -> NewMessage {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let app = &self.apps[n % self.apps.len()];
        let now = self.clock.now();
        let mut noise = vec![0; self.payload];
        self.entropy.fill(&mut noise);
        for byte in &mut noise {
            *byte = ALPHABET[usize::from(*byte & 63)];
        }
        let mut body = br#"{"data":""#.to_vec();
        body.append(&mut noise);
        body.extend_from_slice(b"\"}");
        let message = Arc::new(Message {
            org: app.application.org,
            app: app.application.id,
            id: MessageId::generate(now, &*self.entropy),
            event_id: None,
            event_type: "invoice.paid".parse().expect("a name"),
            channels: Vec::new(),
            tags: Vec::new(),
            body: Some(Body::json(Bytes::from(body))),
            origin: Origin::Api,
            created_at: now,
            deliver_at: None,
            expires_at: now.plus(Duration::from_secs(90 * 86_400)),
        });
        let key = ClaimKey::new(ClaimKind::IdempotencyKey, &[&n.to_le_bytes()]);
        NewMessage {
            deliveries: routing::route(&message, &app.endpoints, &*self.entropy),
            message,
            versions: Versions { org: 0, app: app.version },
            idempotency: Some(Claim { key, expires_at: now.plus(Duration::from_secs(43_200)) }),
            event_id: None,
            max_pending: None,
        }
    }

    fn settle(&self, delivery: Delivery, endpoint: &Endpoint) -> Settle {
        let now = self.clock.now();
        let attempt = Attempt {
            id: AttemptId::generate(now, &*self.entropy),
            org: delivery.org,
            app: delivery.app,
            endpoint: delivery.endpoint,
            message: delivery.message,
            delivery: delivery.id,
            number: 1,
            trigger: delivery.trigger,
            url: endpoint.url.to_string(),
            outcome: Outcome {
                class: OutcomeClass::Success,
                status_code: Some(204),
                response: Bytes::from_static(b"ok"),
                duration: Duration::from_micros(1_234),
                retry_after: None,
                timed_out: false,
            },
            started_at: now,
            endpoint_revision: endpoint.revision,
            secrets: vec![endpoint.secrets[0].id],
            body_hash: [7; 16],
            superseded: false,
        };
        Settle {
            delivery,
            attempt: Some(attempt),
            event_type: "invoice.paid".parse().expect("an event type"),
            wanted_at: now,
            next: Next::End(EndState::Succeeded, Cause::Delivered),
            health: Health::Same,
            messages: Vec::new(),
            epoch: store::deliveries::NO_EPOCH,
        }
    }

    async fn one(&self, n: usize) {
        let new = self.message(n);
        let deliveries = new.deliveries.clone();
        let stored = self.store.publish(vec![new]).await.expect("published");
        assert_eq!(stored, [Published::Stored]);
        if !self.settle {
            return;
        }
        let endpoints = &self.apps[n % self.apps.len()].endpoints;
        let settles = deliveries.into_iter().zip(endpoints).map(async |(delivery, endpoint)| {
            let settle = self.settle(delivery, endpoint);
            let settled = self.store.settle(vec![settle]).await.expect("settled");
            assert!(!settled[0].superseded);
        });
        futures_util::future::join_all(settles).await;
    }
}

/// CPU seconds of the process and of its threads, by name.
fn cpu() -> (f64, BTreeMap<String, f64>) {
    let ticks = |path: &str| -> Option<(String, f64)> {
        let stat = fs::read_to_string(path).ok()?;
        let (head, tail) = stat.rsplit_once(')')?;
        let name = head.split_once('(')?.1.to_owned();
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let sum: u64 =
            fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        Some((name, sum as f64 / 100.0))
    };
    let mut threads = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        if let Some((name, secs)) = ticks(&format!("{}/stat", task.path().display())) {
            *threads.entry(name).or_default() += secs;
        }
    }
    (ticks("/proc/self/stat").map_or(0.0, |(_, secs)| secs), threads)
}

async fn applications(
    store: &EmbeddedStore,
    count: usize,
    fanout: usize,
) -> Vec<ApplicationSnapshot> {
    let entropy = SeededEntropy::new(99);
    let now = Timestamp::from_secs(1_790_000_000);
    let org = OrganizationId::generate(now, &entropy);
    let mut apps = Vec::new();
    for n in 0..count {
        let id = ApplicationId::generate(now, &entropy);
        let application = Application {
            org,
            id,
            uid: None,
            name: format!("application {n}"),
            throttle_rate: None,
            metadata: BTreeMap::new(),
            source: None,
            created_at: now,
            updated_at: now,
        };
        store.create_application(&Actor::System, application).await.expect("ok").expect("ok");
        for _ in 0..fanout {
            let secret = SigningSecret::generate(SignatureType::Hmac256, &entropy);
            let endpoint = Endpoint {
                org,
                app: id,
                id: EndpointId::generate(now, &entropy),
                uid: None,
                url: "http://127.0.0.1:9999/hook".parse().expect("a URL"),
                description: String::new(),
                throttle_rate: None,
                version: 1,
                disabled: false,
                event_types: None,
                channels: None,
                metadata: BTreeMap::new(),
                headers: BTreeMap::new(),
                secrets: vec![EndpointSecret {
                    id: SecretId::generate(now, &entropy),
                    secret: Arc::new(secret),
                    expires_at: None,
                }],
                retry_schedule: None,
                transformation: None,
                first_failure_at: None,
                revision: 1,
                created_at: now,
                updated_at: now,
            };
            store.create_endpoint(&Actor::System, endpoint).await.expect("ok").expect("ok");
        }
        apps.push(store.load_application(org, &Ref::Id(id)).await.expect("ok").expect("there"));
    }
    apps
}

#[tokio::main(worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "a bench measures real time, on plain tasks")]
async fn main() {
    let args: BTreeMap<String, String> = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())))
        .collect();
    let number = |name: &str, default: usize| {
        args.get(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let (messages, producers) = (number("messages", 200_000), number("producers", 256));
    let (fanout, applications_wanted) = (number("fanout", 1), number("applications", 1));
    let temporary = tempfile::tempdir().expect("a directory");
    let dir = args.get("dir").map_or_else(|| temporary.path().to_owned(), Into::into);
    let clock = Arc::new(WallClock::new());
    let entropy = Arc::new(SeededEntropy::new(clock.now().as_micros().unsigned_abs()));
    let ports = Ports {
        vault: Arc::new(Vault::new(&[[1; 32]], entropy.clone()).expect("a vault")),
        clock: clock.clone(),
        entropy: entropy.clone(),
        free_space: Arc::new(disk_space),
        on_fatal: Arc::new(|why| panic!("{why}")),
    };
    let cache_mib = number("cache", 32) as u32;
    let options = EmbeddedOptions { cache_mib, ..EmbeddedOptions::new(&dir) };
    let store = EmbeddedStore::open(&options, ports.clone()).expect("opens");
    let apps = applications(&store, applications_wanted, fanout).await;
    let (payload, settle) = (number("payload", 1_024), number("settle", 1) == 1);
    let bench = Arc::new(Bench { store, clock, entropy, apps, payload, settle });

    let next = Arc::new(AtomicUsize::new(0));
    let (cpu_before, threads_before) = cpu();
    let started = std::time::Instant::now();
    let tasks: Vec<_> = (0..producers)
        .map(|_| {
            let (bench, next) = (bench.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= messages {
                        return;
                    }
                    bench.one(n).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a producer");
    }
    let secs = started.elapsed().as_secs_f64();
    let (cpu_after, threads_after) = cpu();
    let per = |cpu: f64| cpu * 1e6 / (messages * fanout) as f64;
    println!(
        "{messages} messages to {fanout} endpoints each by {producers} producers: {:.0} deliveries/s",
        (messages * fanout) as f64 / secs
    );
    println!("CPU µs per delivery: {:.1}", per(cpu_after - cpu_before));
    for (name, secs) in threads_after {
        let used = secs - threads_before.get(&name).copied().unwrap_or(0.0);
        println!("  {name:<18} {:.1}", per(used));
    }
    let files = fs::read_dir(&dir).into_iter().flatten().flatten();
    for file in files.filter_map(|file| Some((file.file_name(), file.metadata().ok()?.len()))) {
        println!("  {:<18} {:.1} MiB", file.0.to_string_lossy(), file.1 as f64 / 1_048_576.0);
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!("  {peak}");
    if !bench.settle {
        let bench = Arc::into_inner(bench).expect("the producers have ended");
        drop(bench.store);
        let started = std::time::Instant::now();
        let store = EmbeddedStore::open(&options, ports).expect("opens again");
        println!("opened in {:.1?}", started.elapsed());
        let lanes = store.lanes(&ShardSet::ALL, None, usize::MAX).await.expect("lanes");
        println!("{} lanes known after {:.1?}", lanes.len(), started.elapsed());
        let limits = DueLimits { until: Timestamp::MAX, rows: 256, bytes: 1 << 20 };
        let page = store.due(lanes[0].lane, limits, Vec::new()).await.expect("due");
        println!("{} due of the first one after {:.1?}", page.due.len(), started.elapsed());
    }
}
