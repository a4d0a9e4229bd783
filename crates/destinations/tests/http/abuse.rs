//! Receivers that misbehave: each attempt ends in time, in the right class, in plain words.

use std::time::Duration;

use domain::attempt::{MAX_RESPONSE_BYTES, OutcomeClass, OutcomeClass::*};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

/// What a receiver sends, before it closes the connection.
struct Case {
    answer: &'static [u8],
    class: OutcomeClass,
    status: Option<u16>,
    says: &'static str,
}

const fn case(
    answer: &'static [u8],
    class: OutcomeClass,
    status: Option<u16>,
    says: &'static str,
) -> Case {
    Case { answer, class, status, says }
}

#[tokio::test]
async fn answers_that_end() {
    let sender = Sender::new();
    for Case { answer, class, status, says } in [
        // What is fine.
        case(b"HTTP/1.1 204 No Content\r\n\r\n", Success, Some(204), ""),
        case(b"HTTP/1.0 200 OK\r\n\r\nuntil the end", Success, Some(200), "until the end"),
        case(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;ext=1\r\nok\r\n0\r\n\r\n",
            Success,
            Some(200),
            "ok",
        ),
        case(
            b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            Success,
            Some(200),
            "",
        ),
        case(b"HTTP/1.1 500 Oh\r\ncontent-length: 3\r\n\r\nno!", Status, Some(500), "no!"),
        // Statuses that another client would act on.
        case(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", Status, Some(101), ""),
        case(b"HTTP/1.1 401 No\r\nwww-authenticate: Basic\r\n\r\n", Status, Some(401), ""),
        case(b"HTTP/1.1 999 ?\r\ncontent-length: 0\r\n\r\n", Status, Some(999), ""),
        // No answer.
        case(b"", Ambiguous, None, "closed the connection without a whole answer"),
        case(b"HTTP/1.1 200 O", Ambiguous, None, "closed the connection without a whole answer"),
        // A body that breaks off: a 2xx is in doubt, another status counts.
        case(
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut",
            Ambiguous,
            Some(200),
            "answered 200 OK, but the body of the answer broke off",
        ),
        case(b"HTTP/1.1 500 Oh\r\ncontent-length: 9\r\n\r\ncut", Status, Some(500), "cut"),
        case(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n",
            Protocol,
            Some(200),
            "the body of the answer broke off",
        ),
        case(
            b"HTTP/1.1 400 Bad\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n",
            Status,
            Some(400),
            "ok",
        ),
        // Not HTTP/1.1.
        case(b"SSH-2.0-OpenSSH_9.2\r\n", Protocol, None, "not HTTP/1.1"),
        case(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", Protocol, None, "not HTTP/1.1"),
        case(b"HTTP/1.1 20 OK\r\n\r\n", Protocol, None, "not HTTP/1.1"),
        case(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", Protocol, None, "not HTTP/1.1"),
        case(
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
            Protocol,
            None,
            "not HTTP/1.1",
        ),
        case(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", Protocol, None, "not HTTP/1.1"),
    ] {
        let receiver = Receiver::start(move |mut stream, _| async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(answer).await;
        })
        .await;
        let outcome = sender.post(&receiver.url()).await;
        let shown = String::from_utf8_lossy(answer);
        assert_eq!((outcome.class, outcome.status_code), (class, status), "{shown}: {outcome:?}");
        assert!(text(&outcome).contains(says), "{shown}: {outcome:?}");
        assert!(!outcome.timed_out, "{shown}");
        assert_eq!(receiver.accepted(), 1, "{shown}: sent once");
    }
}

/// Sends `first`, then `again` for as long as somebody reads it.
async fn endless(first: &'static [u8], again: &'static [u8]) -> Receiver {
    Receiver::start(move |mut stream, _| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(first).await;
        while stream.write_all(again).await.is_ok() {}
    })
    .await
}

#[tokio::test]
async fn answers_without_end() {
    let sender = Sender::new();
    const CHUNK: &[u8] = b"4\r\nspam\r\n";
    for Case { answer, class, status, says } in [
        case(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", Success, Some(200), "spam"),
        case(b"HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n", Status, Some(503), "spam"),
        case(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", Success, Some(200), "spam"),
        case(b"HTTP/1.1 200 OK\r\n\r\n", Success, Some(200), "spam"),
    ] {
        let receiver = endless(answer, CHUNK).await;
        let outcome = sender.post(&receiver.url()).await;
        assert_eq!((outcome.class, outcome.status_code), (class, status), "{outcome:?}");
        assert!(text(&outcome).contains(says));
        assert_eq!(outcome.response.len(), MAX_RESPONSE_BYTES);
        // A connection with the rest of an answer on it is not used again.
        sender.post(&receiver.url()).await;
        assert_eq!(receiver.accepted(), 2);
    }
    for (first, again) in [
        ("HTTP/1.1 200 OK\r\n", "a: 123456789012345678901234567890123456789012345678901234567\r\n"),
        ("HTTP/1.1 200 OK\r\na: ", "1234567890"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("", "HTTP/1.1 102 Processing\r\nx: 1\r\n\r\n"),
        ("", "garbage without a line break "),
        ("HTTP/1.1 200 OK\r\n", "a:1\r\n"),
    ] {
        let receiver = endless(first.as_bytes(), again.as_bytes()).await;
        let outcome = sender.post(&receiver.url()).await;
        assert_eq!((outcome.class, outcome.status_code), (Protocol, None), "{again}: {outcome:?}");
    }
    // A chunk whose extension never ends is no data.
    let first = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4;x=";
    let receiver = endless(first, b"1234567890").await;
    let outcome = sender.post(&receiver.url()).await;
    assert_eq!((outcome.class, outcome.status_code), (Protocol, Some(200)), "{outcome:?}");
}

#[tokio::test]
async fn answers_that_come_too_late() {
    let sender = Sender::new();
    for Case { answer, class, status, says } in [
        case(b"", Ambiguous, None, "no answer within 250ms"),
        case(b"HTTP/1.1 200 OK\r\ncontent-le", Ambiguous, None, "no answer within 250ms"),
        case(
            b"HTTP/1.1 201 Created\r\ncontent-length: 9\r\n\r\ncut",
            Ambiguous,
            Some(201),
            "answered 201 Created, but the body of the answer did not end within 250ms",
        ),
        case(b"HTTP/1.1 410 Gone\r\ncontent-length: 9\r\n\r\ncut", Status, Some(410), "cut"),
    ] {
        let (tell, closed) = events();
        let receiver = Receiver::start(move |mut stream, _| {
            let tell = tell.clone();
            async move {
                read_request(&mut stream).await;
                let _ = stream.write_all(answer).await;
                let _ = tell.send(stream.read(&mut [0]).await.unwrap_or(0));
            }
        })
        .await;
        let outcome = sender.post_in_vain(&receiver.url()).await;
        assert_eq!((outcome.class, outcome.status_code), (class, status), "{outcome:?}");
        assert_eq!(outcome.timed_out, class == Ambiguous);
        assert!(text(&outcome).contains(says), "{outcome:?}");
        assert_eq!(next(&closed).await, 0, "the connection is closed, not kept");
    }
}

#[tokio::test]
async fn a_drip_does_not_extend_the_deadline() {
    let sender = Sender::new();
    for first in ["HTTP/1.1 200 OK\r\nx: ", "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n"] {
        let receiver = Receiver::start(move |mut stream, _| async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(first.as_bytes()).await;
            let mut drip = tokio::time::interval(Duration::from_millis(20));
            while stream.write_all(b"x").await.is_ok() {
                drip.tick().await;
            }
        })
        .await;
        let outcome = sender.post_in_vain(&receiver.url()).await;
        assert_eq!(outcome.class, Ambiguous);
        assert!(outcome.timed_out);
    }
}

#[tokio::test]
async fn a_reset_is_ambiguous() {
    let receiver = Receiver::start(|mut stream, _| async move {
        read_request(&mut stream).await;
        stream.set_zero_linger().expect("a socket that can be reset");
    })
    .await;
    let outcome = Sender::new().post(&receiver.url()).await;
    assert_eq!((outcome.class, outcome.status_code), (Ambiguous, None));
    assert_eq!(text(&outcome), "the receiver reset the connection without an answer");
}

#[tokio::test]
async fn an_early_answer_counts() {
    let (tell, told) = events();
    let receiver = Receiver::start(move |mut stream, _| {
        let tell = tell.clone();
        async move {
            let head = read_head(&mut stream).await;
            let answer = b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig";
            stream.write_all(answer).await.expect("somebody who reads");
            // Neither reads on nor closes, until the other side does.
            let _ = tell.send(head);
            std::future::pending::<()>().await;
        }
    })
    .await;
    let sender = Sender::new();
    let body = vec![b'x'; 32 * 1024 * 1024].into();
    let request = domain::destination::Request { body, ..request(&receiver.url()) };
    let outcome = domain::destination::Destination::deliver(&sender.http, request).await;
    assert_eq!((outcome.class, outcome.status_code), (Status, Some(413)), "{outcome:?}");
    assert_eq!(text(&outcome), "big");
    assert!(next(&told).await.is_some());
}

#[tokio::test]
async fn bodies_are_kept_as_they_are() {
    let sender = Sender::new();
    for (encoding, body) in
        [("identity", &b"\xff\xfe\x00\xc3("[..]), ("gzip", b"\x1f\x8b\x08\x00bomb")]
    {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let receiver = Receiver::answering([head.as_bytes(), body].concat()).await;
        let outcome = sender.post(&receiver.url()).await;
        assert_eq!((outcome.class, &outcome.response[..]), (Success, body));
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let target = Receiver::answering(OK).await;
    for status in [301, 302, 303, 307, 308] {
        let location = target.url();
        let answer =
            format!("HTTP/1.1 {status} Go\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        let receiver = Receiver::answering(answer).await;
        let outcome = Sender::new().post(&receiver.url()).await;
        assert_eq!((outcome.class, outcome.status_code), (Status, Some(status)));
    }
    assert_eq!(target.accepted(), 0);
}

#[tokio::test]
async fn retry_after_is_read() {
    for (value, secs) in
        [("17", Some(17)), ("Mon, 01 Jun 2026 00:01:00 GMT", Some(60)), ("?", None)]
    {
        let answer =
            format!("HTTP/1.1 429 Slow\r\nretry-after: {value}\r\ncontent-length: 0\r\n\r\n");
        let receiver = Receiver::answering(answer).await;
        let outcome = Sender::new().post(&receiver.url()).await;
        assert_eq!(outcome.status_code, Some(429));
        assert_eq!(outcome.retry_after, secs.map(Duration::from_secs), "{value}");
    }
}

#[tokio::test]
async fn a_bad_receiver_harms_only_itself() {
    let hanging = Receiver::start(|mut stream, _| async move {
        read_request(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let spamming = endless(b"HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 4096]).await;
    let healthy = Receiver::answering(OK).await;
    let sender = Sender::new();
    let (hanging_url, spamming_url, healthy_url) = (hanging.url(), spamming.url(), healthy.url());
    let bad = async {
        tokio::join!(sender.post_in_vain(&hanging_url), sender.post(&spamming_url));
    };
    let good = async {
        let start = std::time::Instant::now();
        for _ in 0..20 {
            assert_eq!(sender.post(&healthy_url).await.class, Success);
        }
        start.elapsed()
    };
    let ((), took) = tokio::join!(bad, good);
    assert!(took < SHORT, "20 deliveries took {took:?}: not behind the hanging one");
    assert_eq!(healthy.accepted(), 1);
}
