//! Each message of a request by itself, over the reference store.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{
    application::Application,
    claim::{ClaimKey, ClaimKind},
    clock::ManualClock,
    delivery::Trigger,
    id::{ApplicationId, EndpointId, MessageId, OrganizationId},
    message::{Body, Origin},
    name::Ref,
};
use hookwright_publish::{
    Catalogues, Draft, DraftClaim, Handover, Hot, PublishOptions, Publisher, Rejected,
};
use parking_lot::Mutex;
use store::{
    Catalog, StoreError,
    suite::fixture::{ACTOR, Fixture, at},
};
use store_memory::MemoryStore;

/// Whoever delivers; with him the store goes away, if that is asked for.
#[derive(Default)]
struct Engine {
    hot: Mutex<Vec<Hot>>,
    ends: Mutex<Option<Arc<MemoryStore>>>,
}

impl Handover for Engine {
    fn hand_over(&self, hot: Vec<Hot>) {
        self.hot.lock().extend(hot);
        if let Some(store) = &*self.ends.lock() {
            store.set_unavailable(true);
        }
    }

    fn endpoint_changed(&self, _: OrganizationId, _: ApplicationId, _: EndpointId) {}

    fn application_changed(&self, _: OrganizationId, _: ApplicationId) {}

    fn message_expunged(&self, _: OrganizationId, _: ApplicationId, _: MessageId) {}
}

fn publisher(store: &Arc<MemoryStore>, f: &Fixture<'_>, engine: &Arc<Engine>) -> Publisher {
    let options =
        PublishOptions { payload_retention: Duration::from_secs(1_000), max_pending: Some(2) };
    let catalogues = Arc::new(Catalogues::new(store.clone(), 100));
    let clock = Arc::new(ManualClock::new(at(1)));
    Publisher::new(store.clone(), catalogues, engine.clone(), clock, f.entropy.clone(), options)
}

fn draft(key: Option<&str>) -> Draft {
    Draft {
        event_type: "a".parse().expect("a name"),
        event_id: None,
        channels: Vec::new(),
        tags: Vec::new(),
        body: Body::json(Bytes::from_static(b"{}")),
        deliver_at: None,
        retention: None,
        origin: Origin::Api,
        idempotency: key.map(|key| DraftClaim {
            key: ClaimKey::new(ClaimKind::IdempotencyKey, &[key.as_bytes()]),
            ttl: Duration::from_secs(100),
        }),
        only: None,
    }
}

fn by_id(app: &Application) -> Ref<ApplicationId> {
    Ref::Id(app.id)
}

#[tokio::test]
async fn what_is_stored_is_on_its_way_whatever_becomes_of_the_rest() {
    let store = Arc::new(MemoryStore::new(Arc::new(domain::entropy::SeededEntropy::new(7))));
    let f = Fixture::new(&*store);
    let app = f.application().await;
    f.endpoint(&app).await;
    let engine = Arc::new(Engine::default());
    let publisher = publisher(&store, &f, &engine);
    let first = publisher.publish(f.org, &by_id(&app), vec![draft(Some("k"))]).await;
    let first = first.expect("publishes").remove(0).expect("accepted");
    *engine.ends.lock() = Some(store.clone());

    // The message of a repeated request cannot be read; the other one is stored.
    let drafts = vec![draft(Some("k")), draft(None)];
    let results = publisher.publish(f.org, &by_id(&app), drafts).await.expect("publishes");
    let refused = results[0].as_ref().expect_err("it cannot be told");
    assert!(matches!(refused, Rejected::Store(StoreError::Unavailable(_))), "{refused:?}");
    let stored = results[1].as_ref().expect("accepted");
    let handed: Vec<_> = engine.hot.lock().iter().map(|hot| hot.message.id).collect();
    assert_eq!(handed, [first.message.id, stored.message.id]);
}

#[tokio::test]
async fn an_application_that_goes_meanwhile_fails_its_messages() {
    let store = Arc::new(MemoryStore::new(Arc::new(domain::entropy::SeededEntropy::new(7))));
    let f = Fixture::new(&*store);
    let app = f.application().await;
    let publisher = publisher(&store, &f, &Arc::default());
    publisher.publish(f.org, &by_id(&app), vec![draft(None)]).await.expect("publishes");
    let deleted = store.delete_application(&ACTOR, f.org, app.id, at(2)).await;
    assert_eq!(deleted, Ok(Ok(())));
    let results = publisher.publish(f.org, &by_id(&app), vec![draft(None); 2]).await;
    for result in results.expect("one result each") {
        assert_eq!(result.expect_err("it is gone"), Rejected::NoSuchApplication);
    }
}

#[tokio::test]
async fn resends_that_are_asked_for_keep_to_the_quota() {
    let store = Arc::new(MemoryStore::new(Arc::new(domain::entropy::SeededEntropy::new(7))));
    let f = Fixture::new(&*store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let publisher = publisher(&store, &f, &Arc::default());
    let sent = publisher.publish(f.org, &by_id(&app), vec![draft(None)]).await;
    let message = sent.expect("publishes").remove(0).expect("accepted").message;
    for (trigger, within) in
        [(Trigger::Manual, true), (Trigger::Manual, false), (Trigger::Replay, true)]
    {
        let sent = publisher.resend(message.clone(), &endpoint, trigger).await;
        let sent = sent.expect("the store answers");
        assert_eq!(sent.is_ok(), within, "{trigger:?}");
        assert!(within || sent == Err(Rejected::OverQuota));
    }
}
