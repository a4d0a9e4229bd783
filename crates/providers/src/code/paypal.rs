//! PayPal: a signature over ids and a checksum of the body, with a certificate of PayPal's.
//! <https://developer.paypal.com/api/rest/webhooks/rest/>

use super::Given;
use crate::{
    Reason, encoding,
    keys::{KeyKind, KeyUrl, pinned},
    moment,
    row::{Algorithm, Encoding, TimeUnit},
    verdict::{Proof, Unproven},
    verify::pair,
};

pub(super) fn verify(given: &Given<'_>) -> Result<Proof, Unproven> {
    let signature = given.header("paypal-transmission-sig").ok_or(Reason::MissingSignature)?;
    let signature = encoding::decode(Encoding::Base64, signature.as_bytes())
        .ok_or(Reason::MalformedSignature)?;
    let id = given.header("paypal-transmission-id").ok_or(Reason::MissingPart)?;
    let time = given.header("paypal-transmission-time").ok_or(Reason::MissingTimestamp)?;
    let sent_at = moment::read(TimeUnit::Iso, time).ok_or(Reason::MalformedTimestamp)?;
    if given.header("paypal-auth-algo") != Some("SHA256withRSA") {
        return Err(Reason::Algorithm.into());
    }
    let url = given.header("paypal-cert-url").ok_or(Reason::ForeignKeyUrl)?;
    let url = pinned(url, |host| matches!(host, "api.paypal.com" | "api.sandbox.paypal.com"))
        .filter(|u| u.path().starts_with("/v1/notifications/certs/") && u.query().is_none())
        .ok_or(Reason::ForeignKeyUrl)?;
    let Some(certificate) = given.keys.get(url.as_str()) else {
        let key = KeyUrl { url: url.into(), kind: KeyKind::Certificate };
        return Err(Unproven::NeedsKey(key));
    };
    let key = std::str::from_utf8(certificate).ok().and_then(pair::public_key_pem);
    let key = key.ok_or(Reason::UnusableKey)?;
    let webhook = given.setting("webhook_id");
    let signed = format!("{id}|{time}|{webhook}|{}", crc32(given.view.request.body));
    if !pair::verifies(Algorithm::RsaSha256, &key, signed.as_bytes(), &signature) {
        return Err(Reason::Mismatch.into());
    }
    Ok(Proof { sent_at: Some(sent_at), ..Proof::default() })
}

/// CRC-32 as in zlib (RFC 1952 section 8).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn checksum_as_everywhere() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
