//! Webhooks: one POST over HTTP/1.1, one answer.
//!
//! The way of a request: [`request`] builds it, [`pool`] gives a connection that is warm or
//! [`dial`] makes one (resolve, judge, connect, proxy, TLS), [`connection`] sends it and reads the
//! answer, [`answer`] says what came of it. Redirects are never followed, bodies never
//! decompressed, and one deadline holds over all of it.

mod answer;
mod connection;
mod dial;
mod fetch;
mod options;
mod pool;
mod proxy;
mod request;
mod resolve;
mod stream;
mod tls;

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use domain::{
    attempt::{Outcome, OutcomeClass},
    clock::Clock,
    destination::{Destination, Request},
};
use tokio::sync::OwnedSemaphorePermit;
use url::Url;

use self::{
    answer::{Answer, Failure},
    connection::{Connection, Message, SendError},
    dial::Dialer,
    pool::{Origin, Pool},
};
pub use self::{
    options::{HttpOptions, InvalidProxy, ProxyOptions},
    resolve::{HickoryResolver, Resolve, ResolveError},
};

/// How often [`HttpDestination::run`] looks for connections whose time is up.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// A new connection counts as accepted after this, if nothing has come back on it before.
const ACCEPTED_AFTER: Duration = Duration::from_millis(20);

/// Sends webhooks.
pub struct HttpDestination {
    dialer: Dialer,
    pool: Pool,
    clock: Arc<dyn Clock>,
}

/// How far an exchange has come: what is left to look at when the deadline ends it midway.
#[derive(Default)]
struct Progress {
    /// What is yet to be sent.
    message: Option<Message>,
    stage: Stage,
    connection: Option<Box<Connection>>,
    answer: Option<Answer>,
}

/// What an exchange is at.
#[derive(Clone, Copy, Default)]
enum Stage {
    /// It waits for one of the connections that may be in use.
    #[default]
    Waiting,
    /// It asks for the addresses of a name.
    Resolving,
    /// It opens a socket.
    Connecting(std::net::SocketAddr),
    /// The proxy opens one for it.
    Tunnelling(std::net::SocketAddr),
    /// It makes a TLS session.
    Securing(std::net::SocketAddr),
    /// The request is on its way, or the answer.
    Exchanging,
}

impl HttpDestination {
    /// A sender with no connections yet. Reads the trusted certificates of the system.
    ///
    /// Durations (lifetimes, what an attempt took) are measured by `clock`; deadlines are timers of
    /// tokio.
    pub fn new(options: HttpOptions, resolver: Arc<dyn Resolve>, clock: Arc<dyn Clock>) -> Self {
        let pool = Pool::new(&options);
        let dialer = Dialer::new(options, resolver, Arc::clone(&clock));
        Self { dialer, pool, clock }
    }

    /// Closes idle connections when their time is up, once a second, for ever: a background task
    /// beside the deliveries. Without it nothing wrong is sent, but idle connections stay open.
    pub async fn run(&self) {
        loop {
            tokio::time::sleep(SWEEP_INTERVAL).await;
            self.sweep();
        }
    }

    /// Closes the idle connections whose time is up.
    pub fn sweep(&self) {
        self.pool.sweep(self.clock.monotonic());
    }

    async fn deliver(&self, request: Request) -> Outcome {
        let started = self.clock.monotonic();
        let (deadline, app, url) = (request.deadline, request.app, Arc::clone(&request.url));
        let ended = match Origin::of(app, &url).and_then(|o| Ok((o, request::build(request)?))) {
            Ok((origin, message)) => {
                let mut progress = Progress { message: Some(message), ..Progress::default() };
                let exchange = self.exchange(origin, &url, &mut progress);
                match tokio::time::timeout(deadline, exchange).await {
                    Ok(Ok(())) => progress.answered(),
                    Ok(Err(failure)) => failure.into_outcome(progress.answer),
                    Err(_) => progress.out_of_time(deadline),
                }
            }
            Err(failure) => failure.into_outcome(None),
        };
        Outcome { duration: self.clock.monotonic().saturating_sub(started), ..ended }
    }

    /// Everything that the deadline is over. On success `progress` holds the answer. Thousands of
    /// these are under way at a time: what is rare in them, and large, is boxed.
    async fn exchange(
        &self,
        origin: Origin<'_>,
        url: &Url,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let _slot = self.pool.slot().await;
        let mut warm = self.pool.take(origin, self.clock.monotonic());
        let mut turn = None;
        if warm.is_none() {
            turn = Some(self.pool.turn(origin).await);
            warm = self.pool.take(origin, self.clock.monotonic());
        }
        loop {
            let reused = warm.is_some();
            let connection = match warm.take() {
                Some(connection) => connection,
                None => Box::pin(self.dial(url, &mut progress.stage)).await?,
            };
            progress.stage = Stage::Exchanging;
            let connection = progress.connection.insert(connection);
            let message = progress.message.take().expect("put back before it goes again");
            let sent = match turn.take() {
                Some(turn) => Box::pin(send_in_turn(connection.send(message), turn)).await,
                None => connection.send(message).await,
            };
            match sent {
                Ok(response) => {
                    let answer =
                        progress.answer.insert(Answer::new(&response, self.clock.as_ref()));
                    connection.read(response.into_body(), answer).await?;
                    break;
                }
                // The receiver had closed a connection that we kept, and nothing of the request
                // had left: to send it again cannot make it arrive twice.
                Err(SendError::Unsent(unsent)) if reused => progress.message = Some(*unsent),
                Err(SendError::Unsent(_)) => {
                    let text = "the receiver closed the connection before the request was sent";
                    return Err(Failure::new(OutcomeClass::Connect, text));
                }
                Err(SendError::Failed(failure)) => return Err(failure),
            }
        }
        if let Some(connection) = progress.connection.take() {
            self.pool.put(origin, connection, self.clock.monotonic());
        }
        Ok(())
    }

    async fn dial(&self, url: &Url, stage: &mut Stage) -> Result<Box<Connection>, Failure> {
        let (born, epoch) = (self.clock.monotonic(), self.pool.epoch());
        let dialled = self.dialer.dial(url, stage).await;
        let outcome = dialled.as_ref().map_or_else(|f| f.class.as_str(), |_| "connected");
        metrics::counter!("hookwright_dials_total", "outcome" => outcome).increment(1);
        Connection::open(dialled?, born, epoch).await
    }
}

/// Waits for the answer, and gives the turn on when that comes or when the connection must have been
/// accepted.
async fn send_in_turn<T>(sending: impl Future<Output = T>, turn: OwnedSemaphorePermit) -> T {
    let mut sending = pin!(sending);
    match tokio::time::timeout(ACCEPTED_AFTER, &mut sending).await {
        Ok(sent) => sent,
        Err(_) => {
            drop(turn);
            sending.await
        }
    }
}

impl Progress {
    fn answered(self) -> Outcome {
        let answer = self.answer.expect("an exchange without failure has an answer");
        answer.into_outcome()
    }

    /// The deadline passed.
    fn out_of_time(self, deadline: Duration) -> Outcome {
        let (class, text) = match self.stage {
            Stage::Waiting => (
                OutcomeClass::Timeout,
                format!("no connection became free within {deadline:?}: all are in use"),
            ),
            Stage::Resolving => {
                (OutcomeClass::Timeout, format!("the name did not resolve within {deadline:?}"))
            }
            Stage::Connecting(to) => {
                (OutcomeClass::Timeout, format!("no connection to {to} within {deadline:?}"))
            }
            Stage::Tunnelling(to) => (
                OutcomeClass::Timeout,
                format!("the proxy opened no connection to {to} within {deadline:?}"),
            ),
            Stage::Securing(with) => {
                (OutcomeClass::Timeout, format!("no TLS session with {with} within {deadline:?}"))
            }
            Stage::Exchanging => match (&self.answer, &self.connection) {
                (Some(answer), _) => (
                    OutcomeClass::Ambiguous,
                    format!(
                        "answered {}, but the body of the answer did not end within {deadline:?}",
                        answer.status
                    ),
                ),
                (None, Some(connection)) if connection.has_sent() => {
                    (OutcomeClass::Ambiguous, format!("no answer within {deadline:?}"))
                }
                _ => (OutcomeClass::Timeout, format!("the request did not leave in {deadline:?}")),
            },
        };
        Failure::new(class, text).timed_out().into_outcome(self.answer)
    }
}

impl Destination for HttpDestination {
    fn deliver(&self, request: Request) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        Box::pin(self.deliver(request))
    }

    fn forget(&self, url: &Url) {
        self.pool.forget(url, self.clock.monotonic());
    }
}
