//! What `hookwright verify` reads: requests, secrets, keys; and what it says where it can read none.

mod binary;
mod captures;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use binary::command;
use captures::{AT, run, run_in, sample, verify, with};
use serde_json::{Value, json};

#[test]
fn requests_are_read_as_json_and_in_chunks_too() {
    let request = sample("github", "s3cret", &[], Some("{}"));
    let text = String::from_utf8(request.clone()).expect("text");
    let header = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).expect(name);
        line.split_once(": ").expect("a header").1.to_owned()
    };
    let mut captured = json!({
        "method": "post",
        "url": "https://receiver.example/in",
        "headers": {
            "x-hub-signature-256": [header("X-Hub-Signature-256")],
            "x-github-event": header("X-GitHub-Event"),
        },
        "bodyBase64": BASE64.encode("{}"),
    });
    let (code, said) = verify("github", "s3cret", &[], captured.to_string().as_bytes());
    assert!(code == 0 && said.contains("event type a.b"), "{said}");
    for (key, value, why) in [
        ("bodyBase64", json!("{}"), "`bodyBase64` is not base64"),
        ("headers", json!({ "a": 1 }), "a header's value is a text, or a list of texts"),
        ("body", json!("{}"), "one of them is enough"),
        ("url", Value::Null, "it has no `url`"),
        ("querry", json!("a"), "unknown field `querry`"),
    ] {
        let before = captured.clone();
        captured[key] = value;
        let (code, said) = verify("github", "s3cret", &[], captured.to_string().as_bytes());
        assert!(code == 2 && said.contains(why), "{said}");
        captured = before;
    }
    let chunks = with(&request, "Content-Length: 2", "Transfer-Encoding: chunked");
    let chunks = with(&chunks, "\r\n\r\n{}", "\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n");
    assert_eq!(verify("github", "s3cret", &[], &chunks).0, 0);
    // Line ends of an editor, in all but the body.
    let lf = String::from_utf8(request).expect("text").replace("\r\n", "\n");
    assert_eq!(verify("github", "s3cret", &[], lf.as_bytes()).0, 0);
}

/// The key of a provider that publishes it is not fetched: it is asked for.
#[test]
fn a_published_key_is_given_as_a_file() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../providers/vectors/own-gcp-pubsub.json");
    let vectors: Value =
        serde_json::from_slice(&std::fs::read(path).expect("vectors")).expect("JSON");
    let (url, key) = vectors["keys"].as_object().and_then(|k| k.iter().next()).expect("a key");
    let request = &vectors["request"];
    let captured = json!({
        "url": request["url"],
        "headers": request["headers"],
        "body": request["body"],
    });
    let at = vectors["now"].to_string();
    let mut arguments = vec!["verify", "--provider", "gcp-pubsub", "-", "--at", &at];
    let settings: Vec<String> = vectors["settings"]
        .as_object()
        .expect("settings")
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_str().expect("text")))
        .collect();
    settings.iter().for_each(|s| arguments.extend(["--setting", s]));
    let captured = captured.to_string();
    let (code, _, error) = run(&arguments, captured.as_bytes());
    assert!(code == 2 && error.contains(url) && error.contains("--key"), "{error}");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("keys.json");
    std::fs::write(&file, key.as_str().expect("text")).expect("written");
    arguments.extend(["--key", file.to_str().expect("UTF-8")]);
    let (code, said, error) = run(&arguments, captured.as_bytes());
    assert_eq!(code, 0, "{}{error}", String::from_utf8_lossy(&said));
}

#[test]
fn secrets_come_from_files_and_the_environment() {
    let dir = tempfile::tempdir().expect("a directory");
    let request = sample("stripe", "s3cret", &[], None);
    let file = dir.path().join("secret");
    std::fs::write(&file, "s3cret\n").expect("written");
    let path = file.to_str().expect("UTF-8");
    let base = ["verify", "--provider", "stripe", "--at", AT, "-"];
    let mut from_file = command(dir.path(), &[&base[..], &["--secret-file", path]].concat());
    // The environment counts only where the command line names no secret.
    from_file.env("HOOKWRIGHT_PROVIDER_SECRET", "another");
    let (code, said, error) = run_in(&mut from_file, &request);
    assert!(code == 0 && !String::from_utf8_lossy(&said).contains("of 2"), "{error}");
    let mut from_environment = command(dir.path(), &base);
    from_environment.env("HOOKWRIGHT_PROVIDER_SECRET", "s3cret");
    assert_eq!(run_in(&mut from_environment, &request).0, 0);
    // It is no setting, and troubles no other command.
    let mut other = command(dir.path(), &["config"]);
    assert_eq!(run_in(other.env("HOOKWRIGHT_PROVIDER_SECRET", "s3cret"), b"").0, 0);
    std::fs::write(&file, "\n").expect("written");
    let (code, _, error) = run(&[&base[..], &["--secret-file", path]].concat(), &request);
    assert!(code == 2 && error.contains(path) && error.contains("is empty"), "{error}");
    std::fs::write(&file, [0xff]).expect("written");
    let (code, _, error) = run(&[&base[..], &["--secret-file", path]].concat(), &request);
    assert!(code == 2 && error.contains("a secret is text in UTF-8"), "{error}");
}

#[test]
fn what_cannot_be_said_names_the_value_and_the_fix() {
    let stripe = ["--provider", "stripe", "--secret", "s3cret"];
    let fine = "POST /in HTTP/1.1\r\nHost: a.example\r\n\r\n{}";
    let cases: &[(&[&str], &str, &str)] = &[
        (
            &["--provider", "strippe"],
            fine,
            "there is no provider \"strippe\" (did you mean stripe?)",
        ),
        (&["--provider", "stripe"], fine, "Stripe takes a secret: give it with --secret-file"),
        (
            &["--provider", "livekit", "--secret", "x"],
            fine,
            "LiveKit needs --setting api_key=VALUE",
        ),
        (
            &["--provider", "stripe", "--setting", "a"],
            fine,
            "--setting \"a\": write it as NAME=VALUE",
        ),
        (&["--provider", "stripe", "--setting", "a=b"], fine, "Stripe has no settings"),
        (&["--provider", "stripe", "--setting", "a=b", "--setting", "a=c"], fine, "given twice"),
        (&[&stripe[..], &["--at", "noon"]].concat(), fine, "--at \"noon\": a time is 2026-01-31T"),
        (&[&stripe[..], &["--at", "1767225600000"]].concat(), fine, "not milliseconds"),
        (
            &[&stripe[..], &["--url", "a.example"]].concat(),
            fine,
            "--url \"a.example\" is not a URL",
        ),
        (&[&stripe[..], &["--url", "ftp://a"]].concat(), fine, "begins with http:// or https://"),
        (&stripe, "", "it is empty"),
        (&stripe, "hello\r\n\r\n", "neither with a request line such as"),
        (&stripe, "HTTP/1.1 200 OK\r\n\r\n", "it is an answer, not a request"),
        (&stripe, "POST /in HTTP/1.1\r\n\r\n", "it has no Host header"),
        (&stripe, "POST /in HTTP/1.1\r\nHost: a\r\n", "no empty line between its headers"),
        (&stripe, "POST /in HTTP/1.1\r\nHost: a\r\nx\r\n\r\n", "line 3 is no header: \"x\""),
        (&stripe, "{\"method\":", "as JSON it is"),
    ];
    for (arguments, request, why) in cases {
        let (code, said, error) = run(&[&["verify", "-"], *arguments].concat(), request.as_bytes());
        assert!(code == 2 && said.is_empty() && error.contains(why), "{why}: {error}");
    }
    let (code, _, error) = run(&[&["verify", "nowhere.http"], &stripe[..]].concat(), b"");
    assert!(code == 2 && error.contains("cannot open nowhere.http"), "{error}");
    let head = format!("POST /in HTTP/1.1\r\nHost: a\r\nx: {}\r\n\r\n", "x".repeat(300_000));
    let (code, _, error) = run(&[&["verify", "-"], &stripe[..]].concat(), head.as_bytes());
    assert!(code == 2 && error.contains("longer than 256 KiB"), "{error}");
    let huge = vec![b' '; 25 * 1024 * 1024 + 1];
    let (code, _, error) = run(&[&["verify", "-"], &stripe[..]].concat(), &huge);
    assert!(code == 2 && error.contains("- has more than 25 MiB"), "{error}");
}
