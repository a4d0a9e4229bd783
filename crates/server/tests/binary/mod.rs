//! The real binary, in a directory of its own, on ports of its own.
#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    time::Duration,
};

use serde_json::Value;

pub const SECRET: &str = "a-secret-of-the-tests-3f9c1b";

/// A command of the binary with a data directory; nothing of this process's environment is a setting.
#[expect(clippy::disallowed_methods, reason = "the environment is kept from the binary")]
pub fn command(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookwright"));
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"HOOKWRIGHT_") {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .env("HOOKWRIGHT_DATA_DIR", data)
        .env("HOOKWRIGHT_METRICS_LISTEN", "none")
        // The machine that runs the tests may be short of disk: that has tests of its own.
        .env("HOOKWRIGHT_DISK_LOW_WATER_MIB", "1")
        .env("HOOKWRIGHT_DISK_LOW_WATER_PERCENT", "0")
        .env("HOOKWRIGHT_DISK_RESERVE_MIB", "1")
        .stdin(Stdio::null());
    command
}

/// A port that nobody listened on a moment ago.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound")
}

/// A running server.
pub struct Server {
    pub child: Child,
    pub address: SocketAddr,
    pub stdout: Option<BufReader<ChildStdout>>,
}

impl Server {
    /// Starts `serve` and waits until it answers.
    pub fn serve(data: &Path, settings: &[(&str, &str)]) -> Self {
        Self::serve_at(free_address(), data, settings)
    }

    /// The same on a port that is known already: where another server was before.
    pub fn serve_at(address: SocketAddr, data: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = command(data, &["serve"]);
        command
            .env("HOOKWRIGHT_LISTEN", address.to_string())
            .env("HOOKWRIGHT_JWT_SECRET", SECRET)
            .env("HOOKWRIGHT_ALLOW_ADDRESSES", "127.0.0.0/8")
            .stdout(Stdio::null());
        for (key, value) in settings {
            command.env(key, value);
        }
        let child = command.spawn().expect("started");
        let mut server = Self { child, address, stdout: None };
        server.wait_until_up();
        server
    }

    fn wait_until_up(&mut self) {
        for _ in 0..600 {
            if let Some(status) = self.child.try_wait().expect("a child") {
                panic!("the server ended: {status}");
            }
            if TcpStream::connect(self.address).is_ok() {
                return;
            }
            // There is nothing to wait on but the port itself.
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("the server did not come up");
    }

    pub fn call(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let (status, body) = exchange(self.address, method, path, token, body);
        let value = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).expect("JSON")
        };
        (status, value)
    }

    /// Sends a signal by name and waits for the end.
    pub fn end(mut self, signal: &str) -> ExitStatus {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{signal}"), &pid]).status();
        assert!(sent.expect("kill").success());
        self.child.wait().expect("a child")
    }

    /// Reads lines of the output until one contains `text`; returns them all.
    pub fn read_until(&mut self, text: &str) -> String {
        let stdout = self.stdout.as_mut().expect("piped");
        let mut all = String::new();
        loop {
            let mut line = String::new();
            let n = stdout.read_line(&mut line).expect("text");
            assert!(n > 0, "the output ended before `{text}`:\n{all}");
            all.push_str(&line);
            if line.contains(text) {
                return all;
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One exchange over a connection of its own.
pub fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: &str,
    body: Option<&Value>,
) -> (u16, Vec<u8>) {
    exchange_with(address, method, path, token, body, "")
}

/// The same with more headers, each with its line end.
pub fn exchange_with(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: &str,
    body: Option<&Value>,
    headers: &str,
) -> (u16, Vec<u8>) {
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut stream = TcpStream::connect(address).expect("a server");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(body.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let split = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..split]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    let body = answer[split + 4..].to_vec();
    assert!(!head.contains("transfer-encoding: chunked"), "answers have a length");
    (status, body)
}

/// A token of the default organization.
pub fn token(data: &Path) -> String {
    let output = command(data, &["token"])
        .env("HOOKWRIGHT_JWT_SECRET", SECRET)
        .output()
        .expect("the token command");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}
