//! The proxy, in front of a server that echoes and in front of PostgreSQL.
#![expect(clippy::disallowed_methods, reason = "tests of real time")]
use hookwright_postgres_cluster::{Cluster, Partition, Proxy, psql};
use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

/// Never dropped: the watchdog's work.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(Cluster::start);

/// A server that answers each chunk with its mark and the chunk, and closes when its client does.
fn echo(mark: u8) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    let answer = [&[mark], &buffer[..length]].concat();
                    if stream.write_all(&answer).is_err() {
                        return;
                    }
                }
                let _ = stream.write_all(b"bye");
            });
        }
    });
    addr
}

fn dial(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.addr()).expect("the proxy accepts");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket");
    stream
}

fn ask(stream: &mut TcpStream, question: &[u8]) -> Option<Vec<u8>> {
    stream.write_all(question).ok()?;
    hear(stream)
}

fn hear(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut buffer = [0; 4096];
    let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
    Some(buffer[..length].to_vec())
}

/// Nothing comes, and the connection is open.
fn is_silent(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a socket");
    let read = stream.read(&mut [0; 1]);
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket");
    read.is_err_and(|e| e.kind() == ErrorKind::WouldBlock)
}

#[test]
fn it_passes_bytes_and_half_closes() {
    let proxy = Proxy::start(echo(b'a'));
    let mut client = dial(&proxy);
    assert_eq!(ask(&mut client, b"1").as_deref(), Some(&b"a1"[..]));
    client.shutdown(std::net::Shutdown::Write).expect("a socket");
    assert_eq!(hear(&mut client).as_deref(), Some(&b"bye"[..]));
    assert_eq!(hear(&mut client), None);
}

#[test]
fn a_cut_ends_what_is_open_and_nothing_else() {
    let proxy = Proxy::start(echo(b'a'));
    let mut old = dial(&proxy);
    assert!(ask(&mut old, b"1").is_some());
    proxy.cut();
    assert_eq!(ask(&mut old, b"2"), None);
    assert!(ask(&mut dial(&proxy), b"3").is_some());

    let mut old = dial(&proxy);
    assert!(ask(&mut old, b"4").is_some());
    proxy.retarget(echo(b'b'));
    assert_eq!(ask(&mut old, b"5"), None);
    assert_eq!(ask(&mut dial(&proxy), b"6").as_deref(), Some(&b"b6"[..]));
}

#[test]
fn a_partition_holds_everything_back_until_it_heals() {
    let proxy = Proxy::start(echo(b'a'));
    let mut old = dial(&proxy);
    assert!(ask(&mut old, b"1").is_some());

    proxy.block(Partition::Silent);
    let mut new = dial(&proxy);
    old.write_all(b"2").expect("the kernel takes it");
    new.write_all(b"3").expect("the kernel takes it");
    assert!(is_silent(&mut old) && is_silent(&mut new));
    proxy.heal();
    assert_eq!(hear(&mut old).as_deref(), Some(&b"a2"[..]));
    assert_eq!(hear(&mut new).as_deref(), Some(&b"a3"[..]));

    proxy.block(Partition::Refused);
    let refused = TcpStream::connect(proxy.addr()).expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    old.write_all(b"4").expect("the kernel takes it");
    assert!(is_silent(&mut old));
    proxy.heal();
    assert_eq!(hear(&mut old).as_deref(), Some(&b"a4"[..]));
    assert!(ask(&mut dial(&proxy), b"5").is_some());

    // A partition does not hold a cut, nor the drop, up.
    proxy.block(Partition::Silent);
    old.write_all(b"6").expect("the kernel takes it");
    proxy.cut();
    assert_eq!(hear(&mut old), None);
    let mut last = dial(&proxy);
    let began = Instant::now();
    drop(proxy);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(ask(&mut last, b"7"), None);
}

#[test]
fn a_delay_holds_each_direction() {
    let proxy = Proxy::start(echo(b'a'));
    let mut client = dial(&proxy);
    assert!(ask(&mut client, b"1").is_some());
    let round = |client: &mut TcpStream| {
        let began = Instant::now();
        assert!(ask(client, b"2").is_some());
        began.elapsed()
    };
    proxy.delay(Duration::from_millis(100));
    assert!(round(&mut client) >= Duration::from_millis(200));
    proxy.delay(Duration::ZERO);
    assert!(round(&mut client) < Duration::from_millis(100));
}

#[test]
fn a_dead_server_is_a_closed_connection() {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let proxy = Proxy::start(nobody);
    assert_eq!(ask(&mut dial(&proxy), b"1"), None);
}

#[test]
fn urls_lead_through_it() {
    let proxy = Proxy::start(CLUSTER.addr());
    let here = proxy.addr();
    let led = |url: &str| proxy.url(url);
    assert_eq!(
        led("postgres://u:p@[::1]:1/db?a=b@c/d"),
        format!("postgres://u:p@{here}/db?a=b@c/d")
    );
    assert_eq!(led("postgres://host?a=b"), format!("postgres://{here}?a=b"));
    assert_eq!(led("postgres://u@host:5"), format!("postgres://u@{here}"));
    assert_eq!(psql(&led(&CLUSTER.url("postgres")), "SELECT 1").as_deref(), Ok("1"));
}

#[test]
fn a_lost_reply_is_of_something_done() {
    let proxy = Proxy::start(CLUSTER.addr());
    let url = proxy.url(&CLUSTER.create_database("lost"));
    psql(&url, "CREATE TABLE t (n int)").expect("nothing is lost yet");
    proxy.lose_reply_of("INSERT", 2);
    for n in 1..=2 {
        let said = psql(&url, &format!("INSERT INTO t SELECT {n} FROM pg_sleep(0.1)"));
        assert!(said.is_err_and(|e| e.contains("connection")));
        assert_eq!(proxy.lost(), n);
        assert_eq!(CLUSTER.sql("lost", "SELECT max(n) FROM t"), n.to_string());
    }
    psql(&url, "INSERT INTO t VALUES (3)").expect("twice was all");
    assert_eq!(CLUSTER.sql("lost", "SELECT count(*) FROM t"), "3");

    proxy.lose_reply_of("INSERT", 1);
    proxy.lose_reply_of("INSERT", 0);
    psql(&url, "INSERT INTO t VALUES (4)").expect("taken back");
    assert_eq!(proxy.lost(), 2);
}

#[test]
fn a_reply_counts_as_lost_only_when_all_was_done() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let proxy = Proxy::start(listener.local_addr().expect("bound"));
    let done = AtomicBool::new(false);
    proxy.lose_reply_of("COMMIT", 1);
    thread::scope(|scope| {
        // As a database does with statements sent together: the first is answered before the
        // second, which has the needle, is done.
        scope.spawn(|| {
            let (mut server, _) = listener.accept().expect("the proxy dials");
            assert_eq!(hear(&mut server).as_deref(), Some(&b"INSERT; COMMIT"[..]));
            server.write_all(b"inserted").expect("the proxy reads");
            thread::sleep(Duration::from_millis(200));
            done.store(true, SeqCst);
            server.write_all(b"committed").expect("the proxy reads");
            assert_eq!(hear(&mut server), None);
        });
        assert_eq!(ask(&mut dial(&proxy), b"INSERT; COMMIT"), None);
        assert!(done.load(SeqCst), "the client is told too early");
        assert_eq!(proxy.lost(), 1);
    });
}

#[test]
fn a_cut_and_a_partition_reach_psql() {
    let proxy = Proxy::start(CLUSTER.addr());
    let url = proxy.url(&CLUSTER.url("postgres"));
    let client = |sql: &'static str| {
        let url = url.clone();
        thread::spawn(move || psql(&url, sql))
    };
    let sleeping = client("SELECT pg_sleep(60) /* to be cut */");
    wait_for_sleeper();
    proxy.cut();
    assert!(sleeping.join().expect("psql runs").is_err());

    proxy.block(Partition::Silent);
    let waiting = client("SELECT 2");
    thread::sleep(Duration::from_millis(300));
    assert!(!waiting.is_finished(), "nothing passes");
    proxy.heal();
    assert_eq!(waiting.join().expect("psql runs").as_deref(), Ok("2"));
    proxy.block(Partition::Refused);
    assert!(psql(&url, "SELECT 3").expect_err("refused").contains("Connection refused"));
}

fn wait_for_sleeper() {
    let asleep = "SELECT count(*) FROM pg_stat_activity \
                  WHERE wait_event = 'PgSleep' AND query LIKE '%to be cut%'";
    let end = Instant::now() + Duration::from_secs(10);
    while CLUSTER.sql("postgres", asleep) != "1" {
        assert!(Instant::now() < end, "nobody sleeps");
    }
}
