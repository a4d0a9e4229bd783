//! A house with an evaluator, and a way out that remembers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    alert::{Alert, Channel, Condition, Rule},
    clock::{Clock, ManualClock, Timestamp},
    entropy::SeededEntropy,
    id::{AlertRuleId, ApplicationId, EndpointId, MessageId, OrganizationId},
    page::{Order, PageRequest},
};
use hookwright_alerts::{AlertParts, Evaluator, Notifier, Tell, evaluate::EVERY};
use parking_lot::Mutex;
use publish::{Catalogues, Handover, Hot, PublishOptions, Publisher};
use store::{
    Alerts,
    suite::fixture::{ACTOR, Fixture, at},
};
use store_memory::MemoryStore;
use url::Url;

struct Nobody;

impl Handover for Nobody {
    fn hand_over(&self, _: Vec<Hot>) {}
    fn endpoint_changed(&self, _: OrganizationId, _: ApplicationId, _: EndpointId) {}
    fn application_changed(&self, _: OrganizationId, _: ApplicationId) {}
    fn tasks_changed(&self) {}
    fn message_expunged(&self, _: OrganizationId, _: ApplicationId, _: MessageId) {}
}

/// Remembers what went out: where to, and what.
#[derive(Default)]
pub struct Out {
    pub sent: Mutex<Vec<(String, String)>>,
    pub down: AtomicBool,
    pub tries: Mutex<Vec<String>>,
}

impl Out {
    fn send(&self, to: &str, what: String) -> Result<(), String> {
        self.tries.lock().push(to.to_owned());
        if self.down.load(Ordering::Relaxed) {
            return Err("connection refused".into());
        }
        self.sent.lock().push((to.to_owned(), what));
        Ok(())
    }

    pub fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.sent.lock())
    }
}

#[async_trait]
impl Notifier for Out {
    async fn post_json(&self, _: OrganizationId, url: &Url, body: String) -> Result<(), String> {
        self.send(url.as_str(), body)
    }

    async fn mail(&self, to: &str, subject: &str, text: &str) -> Result<(), String> {
        self.send(to, format!("{subject}\n{text}"))
    }
}

/// The house.
pub struct House {
    pub store: Arc<MemoryStore>,
    pub clock: Arc<ManualClock>,
    pub out: Arc<Out>,
    pub keeper: Arc<AtomicBool>,
    org: OrganizationId,
    ids: Arc<SeededEntropy>,
    parts: AlertParts,
    evaluator: Evaluator,
}

pub const MINUTE: Duration = Duration::from_secs(60);

impl House {
    /// At the beginning of the fixture's time.
    pub fn new() -> Self {
        let store = Arc::new(MemoryStore::new(Arc::new(SeededEntropy::new(3))));
        let clock = Arc::new(ManualClock::new(at(0)));
        let entropy = Arc::new(SeededEntropy::new(4));
        let catalogues = Arc::new(Catalogues::new(store.clone(), 100));
        let options = PublishOptions { payload_retention: 1_440 * MINUTE, max_pending: None };
        let publisher = Arc::new(Publisher::new(
            store.clone(),
            catalogues,
            Arc::new(Nobody),
            clock.clone(),
            entropy.clone(),
            options,
        ));
        let (out, keeper) = (Arc::new(Out::default()), Arc::new(AtomicBool::new(true)));
        let is_keeper = keeper.clone();
        let parts = AlertParts {
            store: store.clone(),
            clock: clock.clone(),
            entropy,
            tell: Tell::new(publisher, out.clone(), "https://hooks.example.com"),
            is_keeper: Arc::new(move || is_keeper.load(Ordering::Relaxed)),
        };
        let evaluator = Evaluator::new(parts.clone());
        let ids = Arc::new(SeededEntropy::new(5));
        let org = OrganizationId::generate(at(0), &*ids);
        Self { store, clock, out, keeper, org, ids, parts, evaluator }
    }

    /// An organization: the same each time. Ids are never made twice.
    pub fn fixture(&self) -> Fixture<'_> {
        Fixture { store: &*self.store, org: self.org, entropy: self.ids.clone() }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// All that was in memory is gone.
    pub fn restart(&mut self) {
        self.evaluator = Evaluator::new(self.parts.clone());
    }

    /// Another node that takes itself for the keeper.
    pub fn twin(&self) -> Evaluator {
        Evaluator::new(self.parts.clone())
    }

    /// Lets so much time pass, with a look as often as there is one.
    pub async fn pass(&mut self, time: Duration) {
        let end = self.now().plus(time);
        self.look().await;
        while self.now() < end {
            self.clock.advance(EVERY);
            self.look().await;
        }
    }

    pub async fn look(&mut self) {
        self.evaluator.look().await.expect("looked");
    }

    /// Alerts of an organization, oldest first.
    pub async fn alerts(&self, org: OrganizationId) -> Vec<Alert> {
        let page = PageRequest { limit: 250, order: Order::Ascending, cursor: None };
        self.store.alerts(org, false, page).await.expect("alerts").items
    }

    pub async fn rule(
        &self,
        org: OrganizationId,
        condition: Condition,
        hold: Duration,
        channels: Vec<Channel>,
    ) -> Rule {
        assert_eq!(condition.faults(), [], "{condition:?}");
        let now = self.now();
        let id = AlertRuleId::generate(now, &SeededEntropy::new(now.as_micros().unsigned_abs()));
        let name = "The rule".to_owned();
        let (enabled, created_at, updated_at) = (true, now, now);
        let rule =
            Rule { org, id, name, enabled, condition, hold, channels, created_at, updated_at };
        assert_eq!(self.store.create_alert_rule(&ACTOR, rule.clone()).await, Ok(true));
        rule
    }

    /// The only alert there is.
    pub async fn only(&self, org: OrganizationId) -> Alert {
        let mut alerts = self.alerts(org).await;
        assert_eq!(alerts.len(), 1, "{alerts:?}");
        alerts.remove(0)
    }

    /// Exactly one alert, which is open (or not any more).
    pub async fn expect_one(&self, org: OrganizationId, open: bool) -> Alert {
        let alert = self.only(org).await;
        assert_eq!(alert.is_open(), open, "{alert:?}");
        alert
    }
}
