//! Scheme `jwt`: a JSON Web Signature (RFC 7515) whose claims may cover the body.

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use domain::clock::Timestamp;
use jsonwebtoken::{Algorithm as Jws, DecodingKey, jwk::Jwk};
use serde_json::Value;
use url::form_urlencoded;

use super::judge_time;
use crate::{
    Keys, Reason, Secret, encoding,
    keys::{KeyKind, KeyUrl},
    row::{Encoding, JwtAlgorithm, JwtRule, KeySource},
    verdict::{Proof, Unproven},
    view::{Beside, View},
};

/// Clocks may differ by this much where a token says from when until when it holds, in seconds.
const LEEWAY: u32 = 60;
/// A token in a body is no longer than this, in bytes.
const LONGEST_TOKEN: usize = 1024 * 1024;

/// A token, taken apart and not believed yet.
pub(crate) struct Parts<'t> {
    pub(crate) signed: &'t str,
    pub(crate) signature: &'t str,
    pub(crate) header: Value,
    pub(crate) claims: Value,
}

/// Takes a token in compact form apart.
pub(crate) fn parts(token: &str) -> Result<Parts<'_>, Reason> {
    let wrong = Reason::MalformedToken;
    if token.len() > LONGEST_TOKEN {
        return Err(wrong);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(wrong)?;
    let (header, claims) = signed.split_once('.').ok_or(wrong)?;
    let json = |text: &str| -> Option<Value> {
        let bytes = encoding::decode(Encoding::Base64Url, text.as_bytes())?;
        serde_json::from_slice(&bytes).ok().filter(Value::is_object)
    };
    let header = json(header).ok_or(wrong)?;
    // Extensions that must be understood are not (RFC 7515 section 4.1.11).
    if header.get("crit").is_some() {
        return Err(wrong);
    }
    Ok(Parts { signed, signature, header, claims: json(claims).ok_or(wrong)? })
}

pub(super) fn verify(
    rule: &JwtRule,
    view: &View<'_>,
    secrets: &[Secret],
    now: Timestamp,
    keys: &Keys,
) -> Result<Proof, Unproven> {
    let token = token(rule, view)?;
    let parts = parts(&token)?;
    let named = parts.header.get("alg").and_then(Value::as_str).unwrap_or_default();
    let algorithm = *rule.algorithms.iter().find(|a| a.word() == named).ok_or(Reason::Algorithm)?;
    let secret = match &rule.key {
        KeySource::Shared => {
            let shared = |s: &Secret| Some(DecodingKey::from_secret(s.text().as_bytes()));
            Some(by_secret(&parts, algorithm, secrets, shared)?)
        }
        KeySource::Pem => {
            let pem = |s: &Secret| pem_key(algorithm, s.text());
            Some(by_secret(&parts, algorithm, secrets, pem)?)
        }
        KeySource::Jwks(None) => {
            let key = |s: &Secret| jwks_key(s.text().as_bytes(), &parts.header, now);
            if !secrets.iter().any(|s| key(s).is_some()) {
                return Err(Reason::UnknownKey.into());
            }
            Some(by_secret(&parts, algorithm, secrets, key)?)
        }
        KeySource::Jwks(Some(url)) => {
            let Some(set) = keys.get(url) else {
                let key = KeyUrl { url: url.clone(), kind: KeyKind::Jwks };
                return Err(Unproven::NeedsKey(key));
            };
            let key = jwks_key(set, &parts.header, now).ok_or(Reason::UnknownKey)?;
            if !verifies(&parts, algorithm, &key) {
                return Err(Reason::Mismatch.into());
            }
            None
        }
    };
    check_claims(rule, &parts.claims, view, now)?;
    let sent_at = seconds(&parts.claims, "iat");
    Ok(Proof { secret, sent_at, claims: Some(parts.claims), document: None })
}

fn token(rule: &JwtRule, view: &View<'_>) -> Result<String, Reason> {
    let token = match &rule.places {
        None => std::str::from_utf8(view.request.body).ok().map(|t| t.trim().to_owned()),
        Some(places) => view.first_text(places, Beside::default()),
    };
    let token = token.filter(|t| !t.is_empty()).ok_or(Reason::MissingSignature)?;
    let bare = token.split_once(' ').filter(|(scheme, _)| {
        scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("jwt")
    });
    Ok(bare.map(|(_, bare)| bare.to_owned()).unwrap_or(token))
}

fn by_secret(
    parts: &Parts<'_>,
    algorithm: JwtAlgorithm,
    secrets: &[Secret],
    key: impl Fn(&Secret) -> Option<DecodingKey>,
) -> Result<usize, Reason> {
    let mut why = Reason::UnusableSecret;
    for (index, secret) in secrets.iter().enumerate().filter(|(_, s)| !s.text().is_empty()) {
        let Some(key) = key(secret) else { continue };
        if verifies(parts, algorithm, &key) {
            return Ok(index);
        }
        why = Reason::Mismatch;
    }
    Err(why)
}

fn verifies(parts: &Parts<'_>, algorithm: JwtAlgorithm, key: &DecodingKey) -> bool {
    let message = parts.signed.as_bytes();
    jsonwebtoken::crypto::verify(parts.signature, message, key, jws(algorithm)).unwrap_or(false)
}

pub(crate) const fn jws(algorithm: JwtAlgorithm) -> Jws {
    match algorithm {
        JwtAlgorithm::Hs256 => Jws::HS256,
        JwtAlgorithm::Es256 => Jws::ES256,
        JwtAlgorithm::Rs256 => Jws::RS256,
        JwtAlgorithm::EdDsa => Jws::EdDSA,
    }
}

fn pem_key(algorithm: JwtAlgorithm, pem: &str) -> Option<DecodingKey> {
    let pem = pem.as_bytes();
    match algorithm {
        JwtAlgorithm::Hs256 => None,
        JwtAlgorithm::Es256 => DecodingKey::from_ec_pem(pem).ok(),
        JwtAlgorithm::Rs256 => DecodingKey::from_rsa_pem(pem).ok(),
        JwtAlgorithm::EdDsa => DecodingKey::from_ed_pem(pem).ok(),
    }
}

/// The key of a set that the token names, or the only one if it names none. A key that says that it
/// has expired (Plaid's `expired_at`, in seconds) is not there.
fn jwks_key(set: &[u8], header: &Value, now: Timestamp) -> Option<DecodingKey> {
    let set: Value = serde_json::from_slice(set).ok()?;
    let keys = set.get("keys")?.as_array()?;
    let key = match header.get("kid").and_then(Value::as_str) {
        Some(kid) => keys.iter().find(|k| k.get("kid").and_then(Value::as_str) == Some(kid))?,
        None if keys.len() == 1 => keys.first()?,
        None => return None,
    };
    if seconds(key, "expired_at").is_some_and(|until| until <= now) {
        return None;
    }
    // Key operations and usages of others have nothing to do with whether it verifies.
    let mut bare = key.as_object()?.clone();
    bare.retain(|name, _| ["kty", "kid", "n", "e", "crv", "x", "y"].contains(&name.as_str()));
    // A shared key in a public set would make every reader of the set a sender.
    if bare.get("kty").and_then(Value::as_str) == Some("oct") {
        return None;
    }
    let key: Jwk = serde_json::from_value(Value::Object(bare)).ok()?;
    DecodingKey::from_jwk(&key).ok()
}

fn check_claims(
    rule: &JwtRule,
    claims: &Value,
    view: &View<'_>,
    now: Timestamp,
) -> Result<(), Reason> {
    for (name, wanted) in &rule.claims {
        if !claims.get(name).is_some_and(|found| says(found, wanted)) {
            return Err(Reason::WrongClaim);
        }
    }
    if let Some(until) = seconds(claims, "exp")
        && now > until
    {
        judge_time(until, now, Some(LEEWAY))?;
    }
    if let Some(from) = seconds(claims, "nbf")
        && from > now
    {
        judge_time(from, now, Some(LEEWAY))?;
    }
    if let Some(most) = rule.max_age_s {
        judge_time(seconds(claims, "iat").ok_or(Reason::MissingTimestamp)?, now, Some(most))?;
    }
    if let Some((name, written)) = &rule.body_claim {
        let hash = digest::digest(&digest::SHA256, view.request.body);
        let said = claims.get(name).and_then(Value::as_str).ok_or(Reason::BodyHash)?;
        let said = encoding::decode(*written, said.as_bytes()).ok_or(Reason::BodyHash)?;
        verify_slices_are_equal(&said, hash.as_ref()).map_err(|_| Reason::BodyHash)?;
    }
    if let Some(name) = &rule.request_claim {
        let said = claims.get(name).and_then(Value::as_str).ok_or(Reason::WrongClaim)?;
        let right = request_hash(view.request.method, view.request.url);
        verify_slices_are_equal(said.as_bytes(), right.as_bytes())
            .map_err(|_| Reason::WrongClaim)?;
    }
    Ok(())
}

/// Whether a claim has a value: as text, number or boolean, or among the texts of a list, as `aud`
/// may be (RFC 7519 section 4.1.3).
fn says(claim: &Value, wanted: &str) -> bool {
    match claim {
        Value::String(text) => text == wanted,
        Value::Bool(truth) => wanted == if *truth { "true" } else { "false" },
        Value::Number(number) => wanted == number.to_string().as_str(),
        Value::Array(items) => items.iter().any(|i| i.as_str() == Some(wanted)),
        Value::Null | Value::Object(_) => false,
    }
}

fn seconds(from: &Value, name: &str) -> Option<Timestamp> {
    let value = from.get(name)?;
    value.as_i64().or_else(|| value.as_f64().map(|f| f as i64)).map(Timestamp::from_secs)
}

/// Atlassian's query string hash: method, path and sorted query, without the token itself.
/// <https://developer.atlassian.com/cloud/jira/platform/understanding-jwt-for-connect-apps/>
pub(crate) fn request_hash(method: &str, url: &str) -> String {
    let (before, query) = url.split_once('?').unwrap_or((url, ""));
    let rest = before.split_once("://").map_or(before, |(_, rest)| rest);
    let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
    let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    let mut pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .take(crate::body::MOST_FIELDS)
        .filter(|(name, _)| name != "jwt")
        .map(|(name, value)| (percent(&name), percent(&value)))
        .collect();
    pairs.sort();
    let mut canonical = format!("{}&{path}&", method.to_uppercase());
    let mut last: Option<String> = None;
    for (name, value) in pairs {
        match &last {
            Some(same) if *same == name => canonical.push(','),
            Some(_) => canonical.push_str(&format!("&{name}=")),
            None => canonical.push_str(&format!("{name}=")),
        }
        canonical.push_str(&value);
        last = Some(name);
    }
    encoding::to_hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref())
}

fn percent(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const UNRESERVED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, UNRESERVED).to_string()
}
