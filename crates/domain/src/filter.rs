//! Whether an endpoint wants a message.

use crate::{
    endpoint::Endpoint,
    name::{Channel, EventTypeName},
};

/// Whether the endpoint's filters let a message of this type and these channels through. Says nothing
/// of whether the endpoint is enabled.
pub fn accepts(endpoint: &Endpoint, event_type: &EventTypeName, channels: &[Channel]) -> bool {
    let type_wanted =
        endpoint.event_types.as_ref().is_none_or(|types| types.iter().any(|t| t == event_type));
    let channel_wanted = endpoint
        .channels
        .as_ref()
        .is_none_or(|wanted| wanted.iter().any(|channel| channels.contains(channel)));
    type_wanted && channel_wanted
}
