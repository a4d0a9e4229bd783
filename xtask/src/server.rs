//! The release binary, as a process that is started, killed and asked.
mod moves;
mod ports;
mod signals;
mod watch;

pub use ports::free_address;

use crate::{api::Api, shell};
use anyhow::{Context, Result, bail, ensure};
use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// The longest that a start may take before it counts as failed.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Tokens of one server are good at all that share a store.
const JWT_SECRET: &str = "a secret of the test, not of anybody";

/// The nodes of one store share it.
pub const MASTER_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Builds the server and the load generator as they are shipped.
pub fn build() -> Result<()> {
    let packages = ["-p", "hookwright", "-p", "hookwright-bench"];
    let mut build = shell::cargo(&["build", "--profile", &shell::profile(), "--locked"]);
    shell::run(build.args(packages))
}

/// The binary. Settings in the environment of this process are not for it.
pub fn binary() -> Command {
    let mut command = Command::new(shell::built("hookwright"));
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"HOOKWRIGHT_") {
            command.env_remove(name);
        }
    }
    command
}

/// One configuration, and the process that serves with it, if any.
pub struct Server {
    /// How it is called.
    pub name: String,
    dir: PathBuf,
    /// The database that it shares with others, if it does.
    shared: Option<String>,
    child: Option<Child>,
    /// Where its metrics are, if it has any.
    metrics: Option<SocketAddr>,
    /// Whether it was stopped where it is.
    paused: bool,
    /// How to reach it.
    pub api: Api,
}

impl Server {
    /// A fresh data directory under `target`, with `settings` (lines of TOML) beside the basics.
    pub fn new(name: &str, settings: &str) -> Result<Self> {
        Self::make(name, None, settings)
    }

    /// A node of the PostgreSQL at `store`; one of them has a name only once.
    pub fn over(name: &str, store: &str, node_name: &str, settings: &str) -> Result<Self> {
        let metrics = ports::free_address()?;
        let shared = format!(
            "store = \"{store}\"\nnode_name = \"{node_name}\"\nmaster_key = \"{MASTER_KEY}\"\n"
        );
        let mut server =
            Self::make(&format!("{name}-{node_name}"), Some(metrics), &(shared + settings))?;
        node_name.clone_into(&mut server.name);
        server.shared = Some(store.to_owned());
        Ok(server)
    }

    fn make(name: &str, metrics: Option<SocketAddr>, settings: &str) -> Result<Self> {
        let dir = shell::target().join("xtask").join(format!("{name}-{}", std::process::id()));
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir_all(&dir)?;
        let listen = ports::free_address()?;
        let metrics_listen = metrics.map_or("none".to_owned(), |address| address.to_string());
        let config = format!(
            "listen = \"{listen}\"\nmetrics_listen = \"{metrics_listen}\"\ndata_dir = \"{}\"\n\
             jwt_secret = \"{JWT_SECRET}\"\nallow_addresses = [\"127.0.0.0/8\"]\n\
             log = \"warn\"\n{settings}\n",
            dir.join("data").display()
        );
        fs::write(dir.join("hookwright.toml"), config)?;
        let api = Api::new(format!("http://{listen}"), String::new());
        let name = name.to_owned();
        let mut server = Self { name, dir, shared: None, child: None, metrics, paused: false, api };
        server.api.token = shell::output(&mut server.command("token"))?.trim().to_owned();
        ensure!(!server.api.token.is_empty(), "`hookwright token` printed nothing");
        Ok(server)
    }

    /// Where its data lies.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn command(&self, name: &str) -> Command {
        let mut command = binary();
        command.arg(name).arg("--config").arg(self.dir.join("hookwright.toml"));
        command
    }

    /// Starts it and waits until it answers; says how long that took.
    pub fn start(&mut self) -> Result<Duration> {
        self.start_with(&[])
    }

    /// The same with something in its environment, that may make it fail.
    pub fn start_with(&mut self, fault: &[(&str, OsString)]) -> Result<Duration> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.dir.join("log"))?;
        let mut command = self.command("serve");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.envs(fault.iter().map(|(name, value)| (name, value)));
        let begun = Instant::now();
        self.child = Some(command.spawn().context("hookwright could not be started")?);
        while !self.api.is_up() {
            // It may fail before its first answer.
            if let Some(status) = self.exited()? {
                if !fault.is_empty() {
                    break;
                }
                bail!("hookwright ended at its start ({status}):\n{}", self.log_tail());
            }
            ensure!(begun.elapsed() < START_LIMIT, "not ready in 60 s:\n{}", self.log_tail());
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(begun.elapsed())
    }

    /// Tells a program of the tests where this is, in its environment.
    pub fn told_to<'a>(&self, program: &'a mut Command) -> &'a mut Command {
        program.env("HOOKWRIGHT_TEST_URL", &self.api.base);
        program.env("HOOKWRIGHT_TEST_TOKEN", &self.api.token)
    }

    /// The process's id.
    pub fn pid(&self) -> Result<u32> {
        self.child.as_ref().map(Child::id).context("the server is not running")
    }

    /// Whether there is a process, that may be paused.
    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Whether there is a process that is not paused.
    pub fn is_awake(&self) -> bool {
        self.is_running() && !self.paused
    }

    /// How it ended, if it did.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.as_mut().context("the server is not running")?.try_wait()?)
    }

    /// Kills it as a power cut would (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the server is not running")?;
        child.kill()?;
        child.wait()?;
        self.paused = false;
        Ok(())
    }

    /// Waits until it ends by itself; false if it has not within `limit`.
    pub fn wait_exit(&mut self, limit: Duration) -> Result<bool> {
        let until = Instant::now() + limit;
        while self.exited()?.is_none() {
            if Instant::now() > until {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.child = None;
        Ok(true)
    }

    /// Runs `hookwright check` over the data, the server being down; what it says, if all is well.
    pub fn check(&self) -> Result<String> {
        shell::output(&mut self.command("check"))
    }

    /// The same; also what it says where something is wrong, and whether all is well.
    pub fn checked(&self) -> Result<(String, bool)> {
        let out = self.command("check").output().context("`check` could not be started")?;
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        ensure!(!said.is_empty(), "check failed: {}", String::from_utf8_lossy(&out.stderr));
        Ok((said, out.status.success()))
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Kills it and takes its directory away. Not done when something failed, so that it can be
    /// looked at.
    pub fn discard(mut self) -> Result<()> {
        if self.is_running() {
            self.kill()?;
        }
        fs::remove_dir_all(&self.dir)?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
