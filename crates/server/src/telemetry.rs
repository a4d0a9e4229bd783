//! Logs, metrics and, with the feature `otlp`, traces.

use std::{
    io::{IsTerminal, stderr},
    net::SocketAddr,
    time::Duration,
};

use anyhow::Context;
use axum::{Router, routing::get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    config::{Config, LogFormat},
    http,
};

/// Buckets of latencies, in seconds.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
/// Buckets of batch sizes.
const SIZES: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];
/// How often measured values go from where they are gathered into their buckets. Without that they
/// pile up in memory until somebody asks for the metrics.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// What is told of a server that runs.
pub struct Telemetry {
    metrics: Option<(SocketAddr, PrometheusHandle)>,
    #[cfg(feature = "otlp")]
    traces: Option<crate::traces::Traces>,
}

impl Telemetry {
    /// Sets up logs, traces and metrics. What is counted before is lost. To be called outside of a
    /// runtime.
    pub fn init(config: &Config) -> anyhow::Result<Self> {
        let filter = EnvFilter::try_new(&config.log)
            .with_context(|| format!("`log`: not a filter: {}", config.log))?
            // Each of its connections tells of an outage by itself; the store does so once a second.
            .add_directive("deadpool.postgres=off".parse().context("a directive")?);
        let lines = tracing_subscriber::fmt::layer().with_writer(stderr);
        let lines = match config.log_format {
            LogFormat::Human => lines.with_ansi(stderr().is_terminal()).boxed(),
            LogFormat::Json => lines.json().boxed(),
        };
        let registry = tracing_subscriber::registry().with(lines.with_filter(filter));
        #[cfg(feature = "otlp")]
        let traces = crate::traces::Traces::to(config)?;
        #[cfg(feature = "otlp")]
        let registry = registry.with(traces.as_ref().map(crate::traces::Traces::layer));
        #[cfg(not(feature = "otlp"))]
        anyhow::ensure!(
            config.otlp_endpoint.is_none(),
            "`otlp_endpoint` is set, but this binary was built without the feature `otlp`"
        );
        registry.try_init().context("logs were set up before")?;
        let metrics = config.metrics_listen.map(|address| Ok((address, recorder()?)));
        Ok(Self {
            metrics: metrics.transpose().map_err(|error: anyhow::Error| error)?,
            #[cfg(feature = "otlp")]
            traces,
        })
    }

    /// Serves `/metrics` on a listener of its own: it is for operators, not for tenants.
    pub async fn serve_metrics(&self) -> anyhow::Result<()> {
        let Some((address, handle)) = self.metrics.clone() else { return Ok(()) };
        let listener = http::listen(address).await.context("`metrics_listen`")?;
        dispatch::spawn::spawn("server.metrics_upkeep", {
            let handle = handle.clone();
            async move {
                loop {
                    tokio::time::sleep(UPKEEP_INTERVAL).await;
                    handle.run_upkeep();
                }
            }
        });
        let router = Router::new().route("/metrics", get(async move || handle.render()));
        dispatch::spawn::spawn("server.metrics", http::serve(listener, router, 16, http::never()));
        Ok(())
    }

    /// Sends what is left to send. To be called outside of a runtime, at the end.
    pub fn flush(self) {
        #[cfg(feature = "otlp")]
        if let Some(traces) = self.traces {
            traces.flush();
        }
    }
}

/// Installs the recorder. Where nobody can ask for the metrics there is none: it would gather for
/// nothing.
fn recorder() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_rows".to_owned()), &SIZES)?
        .install_recorder()
        .context("metrics were set up before")
}
