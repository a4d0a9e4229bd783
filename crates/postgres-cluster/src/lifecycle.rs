//! Starting, stopping, killing and pausing a cluster.
use crate::{cluster::Cluster, ports, processes::until, server::Server, watchdog::LEFT};
use rustix::process::Signal;
use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    os::unix::process::CommandExt,
    path::PathBuf,
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

/// How long a fresh server may take until it takes connections.
const FIRST_START: Duration = Duration::from_secs(30);

/// The same after a crash, when it has to replay what is in its log.
const RECOVERY: Duration = Duration::from_secs(120);

const STOP: Duration = Duration::from_secs(60);

/// How a server is asked to stop; the words are those of `pg_ctl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Waits for clients to leave.
    Smart,
    /// Throws clients out, rolls their transactions back and writes a checkpoint.
    Fast,
    /// Ends at once without a checkpoint; the next start recovers.
    Immediate,
}

/// Why a server does not take connections.
enum Failed {
    PortTaken,
    Otherwise(String),
}

impl Cluster {
    /// Kills the postmaster and all its children with SIGKILL at once, as a failure of power would,
    /// and returns when they are gone. Nothing is done if it does not run.
    ///
    /// What the kernel has in its caches survives, as always when only processes are killed: this
    /// finds what the server had not yet written, not what it had not yet synced.
    pub fn kill9(&self) {
        assert!(self.server().kill(&self.dir.path().join(LEFT)), "a process survives SIGKILL");
    }

    /// Stops the server and returns when it has ended; bounded at 60 s. A paused one is resumed,
    /// because it could not hear. Nothing is done if it does not run.
    pub fn stop(&self, mode: StopMode) {
        let signal = match mode {
            StopMode::Smart => Signal::TERM,
            StopMode::Fast => Signal::INT,
            StopMode::Immediate => Signal::QUIT,
        };
        let ended = self.server().end(signal, STOP);
        assert!(ended, "PostgreSQL does not stop ({mode:?}); its log ends:\n{}", self.log_tail());
    }

    /// Starts a server that was stopped or killed, at its old port, and returns when it takes
    /// connections; bounded at 120 s.
    pub fn start_again(&self) {
        assert!(!self.is_running(), "the server runs already");
        let mut outcome = Ok(());
        // Somebody may hold the port for a moment.
        until(Duration::from_secs(10), || {
            outcome = self.launch(RECOVERY);
            !matches!(outcome, Err(Failed::PortTaken))
        });
        if let Err(failed) = outcome {
            panic!("PostgreSQL does not start again: {}", failed.told(self));
        }
    }

    /// Stops and starts again.
    pub fn restart(&self, mode: StopMode) {
        self.stop(mode);
        self.start_again();
    }

    /// Stops all its processes where they are, with SIGSTOP. The kernel goes on accepting
    /// connections and bytes for them, so clients see a server that has fallen silent.
    pub fn pause(&self) {
        assert!(self.server().pause(), "the server does not run, or does not pause");
    }

    /// Lets a paused server go on.
    pub fn resume(&self) {
        self.server().resume();
    }

    /// Whether the postmaster is there; it may be starting, stopping or paused.
    pub fn is_running(&self) -> bool {
        self.server().running().is_some()
    }

    /// The end of the server's log, at most 8 KiB.
    pub fn log_tail(&self) -> String {
        self.log_since(self.log_length().saturating_sub(8192))
    }

    /// Starts the server for the first time, at any port that is free.
    pub(crate) fn start_somewhere(&mut self) {
        for _ in 0..10 {
            self.port = ports::free();
            match self.launch(FIRST_START) {
                Ok(()) => return,
                // Somebody was faster; there are others.
                Err(Failed::PortTaken) => {}
                Err(failed) => panic!("PostgreSQL does not start: {}", failed.told(self)),
            }
        }
        panic!("PostgreSQL does not start: ten free ports were taken before it came to them");
    }

    fn launch(&self, limit: Duration) -> Result<(), Failed> {
        let log = File::options().create(true).append(true).open(self.log()).expect("the log");
        let log_began = self.log_length();
        let mut command = self.installation.command("postgres");
        // By arguments and not in the configuration, which a standby copies from its primary.
        command.arg("-D").arg(self.data()).arg("-k").arg(self.dir.path());
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        command.stdout(log.try_clone().expect("a second handle")).stderr(log);
        // Not in our group, or a Ctrl-C would reach it before we are ready.
        let postmaster = command.process_group(0).spawn().expect("postgres can be run");
        let pid = postmaster.id().to_string();
        let mut server = self.server();
        server.launched(postmaster);
        let mut ended = false;
        let mut ready = false;
        until(limit, || {
            ended = server.running().is_none();
            ready = self.says_ready(&pid);
            ended || ready
        });
        if ready && !ended {
            return Ok(());
        }
        drop(server);
        match self.log_since(log_began) {
            said if ended && said.contains("Address already in use") => Err(Failed::PortTaken),
            _ if ended => Err(Failed::Otherwise("it has ended".into())),
            _ => Err(Failed::Otherwise(format!("it takes no connections after {limit:?}"))),
        }
    }

    /// What `pg_ctl -w` looks at as well: the postmaster writes its state in the eighth line of its
    /// file of locks. A file of an earlier run begins with another process number.
    fn says_ready(&self, pid: &str) -> bool {
        let locks = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let mut lines = locks.lines();
        lines.next() == Some(pid) && lines.nth(6).is_some_and(|state| state.trim() == "ready")
    }

    /// Whoever panicked with this lock in hand has left nothing half done that matters here.
    pub(crate) fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn log_length(&self) -> u64 {
        fs::metadata(self.log()).map_or(0, |file| file.len())
    }

    fn log_since(&self, start: u64) -> String {
        let mut bytes = Vec::new();
        if let Ok(mut file) = File::open(self.log()) {
            let _ = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_to_end(&mut bytes));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Failed {
    fn told(&self, cluster: &Cluster) -> String {
        let why = match self {
            Self::PortTaken => "its port is taken",
            Self::Otherwise(why) => why,
        };
        format!("{why}; its log ends:\n{}", cluster.log_tail())
    }
}
