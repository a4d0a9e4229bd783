//! One connection to a receiver, and one exchange on it at a time.
//!
//! hyper splits a connection into a handle and a driver that is usually a task of its own. Here the
//! exchange itself polls the driver: no task per connection, no switch between tasks per request,
//! and an exchange that is dropped takes its connection with it. An idle connection is polled by
//! nobody; whether it is still open is asked when it is taken.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use domain::attempt::OutcomeClass;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use metrics::Gauge;

use super::{
    answer::{Answer, Failure},
    stream::{Meter, Metered, Stream},
};

/// Most bytes of the head of an answer.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Most bytes that are read until the head of the final answer is there, with any informational
/// (1xx) answers before it.
const HEAD_BUDGET_BYTES: u64 = 4 * MAX_HEAD_BYTES as u64;

/// Most bytes of a body (with its chunk framing) that are read after the head; then the connection
/// is closed.
const BODY_BUDGET_BYTES: u64 = 1024 * 1024;

pub(super) type Message = Request<Full<Bytes>>;

/// A connection that is not in use by anybody else.
pub(super) struct Connection {
    handle: http1::SendRequest<Full<Bytes>>,
    driver: Driver,
    meter: Arc<Meter>,
    /// When it was dialled, by the monotonic clock.
    pub born: Duration,
    /// The pool's epoch when it was dialled.
    pub epoch: u64,
    open: Gauge,
}

/// Why there is no answer.
pub(super) enum SendError {
    /// Nothing of the request has left: here it is again.
    Unsent(Box<Message>),
    /// Some of it may have.
    Failed(Failure),
}

impl Connection {
    /// Over a stream that reaches the receiver. Sends nothing yet.
    pub(super) async fn open(
        stream: Stream,
        born: Duration,
        epoch: u64,
    ) -> Result<Box<Self>, Failure> {
        let meter = Arc::new(Meter::default());
        let io = TokioIo::new(Metered { stream, meter: Arc::clone(&meter) });
        let (handle, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD_BYTES)
            .handshake(io)
            .await
            .map_err(|e| Failure::new(OutcomeClass::Connect, format!("no connection: {e}")))?;
        let driver = Driver(Some(connection));
        let open = metrics::gauge!("hookwright_connections_open");
        open.increment(1);
        Ok(Box::new(Self { handle, driver, meter, born, epoch, open }))
    }

    /// Whether any of the last request left.
    pub(super) fn has_sent(&self) -> bool {
        self.meter.has_sent()
    }

    /// Whether it can take a request now, as far as can be known without sending one. What it
    /// notices, it notices without waking anybody.
    pub(super) fn is_ready(&mut self) -> bool {
        // A peer that sends unasked is closed on; it needs a few bytes of budget to be heard.
        self.meter.start(1);
        self.driver.poll(&mut Context::from_waker(Waker::noop()));
        self.driver.0.is_some() && self.handle.is_ready()
    }

    /// Sends one request and waits for the head of its answer. The future does not hold the request:
    /// it is given to the connection at once.
    pub(super) fn send(
        &mut self,
        message: Message,
    ) -> impl Future<Output = Result<Response<Incoming>, SendError>> {
        self.meter.start(HEAD_BUDGET_BYTES);
        let answered = self.handle.try_send_request(message);
        let Self { driver, meter, .. } = self;
        async move {
            driver.drive(pin!(answered)).await.map_err(|mut error| {
                if let Some(message) = error.take_message() {
                    return SendError::Unsent(Box::new(message));
                }
                SendError::Failed(if meter.is_exceeded() {
                    let text = "the answer has no end to its headers";
                    Failure::new(OutcomeClass::Protocol, text)
                } else if meter.has_sent() {
                    Failure::unanswered(error.error())
                } else {
                    let text =
                        format!("the connection broke before the request: {}", error.error());
                    Failure::new(OutcomeClass::Connect, text)
                })
            })
        }
    }

    /// Reads the body of an answer into `answer`, to its end or to the limit.
    ///
    /// # Errors
    /// It did not come to its end.
    pub(super) async fn read(
        &mut self,
        mut body: Incoming,
        answer: &mut Answer,
    ) -> Result<(), Failure> {
        self.meter.allow(BODY_BUDGET_BYTES);
        while let Some(frame) = self.driver.drive(pin!(body.frame())).await {
            match frame {
                Ok(frame) => frame.data_ref().into_iter().for_each(|data| answer.keep(data)),
                Err(_) if self.meter.is_exceeded() => break,
                Err(error) => return Err(Failure::cut(&error, answer.status)),
            }
        }
        Ok(())
    }

    /// Reads the body of an answer that is wanted as a whole; `None` if it has more than `most` bytes.
    ///
    /// # Errors
    /// It did not come to its end.
    pub(super) async fn read_whole(
        &mut self,
        mut body: Incoming,
        most: usize,
    ) -> Result<Option<Vec<u8>>, Failure> {
        self.meter.allow(BODY_BUDGET_BYTES);
        let mut whole = Vec::new();
        while let Some(frame) = self.driver.drive(pin!(body.frame())).await {
            match frame {
                Ok(frame) => {
                    whole.extend(frame.data_ref().into_iter().flatten());
                    if whole.len() > most {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(Failure::cut(&error, StatusCode::OK)),
            }
        }
        Ok(Some(whole))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.decrement(1);
    }
}

/// The half that reads and writes; `None` once the connection is at its end.
struct Driver(Option<http1::Connection<TokioIo<Metered>, Full<Bytes>>>);

impl Driver {
    fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.0
            // An error has been given to whoever waits for the answer or its body.
            && Pin::new(connection).poll(cx).is_ready()
        {
            self.0 = None;
        }
    }

    /// Waits for something that only this connection's bytes can bring about.
    async fn drive<F: Future>(&mut self, mut future: Pin<&mut F>) -> F::Output {
        poll_fn(|cx: &mut Context<'_>| -> Poll<F::Output> {
            self.poll(cx);
            future.as_mut().poll(cx)
        })
        .await
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a connection under test needs a socket")]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// What a kept connection does on which the close of the peer is noticed only when a request
    /// is sent.
    #[tokio::test]
    async fn a_request_on_a_closed_connection_comes_back_unsent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let stream = TcpStream::connect(address).await.expect("a listener");
        drop(listener.accept().await.expect("a connection"));
        stream.readable().await.expect("news of the close");
        let opened = Connection::open(Stream::Plain(stream), Duration::ZERO, 0).await;
        let mut connection = opened.expect("a connection");
        let message = Request::post("/hook").body(Full::from("body")).expect("a request");
        match connection.send(message).await {
            Err(SendError::Unsent(message)) => assert_eq!(message.uri(), "/hook"),
            Err(SendError::Failed(failure)) => panic!("{failure:?}"),
            Ok(_) => panic!("nobody answers"),
        }
        assert!(!connection.has_sent());
        assert!(!connection.is_ready());
    }
}
