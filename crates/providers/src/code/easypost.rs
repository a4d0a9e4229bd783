//! EasyPost: HMAC over the body, in which a whole `weight` may stand without the `.0` that was
//! signed. <https://docs.easypost.com/docs/webhooks>

use super::{Given, by_secret, equal, sha256};
use crate::{Reason, encoding, row::Encoding, verdict::Proof};

const WEIGHT: &[u8] = b"\"weight\":";

pub(super) fn verify(given: &Given<'_>) -> Result<Proof, Reason> {
    let text = given.header("x-hmac-signature").ok_or(Reason::MissingSignature)?;
    let text = text.strip_prefix("hmac-sha256-hex=").ok_or(Reason::MalformedSignature)?;
    let signature = encoding::decode(Encoding::Hex, text.as_bytes())
        .filter(|s| !s.is_empty())
        .ok_or(Reason::MalformedSignature)?;
    let body = given.view.request.body;
    let rewritten = with_points(body);
    let secret = by_secret(given.secrets, |secret| {
        let key = secret.text().as_bytes();
        Ok(equal(sha256(key, &[body]).as_ref(), &signature)
            || equal(sha256(key, &[&rewritten]).as_ref(), &signature))
    })?;
    Ok(Proof { secret: Some(secret), ..Proof::default() })
}

/// The body with `.0` after each whole weight.
fn with_points(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 16);
    let mut rest = body;
    while let Some(at) = rest.windows(WEIGHT.len()).position(|w| w == WEIGHT) {
        let (before, after) = rest.split_at(at + WEIGHT.len());
        let spaces = after.iter().take_while(|b| b.is_ascii_whitespace()).count();
        let digits = after.iter().skip(spaces).take_while(|b| b.is_ascii_digit()).count();
        let (number, next) = after.split_at(spaces + digits);
        out.extend_from_slice(before);
        out.extend_from_slice(number);
        let ends = next.iter().find(|b| !b.is_ascii_whitespace());
        if digits > 0 && matches!(ends, Some(b',' | b'}')) {
            out.extend_from_slice(b".0");
        }
        rest = next;
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::with_points;

    #[test]
    fn only_whole_weights_change() {
        let body = br#"{"weight": 12, "b": {"weight":3.5}, "c":{"weight":7 },"weight":null}"#;
        let right = br#"{"weight": 12.0, "b": {"weight":3.5}, "c":{"weight":7.0 },"weight":null}"#;
        assert_eq!(with_points(body), right);
    }
}
