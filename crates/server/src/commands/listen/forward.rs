//! One delivery, from the server to this machine and its answer back.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use destinations::http::HttpDestination;
use domain::{
    attempt::Outcome,
    clock::{Clock, Timestamp},
    destination::{Destination, Request},
    id::ApplicationId,
};
use hyper::Method;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{sleep, timeout};
use url::Url;

use super::desk::Desk;
use crate::{commands::streams, env::SystemClock};

/// How long to wait before an acknowledgement that did not get through is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(200);
/// What the server is told where this machine has no answer.
const BAD_GATEWAY: u16 = 502;

/// A line of the server's.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Not there in a heartbeat.
    id: Option<String>,
    #[serde(default)]
    headers: BTreeMap<Arc<str>, String>,
    #[serde(default)]
    body_base64: String,
    #[serde(default)]
    timeout_ms: u64,
}

/// What has arrived.
pub struct Arrival {
    id: String,
    /// The message's id.
    pub message: String,
    headers: Vec<(Arc<str>, String)>,
    body: Vec<u8>,
    timeout: Duration,
    at: Timestamp,
}

impl Arrival {
    /// What a line holds; `None` of a heartbeat.
    ///
    /// # Errors
    /// It is not a line of a listener.
    pub fn read(line: &[u8]) -> anyhow::Result<Option<Self>> {
        let line: Line = serde_json::from_slice(line).context("a line that is none of ours")?;
        let Some(id) = line.id else { return Ok(None) };
        let named = |name: &str| line.headers.get(name).cloned();
        let message = named("webhook-id").or_else(|| named("svix-id")).unwrap_or_default();
        Ok(Some(Self {
            id,
            message,
            headers: line.headers.into_iter().collect(),
            body: BASE64.decode(line.body_base64).context("a body that is not Base64")?,
            timeout: Duration::from_millis(line.timeout_ms),
            at: SystemClock::new().now(),
        }))
    }
}

/// What became of an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// The server took it.
    Taken,
    /// The delivery was over at the server's, or the server was away: the event comes again.
    TooLate,
}

/// Brings deliveries to a URL of this machine.
pub struct Forwarder {
    /// Where to ask and what to tell.
    pub desk: Desk,
    /// Where deliveries go.
    pub to: Arc<Url>,
    /// How they get there.
    pub http: Arc<HttpDestination>,
}

impl Forwarder {
    /// Brings one delivery there, tells the server what came of it, and prints a row about it.
    pub async fn forward(&self, arrival: Arrival) {
        let request = Request {
            app: ApplicationId::from_raw([0; 20]),
            url: self.to.clone(),
            headers: arrival.headers,
            body: arrival.body.into(),
            deadline: arrival.timeout,
        };
        let outcome = self.http.deliver(request).await;
        let (status, body) = answer(&outcome);
        let told = self.acknowledge(&arrival.id, status, &body);
        let (told, event_type) =
            tokio::join!(timeout(arrival.timeout, told), self.desk.event_type(&arrival.message));
        let event_type = event_type.unwrap_or_else(|| "?".to_owned());
        let mut row = format!(
            "{}  {event_type:<24}  {:<31}  {status}  {:>5} ms",
            time_of_day(arrival.at),
            arrival.message,
            outcome.duration.as_millis(),
        );
        if outcome.status_code.is_none() {
            row.push_str("  no answer: ");
            row.push_str(&body);
        }
        if told.unwrap_or(Told::TooLate) == Told::TooLate {
            row.push_str("  (the server did not take the answer: the event comes again)");
        }
        say(&row);
    }

    /// Tells the server, again and again while it is away: it may be back in time.
    async fn acknowledge(&self, id: &str, status: u16, body: &str) -> Told {
        let path = format!("{}/{id}", self.desk.listen_path());
        let body = json!({ "status": status, "body": body });
        loop {
            match self.desk.remote.call(Method::POST, &path, Some(&body)).await {
                Ok((200..=299, _)) => return Told::Taken,
                Ok((500..=599, _)) | Err(_) => sleep(AGAIN_AFTER).await,
                Ok(_) => return Told::TooLate,
            }
        }
    }
}

/// What the server is told of an outcome: the status and the body of the answer, or that there was none.
fn answer(outcome: &Outcome) -> (u16, String) {
    let body = String::from_utf8_lossy(&outcome.response).into_owned();
    let whole = matches!(
        outcome.class,
        domain::attempt::OutcomeClass::Success | domain::attempt::OutcomeClass::Status
    );
    let status = outcome.status_code.filter(|status| whole && (200..600).contains(status));
    (status.unwrap_or(BAD_GATEWAY), body)
}

fn time_of_day(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or_default();
    at.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string()
}

/// Prints a line. What comes from elsewhere must not steer the terminal.
pub fn say(text: &str) {
    let plain: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    // Whoever reads no more still wants the events delivered.
    let _ = streams::print(format!("{plain}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use domain::attempt::OutcomeClass;

    use super::*;

    #[test]
    fn a_heartbeat_is_no_arrival() {
        assert!(Arrival::read(br#"{"heartbeat":true}"#).expect("ours").is_none());
        let line = br#"{"id":"1","headers":{"svix-id":"msg_1"},"bodyBase64":"e30=","timeoutMs":9}"#;
        let arrival = Arrival::read(line).expect("ours").expect("an arrival");
        assert_eq!((arrival.message.as_str(), arrival.body.as_slice()), ("msg_1", &b"{}"[..]));
        assert_eq!(arrival.timeout, Duration::from_millis(9));
        assert!(Arrival::read(b"<html>").is_err());
    }

    #[test]
    fn what_has_no_answer_is_a_bad_gateway() {
        for (class, status_code, status) in [
            (OutcomeClass::Success, Some(204), 204),
            (OutcomeClass::Status, Some(404), 404),
            (OutcomeClass::Status, Some(999), 502),
            (OutcomeClass::Connect, None, 502),
            // Its body broke off: nobody knows whether it was done.
            (OutcomeClass::Ambiguous, Some(200), 502),
        ] {
            let outcome = Outcome {
                class,
                status_code,
                response: "why".into(),
                duration: Duration::ZERO,
                retry_after: None,
                timed_out: false,
            };
            assert_eq!(answer(&outcome), (status, "why".to_owned()));
        }
    }
}
