//! The catalogue in memory: what messages are routed by and endpoints are reached with. Bounded; what
//! is not in it is loaded. Whoever writes the catalogue says so here; a message that was routed with
//! an older one comes back from the store as stale.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use domain::{
    application::Application,
    endpoint::{Endpoint, shown_url},
    event_type::EventType,
    id::{ApplicationId, EndpointId, OrganizationId},
    name::{EventTypeName, Ref, Uid},
    organization::{OrganizationSettings, SchemaMode},
};
use lru::LruCache;
use parking_lot::Mutex;
use store::{Store, StoreError, catalog::ApplicationSnapshot};
use url::Url;

use crate::schema::Schema;

/// An endpoint with what every attempt needs of it made ready.
#[derive(Debug)]
pub struct PreparedEndpoint {
    /// As stored.
    pub endpoint: Endpoint,
    /// Its URL, to be shared with attempts.
    pub url: Arc<Url>,
    /// Its URL as it may be shown.
    pub shown_url: Arc<str>,
    /// Its own headers.
    pub headers: Vec<(Arc<str>, String)>,
}

/// An application and its endpoints.
#[derive(Debug)]
pub struct ApplicationCatalogue {
    /// As stored.
    pub application: Application,
    /// Those not deleted, by id.
    pub endpoints: Vec<Arc<PreparedEndpoint>>,
    /// What it was loaded as.
    pub version: u64,
}

impl ApplicationCatalogue {
    fn new(snapshot: ApplicationSnapshot) -> Self {
        let mut endpoints: Vec<_> = snapshot.endpoints.into_iter().map(prepare).collect();
        endpoints.sort_by_key(|e| e.endpoint.id);
        Self { application: snapshot.application, endpoints, version: snapshot.version }
    }

    /// One of its endpoints.
    pub fn endpoint(&self, id: EndpointId) -> Option<&Arc<PreparedEndpoint>> {
        let at = self.endpoints.binary_search_by_key(&id, |e| e.endpoint.id).ok()?;
        self.endpoints.get(at)
    }
}

fn prepare(endpoint: Endpoint) -> Arc<PreparedEndpoint> {
    Arc::new(PreparedEndpoint {
        url: Arc::new(endpoint.url.clone()),
        shown_url: shown_url(&endpoint.url).into(),
        headers: endpoint
            .headers
            .iter()
            .map(|(name, value)| (Arc::from(name.as_str()), value.clone()))
            .collect(),
        endpoint,
    })
}

/// An event type with its schema compiled.
#[derive(Debug)]
pub struct PreparedEventType {
    /// As stored.
    pub event_type: EventType,
    /// What payloads are checked against.
    pub schema: Option<Schema>,
}

/// An organization's settings and event types.
#[derive(Debug)]
pub struct OrganizationCatalogue {
    /// As stored.
    pub settings: OrganizationSettings,
    /// By name, archived ones too.
    pub event_types: HashMap<EventTypeName, PreparedEventType>,
    /// What it was loaded as.
    pub version: u64,
}

impl OrganizationCatalogue {
    /// Whether payloads of this type are checked, and against what.
    pub fn schema(&self, name: &EventTypeName) -> Option<(SchemaMode, &Schema)> {
        let found = self.event_types.get(name)?;
        let mode = found.event_type.schema_mode.unwrap_or(self.settings.schema_mode);
        (mode != SchemaMode::Off).then_some(())?;
        Some((mode, found.schema.as_ref()?))
    }
}

struct Cache {
    applications: LruCache<(OrganizationId, ApplicationId), Arc<ApplicationCatalogue>>,
    /// `None`: there is no application of that uid.
    uids: LruCache<(OrganizationId, Uid), Option<ApplicationId>>,
    organizations: LruCache<OrganizationId, Arc<OrganizationCatalogue>>,
}

/// The catalogues of the organizations and applications in use.
pub struct Catalogues {
    store: Arc<dyn Store>,
    cache: Mutex<Cache>,
    /// Counts changes: what was being loaded when one came is not kept.
    generation: AtomicU64,
}

impl Catalogues {
    /// Keeps up to `applications` of them (and as many uids, and a tenth as many organizations).
    pub fn new(store: Arc<dyn Store>, applications: usize) -> Self {
        let bound = |n: usize| NonZeroUsize::new(n.max(16)).expect("at least 16");
        let cache = Cache {
            applications: LruCache::new(bound(applications)),
            uids: LruCache::new(bound(applications)),
            organizations: LruCache::new(bound(applications / 10)),
        };
        Self { store, cache: Mutex::new(cache), generation: AtomicU64::new(0) }
    }

    /// An application, if it is in memory.
    pub fn cached(
        &self,
        org: OrganizationId,
        app: ApplicationId,
    ) -> Option<Arc<ApplicationCatalogue>> {
        self.cache.lock().applications.get(&(org, app)).cloned()
    }

    /// An application by id or uid.
    pub async fn application(
        &self,
        org: OrganizationId,
        app: &Ref<ApplicationId>,
    ) -> Result<Option<Arc<ApplicationCatalogue>>, StoreError> {
        if let Some(known) = self.look_up(org, app) {
            return Ok(known);
        }
        let generation = self.generation.load(Ordering::Acquire);
        let loaded = self.store.load_application(org, app).await?;
        let loaded = loaded.map(|snapshot| Arc::new(ApplicationCatalogue::new(snapshot)));
        let mut cache = self.cache.lock();
        if generation == self.generation.load(Ordering::Acquire) {
            let id = loaded.as_ref().map(|l| l.application.id);
            if let Ref::Uid(uid) = app {
                cache.uids.put((org, uid.clone()), id);
            }
            if let (Some(id), Some(loaded)) = (id, &loaded) {
                cache.applications.put((org, id), loaded.clone());
            }
        }
        Ok(loaded)
    }

    /// `None`: not in memory; `Some(None)`: known not to exist.
    fn look_up(
        &self,
        org: OrganizationId,
        app: &Ref<ApplicationId>,
    ) -> Option<Option<Arc<ApplicationCatalogue>>> {
        let mut cache = self.cache.lock();
        let uid = match app {
            Ref::Id(id) => return cache.applications.get(&(org, *id)).cloned().map(Some),
            Ref::Uid(uid) => uid,
        };
        let Some(id) = *cache.uids.get(&(org, uid.clone()))? else { return Some(None) };
        let found = cache.applications.get(&(org, id))?;
        // The uid may have been given to another application since.
        (found.application.uid.as_ref() == Some(uid)).then(|| Some(found.clone()))
    }

    /// An organization's part.
    pub async fn organization(
        &self,
        org: OrganizationId,
    ) -> Result<Arc<OrganizationCatalogue>, StoreError> {
        if let Some(known) = self.cache.lock().organizations.get(&org) {
            return Ok(known.clone());
        }
        let generation = self.generation.load(Ordering::Acquire);
        let snapshot = self.store.load_organization(org).await?;
        let event_types = snapshot.event_types.into_iter().map(|event_type| {
            let schema = event_type.schemas.as_ref().and_then(Schema::newest);
            (event_type.name.clone(), PreparedEventType { event_type, schema })
        });
        let loaded = Arc::new(OrganizationCatalogue {
            settings: snapshot.organization.settings,
            event_types: event_types.collect(),
            version: snapshot.version,
        });
        let mut cache = self.cache.lock();
        if generation == self.generation.load(Ordering::Acquire) {
            cache.organizations.put(org, loaded.clone());
        }
        Ok(loaded)
    }

    /// An application (with this uid now, if any) or one of its endpoints was written.
    pub fn application_changed(&self, org: OrganizationId, app: ApplicationId, uid: Option<&Uid>) {
        let mut cache = self.cache.lock();
        self.generation.fetch_add(1, Ordering::AcqRel);
        cache.applications.pop(&(org, app));
        if let Some(uid) = uid {
            cache.uids.pop(&(org, uid.clone()));
        }
    }

    /// Settings or event types of an organization were written.
    pub fn organization_changed(&self, org: OrganizationId) {
        let mut cache = self.cache.lock();
        self.generation.fetch_add(1, Ordering::AcqRel);
        cache.organizations.pop(&org);
    }
}
