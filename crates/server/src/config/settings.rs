//! The settings: this list is the file's keys, the environment's variables, the flags and the table in
//! `docs/configuration.md`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use api::JwtAlgorithm;
use domain::{
    retry::RetrySchedule,
    signature::{HeaderStyle, SignatureType},
};
use ipnet::IpNet;
use url::Url;

use super::value::{LogFormat, Range, Value};

/// A setting, as documentation.
pub struct Setting {
    /// Its key in the file; `HOOKWRIGHT_` and capitals in the environment, dashes in flags.
    pub key: &'static str,
    /// What holds when nobody says.
    pub default: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Its lowest and highest value, as they would be written.
    pub range: Option<(&'static str, &'static str)>,
    /// Whether its value is hidden when shown.
    pub secret: bool,
}

impl Setting {
    /// What it is for, with its bounds.
    pub fn describe(&self) -> String {
        let about = self.about.trim();
        match self.range {
            Some((low, high)) => format!("{about} From `{low}` to `{high}`."),
            None => about.to_owned(),
        }
    }
}

macro_rules! settings {
    ($(
        $(#[doc = $about:literal])*
        $key:ident: $type:ty = $default:literal $(, $low:literal to $high:literal)? $(, $secret:ident)?;
    )*) => {
        /// The configuration in force.
        #[derive(Clone)]
        pub struct Config {
            $($(#[doc = $about])* pub $key: $type,)*
        }

        /// All settings, in the order they are shown.
        pub const SETTINGS: &[Setting] = &[
            $(Setting {
                key: stringify!($key),
                default: $default,
                about: concat!($($about),*),
                range: settings!(@range $($low $high)?),
                secret: settings!(@secret $($secret)?),
            },)*
        ];

        impl Config {
            /// The configuration that `text_of` gives, key by key. The error names the key.
            pub fn read(
                text_of: impl Fn(&Setting) -> String,
            ) -> Result<Self, (&'static str, String)> {
                let mut settings = SETTINGS.iter();
                Ok(Self {
                    $($key: {
                        let setting = settings.next().expect("one for each field");
                        let value = <$type as Value>::read(&text_of(setting));
                        $(let value = value.and_then(|value| value.within($low, $high));)?
                        value.map_err(|reason| (setting.key, reason))?
                    },)*
                })
            }

            /// Keys and values as they would be written, secrets hidden.
            pub fn show(&self) -> Vec<(&'static str, String)> {
                let mut settings = SETTINGS.iter();
                vec![$({
                    let setting = settings.next().expect("one for each field");
                    let shown = self.$key.show();
                    let hide = setting.secret && !shown.is_empty() && shown != "none";
                    (setting.key, if hide { "(hidden)".to_owned() } else { shown })
                },)*]
            }
        }
    };
    (@range $low:literal $high:literal) => { Some(($low, $high)) };
    (@range) => { None };
    (@secret secret) => { true };
    (@secret) => { false };
}

settings! {
    /// Where the API listens.
    listen: SocketAddr = "127.0.0.1:8071";
    /// Where `/metrics` is served for Prometheus; `none` for not at all.
    metrics_listen: Option<SocketAddr> = "127.0.0.1:8072";
    /// Where everything is kept, unless it is in PostgreSQL; the generated master key is here too.
    data_dir: PathBuf = "./hookwright-data";
    /// The PostgreSQL database that any number of nodes share: `postgres://user:password@host/database`; `none`: one node, which keeps everything in files.
    store: Option<String> = "none", secret;
    /// Connections to PostgreSQL for reading and for the catalogue; a node has six more.
    store_connections: usize = "8", "1" to "1000";
    /// How this node is called where several share a store; empty: as its machine.
    node_name: String = "";
    /// How the outside reaches this server, for links in answers; `none`: as it listens.
    public_url: Option<Url> = "none";
    /// Origins like `https://app.example.com` whose pages may show the portal in a frame, beside this server's own.
    portal_frame_ancestors: Vec<String> = "";
    /// `human` or `json`.
    log_format: LogFormat = "human";
    /// What is logged: `error`, `warn`, `info`, `debug`, or a filter like `info,hookwright_api=debug`.
    log: String = "info";
    /// Base URL (`http://…`) of the collector that traces go to by OTLP (needs the feature `otlp`); `none` for nowhere.
    otlp_endpoint: Option<Url> = "none", secret;

    /// The mail server that alerts are sent by: `smtps://user:password@host`, `smtp://host:587?tls=required` (STARTTLS), `smtp://host:25`; `none`: no e-mail.
    smtp_url: Option<Url> = "none", secret;
    /// Who e-mail is from: `alerts@example.com`, or `Hookwright <alerts@example.com>`.
    smtp_from: String = "";

    /// The secret that tokens are signed with (HS algorithms): at least 16 characters.
    jwt_secret: String = "", secret;
    /// `HS256`, `HS384`, `HS512`, `RS256`, `RS384`, `RS512` or `EdDSA`.
    jwt_algorithm: JwtAlgorithm = "HS256";
    /// PEM file of the key pair (PKCS#8), or of the public key alone, which verifies tokens but makes none (RS and EdDSA).
    jwt_key: Option<PathBuf> = "none";
    /// The key that secrets are sealed with, 64 hexadecimal digits; `none`: a generated one in the data directory.
    master_key: Option<String> = "none", secret;
    /// The master key before the present one, while secrets are sealed anew.
    old_master_key: Option<String> = "none", secret;

    /// Largest request body of the API, in bytes; more answers 413.
    body_limit: usize = "1048576", "1024" to "67108864";
    /// Longest time a request body may take to arrive.
    body_timeout: Duration = "30s", "100ms" to "1h";
    /// Most connections to the API at a time; more wait.
    api_connections: usize = "10000", "1" to "1000000";
    /// Whether endpoints must be `https`.
    https_only: bool = "false";
    /// How long an idempotency key is remembered.
    idempotency_ttl: Duration = "12h", "1s" to "90d";
    /// The kind of secret made for an endpoint that brings none: `hmac256` or `ed25519`.
    default_signature_type: SignatureType = "hmac256";
    /// Most deliveries of one application that may be pending; more answers 429. `none` for no limit.
    max_pending_deliveries: Option<u64> = "none", "1" to "1000000000000";

    /// One deadline over a whole attempt: resolve, connect, send, and read the answer.
    request_timeout: Duration = "15s", "100ms" to "10m";
    /// Waits between tries, where neither endpoint nor event type says.
    retry_schedule: RetrySchedule = "5s, 5m, 30m, 2h, 5h, 10h, 10h";
    /// Each wait varies by this share of itself, up and down.
    retry_jitter: f64 = "0.2", "0" to "1";
    /// After a timeout or a 429 the wait is at least this.
    overload_wait: Duration = "1m", "0s" to "1d";
    /// Longest wait that a `Retry-After` may ask for (and never more than twice the schedule's).
    max_retry_after: Duration = "1d", "0s" to "30d";
    /// An endpoint that has only failed for this long is disabled; `none` for never.
    disable_after: Option<Duration> = "5d", "1s" to "365d";
    /// Whether `410 Gone` disables the endpoint.
    disable_on_gone: bool = "true";
    /// How much older than its schedule a delivery may get before it ends.
    max_age_slack: Duration = "1d", "0s" to "365d";
    /// Names of the signature headers: `webhook`, `svix` or `both`.
    signature_headers: HeaderStyle = "webhook";
    /// Sent as `user-agent`: printable ASCII.
    user_agent: String = "Hookwright";
    /// Exceptions from the address guard: addresses inside these may be sent to.
    allow_addresses: Vec<IpNet> = "";
    /// Egress proxy, `http://…`, `https://…` or `socks5://…`; `none` for straight.
    proxy: Option<Url> = "none", secret;
    /// Addresses, ranges, hosts and `.suffixes` that are not sent through the proxy.
    no_proxy: Vec<String> = "";
    /// Accepts any certificate of a receiver. For development only.
    dangerous_disable_tls_verification: bool = "false";
    /// Most connections to receivers in use at a time; at least `max_in_flight`.
    max_connections: usize = "4096", "1" to "1000000";
    /// Most idle connections of one application to one host.
    max_idle_per_host: usize = "512", "0" to "1000000";
    /// Most idle connections in all.
    max_idle_connections: usize = "2048", "0" to "1000000";
    /// No request is sent on a connection older than this.
    connection_lifetime: Duration = "5m", "1s" to "5m";

    /// Most attempts under way, or waiting for their outcome to be stored.
    max_in_flight: usize = "4096", "1" to "1000000";
    /// Most deliveries of one endpoint that wait in memory; the rest waits in the store.
    lane_queue: usize = "512", "1" to "1000000";
    /// Most bytes of payload that wait in memory.
    hot_bytes: usize = "67108864", "1048576" to "1099511627776";
    /// Attempts that an endpoint gets at a time at first.
    window_initial: u32 = "16", "1" to "1000000";
    /// Most attempts that an endpoint gets at a time.
    window_max: u32 = "512", "1" to "1000000";
    /// Failures in a row that open an endpoint's circuit breaker.
    breaker_failures: u32 = "10", "1" to "1000000";
    /// Longest wait between an open breaker's probes.
    breaker_max_wait: Duration = "25s", "1ms" to "1h";
    /// How long stopping waits for attempts under way.
    drain_timeout: Duration = "25s", "0s" to "1h";

    /// How long payloads are kept where neither message nor organization says.
    payload_retention: Duration = "90d", "1m" to "3650d";
    /// How long messages, deliveries and attempts are kept.
    history_retention: Duration = "90d", "1m" to "3650d";
    /// Wait between sweeps of retention.
    sweep_interval: Duration = "10s", "100ms" to "1h";
    /// Most rows of a kind that retention takes away per step.
    sweep_rows: usize = "1000", "1" to "100000";
    /// Page cache of the store's writer, in MiB.
    store_cache_mib: u32 = "96", "1" to "65536";
    /// Less free disk than this and new messages are answered 503, in MiB.
    disk_low_water_mib: u64 = "512", "0" to "16777216";
    /// The same as a share of the disk, in percent; the larger of the two holds.
    disk_low_water_percent: u8 = "2", "0" to "90";
    /// Disk kept in reserve for outcomes, in MiB; 0 for none.
    disk_reserve_mib: u64 = "64", "0" to "1048576";
}

impl Config {
    /// What bounds of single settings do not say. The error names the key to change.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let printable = self.user_agent.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if self.user_agent.trim().is_empty() || !printable {
            return Err(("user_agent", "expected printable ASCII, and some of it".to_owned()));
        }
        if self.otlp_endpoint.as_ref().is_some_and(|url| url.scheme() != "http") {
            let reason = "expected a URL that begins with http://; a collector beside this server \
                          can send on by TLS";
            return Err(("otlp_endpoint", reason.to_owned()));
        }
        if let Some(not) = self.portal_frame_ancestors.iter().find(|text| !is_origin(text)) {
            let reason = format!("expected origins like https://app.example.com, not `{not}`");
            return Err(("portal_frame_ancestors", reason));
        }
        if let Some(url) = &self.smtp_url {
            if !matches!(url.scheme(), "smtp" | "smtps") {
                let reason = "expected a URL that begins with smtp:// or smtps://";
                return Err(("smtp_url", reason.to_owned()));
            }
            if self.smtp_from.is_empty() {
                return Err((
                    "smtp_from",
                    "expected an e-mail address, as `smtp_url` is set".into(),
                ));
            }
        }
        if self.window_initial > self.window_max {
            let reason = format!("expected at most `window_max`, which is {}", self.window_max);
            return Err(("window_initial", reason));
        }
        if self.max_connections < self.max_in_flight {
            let reason = format!(
                "expected at least `max_in_flight`, which is {}: what exceeds it would wait for a \
                 connection until its time is up; raise it, or lower `max_in_flight`",
                self.max_in_flight
            );
            return Err(("max_connections", reason));
        }
        Ok(())
    }
}

/// Whether it is a scheme of the web, a host and perhaps a port, as browsers write them.
fn is_origin(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text
    })
}

impl std::fmt::Debug for Config {
    /// As it is shown, without secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.show()).finish()
    }
}
