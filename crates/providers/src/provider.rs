use std::collections::BTreeMap;

use crate::row::{Ack, Challenge, KeySource, Row, RowError, Rule, Rules};

/// A custom provider's JSON is no longer than this, in bytes.
const LONGEST_CUSTOM: usize = 16 * 1024;

/// A sender of webhooks: what tells its requests from others, what they mean, and how it wants to be
/// answered. From the [`catalogue`](crate::catalogue), or [`Provider::custom`].
#[derive(Clone, Debug)]
pub struct Provider {
    /// As written, settings not yet put in.
    written: Row,
    rules: Rules,
    ack: Ack,
    settings: BTreeMap<String, String>,
    missing: Vec<String>,
}

impl Provider {
    /// A provider that the catalogue does not have: a row in JSON, with at least an `id` and a
    /// `scheme`. At most 16 KiB. The error names the field, what it holds and what is wrong.
    pub fn custom(json: &str) -> Result<Self, RowError> {
        if json.len() > LONGEST_CUSTOM {
            return Err(RowError::new("", "", "a custom provider has at most 16,384 bytes"));
        }
        let mut reader = serde_json::Deserializer::from_str(json);
        let row: Row = serde_path_to_error::deserialize(&mut reader).map_err(|e| {
            let path = e.path().to_string();
            let why = e.inner().to_string();
            let missing = why.strip_prefix("missing field `").and_then(|m| m.split('`').next());
            let field = match missing {
                Some(missing) => missing,
                None if matches!(path.as_str(), "." | "?") => "",
                None => &path,
            };
            RowError::new(field, "", why.as_str())
        })?;
        reader.end().map_err(|e| RowError::new("", "", e.to_string()))?;
        if row.scheme == crate::row::Scheme::Code {
            let why = "named verifiers belong to the catalogue's providers";
            return Err(RowError::new("scheme", "code", why).of(&row.id));
        }
        // Keys are fetched from hosts that somebody has vouched for.
        if let Some(jwks) = &row.jwks {
            let why = "a custom provider is given its keys as the secret";
            return Err(RowError::new("jwks", jwks, why).of(&row.id));
        }
        Self::from_row(row)
    }

    /// Understands a row.
    pub fn from_row(row: Row) -> Result<Self, RowError> {
        Self::build(row, &BTreeMap::new())
    }

    fn build(written: Row, given: &BTreeMap<String, String>) -> Result<Self, RowError> {
        let (row, missing) = written.with_settings(given)?;
        let rules = row.parse()?;
        let mut settings = given.clone();
        for (name, setting) in &written.settings {
            if let Some(default) = &setting.default {
                settings.entry(name.clone()).or_insert_with(|| default.clone());
            }
        }
        Ok(Self { written, rules, ack: row.ack, settings, missing })
    }

    /// The same provider with a source's settings, such as the audience of its tokens. Which there
    /// are, and what they mean, is in [`Row::settings`].
    pub fn configured(&self, settings: &BTreeMap<String, String>) -> Result<Self, RowError> {
        Self::build(self.written.clone(), settings)
    }

    /// Settings that must be made before anything can be genuine.
    pub fn missing_settings(&self) -> &[String] {
        &self.missing
    }

    /// The row as written: to list and explain it.
    pub fn row(&self) -> &Row {
        &self.written
    }

    /// Whether its facts have not been checked.
    pub fn experimental(&self) -> bool {
        self.written.evidence.experimental()
    }

    /// Whether verifying takes a secret. Some providers sign with keys that they publish, and some
    /// do not sign.
    pub fn needs_secret(&self) -> bool {
        use crate::row::Code;
        match &self.rules.rule {
            Rule::Signed(_) | Rule::Token(_) | Rule::Basic | Rule::Bearer => true,
            Rule::Jwt(rule) => !matches!(rule.key, KeySource::Jwks(Some(_))),
            Rule::Open => false,
            Rule::Code { code, .. } => !matches!(code, Code::AwsSns | Code::PayPal | Code::AdobeIo),
        }
    }

    /// Whether the sender itself gives the secret, in a question before its first event (see
    /// [`Effect::StoreSecret`](crate::Effect::StoreSecret)): a source may begin without one.
    pub fn sends_secret(&self) -> bool {
        match &self.rules.challenge {
            Some(Challenge::NotionVerificationToken) => true,
            Some(Challenge::HeaderEcho(name)) => name.eq_ignore_ascii_case("x-hook-secret"),
            _ => false,
        }
    }

    /// The same provider with another bound on how far timestamps may be off, in seconds: 1 to 86,400.
    pub(crate) fn tolerating(&self, seconds: u32) -> Result<Self, RowError> {
        let row = Row { tolerance_s: Some(seconds), ..self.written.clone() };
        Self::build(row, &self.settings)
    }

    /// The answer to an event that was taken in.
    pub fn ack(&self) -> &Ack {
        &self.ack
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(crate) fn rules_mut(&mut self) -> &mut Rules {
        &mut self.rules
    }

    pub(crate) fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }
}
