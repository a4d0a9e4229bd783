//! Keeping it small, whole and safe.

use async_trait::async_trait;
use domain::clock::Timestamp;

use crate::Result;

/// What retention takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionLimits {
    /// The moment.
    pub now: Timestamp,
    /// Messages with their deliveries, attempts, tasks and alerts that have ended and rows of the audit go when
    /// they are older than this (by their ids); work that remains keeps its message, and its
    /// deliveries with it.
    pub history_before: Timestamp,
    /// Most rows of a kind per call, so that other writes get their turn.
    pub rows: usize,
}

/// What one step of retention did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Payloads removed.
    pub payloads: usize,
    /// Messages removed.
    pub messages: usize,
    /// Deliveries' records removed.
    pub deliveries: usize,
    /// Attempts removed.
    pub attempts: usize,
    /// Claims and saved answers removed.
    pub claims: usize,
    /// Pending deliveries ended because their payload's time was over.
    pub expired: usize,
    /// Whether a bound was reached and there is more to take away now.
    pub more: bool,
}

impl std::ops::AddAssign for Swept {
    fn add_assign(&mut self, other: Self) {
        self.payloads += other.payloads;
        self.messages += other.messages;
        self.deliveries += other.deliveries;
        self.attempts += other.attempts;
        self.claims += other.claims;
        self.expired += other.expired;
        self.more |= other.more;
    }
}

/// How full a store is, and how it fares: for metrics and health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Bytes of its files.
    pub bytes: u64,
    /// Bytes of its write-ahead log.
    pub wal_bytes: u64,
    /// Rows of work that remains.
    pub pending: u64,
    /// Due time of the oldest work that remains.
    pub oldest_due: Option<Timestamp>,
    /// Accepted, not ended and not scheduled: must be 0. As far as is known: a store may look at a
    /// part of its records at a time.
    pub unscheduled: u64,
    /// Rows that wait to be written.
    pub queued: u64,
    /// Whether it takes no new work for want of room.
    pub full: bool,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// What was looked at, a line each, for people.
    pub facts: Vec<String>,
    /// What is wrong, a line each. Empty is clean.
    pub problems: Vec<String>,
}

/// Retention, backup, integrity.
#[async_trait]
pub trait Housekeeping: Send + Sync {
    /// One bounded step of retention, at low priority. A payload goes within a minute or two of its
    /// `expires_at`; what is still pending of it ends as exhausted (`PayloadExpired`).
    async fn sweep(&self, limits: RetentionLimits) -> Result<Swept>;

    /// How it fares.
    async fn stats(&self) -> Result<StoreStats>;

    /// Whether it answers.
    async fn ping(&self) -> Result<()>;

    /// Checks that what is stored is whole: no delivery pending without a due row, none due without
    /// a record, each message as many deliveries as it was routed to; counts by time those of a recount, as
    /// far as records and counts of a time are both there (`domain::analytics::Whole`).
    async fn check(&self) -> Result<CheckReport>;
}
