//! MessageBird's older signature: time, sorted query and the raw hash of the body.
//! <https://developers.messagebird.com/api/#verifying-http-requests>

use aws_lc_rs::digest;
use url::form_urlencoded;

use super::{Given, by_secret, equal, sha256};
use crate::{
    Reason,
    body::MOST_FIELDS,
    encoding, moment,
    row::{Encoding, TimeUnit},
    verdict::Proof,
    verify::judge_time,
};

pub(super) fn verify(given: &Given<'_>) -> Result<Proof, Reason> {
    let signature = given.header("messagebird-signature").ok_or(Reason::MissingSignature)?;
    let signature = encoding::decode(Encoding::Base64, signature.as_bytes())
        .ok_or(Reason::MalformedSignature)?;
    let time = given.header("messagebird-request-timestamp").ok_or(Reason::MissingTimestamp)?;
    let sent_at = moment::read(TimeUnit::Seconds, time).ok_or(Reason::MalformedTimestamp)?;
    let request = &given.view.request;
    let query = query(request.query());
    let hash = digest::digest(&digest::SHA256, request.body);
    let head = format!("{time}\n{query}\n");
    let secret = by_secret(given.secrets, |secret| {
        let right = sha256(secret.text().as_bytes(), &[head.as_bytes(), hash.as_ref()]);
        Ok(equal(right.as_ref(), &signature))
    })?;
    judge_time(sent_at, given.now, given.tolerance_s)?;
    Ok(Proof { secret: Some(secret), sent_at: Some(sent_at), ..Proof::default() })
}

/// The query with its parameters sorted.
pub(crate) fn query(query: &str) -> String {
    let mut pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).take(MOST_FIELDS).collect();
    pairs.sort();
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
