//! Traces by OTLP over HTTP, as protobuf: the spans of our crates, which are of level `debug`.

use std::{collections::HashMap, time::Duration};

use anyhow::Context;
use opentelemetry::{propagation::TextMapPropagator, trace::TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing::{Level, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};
use url::Url;

use crate::config::Config;

/// Where a collector takes traces, below its base URL.
const PATH: &str = "/v1/traces";
/// Longest time the last spans may take to leave.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Spans on their way to a collector.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// To where the configuration says, if it does.
    pub fn to(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(endpoint) = &config.otlp_endpoint else { return Ok(None) };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(traces_url(endpoint))
            .build()
            .context("`otlp_endpoint`")?;
        let provider = SdkTracerProvider::builder()
            .with_resource(Resource::builder().with_service_name("hookwright").build())
            .with_batch_exporter(exporter)
            .build();
        Ok(Some(Self(provider)))
    }

    /// Takes spans, and warnings within them. Those of other crates say nothing of deliveries.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let wanted = filter_fn(|about| {
            about.target().starts_with("hookwright")
                && (about.is_span() || *about.level() <= Level::WARN)
        });
        tracing_opentelemetry::layer().with_tracer(self.0.tracer("hookwright")).with_filter(wanted)
    }

    /// Sends what is left.
    pub fn flush(self) {
        if let Err(error) = self.0.shutdown_with_timeout(FLUSH_TIMEOUT) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Makes a span part of the caller's trace.
pub fn adopt(span: &Span, traceparent: &str) {
    let carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    // Refused where nobody takes the span, and that is well.
    let _ = span.set_parent(TraceContextPropagator::new().extract(&carrier));
}

fn traces_url(endpoint: &Url) -> String {
    let base = endpoint.as_str().trim_end_matches('/');
    if endpoint.path().trim_end_matches('/').ends_with(PATH) {
        return base.to_owned();
    }
    format!("{base}{PATH}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_appended_unless_it_is_there() {
        for (endpoint, url) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
            ("http://127.0.0.1:4318/v1/traces", "http://127.0.0.1:4318/v1/traces"),
            ("http://collector/otlp/", "http://collector/otlp/v1/traces"),
            ("http://collector/otlp/v1/traces/", "http://collector/otlp/v1/traces"),
        ] {
            assert_eq!(traces_url(&endpoint.parse().expect("a URL")), url);
        }
    }
}
