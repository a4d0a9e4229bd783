//! Counts and times requests, by route, method and status.

use std::collections::HashMap;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use http::Method;
use metrics::{Counter, Histogram};
use parking_lot::RwLock;

use crate::state::ApiState;

type Handles = HashMap<(Method, u16), (Counter, Histogram)>;

/// The metrics of requests. Made on first use and kept: looking a metric up by its labels costs more
/// than counting. Bounded: there are only so many routes, methods and statuses.
#[derive(Default)]
pub struct RequestMetrics(RwLock<HashMap<String, Handles>>);

/// Middleware: counts into `hookwright_http_requests_total` and times into
/// `hookwright_http_request_seconds`.
pub async fn requests(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let start = state.clock.monotonic();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let method = known_method(request.method());
    let response = next.run(request).await;
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let (counter, histogram) =
        state.request_metrics.handles(route, method, response.status().as_u16());
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
