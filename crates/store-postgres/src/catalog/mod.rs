//! Who the customers are, where they listen, and what is sent.
//!
//! Several nodes write at the same time. Whoever changes an application or one of its endpoints locks
//! the application's row, so that what was looked at is still so when it is written; an endpoint that
//! is there is locked before its application, as settles do. Whoever changes an organization's part
//! says in the statement itself what it expects to find.

pub(crate) mod applications;
pub(crate) mod endpoints;
pub(crate) mod event_types;
pub(crate) mod organizations;
pub(crate) mod past_headers;
mod subscriptions;

use std::{collections::BTreeMap, fmt::Display, sync::Arc};

use async_trait::async_trait;
use domain::{
    application::Application,
    clock::Timestamp,
    endpoint::Endpoint,
    event_type::EventType,
    id::{ApplicationId, AuditId, EndpointId, OrganizationId},
    name::{EventTypeName, Ref},
    organization::Organization,
    page::{Page, PageRequest},
    task::Subscriptions,
    token::Actor,
};
use serde_json::json;
use store::{
    Catalog,
    audit::actor_name,
    catalog::{ApplicationFilter, ApplicationSnapshot, OrganizationSnapshot, Refused},
};

pub(crate) use self::{
    applications::bump as bump_application, organizations::bump as bump_organization,
};
use crate::{PostgresStore, Shared, conn::Tx, error::Result, options::Ports};

/// How often a change that loses against others is tried.
const MOST_TRIES: usize = 8;

impl Shared {
    /// Makes a change in a transaction of its own. One that lost against another transaction is made
    /// again from the beginning: where it lost a key, it finds out then who has it. What is refused
    /// leaves nothing behind.
    pub(crate) async fn change<T, R, F>(
        &self,
        change: impl Fn(Arc<Tx>) -> F,
    ) -> Result<Result<T, R>>
    where
        F: Future<Output = Result<Result<T, R>>>,
    {
        let mut tries = 1;
        loop {
            let tx = Arc::new(self.begin().await?);
            let outcome = change(tx.clone()).await;
            let tx = Arc::into_inner(tx).expect("the change is over, and its part with it");
            let error = match outcome {
                Ok(Ok(done)) => {
                    tx.commit().await?;
                    return Ok(Ok(done));
                }
                Ok(Err(refused)) => {
                    tx.rollback().await?;
                    return Ok(Err(refused));
                }
                Err(error) => error,
            };
            let lost = error.is_conflict() || error.is_unique_violation();
            if error.is_away() || tx.rollback().await.is_err() || !lost || tries == MOST_TRIES {
                return Err(error);
            }
            tries += 1;
        }
    }
}

/// Adds the audit row of a write. `detail` holds no secrets.
pub(crate) async fn audit(
    tx: &Tx,
    ports: &Ports,
    org: OrganizationId,
    actor: &Actor,
    action: &str,
    target: &(dyn Display + Sync),
    detail: &serde_json::Value,
) -> Result<()> {
    let actor = actor_name(actor);
    let now = ports.clock.now();
    // It is nobody's name: only its order and its being alone count.
    let id = AuditId::generate(now, &*ports.entropy);
    tx.execute(
        "/* audit */ INSERT INTO audit (org, id, at, actor, action, target, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            &org.raw().as_slice(),
            &id.raw().as_slice(),
            &now.as_micros(),
            &actor,
            &action,
            &target.to_string(),
            &detail.to_string(),
        ],
    )
    .await?;
    Ok(())
}

/// Adds the audit row of an endpoint that was disabled because it only failed.
pub(crate) async fn audit_disabling(
    tx: &Tx,
    ports: &Ports,
    org: OrganizationId,
    endpoint: EndpointId,
    failing_since: Option<Timestamp>,
) -> Result<()> {
    let detail = json!({ "failingSince": failing_since.map(|since| since.to_string()) });
    audit(tx, ports, org, &Actor::System, "endpoint.disable", &endpoint, &detail).await
}

#[async_trait]
impl Catalog for PostgresStore {
    async fn load_organization(&self, org: OrganizationId) -> store::Result<OrganizationSnapshot> {
        Ok(organizations::load(&self.shared.read().await?, org).await?)
    }

    async fn put_organization(
        &self,
        actor: &Actor,
        organization: Organization,
        expected: u64,
    ) -> store::Result<Result<(), Refused<OrganizationId>>> {
        let (ports, organization) = (&self.shared.ports, &organization);
        let put = |tx: Arc<Tx>| async move {
            organizations::put(&tx, ports, actor, organization, expected).await
        };
        Ok(self.shared.change(put).await?)
    }

    async fn load_application(
        &self,
        org: OrganizationId,
        app: &Ref<ApplicationId>,
    ) -> store::Result<Option<ApplicationSnapshot>> {
        let (conn, vault) = (self.shared.read().await?, &self.shared.ports.vault);
        let found = applications::find(&conn, vault, org, app).await?;
        let Some(found) = found else { return Ok(None) };
        let applications::Found { application, version } = found;
        // Behind the version, so that they are never older than it: a message that was routed with
        // newer ones is refused, and routed again.
        let endpoints = endpoints::all(&conn, vault, org, application.id).await?;
        Ok(Some(ApplicationSnapshot { application, endpoints, version }))
    }

    async fn create_application(
        &self,
        actor: &Actor,
        application: Application,
    ) -> store::Result<Result<(), Refused<ApplicationId>>> {
        let (ports, application) = (&self.shared.ports, &application);
        let create =
            |tx: Arc<Tx>| async move { applications::create(&tx, ports, actor, application).await };
        Ok(self.shared.change(create).await?)
    }

    async fn update_application(
        &self,
        actor: &Actor,
        application: Application,
        expected: Timestamp,
    ) -> store::Result<Result<(), Refused<ApplicationId>>> {
        let (ports, application) = (&self.shared.ports, &application);
        let update = |tx: Arc<Tx>| async move {
            applications::update(&tx, ports, actor, application, expected).await
        };
        Ok(self.shared.change(update).await?)
    }

    async fn delete_application(
        &self,
        actor: &Actor,
        org: OrganizationId,
        app: ApplicationId,
        now: Timestamp,
    ) -> store::Result<Result<(), Refused<ApplicationId>>> {
        let ports = &self.shared.ports;
        let delete = |tx: Arc<Tx>| async move {
            applications::delete(&tx, ports, actor, org, app, now).await
        };
        Ok(self.shared.change(delete).await?)
    }

    async fn list_applications(
        &self,
        org: OrganizationId,
        filter: ApplicationFilter,
        page: PageRequest<ApplicationId>,
    ) -> store::Result<Page<Application>> {
        let conn = self.shared.read().await?;
        Ok(applications::list(&conn, &self.shared.ports.vault, org, filter, &page).await?)
    }

    async fn sources(
        &self,
        after: Option<(OrganizationId, ApplicationId)>,
        limit: usize,
    ) -> store::Result<Vec<Application>> {
        let conn = self.shared.read().await?;
        Ok(applications::sources(&conn, &self.shared.ports.vault, after, limit).await?)
    }

    async fn application(
        &self,
        org: OrganizationId,
        app: &Ref<ApplicationId>,
    ) -> store::Result<Option<Application>> {
        let conn = self.shared.read().await?;
        let found = applications::find(&conn, &self.shared.ports.vault, org, app).await?;
        Ok(found.map(|found| found.application))
    }

    async fn create_endpoint(
        &self,
        actor: &Actor,
        endpoint: Endpoint,
    ) -> store::Result<Result<(), Refused<EndpointId>>> {
        let (ports, endpoint) = (&self.shared.ports, &endpoint);
        let create =
            |tx: Arc<Tx>| async move { endpoints::create(&tx, ports, actor, endpoint).await };
        Ok(self.shared.change(create).await?)
    }

    async fn update_endpoint(
        &self,
        actor: &Actor,
        endpoint: Endpoint,
    ) -> store::Result<Result<(), Refused<EndpointId>>> {
        let (ports, endpoint) = (&self.shared.ports, &endpoint);
        let update =
            |tx: Arc<Tx>| async move { endpoints::update(&tx, ports, actor, endpoint).await };
        Ok(self.shared.change(update).await?)
    }

    async fn delete_endpoint(
        &self,
        actor: &Actor,
        org: OrganizationId,
        app: ApplicationId,
        endpoint: EndpointId,
        now: Timestamp,
    ) -> store::Result<Result<(), Refused<EndpointId>>> {
        let ports = &self.shared.ports;
        let delete = |tx: Arc<Tx>| async move {
            endpoints::delete(&tx, ports, actor, org, app, endpoint, now).await
        };
        Ok(self.shared.change(delete).await?)
    }

    async fn list_endpoints(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        page: PageRequest<EndpointId>,
    ) -> store::Result<Page<Endpoint>> {
        let conn = self.shared.read().await?;
        Ok(endpoints::list(&conn, &self.shared.ports.vault, org, app, &page).await?)
    }

    async fn endpoint(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        endpoint: &Ref<EndpointId>,
    ) -> store::Result<Option<Endpoint>> {
        let conn = self.shared.read().await?;
        Ok(endpoints::find(&conn, &self.shared.ports.vault, org, app, endpoint).await?)
    }

    async fn endpoints_ever(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        ids: &[EndpointId],
    ) -> store::Result<Vec<Endpoint>> {
        let conn = self.shared.read().await?;
        Ok(endpoints::ever(&conn, &self.shared.ports.vault, org, app, ids).await?)
    }

    async fn subscriptions(
        &self,
        org: OrganizationId,
        after: Option<ApplicationId>,
        limit: usize,
    ) -> store::Result<Vec<Subscriptions>> {
        let conn = self.shared.read().await?;
        Ok(subscriptions::list(&conn, org, after, limit).await?)
    }

    async fn headers_at(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        endpoint: EndpointId,
        revision: u32,
    ) -> store::Result<Option<BTreeMap<String, String>>> {
        let conn = self.shared.read().await?;
        let vault = &self.shared.ports.vault;
        Ok(past_headers::find(&conn, vault, (org, app, endpoint), revision).await?)
    }

    async fn create_event_type(
        &self,
        actor: &Actor,
        event_type: EventType,
    ) -> store::Result<Result<(), Refused<EventTypeName>>> {
        let (ports, event_type) = (&self.shared.ports, &event_type);
        let create =
            |tx: Arc<Tx>| async move { event_types::create(&tx, ports, actor, event_type).await };
        Ok(self.shared.change(create).await?)
    }

    async fn update_event_type(
        &self,
        actor: &Actor,
        event_type: EventType,
        expected: Timestamp,
    ) -> store::Result<Result<(), Refused<EventTypeName>>> {
        let (ports, event_type) = (&self.shared.ports, &event_type);
        let update = |tx: Arc<Tx>| async move {
            event_types::update(&tx, ports, actor, event_type, expected).await
        };
        Ok(self.shared.change(update).await?)
    }

    async fn expunge_event_type(
        &self,
        actor: &Actor,
        org: OrganizationId,
        name: &EventTypeName,
    ) -> store::Result<Result<(), Refused<EventTypeName>>> {
        let ports = &self.shared.ports;
        let expunge =
            |tx: Arc<Tx>| async move { event_types::expunge(&tx, ports, actor, org, name).await };
        Ok(self.shared.change(expunge).await?)
    }

    async fn event_type(
        &self,
        org: OrganizationId,
        name: &EventTypeName,
    ) -> store::Result<Option<EventType>> {
        Ok(event_types::find(&self.shared.read().await?, org, name).await?)
    }
}
