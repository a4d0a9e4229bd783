//! Who the customers are, where they listen, and what is sent.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{
    application::Application,
    endpoint::Endpoint,
    event_type::EventType,
    id::{ApplicationId, EndpointId, OrganizationId},
    name::{EventTypeName, Ref, Uid},
    organization::Organization,
    page::{Page, PageRequest},
    task::Subscriptions,
    token::Actor,
};

use crate::Result;

/// Versions of the part of the catalogue that a message is routed by. Each change of an application
/// or of one of its endpoints counts `app` up, each change of the organization's settings or event
/// types counts `org` up. That an endpoint fails or has recovered routes nothing and counts nothing;
/// that a settle disables it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// Of settings and event types.
    pub org: u64,
    /// Of the application and its endpoints.
    pub app: u64,
}

/// An organization's part of the catalogue, in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct OrganizationSnapshot {
    /// Its settings (the default ones if it has no row).
    pub organization: Organization,
    /// Live and archived ones.
    pub event_types: Vec<EventType>,
    /// Of both.
    pub version: u64,
}

/// An application's part of the catalogue, in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationSnapshot {
    /// The customer.
    pub application: Application,
    /// All that are not deleted, by id.
    pub endpoints: Vec<Endpoint>,
    /// Of both.
    pub version: u64,
}

/// Why a catalogue write changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused<I> {
    /// There is no such thing (any more).
    NotFound,
    /// The uid (or name) is taken by this one.
    Taken(I),
    /// It was changed since it was read; read again.
    Stale,
}

/// Which applications a list leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApplicationFilter {
    /// Those that have no endpoint.
    pub exclude_without_endpoints: bool,
    /// Those that have a disabled endpoint.
    pub exclude_with_disabled_endpoints: bool,
    /// Those that are sources, instead of those that are not.
    pub sources: bool,
}

/// Applications, endpoints, event types, settings. Each write adds its audit row, naming the actor,
/// in the same transaction, and counts the versions up that it concerns.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// Settings and event types of an organization; an unknown one has default settings.
    async fn load_organization(&self, org: OrganizationId) -> Result<OrganizationSnapshot>;

    /// Writes an organization's settings. `Stale` unless its version still is `expected`.
    async fn put_organization(
        &self,
        actor: &Actor,
        organization: Organization,
        expected: u64,
    ) -> Result<Result<(), Refused<OrganizationId>>>;

    /// An application and its endpoints.
    async fn load_application(
        &self,
        org: OrganizationId,
        app: &Ref<ApplicationId>,
    ) -> Result<Option<ApplicationSnapshot>>;

    /// Adds an application. `Taken` if its uid is.
    async fn create_application(
        &self,
        actor: &Actor,
        application: Application,
    ) -> Result<Result<(), Refused<ApplicationId>>>;

    /// Replaces an application's row. `Stale` unless its `updated_at` still is `expected`.
    async fn update_application(
        &self,
        actor: &Actor,
        application: Application,
        expected: domain::clock::Timestamp,
    ) -> Result<Result<(), Refused<ApplicationId>>>;

    /// Deletes an application: its uid is free again, its endpoints are unreachable, and what is
    /// pending for it is cancelled by a task in the same transaction.
    async fn delete_application(
        &self,
        actor: &Actor,
        org: OrganizationId,
        app: ApplicationId,
        now: domain::clock::Timestamp,
    ) -> Result<Result<(), Refused<ApplicationId>>>;

    /// A page of applications, by id.
    async fn list_applications(
        &self,
        org: OrganizationId,
        filter: ApplicationFilter,
        page: PageRequest<ApplicationId>,
    ) -> Result<Page<Application>>;

    /// An application by id or uid.
    async fn application(
        &self,
        org: OrganizationId,
        app: &Ref<ApplicationId>,
    ) -> Result<Option<Application>>;

    /// Sources of all tenants, by organization and application, behind `after`: for what makes events by
    /// the clock.
    async fn sources(
        &self,
        after: Option<(OrganizationId, ApplicationId)>,
        limit: usize,
    ) -> Result<Vec<Application>>;

    /// Adds an endpoint with its secrets. `NotFound` if the application is gone, `Taken` if its uid
    /// is.
    async fn create_endpoint(
        &self,
        actor: &Actor,
        endpoint: Endpoint,
    ) -> Result<Result<(), Refused<EndpointId>>>;

    /// Replaces an endpoint, its headers and its secrets. `endpoint.revision` is the new revision;
    /// `Stale` unless the stored one is one less. `first_failure_at` is not taken from `endpoint`
    /// (settles write it meanwhile): it stays as stored, and is cleared when this write enables a
    /// disabled endpoint, so that its five days begin anew.
    async fn update_endpoint(
        &self,
        actor: &Actor,
        endpoint: Endpoint,
    ) -> Result<Result<(), Refused<EndpointId>>>;

    /// Deletes an endpoint: its uid is free again, and what is pending for it is cancelled by a task
    /// in the same transaction. History keeps naming it.
    async fn delete_endpoint(
        &self,
        actor: &Actor,
        org: OrganizationId,
        app: ApplicationId,
        endpoint: EndpointId,
        now: domain::clock::Timestamp,
    ) -> Result<Result<(), Refused<EndpointId>>>;

    /// A page of an application's endpoints, by id.
    async fn list_endpoints(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        page: PageRequest<EndpointId>,
    ) -> Result<Page<Endpoint>>;

    /// An endpoint by id or uid, not deleted.
    async fn endpoint(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        endpoint: &Ref<EndpointId>,
    ) -> Result<Option<Endpoint>>;

    /// The endpoints with these ids, deleted ones too: history names them.
    async fn endpoints_ever(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        endpoints: &[EndpointId],
    ) -> Result<Vec<Endpoint>>;

    /// What the endpoints of each application listen to, by application: at most `limit` of those behind
    /// `after` that are neither deleted nor sources.
    async fn subscriptions(
        &self,
        org: OrganizationId,
        after: Option<ApplicationId>,
        limit: usize,
    ) -> Result<Vec<Subscriptions>>;
    /// An endpoint's own headers as they were at one of its revisions, deleted or not: what an attempt
    /// of that revision was sent with. `None` if they are not known: the revision has ended before
    /// history begins, or before stores kept this, or has not come yet.
    async fn headers_at(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        endpoint: EndpointId,
        revision: u32,
    ) -> Result<Option<BTreeMap<String, String>>>;

    /// Adds an event type; replaces an archived one of that name. `Taken` by a live one.
    async fn create_event_type(
        &self,
        actor: &Actor,
        event_type: EventType,
    ) -> Result<Result<(), Refused<EventTypeName>>>;

    /// Replaces an event type's row. `Stale` unless its `updated_at` still is `expected`.
    async fn update_event_type(
        &self,
        actor: &Actor,
        event_type: EventType,
        expected: domain::clock::Timestamp,
    ) -> Result<Result<(), Refused<EventTypeName>>>;

    /// Removes an event type for good. (Archiving is an update.)
    async fn expunge_event_type(
        &self,
        actor: &Actor,
        org: OrganizationId,
        name: &EventTypeName,
    ) -> Result<Result<(), Refused<EventTypeName>>>;

    /// An event type by name, archived ones too.
    async fn event_type(
        &self,
        org: OrganizationId,
        name: &EventTypeName,
    ) -> Result<Option<EventType>>;
}

/// Looks an application up by uid or id among the live ones: what stores share.
pub fn is_ref<I: PartialEq>(reference: &Ref<I>, id: &I, uid: Option<&Uid>) -> bool {
    match reference {
        Ref::Id(wanted) => wanted == id,
        Ref::Uid(wanted) => uid == Some(wanted),
    }
}
