//! What was sent and what came of it.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use domain::{
    attempt::{Attempt, OutcomeClass},
    clock::Timestamp,
    delivery::{Cause, EndState, Trigger},
    id::{AttemptId, EndpointId, MessageId},
    message::Message,
    name::Ref,
    page::{Page, PageRequest},
};
use store::{
    History, Result,
    history::{
        AttemptFilter, DeliveryRecord, EXPUNGED_RESPONSE, EndpointCounts, EndpointMessage,
        MessageEndpoint, MessageFilter, Status, Tenant, combined,
    },
};

use crate::{
    MemoryStore,
    page::{page, search},
    state::{MessageKey, MessageRow, State, lane_key},
};

impl State {
    /// Messages of a tenant, by id.
    fn messages_of(
        &self,
        tenant: Tenant,
    ) -> impl DoubleEndedIterator<Item = (MessageId, &Arc<Message>)> {
        let of_tenant = self
            .messages
            .iter()
            .filter(move |((org, app, _), _)| (*org, *app) == (tenant.org, tenant.app));
        of_tenant.map(|((_, _, id), row)| (*id, &row.message))
    }

    /// Attempts of a tenant, at an endpoint or of a message, by id.
    fn attempts_of(
        &self,
        tenant: Tenant,
        wanted: impl Fn(&Attempt) -> bool,
    ) -> impl DoubleEndedIterator<Item = &Attempt> {
        let mut found: Vec<_> = self
            .attempts
            .values()
            .filter(|a| (a.org, a.app) == (tenant.org, tenant.app) && wanted(a))
            .collect();
        found.sort_by_key(|attempt| attempt.id);
        found.into_iter()
    }

    /// A page of those that pass the filter.
    fn attempts_page(
        &self,
        tenant: Tenant,
        filter: &AttemptFilter,
        request: &PageRequest<AttemptId>,
        wanted: impl Fn(&Attempt) -> bool,
    ) -> Page<Attempt> {
        let all = self.attempts_of(tenant, wanted);
        let all = all.map(|a| (a.id, Some(a).filter(|a| self.attempt_matches(filter, a))));
        let bytes = |attempt: &&Attempt| attempt.outcome.response.len();
        search(request, self.list_rows(), all, bytes).map(Attempt::clone)
    }

    fn list_rows(&self) -> usize {
        self.list_rows.unwrap_or(usize::MAX)
    }

    /// Whether a message never arrived at the endpoint and is not on its way there by request.
    fn is_to_recover(&self, tenant: Tenant, message: MessageId, endpoint: EndpointId) -> bool {
        let mut records = self.records_of((tenant.org, tenant.app, message));
        let settled = |record: &DeliveryRecord| {
            let on_its_way = record.end.is_none() && record.trigger != Trigger::Automatic;
            on_its_way || record.status() == Status::Success
        };
        let arrived = |attempt: &Attempt| {
            attempt.message == message
                && attempt.endpoint == endpoint
                && attempt.outcome.class == OutcomeClass::Success
        };
        self.messages.contains_key(&(tenant.org, tenant.app, message))
            && !records.any(|record| record.endpoint == endpoint && settled(record))
            && !self.attempts_of(tenant, arrived).any(|_| true)
    }

    fn attempt_matches(&self, filter: &AttemptFilter, attempt: &Attempt) -> bool {
        let MessageFilter { before, after, .. } = filter.message;
        let at = attempt.id.timestamp();
        let status = match attempt.outcome.class {
            OutcomeClass::Success => Status::Success,
            _ => Status::Fail,
        };
        let class = attempt.outcome.status_code.map_or(0, |code| code / 100 * 100);
        let message = self.messages.get(&(attempt.org, attempt.app, attempt.message));
        before.is_none_or(|before| at < before)
            && after.is_none_or(|after| at > after)
            && filter.status.is_none_or(|wanted| wanted == status)
            && filter.status_code_class.is_none_or(|wanted| wanted == class)
            && filter.endpoint.is_none_or(|wanted| wanted == attempt.endpoint)
            && message.map_or(unfiltered(&filter.message), |m| labels(&filter.message, &m.message))
    }

    /// Records of one message at one endpoint.
    fn records_at(
        &self,
        tenant: Tenant,
        message: MessageId,
        endpoint: EndpointId,
    ) -> Vec<DeliveryRecord> {
        let records = self.records_of((tenant.org, tenant.app, message));
        records.filter(|record| record.endpoint == endpoint).cloned().collect()
    }

    fn expunge_message(&mut self, key: MessageKey, now: Timestamp) -> bool {
        let pending = self.pending_of(key, |_| true);
        let Some(row) = self.messages.get_mut(&key) else { return false };
        row.remove_body();
        for delivery in pending {
            self.end_delivery(&delivery, (EndState::Cancelled, Cause::Expunged), now);
        }
        true
    }
}

impl MessageRow {
    /// Takes the payload away.
    pub(crate) fn remove_body(&mut self) {
        self.message = Arc::new(shown(&self.message, false));
    }
}

fn shown(message: &Message, with_body: bool) -> Message {
    let body = message.body.clone().filter(|_| with_body);
    Message { body, ..message.clone() }
}

/// All of the filter but its times.
fn labels(filter: &MessageFilter, message: &Message) -> bool {
    filter.channel.as_ref().is_none_or(|wanted| message.channels.contains(wanted))
        && filter.tag.as_ref().is_none_or(|wanted| message.tags.contains(wanted))
        && filter.event_types.as_ref().is_none_or(|wanted| wanted.contains(&message.event_type))
}

/// Whether the filter asks nothing of the message but its time.
fn unfiltered(filter: &MessageFilter) -> bool {
    filter.channel.is_none() && filter.tag.is_none() && filter.event_types.is_none()
}

fn matches(filter: &MessageFilter, message: &Message) -> bool {
    let at = message.id.timestamp();
    filter.before.is_none_or(|before| at < before)
        && filter.after.is_none_or(|after| at > after)
        && labels(filter, message)
}

/// What a message's body adds to a page.
fn body_bytes(message: &Message) -> usize {
    message.body.as_ref().map_or(0, |body| body.bytes.len())
}

#[async_trait]
impl History for MemoryStore {
    async fn messages(
        &self,
        tenant: Tenant,
        filter: MessageFilter,
        request: PageRequest<MessageId>,
        with_body: bool,
    ) -> Result<Page<Message>> {
        self.act(|state| {
            let all = state.messages_of(tenant).map(|(id, message)| {
                let wanted = matches(&filter, message);
                (id, wanted.then(|| shown(message, with_body)))
            });
            search(&request, state.list_rows(), all, body_bytes)
        })
    }

    async fn message(&self, tenant: Tenant, message: &Ref<MessageId>) -> Result<Option<Message>> {
        self.act(|state| {
            let mut newest_first = state.messages_of(tenant).rev();
            let found = newest_first
                .find(|(_, m)| store::catalog::is_ref(message, &m.id, m.event_id.as_ref()));
            found.map(|(_, message)| Message::clone(message))
        })
    }

    async fn messages_by_id(
        &self,
        tenant: Tenant,
        ids: Vec<MessageId>,
        with_body: bool,
    ) -> Result<Vec<Message>> {
        self.act(|state| {
            ids.iter()
                .filter_map(|id| state.messages.get(&(tenant.org, tenant.app, *id)))
                .map(|row| shown(&row.message, with_body))
                .collect()
        })
    }

    async fn attempts_by_endpoint(
        &self,
        tenant: Tenant,
        endpoint: EndpointId,
        filter: AttemptFilter,
        request: PageRequest<AttemptId>,
    ) -> Result<Page<Attempt>> {
        self.act(|state| state.attempts_page(tenant, &filter, &request, |a| a.endpoint == endpoint))
    }

    async fn attempts_by_message(
        &self,
        tenant: Tenant,
        message: MessageId,
        filter: AttemptFilter,
        request: PageRequest<AttemptId>,
    ) -> Result<Page<Attempt>> {
        self.act(|state| state.attempts_page(tenant, &filter, &request, |a| a.message == message))
    }

    async fn attempt(
        &self,
        tenant: Tenant,
        message: MessageId,
        attempt: AttemptId,
    ) -> Result<Option<Attempt>> {
        self.act(|state| state.attempts.get(&(tenant.org, tenant.app, message, attempt)).cloned())
    }

    async fn endpoint_messages(
        &self,
        tenant: Tenant,
        endpoint: EndpointId,
        filter: MessageFilter,
        statuses: Vec<Status>,
        request: PageRequest<MessageId>,
        with_body: bool,
    ) -> Result<Page<EndpointMessage>> {
        self.act(|state| {
            let sent = state.messages_of(tenant).filter_map(|(id, message)| {
                let (status, next_attempt) = combined(&state.records_at(tenant, id, endpoint))?;
                let wanted = matches(&filter, message)
                    && (statuses.is_empty() || statuses.contains(&status));
                let message = wanted.then(|| shown(message, with_body));
                Some((id, message.map(|message| EndpointMessage { message, status, next_attempt })))
            });
            search(&request, state.list_rows(), sent, |found| body_bytes(&found.message))
        })
    }

    async fn message_endpoints(
        &self,
        tenant: Tenant,
        message: MessageId,
        request: PageRequest<EndpointId>,
    ) -> Result<Page<MessageEndpoint>> {
        self.act(|state| {
            let records = state.records_of((tenant.org, tenant.app, message));
            let mut endpoints: Vec<_> = records.map(|record| record.endpoint).collect();
            endpoints.dedup();
            let stands = endpoints.into_iter().filter_map(|endpoint| {
                Some((endpoint, combined(&state.records_at(tenant, message, endpoint))?))
            });
            let items = stands.map(|(endpoint, (status, next_attempt))| {
                (endpoint, MessageEndpoint { endpoint, status, next_attempt })
            });
            page(&request, items)
        })
    }

    async fn delivery_records(
        &self,
        tenant: Tenant,
        messages: Vec<MessageId>,
        endpoint: EndpointId,
    ) -> Result<Vec<DeliveryRecord>> {
        self.act(|state| {
            messages.iter().flat_map(|id| state.records_at(tenant, *id, endpoint)).collect()
        })
    }

    async fn endpoint_counts(
        &self,
        tenant: Tenant,
        endpoint: EndpointId,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<EndpointCounts> {
        self.act(|state| {
            let mut counts = EndpointCounts::default();
            let range = AttemptId::floor(since)..AttemptId::floor(until);
            let at_endpoint = |a: &Attempt| a.endpoint == endpoint && range.contains(&a.id);
            for attempt in state.attempts_of(tenant, at_endpoint) {
                match attempt.outcome.class {
                    OutcomeClass::Success => counts.success += 1,
                    _ => counts.fail += 1,
                }
            }
            for delivery in state.lane(lane_key(tenant.org, tenant.app, endpoint)) {
                match delivery.attempts {
                    0 => counts.pending += 1,
                    _ => counts.sending += 1,
                }
            }
            counts
        })
    }

    async fn failed_messages(
        &self,
        tenant: Tenant,
        endpoint: EndpointId,
        (since, until): (Timestamp, Timestamp),
        after: Option<AttemptId>,
        limit: usize,
    ) -> Result<(Vec<MessageId>, Option<AttemptId>)> {
        let range = AttemptId::floor(since)..AttemptId::floor(until);
        self.act(|state| {
            let failed = |a: &Attempt| {
                a.endpoint == endpoint
                    && range.contains(&a.id)
                    && a.outcome.class != OutcomeClass::Success
            };
            let (mut seen, mut found, mut last) = (BTreeSet::new(), Vec::new(), after);
            for attempt in state.attempts_of(tenant, failed) {
                let first = seen.insert(attempt.message);
                if after.is_some_and(|after| attempt.id <= after) {
                    continue;
                }
                if found.len() == limit {
                    return (found, last);
                }
                last = Some(attempt.id);
                if first && state.is_to_recover(tenant, attempt.message, endpoint) {
                    found.push(attempt.message);
                }
            }
            (found, None)
        })
    }

    async fn expunge_message(
        &self,
        tenant: Tenant,
        message: MessageId,
        now: Timestamp,
    ) -> Result<bool> {
        self.act(|state| state.expunge_message((tenant.org, tenant.app, message), now))
    }

    async fn expunge_attempt(
        &self,
        tenant: Tenant,
        message: MessageId,
        attempt: AttemptId,
    ) -> Result<bool> {
        self.act(|state| {
            let found = state.attempts.get_mut(&(tenant.org, tenant.app, message, attempt));
            found.map(|attempt| attempt.outcome.response = EXPUNGED_RESPONSE).is_some()
        })
    }
}
