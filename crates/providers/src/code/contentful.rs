//! Contentful: an HMAC over a canonical form of the request.
//! <https://www.contentful.com/developers/docs/webhooks/request-verification/>

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Given, by_secret, equal, sha256};
use crate::{
    Reason, encoding, moment,
    row::{Encoding, TimeUnit},
    verdict::Proof,
    verify::judge_time,
};

/// What JavaScript's `encodeURIComponent` leaves.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');
/// What `encodeURI` leaves.
const WHOLE: &AsciiSet = &COMPONENT
    .remove(b';')
    .remove(b',')
    .remove(b'/')
    .remove(b'?')
    .remove(b':')
    .remove(b'@')
    .remove(b'&')
    .remove(b'=')
    .remove(b'+')
    .remove(b'$')
    .remove(b'#');
/// Headers that can be signed.
const MOST_HEADERS: usize = 64;

pub(super) fn verify(given: &Given<'_>) -> Result<Proof, Reason> {
    let signature = given.header("x-contentful-signature").ok_or(Reason::MissingSignature)?;
    let signature =
        encoding::decode(Encoding::Hex, signature.as_bytes()).ok_or(Reason::MalformedSignature)?;
    let time = given.header("x-contentful-timestamp").ok_or(Reason::MissingTimestamp)?;
    let sent_at = moment::read(TimeUnit::Millis, time).ok_or(Reason::MalformedTimestamp)?;
    let names = given.header("x-contentful-signed-headers").ok_or(Reason::MissingPart)?;
    let names: Vec<String> = names.split(',').map(|n| n.trim().to_ascii_lowercase()).collect();
    // The timestamp must be among what is signed, or a request could be given another one.
    if names.len() > MOST_HEADERS || !names.iter().any(|n| n == "x-contentful-timestamp") {
        return Err(Reason::MissingPart);
    }
    let mut headers = Vec::with_capacity(names.len());
    for name in &names {
        headers.push(format!("{name}:{}", given.header(name).unwrap_or_default().trim()));
    }
    let request = &given.view.request;
    let head = format!("{}\n{}\n{}\n", request.method, path(request.url), headers.join(";"));
    let secret = by_secret(given.secrets, |secret| {
        let right = sha256(secret.text().as_bytes(), &[head.as_bytes(), request.body]);
        Ok(equal(right.as_ref(), &signature))
    })?;
    judge_time(sent_at, given.now, given.tolerance_s)?;
    Ok(Proof { secret: Some(secret), sent_at: Some(sent_at), ..Proof::default() })
}

/// Path and query, as Contentful's library spells them: the query is escaped twice.
pub(crate) fn path(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('#').next().unwrap_or_default();
    let path = rest.find(['/', '?']).and_then(|at| rest.get(at..)).unwrap_or("/");
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let whole = if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", utf8_percent_encode(query, COMPONENT))
    };
    utf8_percent_encode(&whole, WHOLE).to_string()
}
