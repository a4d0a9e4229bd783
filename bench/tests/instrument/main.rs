//! The instrument measures what happens: run against a fake server whose faults are known, each
//! must show in the report.
#![expect(clippy::disallowed_methods, reason = "the fake server opens sockets itself")]

mod fake;

use fake::{Fake, Faults};
use serde_json::Value;
use std::{
    io::Write,
    net::TcpListener,
    process::{Command, Stdio},
};

/// Runs the load generator against a fake server and returns its report.
fn loadgen(faults: Faults, arguments: &str) -> Value {
    let fake = Fake::start(faults);
    let out = Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(arguments.split_whitespace())
        .args(["--base", &fake.base, "--linger", "0.2"])
        .stdin(Stdio::null())
        .output()
        .expect("loadgen starts");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).expect("a JSON report")
}

fn count(report: &Value, key: &str) -> u64 {
    report[key].as_u64().unwrap_or_else(|| panic!("no {key}: {report}"))
}

#[test]
fn a_sound_server_has_a_clean_report() {
    let report =
        loadgen(Faults::default(), "closed --n 300 --c 8 --apps 3 --endpoints 2 --warmup 30");
    assert_eq!(count(&report, "accepted"), 300);
    assert_eq!(count(&report, "delivered"), 600);
    for none in ["missing", "duplicates", "republished", "strays"] {
        assert_eq!(count(&report, none), 0, "{none}");
    }
    assert_eq!(report["accepted_per_s_by_tenth"].as_array().map(Vec::len), Some(10));
    assert_eq!(count(&report["e2e"], "n"), 600);
}

#[test]
fn what_is_lost_is_missing() {
    let faults = Faults { lose_every: Some(10), ..Faults::default() };
    let report = loadgen(faults, "closed --n 100 --c 4 --drain 1");
    assert_eq!(count(&report, "missing"), 10);
    assert_eq!(report["all_arrived"], false);
}

#[test]
fn copies_and_second_publications_are_counted_apart() {
    let faults = Faults { copy_every: Some(10), republish_every: Some(20), ..Faults::default() };
    let report = loadgen(faults, "closed --n 100 --c 4");
    assert_eq!(count(&report, "republished"), 5);
    assert_eq!(count(&report, "duplicates"), 10 + 5);
    assert_eq!(count(&report, "missing"), 0);
}

#[test]
fn keys_are_fresh_for_each_message_and_can_be_left_out() {
    let fake = Fake::start(Faults::default());
    for (flag, keys) in [("true", 50), ("false", 50)] {
        let status = Command::new(env!("CARGO_BIN_EXE_loadgen"))
            .args(["closed", "--n", "50", "--base", &fake.base, "--idempotency", flag])
            .stdout(Stdio::null())
            .status();
        assert!(status.expect("loadgen starts").success());
        assert_eq!(fake.distinct_keys(), keys, "--idempotency {flag}");
    }
}

#[test]
fn the_open_loop_keeps_its_rate_and_dead_endpoints_are_not_owed() {
    let report =
        loadgen(Faults::default(), "open --rate 200 --secs 1 --apps 10 --dead 0.5 --dead-mode 500");
    assert_eq!(count(&report, "accepted"), 200);
    assert_eq!(count(&report, "delivered"), 100);
    assert_eq!(count(&report, "missing"), 0);
    assert!(count(&report, "dead_attempts") >= 100);
    let seconds = report["send_s"].as_f64().expect("a time");
    assert!((0.98..3.0).contains(&seconds), "{seconds} s");
}

#[test]
fn fan_out_waits_for_the_last_endpoint() {
    let report = loadgen(Faults::default(), "fanout --n 20 --endpoints 10 --in-flight 4");
    assert_eq!(count(&report, "delivered"), 200);
    assert_eq!(count(&report["complete"], "n"), 20);
    assert_eq!(report["extra"]["in_flight"], 4);
}

#[test]
fn a_receiver_that_comes_back_is_timed() {
    let report = loadgen(Faults::default(), "backlog --n 50 --down-secs 0.5");
    assert_eq!(count(&report, "delivered"), 50);
    let extra = &report["extra"];
    assert!(count(extra, "attempts_while_down") >= 50);
    assert!(extra["down_for_s"].as_f64().expect("a time") >= 0.5);
    assert!(extra["up_to_first_s"].as_f64().expect("a time") >= 0.0);
    assert!(extra["drain_per_s"].as_f64().expect("a rate") > 0.0);
}

#[test]
fn first_tries_fail_where_endpoints_are_flaky() {
    let report = loadgen(Faults::default(), "closed --n 50 --mode flaky");
    assert_eq!(count(&report, "delivered"), 50);
    assert_eq!(count(&report, "attempts"), 100);
    assert_eq!(count(&report, "duplicates"), 0);
}

#[test]
fn a_server_without_a_limit_exceeds_it() {
    // 10 per second are asked for; all 40 arrive at once, or 20 per second.
    let report = loadgen(Faults::default(), "limits --endpoint-limit 10 --secs 2");
    assert_eq!(report["extra"]["windows_1s"]["max_ratio"], 4.0);
    let paced = Faults { per_second: Some(20), ..Faults::default() };
    let report = loadgen(paced, "limits --endpoint-limit 10 --secs 2");
    let ratio = report["extra"]["windows_1s"]["max_ratio"].as_f64().expect("a ratio");
    assert!((1.5..=2.1).contains(&ratio), "{ratio}");
}

/// Starts mode `survive`, writes marks, and returns the report once its input was closed, or once it
/// ended by itself if it is to be kept open.
fn survive(bases: &[&str], n: &str, marks: &str, keep_open: bool) -> Value {
    survive_with(bases, &["--n", n], marks, keep_open)
}

fn survive_with(bases: &[&str], arguments: &[&str], marks: &str, keep_open: bool) -> Value {
    let mut child = Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["survive", "--rate", "1000", "--c", "4", "--base", &bases.join(",")])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("loadgen starts");
    let mut open = child.stdin.take().expect("it is piped");
    open.write_all(marks.as_bytes()).expect("it reads");
    let open = keep_open.then_some(open);
    let out = child.wait_with_output().expect("loadgen ends");
    drop(open);
    let text = String::from_utf8(out.stdout).expect("text");
    serde_json::from_str(text.strip_prefix("sending\n").expect("a sign")).expect("a report")
}

#[test]
fn messages_are_repeated_until_acknowledged_and_input_ends_the_sending() {
    let fake = Fake::start(Faults { refuse_first: 5, ..Faults::default() });
    let report = survive(&[&fake.base], "100", "begun\n", true);
    assert_eq!(count(&report, "accepted"), 100);
    assert_eq!(count(&report, "delivered"), 100);
    assert_eq!(count(&report["errors"], "HTTP 503 {}"), 5);
    assert_eq!(count(&report["answers"], "503 without retry-after"), 5);
    assert_eq!(count(&report["answers"], "acknowledged"), 100);
    let mark = &report["extra"]["marks"][0];
    assert_eq!(mark["name"], "begun");
    for after in ["next_acknowledged_ms", "next_arrival_ms", "next_delivered_ms"] {
        assert!(mark[after].as_f64().expect("it came") > 0.0, "{after}");
    }
    assert!(count(&survive(&[&fake.base], "1000000", "", false), "accepted") < 100_000);
}

#[test]
fn what_one_server_does_not_take_another_one_gets() {
    let fake = Fake::start(Faults::default());
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let report = survive(&[&fake.base, &format!("http://{nobody}")], "100", "", true);
    assert_eq!(count(&report, "accepted"), 100);
    assert_eq!(count(&report, "delivered"), 100);
    let refused = count(&report["answers"], "none");
    assert!((2..=100).contains(&refused), "two of the connections begin there: {refused}");
    assert_eq!(fake.distinct_keys(), 100, "a repeat has the key of the first try");
}

#[test]
fn limits_are_looked_at_while_servers_come_and_go() {
    let fake = Fake::start(Faults::default());
    // 1,000 messages arrive in each second; nobody holds them back.
    let arguments = ["--n", "1500", "--app-limit", "100"];
    let report = survive_with(&[&fake.base], &arguments, "", true);
    let limits = &report["extra"]["limits"];
    assert_eq!(limits["limit_per_s"], 100.0);
    let ratio = limits["windows_1s"]["max_ratio"].as_f64().expect("a ratio");
    assert!((5.0..=15.0).contains(&ratio), "{ratio}");
    assert!(survive(&[&fake.base], "10", "", true)["extra"]["limits"].is_null());
}
