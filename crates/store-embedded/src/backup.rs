//! A copy of the database, made while it is in use. The master key is not in it.

use std::path::{Path, PathBuf};

use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};
use store::StoreError;
use tokio::sync::oneshot;

use crate::error::Result;

/// Pages copied between two transactions: 1 MiB.
const STEP_PAGES: i32 = 256;

/// A request for a copy.
pub(crate) struct BackupJob {
    pub(crate) path: PathBuf,
    pub(crate) reply: oneshot::Sender<Result<(), StoreError>>,
}

/// Copies `source` to a new file at `path`, calling `between` after each step. Runs on the writer's
/// own connection: SQLite then carries what `between` writes over into the copy, where writes of any
/// other connection would start it from the beginning. The copy is the database as it is at the end.
pub(crate) fn copy(source: &Connection, path: &Path, between: &mut dyn FnMut()) -> Result<()> {
    if path.exists() {
        return Err(StoreError::Internal(format!(
            "{} exists; give a path that does not",
            path.display()
        ))
        .into());
    }
    let mut target = Connection::open(path)?;
    {
        let backup = Backup::new(source, &mut target)?;
        while backup.step(STEP_PAGES)? != StepResult::Done {
            between();
        }
    }
    // One file that needs no log beside it.
    target.pragma_update(None, "journal_mode", "DELETE")?;
    Ok(())
}
