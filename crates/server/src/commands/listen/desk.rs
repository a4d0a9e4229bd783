//! The endpoint that is listened to: which one, and the calls that are about it.

use anyhow::{Context, ensure};
use domain::{
    destination::{LISTENER_HOST, leads_to_listener},
    entropy::Entropy,
};
use hyper::Method;
use serde_json::{Value, json};

use super::remote::Remote;
use crate::env::{SystemEntropy, machine_name};

/// Whose events are listened to.
pub enum Whose<'a> {
    /// Those of a source, by its id or uid.
    Source(&'a str),
    /// Those of an application, by its id or uid.
    App(&'a str),
}

/// An endpoint at a server.
pub struct Desk {
    /// The server.
    pub remote: Remote,
    /// The application's id.
    pub app: String,
    /// The endpoint's id.
    pub endpoint: String,
}

impl Desk {
    /// Finds the application, and makes an endpoint of it, or takes one that is there.
    ///
    /// # Errors
    /// The server cannot be reached or refuses, or the endpoint is not one for listeners.
    pub async fn open(
        remote: Remote,
        whose: Whose<'_>,
        endpoint: Option<&str>,
    ) -> anyhow::Result<Self> {
        let (path, field) = match whose {
            Whose::Source(source) => (format!("/ingest/api/v1/source/{}", part(source)), "appId"),
            Whose::App(app) => (format!("/api/v1/app/{}", part(app)), "id"),
        };
        let found = remote.must(Method::GET, &path, None).await?;
        let app = text(&found, field)?;
        let endpoints = format!("/api/v1/app/{app}/endpoint");
        let endpoint = match endpoint {
            Some(endpoint) => {
                let path = format!("{endpoints}/{}", part(endpoint));
                let found = remote.must(Method::GET, &path, None).await?;
                let url = text(&found, "url")?;
                ensure!(
                    url.parse().is_ok_and(|url| leads_to_listener(&url)),
                    "{endpoint} goes to {url}: it is none that was made by `hookwright listen`"
                );
                found
            }
            None => remote.must(Method::POST, &endpoints, Some(&new_endpoint())).await?,
        };
        let endpoint = text(&endpoint, "id")?;
        Ok(Self { remote, app, endpoint })
    }

    /// Where it is listened to.
    pub fn listen_path(&self) -> String {
        format!("/api/v1/app/{}/endpoint/{}/listen", self.app, self.endpoint)
    }

    /// The type of a message, where that can be found out.
    pub async fn event_type(&self, message: &str) -> Option<String> {
        let path = format!("/api/v1/app/{}/msg/{}?with_content=false", self.app, part(message));
        let message = self.remote.must(Method::GET, &path, None).await.ok()?;
        Some(message["eventType"].as_str()?.to_owned())
    }

    /// Has a message sent here once more.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub async fn resend(&self, message: &str) -> anyhow::Result<()> {
        let Self { remote, app, endpoint } = self;
        let message = part(message);
        let path = format!("/api/v1/app/{app}/msg/{message}/endpoint/{endpoint}/resend");
        remote.must(Method::POST, &path, Some(&json!({}))).await.map(drop)
    }

    /// Takes the endpoint away. It is gone already if somebody else did.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub async fn delete(&self) -> anyhow::Result<()> {
        let path = format!("/api/v1/app/{}/endpoint/{}", self.app, self.endpoint);
        match self.remote.call(Method::DELETE, &path, None).await? {
            (200..=299 | 404, _) => Ok(()),
            (status, answer) => anyhow::bail!("HTTP {status} {answer}"),
        }
    }
}

/// An endpoint of this machine's own. Its schedule is short at first, because a developer waits, and
/// long enough for a lunch break.
fn new_endpoint() -> Value {
    let mut bytes = [0; 16];
    SystemEntropy.fill(&mut bytes);
    let schedule: Vec<&str> = [&["2s", "5s", "10s", "30s"][..], &["1m"; 30], &["5m"; 16]].concat();
    json!({
        "url": format!("https://{LISTENER_HOST}/{:032x}", u128::from_le_bytes(bytes)),
        "description": format!("hookwright listen on {}", machine_name()),
        "retrySchedule": schedule,
    })
}

/// A part of a path, so that it stays one.
fn part(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn text(value: &Value, field: &str) -> anyhow::Result<String> {
    value[field].as_str().map(str::to_owned).with_context(|| format!("an answer without `{field}`"))
}

#[cfg(test)]
mod tests {
    use domain::retry::{MAX_RETRIES, RetrySchedule};

    use super::*;

    #[test]
    fn the_schedule_is_a_valid_one() {
        let schedule = new_endpoint()["retrySchedule"].clone();
        assert_eq!(schedule.as_array().map(Vec::len), Some(MAX_RETRIES));
        let schedule: RetrySchedule = serde_json::from_value(schedule).expect("valid");
        assert!(schedule.total().as_secs() > 3_600);
    }
}
