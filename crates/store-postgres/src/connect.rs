//! Making connections: where to, with which settings of the session, and what is done with what the
//! server says beside its answers.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::{
    Connect, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts,
};
use futures_util::StreamExt;
use futures_util::{future::BoxFuture, stream};
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_postgres::{AsyncMessage, Client, Config, Notification, config::TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;
use url::Url;

use crate::{
    options::{OpenError, PostgresOptions},
    spawn::spawn,
};

/// Longest wait for one host to take a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection whose data nobody acknowledges for this long is given up by the kernel.
const TCP_TIMEOUT: Duration = Duration::from_secs(10);
/// A transaction in which nothing happens for this long is ended by the server.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(15);
/// The same for connections on whose transactions all nodes wait.
const BRIEF: Duration = Duration::from_millis(1_500);
/// How often a running statement looks whether its client is still there.
const CLIENT_CHECK: Duration = Duration::from_secs(2);

/// Where PostgreSQL is, and how to get there.
#[derive(Clone)]
pub(crate) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    /// Without the password, for people.
    pub(crate) target: String,
    /// How often the server has said that a commit may not be on its standby. Whoever commits compares
    /// before and after.
    doubts: Arc<AtomicU64>,
}

/// Takes what a connection is told of changes.
pub(crate) type Notifications = mpsc::UnboundedSender<Notification>;

impl Connector {
    pub(crate) fn new(options: &PostgresOptions) -> Result<Self, OpenError> {
        let (mut config, roots) = parse(&options.url)?;
        let millis = |time: Duration| time.as_millis();
        config
            .application_name(format!("hookwright {}", options.node_name))
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_user_timeout(TCP_TIMEOUT)
            .keepalives_idle(TCP_TIMEOUT)
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .options(format!(
                "-c statement_timeout={} -c lock_timeout={} \
                 -c idle_in_transaction_session_timeout={} -c client_connection_check_interval={} \
                 -c synchronous_commit=on -c default_transaction_isolation=read\\ committed \
                 -c jit=off",
                millis(options.statement_timeout),
                millis(options.lock_timeout),
                millis(IDLE_IN_TRANSACTION),
                millis(CLIENT_CHECK),
            ));
        let target = shown(&options.url);
        Ok(Self {
            config,
            tls: MakeRustlsConnect::new(tls(roots)?),
            target,
            doubts: Arc::default(),
        })
    }

    /// For connections that find everything by its key: they never read a table from end to end, and have
    /// one plan for each statement, whatever is known of the tables' sizes and however many rows it is
    /// given. A plan that was right for a small table can hold everybody up when that has grown.
    pub(crate) fn by_key(&self) -> Self {
        let mut by_key = self.clone();
        let options = self.config.get_options().unwrap_or_default();
        by_key.config.options(format!(
            "{options} -c enable_seqscan=off -c plan_cache_mode=force_generic_plan"
        ));
        by_key
    }

    /// For connections that hold what all nodes wait for: a process that is stopped in the middle of a
    /// transaction is thrown out of it, before the others' leases are over.
    pub(crate) fn brief(&self) -> Self {
        let mut brief = self.clone();
        let options = self.config.get_options().unwrap_or_default();
        let millis = BRIEF.as_millis();
        brief.config.options(format!("{options} -c idle_in_transaction_session_timeout={millis}"));
        brief
    }

    /// A pool of connections. Nothing is connected yet.
    pub(crate) fn pool(&self, size: usize, wait: Duration) -> Pool {
        let manager = Manager::from_connect(
            self.config.clone(),
            self.clone(),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let timeouts = Timeouts { wait: Some(wait), create: Some(wait), recycle: Some(wait) };
        Pool::builder(manager)
            .max_size(size)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build()
            .expect("a runtime is given")
    }

    /// One connection; `notifications` gets what it is told of changes.
    pub(crate) async fn connect_one(
        &self,
        notifications: Option<Notifications>,
    ) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error> {
        let (client, mut connection) = self.config.connect(self.tls.clone()).await?;
        let doubts = self.doubts.clone();
        let driver = spawn("store.connection", async move {
            let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
            loop {
                match messages.next().await {
                    Some(Ok(AsyncMessage::Notice(notice))) => {
                        if notice.message().contains("synchronous replication") {
                            doubts.fetch_add(1, Ordering::AcqRel);
                        }
                        tracing::debug!(notice = notice.message(), "PostgreSQL says");
                    }
                    Some(Ok(AsyncMessage::Notification(notification))) => {
                        if let Some(notifications) = &notifications {
                            // Nobody listens any more: the connection is about to end as well.
                            let _ = notifications.send(notification);
                        }
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                }
            }
        });
        Ok((client, driver))
    }

    /// The counter of doubts, for connections.
    pub(crate) fn doubts(&self) -> Arc<AtomicU64> {
        self.doubts.clone()
    }
}

impl Connect for Connector {
    fn connect(
        &self,
        _: &Config,
    ) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        Box::pin(self.connect_one(None))
    }
}

/// The driver's settings, and the certificates to trust. What libpq knows and the driver does not is
/// taken out of the query here.
fn parse(url: &str) -> Result<(Config, Option<String>), OpenError> {
    let invalid = |why: &dyn std::fmt::Display| {
        OpenError::Url(format!("{why}; expected postgres://user:password@host:5432/database"))
    };
    let mut parsed = url.to_owned();
    let mut roots = None;
    if let Some((base, query)) = url.split_once('?') {
        let mut kept = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslrootcert", path)) => roots = Some(path.replace("%2F", "/")),
                // Certificates are always verified, names too.
                Some(("sslmode", "verify-full" | "verify-ca" | "require")) => {
                    kept.push("sslmode=require");
                }
                Some(("sslmode", "allow")) => kept.push("sslmode=prefer"),
                _ => kept.push(pair),
            }
        }
        parsed = match kept.is_empty() {
            true => base.to_owned(),
            false => format!("{base}?{}", kept.join("&")),
        };
    }
    let config: Config = parsed.parse().map_err(|error: tokio_postgres::Error| {
        // Its `Display` may hold a part of the URL, and so of the password; its source says what.
        match std::error::Error::source(&error) {
            Some(source) => invalid(&source),
            None => invalid(&"it cannot be read"),
        }
    })?;
    if config.get_hosts().is_empty() {
        return Err(invalid(&"it names no host"));
    }
    if config.get_dbname().is_none() {
        return Err(invalid(&"it names no database"));
    }
    Ok((config, roots))
}

/// The URL without its password.
fn shown(url: &str) -> String {
    let Ok(mut parsed) = Url::parse(url) else { return "(a URL)".into() };
    // There is nothing to take away where this fails.
    let _ = parsed.set_password(None);
    parsed.set_query(None);
    parsed.into()
}

fn tls(roots: Option<String>) -> Result<ClientConfig, OpenError> {
    let mut store = RootCertStore::empty();
    match roots {
        Some(path) => {
            let unreadable = |why: &dyn std::fmt::Display| {
                OpenError::Url(format!("`sslrootcert`: cannot read {path}: {why}"))
            };
            let pem = fs::read(&path).map_err(|error| unreadable(&error))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|error| unreadable(&error))?;
                store.add(certificate).map_err(|error| unreadable(&error))?;
            }
        }
        None => {
            // What cannot be read of the system's is not trusted.
            let _ = store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows them")
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(config)
}
