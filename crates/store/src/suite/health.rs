//! An endpoint's health, as settles change it and updates leave it.

use domain::{
    delivery::{Health, Next},
    endpoint::Endpoint,
    name::Ref,
};

use super::{
    fixture::{ACTOR, Fixture, at},
    traffic::moved,
};
use crate::{
    Store,
    catalog::Refused,
    deliveries::{Settle, Settled},
    publish::Published,
};

impl Fixture<'_> {
    /// Settles a try of a fresh message with this for the endpoint; whether it changed something.
    pub(super) async fn health(&self, endpoint: &Endpoint, health: Health) -> bool {
        let app = self.store.application(endpoint.org, &Ref::Id(endpoint.app)).await;
        let app = app.expect("application").expect("it is there");
        let sent = self.send(&app, &[endpoint], at(1)).await;
        let outcome = self.outcome(&sent.deliveries[0], Some(500), Next::Retry(at(900)), at(2));
        let settled = self.settle(Settle { health, ..outcome }).await;
        assert!(!settled.superseded);
        settled.health_changed
    }
}

/// The first failure is remembered until the endpoint answers again; neither routes anything.
pub async fn changes_only_on_transition(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let (endpoint, beside) = (f.endpoint(&app).await, f.endpoint(&app).await);
    let versions = f.versions(&app).await;
    for (health, changed, first_failure_at) in [
        (Health::Same, false, None),
        (Health::Recovered, false, None),
        (Health::Failing(at(10)), true, Some(at(10))),
        (Health::Failing(at(20)), false, Some(at(10))),
        (Health::Same, false, Some(at(10))),
        (Health::Recovered, true, None),
        (Health::Recovered, false, None),
        (Health::Failing(at(30)), true, Some(at(30))),
    ] {
        assert_eq!(f.health(&endpoint, health).await, changed, "{health:?}");
        let stored = f.stored_endpoint(&endpoint).await;
        assert_eq!(stored, Endpoint { first_failure_at, ..endpoint.clone() }, "{health:?}");
    }
    assert_eq!(f.stored_endpoint(&beside).await, beside);
    assert_eq!(f.versions(&app).await, versions);
}

/// Disabling is a change of the endpoint like any other: what was routed or edited before is stale.
pub async fn disables_once(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let versions = f.versions(&app).await;
    assert!(f.health(&endpoint, Health::Failing(at(10))).await);
    let disable = Health::Disable { fail_since: at(10) };
    assert!(f.health(&endpoint, disable).await);
    let stored = f.stored_endpoint(&endpoint).await;
    let wanted = Endpoint {
        disabled: true,
        first_failure_at: Some(at(10)),
        revision: endpoint.revision + 1,
        ..endpoint.clone()
    };
    assert_eq!(stored, wanted);
    let new = f.routed(versions, f.message(&app, at(3)), &[&endpoint]);
    assert_eq!(f.publish(new).await, Published::Stale);
    let mut edited = endpoint.clone();
    (edited.revision, edited.description) = (endpoint.revision + 1, "edited".into());
    assert_eq!(store.update_endpoint(&ACTOR, edited).await, Ok(Err(Refused::Stale)));

    assert!(!f.health(&endpoint, disable).await, "it is disabled already");
    assert_eq!(f.stored_endpoint(&endpoint).await, wanted);

    // One that is gone at its first failure has failed since then.
    let gone = f.endpoint(&app).await;
    assert!(f.health(&gone, Health::Disable { fail_since: at(50) }).await);
    assert_eq!(f.stored_endpoint(&gone).await.first_failure_at, Some(at(50)));
}

/// An update made from what was read before does not bring an old health back; enabling begins
/// anew.
pub async fn survives_an_update(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let read = f.endpoint(&app).await;
    assert!(f.health(&read, Health::Failing(at(10))).await);
    let updated = f.update_endpoint(&read, |e| e.description = "edited".into()).await;
    assert_eq!(updated.first_failure_at, Some(at(10)));

    assert!(f.health(&read, Health::Recovered).await);
    let updated = f.update_endpoint(&updated, |e| e.description = "edited again".into()).await;
    assert_eq!(updated.first_failure_at, None);

    assert!(f.health(&read, Health::Disable { fail_since: at(20) }).await);
    let disabled = f.stored_endpoint(&read).await;
    let edited = f.update_endpoint(&disabled, |e| e.description = "while disabled".into()).await;
    assert_eq!((edited.disabled, edited.first_failure_at), (true, Some(at(20))));
    let enabled = f.update_endpoint(&edited, |e| e.disabled = false).await;
    assert_eq!((enabled.disabled, enabled.first_failure_at), (false, None));
}

/// Health speaks of the endpoint, not of the delivery: it counts even if that had moved on. A
/// deleted endpoint has none.
pub async fn counts_when_superseded(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let delivery = f.send(&app, &[&endpoint], at(1)).await.deliveries[0].clone();
    let ahead = moved(&delivery, at(60));
    let outcome = f.outcome(&ahead, Some(500), Next::Retry(at(90)), at(61));
    let settled = f.settle(Settle { health: Health::Failing(at(61)), ..outcome }).await;
    let wanted = Settled { superseded: true, health_changed: true, ..Settled::default() };
    assert_eq!(settled, wanted);
    assert_eq!(f.stored_endpoint(&endpoint).await.first_failure_at, Some(at(61)));

    let deleted = store.delete_endpoint(&ACTOR, f.org, app.id, endpoint.id, at(62)).await;
    assert_eq!(deleted, Ok(Ok(())));
    let outcome = f.outcome(&delivery, Some(500), Next::Retry(at(90)), at(63));
    let disable = Health::Disable { fail_since: at(61) };
    assert_eq!(f.settle(Settle { health: disable, ..outcome }).await, Settled::default());
}
