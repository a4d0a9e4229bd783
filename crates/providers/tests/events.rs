//! Event ids and types, from wherever senders put them.

use std::collections::BTreeMap;

use domain::clock::Timestamp;
use hookwright_providers::{Genuine, Keys, Provider, Request, Secret, Verdict};

const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

/// Of a provider that signs nothing, so that only reading is tried.
fn read(id: &str, kind: &str, headers: &[(&str, &[u8])], body: &str) -> Genuine {
    let json = serde_json::json!({
        "id": "test", "scheme": "none", "event_id": id, "event_id_signed": false, "event_type": kind,
    });
    let provider = Provider::custom(&json.to_string()).expect("a row");
    let url = "https://receiver.example/in?id=q1&twice=1&twice=2";
    let request = Request { method: "POST", url, headers, body: body.as_bytes() };
    match provider.verify(&request, &[], NOW, &Keys::new()) {
        Verdict::Genuine(genuine) => genuine,
        other => panic!("{other:?}"),
    }
}

#[test]
fn ids_and_types_are_read_from_every_place() {
    const FORM: &[(&str, &[u8])] = &[("Content-Type", b"application/x-www-form-urlencoded")];
    const PARTS: &[(&str, &[u8])] = &[("content-type", b"multipart/form-data; boundary=\"b\"")];
    const IDS: &[(&str, &[u8])] = &[("X-Id", b"h1"), ("x-same", b"s"), ("X-SAME", b"s")];
    const TWO: &[(&str, &[u8])] = &[("x-id", b"h1"), ("x-id", b"h2")];
    let parts = "--b\r\nContent-Disposition: form-data; name=\"json\"\r\n\r\n{\"e\":{\"t\":\"m1\"}}\
                 \r\n--b--\r\n";
    let xml = "<?xml version='1.0'?><s:Envelope xmlns:s='urn:x'><s:Body><Note><Id>1</Id>\
               <Kind type='sf:Contact'>A &amp; B<!-- c --></Kind></Note><Id>2</Id></s:Body></s:Envelope>";
    for (place, headers, body, found) in [
        ("j:/id", &[][..], r#"{"id":"j1"}"#, Some("j1")),
        ("j:/a/0/b~1c", &[], r#"{"a":[{"b/c":7}]}"#, Some("7")),
        ("j:/big", &[], r#"{"big":12345678901234567890}"#, Some("12345678901234567890")),
        ("j:/a#/b", &[], r#"{"a":"{\"b\":true}"}"#, Some("true")),
        ("j:/null", &[], r#"{"null":null}"#, None),
        ("j:/id", &[], r#"{"id":"#, None),
        ("j:/id|h:x-id", IDS, "{}", Some("h1")),
        ("h:x-same", IDS, "", Some("s")),
        ("h:x-id", TWO, "", None),
        ("q:id", &[], "", Some("q1")),
        ("q:twice", &[], "", None),
        ("f:id", FORM, "id=a%20b&x=1", Some("a b")),
        ("f:p#/0/t", FORM, "p=%5B%7B%22t%22%3A%22x%22%7D%5D", Some("x")),
        ("f:json#/e/t", PARTS, parts, Some("m1")),
        ("xml:/Envelope/Body/Id", &[], xml, Some("2")),
        ("xml:Note/Id", &[], xml, Some("1")),
        ("xml:Kind", &[], xml, Some("A & B")),
        ("xml:Kind/@type", &[], xml, Some("sf:Contact")),
        ("xml:/Body/Id", &[], xml, None),
        ("key:update_id", &[], r#"{"update_id":1,"message":{}}"#, Some("message")),
        ("{j:/a}:{j:/b}", &[], r#"{"a":1,"b":"x"}"#, Some("1:x")),
        ("{j:/a}:{j:/b}", &[], r#"{"a":1}"#, None),
        ("j:/id", &[], "{\"id\":\"a\\nb\"}", None),
    ] {
        let genuine = read(place, place, headers, body);
        assert_eq!(genuine.event_id.as_deref(), found, "{place} in {body}");
        assert_eq!(genuine.event_type.as_deref(), found, "{place} in {body}");
    }
}

#[test]
fn what_is_read_is_bounded() {
    let id = |n: usize| read("j:/id", "j:/id", &[], &format!(r#"{{"id":"{}"}}"#, "a".repeat(n)));
    assert_eq!(id(256).event_id.map(|i| i.len()), Some(256));
    assert_eq!(id(257).event_id, None);
    let deep = "[".repeat(100_000);
    assert_eq!(read("j:/0/0", "j:/0", &[], &deep).event_id, None);
    let deep = "<a>".repeat(100_000);
    assert_eq!(read("xml:b", "xml:b", &[], &deep).event_id, None);
    let bomb = r#"<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;">]><a><b>&y;</b></a>"#;
    assert_eq!(read("xml:b", "xml:b", &[], bomb).event_id, None);
}

#[test]
fn a_header_that_comes_twice_is_tried_twice_as_a_signature() {
    let row = r#"{"id":"t","scheme":"hmac","signature":"h:x-sig","encoding":"hex","hash":"sha256",
        "signed":"{body}"}"#;
    let provider = Provider::custom(row).expect("a row");
    let right: &[u8] = b"9946dad4e00e913fc8be8e5d3f7e110a4a9e832f83fb09c345285d78638d8a0e";
    let wrong: &[u8] = b"0046dad4e00e913fc8be8e5d3f7e110a4a9e832f83fb09c345285d78638d8a0e";
    let many: Vec<(&str, &[u8])> = vec![("x-sig", right); 129];
    for (headers, genuine) in [
        (&[("x-sig", wrong), ("X-Sig", right)][..], true),
        (&[("x-sig", wrong), ("x-sig", wrong)], false),
        (&many, false),
    ] {
        let request = Request { method: "POST", url: "https://a.example/", headers, body: b"abc" };
        let verdict = provider.verify(&request, &[Secret::new("secret")], NOW, &Keys::new());
        assert_eq!(matches!(verdict, Verdict::Genuine(_)), genuine, "{verdict:?}");
    }
}

#[test]
fn a_custom_row_that_is_wrong_says_where() {
    let hmac = |change: &str| {
        format!(
            r#"{{"id":"t","scheme":"hmac","signature":"h:x-sig","encoding":"hex","hash":"sha256",
            "signed":"{{body}}"{change}}}"#
        )
    };
    for (json, field, says) in [
        ("{".to_owned(), "", "EOF"),
        (r#"{"id":"t"}"#.to_owned(), "scheme", "missing field"),
        (r#"{"id":"A","scheme":"none"}"#.to_owned(), "id", "a-z"),
        (r#"{"id":"t","scheme":"magic"}"#.to_owned(), "scheme", "magic"),
        (r#"{"id":"t","scheme":"code","code":"adyen"}"#.to_owned(), "scheme", "catalogue"),
        (r#"{"id":"t","scheme":"token"}"#.to_owned(), "token", "missing"),
        (r#"{"id":"t","scheme":"none","hash":"sha1"}"#.to_owned(), "hash", "does not read"),
        (r#"{"id":"t","scheme":"none","challenge":"x"}"#.to_owned(), "challenge", "no such"),
        (hmac(r#","colour":"red""#), "colour", "unknown field"),
        (hmac(r#","tolerance_s":300"#), "timestamp", "missing"),
        (hmac(r#","timestamp":"h:x-t","tolerance_s":0"#), "tolerance_s", "86,400"),
        (hmac(r#","timestamp":"x-t""#), "timestamp", "begins with"),
        (hmac(r#","timestamp":"h:x t""#), "timestamp", "header's name"),
        (hmac(r#","message_id":"h:x-id""#), "message_id", "{id}"),
        (hmac(r#","key":"pem""#), "key", "scheme"),
        (hmac(r#","version":"v1""#), "version", "go together"),
        (hmac(r#","event_id":"h:x-id""#), "event_id_signed", "nothing signs it"),
        (hmac(r#","event_id":"j:/id","event_id_signed":false"#), "event_id_signed", "does cover"),
        (hmac(r#","ack":{"status":404}"#), "ack.status", "299"),
        (hmac(r#","event_type":"{body}""#), "event_type", "only places"),
    ] {
        let error = Provider::custom(&json).expect_err(&json);
        assert_eq!(error.field, field, "{json}: {error}");
        assert!(error.to_string().contains(says), "{json}: {error}");
    }
    assert!(Provider::custom(&hmac("")).is_ok());
    let long = hmac(&format!(r#","notes":"{}""#, "a".repeat(20_000)));
    assert!(Provider::custom(&long).is_err());
}

#[test]
fn settings_are_checked() {
    let row = r#"{"id":"t","scheme":"token","token":"h:{setting:header}",
        "settings":{"header":{"about":"the header's name"}}}"#;
    let provider = Provider::custom(row).expect("a row");
    assert_eq!(provider.missing_settings(), ["header"]);
    let with = |name: &str, value: &str| {
        provider.configured(&BTreeMap::from([(name.to_owned(), value.to_owned())]))
    };
    assert!(with("header", "X-Token").expect("fits").missing_settings().is_empty());
    assert_eq!(with("colour", "red").expect_err("no such").field, "settings.colour");
    assert_eq!(with("header", "a|h:b").expect_err("two places").field, "settings.header");
    assert_eq!(with("header", "a b").expect_err("no header").field, "token");
}

#[test]
fn standard_webhooks_key_pairs() {
    use domain::{
        entropy::SeededEntropy,
        signature::{SignatureType, SigningSecret, sign},
    };
    let entropy = SeededEntropy::new(1);
    let pair = SigningSecret::generate(SignatureType::Ed25519, &entropy);
    let shared = SigningSecret::generate(SignatureType::Hmac256, &entropy);
    let provider = hookwright_providers::catalogue::find("standard-webhooks").expect("there");
    let body = b"{\"type\":\"a.b\"}";
    let time = NOW.as_secs().to_string();
    let verify = |header: &str, body: &[u8], secret: &SigningSecret| {
        let headers: [(&str, &[u8]); 3] = [
            ("webhook-id", b"msg_1"),
            ("webhook-timestamp", time.as_bytes()),
            ("webhook-signature", header.as_bytes()),
        ];
        let request =
            Request { method: "POST", url: "https://a.example/", headers: &headers, body };
        let secret = Secret::new(secret.verifying_key().as_str());
        matches!(provider.verify(&request, &[secret], NOW, &Keys::new()), Verdict::Genuine(_))
    };
    let both = sign([&shared, &pair], "msg_1", NOW, body);
    let one = sign([&pair], "msg_1", NOW, body);
    assert!(verify(&both, body, &pair) && verify(&both, body, &shared));
    assert!(verify(&one, body, &pair) && !verify(&one, body, &shared));
    assert!(!verify(&one, b"{}", &pair));
    // A public key is no shared secret, though everyone knows its bytes.
    let known: SigningSecret =
        pair.verifying_key().replace("whpk_", "whsec_").parse().expect("fits");
    assert!(!verify(&sign([&known], "msg_1", NOW, body), body, &pair));
}
