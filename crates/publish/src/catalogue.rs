//! The parts of the catalogue as they are in memory: what messages are routed by and endpoints are
//! reached with.

use std::{collections::HashMap, sync::Arc};

use domain::{
    application::Application,
    endpoint::{Endpoint, shown_url},
    event_type::EventType,
    id::EndpointId,
    name::EventTypeName,
    organization::{OrganizationSettings, SchemaMode},
};
use store::catalog::{ApplicationSnapshot, OrganizationSnapshot};
use url::Url;

use crate::schema::Schema;

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
    pub(crate) fn new(snapshot: ApplicationSnapshot) -> Self {
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
    /// Which load of this process brought it: see [`Catalogues::organization_loads`].
    ///
    /// [`Catalogues::organization_loads`]: crate::Catalogues::organization_loads
    pub load: u64,
}

impl OrganizationCatalogue {
    pub(crate) fn new(snapshot: OrganizationSnapshot, load: u64) -> Self {
        let event_types = snapshot.event_types.into_iter().map(|event_type| {
            let schema = event_type.schemas.as_ref().and_then(Schema::newest);
            (event_type.name.clone(), PreparedEventType { event_type, schema })
        });
        Self {
            settings: snapshot.organization.settings,
            event_types: event_types.collect(),
            version: snapshot.version,
            load,
        }
    }

    /// Whether payloads of this type are checked, and against what.
    pub fn schema(&self, name: &EventTypeName) -> Option<(SchemaMode, &Schema)> {
        let found = self.event_types.get(name)?;
        let mode = found.event_type.schema_mode.unwrap_or(self.settings.schema_mode);
        (mode != SchemaMode::Off).then_some(())?;
        Some((mode, found.schema.as_ref()?))
    }
}
