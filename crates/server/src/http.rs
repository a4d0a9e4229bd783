//! Serving HTTP/1.1: bounded in connections, header size and header time, and drained when it stops.

use std::{
    convert::Infallible, future::Future, net::SocketAddr, pin::pin, sync::Arc, time::Duration,
};

use anyhow::Context;
use axum::{body::Body, extract::Request, response::Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tower::{Service, ServiceExt};

use crate::write_timeout::WriteTimeout;

/// Longest time the head of a request may take, also between requests of a connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// Most bytes of a request's head, and of what is buffered of a connection.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Most header fields of a request.
const MAX_HEADERS: usize = 128;
/// Longest time a peer may read nothing of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long stopping waits for requests under way.
const DRAIN: Duration = Duration::from_secs(10);

/// Opens a listener.
pub async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Serves until `stop` resolves, then lets requests under way finish.
pub async fn serve<S>(
    listener: TcpListener,
    service: S,
    max_connections: usize,
    stop: impl Future<Output = ()>,
) where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .half_close(true);
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(max_connections));
    let mut stop = pin!(stop);
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await.expect("never closed");
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            // First of all, and from the start: it must be heard while all places are taken.
            biased;
            () = &mut stop => break,
            next = next => next,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: the connections there are go on.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Answers are small: waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let answering = service.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            answering.clone().oneshot(request.map(Body::new))
        });
        let stream = TokioIo::new(WriteTimeout::new(stream, WRITE_TIMEOUT));
        let connection = graceful.watch(builder.serve_connection(stream, service));
        dispatch::spawn::spawn("server.connection", async move {
            // An error here is the peer's: a reset, or no HTTP.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
}

/// A server that is never told to stop.
pub fn never() -> impl Future<Output = ()> {
    std::future::pending()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a peer under test is a socket")]
mod tests {
    use axum::{Router, routing::get};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        sync::oneshot,
        time::timeout,
    };

    use super::*;

    #[tokio::test]
    async fn stops_while_all_places_are_taken() {
        let listener = listen(([127, 0, 0, 1], 0).into()).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let router = Router::new().route("/", get(async || "here"));
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = serve(listener, router, 1, async move { stopped.await.unwrap_or(()) });
        let peer = async {
            let mut first = TcpStream::connect(address).await.expect("a place");
            first.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
            let mut answer = [0; 12];
            first.read_exact(&mut answer).await.expect("an answer");
            assert_eq!(&answer, b"HTTP/1.1 200");
            // In the backlog: the only place is taken, by a connection that idles.
            let second = TcpStream::connect(address).await.expect("a listener");
            drop(stop);
            (first, second)
        };
        let both = async { tokio::join!(serving, peer) };
        timeout(DRAIN / 2, both).await.expect("the idle connection is closed at once");
    }
}
