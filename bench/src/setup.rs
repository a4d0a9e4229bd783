//! What stands before anything is sent: receivers, applications, endpoints.
use crate::{
    args::{Args, Mode},
    client::{Conn, Target},
    payload,
    recv::Receiver,
};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hyper::Method;
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The instrument, ready to measure.
pub struct Bench {
    /// As given.
    pub args: Args,
    /// All receivers.
    pub receiver: Arc<Receiver>,
    /// Where messages are posted.
    pub target: Target,
    port: u16,
    /// Nobody listens here.
    refuse: u16,
    next_run: AtomicU64,
}

/// The applications of one measurement and their endpoints.
pub struct Field {
    /// By global endpoint number (`app * per_app + e`), spread evenly.
    pub dead: Vec<bool>,
    /// Path per application that its messages are posted to.
    pub routes: Vec<String>,
    ids: Vec<String>,
}

impl Bench {
    /// Starts the receivers on the current runtime.
    pub async fn start(args: Args) -> Result<Self> {
        ensure!(args.apps > 0 && args.endpoints > 0, "--apps and --endpoints must be at least 1");
        ensure!(args.c > 0 && args.in_flight > 0, "--c and --in-flight must be at least 1");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        // Bound once so that it is free, then released.
        let refuse = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let receiver = Arc::new(Receiver::default());
        tokio::spawn(receiver.clone().serve(listener));
        let itself = [format!("http://127.0.0.1:{port}")];
        let bases = if args.kind == Mode::Nop { &itself[..] } else { &args.bases };
        let timeout = Duration::from_secs_f64(args.timeout);
        let target = Target::parse(bases, &args.token, timeout)?;
        // Ids differ between runs of the program, so that late retries of an earlier one do
        // not count.
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).context("clock before 1970")?;
        let next_run = AtomicU64::new(seed.as_millis() as u64);
        Ok(Self { args, receiver, target, port, refuse, next_run })
    }

    /// An id that no other run has.
    pub fn run_id(&self) -> u64 {
        self.next_run.fetch_add(1, Relaxed)
    }

    fn url(&self, endpoint: usize, dead: bool) -> String {
        let (port, mode) = match (dead, self.args.dead_mode.as_str()) {
            (true, "refuse") => (self.refuse, "ok"),
            (true, mode) => (self.port, mode),
            (false, _) => (self.port, self.args.mode.as_str()),
        };
        format!("http://127.0.0.1:{port}/m/{mode}/{endpoint}")
    }

    /// Creates applications and endpoints, the fraction `dead` of the latter dead.
    pub async fn create(&self, conn: &mut Conn, dead: f64) -> Result<Field> {
        let (apps, per_app) = (self.args.apps, self.args.endpoints);
        let step = if dead > 0.0 { (1.0 / dead).round() as usize } else { usize::MAX };
        let dead: Vec<bool> =
            (0..apps * per_app).map(|g| step != usize::MAX && g % step == 0).collect();
        let mut field = Field { dead, routes: Vec::new(), ids: Vec::new() };
        if self.args.kind == Mode::Nop {
            let route = |app| format!("/m/{}/{}", self.args.mode, app * per_app);
            field.routes = (0..apps).map(route).collect();
            return Ok(field);
        }
        if self.args.inbound {
            return self.create_sources(conn, field).await;
        }
        for app in 0..apps {
            let mut body = json!({ "name": format!("loadgen {app}") });
            if let Some(limit) = self.args.app_limit {
                body["throttleRate"] = limit.into();
            }
            let out = conn.post("/api/v1/app", &body).await?;
            let id = out["id"].as_str().context("the application has no id")?.to_owned();
            for endpoint in app * per_app..(app + 1) * per_app {
                let mut body =
                    json!({ "url": self.url(endpoint, field.dead[endpoint]), "version": 1 });
                if let Some(limit) = self.args.endpoint_limit {
                    body["throttleRate"] = limit.into();
                }
                conn.post(&format!("/api/v1/app/{id}/endpoint"), &body).await?;
            }
            let query = match self.args.query.as_str() {
                "" => String::new(),
                query => format!("?{query}"),
            };
            field.routes.push(format!("/api/v1/app/{id}/msg{query}"));
            field.ids.push(id);
        }
        Ok(field)
    }

    /// Sources, with endpoints unless events are only to be stored.
    async fn create_sources(&self, conn: &mut Conn, mut field: Field) -> Result<Field> {
        let per_app = self.args.endpoints;
        if self.args.stored_only {
            // Nothing is owed to them.
            field.dead.fill(true);
        }
        for app in 0..self.args.apps {
            let body = json!({ "name": format!("loadgen {app}"), "type": "github",
                "config": { "secret": payload::SECRET } });
            let out = conn.post("/ingest/api/v1/source", &body).await?;
            let text = |field: &str| {
                out[field].as_str().map(str::to_owned).with_context(|| format!("no {field}"))
            };
            let (id, url) = (text("id")?, text("ingestUrl")?);
            for endpoint in app * per_app..(app + 1) * per_app {
                if self.args.stored_only {
                    break;
                }
                let body = json!({ "url": self.url(endpoint, field.dead[endpoint]) });
                conn.post(&format!("/ingest/api/v1/source/{id}/endpoint"), &body).await?;
            }
            let path = url.splitn(4, '/').nth(3).context("an inbound URL has a path")?;
            field.routes.push(format!("/{path}"));
            field.ids.push(id);
        }
        Ok(field)
    }

    /// Deletes what `create` made, unless it is to be kept.
    pub async fn delete(&self, conn: &mut Conn, field: &Field) -> Result<()> {
        if self.args.keep {
            return Ok(());
        }
        for id in &field.ids {
            let path = match self.args.inbound {
                true => format!("/ingest/api/v1/source/{id}"),
                false => format!("/api/v1/app/{id}"),
            };
            conn.send(Method::DELETE, &path, Bytes::new(), &[]).await?;
        }
        Ok(())
    }
}
