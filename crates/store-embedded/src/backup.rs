//! A copy of the database, made while it is in use. The master key is not in it.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

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
///
/// The file has its name once it is whole and on stable storage; until then it is called `….partial`.
pub(crate) fn copy(source: &Connection, path: &Path, between: &mut dyn FnMut()) -> Result<()> {
    if path.exists() {
        let taken = format!("{} exists; give a path that does not", path.display());
        return Err(StoreError::Internal(taken).into());
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    // What an earlier copy left that did not come to its end.
    let _ = fs::remove_file(&partial);
    let copied = fill(source, &partial, between).and_then(|()| Ok(name(&partial, path)?));
    if copied.is_err() {
        let _ = fs::remove_file(&partial);
    }
    copied
}

fn fill(source: &Connection, path: &Path, between: &mut dyn FnMut()) -> Result<()> {
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

/// Gives a whole file its name, so that both survive a power cut.
fn name(partial: &Path, path: &Path) -> Result<(), StoreError> {
    let named = || -> io::Result<()> {
        File::open(partial)?.sync_all()?;
        fs::rename(partial, path)?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
    };
    named().map_err(|e| StoreError::Unavailable(format!("{}: {e}", path.display())))
}
