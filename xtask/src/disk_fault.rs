//! A disk that fails once: a library that is loaded in front of the C library.
use crate::shell;
use anyhow::Result;
use std::{ffi::OsString, fs, path::PathBuf, process::Command};

/// What stands in the log once a call has failed.
pub const SAID: &str = "disk fault: this call fails";

/// The library, built.
pub struct DiskFault {
    library: PathBuf,
}

impl DiskFault {
    /// Builds it, with the C compiler that the server needs too.
    pub fn build() -> Result<Self> {
        let dir = shell::target().join("xtask");
        fs::create_dir_all(&dir)?;
        let library = dir.join("disk_fault.so");
        let source = shell::root().join("xtask/src/disk_fault.c");
        let flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"];
        shell::run(Command::new("cc").args(flags).arg(&library).arg(source))?;
        Ok(Self { library })
    }

    /// What a process must find in its environment for one of its calls to fail: `sync:N` or
    /// `write:N`.
    pub fn environment(&self, call: &str) -> [(&'static str, OsString); 2] {
        [("LD_PRELOAD", self.library.clone().into()), ("DISK_FAULT", call.into())]
    }
}
