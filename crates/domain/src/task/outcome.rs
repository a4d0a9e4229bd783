//! What tasks find out, where that is what they are for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    id::ApplicationId,
    name::{EventTypeName, Uid},
};

/// Applications that one task tells of at most; of more it fails, and says what to ask instead.
pub const MOST_APPLICATIONS: usize = 50_000;
/// Bytes that a task's result has at most, as JSON.
pub const MOST_RESULT_BYTES: usize = 16 << 20;

/// How much was sent for an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppStats {
    /// Attempts made.
    pub message_destinations: u64,
    /// Which application.
    pub app_id: ApplicationId,
    /// The caller's name of it; `None` also for one that is deleted.
    pub app_uid: Option<Uid>,
}

/// What the endpoints of an application listen to, disabled ones too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscriptions {
    /// Which application.
    pub app_id: ApplicationId,
    /// The types that filters of its endpoints name, each once, in their order.
    pub explicitly_subscribed_event_types: BTreeSet<EventTypeName>,
    /// Whether one of them has no filter of types.
    pub has_catch_all_endpoint: bool,
}

impl Subscriptions {
    /// Of an application without endpoints.
    pub const fn none(app_id: ApplicationId) -> Self {
        let explicitly_subscribed_event_types = BTreeSet::new();
        Self { app_id, explicitly_subscribed_event_types, has_catch_all_endpoint: false }
    }

    /// Adds what one endpoint listens to; `None`: everything.
    pub fn add(&mut self, event_types: Option<Vec<EventTypeName>>) {
        match event_types {
            Some(types) => self.explicitly_subscribed_event_types.extend(types),
            None => self.has_catch_all_endpoint = true,
        }
    }
}

/// What a task has found out when it ends; as JSON it is what Svix's clients look for in its data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// By application.
    #[serde(rename = "appStats")]
    AppStats(Vec<AppStats>),
    /// By application.
    #[serde(rename = "event_types")]
    EventTypes(Vec<Subscriptions>),
    /// Why there is nothing, for people.
    #[serde(rename = "reason")]
    Failure(String),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The names are those that Svix's clients look for.
    #[test]
    fn results_are_written_as_clients_read_them() {
        let app_id = ApplicationId::from_raw([1; 20]);
        let stats = AppStats { message_destinations: 2, app_id, app_uid: None };
        let listens = Subscriptions {
            app_id,
            explicitly_subscribed_event_types: ["b", "a"]
                .map(|n| n.parse().expect("a name"))
                .into(),
            has_catch_all_endpoint: false,
        };
        for (outcome, want) in [
            (
                Outcome::AppStats(vec![stats]),
                json!({"appStats": [{"messageDestinations": 2, "appId": app_id, "appUid": null}]}),
            ),
            (
                Outcome::EventTypes(vec![listens]),
                json!({"event_types": [{"appId": app_id,
                    "explicitlySubscribedEventTypes": ["a", "b"], "hasCatchAllEndpoint": false}]}),
            ),
            (Outcome::Failure("too many".into()), json!({"reason": "too many"})),
        ] {
            assert_eq!(serde_json::to_value(&outcome).expect("JSON"), want);
            assert_eq!(serde_json::from_value::<Outcome>(want).expect("an outcome"), outcome);
        }
    }
}
