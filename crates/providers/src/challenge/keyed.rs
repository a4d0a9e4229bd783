//! Questions whose answer takes a secret. Whoever asks gets an HMAC of what it likes, so each answer
//! is one that no signature of an event could be: of a short, printable text alone.

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest, hmac};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{Question, Reply};
use crate::{code::braintree_key, encoding::to_hex};

/// A text to be signed is no longer than this, in bytes.
const LONGEST_TOKEN: usize = 256;

/// Only what could be no event: letters, digits and a few marks, so never JSON.
fn harmless(text: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"-_=+/.~".contains(&b);
    (1..=LONGEST_TOKEN).contains(&text.len()) && text.bytes().all(fine)
}

/// Meta: the token that was agreed on, then the challenge.
/// <https://developers.facebook.com/docs/graph-api/webhooks/getting-started>
pub(super) fn meta(question: &Question<'_>) -> Option<Reply> {
    if question.method() != "GET" || question.query("hub.mode")? != "subscribe" {
        return None;
    }
    let said = question.query("hub.verify_token").unwrap_or_default();
    let wanted = question.setting("verify_token")?;
    if verify_slices_are_equal(said.as_bytes(), wanted.as_bytes()).is_err() {
        return Some(Reply::empty(403));
    }
    Reply::text(&question.query("hub.challenge")?)
}

/// Zoom: signed, a token and its HMAC.
/// <https://developers.zoom.us/docs/api/webhooks/#validate-your-webhook-endpoint>
pub(super) fn zoom(question: &Question<'_>) -> Option<Reply> {
    if !question.verified || question.member("/event") != Some("endpoint.url_validation") {
        return None;
    }
    let token = question.member("/payload/plainToken").filter(|t| harmless(t))?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, question.secrets.first()?.text().as_bytes());
    let encrypted = to_hex(hmac::sign(&key, token.as_bytes()).as_ref());
    Reply::json(&json!({ "plainToken": token, "encryptedToken": encrypted }))
}

/// X: an HMAC of the token in the query.
/// <https://docs.x.com/x-api/webhooks/introduction>
pub(super) fn twitter(question: &Question<'_>) -> Option<Reply> {
    let token = question.query("crc_token").filter(|t| harmless(t))?;
    if question.method() != "GET" {
        return None;
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, question.secrets.first()?.text().as_bytes());
    let signed = STANDARD.encode(hmac::sign(&key, token.as_bytes()));
    Reply::json(&json!({ "response_token": format!("sha256={signed}") }))
}

/// eBay: a hash over the code, the token that was agreed on, and the address without its query.
/// <https://developer.ebay.com/marketplace-account-deletion>
pub(super) fn ebay(question: &Question<'_>) -> Option<Reply> {
    let code = question.query("challenge_code").filter(|t| harmless(t))?;
    if question.method() != "GET" {
        return None;
    }
    let token = question.setting("verification_token");
    let token = token.or_else(|| question.secrets.first().map(|s| s.text()))?;
    let url = question.view.request.url.split(['?', '#']).next().unwrap_or_default();
    let mut hash = digest::Context::new(&digest::SHA256);
    [code.as_str(), token, url].iter().for_each(|part| hash.update(part.as_bytes()));
    Reply::json(&json!({ "challengeResponse": to_hex(hash.finish().as_ref()) }))
}

/// Braintree: the public key, and an HMAC of the challenge.
/// <https://developer.paypal.com/braintree/docs/guides/webhooks/create/>
pub(super) fn braintree(question: &Question<'_>) -> Option<Reply> {
    let challenge = question.query("bt_challenge").filter(|c| harmless(c))?;
    // A payload that is signed is base64 of XML; such a text could be turned into an event.
    let like_a_payload = challenge.len() > 64;
    if question.method() != "GET" || like_a_payload {
        return None;
    }
    let public_key = question.setting("public_key")?;
    let key = braintree_key(question.secrets.first()?.text());
    let signed = to_hex(hmac::sign(&key, challenge.as_bytes()).as_ref());
    Reply::text(&format!("{public_key}|{signed}"))
}
