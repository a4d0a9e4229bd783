//! What a reader of the live tail asks for.

use domain::{
    attempt::OutcomeClass,
    id::{ApplicationId, EndpointId},
    name::{EventTypeName, Ref},
};
use publish::{
    ApplicationCatalogue,
    live::{LiveEvent, LiveKind},
};

use crate::{
    error::ApiError,
    extract::{FromQuery, QueryPairs},
    state,
};

/// The query of the live tail.
pub(super) struct LiveQuery {
    /// Only of this application.
    pub app: Option<Ref<ApplicationId>>,
    endpoint: Option<Ref<EndpointId>>,
    event_types: Option<Vec<EventTypeName>>,
    messages: bool,
    attempts: bool,
    success: Option<bool>,
}

impl FromQuery for LiveQuery {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        let (messages, attempts) = match query.get("kind") {
            None => (true, true),
            Some("message") => (true, false),
            Some("attempt") => (false, true),
            Some(_) => return Err(ApiError::generic("kind: must be `message` or `attempt`")),
        };
        let success = match query.get("status") {
            None => None,
            Some("success") => Some(true),
            Some("fail") => Some(false),
            Some(_) => return Err(ApiError::generic("status: must be `success` or `fail`")),
        };
        Ok(Self {
            app: query.formed("appId")?,
            endpoint: query.formed("endpointId")?,
            event_types: query.list("eventTypes")?,
            messages,
            attempts,
            success,
        })
    }
}

impl LiveQuery {
    /// The filter, with what is known of the application that is watched.
    pub fn filter(self, app: Option<&ApplicationCatalogue>) -> Result<Filter, ApiError> {
        let endpoint = match (self.endpoint, app) {
            (None, _) => None,
            (Some(endpoint), Some(app)) => Some(state::endpoint(app, &endpoint)?.id),
            (Some(Ref::Id(id)), None) => Some(id),
            (Some(Ref::Uid(_)), None) => {
                let msg = "by its uid an endpoint is found only with `appId`";
                return Err(ApiError::invalid(&["query", "endpointId"], msg));
            }
        };
        Ok(Filter {
            app: app.map(|app| app.application.id),
            endpoint,
            event_types: self.event_types,
            // Of an endpoint, and of an end, there are only attempts.
            messages: self.messages && endpoint.is_none() && self.success.is_none(),
            attempts: self.attempts,
            success: self.success,
        })
    }
}

/// What is shown.
pub(super) struct Filter {
    /// Only of this application.
    pub app: Option<ApplicationId>,
    endpoint: Option<EndpointId>,
    event_types: Option<Vec<EventTypeName>>,
    messages: bool,
    attempts: bool,
    success: Option<bool>,
}

impl Filter {
    /// Whether an event of the application (or organization) that is watched is asked for.
    pub fn wants(&self, event: &LiveEvent) -> bool {
        let of_type = |types: &Vec<EventTypeName>| types.contains(&event.event_type);
        if !self.event_types.as_ref().is_none_or(of_type) {
            return false;
        }
        match &event.kind {
            LiveKind::Message(_) => self.messages,
            LiveKind::Attempt(attempt) => {
                let succeeded = attempt.class == OutcomeClass::Success;
                self.attempts
                    && self.endpoint.is_none_or(|id| id == attempt.endpoint)
                    && self.success.is_none_or(|wanted| wanted == succeeded)
            }
        }
    }
}
