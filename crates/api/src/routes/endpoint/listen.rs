//! Listening to an endpoint: its deliveries over a connection of the receiver's own, and their
//! acknowledgements. Of endpoints whose URL has the host that is reserved for it.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use domain::{
    attempt::MAX_RESPONSE_BYTES,
    destination::{LISTENER_HOST, leads_to_listener},
    endpoint::Endpoint,
    id::{ApplicationId, EndpointId},
    name::Ref,
    token::Capability,
};
use futures_util::{StreamExt, stream};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use tokio::time::{Interval, MissedTickBehavior, interval};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::EndpointPath;
use crate::{
    auth::{AnyCaller, Caller},
    body,
    error::ApiError,
    extract::Path,
    listening::{Deliveries, Handed},
    openapi, state,
    state::ApiState,
};

/// How often a listener hears that the connection is alive; and how long, at most, it stays after it may
/// not any more.
const HEARTBEAT: Duration = Duration::from_secs(10);
const ALIVE: &[u8] = b"{\"heartbeat\":true}\n";

/// One line of what a listener gets: a delivery. A line without an `id` says that the connection is alive.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListenedOut {
    /// What the delivery is acknowledged by.
    id: String,
    /// The headers of the request.
    #[schema(value_type = BTreeMap<String, String>)]
    headers: BTreeMap<Arc<str>, String>,
    /// Its body, in Base64.
    body_base64: String,
    /// How many milliseconds its acknowledgement may take.
    timeout_ms: u64,
}

impl From<Handed> for ListenedOut {
    fn from(handed: Handed) -> Self {
        let mut headers: BTreeMap<Arc<str>, String> = BTreeMap::new();
        for (name, value) in handed.request.headers {
            // What a name has several times is a list, as anywhere in HTTP.
            let values = headers.entry(name).and_modify(|values| values.push_str(", "));
            values.or_default().push_str(&value);
        }
        Self {
            id: handed.id,
            headers,
            body_base64: BASE64.encode(&handed.request.body),
            timeout_ms: u64::try_from(handed.timeout.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// What a delivery was answered.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AcknowledgementIn {
    /// The HTTP status; 2xx is a success.
    #[schema(minimum = 200, maximum = 599)]
    status: u16,
    /// The body; its first 64 KiB are kept.
    #[serde(default)]
    body: String,
}

/// A listener that was let in.
struct Listener {
    deliveries: Deliveries,
    heartbeat: Interval,
    stay: Stay,
}

/// By what right it stays.
struct Stay {
    state: ApiState,
    caller: Arc<Caller>,
    app: Ref<ApplicationId>,
    endpoint: Ref<EndpointId>,
}

/// The endpoint, if the caller may listen to it, and here.
async fn listened(
    state: &ApiState,
    caller: &Caller,
    app: &Ref<ApplicationId>,
    endpoint: &Ref<EndpointId>,
) -> Result<Endpoint, ApiError> {
    let app = state.app(caller, app, Capability::ManageEndpoint).await?;
    let endpoint = state::endpoint(&app, endpoint)?;
    if !leads_to_listener(&endpoint.url) {
        let msg = format!("only an endpoint whose URL has the host {LISTENER_HOST} is listened to");
        return Err(ApiError::invalid(&["path", "endpoint_id"], msg));
    }
    if !state.listening.is_here(endpoint.org, endpoint.app, endpoint.id) {
        return Err(ApiError::NotHere);
    }
    Ok(endpoint.clone())
}

impl Listener {
    /// The next line; `None` at the end.
    async fn line(&mut self) -> Option<Bytes> {
        tokio::select! {
            handed = self.deliveries.next() => {
                let mut line = serde_json::to_vec(&ListenedOut::from(handed?)).ok()?;
                line.push(b'\n');
                Some(line.into())
            }
            _ = self.heartbeat.tick() => {
                self.stay.may_go_on().await.then_some(Bytes::from_static(ALIVE))
            }
        }
    }
}

impl Stay {
    /// Whether all is still as it was when it came: its token, the endpoint, and who delivers to it. An
    /// outage of the store is no reason to go.
    async fn may_go_on(&self) -> bool {
        let now = self.state.clock.now();
        if self.state.auth.refuses(&self.caller, now) || now >= self.caller.expires_at {
            return false;
        }
        match listened(&self.state, &self.caller, &self.app, &self.endpoint).await {
            Ok(_) | Err(ApiError::Unavailable(_) | ApiError::Internal) => true,
            Err(_) => false,
        }
    }
}

/// Listen to Endpoint
///
/// The deliveries of an endpoint, one JSON object a line, for as long as the connection lasts; every 10
/// seconds a line without an `id`. Each is to be acknowledged. For endpoints whose URL is
/// `https://listen.hookwright.invalid/` and a path that no other endpoint of the application has. A newer
/// listener takes over from an older one. 503 with the code `not_here` says that another node delivers to
/// this endpoint: connect again until a load balancer brings you there.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/listen",
    operation_id = "v1.endpoint.listen", tag = "Endpoint",
    params(openapi::EndpointPath),
    responses((status = 200, body = ListenedOut, content_type = "application/x-ndjson"), ApiError))]
async fn listen(
    State(state): State<ApiState>,
    Path((app, endpoint)): Path<EndpointPath>,
    AnyCaller(caller): AnyCaller,
) -> Result<Response, ApiError> {
    let found = listened(&state, &caller, &app, &endpoint).await?;
    let deliveries = state.listening.connect(found.app, &found.url);
    let deliveries = deliveries.map_err(ApiError::Unavailable)?;
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stay = Stay { state, caller, app, endpoint };
    let listener = Listener { deliveries, heartbeat, stay };
    let lines = stream::unfold(listener, async |mut listener| {
        let line = listener.line().await?;
        Some((Ok::<_, Infallible>(line), listener))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CACHE_CONTROL, "no-store"),
        // Proxies that gather answers would keep deliveries from the listener.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

/// Acknowledge Delivery
///
/// Says what a delivery that was listened to was answered: the same as if the endpoint had answered so.
/// 404 if nobody waits for it any more: it will come again.
#[utoipa::path(post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/listen/{delivery_id}",
    operation_id = "v1.endpoint.acknowledge", tag = "Endpoint",
    params(openapi::ListenedPath), request_body = AcknowledgementIn,
    responses((status = 204, description = "It was taken."), ApiError))]
async fn acknowledge(
    State(state): State<ApiState>,
    Path((app, endpoint, id)): Path<(Ref<ApplicationId>, Ref<EndpointId>, String)>,
    AnyCaller(caller): AnyCaller,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let endpoint = listened(&state, &caller, &app, &endpoint).await?;
    let AcknowledgementIn { status, body } = body::parse(&body)?;
    if !(200..600).contains(&status) {
        return Err(ApiError::invalid(&["body", "status"], "must be 200 to 599"));
    }
    let mut body = Bytes::from(body);
    body.truncate(MAX_RESPONSE_BYTES);
    match state.listening.acknowledge(endpoint.app, &endpoint.url, &id, status, body) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::NOT_FOUND),
    }
}

/// See [`crate::routes`].
pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(listen)).routes(routes!(acknowledge))
}
