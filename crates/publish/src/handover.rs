//! The port to whoever delivers: after a commit the engine is told at once, in memory, so that a fresh
//! message is never read back.

use std::sync::Arc;

use domain::{
    delivery::Delivery,
    id::{ApplicationId, EndpointId, MessageId, OrganizationId},
    message::Message,
};

/// A stored delivery with its message, still in memory.
#[derive(Clone, Debug)]
pub struct Hot {
    /// The work.
    pub delivery: Delivery,
    /// What to send.
    pub message: Arc<Message>,
}

/// Whoever delivers. Losing a call costs latency, never a delivery: what is stored is found again.
pub trait Handover: Send + Sync {
    /// Takes deliveries that have just been stored.
    fn hand_over(&self, hot: Vec<Hot>);

    /// An endpoint was changed, enabled, disabled or deleted: look at it again.
    fn endpoint_changed(&self, org: OrganizationId, app: ApplicationId, endpoint: EndpointId);

    /// An application was changed or deleted.
    fn application_changed(&self, org: OrganizationId, app: ApplicationId);

    /// There is a task to run that there was not.
    fn tasks_changed(&self);

    /// A message's content was taken away: it is not sent any more.
    fn message_expunged(&self, org: OrganizationId, app: ApplicationId, message: MessageId);
}
