//! Moving what a server keeps into the store of another one.
use super::{MASTER_KEY, Server};
use crate::shell;
use anyhow::{Context, Result};
use std::time::{Duration, Instant};

/// Reserved for documentation: nobody is there.
const NOWHERE: &str = "192.0.2.0/24";

impl Server {
    /// How `migrate-store` calls its store.
    fn place(&self) -> String {
        let files = || format!("sqlite:{}", self.data_dir().display());
        self.shared.clone().unwrap_or_else(files)
    }

    /// Copies all that `source` has into its own store, both being down (`hookwright migrate-store`);
    /// says how long that took.
    pub fn migrate_from(&self, source: &Self) -> Result<Duration> {
        let mut command = self.command("migrate-store");
        command.args(["--from", &source.place(), "--to", &self.place()]);
        if source.shared.is_some() {
            command.args(["--from-master-key", MASTER_KEY]);
        }
        let begun = Instant::now();
        shell::output(&mut command)?;
        Ok(begun.elapsed())
    }

    /// How many deliveries are pending in its store, that must be whole; the server is down.
    pub fn pending(&self) -> Result<f64> {
        let said = self.check()?;
        let count = said.lines().find_map(|line| line.strip_suffix(" of them pending"));
        Ok(count.with_context(|| format!("`check` counts nothing pending:\n{said}"))?.parse()?)
    }

    /// Starts it such that nothing that it sends arrives: for looking at what was moved elsewhere, and
    /// is delivered from there.
    pub fn start_mute(&mut self) -> Result<Duration> {
        self.start_with(&[("HOOKWRIGHT_ALLOW_ADDRESSES", NOWHERE.into())])
    }
}
