//! Apple's App Store notifications: a JWS whose header carries its certificates, which must lead to
//! the root that the source was given. Recalled.
//! <https://developer.apple.com/documentation/appstoreservernotifications>

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use domain::clock::Timestamp;
use serde_json::Value;
use x509_parser::{
    der_parser::oid,
    prelude::{ASN1Time, FromDer, X509Certificate},
};

use super::{Given, by_secret};
use crate::{
    Reason, encoding,
    row::Encoding,
    verdict::Proof,
    verify::{jwt, pair},
};

pub(super) fn verify(given: &Given<'_>) -> Result<Proof, Reason> {
    let body = given.view.json().ok_or(Reason::MalformedBody)?;
    let token = body.get("signedPayload").and_then(Value::as_str);
    let parts = jwt::parts(token.ok_or(Reason::MissingSignature)?)?;
    if parts.header.get("alg").and_then(Value::as_str) != Some("ES256") {
        return Err(Reason::Algorithm);
    }
    let chain = parts.header.get("x5c").and_then(Value::as_array);
    let chain: Vec<Vec<u8>> = chain
        .ok_or(Reason::MalformedToken)?
        .iter()
        .take(4)
        .filter_map(|c| encoding::decode(Encoding::Base64, c.as_str()?.as_bytes()))
        .collect();
    let [leaf, intermediate, _root] = chain.as_slice() else {
        return Err(Reason::MalformedToken);
    };
    let secret = by_secret(given.secrets, |secret| {
        let (label, root) = pair::pem(secret.text()).ok_or(Reason::UnusableSecret)?;
        if label != "CERTIFICATE" {
            return Err(Reason::UnusableSecret);
        }
        Ok(leads_to(leaf, intermediate, &root, given.now).unwrap_or(false))
    })?;
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| Reason::MalformedToken)?;
    let key = leaf.public_key().subject_public_key.data.as_ref();
    let signature = encoding::decode(Encoding::Base64Url, parts.signature.as_bytes())
        .ok_or(Reason::MalformedSignature)?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
        .verify(parts.signed.as_bytes(), &signature)
        .map_err(|_| Reason::Mismatch)?;
    let bundle = parts.claims.pointer("/data/bundleId").and_then(Value::as_str);
    if bundle != Some(given.setting("bundle_id")) {
        return Err(Reason::WrongClaim);
    }
    let sent_at = parts.claims.get("signedDate").and_then(Value::as_i64);
    let sent_at = sent_at.map(|ms| Timestamp::from_micros(ms.saturating_mul(1_000)));
    Ok(Proof { secret: Some(secret), sent_at, claims: Some(parts.claims), document: None })
}

/// Whether the root signed the intermediate and that the leaf, all are valid now, and the two are
/// Apple's for this purpose. The root in the token is not looked at: ours is the one that counts.
fn leads_to(leaf: &[u8], intermediate: &[u8], root: &[u8], now: Timestamp) -> Option<bool> {
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    let (_, intermediate) = X509Certificate::from_der(intermediate).ok()?;
    let (_, root) = X509Certificate::from_der(root).ok()?;
    let now = ASN1Time::from_timestamp(now.as_secs()).ok()?;
    let for_receipts = oid!(1.2.840.113635.100.6.11.1);
    let for_apple = oid!(1.2.840.113635.100.6.2.1);
    Some(
        [&leaf, &intermediate, &root].iter().all(|c| c.validity().is_valid_at(now))
            && intermediate.is_ca()
            && intermediate.issuer() == root.subject()
            && leaf.issuer() == intermediate.subject()
            && intermediate.verify_signature(Some(root.public_key())).is_ok()
            && leaf.verify_signature(Some(intermediate.public_key())).is_ok()
            && leaf.get_extension_unique(&for_receipts).ok()?.is_some()
            && intermediate.get_extension_unique(&for_apple).ok()?.is_some(),
    )
}
