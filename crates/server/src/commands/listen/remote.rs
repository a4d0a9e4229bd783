//! The server as `listen` sees it: short calls on a few connections, and one long answer.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, anyhow, bail};
use bytes::{Bytes, BytesMut};
use destinations::http::HttpDestination;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::timeout;
use url::{Position, Url};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest answer of a call, in bytes.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// Longest line of a long answer: a payload in Base64, and its headers.
const MAX_LINE_BYTES: usize = 128 * 1024 * 1024;
/// Most connections that are kept for further calls.
const MAX_KEPT: usize = 8;

type Sender = SendRequest<Full<Bytes>>;

/// A server, and who we are there.
pub struct Remote {
    base: Url,
    token: String,
    http: Arc<HttpDestination>,
    kept: Mutex<Vec<Sender>>,
}

/// A long answer, line by line.
pub struct Lines {
    body: Incoming,
    read: BytesMut,
    /// The connection ends with them.
    _sender: Sender,
}

impl Remote {
    /// The server at `base`, reached by way of `http`.
    pub fn new(base: Url, token: String, http: Arc<HttpDestination>) -> Self {
        Self { base, token, http, kept: Mutex::default() }
    }

    /// Where the server is, for people: nothing that is secret.
    pub fn shown(&self) -> String {
        domain::endpoint::shown_url(&self.base).trim_end_matches('/').to_owned()
    }

    /// One call. Returns status and answer (`null` if it has none).
    ///
    /// # Errors
    /// The server cannot be reached, or answers with something else than JSON.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<(u16, Value)> {
        // A kept connection may have ended just now. What is called here does no harm twice.
        let kept = self.kept.lock().pop().filter(|sender| !sender.is_closed());
        if let Some(sender) = kept
            && let Ok(answer) = self.call_on(sender, method.clone(), path, body).await
        {
            return Ok(answer);
        }
        let sender = self.connect().await?;
        self.call_on(sender, method, path, body).await
    }

    /// The answer to a call that must succeed.
    ///
    /// # Errors
    /// Those of [`Remote::call`], and any other status than 2xx.
    pub async fn must(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        match self.call(method, path, body).await? {
            (200..=299, answer) => Ok(answer),
            (status, answer) => bail!("{}", refusal(path, status, &answer)),
        }
    }

    /// Begins to read a long answer: its lines, or the status and the error.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn lines(&self, path: &str) -> anyhow::Result<Result<Lines, (u16, Value)>> {
        let mut sender = self.connect().await?;
        let response = self.exchange(&mut sender, Method::GET, path, None).await?;
        if response.status() != 200 {
            return Ok(Err(answer(response).await?));
        }
        let body = response.into_body();
        Ok(Ok(Lines { body, read: BytesMut::new(), _sender: sender }))
    }

    async fn connect(&self) -> anyhow::Result<Sender> {
        let stream = self.http.open(&self.base, CONNECT_TIMEOUT).await;
        let stream = stream.map_err(|error| anyhow!("cannot reach {}: {error}", self.shown()))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        dispatch::spawn::spawn("listen.connection", connection);
        Ok(sender)
    }

    async fn call_on(
        &self,
        mut sender: Sender,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<(u16, Value)> {
        let exchange = async {
            let response = self.exchange(&mut sender, method, path, body).await?;
            answer(response).await
        };
        let answered = timeout(ANSWER_TIMEOUT, exchange).await;
        let answered = answered.map_err(|_| anyhow!("{path}: no answer in time"))??;
        let mut kept = self.kept.lock();
        if kept.len() < MAX_KEPT {
            kept.push(sender);
        }
        Ok(answered)
    }

    async fn exchange(
        &self,
        sender: &mut Sender,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Response<Incoming>> {
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base.path().trim_end_matches('/')))
            .header(header::HOST, &self.base[Position::BeforeHost..Position::AfterPort])
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        sender.ready().await?;
        let sent = timeout(ANSWER_TIMEOUT, sender.send_request(request)).await;
        Ok(sent.map_err(|_| anyhow!("{path}: no answer in time"))??)
    }
}

/// What a refusal says, for people.
pub fn refusal(path: &str, status: u16, answer: &Value) -> String {
    match answer["detail"].as_str() {
        Some(detail) => format!("{path}: HTTP {status}: {detail}"),
        None => format!("{path}: HTTP {status} {answer}"),
    }
}

async fn answer(response: Response<Incoming>) -> anyhow::Result<(u16, Value)> {
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
    let body = body.map_err(|error| anyhow!("an answer: {error}"))?.to_bytes();
    let value = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&body)
            .with_context(|| format!("HTTP {status}, but not from Hookwright: not JSON"))?
    };
    Ok((status, value))
}

impl Lines {
    /// The next line, without its end; `None` when there are no more, however that came about. Dropping
    /// the future loses nothing.
    pub async fn next(&mut self) -> Option<BytesMut> {
        let mut looked_at = 0;
        loop {
            if let Some(at) = self.read[looked_at..].iter().position(|byte| *byte == b'\n') {
                let mut line = self.read.split_to(looked_at + at + 1);
                line.truncate(looked_at + at);
                return Some(line);
            }
            looked_at = self.read.len();
            if looked_at > MAX_LINE_BYTES {
                return None;
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.read.extend_from_slice(&data);
            }
        }
    }
}
