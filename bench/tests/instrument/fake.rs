//! As much of the message API as the load generator uses, with faults to order.
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, body::Incoming, client, server, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::{TcpListener, TcpStream};

/// What goes wrong, by the number of the message (from 0).
#[derive(Clone, Copy, Default)]
pub struct Faults {
    /// These are acknowledged and never delivered.
    pub lose_every: Option<usize>,
    /// These are delivered twice.
    pub copy_every: Option<usize>,
    /// These are delivered again as another message.
    pub republish_every: Option<usize>,
    /// Deliveries per second, one after the other.
    pub per_second: Option<u32>,
    /// So many requests are answered 503 at first.
    pub refuse_first: usize,
}

/// A server on a loopback port that lives as long as the value.
pub struct Fake {
    /// `http://host:port`.
    pub base: String,
    state: Arc<State>,
    _runtime: tokio::runtime::Runtime,
}

struct State {
    faults: Faults,
    books: Mutex<Books>,
    pace: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Books {
    /// URLs by application.
    endpoints: Vec<Vec<String>>,
    messages: usize,
    refused: usize,
    keys: HashSet<String>,
}

impl Fake {
    /// Starts it.
    pub fn start(faults: Faults) -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(State {
            faults,
            books: Mutex::default(),
            pace: tokio::sync::Mutex::default(),
        });
        runtime.spawn(state.clone().serve(listener));
        Self { base, state, _runtime: runtime }
    }

    /// Idempotency keys seen so far, each once.
    pub fn distinct_keys(&self) -> usize {
        self.state.books.lock().expect("unpoisoned").keys.len()
    }
}

impl State {
    async fn serve(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let state = self.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| state.clone().handle(request));
                let connection = server::conn::http1::Builder::new();
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
        let key = head.headers.get("idempotency-key").and_then(|k| k.to_str().ok());
        let path: Vec<_> = head.uri.path().split('/').skip(3).collect();
        let (status, answer) = if head.method == Method::DELETE {
            (204, Value::Null)
        } else {
            self.post(&path, &body, key)
        };
        let mut response = Response::new(Full::from(answer.to_string()));
        *response.status_mut() = status.try_into().expect("a status");
        Ok(response)
    }

    fn post(self: &Arc<Self>, path: &[&str], body: &[u8], key: Option<&str>) -> (u16, Value) {
        let mut books = self.books.lock().expect("unpoisoned");
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let app = |id: &str| id.strip_prefix("app_").and_then(|n| n.parse::<usize>().ok());
        match path {
            ["app"] => {
                books.endpoints.push(Vec::new());
                (201, json!({ "id": format!("app_{}", books.endpoints.len() - 1) }))
            }
            ["app", id, "endpoint"] => {
                let url = body["url"].as_str().expect("a URL").to_owned();
                books.endpoints[app(id).expect("an application")].push(url);
                (201, json!({}))
            }
            ["app", _, "msg"] if books.refused < self.faults.refuse_first => {
                books.refused += 1;
                (503, json!({}))
            }
            ["app", id, "msg"] => {
                books.keys.extend(key.map(str::to_owned));
                let number = books.messages;
                books.messages += 1;
                let payload = body["payload"].to_string();
                for url in books.endpoints[app(id).expect("an application")].clone() {
                    tokio::spawn(self.clone().deliver(number, url, payload.clone()));
                }
                (202, json!({}))
            }
            _ => (404, json!({})),
        }
    }

    async fn deliver(self: Arc<Self>, number: usize, url: String, payload: String) {
        let hit = |every: Option<usize>| every.is_some_and(|n| number.is_multiple_of(n));
        if hit(self.faults.lose_every) {
            return;
        }
        if let Some(rate) = self.faults.per_second {
            let _turn = self.pace.lock().await;
            tokio::time::sleep(Duration::from_secs(1) / rate).await;
        }
        let mut copies = vec![format!("msg_{number}")];
        copies.extend(hit(self.faults.copy_every).then(|| format!("msg_{number}")));
        copies.extend(hit(self.faults.republish_every).then(|| format!("msg_{number}_again")));
        for id in copies {
            while !attempt(&url, &id, &payload).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Whether the receiver took it.
async fn attempt(url: &str, id: &str, payload: &str) -> bool {
    let (authority, path) = url["http://".len()..].split_once('/').expect("a path");
    let Ok(stream) = TcpStream::connect(authority).await else { return false };
    let io = TokioIo::new(stream);
    let (mut sender, connection) =
        client::conn::http1::handshake(io).await.expect("a handshake sends nothing yet");
    tokio::spawn(connection);
    let request = Request::post(format!("/{path}"))
        .header("host", authority)
        .header("webhook-id", id)
        .body(Full::<Bytes>::from(payload.to_owned()))
        .expect("a request");
    sender.send_request(request).await.is_ok_and(|answer| answer.status().is_success())
}
