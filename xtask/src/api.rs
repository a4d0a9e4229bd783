//! The few calls that campaigns make of the server's HTTP interface.
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::Duration;
use ureq::Agent;

/// A server and a token for it.
#[derive(Clone)]
pub struct Api {
    /// `http://host:port`.
    pub base: String,
    /// An organization's bearer token.
    pub token: String,
    agent: Agent,
}

impl Api {
    /// Calls answer within 10 s or fail.
    pub fn new(base: String, token: String) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(10)))
            .http_status_as_error(false)
            .build();
        Self { base, token, agent: config.into() }
    }

    /// Whether the server is up and answers.
    pub fn is_up(&self) -> bool {
        let answer = self.agent.get(format!("{}/api/v1/health/ping", self.base)).call();
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Sends a request as whoever has this token; status and JSON answer, null if there is none.
    pub fn call_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value)> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        let sent = match body {
            Some(body) => self.agent.run(request.body(body.to_string())?),
            None => self.agent.run(request.body(())?),
        };
        let mut answer = sent.with_context(|| format!("{method} {path}"))?;
        let text = answer.body_mut().read_to_string()?;
        Ok((answer.status().as_u16(), serde_json::from_str(&text).unwrap_or_default()))
    }

    /// The same as ourselves.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        self.call_as(&self.token, method, path, body)
    }

    /// Posts JSON and reads the JSON answer; anything but 2xx is an error.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.post_keyed(path, body, None)
    }

    /// The same with an idempotency key.
    pub fn post_keyed(&self, path: &str, body: &Value, key: Option<&str>) -> Result<Value> {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {}", self.token));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let mut answer = request.send_json(body).with_context(|| path.to_owned())?;
        let status = answer.status();
        let text = answer.body_mut().read_to_string()?;
        ensure!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).with_context(|| format!("{path}: {text}"))
    }
}
