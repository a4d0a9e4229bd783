//! Braintree: a form with a payload, and pairs of public key and HMAC.
//! <https://developer.paypal.com/braintree/docs/guides/webhooks/parse/>

use aws_lc_rs::{digest, hmac};

use super::{Given, by_secret, equal};
use crate::{Reason, encoding, row::Encoding, verdict::Proof};

/// Pairs that are looked at.
const MOST_PAIRS: usize = 32;

pub(super) fn verify(given: &Given<'_>) -> Result<Proof, Reason> {
    let signature = given.view.form_value("bt_signature").ok_or(Reason::MissingSignature)?;
    let payload = given.view.form_value("bt_payload").ok_or(Reason::MalformedBody)?;
    let public_key = given.setting("public_key");
    let signatures: Vec<Vec<u8>> = signature
        .split('&')
        .take(MOST_PAIRS)
        .filter_map(|pair| pair.split_once('|'))
        .filter(|(key, _)| *key == public_key)
        .filter_map(|(_, signature)| encoding::decode(Encoding::Hex, signature.as_bytes()))
        .collect();
    if signatures.is_empty() {
        return Err(Reason::MalformedSignature);
    }
    let secret = by_secret(given.secrets, |secret| {
        let key = key(secret.text());
        // The line end of the payload gets lost on the way in some setups; Braintree's own library
        // tries both.
        Ok([payload.to_owned(), format!("{payload}\n")].iter().any(|payload| {
            let right = hmac::sign(&key, payload.as_bytes());
            signatures.iter().any(|s| equal(s, right.as_ref()))
        }))
    })?;
    let base64: String = payload.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let document = encoding::pasted_base64(&base64);
    Ok(Proof { secret: Some(secret), document, ..Proof::default() })
}

/// The key is the SHA-1 of the private key.
pub(crate) fn key(private_key: &str) -> hmac::Key {
    let key = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, private_key.as_bytes());
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_ref())
}
