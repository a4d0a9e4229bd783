//! How a store is opened.

use std::{sync::Arc, time::Duration};

use domain::{clock::Clock, entropy::Entropy};
use store::vault::Vault;

/// Where PostgreSQL is and what a node may take of it.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// `postgres://user:password@host[:port][,host…]/database[?sslmode=…&sslrootcert=…]`. Of several
    /// hosts the one that takes writes is used.
    pub url: String,
    /// How this node is called, for people.
    pub node_name: String,
    /// Connections for reading and for the catalogue, beside the six that a node has of its own.
    pub connections: usize,
    /// Most bytes that wait to be written; more answers `Overloaded`.
    pub queue_bytes: usize,
    /// Most rows that wait to be written; more answers `Overloaded`.
    pub queue_rows: usize,
    /// Span of time of one partition of history, and of one of payloads.
    pub partition: Duration,
    /// How far ahead partitions of payloads are made: the longest usual retention.
    pub payload_retention: Duration,
    /// Longest that a statement may take.
    pub statement_timeout: Duration,
    /// Longest that a statement waits for a lock.
    pub lock_timeout: Duration,
    /// Longest wait for an answer, or for a connection, on our side.
    pub call_timeout: Duration,
}

impl PostgresOptions {
    /// The defaults, for the database at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            node_name: "hookwright".into(),
            connections: 8,
            queue_bytes: 64 << 20,
            queue_rows: 200_000,
            partition: Duration::from_secs(24 * 3_600),
            payload_retention: Duration::from_secs(90 * 24 * 3_600),
            statement_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(3),
            call_timeout: Duration::from_secs(8),
        }
    }
}

impl PostgresOptions {
    /// A span of time for partitions that is right for a retention: there are some thirty of each kind,
    /// few enough for a list to look through, and what is over goes soon.
    pub fn partition_of(retention: Duration) -> Duration {
        let hours = (retention / 30).as_secs().div_ceil(3_600).max(1);
        let hours = if hours < 24 { hours } else { hours.div_ceil(24) * 24 };
        Duration::from_secs(hours * 3_600)
    }
}

/// What a store needs of its surroundings.
#[derive(Clone)]
pub struct Ports {
    /// Seals what is secret.
    pub vault: Arc<Vault>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For ids.
    pub entropy: Arc<dyn Entropy>,
}

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL.
    #[error("`store`: {0}")]
    Url(String),
    /// It cannot be reached, or says no.
    #[error("cannot use PostgreSQL at {target}: {message}")]
    Database {
        /// Which, without its password.
        target: String,
        /// What it, or the network, says.
        message: String,
    },
    /// Too old.
    #[error("PostgreSQL at {target} is version {found}; version 15 or newer is needed")]
    Version {
        /// Which.
        target: String,
        /// Its version.
        found: String,
    },
    /// A pooler that gives each transaction another session.
    #[error(
        "there is a transaction pooler (such as PgBouncer in transaction mode) in front of \
         PostgreSQL at {target}; session connections are needed: connect to PostgreSQL itself, or \
         use session mode"
    )]
    Pooler {
        /// Which.
        target: String,
    },
    /// Written by a later release.
    #[error(
        "the database at {target} has version {found}, and this release knows versions up to \
         {known}; start the release that wrote it, or a later one"
    )]
    Newer {
        /// Which.
        target: String,
        /// Of the database.
        found: i32,
        /// Of this release.
        known: i32,
    },
    /// Sealed with a key that was not given.
    #[error(
        "the master key does not open the database at {target}; give the key it was made with \
         (the nodes of one database share one master key)"
    )]
    WrongKey {
        /// Which.
        target: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_few_and_whole() {
        const HOUR: u64 = 3_600;
        for (days, hours) in [(0, 1), (1, 1), (7, 6), (30, 24), (31, 48), (90, 72), (365, 312)] {
            let span = PostgresOptions::partition_of(Duration::from_secs(days * 24 * HOUR));
            assert_eq!(span.as_secs(), hours * HOUR, "{days} days");
        }
    }
}
