//! Traces reach a collector. Built with the feature `otlp` only: `cargo xtask test` does.
#![cfg(feature = "otlp")]

mod binary;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc,
    time::Duration,
};

use binary::{Server, exchange_with, token};
use serde_json::json;

/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Answers 200 to every request and tells its first line and body.
fn collector() -> (String, mpsc::Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            while let Some((line, length)) = head(&mut stream) {
                let mut body = vec![0; length];
                stream.read_exact(&mut body).expect("a body");
                let _ = tell.send((line, body));
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                stream.get_mut().write_all(answer).expect("answered");
            }
        }
    });
    (url, told)
}

/// The first line of a request and the length of its body.
fn head(stream: &mut impl BufRead) -> Option<(String, usize)> {
    let mut lines = stream.lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let first = lines.next()?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    // The rest of the head.
    lines.for_each(drop);
    Some((first, length.unwrap_or(0)))
}

#[test]
fn a_message_leaves_its_trace() {
    let dir = tempfile::tempdir().expect("a directory");
    let token = token(dir.path());
    let (url, told) = collector();
    let (hook, delivered) = collector();
    let server = Server::serve(dir.path(), &[("HOOKWRIGHT_OTLP_ENDPOINT", &url)]);
    let app = json!({ "name": "Acme", "uid": "acme" });
    assert_eq!(server.call("POST", "/api/v1/app", &token, Some(&app)).0, 201);
    let endpoint = json!({ "url": hook });
    assert_eq!(server.call("POST", "/api/v1/app/acme/endpoint", &token, Some(&endpoint)).0, 201);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("traceparent: 00-{trace}-00f067aa0ba902b7-01\r\n");
    let message = json!({ "eventType": "invoice.paid", "payload": {} });
    let path = "/api/v1/app/acme/msg";
    let (status, _) = exchange_with(server.address, "POST", path, &token, Some(&message), &parent);
    assert_eq!(status, 202);
    delivered.recv_timeout(PATIENCE).expect("a delivery");
    // What waits is sent when it stops.
    assert_eq!(server.end("TERM").code(), Some(0));
    let mut all = Vec::new();
    while let Ok((line, body)) = told.try_recv() {
        assert_eq!(line, "POST /v1/traces HTTP/1.1");
        all.extend(body);
    }
    // The names of spans stand in it as they are, and so do the bytes of ids.
    let id: Vec<u8> = (0..16)
        .map(|i| u8::from_str_radix(&trace[2 * i..2 * i + 2], 16).expect("hexadecimal"))
        .collect();
    let names = ["POST /api/v1/app/{app_id}/msg", "publish", "attempt", "success"];
    for wanted in names.iter().map(|name| name.as_bytes()).chain([id.as_slice()]) {
        let found = all.windows(wanted.len()).any(|bytes| bytes == wanted);
        assert!(found, "{}", String::from_utf8_lossy(wanted));
    }
}
