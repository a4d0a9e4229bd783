//! Signals to a server.
use super::Server;
use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

/// The longest that stopping may take: it waits for attempts under way.
const STOP_LIMIT: Duration = Duration::from_secs(60);

impl Server {
    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.pid()?.cast_signed()).context("a process has a number")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Stops it where it is (SIGSTOP). The kernel goes on accepting connections for it.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(Signal::STOP)?;
        self.paused = true;
        Ok(())
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&mut self) -> Result<()> {
        self.signal(Signal::CONT)?;
        self.paused = false;
        Ok(())
    }

    /// Asks it to end (SIGTERM) and waits until it has; says how long that took.
    pub fn terminate(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        self.signal(Signal::TERM)?;
        ensure!(self.wait_exit(STOP_LIMIT)?, "{} has not ended after SIGTERM", self.name);
        Ok(begun.elapsed())
    }
}
