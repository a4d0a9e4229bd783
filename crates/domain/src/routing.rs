//! Which endpoints a message goes to.

use crate::{
    clock::Timestamp,
    delivery::{Delivery, Trigger},
    endpoint::Endpoint,
    entropy::Entropy,
    filter,
    id::DeliveryId,
    message::Message,
};

/// The deliveries of a fresh message: one for each enabled endpoint whose filters accept it.
pub fn route<'a>(
    message: &Message,
    endpoints: impl IntoIterator<Item = &'a Endpoint>,
    entropy: &dyn Entropy,
) -> Vec<Delivery> {
    endpoints
        .into_iter()
        .filter(|e| !e.disabled && filter::accepts(e, &message.event_type, &message.channels))
        .map(|e| {
            let due = message.deliver_at.unwrap_or(message.created_at);
            deliver(message, e, Trigger::Automatic, due, entropy)
        })
        .collect()
}

/// One delivery of `message` to `endpoint`, whatever its filters say.
pub fn deliver(
    message: &Message,
    endpoint: &Endpoint,
    trigger: Trigger,
    due: Timestamp,
    entropy: &dyn Entropy,
) -> Delivery {
    Delivery {
        id: DeliveryId::generate(due.max(message.created_at), entropy),
        org: message.org,
        app: message.app,
        endpoint: endpoint.id,
        message: message.id,
        trigger,
        attempts: 0,
        due,
        give_up_at: message.expires_at,
    }
}
