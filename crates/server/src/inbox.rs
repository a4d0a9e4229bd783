//! The built-in inbox of `dev`: a receiver that verifies what arrives and prints it, and some that behave
//! as receivers do, for the sample traffic.

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use domain::{
    clock::{Clock, Timestamp},
    signature::{self, SigningSecret},
};
use tokio::sync::mpsc;

use crate::http;

/// Older or newer than this and a signature is not taken (Standard Webhooks).
const TOLERANCE_SECS: u64 = 300;

/// What arrived.
#[derive(Debug)]
pub struct Arrival {
    /// The id header.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// Whether the signature and its time are genuine.
    pub verified: bool,
    /// The body.
    pub body: Bytes,
}

struct Inbox {
    secret: Arc<OnceLock<SigningSecret>>,
    arrivals: mpsc::UnboundedSender<Arrival>,
    clock: Arc<dyn Clock>,
    /// Requests of the sample traffic so far.
    samples: AtomicU64,
}

/// Opens an inbox on loopback. Its signatures are checked with `secret` once that is known.
pub async fn open(
    secret: Arc<OnceLock<SigningSecret>>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<(SocketAddr, mpsc::UnboundedReceiver<Arrival>)> {
    let listener = http::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let address = listener.local_addr()?;
    let (arrivals, received) = mpsc::unbounded_channel();
    let inbox = Arc::new(Inbox { secret, arrivals, clock, samples: AtomicU64::new(0) });
    let router = Router::new()
        .route("/inbox", post(receive))
        .route("/sample/{does}", post(sample))
        .with_state(inbox);
    dispatch::spawn::spawn("dev.inbox", http::serve(listener, router, 64, http::never()));
    Ok((address, received))
}

async fn receive(State(inbox): State<Arc<Inbox>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let at = inbox.clock.now();
    let header = |name: &str| {
        let either = headers.get(format!("webhook-{name}")).or(headers.get(format!("svix-{name}")));
        either.and_then(|value| value.to_str().ok()).unwrap_or("").to_owned()
    };
    let id = header("id");
    let secs: i64 = header("timestamp").parse().unwrap_or(0);
    let timely = at.as_secs().abs_diff(secs) <= TOLERANCE_SECS;
    let verified = timely
        && inbox.secret.get().is_some_and(|secret| {
            signature::verify(secret, &id, secs, &body, &header("signature"))
        });
    // Nobody listens any more only when the process ends.
    let _ = inbox.arrivals.send(Arrival { id, at, verified, body });
    if verified { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED }
}

async fn sample(State(inbox): State<Arc<Inbox>>, Path(does): Path<String>) -> StatusCode {
    let nth = inbox.samples.fetch_add(1, Ordering::Relaxed);
    match &*does {
        "slow" => {
            tokio::time::sleep(Duration::from_millis(150 + nth % 7 * 40)).await;
            StatusCode::OK
        }
        "flaky" if nth.is_multiple_of(3) => StatusCode::INTERNAL_SERVER_ERROR,
        "down" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::NO_CONTENT,
    }
}
