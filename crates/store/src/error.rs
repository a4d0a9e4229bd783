//! What can go wrong with a store as a whole. Faults of an item stand in that method's own result.

/// Why a store could not do what it was asked. The state is as before the call, unless it says
/// otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot work at the moment: starting, stopping, or its medium does not answer.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// No room for new work; what was accepted goes on. Ends by itself when there is room.
    #[error("the store is full: {0}")]
    Full(String),
    /// Its queue is over its bound; come again.
    #[error("the store is overloaded")]
    Overloaded,
    /// Reading took longer than it may; ask for less.
    #[error("reading took too long; ask for less")]
    TooLong,
    /// The outcome is unknown: it may have been done. Publishing, enqueuing or settling the same ids
    /// again is safe: what is stored already stays as it is.
    #[error("the store did not answer; whether it was done is unknown")]
    Unknown,
    /// What it holds is not what was written.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// A bug or an unexpected answer of the medium.
    #[error("store error: {0}")]
    Internal(String),
}

/// A result of a store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
