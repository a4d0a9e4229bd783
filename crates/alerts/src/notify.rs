//! Telling whoever is to be told.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{
    alert::{Alert, Channel, Rule, Subject},
    clock::Timestamp,
    id::{AlertId, OrganizationId},
    name::Uid,
    operational::{ALERT_CLEARED, ALERT_FIRED, alert_payload},
};
use publish::{Publisher, Rejected};
use serde_json::json;
use tokio::time::timeout;
use url::Url;

use crate::words;

/// Longest that one notice may take.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A rule fired.
    Fired,
    /// That is over.
    Cleared,
    /// Nothing happened: it is to show whether a channel works.
    Test,
}

/// The way out. Its errors say what happened, and nothing secret.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Posts JSON to a URL that the organization gave, past the address guard.
    async fn post_json(&self, org: OrganizationId, url: &Url, body: String) -> Result<(), String>;

    /// Sends an e-mail of plain text.
    async fn mail(&self, to: &str, subject: &str, text: &str) -> Result<(), String>;
}

/// Tells.
#[derive(Clone)]
pub struct Tell {
    publisher: Arc<Publisher>,
    notifier: Arc<dyn Notifier>,
    public_url: Arc<str>,
}

impl Tell {
    /// Links begin with `public_url`, which has no slash at its end.
    pub fn new(
        publisher: Arc<Publisher>,
        notifier: Arc<dyn Notifier>,
        public_url: impl Into<Arc<str>>,
    ) -> Self {
        Self { publisher, notifier, public_url: public_url.into() }
    }

    /// Tells one channel of an alert. The error says what happened instead.
    pub async fn alert(
        &self,
        channel: &Channel,
        alert: &Alert,
        event: Event,
    ) -> Result<(), String> {
        let told = timeout(DEADLINE, self.tell(channel, alert, event)).await;
        let told = told.unwrap_or_else(|_| Err(format!("no answer within {DEADLINE:?}")));
        let outcome = if told.is_ok() { "sent" } else { "failed" };
        metrics::counter!("hookwright_alert_notices_total", "channel" => channel.kind(), "outcome" => outcome)
            .increment(1);
        told
    }

    async fn tell(&self, channel: &Channel, alert: &Alert, event: Event) -> Result<(), String> {
        let url = format!("{}/console/alerts/{}", self.public_url, alert.id);
        let line = words::line(alert, event, &url);
        let payload = || {
            let mut payload = alert_payload(alert, event == Event::Cleared, &line, &url);
            if event == Event::Test {
                payload["data"]["test"] = json!(true);
            }
            payload.to_string()
        };
        match channel {
            Channel::Operational => self.publish(alert, event, payload()).await,
            Channel::Slack { url } => {
                let body = json!({ "text": escaped(&line) }).to_string();
                self.notifier.post_json(alert.org, url.expose(), body).await
            }
            Channel::Webhook { url } => {
                self.notifier.post_json(alert.org, url.expose(), payload()).await
            }
            Channel::Email { to } => {
                let what = match event {
                    Event::Fired => "Alert",
                    Event::Cleared => "Cleared",
                    Event::Test => "Test",
                };
                let subject = words::one_line(&format!("{what}: {}", alert.rule_name));
                self.notifier.mail(to, &subject, &format!("{line}\n")).await
            }
        }
    }

    async fn publish(&self, alert: &Alert, event: Event, payload: String) -> Result<(), String> {
        let name = if event == Event::Cleared { ALERT_CLEARED } else { ALERT_FIRED };
        // The same event again is the same message.
        let id: Uid = format!("{name}-{}", alert.id.to_string().replace('_', "-"))
            .parse()
            .map_err(|_| "no name for the event".to_owned())?;
        let published = self.publisher.publish_alert(alert.org, name, id, payload).await;
        published.map_err(|rejected| match rejected {
            Rejected::OverQuota => "too much is pending there".to_owned(),
            rejected => {
                tracing::warn!(?rejected, alert = %alert.id, "an alert could not be told");
                "it could not be stored".to_owned()
            }
        })
    }

    /// Tells every channel of a rule that this is a test: what came of each, in their order.
    pub async fn test(&self, rule: &Rule, id: AlertId, now: Timestamp) -> Vec<Result<(), String>> {
        let (threshold, _) = rule.condition.threshold();
        let alert = Alert {
            org: rule.org,
            id,
            rule: rule.id,
            rule_name: rule.name.clone(),
            condition: rule.condition.kind().to_owned(),
            subject: Subject::Organization,
            since: now,
            fired_at: now,
            cleared_at: None,
            value: threshold,
            threshold,
            text: "this is how you will be told; nothing has happened.".to_owned(),
            notices: Vec::new(),
        };
        let told = rule.channels.iter().map(|channel| self.alert(channel, &alert, Event::Test));
        futures_util::future::join_all(told).await
    }
}

/// As Slack wants text that is none of its markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
