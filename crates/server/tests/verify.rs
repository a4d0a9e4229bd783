//! `hookwright verify`, on the real binary: what is genuine, what is not, and why.

mod binary;
mod captures;

use captures::{WHSEC, run, sample, verify, with};

#[test]
fn what_a_sample_signs_is_genuine() {
    let seed = "07".repeat(32);
    let public = "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c";
    let hex = "00112233445566778899aabbccddeeff";
    let cases: &[(&str, &str, &str, &[&str])] = &[
        ("stripe", "s3cret", "s3cret", &[]),
        ("github", "s3cret", "s3cret", &[]),
        ("slack", "s3cret", "s3cret", &[]),
        ("shopify", "s3cret", "s3cret", &[]),
        ("standard-webhooks", WHSEC, WHSEC, &[]),
        ("discord", &seed, public, &[]),
        ("gitlab", "s3cret", "s3cret", &[]),
        ("postmark", "user:pass", "user:pass", &[]),
        ("square", "s3cret", "s3cret", &["--url", "http://receiver.example:8080/in?a=b"]),
        ("twilio", "s3cret", "s3cret", &[]),
        ("mailgun", "s3cret", "s3cret", &[]),
        ("livekit", "s3cret", "s3cret", &["--setting", "api_key=APIabc"]),
        ("adyen", hex, hex, &[]),
        ("braintree", "s3cret", "s3cret", &["--setting", "public_key=abc"]),
    ];
    for (id, private, secret, more) in cases {
        let settings: &[&str] = if more.contains(&"--setting") { more } else { &[] };
        let request = sample(id, private, more, None);
        let (code, said) = verify(id, secret, settings, &request);
        assert!(code == 0 && said.starts_with("genuine: "), "{id}: {said}");
        let (code, said) = verify(id, "00ff00ff00ff00ff00ff00ff00ff00ff", settings, &request);
        assert!(code == 1 && said.starts_with("not genuine: "), "{id}: {said}");
    }
    let (_, said) =
        verify("stripe", "s3cret", &["--secret", "old"], &sample("stripe", "old", &[], None));
    assert_eq!(
        said,
        "genuine: Stripe\n- it fits secret 2 of 2\n- signed at 2026-01-01T00:00:00Z, 0 s before the \
         check\n- event id evt_1\n- event type a.b\n"
    );
    let (code, said) = verify("gitlab", "s3cret", &[], &sample("gitlab", "s3cret", &[], None));
    assert!(code == 0 && said.contains("evt_1, which the signature does not cover"), "{said}");
}

#[test]
fn what_was_changed_on_the_way_is_named() {
    let body = r#"{"b":"é/x","a":[1,2]}"#;
    let request = sample("github", "s3cret", &[], Some(body));
    for (arrived, why) in [
        (r#"{ "b": "é/x", "a": [1, 2] }"#, "the signature fits it as minified JSON"),
        ("{\"b\":\"é/x\",\"a\":[1,2]}\n", "fits it without its trailing line end"),
        (r#"{"b":"é/x","a":[1,3]}"#, "fits none of the secrets, however the request is spelt"),
    ] {
        let (code, said) = verify("github", "s3cret", &[], &with(&request, body, arrived));
        assert!(code == 1 && said.contains(why), "{said}");
        let lengths = said.contains("says that its body has 22 bytes, and the file has ");
        assert_eq!(lengths, arrived.len() != body.len(), "{said}");
    }
    let spaced = "{\n  \"a\": 1\n}";
    let request = with(&sample("github", "s3cret", &[], Some(spaced)), spaced, "{\"a\":1}");
    let (code, said) = verify("github", "s3cret", &[], &request);
    assert!(code == 1 && said.contains("fits it as indented JSON"), "{said}");
}

#[test]
fn secrets_in_the_wrong_form_are_named() {
    let request = sample("stripe", "s3cret", &[], None);
    let (code, said) = verify("stripe", "s3cret ", &[], &request);
    assert!(code == 1 && said.contains("without the space or quotes around it"), "{said}");
    let request = sample("polar", WHSEC, &[], None);
    let (code, said) = verify("standard-webhooks", WHSEC, &[], &request);
    assert!(
        code == 1 && said.contains("secret 1 is in the wrong form: it fits as plain"),
        "{said}"
    );
    let request = sample("standard-webhooks", WHSEC, &[], None);
    let (code, said) = verify("standard-webhooks", "no key!", &[], &request);
    assert!(code == 1 && said.contains("has the form of this provider's keys"), "{said}");
    assert!(said.contains("is base64 for the key, after whsec_"), "{said}");
}

#[test]
fn clocks_urls_and_other_providers_are_named() {
    let request = sample("stripe", "s3cret", &[], None);
    for (at, why) in [
        (
            "2026-01-01T00:16:40Z",
            "made 1000 s ago by the verifier's clock, and 300 s are tolerated",
        ),
        ("1767224600", "made 1000 s ahead"),
    ] {
        let (code, said) = verify("stripe", "s3cret", &["--at", at], &request);
        assert!(code == 1 && said.contains(why), "{said}");
    }
    // Without `--at` it is now.
    let (code, said, _) =
        run(&["verify", "--provider", "stripe", "--secret", "s3cret", "-"], &request);
    assert!(code == 1 && String::from_utf8_lossy(&said).contains(" s ago"));

    let request = sample("square", "s3cret", &[], None);
    let behind = with(&request, "Host: receiver.example", "Host: 10.0.0.7:3000");
    let (code, said) = verify("square", "s3cret", &[], &behind);
    assert!(code == 1 && said.contains("--url names the one that the sender knows"), "{said}");
    let public = ["--url", "https://receiver.example/in"];
    assert_eq!(verify("square", "s3cret", &public, &behind).0, 0);
    let (code, said) =
        verify("square", "s3cret", &["--url", "http://receiver.example/in"], &behind);
    assert!(code == 1 && said.contains("fits with the other of http and https"), "{said}");

    let request = sample("slack", "s3cret", &[], None);
    let (code, said) = verify("stripe", "s3cret", &[], &request);
    assert!(code == 1 && said.contains("the signature header of Slack"), "{said}");
}

#[test]
fn questions_and_unsigned_requests_are_told_apart() {
    let question = b"GET /in?crc_token=abc HTTP/1.1\nHost: receiver.example\n\n";
    let (code, said) = verify("x-twitter", "s3cret", &[], question);
    assert!(code == 1 && said.contains("it is a question that the sender asks"), "{said}");
    let url_verification = r#"{"type":"url_verification","challenge":"abc"}"#;
    let request = sample("slack", "s3cret", &[], Some(url_verification));
    let (code, said) = verify("slack", "s3cret", &[], &request);
    assert!(code == 0 && said.contains("a question that the sender asks, and no event"), "{said}");
    let request = b"POST /in HTTP/1.1\r\nHost: receiver.example\r\n\r\n{}";
    let (code, said) = verify("generic-webhook", "", &["--secret", "x"], request);
    assert!(code == 2 && said.contains("--secret is empty"), "{said}");
    let (code, said, error) = run(&["verify", "--provider", "generic-webhook", "-"], request);
    let said = String::from_utf8(said).expect("text");
    assert!(code == 0 && said.contains("nothing tells genuine from not"), "{said}{error}");
}
