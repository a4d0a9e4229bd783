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
    let request = &given.view.request;
    let url = signed_url(request.method, request.url, given.view.form());
    let signed = format!("{url}.{nonce}");
    let secret = by_secret(given.secrets, |secret| {
        let right = sha256(secret.text().as_bytes(), &[signed.as_bytes()]);
        Ok(signatures.iter().any(|s| equal(s, right.as_ref())))
    })?;
    Ok(Proof { secret: Some(secret), ..Proof::default() })
}

/// The URL without its query, then the query sorted, then, unless it is a GET, the form's fields.
pub(crate) fn signed_url(method: &str, url: &str, form: &[(String, String)]) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut query = urlencoded(query.as_bytes());
    query.sort();
    let query: Vec<String> = query.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let fields = if method == "GET" {
        String::new()
    } else {
        let mut fields = form.to_vec();
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
