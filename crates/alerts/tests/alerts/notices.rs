//! Who is told, of what, and how often that is tried.

use std::{sync::atomic::Ordering, time::Duration};

use domain::{
    alert::{Alert, Channel, Condition, GIVE_UP_AFTER, Rule},
    id::OrganizationId,
    name::Uid,
    page::{Order, PageRequest},
};
use serde_json::{Value, json};
use store::{
    Alerts, Catalog, History,
    history::{MessageFilter, Tenant},
    suite::fixture::{ACTOR, Fixture},
};

use crate::support::{House, MINUTE};

const SLACK: &str = "https://hooks.slack.example/services/T0/hush";

fn slack() -> Channel {
    Channel::Slack { url: SLACK.parse().expect("a URL") }
}

/// A rule that fires at once for an application that never got anything, and that one.
async fn firing(house: &mut House, channels: Vec<Channel>) -> (OrganizationId, Rule, Alert) {
    let f = house.fixture();
    let (org, mut app) = (f.org, f.new_application(house.now()));
    app.name = "Acme & <Sons>".into();
    f.create_application(&app).await;
    let condition = Condition::NothingReceived { app: app.id, window: 10 * MINUTE };
    let rule = house.rule(org, condition, Duration::ZERO, channels).await;
    house.clock.advance(10 * MINUTE);
    house.look().await;
    let alert = house.expect_one(org, true).await;
    (org, rule, alert)
}

#[tokio::test]
async fn every_channel_is_told_once() {
    let mut house = House::new();
    let webhook = Channel::Webhook { url: "https://ops.example/in".parse().expect("a URL") };
    let mail = Channel::email("ops@example.com").expect("an address");
    let (org, rule, alert) = firing(&mut house, vec![slack(), webhook, mail]).await;
    let link = format!("https://hooks.example.com/console/alerts/{}", alert.id);
    let sent = house.out.take();
    let to = |to: &str| &sent.iter().find(|sent| sent.0 == to).expect("sent").1;
    let body: Value = serde_json::from_str(to(SLACK)).expect("JSON");
    let said = format!(
        "Alert: The rule: Acme &amp; &lt;Sons&gt; ({}) has received nothing for 10m (threshold: 10m). {link}",
        alert.subject.app().expect("an application")
    );
    assert_eq!(body, json!({ "text": said }));
    let body: Value = serde_json::from_str(to("https://ops.example/in")).expect("JSON");
    assert_eq!(body["type"], "alert.fired");
    assert_eq!(body["data"]["alertId"], json!(alert.id));
    assert_eq!(body["data"]["ruleId"], json!(rule.id));
    assert_eq!((&body["data"]["value"], &body["data"]["url"]), (&json!(600.0), &json!(link)));
    assert!(to("ops@example.com").starts_with("Alert: The rule\nAlert: The rule: Acme & <Sons>"));
    assert_eq!(sent.len(), 3);
    let notices = house.only(org).await.notices;
    assert!(notices.iter().all(|notice| notice.sent_at == Some(house.now())), "{notices:?}");
    house.pass(10 * MINUTE).await;
    assert_eq!(house.out.take(), []);

    let app = alert.subject.app().expect("an application");
    let deleted = house.store.delete_application(&ACTOR, org, app, house.now()).await;
    assert_eq!(deleted, Ok(Ok(())));
    house.look().await;
    let sent = house.out.take();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|(_, what)| what.contains("Cleared: The rule")), "{sent:?}");
    house.pass(MINUTE).await;
    assert_eq!(house.out.take(), []);
}

#[tokio::test]
async fn operators_are_told_as_of_anything_else() {
    let mut house = House::new();
    let management = OrganizationId::management();
    let f = Fixture { org: management, ..house.fixture() };
    let mut listener = f.new_application(house.now());
    listener.uid = house.fixture().org.to_string().parse::<Uid>().ok();
    f.create_application(&listener).await;
    let (_, _, alert) = firing(&mut house, vec![Channel::Operational]).await;
    house.restart();
    house.pass(MINUTE).await;
    let tenant = Tenant { org: management, app: listener.id };
    let page = PageRequest { limit: 10, order: Order::Ascending, cursor: None };
    let told = house.store.messages(tenant, MessageFilter::default(), page, true).await;
    let told = told.expect("messages").items;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].event_type.as_str(), "alert.fired");
    let body = told[0].body.as_ref().expect("a body");
    let body: Value = serde_json::from_slice(&body.bytes).expect("JSON");
    assert_eq!(body["data"]["alertId"], json!(alert.id));
}

#[tokio::test]
async fn a_notice_is_tried_again_until_it_is_sent() {
    let mut house = House::new();
    house.out.down.store(true, Ordering::Relaxed);
    let (org, ..) = firing(&mut house, vec![slack()]).await;
    let notice = house.only(org).await.notices.remove(0);
    assert_eq!((notice.tries, notice.error.as_deref()), (1, Some("connection refused")));
    house.pass(2 * MINUTE).await;
    // After 0, 15, 45 and 105 seconds.
    assert_eq!(house.out.tries.lock().len(), 4);
    house.restart();
    house.out.down.store(false, Ordering::Relaxed);
    house.pass(5 * MINUTE).await;
    assert_eq!(house.out.take().len(), 1);
    assert_eq!(house.only(org).await.notices[0].error, None);
}

#[tokio::test]
async fn a_notice_is_given_up_after_a_day() {
    let mut house = House::new();
    house.out.down.store(true, Ordering::Relaxed);
    let (org, ..) = firing(&mut house, vec![slack()]).await;
    house.pass(GIVE_UP_AFTER).await;
    let tries = house.out.tries.lock().len();
    let notice = house.only(org).await.notices.remove(0);
    assert_eq!((notice.next_try, notice.sent_at), (None, None));
    house.pass(60 * MINUTE).await;
    assert_eq!(house.out.tries.lock().len(), tries);
}

#[tokio::test]
async fn a_channel_that_was_taken_away_is_not_told() {
    let mut house = House::new();
    house.out.down.store(true, Ordering::Relaxed);
    let (org, rule, _) = firing(&mut house, vec![slack()]).await;
    let other = Channel::email("else@example.com").expect("an address");
    let changed = Rule { channels: vec![other], updated_at: house.now(), ..rule.clone() };
    let updated = house.store.update_alert_rule(&ACTOR, changed, rule.updated_at).await;
    assert_eq!(updated, Ok(Ok(())));
    house.out.down.store(false, Ordering::Relaxed);
    house.pass(5 * MINUTE).await;
    assert_eq!(house.out.take(), []);
    let notice = house.only(org).await.notices.remove(0);
    assert_eq!(notice.error.as_deref(), Some("the rule has no such channel any more"));
}

#[tokio::test]
async fn a_rule_that_is_gone_ends_its_alerts_quietly() {
    for disable in [false, true] {
        let mut house = House::new();
        let (org, rule, _) = firing(&mut house, vec![slack()]).await;
        house.out.take();
        if disable {
            let changed = Rule { enabled: false, updated_at: house.now(), ..rule.clone() };
            let updated = house.store.update_alert_rule(&ACTOR, changed, rule.updated_at).await;
            assert_eq!(updated, Ok(Ok(())));
        } else {
            assert_eq!(house.store.delete_alert_rule(&ACTOR, org, rule.id).await, Ok(true));
        }
        house.pass(MINUTE).await;
        house.expect_one(org, false).await;
        assert_eq!(house.out.take(), []);
    }
}
