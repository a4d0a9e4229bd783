//! Alert rules, and what fired.

use std::time::Duration;

use domain::{
    alert::{Alert, Channel, Condition, MAX_RULES, Notice, Of, Per, Rule, Subject},
    clock::Timestamp,
    id::{AlertId, AlertRuleId, ApplicationId},
    page::{Order, PageRequest},
};

use super::fixture::{ACTOR, Fixture, assert_pages, at, first, newest};
use crate::{Store, catalog::Refused, housekeeping::RetentionLimits};

impl Fixture<'_> {
    /// A rule that is not stored yet.
    pub fn new_rule(&self, created_at: Timestamp) -> Rule {
        let url = "https://hooks.example/services/hidden-in-the-path".parse().expect("a url");
        let window = Duration::from_secs(300);
        let of = Of { window, min_attempts: 10, per: Per::Application };
        Rule {
            org: self.org,
            id: AlertRuleId::generate(created_at, &*self.entropy),
            name: "Too few arrive".into(),
            enabled: true,
            condition: Condition::SuccessRateBelow { percent: 99.5, of },
            hold: Duration::from_secs(60),
            channels: vec![
                Channel::Operational,
                Channel::Slack { url },
                Channel::email("ops@example.com").expect("an address"),
            ],
            created_at,
            updated_at: created_at,
        }
    }

    async fn rule(&self, created_at: Timestamp) -> Rule {
        let rule = self.new_rule(created_at);
        assert_eq!(self.store.create_alert_rule(&ACTOR, rule.clone()).await, Ok(true));
        rule
    }

    fn new_alert(&self, rule: &Rule, subject: Subject, fired_at: Timestamp) -> Alert {
        Alert {
            org: self.org,
            id: AlertId::generate(fired_at, &*self.entropy),
            rule: rule.id,
            rule_name: rule.name.clone(),
            condition: rule.condition.kind().into(),
            subject,
            since: at(0),
            fired_at,
            cleared_at: None,
            value: 81.25,
            threshold: 99.5,
            text: "81.25 %".into(),
            notices: vec![Notice::new(false, 1, "slack hooks.example".into(), fired_at)],
        }
    }

    fn subject(&self) -> Subject {
        Subject::Application(ApplicationId::generate(at(0), &*self.entropy))
    }

    async fn alert(&self, rule: &Rule, fired_at: Timestamp) -> Alert {
        let alert = self.new_alert(rule, self.subject(), fired_at);
        assert_eq!(self.store.put_alert(alert.clone()).await, Ok(true));
        alert
    }
}

/// It is over, and everybody has been told.
fn ended(mut alert: Alert) -> Alert {
    alert.cleared_at = Some(alert.fired_at.plus(Duration::from_secs(60)));
    alert.notices.iter_mut().for_each(|notice| notice.sent(alert.fired_at));
    alert
}

/// Rules are found as they were written, changed from what they were, and deleted.
pub async fn have_rules(store: &dyn Store) {
    let f = Fixture::new(store);
    let g = f.other();
    let rule = f.rule(at(1)).await;
    assert_eq!(store.alert_rule(f.org, rule.id).await, Ok(Some(rule.clone())));
    assert_eq!(store.alert_rule(g.org, rule.id).await, Ok(None), "another organization's");

    let changed = Rule {
        enabled: false,
        condition: Condition::EndpointDisabled,
        channels: Vec::new(),
        updated_at: at(2),
        ..rule.clone()
    };
    let update = |rule: &Rule, expected| store.update_alert_rule(&ACTOR, rule.clone(), expected);
    assert_eq!(update(&changed, at(9)).await, Ok(Err(Refused::Stale)));
    assert_eq!(store.alert_rule(f.org, rule.id).await, Ok(Some(rule.clone())));
    assert_eq!(update(&changed, at(1)).await, Ok(Ok(())));
    assert_eq!(store.alert_rule(f.org, rule.id).await, Ok(Some(changed.clone())));
    let foreign = Rule { org: g.org, ..changed.clone() };
    assert_eq!(update(&foreign, at(2)).await, Ok(Err(Refused::NotFound)));

    assert_eq!(store.delete_alert_rule(&ACTOR, g.org, rule.id).await, Ok(false));
    assert_eq!(store.delete_alert_rule(&ACTOR, f.org, rule.id).await, Ok(true));
    assert_eq!(store.delete_alert_rule(&ACTOR, f.org, rule.id).await, Ok(false));
    assert_eq!(store.alert_rule(f.org, rule.id).await, Ok(None));
    assert_eq!(update(&changed, at(2)).await, Ok(Err(Refused::NotFound)));
}

/// An organization has so many rules and no more; they are listed in pages, and of all organizations.
pub async fn have_bounded_rules(store: &dyn Store) {
    let f = Fixture::new(store);
    let g = f.other();
    let mut ids = Vec::new();
    for i in 0..MAX_RULES {
        ids.push(f.rule(at(i as u64)).await.id);
    }
    let over = f.new_rule(at(500));
    assert_eq!(store.create_alert_rule(&ACTOR, over.clone()).await, Ok(false));
    assert_eq!(store.alert_rule(f.org, over.id).await, Ok(None));
    let other = g.rule(at(3)).await;

    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = store.all_alert_rules(after, 40).await.expect("rules");
        assert!(page.len() <= 40);
        let Some(last) = page.last() else { break };
        after = Some((last.org, last.id));
        all.extend(page.into_iter().map(|rule| (rule.org, rule.id)));
    }
    let mut want: Vec<_> = ids.iter().map(|id| (f.org, *id)).collect();
    want.push((g.org, other.id));
    want.sort();
    assert_eq!(all, want);

    let listed = store.alert_rules(g.org, first(10)).await.expect("rules");
    assert_eq!(listed.items, [other]);
    assert_eq!(store.delete_alert_rule(&ACTOR, f.org, ids.pop().expect("one")).await, Ok(true));
    for order in [Order::Ascending, Order::Descending] {
        assert_pages(&ids, order, async |page: PageRequest<AlertRuleId>| {
            store.alert_rules(f.org, page).await.expect("rules").map(|rule| rule.id)
        })
        .await;
        ids.reverse();
    }
    assert_eq!(store.create_alert_rule(&ACTOR, over).await, Ok(true), "there is room again");
}

/// A rule fires once for a subject until that is over.
pub async fn fire_once(store: &dyn Store) {
    let f = Fixture::new(store);
    let (rule, other) = (f.new_rule(at(1)), f.new_rule(at(2)));
    let alert = f.alert(&rule, at(5)).await;
    assert_eq!(store.put_alert(alert.clone()).await, Ok(true), "the same again");
    let again = f.new_alert(&rule, alert.subject, at(6));
    assert_eq!(store.put_alert(again.clone()).await, Ok(false));
    let listed = store.alerts(f.org, false, newest(10)).await.expect("alerts");
    assert_eq!(listed.items, std::slice::from_ref(&alert));
    // Of another rule, another subject, another organization.
    f.alert(&rule, at(7)).await;
    let subject = alert.subject;
    assert_eq!(store.put_alert(f.new_alert(&other, subject, at(7))).await, Ok(true));
    let g = f.other();
    assert_eq!(store.put_alert(g.new_alert(&rule, subject, at(7))).await, Ok(true));
    assert_eq!(store.put_alert(ended(alert)).await, Ok(true));
    assert_eq!(store.put_alert(again).await, Ok(true));
}

/// Those with which there is something to do are found after a restart.
pub async fn are_found_while_they_live(store: &dyn Store) {
    let f = Fixture::new(store);
    let g = f.other();
    let rule = f.new_rule(at(1));
    let open = f.alert(&rule, at(5)).await;
    let over = ended(f.alert(&rule, at(6)).await);
    assert_eq!(store.put_alert(over).await, Ok(true));
    let mut untold = f.alert(&rule, at(7)).await;
    untold.cleared_at = Some(at(9));
    assert_eq!(store.put_alert(untold.clone()).await, Ok(true));
    let foreign = g.alert(&rule, at(4)).await;
    assert_eq!(store.alert(g.org, foreign.id).await, Ok(Some(foreign.clone())));
    assert_eq!(store.alert(f.org, foreign.id).await, Ok(None), "another organization's");

    let mut want = vec![open, untold.clone(), foreign];
    want.sort_by_key(|alert| (alert.org, alert.id));
    assert_eq!(store.live_alerts(None, 10).await, Ok(want.clone()));
    assert_eq!(store.live_alerts(None, 2).await, Ok(want[..2].to_vec()));
    let after = Some((want[1].org, want[1].id));
    assert_eq!(store.live_alerts(after, 2).await, Ok(want[2..].to_vec()));
    untold.notices[0].give_up("too late");
    assert_eq!(store.put_alert(untold.clone()).await, Ok(true));
    let live = store.live_alerts(None, 10).await.expect("alerts");
    assert!(live.len() == 2 && live.iter().all(|alert| alert.id != untold.id));
}

/// History is listed in pages, and those that are open apart.
pub async fn are_listed_in_pages_both_ways(store: &dyn Store) {
    let f = Fixture::new(store);
    let g = f.other();
    let rule = f.new_rule(at(1));
    let (mut ids, mut open) = (Vec::new(), Vec::new());
    for i in 0..7 {
        let alert = f.alert(&rule, at(10 + i)).await;
        ids.push(alert.id);
        if i % 2 == 0 {
            assert_eq!(store.put_alert(ended(alert)).await, Ok(true));
        } else {
            open.push(alert.id);
        }
    }
    let foreign = g.alert(&rule, at(4)).await;
    let listed = store.alerts(g.org, false, first(10)).await.expect("alerts");
    assert_eq!(listed.items, [foreign]);
    for order in [Order::Ascending, Order::Descending] {
        for (open, ids) in [(false, &ids), (true, &open)] {
            assert_pages(ids, order, async |page: PageRequest<AlertId>| {
                store.alerts(f.org, open, page).await.expect("alerts").map(|alert| alert.id)
            })
            .await;
        }
        ids.reverse();
        open.reverse();
    }
}

/// They go with history, once they are over.
pub async fn go_with_history(store: &dyn Store) {
    let f = Fixture::new(store);
    let rule = f.new_rule(at(1));
    let old = ended(f.alert(&rule, at(5)).await);
    assert_eq!(store.put_alert(old).await, Ok(true));
    let open = f.alert(&rule, at(6)).await;
    let new = ended(f.alert(&rule, at(500)).await);
    assert_eq!(store.put_alert(new.clone()).await, Ok(true));
    let limits = RetentionLimits { now: at(1_000), history_before: at(100), rows: 10 };
    while store.sweep(limits).await.expect("swept").more {}
    let left = store.alerts(f.org, false, first(10)).await.expect("alerts");
    assert_eq!(left.items, [open, new]);
}

/// The oldest work of an organization, not that of endpoints that are disabled.
pub async fn find_the_oldest_work(store: &dyn Store) {
    let f = Fixture::new(store);
    let g = f.other();
    assert_eq!(store.oldest_due(f.org).await, Ok(None));
    let (ours, theirs) = (f.application().await, g.application().await);
    let endpoint = f.endpoint(&ours).await;
    let other = g.endpoint(&theirs).await;
    f.send(&ours, &[&endpoint], at(20)).await;
    f.send(&ours, &[&endpoint], at(10)).await;
    g.send(&theirs, &[&other], at(5)).await;
    let found = store.oldest_due(f.org).await.expect("asked").expect("found");
    assert_eq!((found.app, found.endpoint, found.due), (ours.id, endpoint.id, at(10)));
    let mut disabled = endpoint;
    disabled.disabled = true;
    disabled.revision += 1;
    assert_eq!(store.update_endpoint(&ACTOR, disabled).await, Ok(Ok(())));
    assert_eq!(store.oldest_due(f.org).await, Ok(None));
    let found = store.oldest_due(g.org).await.expect("asked").expect("found");
    assert_eq!((found.endpoint, found.due), (other.id, at(5)));
}
