//! `hookwright providers`, on the real binary: the list, one explained, vectors checked, test events
//! sent.

mod binary;

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    thread,
};

use binary::{command, free_address};
use serde_json::Value;

fn run(arguments: &[&str]) -> (i32, String, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let output = command(dir.path(), arguments).output().expect("run");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("a status"), text(output.stdout), text(output.stderr))
}

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../providers/vectors")
}

/// Answers one request with this, and returns what came.
fn receiver(answer: &'static str) -> (String, thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hooks", listener.local_addr().expect("bound"));
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a caller");
        let mut request = Vec::new();
        let mut part = [0; 4096];
        loop {
            let n = stream.read(&mut part).expect("a request");
            request.extend_from_slice(&part[..n]);
            let text = String::from_utf8_lossy(&request).to_lowercase();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.split("content-length: ").nth(1).expect("a length");
                let length: usize =
                    length.lines().next().and_then(|l| l.parse().ok()).expect("a number");
                if body.len() >= length {
                    break;
                }
            }
            assert!(n > 0, "cut off: {text}");
        }
        stream.write_all(answer.as_bytes()).expect("answered");
        request
    });
    (url, serving)
}

#[test]
fn all_are_listed_and_each_is_explained() {
    let (code, list, _) = run(&["providers"]);
    assert!(code == 0 && list.lines().count() > 150, "{list}");
    let stripe = list.lines().find(|line| line.starts_with("stripe ")).expect("in the list");
    assert!(stripe.contains("hmac") && stripe.ends_with("Stripe"), "{stripe}");
    assert!(list.contains("(experimental)"), "{list}");
    let (code, text, _) = run(&["providers", "--json"]);
    let all: Value = serde_json::from_str(&text).expect("JSON");
    let all = all.as_array().expect("a list");
    assert_eq!((code, all.len()), (0, list.lines().count()));
    let experimental = all.iter().filter(|p| p["experimental"] == true).count();
    assert_eq!(experimental, list.matches("(experimental)").count());

    for arguments in [&["providers", "stripe"][..], &["providers", "show", "stripe"]] {
        let (code, text, error) = run(arguments);
        assert_eq!(code, 0, "{error}");
        for said in [
            "signature   header Stripe-Signature, in items separated by \",\", as v1=signature\n",
            "signed      {timestamp}.{body}\n",
            "made as     HMAC with sha256, in hex\n",
            "secret      used as it is, character by character\n",
            "tolerance   300 s before or after now\n",
            "event id    JSON /id\n",
        ] {
            assert!(text.contains(said), "{said} in\n{text}");
        }
    }
    let (_, text, _) = run(&["providers", "slack", "--json"]);
    let slack: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(slack["row"]["challenge"], "slack-url-verification");
    let (code, text, error) = run(&["providers", "Strip"]);
    assert!(code == 1 && text.is_empty() && error.contains("did you mean stripe?"), "{error}");
    // Every one of them can be explained.
    for provider in all.iter().step_by(20) {
        let id = provider["id"].as_str().expect("an id");
        let (code, text, error) = run(&["providers", "show", id]);
        assert!(code == 0 && text.contains(id), "{error}");
    }
}

#[test]
fn vectors_are_checked_in_one_line_and_failures_listed() {
    let ours = vectors();
    let (code, text, error) = run(&["providers", "check", ours.to_str().expect("UTF-8")]);
    assert!(code == 0 && text.lines().count() == 1, "{text}{error}");
    assert!(text.starts_with("1,") && text.ends_with(" files: all as expected\n"), "{text}");

    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("UTF-8");
    let check = || run(&["providers", "check", path]);
    let (code, _, error) = check();
    assert!(code == 1 && error.contains("there are no vector files"), "{error}");
    let file = dir.path().join("github.json");
    let genuine = fs::read_to_string(ours.join("github.json")).expect("vectors");
    let mut wrong: Value = serde_json::from_str(&genuine).expect("JSON");
    wrong["cases"][0]["expect"] = "refused".into();
    fs::write(&file, wrong.to_string()).expect("written");
    let (code, text, _) = check();
    let case = wrong["cases"][0]["name"].as_str().expect("a name");
    let first = format!("github.json: {case}: expected refused, but it is called genuine\n");
    assert!(code == 1 && text.starts_with(&first), "{text}");
    assert!(text.ends_with(" of 1 file: 1 otherwise than expected\n"), "{text}");
    for (content, why) in [
        ("{", "github.json: EOF while parsing"),
        (r#"{"format": 2}"#, "github.json: missing field"),
        (&genuine.replace("\"github\"", "\"gitbub\""), "there is no provider gitbub"),
    ] {
        fs::write(&file, content).expect("written");
        let (code, _, error) = check();
        assert!(code == 1 && error.contains(why), "{error}");
    }
    let (code, _, error) = run(&["providers", "check", "/nowhere"]);
    assert!(code == 1 && error.contains("/nowhere"), "{error}");
}

#[test]
fn a_test_event_is_sent_and_what_arrives_is_genuine() {
    let dir = tempfile::tempdir().expect("a directory");
    let secret = ["--secret", "s3cret"];
    for id in ["stripe", "square", "twilio"] {
        let (url, serving) = receiver("HTTP/1.1 202 Accepted\r\nContent-Length: 3\r\n\r\no\u{1b}k");
        let sample = ["providers", "sample", id, "--to", &url, "--event-type", "a.b"];
        let (code, text, error) = run(&[&sample[..], &secret].concat());
        assert!(code == 0 && text.contains("HTTP 202 after "), "{text}{error}");
        // What was answered does not steer the terminal.
        assert!(text.ends_with("\no\u{fffd}k\n"), "{text:?}");
        let file = dir.path().join(id);
        fs::write(&file, serving.join().expect("a request")).expect("written");
        let file = file.to_str().expect("UTF-8");
        let verify = ["verify", "--provider", id, "--url", &url, file];
        let (code, text, error) = run(&[&verify[..], &secret].concat());
        assert!(code == 0 && text.contains("event type a.b"), "{id}: {text}{error}");
    }
    // The public URL is signed, though it is sent elsewhere.
    let (url, serving) = receiver("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    let public = ["--url", "https://receiver.example/in"];
    let sample = ["providers", "sample", "square", "--to", &url];
    let (code, text, _) = run(&[&sample[..], &public, &secret].concat());
    assert!(code == 1 && text.contains("HTTP 401 after "), "{text}");
    let file = dir.path().join("public");
    fs::write(&file, serving.join().expect("a request")).expect("written");
    let verify = ["verify", "--provider", "square", file.to_str().expect("UTF-8")];
    assert_eq!(run(&[&verify[..], &public, &secret].concat()).0, 0);

    let nobody = format!("http://{}/", free_address());
    let (code, text, _) =
        run(&[&["providers", "sample", "stripe", "--to", &nobody], &secret[..]].concat());
    assert!(code == 1 && text.contains("no answer: "), "{text}");
}

#[test]
fn what_cannot_be_signed_is_refused_with_its_reason() {
    let cases: &[(&[&str], &str)] = &[
        (&["paypal", "--setting", "webhook_id=a"], "PayPal: only the provider itself has the key"),
        (
            &["adyen", "--secret", "x"],
            "this secret cannot sign for this provider: the HMAC key is hex",
        ),
        (&["adyen", "--secret", "00", "--body", "/dev/null"], "let it be made up"),
        (&["discord", "--secret", "x"], "the private key is needed"),
        (&["stripe"], "Stripe takes a secret"),
        (&["stripe", "--secret", "a", "--secret", "b"], "one secret signs: give one, not 2"),
        (&["stripe", "--secret", "a", "--event-type", "a b"], "--event-type"),
        (&["stripe", "--secret", "a", "--to", "localhost:3000"], "--to \"localhost:3000\""),
        (&["stripe", "--secret", "a", "--body", "nowhere"], "--body: cannot open nowhere"),
        (&["gitlab", "--secret", "a\nb: c"], "the header X-Gitlab-Token would hold a line end"),
        (&["livekit", "--secret", "a"], "LiveKit needs --setting api_key=VALUE"),
        (
            &["nobody-at-all"],
            "there is no provider \"nobody-at-all\"; `hookwright providers` lists",
        ),
    ];
    for (arguments, why) in cases {
        let (code, text, error) = run(&[&["providers", "sample"], *arguments].concat());
        assert!(code == 1 && text.is_empty() && error.contains(why), "{why}: {error}");
    }
}
