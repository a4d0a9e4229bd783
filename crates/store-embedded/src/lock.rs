//! One process per data directory.

use std::{
    fs::{File, TryLockError},
    path::Path,
};

use crate::options::OpenError;

/// A data directory that this process has for itself, until this (or the store that was opened with
/// it) is dropped. Whoever changes other files of the directory takes it before.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes `dir`, making it if there is none.
    ///
    /// # Errors
    /// Another process has it, or it cannot be used.
    pub fn take(dir: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Directory { dir: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(failed)?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join("lock"))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { dir: dir.to_owned() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}
