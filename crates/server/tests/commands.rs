//! The commands, on the real binary.

mod binary;

use std::{
    io::BufReader,
    process::{Command, Stdio},
};

use binary::{SECRET, Server, command, exchange, free_address, token};
use serde_json::json;

fn output(command: &mut Command) -> (bool, String, String) {
    let output = command.output().expect("run");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn dev_sends_a_message_through_the_real_path_and_stops_on_ctrl_c() {
    let dir = tempfile::tempdir().expect("a directory");
    // Twice: the second time everything is there already. The kind of secret that other endpoints get
    // is not that of the inbox.
    for _ in 0..2 {
        let address = free_address();
        let mut child = command(dir.path(), &["dev"])
            .env("HOOKWRIGHT_LISTEN", address.to_string())
            .env("HOOKWRIGHT_DEFAULT_SIGNATURE_TYPE", "ed25519")
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let stdout = child.stdout.take().map(BufReader::new);
        let mut server = Server { child, address, stdout };
        let shown = server.read_until("Ctrl-C stops");
        assert!(shown.contains("signature verified"), "{shown}");
        assert!(shown.contains(r#"{"amount":4200,"currency":"EUR","invoice":"in_1"}"#), "{shown}");
        let token = shown
            .lines()
            .find_map(|line| line.trim().strip_prefix("export HOOKWRIGHT_TOKEN="))
            .expect("a token to go on with");
        let link = format!("http://{address}/console#token={token}");
        assert!(shown.contains(&link), "{link} is not in {shown}");
        let message = json!({ "eventType": "invoice.paid", "payload": { "invoice": "in_2" } });
        let (status, sent) = server.call("POST", "/api/v1/app/acme/msg", token, Some(&message));
        assert_eq!(status, 202, "{sent}");
        let id = sent["id"].as_str().expect("an id");
        let shown = server.read_until("in_2");
        assert!(shown.contains(&format!("Arrived  {id} (verified)")), "{shown}");
        assert_eq!(server.end("INT").code(), Some(0));
    }
}

#[test]
fn serve_refuses_weak_secrets_and_a_directory_in_use() {
    let dir = tempfile::tempdir().expect("a directory");
    for weak in ["", "secret", "changemechangeme"] {
        let (ok, _, error) =
            output(command(dir.path(), &["serve"]).env("HOOKWRIGHT_JWT_SECRET", weak));
        assert!(!ok && error.contains("`jwt_secret` is empty, short or well known"), "{error}");
    }
    let server = Server::serve(dir.path(), &[]);
    let mut second = command(dir.path(), &["serve"]);
    second
        .env("HOOKWRIGHT_JWT_SECRET", SECRET)
        .env("HOOKWRIGHT_LISTEN", free_address().to_string());
    let (ok, _, error) = output(&mut second);
    assert!(!ok && error.contains("is in use by another process"), "{error}");
    assert_eq!(server.end("TERM").code(), Some(0));
}

#[test]
fn dev_stays_on_this_machine() {
    let dir = tempfile::tempdir().expect("a directory");
    let (ok, _, error) =
        output(command(dir.path(), &["dev"]).env("HOOKWRIGHT_LISTEN", "0.0.0.0:0"));
    assert!(!ok && error.contains("listens on this machine only"), "{error}");
}

#[test]
fn config_shows_what_is_in_force_and_names_mistakes() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut shown = command(dir.path(), &["config", "--request-timeout", "250ms"]);
    let (ok, text, _) = output(shown.env("HOOKWRIGHT_JWT_SECRET", SECRET));
    assert!(ok && text.contains("request_timeout = 250ms\n"), "{text}");
    assert!(text.contains("jwt_secret = (hidden)\n") && !text.contains(SECRET), "{text}");
    let (ok, _, error) =
        output(command(dir.path(), &["config"]).env("HOOKWRIGHT_LISTENN", "127.0.0.1:1"));
    assert!(!ok && error.contains("HOOKWRIGHT_LISTENN") && error.contains("`listen`"), "{error}");
}

#[test]
fn backup_check_and_rotate_key() {
    let dir = tempfile::tempdir().expect("a directory");
    let token = token(dir.path());
    let copy = dir.path().join("copy.db");
    let path = copy.to_str().expect("UTF-8");
    let server = Server::serve(dir.path(), &[]);
    let app = json!({ "name": "Acme", "uid": "acme" });
    assert_eq!(server.call("POST", "/api/v1/app", &token, Some(&app)).0, 201);
    let endpoint = json!({ "url": "http://127.0.0.1:9/", "uid": "ep" });
    let created = server.call("POST", "/api/v1/app/acme/endpoint", &token, Some(&endpoint));
    assert_eq!(created.0, 201, "{}", created.1);
    let secret = "/api/v1/app/acme/endpoint/ep/secret";
    let before = server.call("GET", secret, &token, None);
    // While it runs.
    let (ok, text, error) = output(&mut command(dir.path(), &["backup", path]));
    assert!(ok && copy.exists(), "{text}{error}");
    let (ok, _, error) = output(&mut command(dir.path(), &["backup", path]));
    assert!(!ok && error.contains("exists already"), "{error}");
    let key = std::fs::read_to_string(dir.path().join("master.key")).expect("a key");
    for in_use in ["check", "rotate-key"] {
        let (ok, _, error) = output(&mut command(dir.path(), &[in_use]));
        assert!(!ok && error.contains("in use"), "{error}");
    }
    let unchanged = std::fs::read_to_string(dir.path().join("master.key")).expect("a key");
    assert_eq!(unchanged, key, "what was refused has changed nothing");
    server.end("TERM");

    let (ok, text, error) = output(&mut command(dir.path(), &["check"]));
    assert!(ok && text.ends_with("clean\n") && text.contains("fdatasync"), "{text}{error}");
    let (ok, text, error) = output(&mut command(dir.path(), &["rotate-key"]));
    assert!(ok, "{text}{error}");
    assert_ne!(std::fs::read_to_string(dir.path().join("master.key")).expect("a key"), key);
    let server = Server::serve(dir.path(), &[]);
    assert_eq!(server.call("GET", secret, &token, None), before);
    server.end("TERM");
    // The old key opens nothing any more, and says so.
    std::fs::write(dir.path().join("master.key"), key).expect("written");
    let (ok, _, error) = output(&mut command(dir.path(), &["check"]));
    assert!(!ok && error.contains("master key"), "{error}");
}

#[test]
fn commands_make_nothing_where_nothing_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let mistyped = dir.path().join("mistyped");
    let copy = dir.path().join("copy.db");
    let path = copy.to_str().expect("UTF-8");
    for arguments in [&["check"][..], &["backup", path], &["rotate-key"]] {
        let (ok, text, error) = output(&mut command(&mistyped, arguments));
        assert!(!ok && error.contains("there is no hookwright.db in"), "{text}{error}");
        assert!(!mistyped.exists() && !copy.exists(), "{arguments:?}");
    }
}

/// The path of a socket has a bound that paths of directories do not have.
#[test]
fn a_deep_data_directory_has_its_control_socket_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let deep = dir.path().join("a".repeat(100)).join("b".repeat(100));
    let copy = dir.path().join("copy.db");
    let server = Server::serve(&deep, &[]);
    let (ok, text, error) = output(&mut command(&deep, &["backup", copy.to_str().expect("UTF-8")]));
    assert!(ok && copy.exists(), "{text}{error}");
    assert_eq!(server.end("TERM").code(), Some(0));
}

#[test]
fn metrics_are_served_and_measured() {
    let dir = tempfile::tempdir().expect("a directory");
    let token = token(dir.path());
    let metrics = free_address();
    let settings = [
        ("HOOKWRIGHT_METRICS_LISTEN", &*metrics.to_string()),
        ("HOOKWRIGHT_SWEEP_INTERVAL", "100ms"),
    ];
    let server = Server::serve(dir.path(), &settings);
    let app = json!({ "name": "Acme", "uid": "acme" });
    assert_eq!(server.call("POST", "/api/v1/app", &token, Some(&app)).0, 201);
    let message = json!({ "eventType": "invoice.paid", "payload": {} });
    assert_eq!(server.call("POST", "/api/v1/app/acme/msg", &token, Some(&message)).0, 202);
    let wanted = [
        "hookwright_messages_total 1\n",
        "hookwright_unscheduled_deliveries 0\n",
        "hookwright_store_queued_rows 0\n",
        "hookwright_http_request_seconds_bucket{",
    ];
    let mut shown = String::new();
    // The gauges are there after the first measurement.
    for _ in 0..400 {
        let (status, body) = exchange(metrics, "GET", "/metrics", "", None);
        assert_eq!(status, 200);
        shown = String::from_utf8(body).expect("text");
        if wanted.iter().all(|line| shown.contains(line)) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    panic!("not all of {wanted:?} in\n{shown}");
}

#[test]
fn openapi_and_health() {
    let dir = tempfile::tempdir().expect("a directory");
    let (ok, text, _) = output(&mut command(dir.path(), &["openapi"]));
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert!(ok && document["openapi"].as_str().is_some_and(|v| v.starts_with("3.1")));
    let server = Server::serve(dir.path(), &[]);
    let url = format!("http://{}", server.address);
    assert!(output(&mut command(dir.path(), &["health", &url])).0);
    server.end("TERM");
    assert!(!output(&mut command(dir.path(), &["health", &url])).0);
    let (ok, _, error) = output(&mut command(dir.path(), &["health", "https://127.0.0.1"]));
    assert!(!ok && error.contains("over http only"), "{error}");
}
