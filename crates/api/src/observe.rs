//! Counts, times and traces requests, by route, method and status.

use std::collections::HashMap;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use http::Method;
use metrics::{Counter, Histogram};
use parking_lot::RwLock;
use tracing::{Instrument, field::Empty};

use crate::{state::ApiState, trace};

type Handles = HashMap<(Method, u16), (Counter, Histogram)>;

/// The metrics of requests. Made on first use and kept: looking a metric up by its labels costs more
/// than counting. Bounded: there are only so many routes, methods and statuses.
#[derive(Default)]
pub struct RequestMetrics(RwLock<HashMap<String, Handles>>);

/// Middleware: counts into `hookwright_http_requests_total`, times into
/// `hookwright_http_request_seconds`, and makes a span of it, within the caller's trace if it has one.
pub async fn requests(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let start = state.clock.monotonic();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let method = known_method(request.method());
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let span = tracing::debug_span!(
        "request",
        otel.name = %format_args!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.response.status_code = Empty,
    );
    if let Some(adopt) = state.adopt
        && let Some(parent) = trace::parent(request.headers())
    {
        adopt(&span, parent);
    }
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    let (counter, histogram) = state.request_metrics.handles(route, method, status.as_u16());
    counter.increment(1);
    histogram.record(state.clock.monotonic().saturating_sub(start).as_secs_f64());
    response
}

/// Callers may invent methods; we count those as one.
fn known_method(method: &Method) -> Method {
    const KNOWN: [Method; 7] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    if KNOWN.contains(method) { method.clone() } else { Method::TRACE }
}

impl RequestMetrics {
    fn handles(&self, route: &str, method: Method, status: u16) -> (Counter, Histogram) {
        if let Some(found) = self.0.read().get(route).and_then(|r| r.get(&(method.clone(), status)))
        {
            return found.clone();
        }
        let labels = [
            ("route", route.to_owned()),
            ("method", method.to_string()),
            ("status", status.to_string()),
        ];
        let made = (
            metrics::counter!("hookwright_http_requests_total", &labels),
            metrics::histogram!("hookwright_http_request_seconds", &labels),
        );
        let mut known = self.0.write();
        known.entry(route.to_owned()).or_default().insert((method, status), made.clone());
        made
    }
}
