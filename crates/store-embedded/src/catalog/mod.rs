//! Who the customers are, where they listen, and what is sent.

pub(crate) mod applications;
pub(crate) mod endpoints;
pub(crate) mod event_types;
mod organizations;
pub(crate) mod past_headers;
mod subscriptions;

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{
    application::Application,
    clock::Timestamp,
    endpoint::Endpoint,
    event_type::EventType,
    id::{ApplicationId, EndpointId, OrganizationId},
    name::{EventTypeName, Ref},
    organization::Organization,
    page::{Page, PageRequest},
    task::Subscriptions,
    token::Actor,
};
use rusqlite::params;
use serde_json::json;
use store::{
    Catalog,
    audit::actor_name,
    catalog::{ApplicationFilter, ApplicationSnapshot, OrganizationSnapshot, Refused},
};

use crate::{EmbeddedStore, error::Result, tx::Tx, writer::Label};
pub(crate) use applications::{bump as bump_application, reseal as reseal_applications};
pub(crate) use endpoints::reseal as reseal_endpoints;
pub(crate) use organizations::bump as bump_organization;

/// Adds the audit row of a write. `detail` holds no secrets.
pub(crate) fn audit(
    tx: &Tx<'_>,
    org_no: i64,
    actor: &Actor,
    action: &str,
    target: &dyn std::fmt::Display,
    detail: &serde_json::Value,
) -> Result<()> {
    let actor = actor_name(actor);
    tx.conn
        .prepare_cached(
            "/* audit */ INSERT INTO audit (org_no, at, actor, action, target, detail)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            org_no,
            tx.now().as_micros(),
            actor,
            action,
            target.to_string(),
            detail.to_string()
        ])?;
    Ok(())
}

/// Adds the audit row of an endpoint that was disabled because it only failed.
pub(crate) fn audit_disabling(
    tx: &mut Tx<'_>,
    org: OrganizationId,
    endpoint: &EndpointId,
    failing_since: Option<Timestamp>,
) -> Result<()> {
    let org_no = tx.org_no(org)?;
    let detail = json!({ "failingSince": failing_since.map(|since| since.to_string()) });
    audit(tx, org_no, &Actor::System, "endpoint.disable", endpoint, &detail)
}

impl EmbeddedStore {
    async fn change<T, F>(&self, name: &'static str, change: F) -> store::Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        self.writer.write(Label::other(name), change).await
    }
}

#[async_trait]
impl Catalog for EmbeddedStore {
    async fn load_organization(&self, org: OrganizationId) -> store::Result<OrganizationSnapshot> {
        self.readers.read(move |conn| organizations::load(conn, org)).await
    }

    async fn put_organization(
        &self,
        actor: &Actor,
        organization: Organization,
        expected: u64,
    ) -> store::Result<Result<(), Refused<OrganizationId>>> {
        let actor = actor.clone();
        self.change("put_organization", move |tx| {
            organizations::put(tx, &actor, &organization, expected)
        })
        .await
    }

    async fn load_application(
        &self,
        org: OrganizationId,
        app: &Ref<ApplicationId>,
    ) -> store::Result<Option<ApplicationSnapshot>> {
        let (app, vault) = (app.clone(), self.ports.vault.clone());
        self.readers
            .read(move |conn| {
                let Some(found) = applications::find(conn, &vault, org, &app)? else {
                    return Ok(None);
                };
                let endpoints = endpoints::all(conn, &vault, org, &found)?;
                let applications::Found { application, version, .. } = found;
                Ok(Some(ApplicationSnapshot { application, endpoints, version }))
            })
            .await
    }

    async fn create_application(
        &self,
        actor: &Actor,
        application: Application,
    ) -> store::Result<Result<(), Refused<ApplicationId>>> {
        let actor = actor.clone();
        self.change("create_application", move |tx| applications::create(tx, &actor, &application))
            .await
    }

    async fn update_application(
        &self,
        actor: &Actor,
        application: Application,
        expected: Timestamp,
    ) -> store::Result<Result<(), Refused<ApplicationId>>> {
        let actor = actor.clone();
        self.change("update_application", move |tx| {
            applications::update(tx, &actor, &application, expected)
        })
        .await
    }

    async fn delete_application(
        &self,
        actor: &Actor,
        org: OrganizationId,
        app: ApplicationId,
        now: Timestamp,
    ) -> store::Result<Result<(), Refused<ApplicationId>>> {
        let actor = actor.clone();
        self.change("delete_application", move |tx| applications::delete(tx, &actor, org, app, now))
            .await
    }

    async fn list_applications(
        &self,
        org: OrganizationId,
        filter: ApplicationFilter,
        page: PageRequest<ApplicationId>,
    ) -> store::Result<Page<Application>> {
        let vault = self.ports.vault.clone();
        self.readers.read(move |conn| applications::list(conn, &vault, org, filter, &page)).await
    }

    async fn sources(
        &self,
        after: Option<(OrganizationId, ApplicationId)>,
        limit: usize,
    ) -> store::Result<Vec<Application>> {
        let vault = self.ports.vault.clone();
        self.readers.read(move |conn| applications::sources(conn, &vault, after, limit)).await
    }

    async fn application(
        &self,
        org: OrganizationId,
        app: &Ref<ApplicationId>,
    ) -> store::Result<Option<Application>> {
        let (app, vault) = (app.clone(), self.ports.vault.clone());
        self.readers
            .read(move |conn| {
                Ok(applications::find(conn, &vault, org, &app)?.map(|found| found.application))
            })
            .await
    }

    async fn create_endpoint(
        &self,
        actor: &Actor,
        endpoint: Endpoint,
    ) -> store::Result<Result<(), Refused<EndpointId>>> {
        let actor = actor.clone();
        self.change("create_endpoint", move |tx| endpoints::create(tx, &actor, &endpoint)).await
    }

    async fn update_endpoint(
        &self,
        actor: &Actor,
        endpoint: Endpoint,
    ) -> store::Result<Result<(), Refused<EndpointId>>> {
        let actor = actor.clone();
        self.change("update_endpoint", move |tx| endpoints::update(tx, &actor, &endpoint)).await
    }

    async fn delete_endpoint(
        &self,
        actor: &Actor,
        org: OrganizationId,
        app: ApplicationId,
        endpoint: EndpointId,
        now: Timestamp,
    ) -> store::Result<Result<(), Refused<EndpointId>>> {
        let actor = actor.clone();
        self.change("delete_endpoint", move |tx| {
            endpoints::delete(tx, &actor, org, app, endpoint, now)
        })
        .await
    }

    async fn list_endpoints(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        page: PageRequest<EndpointId>,
    ) -> store::Result<Page<Endpoint>> {
        let vault = self.ports.vault.clone();
        self.readers.read(move |conn| endpoints::list(conn, &vault, org, app, &page)).await
    }

    async fn endpoint(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        endpoint: &Ref<EndpointId>,
    ) -> store::Result<Option<Endpoint>> {
        let (endpoint, vault) = (endpoint.clone(), self.ports.vault.clone());
        self.readers.read(move |conn| endpoints::find(conn, &vault, org, app, &endpoint)).await
    }

    async fn endpoints_ever(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        ids: &[EndpointId],
    ) -> store::Result<Vec<Endpoint>> {
        let (ids, vault) = (ids.to_vec(), self.ports.vault.clone());
        self.readers.read(move |conn| endpoints::ever(conn, &vault, org, app, &ids)).await
    }

    async fn subscriptions(
        &self,
        org: OrganizationId,
        after: Option<ApplicationId>,
        limit: usize,
    ) -> store::Result<Vec<Subscriptions>> {
        self.readers.read(move |conn| subscriptions::list(conn, org, after, limit)).await
    }

    async fn headers_at(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        endpoint: EndpointId,
        revision: u32,
    ) -> store::Result<Option<BTreeMap<String, String>>> {
        let vault = self.ports.vault.clone();
        let of = (org, app, endpoint);
        self.readers.read(move |conn| past_headers::find(conn, &vault, of, revision)).await
    }

    async fn create_event_type(
        &self,
        actor: &Actor,
        event_type: EventType,
    ) -> store::Result<Result<(), Refused<EventTypeName>>> {
        let actor = actor.clone();
        self.change("create_event_type", move |tx| event_types::create(tx, &actor, &event_type))
            .await
    }

    async fn update_event_type(
        &self,
        actor: &Actor,
        event_type: EventType,
        expected: Timestamp,
    ) -> store::Result<Result<(), Refused<EventTypeName>>> {
        let actor = actor.clone();
        self.change("update_event_type", move |tx| {
            event_types::update(tx, &actor, &event_type, expected)
        })
        .await
    }

    async fn expunge_event_type(
        &self,
        actor: &Actor,
        org: OrganizationId,
        name: &EventTypeName,
    ) -> store::Result<Result<(), Refused<EventTypeName>>> {
        let (actor, name) = (actor.clone(), name.clone());
        self.change("expunge_event_type", move |tx| event_types::expunge(tx, &actor, org, &name))
            .await
    }

    async fn event_type(
        &self,
        org: OrganizationId,
        name: &EventTypeName,
    ) -> store::Result<Option<EventType>> {
        let name = name.clone();
        self.readers.read(move |conn| event_types::find(conn, org, &name)).await
    }
}
