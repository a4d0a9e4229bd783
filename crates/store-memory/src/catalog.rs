//! Applications, endpoints, event types, settings.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{
    application::Application,
    clock::Timestamp,
    endpoint::Endpoint,
    event_type::EventType,
    id::{ApplicationId, EndpointId, OrganizationId, TaskId},
    name::{EventTypeName, Ref, Uid},
    organization::Organization,
    page::{Page, PageRequest},
    task::{Subscriptions, Task, TaskKind},
    token::Actor,
};
use serde_json::json;
use store::{
    Catalog, Result, audit,
    catalog::{ApplicationFilter, ApplicationSnapshot, OrganizationSnapshot, Refused, is_ref},
};

use crate::{
    MemoryStore,
    audit::Deed,
    page::page,
    state::{ApplicationRow, EndpointKey, EndpointRow, State},
};

type Written<I> = Result<(), Refused<I>>;

impl State {
    /// Counts an organization's version up.
    pub(crate) fn org_changed(&mut self, org: OrganizationId) {
        self.organizations.entry(org).or_default().version += 1;
    }

    /// Counts an application's version up; it is there.
    pub(crate) fn app_changed(&mut self, org: OrganizationId, app: ApplicationId) {
        if let Some(row) = self.applications.get_mut(&(org, app)) {
            row.version += 1;
        }
    }

    fn find_application(
        &self,
        org: OrganizationId,
        app: &Ref<ApplicationId>,
    ) -> Option<&ApplicationRow> {
        self.applications_of(org)
            .map(|(_, row)| row)
            .find(|row| is_ref(app, &row.application.id, row.application.uid.as_ref()))
    }

    fn applications_of(
        &self,
        org: OrganizationId,
    ) -> impl DoubleEndedIterator<Item = (ApplicationId, &ApplicationRow)> {
        let of_org = self.applications.iter().filter(move |((o, _), _)| *o == org);
        of_org.map(|((_, app), row)| (*app, row))
    }

    /// Those of all tenants that receive, behind `after`.
    fn sources(
        &self,
        after: Option<(OrganizationId, ApplicationId)>,
        limit: usize,
    ) -> Vec<Application> {
        let behind = self.applications.iter().filter(|(key, _)| after.is_none_or(|at| **key > at));
        let all = behind.map(|(_, row)| &row.application);
        all.filter(|application| application.source.is_some()).take(limit).cloned().collect()
    }

    /// Those of an application that are not deleted.
    fn endpoints_of(
        &self,
        org: OrganizationId,
        app: ApplicationId,
    ) -> impl DoubleEndedIterator<Item = &Endpoint> {
        let live = self
            .endpoints
            .iter()
            .filter(move |((o, a, _), row)| (*o, *a) == (org, app) && !row.deleted);
        live.map(|(_, row)| &row.endpoint)
    }

    /// An endpoint that is not deleted, of an application that is not.
    pub(crate) fn live_endpoint(&mut self, key: EndpointKey) -> Option<&mut Endpoint> {
        self.endpoints.get_mut(&key).filter(|row| !row.deleted).map(|row| &mut row.endpoint)
    }

    fn application_with_uid(
        &self,
        org: OrganizationId,
        uid: Option<&Uid>,
    ) -> Option<ApplicationId> {
        self.find_application(org, &Ref::Uid(uid?.clone())).map(|row| row.application.id)
    }

    fn endpoint_with_uid(&self, of: &Endpoint) -> Option<EndpointId> {
        let uid = of.uid.as_ref()?;
        let mut endpoints = self.endpoints_of(of.org, of.app);
        endpoints.find(|e| e.uid.as_ref() == Some(uid)).map(|e| e.id)
    }

    fn create_application(&mut self, application: Application) -> Written<ApplicationId> {
        if let Some(owner) = self.application_with_uid(application.org, application.uid.as_ref()) {
            return Err(Refused::Taken(owner));
        }
        let key = (application.org, application.id);
        self.applications.insert(key, ApplicationRow { application, version: 1 });
        Ok(())
    }

    fn update_application(
        &mut self,
        application: Application,
        expected: Timestamp,
    ) -> Written<ApplicationId> {
        let owner = self.application_with_uid(application.org, application.uid.as_ref());
        let key = (application.org, application.id);
        let row = self.applications.get_mut(&key).ok_or(Refused::NotFound)?;
        if row.application.updated_at != expected {
            return Err(Refused::Stale);
        }
        if let Some(owner) = owner.filter(|owner| *owner != application.id) {
            return Err(Refused::Taken(owner));
        }
        row.application = application;
        row.version += 1;
        Ok(())
    }

    fn delete_application(
        &mut self,
        org: OrganizationId,
        app: ApplicationId,
        cancel: Task,
    ) -> Written<ApplicationId> {
        self.applications.remove(&(org, app)).ok_or(Refused::NotFound)?;
        for ((o, a, _), row) in &mut self.endpoints {
            row.deleted |= (*o, *a) == (org, app);
        }
        self.rejected.retain(|(o, a, _), _| (*o, *a) != (org, app));
        self.tasks.insert((org, cancel.id), cancel);
        Ok(())
    }

    fn create_endpoint(&mut self, endpoint: Endpoint) -> Written<EndpointId> {
        if !self.applications.contains_key(&(endpoint.org, endpoint.app)) {
            return Err(Refused::NotFound);
        }
        if let Some(owner) = self.endpoint_with_uid(&endpoint) {
            return Err(Refused::Taken(owner));
        }
        let (org, app) = (endpoint.org, endpoint.app);
        self.endpoints.insert((org, app, endpoint.id), EndpointRow { endpoint, deleted: false });
        self.app_changed(org, app);
        Ok(())
    }

    fn update_endpoint(&mut self, mut endpoint: Endpoint) -> Written<EndpointId> {
        let (org, app) = (endpoint.org, endpoint.app);
        let owner = self.endpoint_with_uid(&endpoint);
        let stored = self.live_endpoint((org, app, endpoint.id)).ok_or(Refused::NotFound)?;
        if endpoint.revision != stored.revision + 1 {
            return Err(Refused::Stale);
        }
        if let Some(owner) = owner.filter(|owner| *owner != endpoint.id) {
            return Err(Refused::Taken(owner));
        }
        let enabled = stored.disabled && !endpoint.disabled;
        endpoint.first_failure_at = stored.first_failure_at.filter(|_| !enabled);
        let past = (stored.headers.clone(), endpoint.updated_at);
        let revision = ((org, app, endpoint.id), stored.revision);
        *stored = endpoint;
        self.past_headers.insert(revision, past);
        self.app_changed(org, app);
        Ok(())
    }

    fn delete_endpoint(&mut self, key: EndpointKey, cancel: Task) -> Written<EndpointId> {
        let row = self.endpoints.get_mut(&key).filter(|row| !row.deleted);
        row.ok_or(Refused::NotFound)?.deleted = true;
        self.tasks.insert((key.0, cancel.id), cancel);
        self.app_changed(key.0, key.1);
        Ok(())
    }

    fn create_event_type(&mut self, event_type: EventType) -> Written<EventTypeName> {
        let key = (event_type.org, event_type.name.clone());
        if self.event_types.get(&key).is_some_and(|stored| !stored.archived) {
            return Err(Refused::Taken(key.1));
        }
        self.event_types.insert(key.clone(), event_type);
        self.org_changed(key.0);
        Ok(())
    }

    fn update_event_type(
        &mut self,
        event_type: EventType,
        expected: Timestamp,
    ) -> Written<EventTypeName> {
        let org = event_type.org;
        let key = (org, event_type.name.clone());
        let stored = self.event_types.get_mut(&key).ok_or(Refused::NotFound)?;
        if stored.updated_at != expected {
            return Err(Refused::Stale);
        }
        *stored = event_type;
        self.org_changed(org);
        Ok(())
    }
}

impl MemoryStore {
    /// The task that cancels what is pending for a deleted application or endpoint.
    fn cancel_task(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        endpoint: Option<EndpointId>,
        now: Timestamp,
    ) -> Task {
        let id = TaskId::generate(now, &*self.entropy);
        Task::new(org, id, TaskKind::CancelDeliveries { app, endpoint }, now)
    }
}

#[async_trait]
impl Catalog for MemoryStore {
    async fn load_organization(&self, org: OrganizationId) -> Result<OrganizationSnapshot> {
        self.act(|state| {
            let row = state.organizations.get(&org).cloned().unwrap_or_default();
            let event_types = state.event_types.values().filter(|e| e.org == org);
            OrganizationSnapshot {
                organization: Organization { id: org, settings: row.settings },
                event_types: event_types.cloned().collect(),
                version: row.version,
            }
        })
    }

    async fn put_organization(
        &self,
        actor: &Actor,
        organization: Organization,
        expected: u64,
    ) -> Result<Written<OrganizationId>> {
        let detail = audit::of_organization(&organization);
        let deed =
            Deed::new(organization.id, actor, "organization.update", organization.id, detail);
        self.change(deed, |state| {
            let row = state.organizations.entry(organization.id).or_default();
            if row.version != expected {
                return Err(Refused::Stale);
            }
            row.settings = organization.settings;
            state.org_changed(organization.id);
            Ok(())
        })
    }

    async fn load_application(
        &self,
        org: OrganizationId,
        app: &Ref<ApplicationId>,
    ) -> Result<Option<ApplicationSnapshot>> {
        self.act(|state| {
            let row = state.find_application(org, app)?;
            Some(ApplicationSnapshot {
                application: row.application.clone(),
                endpoints: state.endpoints_of(org, row.application.id).cloned().collect(),
                version: row.version,
            })
        })
    }

    async fn create_application(
        &self,
        actor: &Actor,
        application: Application,
    ) -> Result<Written<ApplicationId>> {
        let (org, id, detail) =
            (application.org, application.id, audit::of_application(&application));
        let deed = Deed::new(org, actor, "application.create", id, detail);
        let now = self.clock.now();
        self.commit(|state| deed.done(state, now, |state| state.create_application(application)))
    }

    async fn update_application(
        &self,
        actor: &Actor,
        application: Application,
        expected: Timestamp,
    ) -> Result<Written<ApplicationId>> {
        let (org, id, detail) =
            (application.org, application.id, audit::of_application(&application));
        let deed = Deed::new(org, actor, "application.update", id, detail);
        self.change(deed, |state| state.update_application(application, expected))
    }

    async fn delete_application(
        &self,
        actor: &Actor,
        org: OrganizationId,
        app: ApplicationId,
        now: Timestamp,
    ) -> Result<Written<ApplicationId>> {
        let cancel = self.cancel_task(org, app, None, now);
        let deed = Deed::new(org, actor, "application.delete", app, json!({}));
        self.change(deed, |state| state.delete_application(org, app, cancel))
    }

    async fn list_applications(
        &self,
        org: OrganizationId,
        filter: ApplicationFilter,
        request: PageRequest<ApplicationId>,
    ) -> Result<Page<Application>> {
        self.act(|state| {
            let wanted = state.applications_of(org).filter(|(app, row)| {
                if row.application.source.is_some() != filter.sources {
                    return false;
                }
                let mut endpoints = state.endpoints_of(org, *app).peekable();
                let empty = endpoints.peek().is_none();
                !(filter.exclude_without_endpoints && empty
                    || filter.exclude_with_disabled_endpoints && endpoints.any(|e| e.disabled))
            });
            page(&request, wanted).map(|row| row.application.clone())
        })
    }

    async fn application(
        &self,
        org: OrganizationId,
        app: &Ref<ApplicationId>,
    ) -> Result<Option<Application>> {
        self.act(|state| state.find_application(org, app).map(|row| row.application.clone()))
    }

    async fn sources(
        &self,
        after: Option<(OrganizationId, ApplicationId)>,
        limit: usize,
    ) -> Result<Vec<Application>> {
        self.act(|state| state.sources(after, limit))
    }

    async fn create_endpoint(
        &self,
        actor: &Actor,
        endpoint: Endpoint,
    ) -> Result<Written<EndpointId>> {
        let detail = audit::of_endpoint(&endpoint);
        let deed = Deed::new(endpoint.org, actor, "endpoint.create", endpoint.id, detail);
        self.change(deed, |state| state.create_endpoint(endpoint))
    }

    async fn update_endpoint(
        &self,
        actor: &Actor,
        endpoint: Endpoint,
    ) -> Result<Written<EndpointId>> {
        let detail = audit::of_endpoint(&endpoint);
        let deed = Deed::new(endpoint.org, actor, "endpoint.update", endpoint.id, detail);
        self.change(deed, |state| state.update_endpoint(endpoint))
    }

    async fn delete_endpoint(
        &self,
        actor: &Actor,
        org: OrganizationId,
        app: ApplicationId,
        endpoint: EndpointId,
        now: Timestamp,
    ) -> Result<Written<EndpointId>> {
        let cancel = self.cancel_task(org, app, Some(endpoint), now);
        let deed = Deed::new(org, actor, "endpoint.delete", endpoint, json!({}));
        self.change(deed, |state| state.delete_endpoint((org, app, endpoint), cancel))
    }

    async fn list_endpoints(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        request: PageRequest<EndpointId>,
    ) -> Result<Page<Endpoint>> {
        self.act(|state| {
            page(&request, state.endpoints_of(org, app).map(|e| (e.id, e))).map(Endpoint::clone)
        })
    }

    async fn endpoint(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        endpoint: &Ref<EndpointId>,
    ) -> Result<Option<Endpoint>> {
        self.act(|state| {
            let mut endpoints = state.endpoints_of(org, app);
            endpoints.find(|e| is_ref(endpoint, &e.id, e.uid.as_ref())).cloned()
        })
    }

    async fn endpoints_ever(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        endpoints: &[EndpointId],
    ) -> Result<Vec<Endpoint>> {
        self.act(|state| {
            let rows = endpoints.iter().filter_map(|id| state.endpoints.get(&(org, app, *id)));
            rows.map(|row| row.endpoint.clone()).collect()
        })
    }

    async fn subscriptions(
        &self,
        org: OrganizationId,
        after: Option<ApplicationId>,
        limit: usize,
    ) -> Result<Vec<Subscriptions>> {
        self.act(|state| {
            let apps = state.applications.iter().filter(|((owner, app), row)| {
                *owner == org
                    && after.is_none_or(|after| *app > after)
                    && row.application.source.is_none()
            });
            let of = |app: ApplicationId| {
                let rows = state.endpoints.values().filter(|row| !row.deleted);
                let rows = rows.filter(|row| (row.endpoint.org, row.endpoint.app) == (org, app));
                let mut of = Subscriptions::none(app);
                rows.for_each(|row| of.add(row.endpoint.event_types.clone()));
                of
            };
            apps.take(limit).map(|((_, app), _)| of(*app)).collect()
        })
    }

    async fn headers_at(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        endpoint: EndpointId,
        revision: u32,
    ) -> Result<Option<BTreeMap<String, String>>> {
        self.act(|state| {
            let key = (org, app, endpoint);
            let past = state.past_headers.get(&(key, revision)).map(|(headers, _)| headers);
            let present = || {
                let row = state.endpoints.get(&key)?;
                (row.endpoint.revision == revision).then_some(&row.endpoint.headers)
            };
            past.or_else(present).cloned()
        })
    }

    async fn create_event_type(
        &self,
        actor: &Actor,
        event_type: EventType,
    ) -> Result<Written<EventTypeName>> {
        let (org, name) = (event_type.org, event_type.name.clone());
        let deed = Deed::new(org, actor, "event_type.create", name, json!({}));
        self.change(deed, |state| state.create_event_type(event_type))
    }

    async fn update_event_type(
        &self,
        actor: &Actor,
        event_type: EventType,
        expected: Timestamp,
    ) -> Result<Written<EventTypeName>> {
        let (org, name) = (event_type.org, event_type.name.clone());
        let detail = audit::of_event_type(&event_type);
        let deed = Deed::new(org, actor, "event_type.update", name, detail);
        self.change(deed, |state| state.update_event_type(event_type, expected))
    }

    async fn expunge_event_type(
        &self,
        actor: &Actor,
        org: OrganizationId,
        name: &EventTypeName,
    ) -> Result<Written<EventTypeName>> {
        let deed = Deed::new(org, actor, "event_type.expunge", name, json!({}));
        self.change(deed, |state| {
            state.event_types.remove(&(org, name.clone())).ok_or(Refused::NotFound)?;
            state.org_changed(org);
            Ok(())
        })
    }

    async fn event_type(
        &self,
        org: OrganizationId,
        name: &EventTypeName,
    ) -> Result<Option<EventType>> {
        self.act(|state| state.event_types.get(&(org, name.clone())).cloned())
    }
}
