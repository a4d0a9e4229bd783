//! What the server says that it sent is what a receiver got, to the letter.

mod binary;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use binary::{Server, token};
use serde_json::{Value, json};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

type Headers = BTreeMap<String, String>;

/// Tells the headers of every request, by their names in lower case. Answers 500 to the first of each
/// message, and 200 from then on.
struct Receiver {
    address: SocketAddr,
    arrivals: mpsc::Receiver<Headers>,
}

impl Receiver {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let (arrived, arrivals) = mpsc::channel();
        thread::spawn(move || {
            let mut last = String::new();
            for stream in listener.incoming() {
                let headers = answer(stream.expect("a connection"), &mut last);
                // The test may be over, with all that it wanted.
                let _ = arrived.send(headers);
            }
        });
        Self { address, arrivals }
    }

    fn next(&self) -> Headers {
        self.arrivals.recv_timeout(PATIENCE).expect("an arrival")
    }
}

fn answer(stream: TcpStream, last: &mut String) -> Headers {
    let mut reader = BufReader::new(stream);
    let mut headers = Headers::new();
    let mut line = String::new();
    reader.read_line(&mut line).expect("a request line");
    loop {
        line.clear();
        reader.read_line(&mut line).expect("a head");
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        let values = headers.entry(name.to_lowercase()).or_default();
        let comma = if values.is_empty() { "" } else { ", " };
        *values = format!("{values}{comma}{value}");
    }
    let length = headers["content-length"].parse().expect("a number");
    reader.read_exact(&mut vec![0; length]).expect("a body");
    let first = *last != headers["webhook-id"];
    headers["webhook-id"].clone_into(last);
    let status = if first { "500 Oops" } else { "200 OK" };
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    // It is noted by then, whether or not it is waited for.
    let _ = reader.get_mut().write_all(answer.as_bytes());
    headers
}

struct House {
    server: Server,
    token: String,
    receiver: Receiver,
    app: String,
    endpoint: String,
}

impl House {
    fn call(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let path = path.replace("{app}", &self.app).replace("{endpoint}", &self.endpoint);
        let path = format!("/api/v1{path}");
        let (status, answer) = self.server.call(method, &path, &self.token, body.as_ref());
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Sends a message; which it is, and what arrived of it: of two attempts.
    fn send(&self, message: Value) -> (String, [Headers; 2]) {
        let sent = self.call("POST", "/app/{app}/msg", Some(message));
        let id = sent["id"].as_str().expect("an id").to_owned();
        (id, [self.receiver.next(), self.receiver.next()])
    }

    /// What is said of the attempts of a message, the first of them first. They are waited for: they go on
    /// record once the receiver has answered.
    fn said(&self, message: &str) -> [Value; 2] {
        for _ in 0..600 {
            let list = self.call("GET", &format!("/app/{{app}}/attempt/msg/{message}"), None);
            if let [second, first] = &list["data"].as_array().expect("a list")[..] {
                return [first, second].map(|attempt| {
                    let id = attempt["id"].as_str().expect("an id");
                    let path = format!("/app/{{app}}/msg/{message}/attempt/{id}/headers");
                    self.call("GET", &path, None)
                });
            }
            thread::sleep(Duration::from_millis(25));
        }
        panic!("two attempts of {message} do not go on record");
    }

    /// Compares both attempts of a message.
    fn assert_said(&self, message: &str, arrived: &[Headers; 2], sensitive: &[&str]) {
        for (said, arrived) in self.said(message).iter().zip(arrived) {
            assert_eq!(said["unknown"], json!([]), "{message}");
            assert_eq!(said["sensitive"], json!(sensitive), "{message}");
            let mut shown = arrived.clone();
            shown.retain(|name, _| !sensitive.contains(&name.as_str()));
            assert_eq!(shown.len() + sensitive.len(), arrived.len(), "{message}");
            assert_eq!(said["sentHeaders"], json!(shown), "{message}");
        }
    }
}

#[test]
fn headers_are_told_as_they_were_sent() {
    let dir = tempfile::tempdir().expect("a directory");
    let token = token(dir.path());
    let settings = [
        ("HOOKWRIGHT_SIGNATURE_HEADERS", "both"),
        ("HOOKWRIGHT_USER_AGENT", "Acme-Hooks/1"),
        ("HOOKWRIGHT_RETRY_SCHEDULE", "100ms,100ms"),
    ];
    let server = Server::serve(dir.path(), &settings);
    let receiver = Receiver::open();
    let mut house = House { server, token, receiver, app: String::new(), endpoint: String::new() };
    let app = house.call("POST", "/app", Some(json!({"name": "Acme"})));
    app["id"].as_str().expect("an id").clone_into(&mut house.app);
    let url = format!("http://user:pass%20word@{}/hook?a=b", house.receiver.address);
    let body = json!({"url": url, "headers": {"X-Own": "\u{fc} one", "x-api-key": "hush", "Accept": "text/x"}});
    let endpoint = house.call("POST", "/app/{app}/endpoint", Some(body));
    endpoint["id"].as_str().expect("an id").clone_into(&mut house.endpoint);

    // As they were made.
    let message = json!({"eventType": "a.b", "payload": {"n": 1}});
    let (first, first_arrived) = house.send(message.clone());
    assert_eq!(first_arrived[0]["accept"], "text/x");
    assert_eq!(first_arrived[0]["svix-signature"], first_arrived[0]["webhook-signature"]);
    let both = &["authorization", "x-api-key"];
    house.assert_said(&first, &first_arrived, both);

    // Two secrets sign, and there are other headers: one of them stands in for the URL's credentials.
    house.call("POST", "/app/{app}/endpoint/{endpoint}/secret/rotate", Some(json!({})));
    let headers = json!({"headers": {"authorization": "Bearer hush", "x-other": "two"}});
    house.call("PUT", "/app/{app}/endpoint/{endpoint}/headers", Some(headers));
    let raw = json!({"eventType": "a.b", "payload": {}, "transformationsParams":
        {"rawPayload": "plain", "headers": {"content-type": "text/plain"}}});
    let (second, second_arrived) = house.send(raw);
    assert_eq!(second_arrived[0]["webhook-signature"].split(' ').count(), 2);
    assert_eq!(second_arrived[0]["content-type"], "text/plain");
    house.assert_said(&second, &second_arrived, &["authorization"]);
    house.assert_said(&first, &first_arrived, both);

    // Elsewhere, without headers; and after all of this, another server.
    let plain = json!({"url": format!("http://localhost:{}/", house.receiver.address.port())});
    house.call("PATCH", "/app/{app}/endpoint/{endpoint}", Some(plain));
    let none = json!({"headers": {}});
    house.call("PUT", "/app/{app}/endpoint/{endpoint}/headers", Some(none));
    let (third, third_arrived) = house.send(message);
    assert!(third_arrived[0]["host"].starts_with("localhost:"));
    house.server.end("TERM");
    house.server = Server::serve(dir.path(), &settings);
    house.assert_said(&third, &third_arrived, &[]);
    house.assert_said(&second, &second_arrived, &["authorization"]);
    house.assert_said(&first, &first_arrived, both);

    // When the newest secret goes at once, what it signed cannot be signed again; what the one before has
    // signed alone still can.
    let at_once = json!({"gracePeriodSeconds": 0});
    house.call("POST", "/app/{app}/endpoint/{endpoint}/secret/rotate", Some(at_once));
    house.assert_said(&first, &first_arrived, both);
    for (said, arrived) in house.said(&third).iter().zip(&third_arrived) {
        let mut known = arrived.clone();
        known.retain(|name, _| !name.ends_with("-signature"));
        assert_eq!(said["sentHeaders"], json!(known));
        assert_eq!(said["unknown"].as_array().map(Vec::len), Some(1));
    }
}
