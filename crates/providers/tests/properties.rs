//! What holds for every row, whatever is sent.

use std::collections::BTreeMap;

use aws_lc_rs::{
    encoding::AsDer,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::clock::Timestamp;
use hookwright_providers::{
    Keys, Provider, Reason, Request, Sample, Secret, SignError, SignedRequest, Verdict, catalogue,
    row::{Algorithm, KeyForm, Scheme},
    vectors::Vectors,
};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

/// Every provider, with its settings made.
fn providers() -> Vec<Provider> {
    catalogue::all()
        .iter()
        .map(|p| {
            let settings: BTreeMap<_, _> = p
                .missing_settings()
                .iter()
                .map(|name| (name.clone(), "a-setting".to_owned()))
                .collect();
            p.configured(&settings).expect("settings that fit")
        })
        .collect()
}

/// What signs, and what verifies. None where this test has no key of the kind.
fn secrets(provider: &Provider) -> Option<(Secret, Secret)> {
    let row = provider.row();
    let same = |text: &str| Some((Secret::new(text), Secret::new(text)));
    if row.scheme == Scheme::Asym {
        return match row.algorithm {
            Some(Algorithm::Ed25519) => {
                let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed");
                let public = pair.public_key().as_ref();
                let hex = |b: &[u8]| b.iter().map(|b| format!("{b:02x}")).collect::<String>();
                Some(if row.key == KeyForm::RawHex {
                    (Secret::new(hex(&[7; 32])), Secret::new(hex(public)))
                } else {
                    (Secret::new(STANDARD.encode([7; 32])), Secret::new(STANDARD.encode(public)))
                })
            }
            Some(Algorithm::EcdsaP256) => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
                let private = pair.to_pkcs8v1().expect("pkcs8");
                let public = pair.public_key();
                let spki = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(public);
                Some((
                    Secret::new(STANDARD.encode(private.as_ref())),
                    Secret::new(STANDARD.encode(spki.expect("der").as_ref())),
                ))
            }
            _ => None,
        };
    }
    match row.key {
        KeyForm::Hex => same("00112233445566778899aabbccddeeff"),
        KeyForm::Base64 => same("c2VjcmV0IGtleSBieXRlcw=="),
        KeyForm::Whsec => same("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        KeyForm::Pem => None,
        _ if row.id == "adyen" => same("00112233445566778899aabbccddeeff"),
        _ => same("a secret of forty characters or some more"),
    }
}

fn sample(body: Option<Vec<u8>>) -> Sample {
    Sample {
        url: "https://receiver.example/in?a=1".to_owned(),
        id: "evt_1".to_owned(),
        event_type: "thing.done".to_owned(),
        body,
    }
}

fn verify(provider: &Provider, made: &SignedRequest, secret: &Secret) -> Verdict {
    let headers: Vec<(&str, &[u8])> =
        made.headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
    let request =
        Request { method: made.method, url: &made.url, headers: &headers, body: &made.body };
    provider.verify(&request, &[Secret::new("another"), secret.clone()], NOW, &Keys::new())
}

#[test]
fn a_signed_sample_is_genuine_and_says_what_it_was_told() {
    let mut signed = 0;
    for provider in providers() {
        let row = provider.row();
        let Some((private, public)) = secrets(&provider) else { continue };
        let made = match provider.sign(&sample(None), &private, NOW) {
            Ok(made) => made,
            Err(SignError::OnlyTheProvider) => continue,
            Err(other) => panic!("{}: {other}", row.id),
        };
        signed += 1;
        match verify(&provider, &made, &public) {
            Verdict::Genuine(genuine) => {
                if row.scheme != Scheme::None {
                    assert_eq!(genuine.secret, Some(1), "{}", row.id);
                }
                let kind = genuine.event_type.as_deref();
                assert_eq!(kind.is_some(), row.event_type.is_some(), "{}: type", row.id);
                assert!(kind.is_none_or(|k| k.contains("thing.done")), "{}: {kind:?}", row.id);
                assert_eq!(genuine.event_id.is_some(), row.event_id.is_some(), "{}: id", row.id);
            }
            other => panic!("{}: {other:?} {}", row.id, String::from_utf8_lossy(&made.body)),
        }
        if row.scheme != Scheme::None {
            let other = Secret::new("00ff00ff00ff00ff00ff00ff00ff00ff");
            let verdict = verify(&provider, &made, &other);
            assert!(matches!(verdict, Verdict::Refused(_)), "{}: {verdict:?}", row.id);
        }
    }
    assert!(signed > 170, "only {signed} rows could sign");
}

#[test]
fn settings_are_asked_for() {
    for provider in catalogue::all().iter().filter(|p| !p.missing_settings().is_empty()) {
        let request =
            Request { method: "POST", url: "https://a.example/", headers: &[], body: b"" };
        let verdict = provider.verify(&request, &[Secret::new("x")], NOW, &Keys::new());
        assert_eq!(verdict, Verdict::Refused(Reason::NotConfigured), "{}", provider.row().id);
    }
}

/// All files of vectors, as JSON.
fn vector_files() -> &'static [serde_json::Value] {
    static FILES: std::sync::LazyLock<Vec<serde_json::Value>> = std::sync::LazyLock::new(|| {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
        let paths =
            std::fs::read_dir(dir).expect("a directory").map(|e| e.expect("an entry").path());
        let json = paths.filter(|p| p.extension().is_some_and(|e| e == "json"));
        json.map(|p| {
            serde_json::from_str(&std::fs::read_to_string(p).expect("a file")).expect("JSON")
        })
        .collect()
    });
    &FILES
}

/// Every text of a request, its secret and its keys.
fn texts(file: &mut serde_json::Value) -> Vec<&mut String> {
    fn collect<'v>(value: &'v mut serde_json::Value, into: &mut Vec<&'v mut String>) {
        match value {
            serde_json::Value::String(text) => into.push(text),
            serde_json::Value::Object(members) => {
                members.values_mut().for_each(|m| collect(m, into));
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    let members = file.as_object_mut().expect("an object");
    for (name, value) in members.iter_mut() {
        if name == "request" || name == "keys" {
            collect(value, &mut all);
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Near misses go deeper into the code than noise does.
    #[test]
    fn a_spoilt_genuine_request_panics_nowhere(
        file in any::<prop::sample::Index>(),
        field in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        remove in 0usize..4,
        insert in "[ -~é\\n]{0,3}",
    ) {
        let mut file = file.get(vector_files()).clone();
        {
            let mut texts = texts(&mut file);
            let count = texts.len();
            let text = &mut *texts[field.index(count)];
            let chars: Vec<char> = text.chars().collect();
            let at = at.index(chars.len() + 1);
            *text = chars[..at].iter().collect::<String>()
                + &insert
                + &chars[at..].iter().skip(remove).collect::<String>();
        }
        let file = Vectors::read(&file.to_string()).expect("still in the format");
        let provider = file.provider().expect("a provider");
        for case in file.cases.iter().take(3) {
            let _ = file.run(&provider, case);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_flipped_byte_is_refused(at in 0usize..10_000, bit in 0u8..8, tail in ".{0,40}") {
        let body = format!("{{\"id\":\"evt_1\",\"text\":\"{}\"}}", tail.replace(['"', '\\'], "_"));
        for provider in providers() {
            let row = provider.row();
            let signs_the_body = row.signed.as_ref().is_some_and(|t| t.contains("{body}"))
                || row.body_claim.is_some();
            let Some((private, public)) = secrets(&provider) else { continue };
            // A timestamp in the body has to be made up.
            if !signs_the_body || row.timestamp.as_ref().is_some_and(|t| t.starts_with("j:")) {
                continue;
            }
            let mut made = match provider.sign(&sample(Some(body.clone().into_bytes())), &private, NOW) {
                Ok(made) => made,
                Err(SignError::OnlyTheProvider) => continue,
                Err(other) => panic!("{}: {other}", row.id),
            };
            prop_assert!(matches!(verify(&provider, &made, &public), Verdict::Genuine(_)), "{}", row.id);
            let at = at % made.body.len();
            made.body[at] ^= 1 << bit;
            let verdict = verify(&provider, &made, &public);
            prop_assert!(matches!(verdict, Verdict::Refused(_)), "{}: {:?}", row.id, verdict);
        }
    }

    #[test]
    fn nothing_panics(
        method in "(GET|POST|HEAD|OPTIONS|[A-Z]{0,3})",
        url in prop_oneof!["https://r\\.example(:[0-9]{1,6})?/[a-z?=&#%]{0,20}", ".{0,40}"],
        body in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            "[\\[{]{0,300}\"?[a-z]*\"?[:,}\\]]{0,5}".prop_map(String::into_bytes),
            "([a-z_]{1,10}=[a-zA-Z0-9%+|]{0,20}&?){0,8}".prop_map(String::into_bytes),
            "(<[a-z]{1,5}>|</[a-z]{1,5}>|&[a-z#x0-9]{1,6};|<![A-Z\\[]{1,9}|[a-z ]{1,5}){0,20}".prop_map(String::into_bytes),
        ],
        value in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..80),
            "(t=|v1=|v1,|sha256=|,|;| |[0-9a-f]{8,64}|[A-Za-z0-9+/=]{4,44}|\\.|-){0,20}".prop_map(String::into_bytes),
        ],
        secret in ".{0,40}",
    ) {
        for provider in providers() {
            let row = provider.row();
            let texts = [&row.signature, &row.timestamp, &row.message_id, &row.token];
            let mut headers: Vec<(&str, &[u8])> = texts
                .into_iter()
                .flatten()
                .flat_map(|t| t.split('|'))
                .filter_map(|p| p.strip_prefix("h:"))
                .map(|name| (name, value.as_slice()))
                .collect();
            headers.push(("content-type", &value));
            headers.push(("é\u{301}", b"x"));
            let request = Request { method: &method, url: &url, headers: &headers, body: &body };
            let secrets = [Secret::new(secret.clone()), Secret::new("")];
            let verdict = provider.verify(&request, &secrets, NOW, &Keys::new());
            let open = row.scheme == Scheme::None;
            prop_assert!(open || !matches!(verdict, Verdict::Genuine(_)), "{}", row.id);
            for verified in [false, true] {
                if let Some(reply) = provider.challenge(&request, &secrets, verified) {
                    prop_assert!(!reply.content_type.contains("html"));
                    prop_assert!(reply.body.len() <= 4_096);
                }
            }
        }
    }

    #[test]
    fn a_custom_row_is_read_or_refused(json in prop_oneof![
        ".{0,100}",
        "\\{\"id\":\"[a-z]{0,3}\",\"scheme\":\"(hmac|token|jwt|none|code)\",\"(signature|token|signed|event_id|challenge)\":\"[hqfjcx:{}|/a-z*#]{0,12}\"\\}",
    ]) {
        let _ = Provider::custom(&json);
    }
}
