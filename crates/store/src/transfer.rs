//! Moving everything that a store holds into another one: a store gives its records out, page by page
//! and in the words of the domain, and another takes them in and notes how far it has come. What is
//! sealed is opened on the one side and sealed anew on the other. No node is at work on either side.

mod mover;
mod record;
mod tally;

use async_trait::async_trait;
use aws_lc_rs::digest;

pub use self::{
    mover::{MoveError, Mover, Progress, tally},
    record::{
        AuditRow, MovedBody, MovedDelivery, MovedHeaders, MovedMarks, MovedMessage, MovedRollup,
        Part, Record, is_blank,
    },
    tally::Tally,
};
use crate::{Result, StoreError};

/// Where a store keeps the progress of a move into it, among what it has one of.
pub const PROGRESS: &str = "move";

/// Where a page ended, in bytes that only the store that gave it out understands.
pub type Place = Vec<u8>;

/// Bounds of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most records.
    pub records: usize,
    /// It ends with the record that passes this many bytes.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { records: 1_000, bytes: 8 << 20 }
    }
}

/// A page of records of one part.
#[derive(Default)]
pub struct Batch {
    /// In an order of the store's own.
    pub records: Vec<Record>,
    /// Where to go on; `None` at the end.
    pub next: Option<Place>,
}

/// The progress before and after a batch. A batch is taken in where the first one is found, and leaves
/// the second one: so it is taken in once, whoever repeats it, and only one move goes on at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// As it must be stored; `None` if there must be none.
    pub from: Option<Vec<u8>>,
    /// As it is stored afterwards.
    pub to: Vec<u8>,
}

impl Step {
    /// Whether the batch is to be taken in, where `stored` is found: not if it has been.
    pub fn is_next(&self, stored: Option<&[u8]>) -> Result<bool> {
        if stored == Some(&self.to) {
            return Ok(false);
        }
        if stored == self.from.as_deref() {
            return Ok(true);
        }
        let other = "somebody else is moving something into it";
        Err(StoreError::Unavailable(other.into()))
    }
}

/// A store that can be moved, or moved into.
#[async_trait]
pub trait Transfer: Send + Sync {
    /// Tells this store from any other one.
    async fn identity(&self) -> Result<String>;

    /// About how many records each part has, in the order of [`Part::ALL`]. Takes as long as counting
    /// them does.
    async fn sizes(&self) -> Result<[u64; Part::ALL.len()]>;

    /// The records of a part behind a place, from the beginning if there is none. Each once, unless
    /// something writes meanwhile.
    async fn export(&self, part: Part, after: Option<Place>, limits: Limits) -> Result<Batch>;

    /// Whether it holds nothing at all.
    async fn is_empty(&self) -> Result<bool>;

    /// Gets ready to take records in. May be called again at any time.
    async fn prepare(&self) -> Result<()>;

    /// How far the move into it has come; `None` if there is none.
    async fn progress(&self) -> Result<Option<Vec<u8>>>;

    /// Takes records in and moves the progress, in one act. See [`Step`].
    async fn import(&self, records: Vec<Record>, step: Step) -> Result<()>;

    /// Forgets the progress: everything is here.
    async fn finish(&self) -> Result<()>;
}

/// The identity of a store, from what it has that no other one has.
pub fn identity_of(kind: &str, key_check: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, key_check);
    let hex = hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}"));
    format!("{kind} {}", hex.collect::<String>())
}
