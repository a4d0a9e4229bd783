//! What SQLite says, in the words of the trait.

use rusqlite::ErrorCode;
use store::StoreError;

/// A fault inside this crate: SQLite's, or one that already has its name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// What a failure means for the transactions to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// A sync failed. What is on the disk is not known any more and a second sync may report
    /// success without having written: the process must end and recover.
    Fatal,
    /// No room.
    Full,
    /// The medium: it concerns every job of the transaction.
    Medium,
    /// The job that ran: the others may go on without it.
    Job,
}

impl Error {
    pub(crate) fn severity(&self) -> Severity {
        let Self::Sqlite(rusqlite::Error::SqliteFailure(error, _)) = self else {
            return Severity::Job;
        };
        match (error.extended_code, error.code) {
            (rusqlite::ffi::SQLITE_IOERR_FSYNC | rusqlite::ffi::SQLITE_IOERR_DIR_FSYNC, _) => {
                Severity::Fatal
            }
            (_, ErrorCode::DiskFull) => Severity::Full,
            (
                _,
                ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::DatabaseBusy
                | ErrorCode::OutOfMemory,
            ) => Severity::Medium,
            _ => Severity::Job,
        }
    }

    /// Something stored cannot be read back.
    pub(crate) fn corrupt(what: impl std::fmt::Display) -> Self {
        Self::Store(StoreError::Corrupt(what.to_string()))
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let failure = match error {
            Error::Store(error) => return error,
            Error::Sqlite(failure) => failure,
        };
        let text = failure.to_string();
        match failure.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full("the disk is full".into()),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(text),
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::DatabaseBusy) => {
                Self::Unavailable(text)
            }
            Some(ErrorCode::OperationInterrupted) => Self::TooLong,
            _ => Self::Internal(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_sync_is_fatal_and_a_full_disk_is_not() {
        let failure = |code| {
            Error::Sqlite(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None))
        };
        for (code, severity) in [
            (rusqlite::ffi::SQLITE_IOERR_FSYNC, Severity::Fatal),
            (rusqlite::ffi::SQLITE_IOERR_DIR_FSYNC, Severity::Fatal),
            (rusqlite::ffi::SQLITE_IOERR_WRITE, Severity::Medium),
            (rusqlite::ffi::SQLITE_FULL, Severity::Full),
            (rusqlite::ffi::SQLITE_CORRUPT, Severity::Medium),
            (rusqlite::ffi::SQLITE_CONSTRAINT, Severity::Job),
        ] {
            assert_eq!(failure(code).severity(), severity, "{code}");
        }
        assert!(matches!(
            StoreError::from(failure(rusqlite::ffi::SQLITE_FULL)),
            StoreError::Full(_)
        ));
    }
}
