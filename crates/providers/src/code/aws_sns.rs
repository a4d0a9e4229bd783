//! Amazon SNS: a signature over some fields of the message, with a certificate of Amazon's.
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>

use serde_json::Value;

use super::Given;
use crate::{
    Reason, encoding,
    keys::{KeyKind, KeyUrl, pinned},
    moment,
    row::{Algorithm, Encoding, TimeUnit},
    verdict::{Proof, Unproven},
    verify::pair,
};

const NOTIFICATION: &[&str] = &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
const CONFIRMATION: &[&str] =
    &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];

pub(super) fn verify(given: &Given<'_>) -> Result<Proof, Unproven> {
    let message = given.view.json().ok_or(Reason::MalformedBody)?;
    let field = |name: &str| message.get(name).and_then(Value::as_str);
    // A certificate shows that Amazon signed it, and not for whom: anyone may point a topic of
    // theirs at any address.
    let topic = field("TopicArn").ok_or(Reason::MalformedBody)?;
    if !given.setting("topic_arn").split(',').any(|allowed| allowed.trim() == topic) {
        return Err(Reason::WrongClaim.into());
    }
    let fields = match field("Type").ok_or(Reason::MalformedBody)? {
        "Notification" => NOTIFICATION,
        "SubscriptionConfirmation" | "UnsubscribeConfirmation" => CONFIRMATION,
        _ => return Err(Reason::MalformedBody.into()),
    };
    let algorithm = match field("SignatureVersion") {
        Some("1") => Algorithm::RsaSha1,
        Some("2") => Algorithm::RsaSha256,
        _ => return Err(Reason::MalformedSignature.into()),
    };
    let signature = field("Signature").ok_or(Reason::MissingSignature)?;
    let signature = encoding::decode(Encoding::Base64, signature.as_bytes())
        .ok_or(Reason::MalformedSignature)?;
    let mut signed = String::new();
    for name in fields {
        if let Some(value) = field(name) {
            signed.extend([*name, "\n", value, "\n"]);
        }
    }
    let url = field("SigningCertURL").ok_or(Reason::ForeignKeyUrl)?;
    let url = pinned(url, amazon_host)
        .filter(|u| u.path().ends_with(".pem") && u.query().is_none())
        .ok_or(Reason::ForeignKeyUrl)?;
    let Some(certificate) = given.keys.get(url.as_str()) else {
        let key = KeyUrl { url: url.into(), kind: KeyKind::Certificate };
        return Err(Unproven::NeedsKey(key));
    };
    let key = std::str::from_utf8(certificate).ok().and_then(pair::public_key_pem);
    let key = key.ok_or(Reason::UnusableKey)?;
    if !pair::verifies(algorithm, &key, signed.as_bytes(), &signature) {
        return Err(Reason::Mismatch.into());
    }
    let sent_at = field("Timestamp").and_then(|t| moment::read(TimeUnit::Iso, t));
    Ok(Proof { sent_at, ..Proof::default() })
}

/// Whether a host is one of SNS: `sns.<region>.amazonaws.com`, or the same in China.
fn amazon_host(host: &str) -> bool {
    let Some(rest) = host.strip_prefix("sns.") else { return false };
    let rest = rest.strip_suffix(".cn").unwrap_or(rest);
    let Some(region) = rest.strip_suffix(".amazonaws.com") else { return false };
    region.len() >= 3 && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// The address that a verified confirmation asks to call, if it is Amazon's.
pub(crate) fn confirmation(message: &Value) -> Option<String> {
    if message.get("Type").and_then(Value::as_str) != Some("SubscriptionConfirmation") {
        return None;
    }
    let url = message.get("SubscribeURL").and_then(Value::as_str)?;
    pinned(url, amazon_host).map(String::from)
}
