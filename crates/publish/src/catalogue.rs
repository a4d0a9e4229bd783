//! The catalogue in memory: what messages are routed by and endpoints are reached with. Bounded; what
//! is not in it is loaded. Whoever writes the catalogue says so here; a message that was routed with
//! an older one comes back from the store as stale.

use std::{collections::HashMap, num::NonZeroUsize, sync::Arc};

use domain::{
    application::Application,
    clock::Timestamp,
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

use crate::{
    loads::{Loads, Subject},
    schema::Schema,
};

/// An endpoint with what every attempt needs of it made ready.
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
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
    loads: Loads,
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
        Self { store, cache: Mutex::new(cache), loads: Loads::default() }
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
        let place = self.loads.enter(Subject::Application(org, app.clone()));
        let turn = place.turn().await;
        // Somebody else's turn may have brought it.
        if let Some(known) = self.look_up(org, app) {
            return Ok(known);
        }
        let loaded = self.store.load_application(org, app).await?;
        let loaded = loaded.map(|snapshot| Arc::new(ApplicationCatalogue::new(snapshot)));
        let mut cache = self.cache.lock();
        if turn.holds() {
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
        let known = || self.cache.lock().organizations.get(&org).cloned();
        if let Some(known) = known() {
            return Ok(known);
        }
        let place = self.loads.enter(Subject::Organization(org));
        let turn = place.turn().await;
        // Somebody else's turn may have brought it.
        if let Some(known) = known() {
            return Ok(known);
        }
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
        if turn.holds() {
            cache.organizations.put(org, loaded.clone());
        }
        Ok(loaded)
    }

    /// An application (with this uid now, if any) or one of its endpoints was written.
    pub fn application_changed(&self, org: OrganizationId, app: ApplicationId, uid: Option<&Uid>) {
        let mut cache = self.cache.lock();
        self.void_application(org, app);
        cache.applications.pop(&(org, app));
        if let Some(uid) = uid {
            cache.uids.pop(&(org, uid.clone()));
        }
    }

    /// Since when an endpoint fails was written: that routes nothing, and what is known stays.
    pub fn health_changed(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        endpoint: EndpointId,
        first_failure_at: Option<Timestamp>,
    ) {
        let mut cache = self.cache.lock();
        self.void_application(org, app);
        let Some(known) = cache.applications.peek_mut(&(org, app)) else { return };
        let known = Arc::make_mut(known);
        if let Ok(at) = known.endpoints.binary_search_by_key(&endpoint, |e| e.endpoint.id) {
            Arc::make_mut(&mut known.endpoints[at]).endpoint.first_failure_at = first_failure_at;
        }
    }

    /// Settings or event types of an organization were written.
    pub fn organization_changed(&self, org: OrganizationId) {
        let mut cache = self.cache.lock();
        self.loads.void(|subject| *subject == Subject::Organization(org));
        cache.organizations.pop(&org);
    }

    /// These are not what the store has any more. Whoever has loaded newer ones keeps them.
    pub(crate) fn outdated(
        &self,
        application: &ApplicationCatalogue,
        organization: &OrganizationCatalogue,
    ) {
        let Application { org, id, uid, .. } = &application.application;
        let mut cache = self.cache.lock();
        let known = cache.applications.peek(&(*org, *id)).map(|known| known.version);
        if known == Some(application.version) {
            cache.applications.pop(&(*org, *id));
            if let Some(uid) = uid {
                cache.uids.pop(&(*org, uid.clone()));
            }
        }
        let known = cache.organizations.peek(org).map(|known| known.version);
        if known == Some(organization.version) {
            cache.organizations.pop(org);
        }
    }

    /// An application is loaded by its id, or by a uid of which it is not known whose it is.
    fn void_application(&self, org: OrganizationId, app: ApplicationId) {
        self.loads.void(|subject| match subject {
            Subject::Application(of, Ref::Id(id)) => *of == org && *id == app,
            Subject::Application(of, Ref::Uid(_)) => *of == org,
            Subject::Organization(_) => false,
        });
    }
}
