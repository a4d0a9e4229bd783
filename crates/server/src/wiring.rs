//! Where concrete stores and destinations meet the rest. Nothing else names them.

use std::{sync::Arc, time::Duration};

use alerts::{AlertParts, Evaluator, Tell};
use anyhow::Context;
use api::{ApiOptions, ApiState, StoreFacts, auth};
use console::Console;
use destinations::{
    http::{HickoryResolver, HttpDestination, HttpOptions, ProxyOptions},
    listen::Listeners,
};
use dispatch::{DispatchOptions, Engine, EngineParts, RetentionOptions};
use domain::{
    breaker::BreakerPolicy, clock::Clock, delivery::Policy, entropy::Entropy, id::OrganizationId,
    retry::RetryTiming, window::WindowBounds,
};
use gateway::{Gateway, GatewayOptions, cron::Scheduler};
use parking_lot::Mutex;
use publish::{Catalogues, PublishOptions, Publisher, RequestBuilder};

use crate::{
    alerting::{Out, Tests},
    backend::{Backend, node_name},
    config::Config,
    control,
    env::{SystemClock, SystemEntropy},
    front::{Front, Judge, KeyFetch},
    keys,
    listening::{Destinations, NodeListening},
    node::ThisNode,
};

/// Applications kept in memory with their endpoints.
const CATALOGUE_APPLICATIONS: usize = 20_000;

/// Lanes whose due work is read at a time.
const PAGES: usize = 8;
/// The same of a store that reads them together.
const SHARED_PAGES: usize = 64;
/// Bytes of inbound bodies that are under way at a time.
const INBOUND_BODY_BYTES: usize = 256 * 1024 * 1024;

/// The house put together, not yet running.
pub struct House {
    /// Delivers.
    pub engine: Arc<Engine>,
    /// Answers.
    pub front: Front,
    /// Until it runs.
    scheduler: Mutex<Option<Scheduler>>,
    /// Until it runs.
    evaluator: Mutex<Option<Evaluator>>,
    state: ApiState,
    backend: Backend,
    destination: Arc<HttpDestination>,
    listeners: Arc<Listeners>,
    publisher: Arc<Publisher>,
}

impl House {
    /// Sets the engine going, and listens for commands.
    pub fn start(&self, config: &Config) {
        if let Backend::Embedded(store) = &self.backend {
            control::listen(&config.data_dir, store.clone());
        }
        let destination = self.destination.clone();
        dispatch::spawn::spawn("destinations.sweep", async move { destination.run().await });
        let (state, engine) = (self.state.clone(), self.engine.clone());
        dispatch::spawn::spawn("server.revocations", async move {
            state.watch_revocations(engine.revocations()).await;
        });
        let state = self.state.clone();
        dispatch::spawn::spawn("server.token_uses", async move {
            state.keep_noting_token_uses().await;
        });
        self.engine.start(self.publisher.clone());
        if let Some(scheduler) = self.scheduler.lock().take() {
            dispatch::spawn::spawn("gateway.cron", scheduler.run());
        }
        if let Some(evaluator) = self.evaluator.lock().take() {
            dispatch::spawn::spawn("alerts.evaluate", evaluator.run());
        }
    }

    /// Lets listeners go, and those who watch, so that their connections do not hold up the way down.
    pub fn end_listening(&self) {
        self.listeners.close();
        self.publisher.live().close();
    }
}

/// A token of an organization.
pub fn organization_token(
    config: &Config,
    org: Option<OrganizationId>,
    ttl: Duration,
) -> anyhow::Result<String> {
    let org = match org {
        Some(org) => org,
        None => OrganizationId::DEFAULT.parse()?,
    };
    let keys = keys::jwt_keys(config)?;
    let now = SystemClock::new().now();
    auth::mint_organization(&keys, org, now, ttl, &SystemEntropy)
        .map(|minted| minted.token)
        .context("`jwt_key` is a public key: it verifies tokens and makes none")
}

/// Puts everything together.
pub async fn build(config: &Config) -> anyhow::Result<House> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let backend = Backend::open_or_make(config, clock.clone()).await?;
    let store = backend.store();
    let catalogues = Arc::new(Catalogues::new(store.clone(), CATALOGUE_APPLICATIONS));
    let resolver = Arc::new(HickoryResolver::from_system()?);
    let destination =
        Arc::new(HttpDestination::new(http_options(config)?, resolver, clock.clone()));
    let listeners = Arc::new(Listeners::new(clock.clone(), entropy.clone()));
    let engine = Engine::new(EngineParts {
        store: store.clone(),
        catalogues: catalogues.clone(),
        destination: Arc::new(Destinations {
            http: destination.clone(),
            listeners: listeners.clone(),
        }),
        clock: clock.clone(),
        entropy: entropy.clone(),
        options: DispatchOptions {
            concurrent_pages: if store.is_shared() { SHARED_PAGES } else { PAGES },
            ..dispatch_options(config)
        },
    });
    // Where nodes share a store, all go by its clock.
    let clock = engine.clock();
    let publisher = Arc::new(Publisher::new(
        store.clone(),
        catalogues,
        engine.handle(),
        clock.clone(),
        entropy.clone(),
        PublishOptions {
            payload_retention: config.payload_retention,
            max_pending: config.max_pending_deliveries,
        },
    ));
    let (gateway, refused) = Gateway::new(
        store.clone(),
        publisher.clone(),
        clock.clone(),
        entropy.clone(),
        Arc::new(KeyFetch(destination.clone())),
        gateway_options(config),
    );
    dispatch::spawn::spawn("gateway.refused", refused);
    let gateway = Arc::new(gateway);
    let scheduler = Scheduler::new(store.clone(), publisher.clone(), clock.clone());
    let out = Arc::new(Out::new(destination.clone(), config)?);
    let tell = Tell::new(publisher.clone(), out.clone(), public_url(config));
    let evaluator = Evaluator::new(AlertParts {
        store: store.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        tell: tell.clone(),
        is_keeper: {
            let engine = engine.clone();
            Arc::new(move || engine.is_keeper())
        },
    });
    let options = ApiOptions {
        body_limit: config.body_limit,
        body_timeout: config.body_timeout,
        https_only: config.https_only,
        public_url: public_url(config),
        default_signature_type: config.default_signature_type,
        idempotency_ttl: config.idempotency_ttl,
        #[cfg(feature = "otlp")]
        adopt: config.otlp_endpoint.is_some().then_some(crate::traces::adopt as api::Adopt),
        ready: {
            let engine = engine.clone();
            Arc::new(move || engine.ready())
        },
        listening: Arc::new(NodeListening { engine: engine.clone(), listeners: listeners.clone() }),
        node: Arc::new(ThisNode {
            engine: engine.clone(),
            name: node_name(config),
            started_at: clock.now(),
        }),
        store_facts: StoreFacts {
            kind: backend.kind(),
            history: config.history_retention,
            payload: config.payload_retention,
        },
        judge: Some(Arc::new(Judge(gateway.clone()))),
        alerts: Some(Arc::new(Tests { tell, out, clock: clock.clone(), entropy: entropy.clone() })),
        requests: RequestBuilder::new(config.signature_headers, &config.user_agent),
        ..ApiOptions::new(keys::jwt_keys(config)?)
    };
    let random = entropy.clone();
    let console =
        Console::new(&config.portal_frame_ancestors, Arc::new(move |bytes| random.fill(bytes)));
    let state = ApiState::new(store, publisher.clone(), clock, entropy, options).await?;
    let front = Front::new(api::router(state.clone()), gateway, console);
    Ok(House {
        engine,
        front,
        scheduler: Mutex::new(Some(scheduler)),
        evaluator: Mutex::new(Some(evaluator)),
        state,
        backend,
        destination,
        listeners,
        publisher,
    })
}

/// Where the API, the portal and the inbound URLs are reached, without a slash at the end.
fn public_url(config: &Config) -> String {
    match &config.public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("http://{}", config.listen),
    }
}

fn gateway_options(config: &Config) -> GatewayOptions {
    GatewayOptions {
        public_url: public_url(config),
        body_timeout: config.body_timeout,
        body_bytes: INBOUND_BODY_BYTES,
    }
}

/// How requests to the outside are made.
pub fn http_options(config: &Config) -> anyhow::Result<HttpOptions> {
    let proxy = config.proxy.as_ref().map(|url| ProxyOptions::new(url.as_str(), &config.no_proxy));
    Ok(HttpOptions {
        allow: config.allow_addresses.clone(),
        proxy: proxy.transpose().context("`proxy`")?,
        max_connections: config.max_connections,
        max_idle_per_host: config.max_idle_per_host,
        max_idle_total: config.max_idle_connections,
        connection_lifetime: config.connection_lifetime,
        dangerous_disable_tls_verification: config.dangerous_disable_tls_verification,
        ..HttpOptions::default()
    })
}

fn dispatch_options(config: &Config) -> DispatchOptions {
    DispatchOptions {
        max_in_flight: config.max_in_flight,
        lane_queue: config.lane_queue,
        hot_bytes: config.hot_bytes,
        window: WindowBounds {
            initial: config.window_initial,
            max: config.window_max,
            ..WindowBounds::default()
        },
        breaker: BreakerPolicy {
            failures: config.breaker_failures,
            max_wait: config.breaker_max_wait,
            ..BreakerPolicy::default()
        },
        policy: Policy {
            schedule: config.retry_schedule.clone(),
            timing: RetryTiming {
                jitter: config.retry_jitter,
                overload_wait: config.overload_wait,
                max_retry_after: config.max_retry_after,
            },
            disable_on_gone: config.disable_on_gone,
            disable_after: config.disable_after,
            max_age_slack: config.max_age_slack,
        },
        request_timeout: config.request_timeout,
        header_style: config.signature_headers,
        user_agent: config.user_agent.clone(),
        retention: RetentionOptions {
            history: config.history_retention,
            sweep_interval: config.sweep_interval,
            sweep_rows: config.sweep_rows,
            ..RetentionOptions::default()
        },
        drain_timeout: config.drain_timeout,
        ..DispatchOptions::default()
    }
}
