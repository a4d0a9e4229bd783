//! Listeners, from both sides. Time is tokio's, paused: it goes on when all wait.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{
    attempt::{MAX_RESPONSE_BYTES, Outcome, OutcomeClass},
    clock::{ManualClock, Timestamp},
    destination::{Destination, Request},
    entropy::SeededEntropy,
    id::ApplicationId,
};
use futures_util::{FutureExt, future::join_all, poll};
use hookwright_destinations::listen::{
    Acknowledgement, Connection, Handed, Listeners, MAX_LISTENERS, Refused,
};
use tokio::time::Instant;
use url::Url;

const APP: ApplicationId = ApplicationId::from_raw([1; 20]);
const DEADLINE: Duration = Duration::from_secs(20);

fn listeners() -> Listeners {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_790_000_000)));
    Listeners::new(clock, Arc::new(SeededEntropy::new(3)))
}

fn url(path: &str) -> Url {
    format!("https://listen.hookwright.invalid/{path}").parse().expect("a URL")
}

type Delivering<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

fn deliver<'a>(listeners: &'a Listeners, body: &'static [u8]) -> Delivering<'a> {
    let (url, body) = (Arc::new(url("mine")), Bytes::from_static(body));
    let headers = vec![("webhook-id".into(), "msg_1".to_owned())];
    listeners.deliver(Request { app: APP, url, headers, body, deadline: DEADLINE })
}

fn connect(listeners: &Listeners) -> Connection {
    listeners.connect(APP, &url("mine")).expect("let in")
}

async fn next(connection: &mut Connection) -> Handed {
    connection.next().await.expect("goes on")
}

fn acknowledge(listeners: &Listeners, id: &str, status: u16, body: &'static [u8]) -> bool {
    let body = Bytes::from_static(body);
    listeners.acknowledge(APP, &url("mine"), id, Acknowledgement { status, body })
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_is_an_answer() {
    let listeners = listeners();
    let mut connection = connect(&listeners);
    for (status, class) in [
        (200, OutcomeClass::Success),
        (204, OutcomeClass::Success),
        (301, OutcomeClass::Status),
        (502, OutcomeClass::Status),
    ] {
        let listening = async {
            let handed = next(&mut connection).await;
            assert_eq!((&handed.request.body[..], handed.timeout), (&b"{}"[..], DEADLINE));
            assert!(acknowledge(&listeners, &handed.id, status, b"thanks"));
            assert!(!acknowledge(&listeners, &handed.id, status, b"once more"));
        };
        let (outcome, ()) = tokio::join!(deliver(&listeners, b"{}"), listening);
        assert_eq!((outcome.class, outcome.status_code), (class, Some(status)));
        assert_eq!(&outcome.response[..], b"thanks");
    }
    let listening = async {
        let handed = next(&mut connection).await;
        for id in ["", "x", "00000000000000000000000000000001"] {
            assert!(!acknowledge(&listeners, id, 200, b""), "{id}");
        }
        let with = || Acknowledgement { status: 200, body: Bytes::new() };
        let other = ApplicationId::from_raw([2; 20]);
        assert!(!listeners.acknowledge(other, &url("mine"), &handed.id, with()));
        assert!(!listeners.acknowledge(APP, &url("other"), &handed.id, with()));
        acknowledge(&listeners, &handed.id, 200, &[b'x'; MAX_RESPONSE_BYTES + 1]);
    };
    let (outcome, ()) = tokio::join!(deliver(&listeners, b"{}"), listening);
    assert_eq!(outcome.response.len(), MAX_RESPONSE_BYTES);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_waits_for_its_listener_but_not_for_ever() {
    let listeners = listeners();
    let begun = Instant::now();
    let outcome = deliver(&listeners, b"early").await;
    assert_eq!((outcome.class, outcome.timed_out), (OutcomeClass::Connect, false));
    assert_eq!(begun.elapsed(), DEADLINE / 2);

    let mut waits = deliver(&listeners, b"in time");
    assert!(poll!(&mut waits).is_pending());
    // Somebody else's listener, and another one of the same application, get nothing of it.
    let other = ApplicationId::from_raw([2; 20]);
    let mut strangers = [
        listeners.connect(other, &url("mine")).expect("let in"),
        listeners.connect(APP, &url("other")).expect("let in"),
    ];
    for stranger in &mut strangers {
        assert!(stranger.next().now_or_never().is_none());
    }
    let handed = next(&mut connect(&listeners)).await;
    assert_eq!(&handed.request.body[..], b"in time");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_acknowledged_is_out_of_time() {
    let listeners = listeners();
    let mut connection = connect(&listeners);
    let begun = Instant::now();
    let (outcome, handed) = tokio::join!(deliver(&listeners, b"{}"), next(&mut connection));
    assert_eq!((outcome.class, outcome.timed_out), (OutcomeClass::Ambiguous, true));
    assert_eq!(begun.elapsed(), DEADLINE);
    assert!(!acknowledge(&listeners, &handed.id, 200, b"late"));
}

#[tokio::test(start_paused = true)]
async fn what_was_handed_out_ends_with_its_connection() {
    let listeners = listeners();
    let mut first = connect(&listeners);
    let mut delivering = deliver(&listeners, b"1");
    assert!(poll!(&mut delivering).is_pending());
    let handed = next(&mut first).await;
    drop(first);
    let outcome = delivering.await;
    assert_eq!((outcome.class, outcome.timed_out), (OutcomeClass::Ambiguous, false));
    assert!(!acknowledge(&listeners, &handed.id, 200, b""));

    // A newer connection takes over: the older one ends, with what it was given; what waited goes on.
    let mut older = connect(&listeners);
    let (mut given, mut waits) = (deliver(&listeners, b"2"), deliver(&listeners, b"3"));
    assert!(poll!(&mut given).is_pending());
    next(&mut older).await;
    assert!(poll!(&mut waits).is_pending());
    let mut newer = connect(&listeners);
    assert_eq!(given.await.class, OutcomeClass::Ambiguous);
    assert!(older.next().await.is_none());
    drop(older);
    let handed = next(&mut newer).await;
    assert!(acknowledge(&listeners, &handed.id, 200, b""));
    assert_eq!(waits.await.class, OutcomeClass::Success);
}

#[tokio::test(start_paused = true)]
async fn so_much_at_a_time_and_no_more() {
    let listeners = listeners();
    let mut connection = connect(&listeners);
    let mut delivering: Vec<_> = (0..64 + 256 + 1).map(|_| deliver(&listeners, b"{}")).collect();
    // All wait; as many as may are handed out, which makes room.
    for delivery in &mut delivering[..64] {
        assert!(poll!(delivery).is_pending());
    }
    let mut given = Vec::new();
    while let Some(handed) = connection.next().now_or_never() {
        given.push(handed.expect("goes on"));
    }
    assert_eq!(given.len(), 64);
    for delivery in &mut delivering[64..64 + 256] {
        assert!(poll!(delivery).is_pending());
    }
    assert!(connection.next().now_or_never().is_none(), "it has not acknowledged any");
    let refused = delivering.pop().expect("the last").await;
    assert_eq!(refused.class, OutcomeClass::Connect);
    assert!(acknowledge(&listeners, &given[0].id, 200, b""));
    assert!(connection.next().now_or_never().is_some());
    let outcomes = join_all(delivering).await;
    let of = |class| outcomes.iter().filter(|outcome| outcome.class == class).count();
    assert_eq!(
        [OutcomeClass::Success, OutcomeClass::Ambiguous, OutcomeClass::Timeout].map(of),
        [1, 64, 255]
    );
}

#[tokio::test(start_paused = true)]
async fn large_bodies_go_a_few_at_a_time() {
    const LARGE: &[u8] = &[b'x'; 5 * 1024 * 1024];
    let listeners = listeners();
    let mut connection = connect(&listeners);
    let (mut one, mut two) = (deliver(&listeners, LARGE), deliver(&listeners, LARGE));
    assert!(poll!(&mut one).is_pending() && poll!(&mut two).is_pending());
    let handed = next(&mut connection).await;
    assert!(connection.next().now_or_never().is_none());
    assert!(acknowledge(&listeners, &handed.id, 200, b""));
    assert!(connection.next().now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn the_number_of_listeners_is_bounded() {
    let listeners = listeners();
    let mut connected: Vec<_> = (0..MAX_LISTENERS)
        .map(|n| listeners.connect(APP, &url(&n.to_string())).expect("let in"))
        .collect();
    assert_eq!(listeners.connect(APP, &url("more")).err(), Some(Refused::Full));
    let again = listeners.connect(APP, &url("7")).expect("in its own place");
    connected.push(again);
    connected.remove(7);
    assert_eq!(listeners.connect(APP, &url("more")).err(), Some(Refused::Full));
    connected.pop();
    assert!(listeners.connect(APP, &url("more")).is_ok());
}

#[tokio::test(start_paused = true)]
async fn closing_ends_everything_at_once() {
    let listeners = listeners();
    let mut connection = connect(&listeners);
    let (mut given, mut waits) = (deliver(&listeners, b"1"), deliver(&listeners, b"2"));
    assert!(poll!(&mut given).is_pending());
    next(&mut connection).await;
    assert!(poll!(&mut waits).is_pending());
    let begun = Instant::now();
    listeners.close();
    assert!(connection.next().await.is_none());
    assert_eq!(given.await.class, OutcomeClass::Ambiguous);
    assert_eq!(waits.await.class, OutcomeClass::Connect);
    assert_eq!(deliver(&listeners, b"3").await.class, OutcomeClass::Connect);
    assert_eq!(listeners.connect(APP, &url("mine")).err(), Some(Refused::Closed));
    assert_eq!(begun.elapsed(), Duration::ZERO);
}
