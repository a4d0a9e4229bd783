//! Requests as `hookwright providers sample` signs them, given to `hookwright verify`.
#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    io::Write,
    process::{Command, Stdio},
};

use super::binary::command;

/// 2026-01-01T00:00:00Z.
pub const AT: &str = "1767225600";
pub const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Exit status, what was printed, what was complained about.
pub fn run(arguments: &[&str], input: &[u8]) -> (i32, Vec<u8>, String) {
    let dir = tempfile::tempdir().expect("a directory");
    run_in(&mut command(dir.path(), arguments), input)
}

pub fn run_in(command: &mut Command, input: &[u8]) -> (i32, Vec<u8>, String) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("started");
    // Whoever refuses its arguments reads nothing.
    let _ = child.stdin.take().expect("piped").write_all(input);
    let output = child.wait_with_output().expect("run");
    let error = String::from_utf8(output.stderr).expect("text");
    (output.status.code().expect("a status"), output.stdout, error)
}

/// A genuine request, as raw HTTP.
pub fn sample(id: &str, secret: &str, more: &[&str], body: Option<&str>) -> Vec<u8> {
    let mut arguments = vec!["providers", "sample", id, "--secret", secret, "--at", AT];
    arguments.extend(["--event-id", "evt_1", "--event-type", "a.b"]);
    arguments.extend(more);
    if body.is_some() {
        arguments.extend(["--body", "-"]);
    }
    let (code, request, error) = run(&arguments, body.unwrap_or_default().as_bytes());
    assert_eq!(code, 0, "{id}: {error}");
    request
}

pub fn verify(id: &str, secret: &str, more: &[&str], request: &[u8]) -> (i32, String) {
    let mut arguments = vec!["verify", "--provider", id, "--secret", secret, "-"];
    if !more.contains(&"--at") {
        arguments.extend(["--at", AT]);
    }
    arguments.extend(more);
    let (code, said, error) = run(&arguments, request);
    let said = String::from_utf8(said).expect("text") + &error;
    // Whatever it says, it repeats neither the secret nor a signature.
    assert!(secret.trim().is_empty() || !said.contains(secret.trim()), "{said}");
    let text = String::from_utf8_lossy(request);
    for line in text.split("\r\n\r\n").next().unwrap_or_default().lines().skip(1) {
        let value = line.split_once(": ").map_or("", |(_, value)| value);
        let mark = value.len() >= 20 && !value.contains('/');
        assert!(!mark || !said.contains(value), "{said}");
    }
    (code, said)
}

/// The request with another text in it.
pub fn with(request: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(request.to_vec()).expect("text");
    assert!(text.contains(from), "{text}");
    text.replacen(from, to, 1).into_bytes()
}
