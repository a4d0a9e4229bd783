//! What is kept of the catalogue: the parts used last.

use std::{num::NonZeroUsize, sync::Arc};

use domain::{
    id::{ApplicationId, OrganizationId},
    name::{Ref, Uid},
};
use lru::LruCache;

use crate::catalogue::{ApplicationCatalogue, OrganizationCatalogue};

/// The parts of the catalogue in memory.
pub(crate) struct Cache {
    applications: LruCache<(OrganizationId, ApplicationId), Arc<ApplicationCatalogue>>,
    /// `None`: there is no application of that uid.
    uids: LruCache<(OrganizationId, Uid), Option<ApplicationId>>,
    organizations: LruCache<OrganizationId, Arc<OrganizationCatalogue>>,
}

impl Cache {
    /// Up to `applications` of them, as many uids, and a tenth as many organizations.
    pub(crate) fn new(applications: usize) -> Self {
        let bound = |n: usize| NonZeroUsize::new(n.max(16)).expect("at least 16");
        Self {
            applications: LruCache::new(bound(applications)),
            uids: LruCache::new(bound(applications)),
            organizations: LruCache::new(bound(applications / 10)),
        }
    }

    pub(crate) fn application(
        &mut self,
        org: OrganizationId,
        app: ApplicationId,
    ) -> Option<Arc<ApplicationCatalogue>> {
        self.applications.get(&(org, app)).cloned()
    }

    pub(crate) fn application_mut(
        &mut self,
        org: OrganizationId,
        app: ApplicationId,
    ) -> Option<&mut Arc<ApplicationCatalogue>> {
        self.applications.peek_mut(&(org, app))
    }

    /// `None`: not in memory; `Some(None)`: known not to exist.
    pub(crate) fn look_up(
        &mut self,
        org: OrganizationId,
        app: &Ref<ApplicationId>,
    ) -> Option<Option<Arc<ApplicationCatalogue>>> {
        let uid = match app {
            Ref::Id(id) => return self.application(org, *id).map(Some),
            Ref::Uid(uid) => uid,
        };
        let Some(id) = *self.uids.get(&(org, uid.clone()))? else { return Some(None) };
        let found = self.applications.get(&(org, id))?;
        // The uid may have been given to another application since.
        (found.application.uid.as_ref() == Some(uid)).then(|| Some(found.clone()))
    }

    /// What was found as `by`, unless a newer one is known.
    pub(crate) fn keep_application(
        &mut self,
        by: &Ref<ApplicationId>,
        found: &Arc<ApplicationCatalogue>,
    ) {
        let (org, id) = (found.application.org, found.application.id);
        if let Ref::Uid(uid) = by {
            self.uids.put((org, uid.clone()), Some(id));
        }
        // Loads by id and by uid go beside one another.
        let newer = |known: &Arc<ApplicationCatalogue>| known.version > found.version;
        if !self.applications.peek(&(org, id)).is_some_and(newer) {
            self.applications.put((org, id), found.clone());
        }
    }

    /// That there is none; `lasting` if that is worth remembering.
    pub(crate) fn keep_none(
        &mut self,
        org: OrganizationId,
        by: &Ref<ApplicationId>,
        lasting: bool,
    ) {
        match by {
            Ref::Id(id) => {
                self.applications.pop(&(org, *id));
            }
            Ref::Uid(uid) if lasting => {
                self.uids.put((org, uid.clone()), None);
            }
            Ref::Uid(uid) => {
                self.uids.pop(&(org, uid.clone()));
            }
        }
    }

    pub(crate) fn forget_application(
        &mut self,
        org: OrganizationId,
        app: ApplicationId,
        uid: Option<&Uid>,
    ) {
        self.applications.pop(&(org, app));
        if let Some(uid) = uid {
            self.uids.pop(&(org, uid.clone()));
        }
    }

    pub(crate) fn organization(
        &mut self,
        org: OrganizationId,
    ) -> Option<Arc<OrganizationCatalogue>> {
        self.organizations.get(&org).cloned()
    }

    pub(crate) fn keep_organization(
        &mut self,
        org: OrganizationId,
        loaded: &Arc<OrganizationCatalogue>,
    ) {
        self.organizations.put(org, loaded.clone());
    }

    pub(crate) fn forget_organization(&mut self, org: OrganizationId) {
        self.organizations.pop(&org);
    }

    pub(crate) fn clear(&mut self) {
        self.applications.clear();
        self.uids.clear();
        self.organizations.clear();
    }
}
