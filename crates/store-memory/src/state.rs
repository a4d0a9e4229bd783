//! All that is stored, and the few steps that keep it whole.

use std::{collections::BTreeMap, sync::Arc};

use domain::{
    alert::{Alert, Rule},
    application::Application,
    attempt::Attempt,
    claim::ClaimKey,
    clock::Timestamp,
    delivery::{Cause, Delivery, EndState},
    endpoint::Endpoint,
    event_type::EventType,
    id::{
        AlertId, AlertRuleId, ApplicationId, AttemptId, AuditId, DeliveryId, EndpointId, MessageId,
        OrganizationId, RejectedId, TaskId, TokenId,
    },
    message::Message,
    name::EventTypeName,
    organization::OrganizationSettings,
    shard::Shard,
    task::Task,
    token::{Revocation, Token},
};
use store::{
    audit::AuditEntry, deliveries::LaneKey, history::DeliveryRecord, publish::SavedResponse,
    rejected::RejectedRequest,
};

use crate::analytics::Counted;

/// Settings, and the version of settings and event types.
#[derive(Clone, Default)]
pub(crate) struct OrganizationRow {
    pub settings: OrganizationSettings,
    pub version: u64,
}

/// An application that is not deleted, and the version of it and its endpoints.
#[derive(Clone)]
pub(crate) struct ApplicationRow {
    pub application: Application,
    pub version: u64,
}

/// An endpoint; a deleted one stays, because history names it.
#[derive(Clone)]
pub(crate) struct EndpointRow {
    pub endpoint: Endpoint,
    pub deleted: bool,
}

/// A message and how many deliveries it was routed to.
#[derive(Clone)]
pub(crate) struct MessageRow {
    pub message: Arc<Message>,
    pub routed: usize,
}

/// The tenant leads.
pub(crate) type EndpointKey = (OrganizationId, ApplicationId, EndpointId);
pub(crate) type MessageKey = (OrganizationId, ApplicationId, MessageId);
pub(crate) type RecordKey = (OrganizationId, ApplicationId, MessageId, EndpointId, DeliveryId);
pub(crate) type AttemptKey = (OrganizationId, ApplicationId, MessageId, AttemptId);
/// In the order in which it is sent.
pub(crate) type DueKey = (LaneKey, Timestamp, DeliveryId);

/// The tables.
#[derive(Clone, Default)]
pub(crate) struct State {
    pub organizations: BTreeMap<OrganizationId, OrganizationRow>,
    pub event_types: BTreeMap<(OrganizationId, EventTypeName), EventType>,
    pub applications: BTreeMap<(OrganizationId, ApplicationId), ApplicationRow>,
    pub endpoints: BTreeMap<EndpointKey, EndpointRow>,
    /// Of revisions that are past, and when they ended.
    pub past_headers: BTreeMap<(EndpointKey, u32), (BTreeMap<String, String>, Timestamp)>,
    pub messages: BTreeMap<MessageKey, MessageRow>,
    /// Of every delivery, ended or not.
    pub records: BTreeMap<RecordKey, DeliveryRecord>,
    /// Work that remains.
    pub due: BTreeMap<DueKey, Delivery>,
    pub attempts: BTreeMap<AttemptKey, Attempt>,
    pub claims: BTreeMap<(OrganizationId, ClaimKey), (MessageId, Timestamp)>,
    pub responses: BTreeMap<(OrganizationId, ClaimKey), (SavedResponse, Timestamp)>,
    pub rejected: BTreeMap<(OrganizationId, ApplicationId, RejectedId), RejectedRequest>,
    pub tokens: BTreeMap<(OrganizationId, TokenId), Token>,
    pub revocations: Vec<Revocation>,
    pub audit: BTreeMap<(OrganizationId, AuditId), AuditEntry>,
    /// How many rows of `audit` there have been.
    pub audited: u64,
    pub tasks: BTreeMap<(OrganizationId, TaskId), Task>,
    pub counted: Counted,
    /// History with ids from before then was given to retention.
    pub history_swept: Timestamp,
    pub alert_rules: BTreeMap<(OrganizationId, AlertRuleId), Rule>,
    pub alerts: BTreeMap<(OrganizationId, AlertId), Alert>,
    /// How many rows a list of history looks at; `None` is all.
    pub list_rows: Option<usize>,
}

pub(crate) fn lane_key(org: OrganizationId, app: ApplicationId, endpoint: EndpointId) -> LaneKey {
    LaneKey { shard: Shard::of(&org, &app, &endpoint), org, app, endpoint }
}

pub(crate) fn due_key(delivery: &Delivery) -> DueKey {
    (LaneKey::of(delivery), delivery.due, delivery.id)
}

pub(crate) fn record_key(d: &Delivery) -> RecordKey {
    (d.org, d.app, d.message, d.endpoint, d.id)
}

impl State {
    /// Puts a fresh delivery into the due index and on record. One that is on record already, from
    /// a call whose reply was lost, stays as it is.
    pub(crate) fn add_delivery(&mut self, delivery: Delivery) {
        self.records.entry(record_key(&delivery)).or_insert_with(|| {
            let record = DeliveryRecord {
                id: delivery.id,
                message: delivery.message,
                endpoint: delivery.endpoint,
                trigger: delivery.trigger,
                attempts: delivery.attempts,
                next_attempt: Some(delivery.due),
                end: None,
                last_status_code: None,
                ended_at: None,
            };
            self.due.insert(due_key(&delivery), delivery);
            record
        });
    }

    /// Ends a delivery: it leaves the due index, its record stays.
    pub(crate) fn end_delivery(
        &mut self,
        delivery: &Delivery,
        end: (EndState, Cause),
        at: Timestamp,
    ) {
        self.due.remove(&due_key(delivery));
        if let Some(record) = self.records.get_mut(&record_key(delivery)) {
            record.end = Some(end);
            record.ended_at = Some(at);
            record.next_attempt = None;
        }
    }

    /// Records of a message, by endpoint.
    pub(crate) fn records_of(
        &self,
        (org, app, message): MessageKey,
    ) -> impl Iterator<Item = &DeliveryRecord> {
        let first = (org, app, message, FIRST_ENDPOINT, FIRST_DELIVERY);
        let of_message = self
            .records
            .range(first..)
            .take_while(move |((o, a, m, ..), _)| (*o, *a, *m) == (org, app, message));
        of_message.map(|(_, record)| record)
    }

    /// What is pending of a message, of the deliveries that are wanted.
    pub(crate) fn pending_of(
        &self,
        key: MessageKey,
        wanted: impl Fn(&DeliveryRecord) -> bool,
    ) -> Vec<Delivery> {
        let (org, app, _) = key;
        self.records_of(key)
            .filter(|record| wanted(record))
            .filter_map(|record| {
                let lane = lane_key(org, app, record.endpoint);
                self.due.get(&(lane, record.next_attempt?, record.id)).cloned()
            })
            .collect()
    }
}

const FIRST_ENDPOINT: EndpointId = EndpointId::from_raw([0; 20]);
const FIRST_DELIVERY: DeliveryId = DeliveryId::from_raw([0; 20]);
