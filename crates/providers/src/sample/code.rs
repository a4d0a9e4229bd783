//! Test events of the providers with verifiers of their own, where a shared secret signs.

use std::collections::BTreeMap;

use aws_lc_rs::{digest, hmac};
use domain::clock::Timestamp;
use serde_json::json;

use super::{Draft, Sample, SignError, SignedRequest};
use crate::{
    Secret, code, encoding, moment,
    row::{Code, Encoding, Place, TimeUnit},
};

pub(super) fn sign(
    which: Code,
    mut draft: Draft,
    settings: &BTreeMap<String, String>,
    sample: &Sample,
    secret: &Secret,
    now: Timestamp,
) -> Result<SignedRequest, SignError> {
    let key = secret.text().as_bytes();
    let in_body = SignError::Sample("this provider signs inside the body: let it be made up");
    match which {
        Code::AwsSns | Code::PayPal | Code::AdobeIo | Code::Apple | Code::PaddleClassic => {
            return Err(SignError::OnlyTheProvider);
        }
        Code::Adyen => {
            if draft.given_body() {
                return Err(in_body);
            }
            let wrong = SignError::Secret("the HMAC key is hex");
            let key = encoding::hex(key).ok_or(wrong)?;
            let (id, kind) = (&sample.id, &sample.event_type);
            let signed = format!("{id}::merchant:sample:1000:EUR:{kind}:true");
            let signature = mac64(&key, &[signed.as_bytes()]);
            let body = json!({ "live": "false", "notificationItems": [{
                "NotificationRequestItem": {
                    "pspReference": id, "merchantAccountCode": "merchant",
                    "merchantReference": "sample", "eventCode": kind, "success": "true",
                    "amount": { "value": 1000, "currency": "EUR" },
                    "additionalData": { "hmacSignature": signature },
                },
            }] });
            draft.use_body(body.to_string().into_bytes());
        }
        Code::Braintree => {
            if draft.given_body() {
                return Err(in_body);
            }
            let kind = &sample.event_type;
            let xml = format!("<notification><kind>{kind}</kind></notification>");
            let payload = format!("{}\n", encoding::encode(Encoding::Base64, xml.as_bytes()));
            let public_key = settings.get("public_key").map_or("", String::as_str);
            let signed = hmac::sign(&code::braintree_key(secret.text()), payload.as_bytes());
            let signature = format!("{public_key}|{}", encoding::to_hex(signed.as_ref()));
            draft = Draft::new(draft.url(), Some(crate::row::Content::Form));
            draft.set(&Place::Form("bt_signature".to_owned(), None), &signature);
            draft.set(&Place::Form("bt_payload".to_owned(), None), &payload);
        }
        Code::EasyPost => {
            let signed = mac(key, &[&draft.clone().finish().body]);
            let value = format!("hmac-sha256-hex={}", encoding::to_hex(signed.as_ref()));
            draft.header("x-hmac-signature", &value);
        }
        Code::MessageBird => {
            let time = moment::write(TimeUnit::Seconds, now);
            let made = draft.clone().finish();
            let query = code::messagebird_query(made.url.split_once('?').map_or("", |(_, q)| q));
            let hash = digest::digest(&digest::SHA256, &made.body);
            let head = format!("{time}\n{query}\n");
            let signature = mac64(key, &[head.as_bytes(), hash.as_ref()]);
            draft.header("messagebird-request-timestamp", &time);
            draft.header("messagebird-signature", &signature);
        }
        Code::Contentful => {
            let time = moment::write(TimeUnit::Millis, now);
            let made = draft.clone().finish();
            let path = code::contentful_path(&made.url);
            let head = format!("POST\n{path}\nx-contentful-timestamp:{time}\n");
            let signed = mac(key, &[head.as_bytes(), &made.body]);
            draft.header("x-contentful-timestamp", &time);
            draft.header("x-contentful-signed-headers", "x-contentful-timestamp");
            draft.header("x-contentful-signature", &encoding::to_hex(signed.as_ref()));
        }
        Code::PlivoV3 => {
            let made = draft.clone().finish();
            let form = crate::body::urlencoded(&made.body);
            let url = code::plivo_url("POST", &made.url, &form);
            let signature = mac64(key, &[format!("{url}.{}", sample.id).as_bytes()]);
            draft.header("x-plivo-signature-v3-nonce", &sample.id);
            draft.header("x-plivo-signature-v3", &signature);
        }
    }
    Ok(draft.finish())
}

fn mac(key: &[u8], pieces: &[&[u8]]) -> hmac::Tag {
    code::sha256(key, pieces)
}

fn mac64(key: &[u8], pieces: &[&[u8]]) -> String {
    encoding::encode(Encoding::Base64, mac(key, pieces).as_ref())
}
