//! Standard Webhooks signatures (<https://www.standardwebhooks.com>): `v1` is HMAC-SHA256, `v1a` is
//! Ed25519, over `{id}.{timestamp}.{body}`.

mod secret;

use std::fmt::Write;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

use crate::{clock::Timestamp, id::MessageId};

pub use secret::{InvalidSecret, SignatureType, SigningSecret};

/// The value of the signature header: one signature for each secret, in order, space-separated.
pub fn sign<'a>(
    secrets: impl IntoIterator<Item = &'a SigningSecret>,
    id: &str,
    timestamp: Timestamp,
    body: &[u8],
) -> String {
    let head = format!("{id}.{}.", timestamp.as_secs());
    let mut header = String::with_capacity(64);
    for secret in secrets {
        if !header.is_empty() {
            header.push(' ');
        }
        match secret {
            SigningSecret::Hmac { key, .. } => {
                let mut context = hmac::Context::with_key(key);
                context.update(head.as_bytes());
                context.update(body);
                header.push_str("v1,");
                BASE64.encode_string(context.sign().as_ref(), &mut header);
            }
            SigningSecret::Ed25519 { pair, .. } => {
                let signed = [head.as_bytes(), body].concat();
                header.push_str("v1a,");
                BASE64.encode_string(pair.sign(&signed).as_ref(), &mut header);
            }
        }
    }
    header
}

/// Whether one signature of `header` is genuine. Compares in constant time. The caller judges the
/// timestamp.
pub fn verify(
    secret: &SigningSecret,
    id: &str,
    timestamp_secs: i64,
    body: &[u8],
    header: &str,
) -> bool {
    let mut signed = String::new();
    // Writing to a String cannot fail.
    let _ = write!(signed, "{id}.{timestamp_secs}.");
    let signed = [signed.as_bytes(), body].concat();
    header.split(' ').filter_map(|part| part.split_once(',')).any(|(version, signature)| {
        let Ok(signature) = BASE64.decode(signature) else { return false };
        secret.verifies(version, &signed, &signature)
    })
}

/// The headers' names: what they are called is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeaderStyle {
    /// `webhook-id`, `webhook-timestamp`, `webhook-signature` (Standard Webhooks).
    #[default]
    Webhook,
    /// `svix-id`, `svix-timestamp`, `svix-signature`.
    Svix,
    /// Both sets.
    Both,
}

impl HeaderStyle {
    /// Names of the id, timestamp and signature headers, a triple for each set.
    pub const fn names(self) -> &'static [[&'static str; 3]] {
        const WEBHOOK: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        const SVIX: [&str; 3] = ["svix-id", "svix-timestamp", "svix-signature"];
        match self {
            Self::Webhook => &[WEBHOOK],
            Self::Svix => &[SVIX],
            Self::Both => &[WEBHOOK, SVIX],
        }
    }
}

/// [`sign`] for one of our messages.
pub fn sign_message<'a>(
    secrets: impl IntoIterator<Item = &'a SigningSecret>,
    id: &MessageId,
    timestamp: Timestamp,
    body: &[u8],
) -> String {
    sign(secrets, &id.to_string(), timestamp, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    #[test]
    fn known_vector() {
        let secret: SigningSecret =
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().expect("valid");
        let header =
            sign([&secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", Timestamp::from_secs(1614265330), BODY);
        assert_eq!(header, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(verify(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY, &header));
        assert!(!verify(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265331, BODY, &header));
        assert!(!verify(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b"{}", &header));
    }

    #[test]
    fn every_secret_signs_and_each_verifies_its_own() {
        let entropy = SeededEntropy::new(3);
        let a = SigningSecret::generate(SignatureType::Hmac256, &entropy);
        let b = SigningSecret::generate(SignatureType::Ed25519, &entropy);
        let c = SigningSecret::generate(SignatureType::Hmac256, &entropy);
        let header = sign([&a, &b], "msg_1", Timestamp::from_secs(1), BODY);
        assert_eq!(header.split(' ').count(), 2);
        assert!(verify(&a, "msg_1", 1, BODY, &header));
        assert!(verify(&b, "msg_1", 1, BODY, &header));
        assert!(!verify(&c, "msg_1", 1, BODY, &header));
        assert!(!verify(&a, "msg_1", 1, BODY, "v1,%%% v2,AAAA nonsense"));
    }
}
