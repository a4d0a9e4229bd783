//! Which requests share a connection, and which never do.

use std::time::Duration;

use domain::{
    attempt::OutcomeClass,
    destination::{Destination, Request},
    id::ApplicationId,
};
use hookwright_destinations::http::HttpOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

/// Answers, and tells of each connection's end.
async fn telling() -> (Receiver, tokio::sync::Mutex<tokio::sync::mpsc::UnboundedReceiver<usize>>) {
    let (tell, told) = events();
    let receiver = Receiver::start(move |mut stream, number| {
        let tell = tell.clone();
        async move {
            while read_request(&mut stream).await.is_some() {
                stream.write_all(OK).await.expect("somebody who reads");
            }
            let _ = tell.send(number);
        }
    })
    .await;
    (receiver, told)
}

async fn delivers(sender: &Sender, receiver: &Receiver) {
    let outcome = sender.post(&receiver.url()).await;
    assert_eq!(outcome.class, OutcomeClass::Success, "{outcome:?}");
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let receiver = Receiver::answering(OK).await;
    let sender = Sender::new();
    for _ in 0..5 {
        delivers(&sender, &receiver).await;
    }
    assert_eq!(receiver.accepted(), 1);
}

#[tokio::test]
async fn connections_that_hang_keep_nobody_from_making_more() {
    // More than may be new at a time: they count as accepted after a moment.
    let receiver = Receiver::start(|mut stream, number| async move {
        while read_request(&mut stream).await.is_some() {
            if number <= 200 {
                std::future::pending::<()>().await;
            }
            stream.write_all(OK).await.expect("somebody who reads");
        }
    })
    .await;
    let sender = Sender::new();
    let url = receiver.url();
    let hanging = futures_util::future::join_all((0..200).map(|_| sender.post_in_vain(&url)));
    let healthy = async {
        while receiver.accepted() < 200 {
            tokio::task::yield_now().await;
        }
        delivers(&sender, &receiver).await;
    };
    tokio::join!(hanging, healthy);
}

#[tokio::test]
async fn even_after_a_failure_and_a_body_longer_than_what_is_kept() {
    let long = "x".repeat(300_000);
    let answer = format!("HTTP/1.1 500 No\r\ncontent-length: {}\r\n\r\n{long}", long.len());
    let receiver = Receiver::answering(answer).await;
    let sender = Sender::new();
    for _ in 0..3 {
        assert_eq!(sender.post(&receiver.url()).await.status_code, Some(500));
    }
    assert_eq!(receiver.accepted(), 1);
}

#[tokio::test]
async fn not_if_the_receiver_wants_it_closed() {
    let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let receiver = Receiver::answering(answer).await;
    let sender = Sender::new();
    delivers(&sender, &receiver).await;
    delivers(&sender, &receiver).await;
    assert_eq!(receiver.accepted(), 2);
}

#[tokio::test]
async fn not_if_the_receiver_has_closed_it() {
    let (tell, closed) = events();
    let receiver = Receiver::start(move |mut stream, number| {
        let tell = tell.clone();
        async move {
            read_request(&mut stream).await;
            stream.write_all(OK).await.expect("somebody who reads");
            drop(stream);
            let _ = tell.send(number);
        }
    })
    .await;
    let sender = Sender::new();
    for number in 1..=10 {
        delivers(&sender, &receiver).await;
        assert_eq!(next(&closed).await, number);
        // Lets the runtime hear of it.
        tokio::task::yield_now().await;
    }
    assert_eq!(receiver.accepted(), 10);
}

#[tokio::test]
async fn not_if_the_receiver_speaks_out_of_turn() {
    let twice = [OK, OK].concat();
    let receiver = Receiver::answering(twice).await;
    let sender = Sender::new();
    for _ in 0..3 {
        delivers(&sender, &receiver).await;
    }
    assert_eq!(receiver.accepted(), 3, "no answer was taken for that to another request");
}

#[tokio::test]
async fn never_across_applications() {
    let receiver = Receiver::answering(OK).await;
    let sender = Sender::new();
    for app in [1, 2, 1, 2] {
        let app = ApplicationId::from_raw([app; 20]);
        sender.http.deliver(Request { app, ..request(&receiver.url()) }).await;
    }
    assert_eq!(receiver.accepted(), 2);
}

#[tokio::test]
async fn not_beyond_its_lifetime() {
    let (receiver, closed) = telling().await;
    let sender = Sender::new();
    delivers(&sender, &receiver).await;
    // Used every 50 s, so that it never idles for long.
    for _ in 0..5 {
        sender.clock.advance(Duration::from_secs(50));
        sender.http.sweep();
        delivers(&sender, &receiver).await;
    }
    assert_eq!(receiver.accepted(), 1);
    sender.clock.advance(Duration::from_secs(50));
    delivers(&sender, &receiver).await;
    assert_eq!(next(&closed).await, 1);
    assert_eq!(receiver.accepted(), 2);
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time() {
    let (receiver, closed) = telling().await;
    let sender = Sender::new();
    delivers(&sender, &receiver).await;
    sender.clock.advance(Duration::from_secs(59));
    sender.http.sweep();
    delivers(&sender, &receiver).await;
    assert_eq!(receiver.accepted(), 1);
    sender.clock.advance(Duration::from_secs(60));
    sender.http.sweep();
    assert_eq!(next(&closed).await, 1);
}

#[tokio::test]
async fn what_is_forgotten_is_closed() {
    let (receiver, closed) = telling().await;
    let (other, _) = telling().await;
    let sender = Sender::new();
    delivers(&sender, &receiver).await;
    delivers(&sender, &other).await;
    sender.forget(&format!("http://{}/another/path", receiver.address));
    assert_eq!(next(&closed).await, 1);
    delivers(&sender, &receiver).await;
    delivers(&sender, &receiver).await;
    delivers(&sender, &other).await;
    assert_eq!((receiver.accepted(), other.accepted()), (2, 1));
}

#[tokio::test]
async fn a_connection_in_use_when_forgotten_is_not_kept() {
    let (tell, told) = events();
    let go = std::sync::Arc::new(tokio::sync::Notify::new());
    let wait = go.clone();
    let receiver = Receiver::start(move |mut stream, number| {
        let (tell, wait) = (tell.clone(), wait.clone());
        async move {
            while read_request(&mut stream).await.is_some() {
                let _ = tell.send(number);
                wait.notified().await;
                stream.write_all(OK).await.expect("somebody who reads");
            }
        }
    })
    .await;
    let sender = Sender::new();
    let forget = async {
        next(&told).await;
        sender.forget(&receiver.url());
        go.notify_one();
    };
    tokio::join!(delivers(&sender, &receiver), forget);
    go.notify_one();
    delivers(&sender, &receiver).await;
    assert_eq!(receiver.accepted(), 2);
}

#[tokio::test]
async fn connections_in_use_are_bounded() {
    let go = std::sync::Arc::new(tokio::sync::Notify::new());
    let (wait, (tell, told)) = (go.clone(), events());
    let receiver = Receiver::start(move |mut stream, number| {
        let (wait, tell) = (wait.clone(), tell.clone());
        async move {
            while read_request(&mut stream).await.is_some() {
                let _ = tell.send(number);
                wait.notified().await;
                stream.write_all(OK).await.expect("somebody who reads");
            }
        }
    })
    .await;
    let sender = Sender::with(HttpOptions { max_connections: 1, ..local() }, Names::default());
    let second = async {
        next(&told).await;
        // The only connection is in use: this one waits in vain.
        let outcome = sender.post_in_vain(&receiver.url()).await;
        assert_eq!(outcome.class, OutcomeClass::Timeout);
        assert!(outcome.timed_out);
        assert!(text(&outcome).contains("all are in use"), "{outcome:?}");
        go.notify_one();
    };
    tokio::join!(delivers(&sender, &receiver), second);
    // And this one gets it.
    go.notify_one();
    delivers(&sender, &receiver).await;
    assert_eq!(receiver.accepted(), 1);
}

/// Two requests at a time, each round on as many connections.
async fn rounds_of_two(sender: &Sender, a: &Receiver, b: &Receiver) {
    for _ in 0..2 {
        tokio::join!(delivers(sender, a), delivers(sender, b));
    }
}

#[tokio::test]
async fn idle_connections_are_bounded_per_host() {
    let receiver = Receiver::answering(OK).await;
    for (max_idle_per_host, connections) in [(0, 4), (1, 3), (2, 2)] {
        let before = receiver.accepted();
        let options = HttpOptions { max_idle_per_host, ..local() };
        rounds_of_two(&Sender::with(options, Names::default()), &receiver, &receiver).await;
        assert_eq!(receiver.accepted() - before, connections, "{max_idle_per_host} idle");
    }
}

#[tokio::test]
async fn idle_connections_are_bounded_in_total_and_the_oldest_goes() {
    let (a, a_closed) = telling().await;
    let (b, _) = telling().await;
    let sender = Sender::with(HttpOptions { max_idle_total: 1, ..local() }, Names::default());
    delivers(&sender, &a).await;
    delivers(&sender, &b).await;
    assert_eq!(next(&a_closed).await, 1);
    delivers(&sender, &b).await;
    assert_eq!(b.accepted(), 1);
    delivers(&sender, &a).await;
    assert_eq!(a.accepted(), 2);
}

#[tokio::test]
async fn an_abandoned_exchange_closes_its_connection() {
    let (tell, told) = events();
    let receiver = Receiver::start(move |mut stream, _| {
        let tell = tell.clone();
        async move {
            read_request(&mut stream).await;
            let _ = tell.send("asked");
            let _ = stream.read(&mut [0]).await;
            let _ = tell.send("closed");
        }
    })
    .await;
    let sender = Sender::new();
    let url = receiver.url();
    tokio::select! {
        _ = sender.post(&url) => panic!("there is no answer"),
        event = next(&told) => assert_eq!(event, "asked"),
    }
    assert_eq!(next(&told).await, "closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_a_time_on_several_threads() {
    const IN_FLIGHT: usize = 50;
    let receiver = std::sync::Arc::new(Receiver::answering(OK).await);
    let sender = std::sync::Arc::new(Sender::new());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (receiver, sender) = (receiver.clone(), sender.clone());
        tasks.spawn(async move {
            for _ in 0..40 {
                delivers(&sender, &receiver).await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("every delivery succeeds");
    }
    assert!(receiver.accepted() <= IN_FLIGHT, "{} connections", receiver.accepted());
}
