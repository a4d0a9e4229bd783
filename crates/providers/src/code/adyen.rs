//! Adyen's standard notifications: every item carries the HMAC of eight of its fields.
//! <https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures>

use serde_json::Value;

use super::{Given, by_secret, equal, sha256};
use crate::{Reason, encoding, row::Encoding, verdict::Proof};

/// One request holds one item as a rule; more than this is refused.
const MOST_ITEMS: usize = 1_000;

pub(super) fn verify(given: &Given<'_>) -> Result<Proof, Reason> {
    let body = given.view.json().ok_or(Reason::MalformedBody)?;
    let items = body.get("notificationItems").and_then(Value::as_array);
    let items = items.ok_or(Reason::MalformedBody)?;
    if items.is_empty() || items.len() > MOST_ITEMS {
        return Err(Reason::MalformedBody);
    }
    let items = items.iter().map(Item::read).collect::<Result<Vec<_>, _>>()?;
    // All with the same secret: an item of another sender must not ride along.
    let secret = by_secret(given.secrets, |secret| {
        let key = encoding::hex(secret.text().as_bytes()).ok_or(Reason::UnusableSecret)?;
        Ok(items.iter().all(|i| equal(sha256(&key, &[i.signed.as_bytes()]).as_ref(), &i.signature)))
    })?;
    Ok(Proof { secret: Some(secret), ..Proof::default() })
}

struct Item {
    signed: String,
    signature: Vec<u8>,
}

impl Item {
    fn read(item: &Value) -> Result<Self, Reason> {
        let item = item.get("NotificationRequestItem").ok_or(Reason::MalformedBody)?;
        let signature = item.pointer("/additionalData/hmacSignature").and_then(Value::as_str);
        let signature = signature.filter(|s| !s.is_empty()).ok_or(Reason::MissingSignature)?;
        let signature = encoding::decode(Encoding::Base64, signature.as_bytes())
            .ok_or(Reason::MalformedSignature)?;
        let fields = [
            "/pspReference",
            "/originalReference",
            "/merchantAccountCode",
            "/merchantReference",
            "/amount/value",
            "/amount/currency",
            "/eventCode",
            "/success",
        ];
        let signed = fields.map(|field| text(item.pointer(field))).join(":");
        Ok(Self { signed, signature })
    }
}

/// A field that is not there counts as empty.
fn text(field: Option<&Value>) -> String {
    match field {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}
