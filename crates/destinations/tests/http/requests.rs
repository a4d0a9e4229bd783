//! What goes out on the wire.

use std::sync::Arc;

use domain::{
    attempt::OutcomeClass,
    destination::{Destination, Request},
};
use tokio::io::AsyncWriteExt;

use crate::support::*;

/// The head of the request that this one becomes, with the receiver's address as `HOST`.
async fn head_of(url: &str, headers: &[(&str, &str)]) -> String {
    let (tell, told) = events();
    let receiver = Receiver::start(move |mut stream, _| {
        let tell = tell.clone();
        async move {
            let (head, _) = read_request(&mut stream).await.expect("a request");
            let _ = tell.send(head);
            let _ = stream.write_all(OK).await;
        }
    })
    .await;
    let address = receiver.address.to_string();
    let headers = headers.iter().map(|(n, v)| (Arc::from(*n), (*v).to_owned())).collect();
    let request = Request { headers, ..request(&url.replace("HOST", &address)) };
    let outcome = Sender::new().http.deliver(request).await;
    assert_eq!(outcome.class, OutcomeClass::Success, "{outcome:?}");
    next(&told).await.replace(&address, "HOST")
}

#[tokio::test]
async fn headers_go_in_order() {
    let headers = [
        ("Accept", "*/*"),
        ("webhook-id", "msg_1"),
        ("X-Custom", "a, b"),
        ("x-custom", "again"),
        ("content-type", "application/json"),
    ];
    assert_eq!(
        head_of("http://HOST/a b/%7Bc%7D?q={x}&r=é#fragment", &headers).await,
        "POST /a%20b/%7Bc%7D?q={x}&r=%C3%A9 HTTP/1.1\r\n\
         host: HOST\r\n\
         content-length: 7\r\n\
         accept: */*\r\n\
         webhook-id: msg_1\r\n\
         x-custom: a, b\r\n\
         x-custom: again\r\n\
         content-type: application/json\r\n\r\n"
    );
}

#[tokio::test]
async fn a_url_without_path_asks_for_the_root() {
    let head = head_of("http://HOST", &[]).await;
    assert_eq!(head, "POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 7\r\n\r\n");
}

#[tokio::test]
async fn credentials_of_the_url_become_a_header() {
    let head = head_of("http://al%40ice:s%3Acret@HOST/x", &[]).await;
    assert_eq!(
        head,
        "POST /x HTTP/1.1\r\nhost: HOST\r\ncontent-length: 7\r\n\
         authorization: Basic YWxAaWNlOnM6Y3JldA==\r\n\r\n"
    );
    let head = head_of("http://alice:secret@HOST/x", &[("Authorization", "Bearer t")]).await;
    assert!(head.contains("authorization: Bearer t\r\n") && !head.contains("Basic"), "{head}");
}

#[tokio::test]
async fn what_cannot_be_said_in_http_is_not_sent() {
    let receiver = Receiver::answering(OK).await;
    let sender = Sender::new();
    for (name, value, says) in [
        ("bad name", "x", "bad name"),
        ("", "x", "not a header name"),
        ("x-split", "a\r\nx-evil: 1", "x-split"),
        ("x-nul", "a\0b", "x-nul"),
        ("Host", "evil", "host"),
        ("Content-Length", "1", "content-length"),
        ("Transfer-Encoding", "chunked", "transfer-encoding"),
        ("connection", "close", "connection"),
    ] {
        let headers = vec![(name.into(), value.to_owned())];
        let outcome = sender.http.deliver(Request { headers, ..request(&receiver.url()) }).await;
        assert_eq!(outcome.class, OutcomeClass::Invalid, "{name}: {outcome:?}");
        assert!(text(&outcome).contains(says), "{name}: {outcome:?}");
    }
    assert_eq!(receiver.accepted(), 0);
}
