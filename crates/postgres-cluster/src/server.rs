//! The processes of a server.
use crate::processes::{self, descendants, ended, is_gone, is_stopped, shared_memory, until};
use rustix::process::Signal;
use std::{fs, path::Path, process::Child, time::Duration};

/// How long a process may take to notice a signal. One that waits for a slow disk takes a while.
const SIGNALLED: Duration = Duration::from_secs(30);

/// The postmaster, if it runs.
#[derive(Default)]
pub(crate) struct Server(Option<Child>);

impl Server {
    /// Takes charge of a postmaster that was just launched.
    pub(crate) fn launched(&mut self, postmaster: Child) {
        self.0 = Some(postmaster);
    }

    /// The process number of the postmaster, if it runs.
    pub(crate) fn running(&mut self) -> Option<u32> {
        let child = self.0.as_mut()?;
        if !matches!(child.try_wait(), Ok(None)) {
            self.0 = None;
        }
        self.0.as_ref().map(Child::id)
    }

    /// Kills everything at once. Which files of shared memory stay behind is noted: the next server
    /// takes them away, and if none is started, whoever cleans up. `false` if something would not
    /// go.
    pub(crate) fn kill(&mut self, note: &Path) -> bool {
        let Some(postmaster) = self.running() else { return true };
        let children = freeze(postmaster);
        // The postmaster last: its children would see it die, and end in a way of their own.
        let all = [&children[..], &[postmaster]].concat();
        let _ = fs::write(note, all.iter().map(|pid| shared_memory(*pid)).collect::<String>());
        all.iter().for_each(|pid| processes::signal(*pid, Signal::KILL));
        let gone = self.ended(SIGNALLED);
        gone & until(SIGNALLED, || children.iter().all(|pid| is_gone(*pid)))
    }

    /// Sends the postmaster a signal that ends it and waits. `false` if it has not ended in time.
    pub(crate) fn end(&mut self, signal: Signal, limit: Duration) -> bool {
        let Some(postmaster) = self.running() else { return true };
        self.resume();
        processes::signal(postmaster, signal);
        self.ended(limit)
    }

    /// Stops all processes where they are.
    pub(crate) fn pause(&mut self) -> bool {
        let Some(postmaster) = self.running() else { return false };
        let children = freeze(postmaster);
        children.iter().for_each(|pid| processes::signal(*pid, Signal::STOP));
        until(SIGNALLED, || children.iter().all(|pid| is_stopped(*pid)))
    }

    /// Lets them go on.
    pub(crate) fn resume(&mut self) {
        if let Some(postmaster) = self.running() {
            for pid in descendants(postmaster).into_iter().chain([postmaster]) {
                processes::signal(pid, Signal::CONT);
            }
        }
    }

    fn ended(&mut self, limit: Duration) -> bool {
        let ended = self.0.as_mut().is_none_or(|child| ended(child, limit));
        if ended {
            self.0 = None;
        }
        ended
    }
}

/// Stops the postmaster, so that it can neither fork nor react, and finds its children.
fn freeze(postmaster: u32) -> Vec<u32> {
    processes::signal(postmaster, Signal::STOP);
    until(SIGNALLED, || is_stopped(postmaster));
    descendants(postmaster)
}
