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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        entropy::SeededEntropy,
        id::{ApplicationId, EndpointId, MessageId, OrganizationId},
        message::{Body, Origin},
    };
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

    fn endpoint(n: u8, types: Option<&[&str]>, channels: Option<&[&str]>) -> Endpoint {
        Endpoint {
            org: OrganizationId::from_raw([1; 20]),
            app: ApplicationId::from_raw([2; 20]),
            id: EndpointId::from_raw([n; 20]),
            uid: None,
            url: "https://example.com/".parse().expect("a URL"),
            description: String::new(),
            throttle_rate: None,
            version: 1,
            disabled: false,
            event_types: types.map(|t| t.iter().map(|t| t.parse().expect("a name")).collect()),
            channels: channels.map(|c| c.iter().map(|c| c.parse().expect("a name")).collect()),
            metadata: Default::default(),
            headers: Default::default(),
            secrets: Vec::new(),
            retry_schedule: None,
            transformation: None,
            first_failure_at: None,
            revision: 1,
            created_at: NOW,
            updated_at: NOW,
        }
    }

    fn message(event_type: &str, channels: &[&str]) -> Message {
        Message {
            org: OrganizationId::from_raw([1; 20]),
            app: ApplicationId::from_raw([2; 20]),
            id: MessageId::floor(NOW),
            event_id: None,
            event_type: event_type.parse().expect("a name"),
            channels: channels.iter().map(|c| c.parse().expect("a name")).collect(),
            tags: Vec::new(),
            body: Some(Body::json("{}".into())),
            origin: Origin::Api,
            created_at: NOW,
            deliver_at: None,
            expires_at: NOW.plus(Duration::from_secs(3_600)),
        }
    }

    #[test]
    fn filters_by_type_channel_and_state() {
        let mut disabled = endpoint(9, None, None);
        disabled.disabled = true;
        let endpoints = [
            endpoint(1, None, None),
            endpoint(2, Some(&["a.b"]), None),
            endpoint(3, Some(&["a.b", "c"]), Some(&["eu"])),
            endpoint(4, None, Some(&["eu", "us"])),
            disabled,
        ];
        for (event_type, channels, want) in [
            ("a.b", &[][..], &[1u8, 2][..]),
            ("a.b", &["eu"], &[1, 2, 3, 4]),
            ("a.b", &["us"], &[1, 2, 4]),
            ("a", &["asia"], &[1]),
            ("c", &["asia", "eu"], &[1, 3, 4]),
        ] {
            let message = message(event_type, channels);
            let routed = route(&message, &endpoints, &SeededEntropy::new(1));
            let got: Vec<u8> = routed.iter().map(|d| d.endpoint.raw()[0]).collect();
            assert_eq!(got, want, "{event_type} {channels:?}");
        }
    }

    #[test]
    fn a_scheduled_message_is_due_at_its_time() {
        let at = NOW.plus(Duration::from_secs(600));
        let message = Message { deliver_at: Some(at), ..message("a", &[]) };
        let routed = route(&message, &[endpoint(1, None, None)], &SeededEntropy::new(1));
        assert_eq!(routed[0].due, at);
        assert_eq!(routed[0].id.timestamp(), at);
        assert_eq!((routed[0].attempts, routed[0].trigger), (0, Trigger::Automatic));
    }
}
