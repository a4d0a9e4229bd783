//! The due index, and what attempts make of it.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    attempt::Attempt,
    clock::Timestamp,
    delivery::{Cause, Delivery, EndState, Health, Next, Trigger},
    id::DeliveryId,
    shard::ShardSet,
};
use store::{
    Deliveries, Result,
    deliveries::{DueDelivery, DueLimits, DuePage, LaneHead, LaneKey, NO_EPOCH, Settle, Settled},
};

use crate::{
    Inner, MemoryStore,
    leases::NodeId,
    state::{State, due_key, record_key},
};

const FIRST: DeliveryId = DeliveryId::from_raw([0; 20]);
/// Before anything is due.
const BEGINNING: Timestamp = Timestamp::from_micros(i64::MIN);

impl State {
    /// A lane's work, in order of due time.
    pub(crate) fn lane(&self, lane: LaneKey) -> impl Iterator<Item = &Delivery> {
        let rows = self.due.range((lane, BEGINNING, FIRST)..);
        rows.take_while(move |((l, ..), _)| *l == lane).map(|(_, delivery)| delivery)
    }

    fn due(&self, lane: LaneKey, limits: DueLimits, skip: &[DeliveryId]) -> DuePage {
        let mut page = DuePage { due: Vec::new(), next_due: None };
        let mut bytes = 0;
        for delivery in self.lane(lane).filter(|d| !skip.contains(&d.id)) {
            let full = page.due.len() >= limits.rows || bytes > limits.bytes;
            if full || delivery.due > limits.until {
                page.next_due = Some(delivery.due);
                break;
            }
            let key = (delivery.org, delivery.app, delivery.message);
            let Some(row) = self.messages.get(&key) else { continue };
            bytes += row.message.body.as_ref().map_or(0, |body| body.bytes.len());
            let message = Arc::clone(&row.message);
            page.due.push(DueDelivery { delivery: delivery.clone(), message });
        }
        page
    }

    /// `owned` says whether it is still its owner's who made the attempt.
    fn settle(&mut self, settle: Settle, owned: bool) -> Settled {
        let current = owned && self.due.get(&due_key(&settle.delivery)) == Some(&settle.delivery);
        if current {
            self.counted.attempt(&settle);
        }
        let Settle { delivery, attempt, next, health, messages, .. } = settle;
        let mut settled = Settled { superseded: !current, ..Settled::default() };
        let at = attempt.as_ref().map_or(delivery.due, ended_at);
        if current {
            self.advance(&delivery, attempt.as_ref(), next, at);
            if matches!(next, Next::End(EndState::Succeeded, _))
                && delivery.trigger != Trigger::Automatic
            {
                settled.also_ended = self.end_automatic(&delivery, at);
            }
        }
        if let Some(mut attempt) = attempt {
            attempt.superseded = !current;
            let key = (attempt.org, attempt.app, attempt.message, attempt.id);
            self.attempts.entry(key).or_insert(attempt);
        }
        settled.health_changed = self.health(&delivery, health, at);
        settled.published = messages.into_iter().map(|new| self.publish(new)).collect();
        settled
    }

    /// Moves a delivery on: to its next try, or to its end.
    fn advance(
        &mut self,
        delivery: &Delivery,
        attempt: Option<&Attempt>,
        next: Next,
        at: Timestamp,
    ) {
        let tried = u16::from(attempt.is_some());
        if let Some(record) = self.records.get_mut(&record_key(delivery)) {
            record.attempts += tried;
            if let Some(attempt) = attempt {
                record.last_status_code = attempt.outcome.status_code;
            }
        }
        match next {
            Next::End(state, cause) => self.end_delivery(delivery, (state, cause), at),
            Next::Retry(due) => {
                self.due.remove(&due_key(delivery));
                let moved = Delivery { attempts: delivery.attempts + tried, due, ..*delivery };
                if let Some(record) = self.records.get_mut(&record_key(delivery)) {
                    record.next_attempt = Some(due);
                }
                self.due.insert(due_key(&moved), moved);
            }
        }
    }

    /// A resend arrived: what its message still had to do there is done.
    fn end_automatic(&mut self, resend: &Delivery, at: Timestamp) -> Vec<DeliveryId> {
        let message = (resend.org, resend.app, resend.message);
        let pending = self.pending_of(message, |record| {
            record.endpoint == resend.endpoint && record.trigger == Trigger::Automatic
        });
        for delivery in &pending {
            self.end_delivery(delivery, (EndState::Succeeded, Cause::ResendSucceeded), at);
        }
        pending.iter().map(|delivery| delivery.id).collect()
    }

    /// Writes a transition of the endpoint's health; whether it was one.
    fn health(&mut self, of: &Delivery, health: Health, at: Timestamp) -> bool {
        let Some(endpoint) = self.live_endpoint((of.org, of.app, of.endpoint)) else {
            return false;
        };
        match health {
            Health::Failing(since) if endpoint.first_failure_at.is_none() => {
                endpoint.first_failure_at = Some(since);
            }
            Health::Recovered if endpoint.first_failure_at.is_some() => {
                endpoint.first_failure_at = None;
            }
            Health::Disable { fail_since } if !endpoint.disabled => {
                endpoint.disabled = true;
                endpoint.first_failure_at.get_or_insert(fail_since);
                let revision = ((of.org, of.app, of.endpoint), endpoint.revision);
                let past = (endpoint.headers.clone(), at);
                endpoint.revision += 1;
                self.past_headers.insert(revision, past);
                self.app_changed(of.org, of.app);
            }
            _ => return false,
        }
        true
    }
}

impl MemoryStore {
    /// As this node: what it does not own any more under a settle's epoch stays as it is.
    pub(crate) fn settle_as(
        &self,
        node: Option<NodeId>,
        settles: Vec<Settle>,
    ) -> Result<Vec<Settled>> {
        let mut inner = self.inner.lock();
        let Inner { state, faults, leases } = &mut *inner;
        faults.answers()?;
        let settle = |settle: Settle| {
            let owned = settle.epoch == NO_EPOCH
                || node.is_some_and(|n| leases.is_owned(n, settle.delivery.shard(), settle.epoch));
            state.settle(settle, owned)
        };
        let answer = settles.into_iter().map(settle).collect();
        faults.reply(answer)
    }
}

fn ended_at(attempt: &Attempt) -> Timestamp {
    attempt.started_at.plus(attempt.outcome.duration)
}

#[async_trait]
impl Deliveries for MemoryStore {
    async fn lanes(
        &self,
        shards: &ShardSet,
        after: Option<LaneKey>,
        limit: usize,
    ) -> Result<Vec<LaneHead>> {
        self.act(|state| {
            let mut heads: Vec<LaneHead> = Vec::new();
            for (lane, due, _) in state.due.keys() {
                let known = heads.last().is_some_and(|head| head.lane == *lane);
                let wanted = shards.contains(lane.shard);
                if known || !wanted || after.is_some_and(|after| *lane <= after) {
                    continue;
                }
                if heads.len() == limit {
                    break;
                }
                heads.push(LaneHead { lane: *lane, next_due: *due });
            }
            heads
        })
    }

    async fn due(
        &self,
        lane: LaneKey,
        limits: DueLimits,
        skip: Vec<DeliveryId>,
    ) -> Result<DuePage> {
        self.act(|state| state.due(lane, limits, &skip))
    }

    async fn settle(&self, settles: Vec<Settle>) -> Result<Vec<Settled>> {
        self.settle_as(None, settles)
    }

    async fn cancel(&self, lane: LaneKey, limit: usize, now: Timestamp) -> Result<usize> {
        self.act(|state| {
            let pending: Vec<_> = state.lane(lane).take(limit).cloned().collect();
            for delivery in &pending {
                let end = (EndState::Cancelled, Cause::EndpointDeleted);
                state.end_delivery(delivery, end, now);
            }
            pending.len()
        })
    }
}
