//! The move itself: a batch at a time, from wherever it was left.

use serde::{Deserialize, Serialize};

use super::{Batch, Limits, Part, Place, Step, Tally, Transfer};
use crate::{Result, StoreError};

/// Why a move does not go on.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// The target has something in it that no move has brought.
    #[error("the target is not empty; give a store that nothing was ever written to")]
    NotEmpty,
    /// Another move into the target was begun.
    #[error(
        "the target holds a part of another store; finish that move, or give a target that is empty"
    )]
    OtherSource,
    /// A later release has begun it.
    #[error("the move was begun by another release; go on with that one, or with an empty target")]
    OtherRelease,
    /// A store says no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How far a move has come. It is kept in the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Whose records these are.
    pub source: String,
    /// The part that is being copied; `None` once all of them are.
    pub part: Option<Part>,
    /// How many of its records are there.
    pub copied: u64,
    after: Option<Place>,
}

impl Progress {
    fn first(source: String) -> Self {
        Self { source, part: Part::ALL.first().copied(), copied: 0, after: None }
    }

    /// Whether nothing has been copied yet.
    pub fn is_first(&self) -> bool {
        *self == Self::first(self.source.clone())
    }

    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("text and numbers are written so")
    }
}

/// A move under way.
pub struct Mover<'a> {
    source: &'a dyn Transfer,
    target: &'a dyn Transfer,
    limits: Limits,
    progress: Progress,
}

impl<'a> Mover<'a> {
    /// Begins a move into an empty target, or goes on with one.
    pub async fn begin(
        source: &'a dyn Transfer,
        target: &'a dyn Transfer,
        limits: Limits,
    ) -> Result<Self, MoveError> {
        let identity = source.identity().await?;
        let progress = match target.progress().await? {
            Some(stored) => serde_json::from_slice(&stored).map_err(|_| MoveError::OtherRelease)?,
            None => {
                if !target.is_empty().await? {
                    return Err(MoveError::NotEmpty);
                }
                let first = Progress::first(identity.clone());
                let step = Step { from: None, to: first.to_bytes() };
                target.import(Vec::new(), step).await?;
                first
            }
        };
        if progress.source != identity {
            return Err(MoveError::OtherSource);
        }
        target.prepare().await?;
        Ok(Self { source, target, limits, progress })
    }

    /// How far it has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Copies a batch: of which part, and how many records. `None` if all of it is there.
    pub async fn step(&mut self) -> Result<Option<(Part, usize)>, MoveError> {
        let Some(part) = self.progress.part else { return Ok(None) };
        let Batch { records, next } =
            page(self.source, part, self.progress.after.clone(), self.limits).await?;
        let copied = records.len();
        let mut progress = self.progress.clone();
        match next {
            Some(_) => progress.copied += copied as u64,
            None => (progress.part, progress.copied) = (part.next(), 0),
        }
        progress.after = next;
        let step = Step { from: Some(self.progress.to_bytes()), to: progress.to_bytes() };
        self.target.import(records, step).await?;
        self.progress = progress;
        Ok(Some((part, copied)))
    }
}

/// Counts and sums all records of a part. `looked_at` is told how many were, page by page.
pub async fn tally(
    store: &dyn Transfer,
    part: Part,
    limits: Limits,
    looked_at: impl Fn(usize),
) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut after = None;
    loop {
        let Batch { records, next } = page(store, part, after, limits).await?;
        records.iter().try_for_each(|record| tally.add(record))?;
        looked_at(records.len());
        if next.is_none() {
            return Ok(tally);
        }
        after = next;
    }
}

/// A page, or a smaller one where that takes too long.
async fn page(
    store: &dyn Transfer,
    part: Part,
    after: Option<Place>,
    mut limits: Limits,
) -> Result<Batch> {
    loop {
        match store.export(part, after.clone(), limits).await {
            Err(StoreError::TooLong) if limits.records > 1 => limits.records /= 2,
            page => return page,
        }
    }
}
