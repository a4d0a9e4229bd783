//! What a delivery over a warm connection costs: posts 1 KiB to a receiver in this process and
//! prints the processor time per delivery, of the sending thread and of the receiving thread apart.
//!
//! `cargo run --release -p hookwright-destinations --example deliver_bench -- [deliveries] [in flight]`
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock and spawns tasks")]

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use domain::{
    attempt::OutcomeClass,
    clock::{Clock, Timestamp},
    destination::{Destination, Request},
    id::ApplicationId,
};
use hookwright_destinations::http::{HttpDestination, HttpOptions, Resolve, ResolveError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Builder,
};
use url::Url;

/// The server's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PAYLOAD_BYTES: usize = 1024;

struct RealClock(Instant);

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH.plus(std::time::UNIX_EPOCH.elapsed().unwrap_or_default())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

struct NoNames;

#[async_trait]
impl Resolve for NoNames {
    async fn resolve(&self, _: &str) -> Result<Vec<std::net::IpAddr>, ResolveError> {
        Err(ResolveError::NotFound)
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|a| a.parse::<usize>().ok());
    let deliveries = arguments.next().unwrap_or(300_000);
    let in_flight = arguments.next().unwrap_or(64);
    let (tell, told) = std::sync::mpsc::channel();
    let receiver = thread::spawn(move || receive(&tell));
    let (address, receiver_task) = told.recv().expect("the receiver starts");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let allow = vec!["127.0.0.0/8".parse().expect("a network")];
        let options = HttpOptions { allow, max_idle_per_host: in_flight, ..Default::default() };
        let clock = Arc::new(RealClock(Instant::now()));
        let sender = Arc::new(HttpDestination::new(options, Arc::new(NoNames), clock));
        let url = Url::parse(&format!("http://{address}/hook?x=1")).expect("a URL");
        let request = request(Arc::new(url));
        // Warm: as many connections as there will be.
        run(&sender, &request, in_flight * 20, in_flight).await;
        let cpu = [processor_time("thread-self"), processor_time(&receiver_task)];
        let start = Instant::now();
        run(&sender, &request, deliveries, in_flight).await;
        let wall = start.elapsed();
        let spent = [processor_time("thread-self"), processor_time(&receiver_task)];
        let per = |i: usize| (spent[i] - cpu[i]).as_secs_f64() * 1e6 / deliveries as f64;
        println!(
            "{deliveries} deliveries of {PAYLOAD_BYTES} B, {in_flight} in flight: {:.0}/s; \
             processor time per delivery: sender {:.2} µs, receiver {:.2} µs",
            deliveries as f64 / wall.as_secs_f64(),
            per(0),
            per(1)
        );
    });
    drop(runtime);
    drop(receiver);
}

fn request(url: Arc<Url>) -> Request {
    let headers = [
        ("content-type", "application/json"),
        ("user-agent", "Hookwright/0.1"),
        ("webhook-id", "msg_2abcdefghijklmnopqrstuvwxyz0"),
        ("webhook-timestamp", "1767225600"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ];
    Request {
        app: ApplicationId::from_raw([7; 20]),
        url,
        headers: headers.map(|(name, value)| (Arc::from(name), value.to_owned())).into(),
        body: Bytes::from(vec![b'x'; PAYLOAD_BYTES]),
        deadline: Duration::from_secs(15),
    }
}

async fn run(sender: &Arc<HttpDestination>, request: &Request, total: usize, in_flight: usize) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..in_flight {
        let (sender, request) = (Arc::clone(sender), request.clone());
        tasks.spawn(async move {
            for _ in 0..total / in_flight {
                let outcome = sender.deliver(request.clone()).await;
                assert_eq!(outcome.class, OutcomeClass::Success, "{outcome:?}");
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("no task fails");
    }
}

/// Processor time that a thread has used, by the kernel's account.
fn processor_time(task: &str) -> Duration {
    let text = fs::read_to_string(format!("/proc/{task}/schedstat")).expect("Linux's /proc");
    let nanos = text.split(' ').next().and_then(|n| n.parse().ok()).expect("nanoseconds");
    Duration::from_nanos(nanos)
}

fn receive(tell: &std::sync::mpsc::Sender<(SocketAddr, String)>) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let me = fs::read_link("/proc/thread-self").expect("Linux's /proc");
        let address = listener.local_addr().expect("an address");
        tell.send((address, me.display().to_string())).expect("main listens");
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(answer(stream));
        }
    });
}

/// Answers every request; knows that its body has [`PAYLOAD_BYTES`].
async fn answer(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let head = buffer.windows(4).position(|w| w == b"\r\n\r\n");
        if head.is_some_and(|end| buffer.len() >= end + 4 + PAYLOAD_BYTES) {
            buffer.clear();
            let answer =
                b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok";
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
    }
}
