//! Egress proxies: they are asked for addresses that were judged, never for names.

use domain::attempt::OutcomeClass::*;
use hookwright_destinations::http::{HttpOptions, ProxyOptions};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::TcpStream,
    sync::mpsc::UnboundedSender,
};

use crate::{
    support::*,
    tls::{Authority, secured},
};

/// Serves one CONNECT and tells what was asked.
async fn tunnel(mut stream: impl AsyncRead + AsyncWrite + Unpin, tell: UnboundedSender<String>) {
    let Some(head) = read_head(&mut stream).await else { return };
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let _ = tell.send(head);
    let Ok(mut onward) = TcpStream::connect(target).await else { return };
    let _ = stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
    let _ = copy_bidirectional(&mut stream, &mut onward).await;
}

async fn connect_proxy(tell: UnboundedSender<String>) -> Receiver {
    Receiver::start(move |stream, _| tunnel(stream, tell.clone())).await
}

/// A SOCKS 5 proxy that wants a password and tells what it was asked.
async fn socks_proxy(tell: UnboundedSender<String>) -> Receiver {
    Receiver::start(move |mut stream, _| {
        let tell = tell.clone();
        async move {
            let mut greeting = [0; 3];
            stream.read_exact(&mut greeting).await.expect("a greeting");
            assert_eq!(greeting, [5, 1, 2]);
            stream.write_all(&[5, 2]).await.expect("a client");
            let mut login = [0; 2 + 2 + 1 + 4];
            stream.read_exact(&mut login).await.expect("a login");
            let accepted = &login == b"\x01\x02me\x04hush";
            stream.write_all(&[1, u8::from(!accepted)]).await.expect("a client");
            let mut request = [0; 10];
            if stream.read_exact(&mut request).await.is_err() {
                return;
            }
            let [5, 1, 0, 1, a, b, c, d, high, low] = request else { panic!("{request:?}") };
            let port = u16::from_be_bytes([high, low]);
            let target = format!("{a}.{b}.{c}.{d}:{port}");
            let _ = tell.send(target.clone());
            match TcpStream::connect(target).await {
                Ok(mut onward) => {
                    // The address that it sends from may be given as a name (RFC 1928, 6).
                    let _ = stream.write_all(b"\x05\x00\x00\x03\x04here\x00\x00").await;
                    let _ = copy_bidirectional(&mut stream, &mut onward).await;
                }
                Err(_) => {
                    let _ = stream.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await;
                }
            }
        }
    })
    .await
}

fn through(proxy: &str, no_proxy: &[&str]) -> HttpOptions {
    let no_proxy: Vec<String> = no_proxy.iter().map(|&entry| entry.to_owned()).collect();
    let proxy = ProxyOptions::new(proxy, &no_proxy).expect("a good proxy");
    HttpOptions { proxy: Some(proxy), ..local() }
}

fn names() -> Names {
    Names::default()
        .with("hooks.test", &[&["127.0.0.1"]])
        .with("inside.test", &[&["10.0.0.1"]])
        .with("direct.test", &[&["127.0.0.1"]])
        .with("proxy.test", &[&["127.0.0.1"]])
}

#[tokio::test]
async fn an_http_proxy_is_asked_for_the_address() {
    let (tell, told) = events();
    let proxy = connect_proxy(tell).await;
    let receiver = Receiver::answering(OK).await;
    let (proxy_port, port) = (proxy.address.port(), receiver.address.port());
    let options = through(&format!("http://me:hush@proxy.test:{proxy_port}"), &["direct.test"]);
    let sender = Sender::with(options, names());
    for _ in 0..2 {
        assert_eq!(sender.post(&format!("http://hooks.test:{port}/")).await.class, Success);
    }
    let expected = format!(
        "CONNECT 127.0.0.1:{port} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\
         proxy-authorization: Basic bWU6aHVzaA==\r\n\r\n"
    );
    assert_eq!(next(&told).await, expected);
    assert_eq!(proxy.accepted(), 1, "the tunnel is kept like any connection");
    // The guard judges what the proxy is to reach.
    assert_eq!(sender.post(&format!("http://inside.test:{port}/")).await.class, Blocked);
    assert_eq!(sender.post("http://169.254.169.254/").await.class, Blocked);
    assert_eq!(sender.post(&format!("http://direct.test:{port}/")).await.class, Success);
    assert_eq!(proxy.accepted(), 1);
}

/// A proxy of which one address is dead is not out of order.
#[tokio::test]
async fn all_addresses_of_a_proxy_are_tried() {
    let (tell, told) = events();
    let proxy = connect_proxy(tell).await;
    let receiver = Receiver::answering(OK).await;
    let names = names().with("twice.test", &[&["127.0.0.9", "127.0.0.1"]]);
    let options = through(&format!("http://twice.test:{}", proxy.address.port()), &[]);
    let url = format!("http://hooks.test:{}/", receiver.address.port());
    assert_eq!(Sender::with(options, names).post(&url).await.class, Success);
    assert!(next(&told).await.starts_with("CONNECT 127.0.0.1:"));
}

#[tokio::test]
async fn tls_goes_through_the_tunnel_under_the_name() {
    let authority = Authority::new("trusted");
    let (tell, told) = events();
    let (tell_session, session) = events();
    let proxy = connect_proxy(tell).await;
    let receiver = secured(authority.acceptor("hooks.test", 2027), tell_session).await;
    let port = receiver.address.port();
    let options = HttpOptions {
        extra_roots: vec![authority.root()],
        ..through(&format!("http://{}", proxy.address), &[])
    };
    let outcome = Sender::with(options, names()).post(&format!("https://hooks.test:{port}/")).await;
    assert_eq!(outcome.class, Success, "{outcome:?}");
    assert!(next(&told).await.starts_with(&format!("CONNECT 127.0.0.1:{port} ")));
    assert_eq!(next(&session).await.1.as_deref(), Some("hooks.test"));
}

#[tokio::test]
async fn a_proxy_may_speak_tls_itself() {
    let authority = Authority::new("trusted");
    let (tell, told) = events();
    let (tell_session, session) = events();
    let acceptor = authority.acceptor("proxy.test", 2027);
    let proxy = Receiver::start(move |stream, _| {
        let (acceptor, tell) = (acceptor.clone(), tell.clone());
        async move {
            tunnel(acceptor.accept(stream).await.expect("a session"), tell).await;
        }
    })
    .await;
    let receiver = secured(authority.acceptor("hooks.test", 2027), tell_session).await;
    let port = receiver.address.port();
    let options = HttpOptions {
        extra_roots: vec![authority.root()],
        ..through(&format!("https://proxy.test:{}", proxy.address.port()), &[])
    };
    let outcome = Sender::with(options, names()).post(&format!("https://hooks.test:{port}/")).await;
    assert_eq!(outcome.class, Success, "{outcome:?}");
    assert!(next(&told).await.starts_with(&format!("CONNECT 127.0.0.1:{port} ")));
    assert_eq!(next(&session).await.1.as_deref(), Some("hooks.test"));
}

#[tokio::test]
async fn a_socks_proxy_is_asked_for_the_address() {
    let (tell, told) = events();
    let proxy = socks_proxy(tell).await;
    let receiver = Receiver::answering(OK).await;
    let port = receiver.address.port();
    let good = through(&format!("socks5://me:hush@{}", proxy.address), &[]);
    let sender = Sender::with(good, names());
    let url = format!("http://hooks.test:{port}/");
    assert_eq!(sender.post(&url).await.class, Success);
    assert_eq!(next(&told).await, format!("127.0.0.1:{port}"));
    let nobody = Names::default().with("hooks.test", &[&["127.0.0.77"]]);
    let good = through(&format!("socks5://me:hush@{}", proxy.address), &[]);
    let outcome = Sender::with(good, nobody).post(&url).await;
    assert_eq!(outcome.class, Connect);
    assert!(text(&outcome).ends_with("connection refused"), "{outcome:?}");
    let bad = through(&format!("socks5://me:wish@{}", proxy.address), &[]);
    let outcome = Sender::with(bad, names()).post(&url).await;
    assert_eq!(outcome.class, Connect);
    assert!(text(&outcome).contains("did not accept the user name"), "{outcome:?}");
    assert!(!text(&outcome).contains("wish"));
}

#[tokio::test]
async fn proxies_that_do_not_help() {
    for (answer, class, says) in [
        (&b"HTTP/1.1 403 Forbidden\r\n\r\n"[..], Connect, "it answered 403 to CONNECT 127.0.0.1:9"),
        (b"HTTP/1.1 407 Who?\r\n\r\n", Connect, "it answered 407"),
        // A page may follow, and the connection stay open.
        (
            b"HTTP/1.1 407 Who?\r\ncontent-length: 99\r\n\r\n<html><body>Log in first",
            Connect,
            "it answered 407 to CONNECT 127.0.0.1:9",
        ),
        (b"HTTP/1.1 502 No\r\nserver: squid\r\n", Connect, "it answered 502"),
        (b"HTTP/1.1 200 OK\r\n\r\nwho are you?", Connect, "is not HTTP"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", Connect, "is not HTTP"),
        (b"HTTP/1.1 200 OK\r\n", Timeout, "the proxy opened no connection to 127.0.0.1:9"),
    ] {
        let proxy = Receiver::start(move |mut stream, _| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(answer).await;
            let _ = stream.read(&mut [0]).await;
        })
        .await;
        let sender = Sender::with(through(&format!("http://{}", proxy.address), &[]), names());
        let outcome = sender.post_in_vain("http://hooks.test:9/").await;
        assert_eq!(outcome.class, class, "{outcome:?}");
        assert!(text(&outcome).contains(says), "{outcome:?}");
    }
    let endless = Receiver::start(|mut stream, _| async move {
        while stream.write_all(b"HTTP/1.1 200 OK and so on ").await.is_ok() {}
    })
    .await;
    let sender = Sender::with(through(&format!("http://{}", endless.address), &[]), names());
    assert_eq!(sender.post("http://hooks.test:9/").await.class, Connect);
}
