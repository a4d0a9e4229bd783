//! The questions of all providers, as they are asked, and as someone else would ask them.

use std::collections::BTreeMap;

use hookwright_providers::{Effect, Provider, Reply, Request, Secret, catalogue};

const URL: &str = "https://receiver.example/in";

struct Asked<'a> {
    method: &'a str,
    query: &'a str,
    headers: &'a [(&'a str, &'a [u8])],
    body: &'a str,
    verified: bool,
}

const NOTHING: Asked<'_> =
    Asked { method: "POST", query: "", headers: &[], body: "", verified: false };

fn ask(provider: &Provider, asked: &Asked<'_>) -> Option<Reply> {
    let url = format!("{URL}{}", asked.query);
    let (method, body) = (asked.method, asked.body.as_bytes());
    let request = Request { method, url: &url, headers: asked.headers, body };
    provider.challenge(&request, &[Secret::new("secret")], asked.verified)
}

fn provider(id: &str) -> Provider {
    catalogue::find(id).unwrap_or_else(|| panic!("no provider {id}")).clone()
}

fn configured(id: &str, settings: &[(&str, &str)]) -> Provider {
    let settings: BTreeMap<_, _> =
        settings.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    provider(id).configured(&settings).expect("settings that fit")
}

fn body(reply: Option<Reply>) -> String {
    let reply = reply.expect("an answer");
    assert_eq!(reply.status, 200);
    reply.body
}

#[test]
fn signed_questions_are_answered_only_if_the_signature_is_right() {
    let slack = r#"{"type":"url_verification","challenge":"abc"}"#;
    let zoom = r#"{"event":"endpoint.url_validation","payload":{"plainToken":"abc"}}"#;
    let twitch: &[(&str, &[u8])] =
        &[("Twitch-Eventsub-Message-Type", b"webhook_callback_verification")];
    let grid: &[(&str, &[u8])] = &[("aeg-event-type", b"SubscriptionValidation")];
    let sns = r#"{"Type":"SubscriptionConfirmation",
        "SubscribeURL":"https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription"}"#;
    let cases = [
        ("slack", Asked { body: slack, ..NOTHING }, "abc"),
        ("discord", Asked { body: r#"{"type":1}"#, ..NOTHING }, r#"{"type":1}"#),
        (
            "zoom",
            Asked { body: zoom, ..NOTHING },
            r#"{"plainToken":"abc","encryptedToken":"9946dad4e00e913fc8be8e5d3f7e110a4a9e832f83fb09c345285d78638d8a0e"}"#,
        ),
        ("twitch", Asked { headers: twitch, body: r#"{"challenge":"abc"}"#, ..NOTHING }, "abc"),
        ("xero", Asked { body: r#"{"events":[]}"#, ..NOTHING }, ""),
        (
            "azure-event-grid",
            Asked { headers: grid, body: r#"[{"data":{"validationCode":"c"}}]"#, ..NOTHING },
            r#"{"validationResponse":"c"}"#,
        ),
        ("aws-sns", Asked { body: sns, ..NOTHING }, ""),
    ];
    for (id, asked, answer) in cases {
        let provider = provider(id);
        assert_eq!(ask(&provider, &asked), None, "{id}: unsigned");
        let got = body(ask(&provider, &Asked { verified: true, ..asked }));
        match serde_json::from_str::<serde_json::Value>(answer) {
            Ok(answer) => assert_eq!(got.parse::<serde_json::Value>().ok(), Some(answer), "{id}"),
            Err(_) => assert_eq!(got, answer, "{id}"),
        }
    }
}

#[test]
fn questions_with_their_answer_in_them() {
    let get = Asked { method: "GET", query: "?challenge=a%20b", ..NOTHING };
    for id in ["dropbox", "nylas", "adobe-io"] {
        assert_eq!(body(ask(&provider(id), &get)), "a b", "{id}");
    }
    let okta: &[(&str, &[u8])] = &[("X-Okta-Verification-Challenge", b"abc")];
    let okta = Asked { method: "GET", headers: okta, ..NOTHING };
    assert_eq!(body(ask(&provider("okta"), &okta)), r#"{"verification":"abc"}"#);
    let monday = Asked { body: r#"{"challenge":"abc"}"#, ..NOTHING };
    assert_eq!(body(ask(&provider("monday"), &monday)), r#"{"challenge":"abc"}"#);
    let event = Asked { body: r#"{"challenge":"abc","event":{}}"#, ..NOTHING };
    assert_eq!(ask(&provider("monday"), &event), None);
    let graph = Asked { query: "?validationToken=abc", ..NOTHING };
    assert_eq!(body(ask(&provider("msgraph"), &graph)), "abc");
    for (id, header) in [("front", "x-front-challenge"), ("ringcentral", "Validation-Token")] {
        let headers: &[(&str, &[u8])] = &[(header, b"abc")];
        let reply = ask(&provider(id), &Asked { headers, ..NOTHING }).expect("an answer");
        assert_eq!(reply.headers, [(header.to_ascii_lowercase(), "abc".to_owned())], "{id}");
        assert_eq!(reply.effect, None, "{id}");
    }
    for id in ["trello", "mandrill", "intercom", "mailchimp"] {
        let head = Asked { method: "HEAD", ..NOTHING };
        assert_eq!(ask(&provider(id), &head).map(|r| r.status), Some(200), "{id}");
        assert_eq!(ask(&provider(id), &NOTHING), None, "{id}");
    }
    let reply = ask(&provider("bandwidth"), &NOTHING).expect("an answer");
    assert_eq!((reply.status, reply.headers[0].0.as_str()), (401, "www-authenticate"));
}

#[test]
fn questions_that_take_a_secret() {
    let meta = configured("meta", &[("verify_token", "vt")]);
    let asked = |query| Asked { method: "GET", query, ..NOTHING };
    let right = "?hub.mode=subscribe&hub.verify_token=vt&hub.challenge=42";
    assert_eq!(body(ask(&meta, &asked(right))), "42");
    let wrong = "?hub.mode=subscribe&hub.verify_token=no&hub.challenge=42";
    assert_eq!(ask(&meta, &asked(wrong)).map(|r| (r.status, r.body)), Some((403, String::new())));
    let answer = body(ask(&provider("x-twitter"), &asked("?crc_token=abc")));
    let right = "sha256=mUba1OAOkT/Ivo5dP34RCkqegy+D+wnDRShdeGONig4=";
    assert_eq!(answer, format!(r#"{{"response_token":"{right}"}}"#));
    // Not a way to have an event signed.
    assert_eq!(ask(&provider("x-twitter"), &asked("?crc_token=%7B%22a%22%3A1%7D")), None);
    let braintree = configured("braintree", &[("public_key", "pk")]);
    let answer = body(ask(&braintree, &asked("?bt_challenge=20f9f8ed05f77439fe955c977e4c8a53")));
    assert!(answer.starts_with("pk|") && answer.len() == 43, "{answer}");
    let ebay = Provider::custom(
        r#"{"id":"ebay","scheme":"none","challenge":"ebay-challenge-code",
            "settings":{"verification_token":{"about":"the token"}}}"#,
    )
    .expect("a row");
    let settings = [("verification_token".to_owned(), "vt".to_owned())].into();
    let ebay = ebay.configured(&settings).expect("settings");
    let answer = body(ask(&ebay, &asked("?challenge_code=abc")));
    assert!(answer.starts_with(r#"{"challengeResponse":""#), "{answer}");
}

#[test]
fn questions_that_want_something_done() {
    let headers: &[(&str, &[u8])] = &[("X-Hook-Secret", b"s3cret")];
    let reply = ask(&provider("asana"), &Asked { headers, ..NOTHING }).expect("an answer");
    assert_eq!(reply.effect, Some(Effect::StoreSecret("s3cret".to_owned())));
    assert!(!format!("{reply:?}").contains("StoreSecret(\"s3cret"));
    let notion = Asked { body: r#"{"verification_token":"secret_x"}"#, ..NOTHING };
    let reply = ask(&provider("notion"), &notion).expect("an answer");
    assert_eq!(reply.effect, Some(Effect::StoreSecret("secret_x".to_owned())));
    let headers: &[(&str, &[u8])] =
        &[("WebHook-Request-Origin", b"sender.example"), ("WebHook-Request-Rate", b"120")];
    let options = Asked { method: "OPTIONS", headers, ..NOTHING };
    let reply = ask(&provider("cloudevents"), &options).expect("an answer");
    assert!(reply.headers.contains(&("webhook-allowed-rate".to_owned(), "120".to_owned())));
    let grid: &[(&str, &[u8])] = &[("aeg-event-type", b"SubscriptionValidation")];
    for (url, called) in [
        ("https://rp-eastus2.eventgrid.azure.net:553/validate?id=1", true),
        ("https://eventgrid.azure.net.evil.example:553/validate?id=1", false),
        ("https://evil.example/a.eventgrid.azure.net", false),
        ("http://rp-eastus2.eventgrid.azure.net:553/validate", false),
        ("https://rp.eventgrid.azure.net@evil.example/validate", false),
    ] {
        let body = format!(r#"[{{"data":{{"validationUrl":"{url}"}}}}]"#);
        let asked = Asked { headers: grid, body: &body, verified: true, ..NOTHING };
        let reply = ask(&provider("azure-event-grid"), &asked);
        let effect = reply.and_then(|r| r.effect);
        assert_eq!(effect, called.then(|| Effect::CallUrl(url.to_owned())), "{url}");
    }
    for (url, called) in [
        ("https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription", true),
        ("https://sns.us-east-1.amazonaws.com.evil.example/?Action=x", false),
        ("https://sns.us-east-1.amazonaws.com:8443/", false),
        ("http://sns.us-east-1.amazonaws.com/", false),
    ] {
        let body = format!(r#"{{"Type":"SubscriptionConfirmation","SubscribeURL":"{url}"}}"#);
        let asked = Asked { body: &body, verified: true, ..NOTHING };
        let effect = ask(&provider("aws-sns"), &asked).and_then(|r| r.effect);
        assert_eq!(effect, called.then(|| Effect::CallUrl(url.to_owned())), "{url}");
    }
}

#[test]
fn reflected_text_is_text_and_short() {
    let script = "?challenge=%3Cscript%3Ealert(1)%3C/script%3E";
    let asked = Asked { method: "GET", query: script, ..NOTHING };
    let reply = ask(&provider("dropbox"), &asked).expect("an answer");
    assert_eq!(reply.content_type, "text/plain; charset=utf-8");
    let nosniff = ("x-content-type-options".to_owned(), "nosniff".to_owned());
    assert!(reply.headers.contains(&nosniff));
    let long = format!("?challenge={}", "a".repeat(2_049));
    assert_eq!(ask(&provider("dropbox"), &Asked { query: &long, ..asked }), None);
    let split: &[(&str, &[u8])] = &[("x-front-challenge", b"a\r\nset-cookie: b")];
    assert_eq!(ask(&provider("front"), &Asked { headers: split, ..NOTHING }), None);
}
