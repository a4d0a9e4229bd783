//! Receivers to send to, and a sender.

use std::{
    collections::HashMap,
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use domain::{
    attempt::Outcome,
    clock::{ManualClock, Timestamp},
    destination::{Destination, Request},
    id::ApplicationId,
};
use hookwright_destinations::http::{HttpDestination, HttpOptions, Resolve, ResolveError};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Mutex, mpsc},
};
use url::Url;

/// 2026-06-01T00:00:00Z, a Monday.
pub const NOW: Timestamp = Timestamp::from_secs(1_780_272_000);

/// Long enough never to be the reason.
pub const LONG: Duration = Duration::from_secs(20);

/// Short enough to be waited for.
pub const SHORT: Duration = Duration::from_millis(250);

pub const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Somebody who listens on a port of this host.
pub struct Receiver {
    pub address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Receiver {
    /// Hands every connection to `serve`, with its number from 1.
    pub async fn start<F, S>(serve: S) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
        S: Fn(TcpStream, usize) -> F + Send + 'static,
    {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), serve).await
    }

    pub async fn start_on<F, S>(address: IpAddr, serve: S) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
        S: Fn(TcpStream, usize) -> F + Send + 'static,
    {
        let listener = TcpListener::bind((address, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = count.fetch_add(1, SeqCst) + 1;
                tokio::spawn(serve(stream, number));
            }
        });
        Self { address, accepted }
    }

    /// Answers every request with these bytes, on connections that stay open.
    pub async fn answering(answer: impl Into<Bytes>) -> Self {
        let answer = answer.into();
        Self::start(move |mut stream, _| {
            let answer = answer.clone();
            async move {
                while read_request(&mut stream).await.is_some() {
                    if stream.write_all(&answer).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// How many connections there were.
    pub fn accepted(&self) -> usize {
        self.accepted.load(SeqCst)
    }
}

/// One request as it came: head with its last empty line, and body. `None` at the end of the stream.
pub async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<(String, Vec<u8>)> {
    let head = read_head(stream).await?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    let mut body = vec![0; length.parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, body))
}

pub async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).expect("what we send is ASCII"))
}

/// A name server with fixed answers. A name with several gives them one after another.
#[derive(Default)]
pub struct Names(HashMap<&'static str, (AtomicUsize, Vec<Vec<IpAddr>>)>);

impl Names {
    pub fn with(mut self, name: &'static str, answers: &[&[&str]]) -> Self {
        let parse = |answer: &&[&str]| answer.iter().map(|a| a.parse().expect("an IP")).collect();
        self.0.insert(name, (AtomicUsize::new(0), answers.iter().map(parse).collect()));
        self
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let (asked, answers) = self.0.get(host).ok_or(ResolveError::NotFound)?;
        let turn = asked.fetch_add(1, SeqCst).min(answers.len() - 1);
        Ok(answers[turn].clone())
    }
}

/// A sender, and the clock it goes by.
pub struct Sender {
    pub http: HttpDestination,
    pub clock: Arc<ManualClock>,
}

impl Sender {
    /// One that may send to this host.
    pub fn new() -> Self {
        Self::with(local(), Names::default())
    }

    pub fn with(options: HttpOptions, names: impl Resolve + 'static) -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let http = HttpDestination::new(options, Arc::new(names), clock.clone());
        Self { http, clock }
    }

    pub async fn post(&self, url: &str) -> Outcome {
        self.http.deliver(request(url)).await
    }

    /// With a deadline that is meant to pass.
    pub async fn post_in_vain(&self, url: &str) -> Outcome {
        self.http.deliver(Request { deadline: SHORT, ..request(url) }).await
    }

    pub fn forget(&self, url: &str) {
        Destination::forget(&self.http, &Url::parse(url).expect("a URL"));
    }
}

/// Options under which this host may be sent to.
pub fn local() -> HttpOptions {
    let allow = vec!["127.0.0.0/8".parse().expect("a network")];
    HttpOptions { allow, ..HttpOptions::default() }
}

pub fn request(url: &str) -> Request {
    Request {
        app: ApplicationId::from_raw([1; 20]),
        url: Arc::new(Url::parse(url).expect("a URL")),
        headers: vec![("content-type".into(), "application/json".to_owned())],
        body: Bytes::from_static(b"{\"a\":1}"),
        deadline: LONG,
    }
}

pub fn text(outcome: &Outcome) -> String {
    String::from_utf8_lossy(&outcome.response).into_owned()
}

/// Tells of something once per call; the other end waits for it.
pub fn events<T: Send>() -> (mpsc::UnboundedSender<T>, Mutex<mpsc::UnboundedReceiver<T>>) {
    let (tell, told) = mpsc::unbounded_channel();
    (tell, Mutex::new(told))
}

/// The next event, within the time that any test may take.
pub async fn next<T>(told: &Mutex<mpsc::UnboundedReceiver<T>>) -> T {
    let mut told = told.lock().await;
    let event = tokio::time::timeout(LONG, told.recv()).await;
    event.expect("an event in time").expect("somebody who tells")
}
