//! The two small tables in which every row is dead soon. They are vacuumed more often than PostgreSQL
//! would by itself, or else each lane's earliest row is looked for among those that are gone.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{Shared, connect::Connector, spawn::spawn};

/// Shortest wait between two.
const PAUSE: Duration = Duration::from_secs(10);
/// It is longer where they take long: they are at work for a fifth of the time at most.
const PAUSE_PER_RUN: u32 = 4;

/// A table that somebody else has locked is left for the next time.
const STATEMENTS: [&str; 3] = [
    "SET statement_timeout = 0",
    "VACUUM (INDEX_CLEANUP ON, TRUNCATE OFF, SKIP_LOCKED) due",
    "VACUUM (INDEX_CLEANUP ON, TRUNCATE OFF, SKIP_LOCKED) pending",
];

/// One at a time, in a task of its own.
#[derive(Default)]
pub(crate) struct Vacuum(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    under_way: bool,
    /// No new one before.
    not_before: Option<Instant>,
}

impl Vacuum {
    /// Begins one if it is time.
    pub(crate) fn begin(&self, shared: &Shared) {
        let began = Instant::now();
        {
            let mut state = self.0.lock();
            if state.under_way || state.not_before.is_some_and(|moment| began < moment) {
                return;
            }
            state.under_way = true;
        }
        let (state, connector) = (self.0.clone(), shared.connector.clone());
        spawn("store.vacuum", async move {
            if let Err(error) = vacuum(&connector).await {
                // It is tried again, and others tell of a database that is away.
                tracing::debug!(error = crate::error::detail(&error), "cannot vacuum");
            }
            let pause = PAUSE.max(began.elapsed() * PAUSE_PER_RUN);
            let not_before = Some(Instant::now() + pause);
            *state.lock() = State { under_way: false, not_before };
        });
    }
}

/// On a connection of its own: it takes its time. Each statement goes by itself, because none may be in
/// a transaction.
async fn vacuum(connector: &Connector) -> Result<(), tokio_postgres::Error> {
    let (client, _) = connector.connect_one(None).await?;
    for statement in STATEMENTS {
        client.batch_execute(statement).await?;
    }
    Ok(())
}
