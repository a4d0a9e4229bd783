//! Clusters: what is committed survives, and nothing is left behind.
#![expect(clippy::disallowed_methods, reason = "tests of real time")]
use hookwright_postgres_cluster::{Cluster, StopMode, psql};
use std::{
    env,
    net::TcpStream,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

#[test]
fn committed_rows_survive_kill9_and_every_way_to_stop() {
    let cluster = Cluster::start_with(&[("work_mem", "7MB"), ("max_connections", "33")]);
    assert_eq!(cluster.sql("postgres", "SHOW work_mem"), "7MB");
    assert_eq!(cluster.sql("postgres", "SHOW max_connections"), "33", "ours are the weaker");
    assert_eq!(cluster.sql("postgres", "SHOW fsync"), "on");

    let url = cluster.create_database("odd \"name's");
    assert!(url.ends_with(&format!("@127.0.0.1:{}/odd \"name's", cluster.port())));
    let failed = cluster.try_sql("odd \"name's", "SELECT nothing").expect_err("no such column");
    assert!(failed.contains("column \"nothing\" does not exist"), "{failed}");

    let url = cluster.create_database("rows");
    psql(&url, "CREATE TABLE t (n int); INSERT INTO t VALUES (0)").expect("by password");
    let wrong = url.replace(":hookwright@", ":wrong@");
    assert!(psql(&wrong, "SELECT 1").expect_err("refused").contains("password"));

    for round in 1..=3 {
        cluster.sql("rows", &format!("INSERT INTO t VALUES ({round})"));
        let sleeps = url.clone();
        let client = thread::spawn(move || psql(&sleeps, "SELECT pg_sleep(60)"));
        wait_until("somebody sleeps", || {
            let asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
            cluster.sql("rows", asleep) == "1"
        });
        cluster.kill9();
        assert!(!cluster.is_running());
        assert!(client.join().expect("psql runs").is_err(), "its server is gone");
        assert!(TcpStream::connect(cluster.addr()).is_err(), "the port is free");
        cluster.start_again();
        assert!(cluster.is_running());
    }
    assert!(cluster.log_tail().contains("automatic recovery in progress"));
    cluster.restart(StopMode::Fast);
    cluster.restart(StopMode::Smart);
    cluster.restart(StopMode::Immediate);
    assert_eq!(cluster.sql("rows", "SELECT string_agg(n::text, ',' ORDER BY n) FROM t"), "0,1,2,3");
}

#[test]
fn a_paused_server_is_silent_and_goes_on() {
    let cluster = Cluster::start();
    let url = cluster.url("postgres");
    cluster.pause();
    assert!(cluster.is_running());
    let client = thread::spawn(move || psql(&url, "SELECT 1"));
    thread::sleep(Duration::from_millis(300));
    assert!(!client.is_finished(), "nobody answers");
    cluster.resume();
    assert_eq!(client.join().expect("psql runs").as_deref(), Ok("1"));
    // Neither of these may wait for a server that cannot hear.
    cluster.pause();
    cluster.stop(StopMode::Fast);
    cluster.start_again();
    cluster.pause();
    let port = cluster.port();
    let began = Instant::now();
    drop(cluster);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "nobody listens");
}

#[test]
fn a_synchronous_standby_has_what_was_committed() {
    let primary = Cluster::start();
    primary.create_database("rows");
    primary.sql("rows", "CREATE TABLE t (n int)");
    let standby = primary.standby("second one");
    primary.make_synchronous("second one");
    primary.sql("rows", "INSERT INTO t VALUES (1)");
    let refused = standby.try_sql("rows", "INSERT INTO t VALUES (2)").expect_err("read-only");
    assert!(refused.contains("read-only transaction"), "{refused}");

    // One that is away holds commits up, and catches up when it is back.
    standby.kill9();
    thread::scope(|scope| {
        let commit = scope.spawn(|| primary.sql("rows", "INSERT INTO t VALUES (3)"));
        thread::sleep(Duration::from_millis(300));
        assert!(!commit.is_finished(), "nobody else has it");
        standby.start_again();
    });

    // Made while the primary waits for standbys already, which it must not inherit.
    let third = primary.standby("third");
    primary.kill9();
    standby.promote();
    standby.sql("rows", "INSERT INTO t VALUES (4)");
    assert_eq!(standby.sql("rows", "SELECT string_agg(n::text, ',' ORDER BY n) FROM t"), "1,3,4");
    third.promote();
    assert_eq!(third.sql("postgres", "SHOW synchronous_standby_names"), "");
    third.sql("rows", "INSERT INTO t VALUES (5)");
}

#[test]
fn nothing_is_left_of_a_process_that_dropped_nothing() {
    let dirs = env::temp_dir().join(format!("watched-{}", std::process::id()));
    std::fs::create_dir(&dirs).expect("a directory");
    allow_all(&dirs);
    let aborts = Command::new(env::current_exe().expect("this test"))
        .args(["--exact", "aborts_with_a_cluster", "--ignored", "--nocapture"])
        .env("TMPDIR", &dirs)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&aborts.stdout).into_owned();
    assert!(!aborts.status.success(), "{said}");
    let port = said.lines().find_map(|line| line.split_once("port ")?.1.parse::<u16>().ok());
    let port = port.unwrap_or_else(|| panic!("it has started a cluster: {said}"));
    wait_until("the directory is gone", || dirs.read_dir().expect("ours").next().is_none());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "nobody listens");
    std::fs::remove_dir(dirs).expect("it is empty");
}

#[test]
#[ignore = "run by the test above"]
fn aborts_with_a_cluster() {
    let cluster = Cluster::start();
    // A paused one is the hardest to end.
    cluster.pause();
    println!("\nport {}", cluster.port());
    std::process::abort();
}

/// The watchdog runs as an unprivileged user, who needs the right to remove from this directory.
fn allow_all(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let all = std::fs::Permissions::from_mode(0o1777);
    std::fs::set_permissions(dir, all).expect("the directory is ours");
}

fn wait_until(what: &str, mut yes: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !yes() {
        assert!(Instant::now() < end, "in vain: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
