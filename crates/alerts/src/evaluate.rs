//! Looks at all rules every few seconds: on one node, the keeper of the whole store.
//!
//! What has fired is stored before anybody is told, and loaded at the start: a restart neither fires twice
//! nor forgets to clear, nor to tell. What has only begun to be bad is in memory alone, so that a restart
//! begins its hold anew.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use domain::{
    alert::{Alert, MAX_OPEN, Notice, Rule, State, Subject, Transition, step},
    clock::{Clock, Timestamp},
    entropy::Entropy,
    id::{AlertId, AlertRuleId, OrganizationId},
    name::Ref,
};
use futures_util::{StreamExt, stream};
use metrics::{counter, gauge};
use store::{Store, StoreError, outage};

use crate::{
    notify::{Event, Tell},
    observe::{Look, Observed},
    words,
};

/// How often rules are looked at.
pub const EVERY: Duration = Duration::from_secs(15);
/// Rules or alerts that are read at a time.
const PAGE: usize = 500;
/// A window is looked at so often while it passes (and never more often than [`EVERY`]).
const LOOKS_PER_WINDOW: u32 = 60;
/// Notices that are sent at a time, in one look, and in one look for one organization: others, and the next
/// look, have their turn.
const NOTICES: (usize, usize, usize) = (16, 64, 8);

/// What alerts need of the rest.
#[derive(Clone)]
pub struct AlertParts {
    /// Rules and facts.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Names alerts.
    pub entropy: Arc<dyn Entropy>,
    /// Tells.
    pub tell: Tell,
    /// Whether this node does what concerns the whole store.
    pub is_keeper: Arc<dyn Fn() -> bool + Send + Sync>,
}

type RuleKey = (OrganizationId, AlertRuleId);
type AlertKey = (OrganizationId, AlertId);

/// What is remembered of a rule.
#[derive(Default)]
struct Watched {
    updated_at: Timestamp,
    states: BTreeMap<Subject, State>,
    next_look: Timestamp,
}

/// Lets rules fire and clear.
pub struct Evaluator {
    parts: AlertParts,
    /// What is below is what the store says.
    loaded: bool,
    watched: HashMap<RuleKey, Watched>,
    /// With which there is something to do.
    live: BTreeMap<AlertKey, Alert>,
    /// Those of them that are to be written as they are here.
    unwritten: BTreeSet<AlertKey>,
}

impl Evaluator {
    /// Not at work yet.
    pub fn new(parts: AlertParts) -> Self {
        let (watched, live, unwritten) = Default::default();
        Self { parts, loaded: false, watched, live, unwritten }
    }

    /// Looks, for ever.
    pub async fn run(mut self) {
        loop {
            if let Err(error) = self.look().await
                && outage::may_log(self.parts.clock.now())
            {
                tracing::warn!(%error, "alert rules could not be looked at; trying again");
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Looks once at every rule, and tells what is to be told.
    pub async fn look(&mut self) -> Result<(), StoreError> {
        if !(self.parts.is_keeper)() {
            if std::mem::take(&mut self.loaded) {
                gauge!("hookwright_alerts_open").set(0.0);
            }
            return Ok(());
        }
        if !self.loaded {
            self.load().await?;
        }
        let rules = self.rules().await?;
        self.watched.retain(|key, _| rules.contains_key(key));
        for rule in rules.values().filter(|rule| rule.enabled) {
            if let Err(error) = self.rule(rule).await
                && outage::may_log(self.parts.clock.now())
            {
                tracing::warn!(%error, rule = %rule.id, "an alert rule could not be looked at");
            }
            if !self.loaded {
                // Another node has been here; what it did counts.
                return Ok(());
            }
        }
        self.end_without_rule(&rules);
        self.tell(&rules).await;
        let open = self.live.values().filter(|alert| alert.is_open()).count();
        gauge!("hookwright_alerts_open").set(open as f64);
        self.write().await
    }

    async fn load(&mut self) -> Result<(), StoreError> {
        let (mut live, mut after) = (BTreeMap::new(), None);
        loop {
            let page = self.parts.store.live_alerts(after, PAGE).await?;
            after = page.last().map(|alert| (alert.org, alert.id));
            let more = page.len() == PAGE;
            live.extend(page.into_iter().map(|alert| ((alert.org, alert.id), alert)));
            if !more {
                break;
            }
        }
        self.watched.clear();
        self.unwritten.clear();
        for alert in live.values().filter(|alert| alert.is_open()) {
            let watched = self.watched.entry((alert.org, alert.rule)).or_default();
            watched.states.insert(alert.subject, State { firing: true, since: None });
        }
        self.live = live;
        self.loaded = true;
        Ok(())
    }

    async fn rules(&self) -> Result<BTreeMap<RuleKey, Rule>, StoreError> {
        let (mut rules, mut after) = (BTreeMap::new(), None);
        loop {
            let page = self.parts.store.all_alert_rules(after, PAGE).await?;
            after = page.last().map(|rule| (rule.org, rule.id));
            let more = page.len() == PAGE;
            rules.extend(page.into_iter().map(|rule| ((rule.org, rule.id), rule)));
            if !more {
                return Ok(rules);
            }
        }
    }

    /// Looks at one rule.
    async fn rule(&mut self, rule: &Rule) -> Result<(), StoreError> {
        let now = self.parts.clock.now();
        let watched = self.watched.entry((rule.org, rule.id)).or_default();
        if watched.updated_at != rule.updated_at {
            // What had begun had begun by another rule. What has fired is open until this one says so.
            watched.states.retain(|_, state| state.firing);
            (watched.updated_at, watched.next_look) = (rule.updated_at, now);
        }
        if now < watched.next_look {
            return Ok(());
        }
        watched.next_look =
            now.plus(rule.condition.window().unwrap_or_default() / LOOKS_PER_WINDOW);
        let states: Vec<_> =
            watched.states.iter().map(|(subject, state)| (*subject, *state)).collect();
        let look = Look { store: &*self.parts.store, org: rule.org, now };
        let observed = look.at(&rule.condition).await?;
        let new =
            observed.keys().filter(|subject| !states.iter().any(|(known, _)| known == *subject));
        let new: Vec<_> = new.map(|subject| (*subject, State::default())).collect();
        let mut open = states.iter().filter(|(_, state)| state.firing).count();
        for (subject, state) in states.into_iter().chain(new) {
            let value = observed.get(&subject).copied();
            let level = value.map(|value| rule.condition.level(value));
            let (mut next, transition) = step(state, level, rule.hold, now);
            match transition {
                Some(Transition::Fired(since)) if open >= MAX_OPEN => {
                    next = State { firing: false, since: Some(since) };
                }
                Some(Transition::Fired(since)) => {
                    if !self.fire(rule, subject, since, &observed, now).await? {
                        return Ok(());
                    }
                    open += 1;
                }
                Some(Transition::Cleared) => self.clear(rule, subject, now),
                None => {}
            }
            self.remember((rule.org, rule.id), subject, next);
        }
        Ok(())
    }

    fn remember(&mut self, rule: RuleKey, subject: Subject, state: State) {
        let states = &mut self.watched.entry(rule).or_default().states;
        if state.is_quiet() {
            states.remove(&subject);
        } else {
            states.insert(subject, state);
        }
    }

    /// Stores that a rule fired. `false` if it had, by another node or by an answer that was lost: then
    /// everything is loaded anew.
    async fn fire(
        &mut self,
        rule: &Rule,
        subject: Subject,
        since: Timestamp,
        observed: &Observed,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let value = observed.get(&subject).copied().unwrap_or_default();
        let name = match subject.app() {
            Some(app) => self.parts.store.application(rule.org, &Ref::Id(app)).await?,
            None => None,
        };
        let name = name.as_ref().map(|application| application.name.as_str());
        let alert = Alert {
            org: rule.org,
            id: AlertId::generate(now, &*self.parts.entropy),
            rule: rule.id,
            rule_name: rule.name.clone(),
            condition: rule.condition.kind().to_owned(),
            subject,
            since,
            fired_at: now,
            cleared_at: None,
            value,
            threshold: rule.condition.threshold().0,
            text: words::text(&rule.condition, value, &subject, name),
            notices: notices(rule, false, now),
        };
        if !self.parts.store.put_alert(alert.clone()).await? {
            self.loaded = false;
            return Ok(false);
        }
        counter!("hookwright_alerts_total", "what" => "fired").increment(1);
        self.live.insert((alert.org, alert.id), alert);
        Ok(true)
    }

    fn clear(&mut self, rule: &Rule, subject: Subject, now: Timestamp) {
        let of_rule = self.live.iter_mut().find(|(_, alert)| {
            alert.is_open()
                && (alert.org, alert.rule) == (rule.org, rule.id)
                && alert.subject == subject
        });
        let Some((key, alert)) = of_rule else { return };
        alert.cleared_at = Some(now);
        alert.notices.extend(notices(rule, true, now));
        self.unwritten.insert(*key);
        counter!("hookwright_alerts_total", "what" => "cleared").increment(1);
    }

    /// What a rule fired for is over when the rule is gone, or not to be looked at. Nobody is told: whoever
    /// did that knows.
    fn end_without_rule(&mut self, rules: &BTreeMap<RuleKey, Rule>) {
        let now = self.parts.clock.now();
        for (key, alert) in self.live.iter_mut().filter(|(_, alert)| alert.is_open()) {
            let rule = (alert.org, alert.rule);
            if !rules.get(&rule).is_some_and(|rule| rule.enabled) {
                alert.cleared_at = Some(now);
                self.unwritten.insert(*key);
                self.watched.remove(&rule);
            }
        }
    }

    /// Sends the notices that are due, as many as may be sent in one look.
    async fn tell(&mut self, rules: &BTreeMap<RuleKey, Rule>) {
        let now = self.parts.clock.now();
        let (at_a_time, most, most_of_one) = NOTICES;
        let mut turns: HashMap<OrganizationId, usize> = HashMap::new();
        let mut due = Vec::new();
        for (key, alert) in &mut self.live {
            let waiting: Vec<u8> = alert
                .notices
                .iter()
                .filter(|notice| !notice.cleared && notice.next_try.is_some())
                .map(|notice| notice.channel)
                .collect();
            let channels = rules.get(&(alert.org, alert.rule)).map(|rule| &rule.channels);
            for at in 0..alert.notices.len() {
                let notice = &mut alert.notices[at];
                // Nobody hears that it is over before that it began.
                let early = notice.cleared && waiting.contains(&notice.channel);
                if early || notice.next_try.is_none_or(|next| next > now) {
                    continue;
                }
                let channel = channels.and_then(|all| all.get(usize::from(notice.channel)));
                let Some(channel) = channel.filter(|channel| channel.shown() == notice.shown)
                else {
                    notice.give_up("the rule has no such channel any more");
                    self.unwritten.insert(*key);
                    continue;
                };
                let turn = turns.entry(alert.org).or_default();
                if due.len() < most && *turn < most_of_one {
                    *turn += 1;
                    due.push((*key, at, channel.clone(), alert.clone()));
                }
            }
        }
        let tell = &self.parts.tell;
        let told: Vec<_> = stream::iter(due)
            .map(|(key, at, channel, alert)| async move {
                let cleared = alert.notices[at].cleared;
                let event = if cleared { Event::Cleared } else { Event::Fired };
                (key, at, tell.alert(&channel, &alert, event).await)
            })
            .buffer_unordered(at_a_time)
            .collect()
            .await;
        for (key, at, told) in told {
            let Some(alert) = self.live.get_mut(&key) else { continue };
            let cleared_at = alert.cleared_at.unwrap_or(alert.fired_at);
            let notice = &mut alert.notices[at];
            let since = if notice.cleared { cleared_at } else { alert.fired_at };
            match told {
                Ok(()) => notice.sent(now),
                Err(error) => notice.failed(error, since, now),
            }
            self.unwritten.insert(key);
        }
    }

    /// Writes what has changed. What fails is written next time.
    async fn write(&mut self) -> Result<(), StoreError> {
        for key in self.unwritten.clone() {
            let Some(alert) = self.live.get(&key) else { continue };
            if !self.parts.store.put_alert(alert.clone()).await? {
                self.loaded = false;
                return Ok(());
            }
            self.unwritten.remove(&key);
            if !alert.is_live() {
                self.live.remove(&key);
            }
        }
        Ok(())
    }
}

/// One for each channel of a rule.
fn notices(rule: &Rule, cleared: bool, now: Timestamp) -> Vec<Notice> {
    let channels = rule.channels.iter().enumerate();
    channels.map(|(at, channel)| Notice::new(cleared, at as u8, channel.shown(), now)).collect()
}
