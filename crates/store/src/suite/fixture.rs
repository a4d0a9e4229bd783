//! What the cases start from: one organization, a fixed time, the same ids on every run.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use domain::{
    application::Application,
    clock::Timestamp,
    endpoint::{Endpoint, EndpointSecret},
    entropy::SeededEntropy,
    id::{ApplicationId, EndpointId, OrganizationId, SecretId},
    name::{Ref, Uid},
    page::{Cursor, Order, Page, PageRequest},
    signature::{SignatureType, SigningSecret},
    token::Actor,
};

use crate::{Store, catalog::Versions};

/// Seconds after the suite's time zero.
pub fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_790_000_000).plus(Duration::from_secs(secs))
}

/// Who does everything here.
pub const ACTOR: Actor = Actor::System;

/// A uid.
pub fn uid(text: &str) -> Option<Uid> {
    Some(text.parse().expect("a uid"))
}

/// A reference by uid.
pub fn by_uid<I>(text: &str) -> Ref<I> {
    Ref::Uid(text.parse().expect("a uid"))
}

/// A whole list, oldest first.
pub fn first<K>(limit: u16) -> PageRequest<K> {
    PageRequest { limit, order: Order::Ascending, cursor: None }
}

/// A whole list, newest first.
pub fn newest<K>(limit: u16) -> PageRequest<K> {
    PageRequest { limit, order: Order::Descending, cursor: None }
}

/// One store, one organization.
pub struct Fixture<'a> {
    /// What is tested.
    pub store: &'a dyn Store,
    /// The environment.
    pub org: OrganizationId,
    /// The same numbers on every run.
    pub entropy: Arc<SeededEntropy>,
}

impl<'a> Fixture<'a> {
    /// An organization in `store`.
    pub fn new(store: &'a dyn Store) -> Self {
        let entropy = Arc::new(SeededEntropy::new(1));
        Self { store, org: OrganizationId::generate(at(0), &*entropy), entropy }
    }

    /// Another organization in the same store.
    pub fn other(&self) -> Self {
        let org = OrganizationId::generate(at(0), &*self.entropy);
        Self { store: self.store, org, entropy: self.entropy.clone() }
    }

    /// An application that is not stored yet.
    pub fn new_application(&self, created_at: Timestamp) -> Application {
        Application {
            org: self.org,
            id: ApplicationId::generate(created_at, &*self.entropy),
            uid: None,
            name: "Acme".into(),
            throttle_rate: None,
            metadata: BTreeMap::new(),
            source: None,
            created_at,
            updated_at: created_at,
        }
    }

    /// A stored application.
    pub async fn application(&self) -> Application {
        let application = self.new_application(at(0));
        self.create_application(&application).await;
        application
    }

    /// Stores an application.
    pub async fn create_application(&self, application: &Application) {
        let created = self.store.create_application(&ACTOR, application.clone()).await;
        assert_eq!(created, Ok(Ok(())), "create_application");
    }

    /// An endpoint that is not stored yet.
    pub fn new_endpoint(&self, app: &Application, created_at: Timestamp) -> Endpoint {
        Endpoint {
            org: app.org,
            app: app.id,
            id: EndpointId::generate(created_at, &*self.entropy),
            uid: None,
            url: "https://example.com/hook".parse().expect("a url"),
            description: String::new(),
            throttle_rate: None,
            version: 1,
            disabled: false,
            event_types: None,
            channels: None,
            metadata: BTreeMap::new(),
            headers: BTreeMap::new(),
            secrets: vec![self.secret(SignatureType::Hmac256, None)],
            retry_schedule: None,
            transformation: None,
            first_failure_at: None,
            revision: 1,
            created_at,
            updated_at: created_at,
        }
    }

    /// A signing secret.
    pub fn secret(&self, kind: SignatureType, expires_at: Option<Timestamp>) -> EndpointSecret {
        EndpointSecret {
            id: SecretId::generate(at(0), &*self.entropy),
            secret: Arc::new(SigningSecret::generate(kind, &*self.entropy)),
            expires_at,
        }
    }

    /// A stored endpoint.
    pub async fn endpoint(&self, app: &Application) -> Endpoint {
        let endpoint = self.new_endpoint(app, at(0));
        self.create_endpoint(&endpoint).await;
        endpoint
    }

    /// Stores an endpoint.
    pub async fn create_endpoint(&self, endpoint: &Endpoint) {
        let created = self.store.create_endpoint(&ACTOR, endpoint.clone()).await;
        assert_eq!(created, Ok(Ok(())), "create_endpoint");
    }

    /// What the store holds of an endpoint.
    pub async fn stored_endpoint(&self, endpoint: &Endpoint) -> Endpoint {
        let (org, app) = (endpoint.org, endpoint.app);
        let found = self.store.endpoint(org, app, &Ref::Id(endpoint.id)).await;
        found.expect("endpoint").expect("the endpoint is there")
    }

    /// Changes something of an endpoint.
    pub async fn update_endpoint(
        &self,
        endpoint: &Endpoint,
        change: impl FnOnce(&mut Endpoint),
    ) -> Endpoint {
        let mut changed = endpoint.clone();
        change(&mut changed);
        changed.revision += 1;
        let updated = self.store.update_endpoint(&ACTOR, changed).await;
        assert_eq!(updated, Ok(Ok(())), "update_endpoint");
        self.stored_endpoint(endpoint).await
    }

    /// Of the catalogue now.
    pub async fn versions(&self, app: &Application) -> Versions {
        let organization = self.store.load_organization(app.org).await.expect("load_organization");
        let loaded = self.store.load_application(app.org, &Ref::Id(app.id)).await;
        let application = loaded.expect("load_application").expect("the application is there");
        Versions { org: organization.version, app: application.version }
    }
}

/// What every case ends with: the store says that it is whole.
pub async fn assert_clean(store: &dyn Store) {
    assert_eq!(store.check().await.expect("check").problems, [""; 0]);
}

/// Reads a list page by page, in both directions, and compares with `all`, which is in its order.
pub async fn assert_pages<K, F>(all: &[K], order: Order, list: F)
where
    K: Clone + PartialEq + std::fmt::Debug,
    F: AsyncFn(PageRequest<K>) -> Page<K>,
{
    let request = |limit, cursor| PageRequest { limit, order, cursor };
    for limit in 1..=all.len() as u16 + 1 {
        let mut rest = all;
        let mut cursor = None;
        loop {
            let page = list(request(limit, cursor.clone())).await;
            let (wanted, behind) = rest.split_at(rest.len().min(limit.into()));
            assert_eq!(page.items, wanted, "{order:?} by {limit} from {cursor:?}");
            assert_eq!(page.done, behind.is_empty(), "{order:?} by {limit} from {cursor:?}: done");
            rest = behind;
            match page.items.last() {
                Some(last) if !page.done => cursor = Some(Cursor::After(last.clone())),
                _ => break,
            }
        }
        for (at, key) in all.iter().enumerate() {
            let cursor = Some(Cursor::Before(key.clone()));
            let page = list(request(limit, cursor.clone())).await;
            let start = at.saturating_sub(limit.into());
            assert_eq!(page.items, all[start..at], "{order:?} by {limit} from {cursor:?}");
            assert_eq!(page.done, start == 0, "{order:?} by {limit} from {cursor:?}: done");
        }
    }
}
