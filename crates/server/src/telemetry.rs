//! Logs, metrics and traces.

use std::net::SocketAddr;

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

/// Sets up logs (and, with the feature `otlp` and an endpoint, traces).
pub fn init_logs(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log)
        .with_context(|| format!("`log`: not a filter: {}", config.log))?;
    let lines = match config.log_format {
        LogFormat::Human => tracing_subscriber::fmt::layer().with_writer(std::io::stderr).boxed(),
        LogFormat::Json => {
            tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr).boxed()
        }
    };
    let registry = tracing_subscriber::registry().with(lines.with_filter(filter));
    #[cfg(feature = "otlp")]
    let registry = registry.with(traces(config)?);
    #[cfg(not(feature = "otlp"))]
    anyhow::ensure!(
        config.otlp_endpoint.is_none(),
        "`otlp_endpoint` is set, but this binary was built without the feature `otlp`"
    );
    registry.try_init().context("logs were set up before")
}

#[cfg(feature = "otlp")]
fn traces<S>(config: &Config) -> anyhow::Result<Option<impl Layer<S> + use<S>>>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a> + Send + Sync,
{
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_otlp::WithExportConfig;

    let Some(endpoint) = &config.otlp_endpoint else { return Ok(None) };
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(endpoint.as_str())
        .build()
        .context("`otlp_endpoint`")?;
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .build();
    let tracer = provider.tracer("hookwright");
    Ok(Some(tracing_opentelemetry::layer().with_tracer(tracer)))
}

/// Sets up metrics; what is counted before is lost.
pub fn init_metrics() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_rows".to_owned()), &SIZES)?
        .install_recorder()
        .context("metrics were set up before")
}

/// Serves `/metrics` on a listener of its own: it is for operators, not for tenants.
pub async fn serve_metrics(address: SocketAddr, handle: PrometheusHandle) -> anyhow::Result<()> {
    let listener = http::listen(address).await.context("`metrics_listen`")?;
    let router = Router::new().route("/metrics", get(move || async move { handle.render() }));
    dispatch::spawn::spawn("server.metrics", http::serve(listener, router, 16, http::never()));
    Ok(())
}
