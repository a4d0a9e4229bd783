//! Two nodes over one store, and no news between them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use domain::{
    application::Application,
    clock::ManualClock,
    endpoint::Endpoint,
    event_type::EventType,
    id::{ApplicationId, EndpointId},
    name::Ref,
    organization::SchemaMode,
    token::{Actor, Revocation, Revoked},
};
use hookwright_publish::{
    Accepted, Draft, Internal, OrganizationCatalogue, Permit, PublishError, Publisher, Rejected,
};
use serde_json::json;
use store::{
    Catalog, Store, StoreError, Tokens,
    suite::fixture::{ACTOR, Fixture, at, uid},
};
use store_memory::MemoryStore;

use crate::support::{Engine, by_id, draft, memory, publisher};

type Published = Result<Vec<Result<Accepted, Rejected>>, PublishError>;

/// A node that has published already, and so has the catalogue in its memory; the rest of the world
/// writes to the store behind its back.
struct World {
    store: Arc<MemoryStore>,
    engine: Arc<Engine>,
    publisher: Publisher,
    app: Application,
}

impl World {
    async fn new(shared: bool) -> Self {
        let store = memory();
        let f = Fixture::new(&*store);
        let mut app = f.new_application(at(0));
        app.uid = uid("acme");
        f.create_application(&app).await;
        let engine = Arc::new(Engine::default());
        let node: Arc<dyn Store> =
            if shared { store.node("b", Arc::new(ManualClock::new(at(1)))) } else { store.clone() };
        let publisher = publisher(&node, &f, &engine);
        let world = Self { store, engine, publisher, app };
        world.accepted(&world.by_uid()).await;
        world.accepted(&by_id(&world.app)).await;
        world
    }

    fn fixture(&self) -> Fixture<'_> {
        Fixture { org: self.app.org, ..Fixture::new(&*self.store) }
    }

    fn by_uid(&self) -> Ref<ApplicationId> {
        Ref::Uid("acme".parse().expect("a uid"))
    }

    async fn publish(&self, app: &Ref<ApplicationId>, drafts: Vec<Draft>) -> Published {
        self.publisher.publish(self.app.org, app, drafts, &Internal).await
    }

    /// Of one message that is accepted: which endpoints it goes to.
    async fn accepted(&self, app: &Ref<ApplicationId>) -> Vec<EndpointId> {
        let mut results = self.publish(app, vec![draft(None)]).await.expect("publishes");
        results.remove(0).expect("accepted");
        let hot = std::mem::take(&mut *self.engine.hot.lock());
        hot.iter().map(|hot| hot.delivery.endpoint).collect()
    }

    async fn schema(&self, name: &str, required: &str) {
        let event_type = EventType {
            org: self.app.org,
            name: name.parse().expect("a name"),
            description: String::new(),
            archived: false,
            deprecated: false,
            schemas: Some(json!({"1": {"required": [required]}})),
            group_name: None,
            feature_flags: Vec::new(),
            schema_mode: Some(SchemaMode::Reject),
            retry_schedule: None,
            created_at: at(0),
            updated_at: at(0),
        };
        let known = self.store.event_type(self.app.org, &event_type.name).await.expect("answers");
        let written = match known {
            Some(_) => self.store.update_event_type(&ACTOR, event_type, at(0)).await,
            None => self.store.create_event_type(&ACTOR, event_type).await,
        };
        assert_eq!(written, Ok(Ok(())));
    }

    fn loads(&self) -> u64 {
        self.publisher.catalogues().organization_loads()
    }
}

fn saying(body: &'static str) -> Draft {
    let mut draft = draft(None);
    draft.body.bytes = Bytes::from_static(body.as_bytes());
    draft
}

fn to(endpoint: &Endpoint) -> Draft {
    Draft { only: Some(endpoint.id), ..draft(None) }
}

/// Who was refused, by a text of why.
fn outcomes(results: Published) -> Vec<Result<(), String>> {
    let results = results.expect("publishes").into_iter();
    results.map(|r| r.map(|_| ()).map_err(|e| format!("{e:?}"))).collect()
}

#[tokio::test]
async fn nothing_is_refused_by_what_may_be_old() {
    let world = World::new(true).await;
    // An endpoint that is new.
    let endpoint = world.fixture().endpoint(&world.app).await;
    let sent = world.publish(&world.by_uid(), vec![to(&endpoint)]).await;
    assert_eq!(outcomes(sent), [Ok(())]);
    // One that was deleted is missing, and that was looked up.
    let Endpoint { org, app, id, .. } = endpoint;
    let deleted = world.store.delete_endpoint(&ACTOR, org, app, id, at(2)).await;
    assert_eq!(deleted, Ok(Ok(())));
    let sent = world.publish(&world.by_uid(), vec![to(&endpoint), draft(None)]).await;
    assert_eq!(outcomes(sent), [Err("NoSuchEndpoint".into()), Ok(())]);
    world.store.set_unavailable(true);
    let sent = world.publish(&world.by_uid(), vec![to(&endpoint)]).await;
    assert!(matches!(sent, Err(PublishError::Store(StoreError::Unavailable(_)))), "{sent:?}");
}

#[tokio::test]
async fn payloads_are_checked_by_the_schema_as_it_is_now() {
    let world = World::new(true).await;
    let app = by_id(&world.app);
    // Routed with none, and checked by the one that made it stale.
    world.schema("a", "x").await;
    let sent = world.publish(&app, vec![saying("{}"), saying(r#"{"x": 1}"#)]).await;
    let sent = outcomes(sent);
    assert!(sent[0].as_ref().is_err_and(|why| why.starts_with("Schema")), "{sent:?}");
    assert_eq!(sent[1], Ok(()));
    // Refused by one that is old, and let pass by the new one.
    world.schema("a", "y").await;
    let loads = world.loads();
    let sent = world.publish(&app, vec![saying(r#"{"y": 1}"#), saying(r#"{"x": 1}"#)]).await;
    let sent = outcomes(sent);
    assert_eq!(sent[0], Ok(()));
    assert!(sent[1].is_err(), "{sent:?}");
    assert_eq!(world.loads(), loads + 1, "once per request");
    // What is refused rightly is looked up once, what passes is not.
    outcomes(world.publish(&app, vec![saying("{}"); 5]).await);
    assert_eq!(world.loads(), loads + 2);
    outcomes(world.publish(&app, vec![saying(r#"{"y": 1}"#); 5]).await);
    assert_eq!(world.loads(), loads + 2);
}

#[tokio::test]
async fn an_application_is_whoever_has_the_uid_now() {
    let world = World::new(true).await;
    let f = world.fixture();
    let next = async |created_at| {
        let mut app = f.new_application(at(created_at));
        app.uid = uid("acme");
        f.create_application(&app).await;
        (f.endpoint(&app).await.id, app)
    };
    // It gave its uid away.
    let mut without = world.app.clone();
    (without.uid, without.updated_at) = (None, at(3));
    let updated = world.store.update_application(&ACTOR, without, world.app.updated_at).await;
    assert_eq!(updated, Ok(Ok(())));
    let (endpoint, second) = next(3).await;
    let mut sent = world.publish(&world.by_uid(), vec![draft(None)]).await.expect("publishes");
    let message = sent.remove(0).expect("accepted").message;
    assert_eq!(message.app, second.id, "it is a message of the application that it goes to");
    assert_eq!(world.engine.hot.lock().remove(0).delivery.endpoint, endpoint);
    // That was deleted, and its uid was free.
    let deleted = world.store.delete_application(&ACTOR, second.org, second.id, at(4)).await;
    assert_eq!(deleted, Ok(Ok(())));
    let (endpoint, third) = next(4).await;
    assert_eq!(world.accepted(&world.by_uid()).await, [endpoint]);
    let sent = world.publish(&by_id(&second), vec![draft(None)]).await;
    assert_eq!(sent.map(|_| ()), Err(PublishError::NotFound));
    // And free again: that there is none is not remembered.
    let deleted = world.store.delete_application(&ACTOR, third.org, third.id, at(5)).await;
    assert_eq!(deleted, Ok(Ok(())));
    for _ in 0..2 {
        let sent = world.publish(&world.by_uid(), vec![draft(None)]).await;
        assert_eq!(sent.map(|_| ()), Err(PublishError::NotFound));
    }
    let (endpoint, _) = next(5).await;
    assert_eq!(world.accepted(&world.by_uid()).await, [endpoint]);
}

/// Holds so often, and remembers by what it was asked for.
struct Ends {
    after: usize,
    asked: AtomicUsize,
    version: AtomicUsize,
}

#[async_trait]
impl Permit for Ends {
    async fn still_holds(&self, organization: &OrganizationCatalogue) -> Result<bool, StoreError> {
        self.version.store(organization.version as usize, Ordering::Relaxed);
        Ok(self.asked.fetch_add(1, Ordering::Relaxed) < self.after)
    }
}

fn ends(after: usize) -> Ends {
    Ends { after, asked: AtomicUsize::new(0), version: AtomicUsize::new(0) }
}

async fn revoke(world: &World) {
    let (what, time) = (Revoked::Token([7; 32]), at(1));
    let revocation = Revocation { what, issued_until: time, at: time, forget_at: at(1_000) };
    assert_eq!(world.store.revoke(&Actor::System, world.app.org, None, revocation).await, Ok(()));
}

#[tokio::test]
async fn the_right_to_publish_is_looked_at_again_by_what_a_message_is_routed_with() {
    let world = World::new(true).await;
    let (org, app) = (world.app.org, by_id(&world.app));
    revoke(&world).await;
    let before = world.store.load_organization(org).await.expect("loads").version as usize;
    let permit = ends(1);
    let sent = world.publisher.publish(org, &app, vec![draft(None); 2], &permit).await;
    assert_eq!(sent.map(|_| ()), Err(PublishError::Revoked));
    assert_eq!(permit.asked.load(Ordering::Relaxed), 2, "and again after stale");
    assert_eq!(permit.version.load(Ordering::Relaxed), before, "by the new version");
    assert!(world.engine.hot.lock().is_empty());

    // What was stored stands: here, all but the one whose payload is looked at again.
    world.schema("typed", "x").await;
    world.accepted(&app).await;
    let mut typed = draft(None);
    typed.event_type = "typed".parse().expect("a name");
    let drafts = vec![draft(None), typed, draft(None)];
    let sent = world.publisher.publish(org, &app, drafts, &ends(1)).await;
    assert_eq!(outcomes(sent), [Ok(()), Err("Revoked".into()), Ok(())]);
}

#[tokio::test]
async fn a_node_alone_asks_nobody_and_loads_nothing_twice() {
    let world = World::new(false).await;
    let (org, app) = (world.app.org, by_id(&world.app));
    let endpoint = world.fixture().new_endpoint(&world.app, at(0));
    // It writes itself, and says so.
    world.schema("a", "x").await;
    world.publisher.catalogues().organization_changed(org);
    let permit = ends(0);
    let passes = || vec![saying(r#"{"x": 1}"#)];
    let sent = world.publisher.publish(org, &app, passes(), &permit).await;
    assert_eq!(outcomes(sent), [Ok(())]);
    assert_eq!(permit.asked.load(Ordering::Relaxed), 0);
    let loads = world.loads();
    // Refusals are from memory, where all is exact.
    world.store.set_unavailable(true);
    let missing = Draft { body: passes().remove(0).body, ..to(&endpoint) };
    let sent = world.publish(&app, vec![saying("{}"), missing]).await;
    let sent = outcomes(sent);
    assert!(sent[0].as_ref().is_err_and(|why| why.starts_with("Schema")), "{sent:?}");
    assert_eq!(sent[1], Err("NoSuchEndpoint".into()));
    world.store.set_unavailable(false);
    // That there is no such application is remembered.
    for away in [false, true] {
        world.store.set_unavailable(away);
        let sent = world.publish(&Ref::Uid("none".parse().expect("a uid")), passes()).await;
        assert_eq!(sent.map(|_| ()), Err(PublishError::NotFound));
    }
    assert_eq!(world.loads(), loads);
}
