//! Where notices go.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use url::Url;

/// Most bytes of a channel's URL.
pub const MAX_URL_BYTES: usize = 2_048;
/// Most bytes of an e-mail address (RFC 5321).
pub const MAX_EMAIL_BYTES: usize = 254;

/// A URL that is itself a secret: whoever knows it can post there. Only its host is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretUrl(Url);

impl SecretUrl {
    /// The URL, to post to.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// What may be shown of it.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl({})", self.host())
    }
}

impl FromStr for SecretUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_URL_BYTES {
            return Err("must be at most 2048 bytes long");
        }
        let url: Url = text.parse().map_err(|_| "must be a URL")?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err("must be a URL that begins with https:// or http://");
        }
        Ok(Self(url))
    }
}

/// Where a notice goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Channel {
    /// An operational webhook, to whoever listens for those of the organization.
    Operational,
    /// An incoming webhook as Slack, Mattermost and others have them: `{"text": …}`.
    Slack {
        /// Where to.
        url: SecretUrl,
    },
    /// A URL that gets what an operational webhook would say.
    Webhook {
        /// Where to.
        url: SecretUrl,
    },
    /// An e-mail.
    Email {
        /// To whom.
        to: String,
    },
}

impl Channel {
    /// An e-mail channel, if the address may be one. Whether it exists only the mail server can say.
    pub fn email(to: &str) -> Result<Self, &'static str> {
        let plain = to.bytes().all(|b| b.is_ascii_graphic() && !b"<>,;:\"()[]\\".contains(&b));
        let (name, host) = to.rsplit_once('@').unwrap_or_default();
        let is_one = plain && !name.is_empty() && !name.contains('@') && !host.is_empty();
        if !is_one || to.len() > MAX_EMAIL_BYTES {
            return Err("must be an e-mail address, as ops@example.com");
        }
        Ok(Self::Email { to: to.to_owned() })
    }

    /// Its kind, as the API calls it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Operational => "operational",
            Self::Slack { .. } => "slack",
            Self::Webhook { .. } => "webhook",
            Self::Email { .. } => "email",
        }
    }

    /// What may be shown of where it goes.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Operational => None,
            Self::Slack { url } | Self::Webhook { url } => Some(url.host()),
            Self::Email { to } => Some(to),
        }
    }

    /// It in a few words, without anything secret.
    pub fn shown(&self) -> String {
        match self.target() {
            None => self.kind().to_owned(),
            Some(target) => format!("{} {target}", self.kind()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_secret_but_for_their_host() {
        let url: SecretUrl = "https://me:pw@hooks.example/services/T0/hush".parse().expect("a URL");
        let channel = Channel::Slack { url };
        let shown = format!("{channel:?} {}", channel.shown());
        assert!(shown.contains("slack hooks.example"), "{shown}");
        assert!(!shown.contains("hush") && !shown.contains("pw"), "{shown}");
        for text in ["", "ftp://example.com", "data:x", "not a url"] {
            assert!(text.parse::<SecretUrl>().is_err(), "{text}");
        }
        let long = format!("https://example.com/{}", "a".repeat(MAX_URL_BYTES));
        assert!(long.parse::<SecretUrl>().is_err());
    }

    #[test]
    fn addresses_that_cannot_be_any_are_refused() {
        for to in ["ops@example.com", "a+b@localhost"] {
            assert_eq!(Channel::email(to), Ok(Channel::Email { to: to.into() }), "{to}");
        }
        for to in ["", "@", "a@", "@b", "a@b@c", "a b@c", "a@b\r\nBcc: c@d", "<a@b>", "a@b,c@d"] {
            assert!(Channel::email(to).is_err(), "{to}");
        }
        assert!(Channel::email(&format!("{}@b", "a".repeat(300))).is_err());
    }
}
