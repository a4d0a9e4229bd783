//! Rules as JSON.

use std::time::Duration;

use domain::{
    alert::{Channel, MAX_CHANNELS, MAX_HOLD, MAX_NAME_BYTES, Rule},
    clock::Timestamp,
    id::AlertRuleId,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::condition::AlertCondition;
use crate::{
    error::{Fault, Faults},
    routes::check,
};

const fn yes() -> bool {
    true
}

/// Where a notice goes.
#[derive(Debug, Deserialize, ToSchema)]
pub struct AlertChannelIn {
    /// `operational` (a message to whoever listens for operational webhooks), `slack` (an incoming webhook
    /// that takes `{"text": …}`), `webhook` (a URL that gets what an operational webhook says), or `email`.
    #[serde(rename = "type")]
    kind: String,
    /// Of `slack` and `webhook`. It is a secret: only its host is ever shown. Where a rule is replaced, a
    /// channel without it keeps the URL of the channel that stands there.
    #[serde(default)]
    url: Option<String>,
    /// Of `email`: the address.
    #[serde(default)]
    to: Option<String>,
}

impl AlertChannelIn {
    /// The channel; `old` is the one that stands at its place.
    fn checked(
        &self,
        old: Option<&Channel>,
        mail: bool,
    ) -> Result<Channel, (&'static str, String)> {
        let url = || match (&self.url, old) {
            (Some(url), _) => url.parse().map_err(|msg: &str| ("url", msg.to_owned())),
            (None, Some(Channel::Slack { url })) if self.kind == "slack" => Ok(url.clone()),
            (None, Some(Channel::Webhook { url })) if self.kind == "webhook" => Ok(url.clone()),
            (None, _) => Err(("url", "is needed".to_owned())),
        };
        match self.kind.as_str() {
            "operational" => Ok(Channel::Operational),
            "slack" => Ok(Channel::Slack { url: url()? }),
            "webhook" => Ok(Channel::Webhook { url: url()? }),
            "email" if !mail => {
                Err(("type", "this server sends no e-mail: `smtp_url` is not set".to_owned()))
            }
            "email" => Channel::email(self.to.as_deref().unwrap_or_default())
                .map_err(|msg| ("to", msg.to_owned())),
            _ => Err(("type", "must be operational, slack, webhook or email".to_owned())),
        }
    }
}

/// Where a notice goes, without anything secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertChannelOut {
    /// Of which kind.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Of `slack` and `webhook`: the host of the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    /// Of `email`: the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
}

impl From<&Channel> for AlertChannelOut {
    fn from(channel: &Channel) -> Self {
        let target = channel.target().map(str::to_owned);
        let is_mail = matches!(channel, Channel::Email { .. });
        let (host, to) = if is_mail { (None, target) } else { (target, None) };
        Self { kind: channel.kind(), host, to }
    }
}

/// A rule.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertRuleIn {
    /// For people: up to 256 bytes.
    name: String,
    /// Whether it is looked at.
    #[serde(default = "yes")]
    enabled: bool,
    /// What it is about.
    pub(super) condition: AlertCondition,
    /// For how long it must be so before it fires, and be good again before that is over, in seconds: up to
    /// 86400.
    #[serde(default)]
    hold_secs: u64,
    /// Who is told: up to 10.
    #[serde(default)]
    channels: Vec<AlertChannelIn>,
}

impl AlertRuleIn {
    /// Writes it to a rule, which has channels if it is there already. `mail`: whether e-mail can be sent.
    pub(super) fn apply(
        &self,
        rule: &mut Rule,
        app: Option<domain::id::ApplicationId>,
        mail: bool,
    ) -> Result<(), crate::ApiError> {
        let mut faults = Faults::default();
        if self.name.trim().is_empty() || self.name.len() > MAX_NAME_BYTES {
            faults.body("name", format!("must be 1 to {MAX_NAME_BYTES} bytes long"));
        }
        check::text(&mut faults, "name", &self.name);
        let hold = Duration::from_secs(self.hold_secs);
        if hold > MAX_HOLD {
            faults.body("holdSecs", format!("must be at most {}", MAX_HOLD.as_secs()));
        }
        if self.channels.len() > MAX_CHANNELS {
            faults.body("channels", format!("at most {MAX_CHANNELS}"));
        }
        let mut channels = Vec::new();
        for (at, channel) in self.channels.iter().enumerate().take(MAX_CHANNELS) {
            match channel.checked(rule.channels.get(at), mail) {
                Ok(channel) => channels.push(channel),
                Err((field, msg)) => {
                    let mut fault = Fault::new(&["body", "channels"], msg);
                    fault.loc.extend([format!("[{at}]").into(), field.into()]);
                    faults.push(fault);
                }
            }
        }
        let condition = self.condition.checked(app, &mut faults);
        faults.finish()?;
        if let Some(condition) = condition {
            rule.condition = condition;
        }
        rule.name.clone_from(&self.name);
        (rule.enabled, rule.hold, rule.channels) = (self.enabled, hold, channels);
        Ok(())
    }
}

/// A rule.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertRuleOut {
    /// Ours.
    #[schema(value_type = String, example = "arule_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: AlertRuleId,
    /// For people.
    name: String,
    /// Whether it is looked at.
    enabled: bool,
    /// What it is about.
    condition: AlertCondition,
    /// For how long it must be so, in seconds.
    hold_secs: u64,
    /// Who is told.
    channels: Vec<AlertChannelOut>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<Rule> for AlertRuleOut {
    fn from(rule: Rule) -> Self {
        Self {
            id: rule.id,
            condition: (&rule.condition).into(),
            channels: rule.channels.iter().map(AlertChannelOut::from).collect(),
            name: rule.name,
            enabled: rule.enabled,
            hold_secs: rule.hold.as_secs(),
            created_at: rule.created_at,
            updated_at: rule.updated_at,
        }
    }
}
