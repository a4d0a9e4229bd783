//! Keeping it small and whole.

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::{
    clock::Timestamp,
    delivery::{Cause, EndState, Trigger},
    task::TaskStatus,
};
use store::{
    Housekeeping, Result,
    housekeeping::{CheckReport, RetentionLimits, StoreStats, Swept},
};

use crate::{
    MemoryStore,
    state::{MessageKey, State, record_key},
};

/// The first `rows` of what is to go; says if there is more.
fn bounded<T>(found: impl Iterator<Item = T>, rows: usize, more: &mut bool) -> Vec<T> {
    let mut found: Vec<T> = found.take(rows + 1).collect();
    *more |= found.len() > rows;
    found.truncate(rows);
    found
}

impl State {
    fn sweep(&mut self, limits: RetentionLimits) -> Swept {
        let mut swept = Swept::default();
        self.sweep_payloads(limits, &mut swept);
        self.sweep_history(limits, &mut swept);
        self.sweep_claims(limits, &mut swept);
        self.sweep_tasks(limits, &mut swept);
        self.sweep_rejected(limits, &mut swept);
        self.sweep_alerts(limits, &mut swept);
        self.revocations.retain(|revocation| revocation.forget_at > limits.now);
        self.tokens.retain(|_, token| token.expires_at > limits.now);
        self.audit.retain(|_, row| row.at >= limits.history_before);
        self.past_headers.retain(|_, (_, ended)| *ended >= limits.history_before);
        swept
    }

    fn sweep_payloads(&mut self, limits: RetentionLimits, swept: &mut Swept) {
        let over = self
            .messages
            .iter()
            .filter(|(_, row)| row.message.body.is_some() && row.message.expires_at <= limits.now);
        for key in bounded(over.map(|(key, _)| *key), limits.rows, &mut swept.more) {
            for delivery in self.pending_of(key, |_| true) {
                let end = (EndState::Exhausted, Cause::PayloadExpired);
                self.end_delivery(&delivery, end, limits.now);
                swept.expired += 1;
            }
            if let Some(row) = self.messages.get_mut(&key) {
                row.remove_body();
                swept.payloads += 1;
            }
        }
    }

    fn sweep_history(&mut self, limits: RetentionLimits, swept: &mut Swept) {
        let RetentionLimits { history_before, rows, .. } = limits;
        self.history_swept = self.history_swept.max(history_before);
        let busy: BTreeSet<MessageKey> =
            self.due.values().map(|d| (d.org, d.app, d.message)).collect();
        let old = |at: Timestamp| at < history_before;
        let over = self.messages.keys().filter(|key| old(key.2.timestamp()) && !busy.contains(key));
        for key in bounded(over.copied(), rows, &mut swept.more) {
            let of_message = |o, a, m| (o, a, m) == key;
            let before = self.records.len();
            self.records.retain(|(o, a, m, ..), _| !of_message(*o, *a, *m));
            swept.deliveries += before - self.records.len();
            self.messages.remove(&key);
            swept.messages += 1;
        }
        let over = self.attempts.keys().filter(|key| old(key.3.timestamp()));
        for key in bounded(over.copied(), rows, &mut swept.more) {
            self.attempts.remove(&key);
            swept.attempts += 1;
        }
    }

    fn sweep_claims(&mut self, limits: RetentionLimits, swept: &mut Swept) {
        let RetentionLimits { now, rows, .. } = limits;
        let over = self.claims.iter().filter(|(_, (_, expires_at))| *expires_at <= now);
        for key in bounded(over.map(|(key, _)| *key), rows, &mut swept.more) {
            self.claims.remove(&key);
            swept.claims += 1;
        }
        let over = self.responses.iter().filter(|(_, (_, expires_at))| *expires_at <= now);
        for key in bounded(over.map(|(key, _)| *key), rows, &mut swept.more) {
            self.responses.remove(&key);
            swept.claims += 1;
        }
    }

    fn sweep_tasks(&mut self, limits: RetentionLimits, swept: &mut Swept) {
        let over = self.tasks.iter().filter(|((_, id), task)| {
            id.timestamp() < limits.history_before && task.status != TaskStatus::Running
        });
        for key in bounded(over.map(|(key, _)| *key), limits.rows, &mut swept.more) {
            self.tasks.remove(&key);
        }
    }

    fn sweep_rejected(&mut self, limits: RetentionLimits, swept: &mut Swept) {
        let over = self.rejected.iter().filter(|(_, kept)| kept.expires_at <= limits.now);
        for key in bounded(over.map(|(key, _)| *key), limits.rows, &mut swept.more) {
            self.rejected.remove(&key);
        }
    }

    fn sweep_alerts(&mut self, limits: RetentionLimits, swept: &mut Swept) {
        let over = self
            .alerts
            .iter()
            .filter(|((_, id), alert)| id.timestamp() < limits.history_before && !alert.is_live());
        for key in bounded(over.map(|(key, _)| *key), limits.rows, &mut swept.more) {
            self.alerts.remove(&key);
        }
    }

    /// Records that say work remains where the due index has none.
    fn unscheduled(&self) -> usize {
        let scheduled: BTreeSet<_> = self.due.values().map(record_key).collect();
        let open = self.records.iter().filter(|(_, record)| record.end.is_none());
        open.filter(|(key, _)| !scheduled.contains(key)).count()
    }

    fn check(&self) -> CheckReport {
        let mut problems = Vec::new();
        let unscheduled = self.unscheduled();
        if unscheduled > 0 {
            problems.push(format!("{unscheduled} pending deliveries without a due row"));
        }
        for delivery in self.due.values() {
            let record = self.records.get(&record_key(delivery));
            if !record.is_some_and(|r| r.end.is_none() && r.next_attempt == Some(delivery.due)) {
                problems.push(format!("{} is due and not on record so", delivery.id));
            }
            if !self.messages.contains_key(&(delivery.org, delivery.app, delivery.message)) {
                problems.push(format!("{} is due without its message", delivery.id));
            }
        }
        for (key, row) in &self.messages {
            let automatic = self.records_of(*key).filter(|r| r.trigger == Trigger::Automatic);
            let found = automatic.count();
            if found != row.routed {
                let routed = row.routed;
                problems.push(format!("{} went to {routed}, on record: {found}", key.2));
            }
        }
        let compared = self.compare_counts();
        problems.extend(compared.problems());
        let facts = vec![
            format!("{} messages", self.messages.len()),
            format!("{} deliveries, {} of them pending", self.records.len(), self.due.len()),
            compared.fact(),
        ];
        CheckReport { facts, problems }
    }
}

#[async_trait]
impl Housekeeping for MemoryStore {
    async fn sweep(&self, limits: RetentionLimits) -> Result<Swept> {
        self.act(|state| state.sweep(limits))
    }

    async fn stats(&self) -> Result<StoreStats> {
        let mut inner = self.inner.lock();
        inner.faults.answers()?;
        let full = inner.faults.is_full();
        let state = &mut inner.state;
        let bodies = state.messages.values().filter_map(|row| row.message.body.as_ref());
        Ok(StoreStats {
            bytes: bodies.map(|body| body.bytes.len() as u64).sum(),
            wal_bytes: 0,
            pending: state.due.len() as u64,
            oldest_due: state.due.values().map(|delivery| delivery.due).min(),
            unscheduled: state.unscheduled() as u64,
            queued: 0,
            full,
        })
    }

    async fn ping(&self) -> Result<()> {
        self.act(|_| ())
    }

    async fn check(&self) -> Result<CheckReport> {
        self.act(|state| state.check())
    }
}
