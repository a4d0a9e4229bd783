//! A publisher over the reference store, and an engine that remembers.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{
    application::Application,
    claim::{ClaimKey, ClaimKind},
    clock::ManualClock,
    entropy::SeededEntropy,
    id::{ApplicationId, EndpointId, MessageId, OrganizationId},
    message::{Body, Origin},
    name::Ref,
};
use hookwright_publish::{Catalogues, Draft, DraftClaim, Handover, Hot, PublishOptions, Publisher};
use parking_lot::Mutex;
use store::{
    Store,
    suite::fixture::{Fixture, at},
};
use store_memory::MemoryStore;

/// Whoever delivers; with him the store goes away, if that is asked for.
#[derive(Default)]
pub struct Engine {
    pub hot: Mutex<Vec<Hot>>,
    pub ends: Mutex<Option<Arc<MemoryStore>>>,
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

    fn tasks_changed(&self) {}

    fn message_expunged(&self, _: OrganizationId, _: ApplicationId, _: MessageId) {}
}

pub fn publisher(store: &Arc<dyn Store>, f: &Fixture<'_>, engine: &Arc<Engine>) -> Publisher {
    let options =
        PublishOptions { payload_retention: Duration::from_secs(1_000), max_pending: Some(2) };
    let catalogues = Arc::new(Catalogues::new(store.clone(), 100));
    let clock = Arc::new(ManualClock::new(at(1)));
    Publisher::new(store.clone(), catalogues, engine.clone(), clock, f.entropy.clone(), options)
}

pub fn draft(key: Option<&str>) -> Draft {
    Draft {
        event_type: "a".parse().expect("a name"),
        event_id: None,
        event_id_window: None,
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

/// A new store.
pub fn memory() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new(Arc::new(SeededEntropy::new(7))))
}

pub fn by_id(app: &Application) -> Ref<ApplicationId> {
    Ref::Id(app.id)
}
