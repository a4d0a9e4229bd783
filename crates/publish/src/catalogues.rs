//! The catalogue in memory. Bounded; what is not in it is loaded. Whoever writes the catalogue says so
//! here; a message that was routed with an older one comes back from the store as stale. Where several
//! nodes share the store, others write too, and what is in memory may be old: it does to route by, as
//! the store compares the versions, but nobody is refused anything by it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use domain::{
    application::Application,
    clock::Timestamp,
    id::{ApplicationId, EndpointId, OrganizationId},
    name::{Ref, Uid},
};
use parking_lot::Mutex;
use store::{Store, StoreError};

use crate::{
    cache::Cache,
    catalogue::{ApplicationCatalogue, OrganizationCatalogue},
    loads::Loads,
};

type FoundApplication = Option<Arc<ApplicationCatalogue>>;

/// The catalogues of the organizations and applications in use.
pub struct Catalogues {
    store: Arc<dyn Store>,
    cache: Mutex<Cache>,
    application_loads: Loads<(OrganizationId, Ref<ApplicationId>), FoundApplication>,
    organization_loads: Loads<OrganizationId, Arc<OrganizationCatalogue>>,
    /// How many of an organization have ended.
    organizations_loaded: AtomicU64,
}

impl Catalogues {
    /// Keeps up to `applications` of them (and as many uids, and a tenth as many organizations).
    pub fn new(store: Arc<dyn Store>, applications: usize) -> Self {
        Self {
            store,
            cache: Mutex::new(Cache::new(applications)),
            application_loads: Loads::default(),
            organization_loads: Loads::default(),
            organizations_loaded: AtomicU64::new(0),
        }
    }

    /// An application, if it is in memory.
    pub fn cached(&self, org: OrganizationId, app: ApplicationId) -> FoundApplication {
        self.cache.lock().application(org, app)
    }

    /// An application by id or uid, as far as it is known. On a store that is shared what is found may
    /// be old; that there is none is never from memory.
    pub async fn application(
        &self,
        org: OrganizationId,
        app: &Ref<ApplicationId>,
    ) -> Result<FoundApplication, StoreError> {
        let known = || self.cache.lock().look_up(org, app);
        match known() {
            Some(known) => Ok(known),
            // Somebody else's turn may bring it.
            None => self.load_application(org, app, known).await,
        }
    }

    /// An application by id or uid, not as it was before this call.
    pub async fn application_now(
        &self,
        org: OrganizationId,
        app: &Ref<ApplicationId>,
    ) -> Result<FoundApplication, StoreError> {
        if !self.store.is_shared() {
            return self.application(org, app).await;
        }
        self.load_application(org, app, || None).await
    }

    async fn load_application(
        &self,
        org: OrganizationId,
        app: &Ref<ApplicationId>,
        known: impl FnOnce() -> Option<FoundApplication>,
    ) -> Result<FoundApplication, StoreError> {
        let place = self.application_loads.enter((org, app.clone()));
        let load = async {
            let loaded = self.store.load_application(org, app).await?;
            let loaded = loaded.map(|snapshot| Arc::new(ApplicationCatalogue::new(snapshot)));
            let mut cache = self.cache.lock();
            if place.holds() {
                match &loaded {
                    Some(found) => cache.keep_application(app, found),
                    // It may be untrue at once where another node makes one: it has no id yet by which
                    // we would be told.
                    None => cache.keep_none(org, app, !self.store.is_shared()),
                }
            }
            Ok(loaded)
        };
        place.join(known, load).await
    }

    /// An organization's part, as far as it is known: on a store that is shared it may be old.
    pub async fn organization(
        &self,
        org: OrganizationId,
    ) -> Result<Arc<OrganizationCatalogue>, StoreError> {
        let known = || self.cache.lock().organization(org);
        match known() {
            Some(known) => Ok(known),
            None => self.load_organization(org, known).await,
        }
    }

    /// An organization's part, not as it was before this call.
    pub async fn organization_now(
        &self,
        org: OrganizationId,
    ) -> Result<Arc<OrganizationCatalogue>, StoreError> {
        if !self.store.is_shared() {
            return self.organization(org).await;
        }
        self.load_organization(org, || None).await
    }

    async fn load_organization(
        &self,
        org: OrganizationId,
        known: impl FnOnce() -> Option<Arc<OrganizationCatalogue>>,
    ) -> Result<Arc<OrganizationCatalogue>, StoreError> {
        let place = self.organization_loads.enter(org);
        let load = async {
            let snapshot = self.store.load_organization(org).await?;
            let load = self.organizations_loaded.fetch_add(1, Ordering::AcqRel) + 1;
            let known = self.cache.lock().organization(org);
            // The same as before: its schemas are not compiled again.
            if let Some(known) = known.filter(|known| known.version == snapshot.version) {
                return Ok(known);
            }
            let loaded = Arc::new(OrganizationCatalogue::new(snapshot, load));
            let mut cache = self.cache.lock();
            if place.holds() {
                cache.keep_organization(org, &loaded);
            }
            Ok(loaded)
        };
        place.join(known, load).await
    }

    /// How many loads of an organization's part have ended. What is read from the store after this was
    /// called is not older than any [`OrganizationCatalogue`] whose `load` is not higher.
    pub fn organization_loads(&self) -> u64 {
        self.organizations_loaded.load(Ordering::Acquire)
    }

    /// An application (with this uid now, if any) or one of its endpoints was written.
    pub fn application_changed(&self, org: OrganizationId, app: ApplicationId, uid: Option<&Uid>) {
        let mut cache = self.cache.lock();
        self.void_application(org, app);
        cache.forget_application(org, app, uid);
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
        let Some(known) = cache.application_mut(org, app) else { return };
        let known = Arc::make_mut(known);
        if let Ok(at) = known.endpoints.binary_search_by_key(&endpoint, |e| e.endpoint.id) {
            Arc::make_mut(&mut known.endpoints[at]).endpoint.first_failure_at = first_failure_at;
        }
    }

    /// Settings or event types of an organization were written.
    pub fn organization_changed(&self, org: OrganizationId) {
        let mut cache = self.cache.lock();
        self.organization_loads.void(|of| *of == org);
        cache.forget_organization(org);
    }

    /// All that is known may be old: what is wanted again is loaded anew.
    pub fn forget_all(&self) {
        let mut cache = self.cache.lock();
        self.application_loads.void(|_| true);
        self.organization_loads.void(|_| true);
        cache.clear();
    }

    /// These are not what the store has any more. Whoever has loaded newer ones keeps them.
    pub(crate) fn outdated(
        &self,
        application: &ApplicationCatalogue,
        organization: &OrganizationCatalogue,
    ) {
        let Application { org, id, uid, .. } = &application.application;
        let mut cache = self.cache.lock();
        let known = cache.application(*org, *id).map(|known| known.version);
        if known == Some(application.version) {
            cache.forget_application(*org, *id, uid.as_ref());
        }
        let known = cache.organization(*org).map(|known| known.version);
        if known == Some(organization.version) {
            cache.forget_organization(*org);
        }
    }

    /// An application is loaded by its id, or by a uid of which it is not known whose it is.
    fn void_application(&self, org: OrganizationId, app: ApplicationId) {
        self.application_loads.void(|(of, wanted)| match wanted {
            Ref::Id(id) => *of == org && *id == app,
            Ref::Uid(_) => *of == org,
        });
    }
}
