//! The doctor finds what was done to a genuine request, and never says what would be right.

use domain::clock::Timestamp;
use hookwright_providers::{
    Keys, Request, Sample, Secret, SignedRequest, Verdict, catalogue,
    doctor::{BodyChange, Diagnosis, Finding, SecretChange, UrlChange, diagnose},
};

const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

fn signed(id: &str, secret: &str, body: &str) -> SignedRequest {
    let sample = Sample {
        url: "https://receiver.example/in".to_owned(),
        id: "evt_1".to_owned(),
        event_type: "a.b".to_owned(),
        body: Some(body.as_bytes().to_vec()),
    };
    let provider = catalogue::find(id).expect("a provider");
    provider.sign(&sample, &Secret::new(secret), NOW).expect("signs")
}

fn ask(id: &str, made: &SignedRequest, secret: &str, now: Timestamp) -> Diagnosis {
    let headers: Vec<(&str, &[u8])> =
        made.headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
    let request =
        Request { method: made.method, url: &made.url, headers: &headers, body: &made.body };
    let provider = catalogue::find(id).expect("a provider");
    let diagnosis = diagnose(provider, &request, &[Secret::new(secret)], now, &Keys::new());
    // Whatever it says, it repeats neither a secret nor a signature.
    let said = format!("{diagnosis} {diagnosis:?}");
    assert!(!said.contains(secret.trim()), "{said}");
    for (name, value) in &made.headers {
        let long = value.len() >= 20 && !name.eq_ignore_ascii_case("content-type");
        assert!(!long || !said.contains(value.as_str()), "{said}");
    }
    diagnosis
}

#[test]
fn what_is_genuine_is_healthy() {
    let diagnosis = ask("stripe", &signed("stripe", "s3cret", "{}"), "s3cret", NOW);
    assert!(matches!(diagnosis.verdict, Verdict::Genuine(_)) && diagnosis.findings.is_empty());
    assert_eq!(diagnosis.to_string(), "genuine");
}

#[test]
fn bodies_that_were_respelt() {
    // Without anything to escape: minified is all that it is.
    let mut made = signed("github", "s3cret", "{\"a\":1}");
    made.body = b"{ \"a\": 1 }".to_vec();
    let finding = Finding::Body(BodyChange::Minified);
    assert_eq!(ask("github", &made, "s3cret", NOW).findings, [finding]);
    let body = r#"{"b":"é/x","a":[1,2]}"#;
    for (arrived, change) in [
        ("{\"b\":\"é/x\",\"a\":[1,2]}\n", BodyChange::WithoutLineEnd),
        ("{ \"b\": \"é/x\",\n  \"a\": [1, 2] }", BodyChange::Minified),
        ("  {\"b\":\"é/x\",\"a\":[1,2]}", BodyChange::Trimmed),
    ] {
        let mut made = signed("github", "s3cret", body);
        made.body = arrived.as_bytes().to_vec();
        let diagnosis = ask("github", &made, "s3cret", NOW);
        assert_eq!(diagnosis.findings, [Finding::Body(change)], "{arrived}");
    }
    for (sent, change) in [
        ("{\"a\":[1,2],\"b\":\"é/x\"}\n", BodyChange::WithLineEnd),
        ("{\"a\":[1,2],\"b\":\"é/x\"}\r\n", BodyChange::WithCrlfEnd),
        ("{\"a\": [1, 2], \"b\": \"é/x\"}", BodyChange::Spaced),
        ("{\"a\":[1,2],\"b\":\"\\u00e9/x\"}", BodyChange::Escaped),
        ("{\"a\":[1,2],\"b\":\"é\\/x\"}", BodyChange::SlashesEscaped),
        ("{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": \"é/x\"\n}", BodyChange::Pretty),
    ] {
        let mut made = signed("github", "s3cret", sent);
        made.body = "{\"a\":[1,2],\"b\":\"é/x\"}".as_bytes().to_vec();
        let diagnosis = ask("github", &made, "s3cret", NOW);
        assert_eq!(diagnosis.findings, [Finding::Body(change)], "{sent}");
    }
}

#[test]
fn secrets_in_the_wrong_form() {
    let whsec = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let finding = |change| Finding::Secret { index: 0, change };
    let cases = [
        ("stripe", whsec.to_owned(), format!(" {whsec}\n"), SecretChange::Trimmed),
        ("stripe", "secret".to_owned(), "c2VjcmV0".to_owned(), SecretChange::AsBase64),
        ("postmark", "user:pass".to_owned(), "dXNlcjpwYXNz".to_owned(), SecretChange::Decoded),
    ];
    for (id, right, given, change) in cases {
        let diagnosis = ask(id, &signed(id, &right, "{}"), &given, NOW);
        assert_eq!(diagnosis.findings, [finding(change)], "{id}");
    }
    // Polar's key is the text, Standard Webhooks' what it is base64 for.
    let made = signed("standard-webhooks", whsec, r#"{"type":"a.b"}"#);
    let diagnosis = ask("polar", &made, whsec, NOW);
    assert_eq!(diagnosis.findings, [finding(SecretChange::WithoutPrefix)]);
    let made = signed("polar", whsec, r#"{"type":"a.b"}"#);
    let diagnosis = ask("standard-webhooks", &made, whsec, NOW);
    assert_eq!(diagnosis.findings, [finding(SecretChange::AsText)]);
    let hex = "00112233445566778899aabbccddeeff";
    let made = signed("close", hex, "{}");
    assert!(matches!(ask("close", &made, hex, NOW).verdict, Verdict::Genuine(_)));
}

#[test]
fn clocks_urls_and_headers() {
    let made = signed("stripe", "s3cret", "{}");
    let late = Timestamp::from_secs(NOW.as_secs() + 1_000);
    let finding = Finding::Clock { ago: 1_000, tolerance: 300 };
    assert_eq!(ask("stripe", &made, "s3cret", late).findings, [finding]);
    let early = Timestamp::from_secs(NOW.as_secs() - 1_000);
    let finding = Finding::Clock { ago: -1_000, tolerance: 300 };
    assert_eq!(ask("stripe", &made, "s3cret", early).findings, [finding]);

    for (seen, change) in [
        ("http://receiver.example/in", UrlChange::Scheme),
        ("https://receiver.example:8443/in", UrlChange::WithoutPort),
        ("https://receiver.example/in/", UrlChange::WithoutSlash),
        ("https://receiver.example/in?x=1", UrlChange::WithoutQuery),
        ("http://receiver.example:8080/in", UrlChange::WithoutPort),
    ] {
        let mut made = signed("square", "s3cret", "{}");
        made.url = seen.to_owned();
        assert_eq!(ask("square", &made, "s3cret", NOW).findings, [Finding::Url(change)], "{seen}");
    }
    let mut made = signed("square", "s3cret", "{}");
    made.url = "http://10.0.0.7:3000/in".to_owned();
    made.headers.push(("X-Forwarded-Host".to_owned(), "receiver.example".to_owned()));
    assert_eq!(ask("square", &made, "s3cret", NOW).findings, [Finding::Url(UrlChange::Host)]);

    let made = signed("slack", "s3cret", "{}");
    let diagnosis = ask("stripe", &made, "s3cret", NOW);
    assert_eq!(diagnosis.findings[1], Finding::OtherProvider(vec!["Slack".to_owned()]));

    let mut made = signed("stripe", "s3cret", "{}");
    made.headers.push(("content-encoding".to_owned(), "gzip".to_owned()));
    let diagnosis = ask("stripe", &made, "an0ther", NOW);
    assert_eq!(diagnosis.findings, [Finding::NothingFits, Finding::Decompressed]);
}

#[test]
fn two_things_at_once() {
    let mut made = signed("stripe", "s3cret", "{\"a\":1}");
    made.body.push(b'\n');
    let late = Timestamp::from_secs(NOW.as_secs() + 1_000);
    let diagnosis = ask("stripe", &made, "s3cret ", late);
    let secret = Finding::Secret { index: 0, change: SecretChange::Trimmed };
    let clock = Finding::Clock { ago: 1_000, tolerance: 300 };
    let body = Finding::Body(BodyChange::WithoutLineEnd);
    assert_eq!(diagnosis.findings, [secret, body, clock]);
}
