//! What PostgreSQL says, in the words of the trait.

use deadpool_postgres::PoolError;
use store::StoreError;
use tokio_postgres::error::SqlState;

/// A fault inside this crate: PostgreSQL's, or one that already has its name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{}", detail(.0))]
    Postgres(#[from] tokio_postgres::Error),
    #[error("no connection to PostgreSQL: {}", pool_detail(.0))]
    Pool(#[from] PoolError),
    /// It did not answer within our own deadline.
    #[error("PostgreSQL did not answer in time")]
    Late,
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// The server's own words; the driver's `Display` says only that there were some.
pub(crate) fn detail(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(error);
            while let Some(error) = source {
                text.push_str(": ");
                text.push_str(&error.to_string());
                source = error.source();
            }
            text
        }
    }
}

fn pool_detail(error: &PoolError) -> String {
    match error {
        PoolError::Backend(error) => detail(error),
        error => error.to_string(),
    }
}

impl Error {
    /// Something stored cannot be read back.
    pub(crate) fn corrupt(what: impl std::fmt::Display) -> Self {
        Self::Store(StoreError::Corrupt(what.to_string()))
    }

    fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Postgres(error) | Self::Pool(PoolError::Backend(error)) => error.code(),
            _ => None,
        }
    }

    /// The transaction lost against another one, and may well succeed when it is tried again at once.
    pub(crate) fn is_conflict(&self) -> bool {
        self.code().is_some_and(|code| {
            *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
        })
    }

    /// A row of that key is there already.
    pub(crate) fn is_unique_violation(&self) -> bool {
        self.code() == Some(&SqlState::UNIQUE_VIOLATION)
    }

    /// The connection is gone, or PostgreSQL takes no work: another one, later, may do.
    pub(crate) fn is_away(&self) -> bool {
        match self {
            Self::Late | Self::Pool(_) => true,
            Self::Postgres(error) if error.code().is_none() => true,
            _ => self.code().is_some_and(|code| {
                // Connection exceptions, insufficient resources, operator intervention, and a
                // server that is read-only (a standby, or one that was demoted).
                let class = &code.code()[..2];
                matches!(class, "08" | "53" | "57") && *code != SqlState::QUERY_CANCELED
                    || *code == SqlState::READ_ONLY_SQL_TRANSACTION
            }),
        }
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match &error {
            Error::Store(error) => return error.clone(),
            Error::Late | Error::Pool(_) => return Self::Unavailable(text),
            Error::Postgres(_) => {}
        }
        match error.code() {
            Some(code) if *code == SqlState::DISK_FULL => {
                Self::Full("PostgreSQL's disk is full".into())
            }
            Some(code) if *code == SqlState::QUERY_CANCELED => Self::TooLong,
            Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE => Self::Unavailable(text),
            Some(code) if code.code().starts_with("XX00") && code.code() != "XX000" => {
                Self::Corrupt(text)
            }
            _ if error.is_away() || error.is_conflict() => Self::Unavailable(text),
            _ => Self::Internal(text),
        }
    }
}
