//! `hookwright listen` in front of a receiver of this machine, against the real server.

mod binary;

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{ChildStdin, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use binary::{Server, command, free_address, token};
use serde_json::{Value, json};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Answers 200 to every POST, and tells the message ids.
struct Receiver {
    address: SocketAddr,
    ids: mpsc::Receiver<String>,
    /// While this is locked nothing is answered.
    gate: Arc<Mutex<()>>,
}

impl Receiver {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let (arrived, ids) = mpsc::channel();
        let gate = Arc::new(Mutex::new(()));
        let door = gate.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (arrived, door) = (arrived.clone(), door.clone());
                thread::spawn(move || answer(stream.expect("a connection"), &arrived, &door));
            }
        });
        Self { address, ids, gate }
    }

    fn next(&self) -> String {
        self.ids.recv_timeout(PATIENCE).expect("an arrival")
    }

    /// Waits until each of these has arrived, some of them perhaps more than once.
    fn expect(&self, wanted: &[String]) {
        let mut wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
        while !wanted.is_empty() {
            wanted.remove(self.next().as_str());
        }
    }
}

fn answer(stream: TcpStream, arrived: &mpsc::Sender<String>, gate: &Mutex<()>) {
    let mut reader = BufReader::new(stream);
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a head");
        if line.trim().is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.to_lowercase().as_str() {
            "webhook-id" => value.trim().clone_into(&mut id),
            "content-length" => length = value.trim().parse().expect("a number"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    assert!(body.starts_with(b"{\"n\":"), "the payload as it was sent");
    // The test may be over, with all that it wanted.
    let _ = arrived.send(id);
    drop(gate.lock());
    let _ = reader
        .get_mut()
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
}

/// A running `listen`; what is read of it is its output.
fn listen(server: &Server, data: &Path, arguments: &[&str], to: &Receiver) -> (Server, ChildStdin) {
    let at = format!("http://{}", server.address);
    let to = format!("http://{}/hooks", to.address);
    let all = [&["listen", "--server", &at, "--forward-to", &to], arguments].concat();
    let mut child = command(data, &all)
        .env("HOOKWRIGHT_TOKEN", token(data))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let stdin = child.stdin.take().expect("piped");
    let stdout = child.stdout.take().map(BufReader::new);
    let mut listener = Server { child, address: server.address, stdout };
    listener.read_until("Listening\n");
    (listener, stdin)
}

fn publish(server: &Server, app: &str, token: &str, numbers: std::ops::Range<u32>) -> Vec<String> {
    let send = |n: u32| {
        let body = json!({"eventType": "invoice.paid", "payload": {"n": n}});
        let (status, message) =
            server.call("POST", &format!("/api/v1/app/{app}/msg"), token, Some(&body));
        assert_eq!(status, 202, "{message}");
        message["id"].as_str().expect("an id").to_owned()
    };
    numbers.map(send).collect()
}

#[test]
fn nothing_is_lost_when_the_server_dies_or_restarts() {
    let dir = tempfile::tempdir().expect("a directory");
    let token = token(dir.path());
    let address = free_address();
    let server = Server::serve_at(address, dir.path(), &[]);
    let (_, app) = server.call("POST", "/api/v1/app", &token, Some(&json!({"name": "Acme"})));
    let app = app["id"].as_str().expect("an id").to_owned();
    let receiver = Receiver::open();
    let (mut listener, mut keys) = listen(&server, dir.path(), &["--app", &app], &receiver);

    // Some are on their way when the server is killed: nobody has acknowledged them.
    let gate = receiver.gate.clone();
    let closed = gate.lock().expect("no panic");
    let before = publish(&server, &app, &token, 0..20);
    receiver.next();
    server.end("KILL");
    drop(closed);
    let server = Server::serve_at(address, dir.path(), &[]);
    let after = publish(&server, &app, &token, 20..30);
    receiver.expect(&[before, after].concat());

    // A server that is told to stop does not wait for its listeners to go.
    let stopped = {
        #[expect(clippy::disallowed_methods, reason = "how long it takes is the question")]
        let begun = Instant::now();
        assert!(server.end("TERM").success());
        begun.elapsed()
    };
    assert!(stopped < Duration::from_secs(8), "{stopped:?}");
    let server = Server::serve_at(address, dir.path(), &[]);
    let last = publish(&server, &app, &token, 30..31);
    receiver.expect(&last);

    // Its row comes when the server has the answer: what arrives after that was asked for.
    let row = listener.read_until(&format!("invoice.paid              {}  200", last[0]));
    assert!(!row.ends_with("again)\n"), "{row}");
    keys.write_all(b"r\n").expect("reads");
    receiver.expect(&last);

    let endpoints = format!("/api/v1/app/{app}/endpoint");
    let count = |server: &Server| {
        let (_, page) = server.call("GET", &endpoints, &token, None);
        page["data"].as_array().map(Vec::len)
    };
    assert_eq!(count(&server), Some(1));
    keys.write_all(b"q\n").expect("reads");
    assert!(listener.child.wait().expect("a child").success());
    assert_eq!(count(&server), Some(0), "it has tidied up");
}

#[test]
fn an_endpoint_that_stays_gathers_what_a_source_receives_meanwhile() {
    let dir = tempfile::tempdir().expect("a directory");
    let token = token(dir.path());
    let server = Server::serve(dir.path(), &[]);
    let body = json!({"name": "Any", "uid": "any", "type": "generic-webhook"});
    let (status, source) = server.call("POST", "/ingest/api/v1/source", &token, Some(&body));
    assert_eq!(status, 201, "{source}");
    let url = source["ingestUrl"].as_str().expect("an address").to_owned();
    let post = |n: u32| {
        let path = &url[url.find("/in/").expect("the door")..];
        let (status, answer) =
            binary::exchange(server.address, "POST", path, "", Some(&json!({"n": n})));
        assert!((200..300).contains(&status), "{}", String::from_utf8_lossy(&answer));
    };
    let receiver = Receiver::open();
    let arguments = ["--source", "any", "--keep"];
    let (mut listener, mut keys) = listen(&server, dir.path(), &arguments, &receiver);
    post(1);
    let first = receiver.next();
    listener.read_until(&first);
    keys.write_all(b"q").expect("reads");
    let said = listener.read_until("stays");
    assert!(listener.child.wait().expect("a child").success());
    let endpoint = said.lines().last().and_then(|line| line.split(' ').next());
    let endpoint = endpoint.expect("its id").to_owned();

    post(2);
    let again = ["--source", "any", "--endpoint", &endpoint];
    let (listener, _keys) = listen(&server, dir.path(), &again, &receiver);
    assert_ne!(receiver.next(), first);
    assert!(listener.end("TERM").success());
}

#[test]
fn what_cannot_be_listened_to_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let token = token(dir.path());
    let server = Server::serve(dir.path(), &[]);
    let at = format!("http://{}", server.address);
    let said = |arguments: &[&str]| {
        let all = [&["listen", "--forward-to", "http://localhost:9"], arguments].concat();
        let output = command(dir.path(), &all).env("HOOKWRIGHT_TOKEN", &token).output();
        let output = output.expect("run");
        assert!(!output.status.success());
        String::from_utf8(output.stderr).expect("text")
    };
    let nobody = said(&["--server", &format!("http://{}", free_address()), "--app", "x"]);
    assert!(nobody.contains("cannot reach"), "{nobody}");
    let none = said(&["--server", &at, "--app", "none"]);
    assert!(none.contains("HTTP 404"), "{none}");
    let body: Value = json!({"name": "Acme", "uid": "acme"});
    server.call("POST", "/api/v1/app", &token, Some(&body));
    let body = json!({"url": "https://example.com", "uid": "dialled"});
    server.call("POST", "/api/v1/app/acme/endpoint", &token, Some(&body));
    let other = said(&["--server", &at, "--app", "acme", "--endpoint", "dialled"]);
    assert!(other.contains("none that was made by"), "{other}");
    let both = said(&["--server", &at, "--app", "acme", "--source", "any"]);
    assert!(both.contains("cannot be used with"), "{both}");
}
