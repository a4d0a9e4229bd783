//! Plivo's third version: URL, sorted parameters and a nonce. Recalled from Plivo's own libraries.
//! <https://www.plivo.com/docs/messaging/concepts/signature-validation>

use super::{Given, by_secret, equal, sha256};
use crate::{Reason, body::urlencoded, encoding, row::Encoding, verdict::Proof};

/// Signatures that are looked at: one, or two while a token is replaced.
const MOST_SIGNATURES: usize = 8;

pub(super) fn verify(given: &Given<'_>) -> Result<Proof, Reason> {
    let text = given.header("x-plivo-signature-v3").ok_or(Reason::MissingSignature)?;
    let signatures: Vec<Vec<u8>> = text
        .split(',')
        .take(MOST_SIGNATURES)
        .filter_map(|s| encoding::decode(Encoding::Base64, s.trim().as_bytes()))
        .collect();
    if signatures.is_empty() {
        return Err(Reason::MalformedSignature);
    }
    let nonce = given.header("x-plivo-signature-v3-nonce").ok_or(Reason::MissingPart)?;
    let signed = format!("{}.{nonce}", signed_url(given));
    let secret = by_secret(given.secrets, |secret| {
        let right = sha256(secret.text().as_bytes(), &[signed.as_bytes()]);
        Ok(signatures.iter().any(|s| equal(s, right.as_ref())))
    })?;
    Ok(Proof { secret: Some(secret), ..Proof::default() })
}

/// The URL without its query, then the query sorted, then, unless it is a GET, the form's fields.
fn signed_url(given: &Given<'_>) -> String {
    let request = &given.view.request;
    let base = request.url.split(['?', '#']).next().unwrap_or_default();
    let mut query = urlencoded(request.query().as_bytes());
    query.sort();
    let query: Vec<String> = query.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let fields = if request.method == "GET" {
        String::new()
    } else {
        let mut fields = given.view.form().to_vec();
        fields.sort();
        fields.iter().flat_map(|(n, v)| [n.as_str(), v.as_str()]).collect()
    };
    match (query.is_empty(), fields.is_empty()) {
        (true, true) => base.to_owned(),
        (true, false) => format!("{base}?{fields}"),
        (false, true) => format!("{base}?{}", query.join("&")),
        (false, false) => format!("{base}?{}.{fields}", query.join("&")),
    }
}
