//! Names, addresses and the guard: what is dialled, and what never is.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use async_trait::async_trait;
use domain::attempt::OutcomeClass::*;
use hookwright_destinations::{
    guard,
    http::{HttpOptions, Resolve, ResolveError},
};
use serde::Deserialize;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};
use url::Url;

use crate::support::*;

#[derive(Deserialize)]
struct UrlCase {
    url: String,
    /// As the URL standard reads it; none if it does not.
    host: Option<String>,
    then: Then,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Then {
    /// Not a URL.
    Unparsable,
    /// Not http or https.
    Scheme,
    /// Its host is an address that is refused.
    Blocked,
    /// Its host is an address that is not refused.
    Public,
    /// Its host is a name, and the address that it resolves to is judged.
    Resolved,
}

/// Every name leads to one refused address.
struct Everywhere(IpAddr);

#[async_trait]
impl Resolve for Everywhere {
    async fn resolve(&self, _: &str) -> Result<Vec<IpAddr>, ResolveError> {
        Ok(vec![self.0])
    }
}

#[tokio::test]
async fn tricky_urls() {
    let cases: Vec<UrlCase> =
        serde_json::from_str(include_str!("../data/urls.json")).expect("the list of URLs");
    assert!(cases.len() > 50);
    let sender =
        Sender::with(HttpOptions::default(), Everywhere("169.254.169.254".parse().expect("one")));
    for UrlCase { url, host, then } in cases {
        let parsed = Url::parse(&url);
        let read = parsed.as_ref().ok().map(|url| url.host_str().unwrap_or_default().to_owned());
        assert_eq!(read, host, "{url}");
        match then {
            Then::Unparsable => assert!(parsed.is_err(), "{url}"),
            Then::Public => {
                let address = host.expect("a host").parse().expect("an address");
                assert_eq!(guard::judge(address, &[]), Ok(()), "{url}");
            }
            Then::Scheme => assert_eq!(sender.post(&url).await.class, Invalid, "{url}"),
            Then::Blocked | Then::Resolved => {
                let outcome = sender.post(&url).await;
                assert_eq!((outcome.class, outcome.status_code), (Blocked, None), "{url}");
                assert_eq!(
                    text(&outcome),
                    "requests to this IP range are blocked (see the server configuration)"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_judged_at_each_dial() {
    // 127.0.0.2 stands for a public address.
    let receiver =
        Receiver::start_on("127.0.0.2".parse().expect("an address"), |stream, _| async {
            let mut stream = stream;
            read_request(&mut stream).await;
            let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
        })
        .await;
    let allow = vec!["127.0.0.2/32".parse().expect("a network")];
    let names = Names::default().with("rebind.test", &[&["127.0.0.2"], &["127.0.0.1"]]);
    let sender = Sender::with(HttpOptions { allow, ..HttpOptions::default() }, names);
    let port = receiver.address.port();
    // The same port of the other address, which nobody must come to.
    let hidden = TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
    let url = format!("http://rebind.test:{port}/");
    assert_eq!(sender.post(&url).await.class, Success);
    assert_eq!(sender.post(&url).await.class, Blocked);
    let accepted = std::future::poll_fn(|cx| std::task::Poll::Ready(hidden.poll_accept(cx))).await;
    assert!(accepted.is_pending(), "nobody dialled the refused address");
}

#[tokio::test]
async fn refused_addresses_of_a_name_are_passed_over() {
    let receiver = Receiver::answering(OK).await;
    let names = Names::default()
        .with("mixed.test", &[&["10.0.0.1", "::1", "127.0.0.1"]])
        .with("inside.test", &[&["10.0.0.1", "::1", "fd00::1"]]);
    let sender = Sender::with(local(), names);
    let port = receiver.address.port();
    assert_eq!(sender.post(&format!("http://mixed.test:{port}/")).await.class, Success);
    assert_eq!(sender.post(&format!("http://inside.test:{port}/")).await.class, Blocked);
    assert_eq!(receiver.accepted(), 1);
}

#[tokio::test]
async fn the_next_address_is_tried_where_one_is_dead() {
    let receiver = Receiver::answering(OK).await;
    let many: Vec<String> =
        (0..1000).map(|i| format!("127.0.{}.{}", 1 + i / 250, i % 250)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let names = Names::default()
        .with("half.test", &[&["127.0.0.9", "127.0.0.8", "127.0.0.1"]])
        .with("dead.test", &[&["127.0.0.9", "127.0.0.8"]])
        .with("many.test", &[&many]);
    let sender = Sender::with(local(), names);
    let port = receiver.address.port();
    assert_eq!(sender.post(&format!("http://half.test:{port}/")).await.class, Success);
    for name in ["dead.test", "many.test"] {
        let outcome = sender.post(&format!("http://{name}:{port}/")).await;
        assert_eq!(outcome.class, Connect);
        assert!(text(&outcome).starts_with("connection refused by 127.0."), "{outcome:?}");
    }
    assert_eq!(receiver.accepted(), 1);
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    drop(listener);
    let outcome = Sender::new().post(&format!("http://{address}/")).await;
    assert_eq!((outcome.class, outcome.status_code), (Connect, None));
    assert_eq!(text(&outcome), format!("connection refused by {address}"));
}

/// Fails, or never answers.
struct Broken;

#[async_trait]
impl Resolve for Broken {
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        match host {
            "servfail.test" => Err(ResolveError::Failed("server failure".to_owned())),
            "empty.test" => Ok(vec![]),
            "slow.test" => std::future::pending().await,
            _ => Err(ResolveError::NotFound),
        }
    }
}

#[tokio::test]
async fn names_that_do_not_resolve() {
    let sender = Sender::with(local(), Broken);
    for (host, class, says) in [
        ("nxdomain.test", Dns, "nxdomain.test did not resolve: no such name"),
        ("servfail.test", Dns, "servfail.test did not resolve: server failure"),
        ("empty.test", Dns, "empty.test did not resolve: it has no address"),
        ("slow.test", Timeout, "the name did not resolve within 250ms"),
    ] {
        let outcome = sender.post_in_vain(&format!("http://{host}/")).await;
        assert_eq!((outcome.class, text(&outcome).as_str()), (class, says));
        assert_eq!(outcome.timed_out, class == Timeout);
    }
}

/// Listens on 127.0.0.5 and takes no connection: its backlog is full.
async fn full(port: u16) -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((Ipv4Addr::new(127, 0, 0, 5), port).into()).expect("the port is free there");
    let listener = socket.listen(1).expect("a listener");
    let address = listener.local_addr().expect("a bound address");
    let mut waiting = Vec::new();
    while let Ok(stream) = timeout(SHORT, TcpStream::connect(address)).await {
        waiting.push(stream.expect("a listener"));
        assert!(waiting.len() < 10, "the backlog has an end");
    }
    (listener, waiting)
}

#[tokio::test]
async fn an_address_that_does_not_take_connections() {
    let receiver = Receiver::answering(OK).await;
    let port = receiver.address.port();
    let _full = full(port).await;
    let names = || {
        Names::default()
            .with("full.test", &[&["127.0.0.5"]])
            .with("both.test", &[&["127.0.0.5", "127.0.0.1"]])
    };
    let url = format!("http://full.test:{port}/");
    let outcome = Sender::with(local(), names()).post_in_vain(&url).await;
    assert_eq!((outcome.class, outcome.timed_out), (Timeout, true));
    assert_eq!(text(&outcome), format!("no connection to 127.0.0.5:{port} within 250ms"));
    let connect_timeout = Duration::from_millis(100);
    let sender = Sender::with(HttpOptions { connect_timeout, ..local() }, names());
    let outcome = sender.post(&url).await;
    assert_eq!((outcome.class, outcome.timed_out), (Connect, false));
    assert_eq!(text(&outcome), format!("no connection to 127.0.0.5:{port} within 100ms"));
    let outcome = sender.post(&format!("http://both.test:{port}/")).await;
    assert_eq!(outcome.class, Success, "{outcome:?}");
}
