//! Adobe I/O Events: two signatures over the body, with keys at Adobe's own host. Recalled.
//! <https://developer.adobe.com/events/docs/guides/>

use serde_json::Value;

use super::Given;
use crate::{
    Reason, encoding,
    keys::{KeyKind, KeyUrl, pinned},
    row::{Algorithm, Encoding},
    verdict::{Proof, Unproven},
    verify::pair,
};

const HOST: &str = "static.adobeioevents.com";

pub(super) fn verify(given: &Given<'_>) -> Result<Proof, Unproven> {
    let recipient = given.view.json().and_then(|b| b.get("recipient_client_id"));
    if recipient.and_then(Value::as_str) != Some(given.setting("client_id")) {
        return Err(Reason::WrongClaim.into());
    }
    let mut why = Reason::MissingSignature;
    for (signature, path) in [
        ("x-adobe-digital-signature-1", "x-adobe-public-key1-path"),
        ("x-adobe-digital-signature-2", "x-adobe-public-key2-path"),
    ] {
        let (Some(signature), Some(path)) = (given.header(signature), given.header(path)) else {
            continue;
        };
        let url = pinned(&format!("https://{HOST}{path}"), |host| host == HOST)
            .filter(|_| path.starts_with('/'))
            .ok_or(Reason::ForeignKeyUrl)?;
        let Some(key) = given.keys.get(url.as_str()) else {
            return Err(Unproven::NeedsKey(KeyUrl { url: url.into(), kind: KeyKind::PublicKey }));
        };
        let key = std::str::from_utf8(key).ok().and_then(pair::public_key_pem);
        let key = key.ok_or(Reason::UnusableKey)?;
        let signature = encoding::decode(Encoding::Base64, signature.as_bytes())
            .ok_or(Reason::MalformedSignature)?;
        if pair::verifies(Algorithm::RsaSha256, &key, given.view.request.body, &signature) {
            return Ok(Proof::default());
        }
        why = Reason::Mismatch;
    }
    Err(why.into())
}
