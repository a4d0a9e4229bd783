//! Accepting messages.

use async_trait::async_trait;
use domain::{
    claim::ClaimKey,
    clock::Timestamp,
    delivery::Delivery,
    id::{ApplicationId, MessageId, OrganizationId},
};
use store::{
    Publish, Result,
    catalog::Versions,
    publish::{NewMessage, Published, SavedResponse},
};

use crate::{
    MemoryStore,
    state::{MessageRow, State},
};

impl State {
    pub(crate) fn publish(&mut self, new: NewMessage) -> Published {
        let message = new.message;
        let (org, app) = (message.org, message.app);
        if self.messages.contains_key(&(org, app, message.id)) {
            return Published::Stored;
        }
        let Some(application) = self.applications.get(&(org, app)) else {
            return Published::NotFound;
        };
        let taken = |claim: store::publish::Claim| self.claimed(org, claim.key, message.created_at);
        if let Some(first) = new.idempotency.and_then(taken) {
            return Published::Repeated(first);
        }
        if let Some(first) = new.event_id.and_then(taken) {
            return Published::EventIdTaken(first);
        }
        let org_version = self.organizations.get(&org).map_or(0, |row| row.version);
        if new.versions != (Versions { org: org_version, app: application.version }) {
            return Published::Stale;
        }
        let pending = || self.pending_of_app(org, app) + new.deliveries.len() as u64;
        if new.max_pending.is_some_and(|max| pending() > max) {
            return Published::OverQuota;
        }
        for claim in [new.idempotency, new.event_id].into_iter().flatten() {
            self.claims.insert((org, claim.key), (message.id, claim.expires_at));
        }
        let routed = new.deliveries.len();
        self.counted.message(&message);
        self.messages.insert((org, app, message.id), MessageRow { message, routed });
        for delivery in new.deliveries {
            self.add_delivery(delivery);
        }
        Published::Stored
    }

    /// How much of an application's work remains.
    fn pending_of_app(&self, org: OrganizationId, app: ApplicationId) -> u64 {
        self.due.values().filter(|d| (d.org, d.app) == (org, app)).count() as u64
    }

    fn claimed(&self, org: OrganizationId, key: ClaimKey, now: Timestamp) -> Option<MessageId> {
        let (message, expires_at) = self.claims.get(&(org, key))?;
        (*expires_at > now).then_some(*message)
    }
}

#[async_trait]
impl Publish for MemoryStore {
    async fn publish(&self, messages: Vec<NewMessage>) -> Result<Vec<Published>> {
        let mut inner = self.inner.lock();
        inner.faults.answers()?;
        inner.faults.has_room()?;
        let published = messages.into_iter().map(|new| inner.state.publish(new)).collect();
        inner.faults.reply(published)
    }

    async fn enqueue(&self, deliveries: Vec<Delivery>, max_pending: Option<u64>) -> Result<bool> {
        self.commit(|state| {
            if let Some(first) = deliveries.first() {
                let pending = state.pending_of_app(first.org, first.app) + deliveries.len() as u64;
                if max_pending.is_some_and(|max| pending > max) {
                    return false;
                }
            }
            for delivery in deliveries {
                let message = (delivery.org, delivery.app, delivery.message);
                if state.messages.contains_key(&message) {
                    state.add_delivery(delivery);
                }
            }
            true
        })
    }

    async fn claimed(
        &self,
        org: OrganizationId,
        key: ClaimKey,
        now: Timestamp,
    ) -> Result<Option<MessageId>> {
        self.act(|state| state.claimed(org, key, now))
    }

    async fn save_response(
        &self,
        org: OrganizationId,
        key: ClaimKey,
        response: SavedResponse,
        expires_at: Timestamp,
    ) -> Result<()> {
        self.act(|state| {
            state.responses.entry((org, key)).or_insert((response, expires_at));
        })
    }

    async fn saved_response(
        &self,
        org: OrganizationId,
        key: ClaimKey,
        now: Timestamp,
    ) -> Result<Option<SavedResponse>> {
        self.act(|state| {
            let (response, expires_at) = state.responses.get(&(org, key))?;
            (*expires_at > now).then(|| response.clone())
        })
    }
}
