//! Test events: requests signed as the provider would sign them, for `providers sample` and for
//! trying out a receiver.

mod code;
mod draft;
mod private;

use std::borrow::Cow;

use domain::clock::Timestamp;
use serde_json::{Value, json};

use crate::{
    Provider, Reason, Request, Secret, encoding, moment,
    row::{Content, Expression, KeySource, Mac, Piece, Place, Rule, SignedRule, TimeUnit},
    verify::signed::{self, Source},
    view::{Beside, View},
};

use draft::Draft;

/// What the test event is to say.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The public URL that it will be sent to.
    pub url: String,
    /// The event's id, 1 to 100 of letters, digits, `-` and `_`.
    pub id: String,
    /// The event's type, likewise with `.`, where the provider has types.
    pub event_type: String,
    /// The body, if it is not to be made up. Refused where the signature stands in the body.
    pub body: Option<Vec<u8>>,
}

/// A request, ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// The method.
    pub method: &'static str,
    /// The URL: the sample's, and a query where the provider puts something there.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for SignedRequest {
    /// Without the headers' values: one of them is a secret with some providers.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("SignedRequest")
            .field("method", &self.method)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

/// Why there is no test event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Only the provider has the key.
    #[error("only the provider itself has the key that signs")]
    OnlyTheProvider,
    /// The secret cannot sign: not of the right form, or a public key where the private one is
    /// needed.
    #[error("this secret cannot sign for this provider: {0}")]
    Secret(&'static str),
    /// The source lacks a setting.
    #[error("the provider needs the setting {0}")]
    Setting(String),
    /// The sample is not one that can be signed.
    #[error("{0}")]
    Sample(&'static str),
}

impl Provider {
    /// A genuine request of this provider, sent at `now`. Where the provider signs with a key pair,
    /// the secret is the private key: PKCS #8 in PEM, or in the encoding of the public key.
    pub fn sign(
        &self,
        sample: &Sample,
        secret: &Secret,
        now: Timestamp,
    ) -> Result<SignedRequest, SignError> {
        if let Some(missing) = self.missing_settings().first() {
            return Err(SignError::Setting(missing.clone()));
        }
        let word = |text: &str, marks: &[u8]| {
            (1..=100).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || marks.contains(&b))
        };
        if !word(&sample.id, b"-_") || !word(&sample.event_type, b"-_.") {
            let why = "an id or a type is 1 to 100 letters, digits and - _ (a type has . too)";
            return Err(SignError::Sample(why));
        }
        let rules = self.rules();
        let mut draft = Draft::new(&sample.url, self.row().content.first().copied());
        // The type last: it is part of some ids.
        fill(&mut draft, rules.event_id.as_ref(), &sample.id);
        fill(&mut draft, rules.event_type.as_ref(), &sample.event_type);
        if let Some(body) = &sample.body {
            draft.use_body(body.clone());
        }
        match &rules.rule {
            Rule::Open => Ok(draft.finish()),
            Rule::Basic => {
                let both = encoding::encode(crate::row::Encoding::Base64, secret.text().as_bytes());
                draft.header("authorization", &format!("Basic {both}"));
                Ok(draft.finish())
            }
            Rule::Bearer => {
                draft.header("authorization", &format!("Bearer {}", secret.text()));
                Ok(draft.finish())
            }
            Rule::Token(places) => {
                set_first(&mut draft, places, secret.text())?;
                Ok(draft.finish())
            }
            Rule::Signed(rule) => sign(rule, draft, sample, secret, now),
            Rule::Jwt(rule) => match &rule.key {
                KeySource::Jwks(_) => Err(SignError::OnlyTheProvider),
                _ => private::jwt(rule, draft, secret, now),
            },
            Rule::Code { code, .. } => {
                code::sign(*code, draft, self.settings(), sample, secret, now)
            }
        }
    }
}

/// Puts a value where an id or type is read from. Of a text with several places the first gets it.
fn fill(draft: &mut Draft, expression: Option<&Expression>, value: &str) {
    let mut value = Some(value);
    for piece in expression.into_iter().flatten() {
        if let Piece::At(places) = piece
            && let Some(place) = places.first()
        {
            draft.set(place, value.take().unwrap_or("sample"));
        }
    }
}

fn set_first(draft: &mut Draft, places: &[Place], value: &str) -> Result<(), SignError> {
    let in_body = |p: &Place| !matches!(p, Place::Header(_) | Place::Headers(_) | Place::Query(_));
    let place = places.first().ok_or(SignError::Sample("the provider has no place for it"))?;
    if draft.given_body() && in_body(place) {
        return Err(SignError::Sample("this provider signs inside the body: let it be made up"));
    }
    draft.set(place, value);
    Ok(())
}

fn sign(
    rule: &SignedRule,
    mut draft: Draft,
    sample: &Sample,
    secret: &Secret,
    now: Timestamp,
) -> Result<SignedRequest, SignError> {
    let mut time = String::new();
    let mut fields = Vec::new();
    if let Some(rule) = &rule.time {
        time = moment::write(rule.unit, now);
        match rule.places.first() {
            Some(Place::Signature(name)) => fields.push((name.clone(), time.clone())),
            Some(Place::Json(at)) if matches!(rule.unit, TimeUnit::Seconds | TimeUnit::Millis) => {
                draft.set_number(&at.path, &time);
            }
            _ => set_first(&mut draft, &rule.places, &time)?,
        }
    }
    if let Some(places) = &rule.message_id {
        set_first(&mut draft, places, &sample.id)?;
    }
    for piece in &rule.template {
        if let Piece::At(places) = piece
            && let Some(place) = places.first()
            && !draft.has(place)
        {
            match place {
                Place::Signature(name) => fields.push((name.clone(), sample.id.clone())),
                _ => set_first(&mut draft, places, "sample")?,
            }
        }
    }
    let made = draft.clone().finish();
    let headers: Vec<(&str, &[u8])> =
        made.headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
    let request =
        Request { method: made.method, url: &made.url, headers: &headers, body: &made.body };
    let view = View::new(request);
    let beside = Beside { signature: &fields, ..Beside::default() };
    let (time, url) = (time.as_str(), made.url.as_str());
    let source = Source { rule, view: &view, beside, time, url, secret, body_hashed: false };
    let signed =
        source.bytes().map_err(|_: Reason| SignError::Sample("a signed part is missing"))?;
    let signature = signature(rule, secret, &signed)?;
    let text = written(rule, &fields, time, &encoding::encode(rule.encoding, &signature));
    set_first(&mut draft, &rule.places, &text)?;
    Ok(draft.finish())
}

fn signature(
    rule: &SignedRule,
    secret: &Secret,
    signed: &[Cow<'_, [u8]>],
) -> Result<Vec<u8>, SignError> {
    let wrong = SignError::Secret("it has not the form of this provider's keys");
    Ok(match rule.mac {
        Mac::Hmac(hash) => {
            let key = signed::key(rule.key, secret).ok_or(wrong)?;
            signed::mac(hash, &key, signed).as_ref().to_vec()
        }
        Mac::Plain(hash) => signed::plain(hash, signed).as_ref().to_vec(),
        Mac::Pair(algorithm) => private::sign(algorithm, rule.key, secret, &signed.concat())?,
    })
}

/// The signature with everything around it, as the rule takes it apart.
fn written(rule: &SignedRule, fields: &[(String, String)], time: &str, signature: &str) -> String {
    let shape = &rule.shape;
    let mut items: Vec<String> = Vec::new();
    match (&shape.kv, &shape.version) {
        (Some(kv), Some(version)) if version == "*" => {
            items.push(format!("key{kv}SHA256{kv}{signature}"));
        }
        (Some(kv), Some(version)) => {
            items.extend(fields.iter().map(|(name, value)| format!("{name}{kv}{value}")));
            items.push(format!("{version}{kv}{signature}"));
        }
        _ => {
            items.extend((0..shape.first).map(|i| {
                let field = fields.iter().find(|(name, _)| *name == i.to_string());
                field.map_or_else(|| format!("t={time}"), |(_, value)| value.clone())
            }));
            items.push(signature.to_owned());
        }
    }
    let text = items.join(shape.items.as_deref().unwrap_or_default());
    format!("{}{text}", shape.prefix.as_deref().unwrap_or_default())
}

/// The JSON that a made-up body starts from.
fn blank(content: Option<Content>) -> Value {
    match content {
        Some(Content::Json | Content::Any) | None => json!({ "sample": true }),
        _ => json!({}),
    }
}
