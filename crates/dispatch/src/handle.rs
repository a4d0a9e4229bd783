//! The engine as publishers see it.

use std::sync::Arc;

use domain::id::{ApplicationId, EndpointId, MessageId, OrganizationId};
use publish::{Handover, Hot};

use crate::engine::Engine;

/// The engine as publishers see it.
pub struct EngineHandle(pub(crate) Arc<Engine>);

impl Handover for EngineHandle {
    fn hand_over(&self, hot: Vec<Hot>) {
        self.0.hand_over(hot);
    }

    fn endpoint_changed(&self, _org: OrganizationId, _app: ApplicationId, endpoint: EndpointId) {
        if let Some(url) = self.0.tell(|core, now| core.endpoint_changed(endpoint, now)) {
            // Nothing more goes out on a connection that was made for what is no more.
            self.0.parts.destination.forget(&url);
        }
        self.0.jobs.notify_one();
    }

    fn application_changed(&self, org: OrganizationId, app: ApplicationId) {
        self.0.tell(|core, now| core.application_changed(org, app, now));
        self.0.jobs.notify_one();
    }

    fn tasks_changed(&self) {
        self.0.jobs.notify_one();
    }

    fn message_expunged(&self, _org: OrganizationId, app: ApplicationId, message: MessageId) {
        self.0.tell(|core, now| core.message_expunged(app, message, now));
    }
}
