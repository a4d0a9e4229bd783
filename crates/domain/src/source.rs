//! An inbound URL: where a provider posts, and what is done with what comes. A source is a part of an
//! application of its own: what it receives are that application's messages, and its endpoints get them
//! as those of any other.

use std::{fmt, str::FromStr, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    clock::Timestamp,
    entropy::Entropy,
    id::{ApplicationId, InvalidId, OrganizationId},
    name::{InvalidName, Uid},
};

/// How long an old token is good after it was replaced (Svix: 48 h).
pub const TOKEN_OVERLAP: Duration = Duration::from_secs(48 * 3_600);
/// Most tokens that are good beside the newest one (Svix: three rotations in 48 h).
pub const MAX_OLD_TOKENS: usize = 3;
/// How long an event's id is remembered where the source does not say: longer than most providers retry.
pub const DEDUPE_WINDOW: Duration = Duration::from_secs(7 * 86_400);
/// The longest that it may be remembered: an event is found by its id at least as long as its payload.
pub const MAX_DEDUPE_WINDOW: Duration = Duration::from_secs(90 * 86_400);
/// Most bytes of a body where the source does not say (1 MiB), and at all (25 MiB: what GitHub sends).
pub const BODY_BYTES: (u32, u32) = (1 << 20, 25 << 20);

/// What a source is. All of it is sealed where it is stored: its configuration holds the provider's
/// secrets, and whoever knows a token can post to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The API's type of it: a provider's id, `custom`, or `cron`.
    pub kind: String,
    /// What the type takes: a JSON object, as it was given.
    pub config: Config,
    /// The newest one last. The others are good until they expire.
    pub tokens: Vec<SourceToken>,
    /// What it does beyond what its provider says.
    #[serde(default)]
    pub settings: SourceSettings,
    /// A secret that the provider itself has sent, when it asked whether the URL is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_secret: Option<Config>,
}

/// A text that may hold secrets: it is never shown in logs, and wiped when it goes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Config(Zeroizing<String>);

impl Config {
    /// Keeps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Config(…)")
    }
}

/// One of a source's tokens: the part of its URL that nobody guesses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceToken {
    /// What stands in the URL.
    pub secret: Config,
    /// When it is no good any more; `None` for the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// What can be set for each source. What is `None` is as the provider has it, or as the constants of this
/// file say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SourceSettings {
    /// It takes nothing: its URL answers as one that does not exist.
    pub disabled: bool,
    /// The URL that the provider was given, where it signs it and this is not how it looks here.
    pub public_url: Option<String>,
    /// The status for what is not genuine: 400, 401 (the default) or 403.
    pub unverified_status: Option<u16>,
    /// The answer to an event that was taken in.
    pub acknowledgement: Option<Acknowledgement>,
    /// How long an event's id is remembered, in seconds; up to [`MAX_DEDUPE_WINDOW`].
    pub dedupe_window_secs: Option<u32>,
    /// Whether equal bodies are the same event where there is no id.
    pub dedupe_by_body: Option<bool>,
    /// Most requests per second; the others are answered 429.
    pub throttle_rate: Option<u16>,
    /// Most bytes of a body, up to the second of [`BODY_BYTES`].
    pub max_body_bytes: Option<u32>,
    /// Headers of the request that go on to endpoints, beside `content-type`.
    pub forward_headers: Option<Vec<String>>,
}

/// The answer to an event that was taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Acknowledgement {
    /// A 2xx.
    pub status: u16,
    /// Of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Sent as it is.
    #[serde(default)]
    pub body: String,
}

impl Source {
    /// The token that is shown, and with it the URL.
    pub fn token(&self) -> Option<&SourceToken> {
        self.tokens.last()
    }

    /// Replaces the token. The old one is good for [`TOKEN_OVERLAP`]. `false` if so many old ones are
    /// still good that there is no room ([`MAX_OLD_TOKENS`]).
    pub fn rotate_token(&mut self, now: Timestamp, entropy: &dyn Entropy) -> bool {
        self.tokens.retain(|token| token.is_good(now));
        if self.tokens.len() > MAX_OLD_TOKENS {
            return false;
        }
        if let Some(newest) = self.tokens.last_mut() {
            newest.expires_at = Some(now.plus(TOKEN_OVERLAP));
        }
        self.tokens.push(SourceToken::generate(entropy));
        true
    }

    /// How long an event's id is remembered.
    pub fn dedupe_window(&self) -> Duration {
        let given = self.settings.dedupe_window_secs;
        given.map_or(DEDUPE_WINDOW, |secs| Duration::from_secs(secs.into()))
    }

    /// Most bytes of a body.
    pub fn max_body_bytes(&self) -> usize {
        self.settings.max_body_bytes.unwrap_or(BODY_BYTES.0).min(BODY_BYTES.1) as usize
    }
}

impl SourceToken {
    /// A new one: 16 random bytes.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut raw = [0; 16];
        entropy.fill(&mut raw);
        Self { secret: Config::new(URL_SAFE_NO_PAD.encode(raw)), expires_at: None }
    }

    /// Whether it is good at this moment.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }
}

/// What stands in an inbound URL behind `/in/`: whose source it is, and a token of it. It is found by the
/// first two, so that no index crosses tenants; the token is compared in constant time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundToken {
    /// The environment.
    pub org: OrganizationId,
    /// The source's application.
    pub app: ApplicationId,
    /// A [`SourceToken`].
    pub secret: Config,
}

/// The text is no inbound token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an inbound token")]
pub struct InvalidInboundToken;

impl fmt::Display for InboundToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut raw = [0; 40];
        raw[..20].copy_from_slice(self.org.raw());
        raw[20..].copy_from_slice(self.app.raw());
        write!(f, "{}.{}", URL_SAFE_NO_PAD.encode(raw), self.secret.as_str())
    }
}

impl FromStr for InboundToken {
    type Err = InvalidInboundToken;

    fn from_str(text: &str) -> Result<Self, InvalidInboundToken> {
        let (owner, secret) = text.split_once('.').ok_or(InvalidInboundToken)?;
        if secret.is_empty() || secret.len() > 64 || owner.len() > 64 {
            return Err(InvalidInboundToken);
        }
        let raw = URL_SAFE_NO_PAD.decode(owner).map_err(|_| InvalidInboundToken)?;
        let raw: [u8; 40] = raw.try_into().map_err(|_| InvalidInboundToken)?;
        let (org, app) = raw.split_at(20);
        Ok(Self {
            org: OrganizationId::from_raw(org.try_into().expect("half of 40")),
            app: ApplicationId::from_raw(app.try_into().expect("half of 40")),
            secret: Config::new(secret),
        })
    }
}

/// A source's id: that of its application, under its own prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub ApplicationId);

impl SourceId {
    /// What it begins with.
    pub const PREFIX: &'static str = "src";
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let tail = text.split_once('_').map_or("", |(_, tail)| tail);
        write!(f, "{}_{tail}", Self::PREFIX)
    }
}

impl FromStr for SourceId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = InvalidId { prefix: Self::PREFIX };
        let tail = text.strip_prefix("src_").ok_or(invalid)?;
        format!("app_{tail}").parse().map(Self).map_err(|_| invalid)
    }
}

/// The uid of a source's application: the source's own behind `src.`. Sources have no dot in theirs, so
/// that the two do not meet by chance.
pub fn stored_uid(uid: &Uid) -> Result<Uid, InvalidName> {
    format!("{UID_PREFIX}{uid}").parse()
}

/// A source's uid, from that of its application.
pub fn shown_uid(stored: &Uid) -> Option<&str> {
    stored.as_str().strip_prefix(UID_PREFIX)
}

const UID_PREFIX: &str = "src.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn an_inbound_token_reads_back() {
        let entropy = SeededEntropy::new(1);
        let now = Timestamp::from_micros(1_790_000_000_000_000);
        let token = InboundToken {
            org: OrganizationId::generate(now, &entropy),
            app: ApplicationId::generate(now, &entropy),
            secret: SourceToken::generate(&entropy).secret,
        };
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        for bad in ["", ".", "x.y", &format!("{token}").replace('.', "")] {
            assert_eq!(bad.parse::<InboundToken>(), Err(InvalidInboundToken), "{bad}");
        }
    }

    #[test]
    fn old_tokens_are_good_for_a_while_and_are_few() {
        let entropy = SeededEntropy::new(2);
        let now = Timestamp::from_micros(1_790_000_000_000_000);
        let mut source = Source {
            kind: "stripe".into(),
            config: Config::new("{}"),
            tokens: vec![SourceToken::generate(&entropy)],
            settings: SourceSettings::default(),
            sent_secret: None,
        };
        for _ in 0..MAX_OLD_TOKENS {
            assert!(source.rotate_token(now, &entropy));
        }
        assert!(!source.rotate_token(now, &entropy));
        assert!(source.tokens.iter().all(|token| token.is_good(now)));
        let later = now.plus(TOKEN_OVERLAP);
        assert_eq!(source.tokens.iter().filter(|token| token.is_good(later)).count(), 1);
        assert!(source.rotate_token(later, &entropy));
        assert_eq!(source.tokens.len(), 2);
    }

    #[test]
    fn an_id_is_that_of_the_application() {
        let app: ApplicationId = "app_1srOrx2ZWZBpBUvZwXKQmoEYga2".parse().expect("an id");
        let id = SourceId(app);
        assert_eq!(id.to_string(), "src_1srOrx2ZWZBpBUvZwXKQmoEYga2");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("app_1srOrx2ZWZBpBUvZwXKQmoEYga2".parse::<SourceId>().is_err());
    }
}
