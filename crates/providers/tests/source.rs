//! A source's configuration as the API takes it.

use domain::clock::Timestamp;
use hookwright_providers::{
    catalogue,
    source::{self, Cron, Missed, Schedule, configured},
};
use serde_json::{Value, json};

/// The field that is wrong, `type` for the type.
fn wrong(kind: &str, config: Value) -> String {
    let error = source::check(kind, &config).expect_err("is wrong");
    assert!(!error.to_string().contains("hush"), "{error}");
    error.field.unwrap_or_else(|| "type".into())
}

#[test]
fn every_provider_can_be_configured() {
    for provider in catalogue::all() {
        let mut config = json!({});
        if provider.needs_secret() {
            config["secret"] = json!("hush");
        }
        for (name, setting) in source::setting_names(provider) {
            if setting.default.is_none() {
                config[name] = json!("value.example");
            }
        }
        let id = &provider.row().id;
        let done = configured(id, &config).unwrap_or_else(|e| panic!("{id}: {e}"));
        assert!(done.provider.missing_settings().is_empty(), "{id}");
        assert_eq!(done.secrets.len(), usize::from(provider.needs_secret()), "{id}");
        let shown = source::shown(id, &config).unwrap_or_default();
        assert!(!shown.to_string().contains("hush"), "{id}: {shown}");
    }
}

#[test]
fn svix_names_are_understood() {
    let done = configured("meta", &json!({"secret": "hush", "verifyToken": "hush-hush"}));
    assert_eq!(done.expect("is right").secrets.len(), 1);
    let done = configured("adobe-sign", &json!({"clientId": "hush"}));
    assert_eq!(done.expect("is right").secrets.len(), 1);
    for kind in ["telnyx", "orum-io"] {
        let config = json!({"publicKey": "a key"});
        assert_eq!(configured(kind, &config).expect("is right").secrets.len(), 1);
        assert_eq!(source::shown(kind, &config), Some(config));
    }
    let config = json!({"secret": ["hush", "hush-2"], "secrets": ["hush-3"]});
    assert_eq!(configured("stripe", &config).expect("is right").secrets.len(), 3);
    assert_eq!(source::shown("stripe", &config), Some(json!({})));
    assert_eq!(source::shown("meta", &json!({"secret": "x", "verifyToken": "y"})), Some(json!({})));
    assert_eq!(source::shown("generic-webhook", &Value::Null), None);
    let grace = json!({"secret": "hush", "timestampGraceSeconds": 60});
    let done = configured("tailscale", &grace).expect("is right");
    assert_eq!(done.provider.row().tolerance_s, Some(60));
}

#[test]
fn what_is_wrong_is_named() {
    for (kind, config, field) in [
        ("nobody", json!({}), "type"),
        ("vgs", json!({"secret": "hush"}), "type"),
        ("stripe", json!("hush"), ""),
        ("stripe", json!({}), "secret"),
        ("stripe", json!({"secret": null}), "secret"),
        ("stripe", json!({"secret": ""}), "secret"),
        ("stripe", json!({"secret": 5}), "secret"),
        ("stripe", json!({"secrets": vec!["hush"; 17]}), "secrets"),
        ("stripe", json!({"secret": "hush", "color": "red"}), "color"),
        ("stripe", json!({"secret": "hush", "timestampGraceSeconds": 0}), "timestampGraceSeconds"),
        ("github", json!({"secret": "hush", "timestampGraceSeconds": 9}), "timestampGraceSeconds"),
        ("meta", json!({"secret": "hush"}), "verifyToken"),
        ("meta", json!({"secret": "hush", "verifyToken": "{hush}"}), "verifyToken"),
        ("meta", json!({"secret": "hush", "verify_token": "x"}), "verify_token"),
        ("adobe-sign", json!({}), "clientId"),
        ("telnyx", json!({}), "publicKey"),
        ("generic-webhook", json!({"secret": "hush"}), "secret"),
        ("custom", json!({"secret": "hush"}), "scheme"),
        ("custom", json!({"scheme": "bearer"}), "secret"),
        ("custom", json!({"scheme": "bearer", "secret": "hush", "hash": "md4"}), "hash"),
        ("cron", json!({}), "schedule"),
        ("cron", json!({"schedule": "* * * * *"}), "payload"),
        ("cron", json!({"schedule": "every day", "payload": ""}), "schedule"),
        ("cron", json!({"schedule": "0 0 30 2 *", "payload": ""}), "schedule"),
        ("cron", json!({"schedule": "* * * * *", "payload": "", "missed": "no"}), "missed"),
        ("cron", json!({"schedule": "* * * * *", "payload": "", "x": 1}), "x"),
        (
            "cron",
            json!({"schedule": "* * * * *", "payload": "", "contentType": "a\n"}),
            "contentType",
        ),
        ("stripe", json!({"secret": "hush", "x": "y".repeat(70_000)}), ""),
    ] {
        assert_eq!(wrong(kind, config.clone()), field, "{kind} {config}");
    }
    // Those that send it themselves may begin without.
    for kind in ["notion", "asana"] {
        assert!(configured(kind, &Value::Null).expect("is right").secrets.is_empty());
    }
}

#[test]
fn a_custom_one_is_a_row() {
    let config = json!({"scheme": "hmac", "signature": "h:X-Sig", "encoding": "hex",
        "hash": "sha256", "signed": "{body}", "secret": "hush"});
    let done = configured("custom", &config).expect("is right");
    assert_eq!((done.provider.row().id.as_str(), done.secrets.len()), ("custom", 1));
    let shown = source::shown("custom", &config).expect("is shown");
    assert_eq!((shown.get("secret"), &shown["signature"]), (None, &json!("h:X-Sig")));
}

#[test]
fn schedules_say_when() {
    let at = |text: &str| Schedule::parse(text).expect("is right");
    let midnight = Timestamp::from_secs(1_767_225_600);
    let after = |text: &str| at(text).next(midnight).map(|t| t.as_secs() - midnight.as_secs());
    assert_eq!(after("*/5 * * * *"), Some(300));
    assert_eq!(after("0 0 * * *"), Some(86_400));
    assert_eq!(after("@hourly"), Some(3_600));
    assert_eq!(after("30 * * * * *"), Some(30));
    for bad in ["", "* * *", "61 * * * *", "* * * * * * 2030", "ü * * * *", &"*".repeat(300)] {
        assert!(Schedule::parse(bad).is_err(), "{bad}");
    }
    let config = json!({"schedule": "@daily", "payload": "{}", "missed": "catch_up"});
    assert_eq!(Cron::read(&config).expect("is right").missed, Missed::CatchUp);
    assert_eq!(source::shown("cron", &config), Some(config));
}
