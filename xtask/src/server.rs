//! The release binary, as a process that is started, killed and asked.
use crate::{api::Api, shell};
use anyhow::{Context, Result, bail, ensure};
use std::{
    ffi::OsString,
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// The longest that a start may take before it counts as failed.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Builds the server and the load generator as they are shipped.
pub fn build() -> Result<()> {
    let packages = ["build", "--release", "--locked", "-p", "hookwright", "-p", "hookwright-bench"];
    shell::run(&mut shell::cargo(&packages))
}

/// One data directory with its configuration, and the process that serves it, if any.
pub struct Server {
    dir: PathBuf,
    child: Option<Child>,
    /// How to reach it.
    pub api: Api,
}

impl Server {
    /// A fresh data directory under `target`, with `settings` (lines of TOML) beside the basics.
    pub fn new(name: &str, settings: &str) -> Result<Self> {
        let dir = shell::target().join("xtask").join(format!("{name}-{}", std::process::id()));
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir_all(&dir)?;
        let listen = free_address()?;
        let config = format!(
            "listen = \"{listen}\"\nmetrics_listen = \"none\"\ndata_dir = \"{}\"\n\
             jwt_secret = \"a secret of the test, not of anybody\"\n\
             allow_addresses = [\"127.0.0.0/8\"]\nlog = \"warn\"\n{settings}\n",
            dir.join("data").display()
        );
        fs::write(dir.join("hookwright.toml"), config)?;
        let mut server =
            Self { dir, child: None, api: Api::new(format!("http://{listen}"), String::new()) };
        server.api.token = shell::output(&mut server.command("token"))?.trim().to_owned();
        ensure!(!server.api.token.is_empty(), "`hookwright token` printed nothing");
        Ok(server)
    }

    /// Where its data lies.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Its configuration is its file alone: settings in the environment of this process are not for
    /// it.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(shell::target().join("release/hookwright"));
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"HOOKWRIGHT_") {
                command.env_remove(name);
            }
        }
        command.arg(name).arg("--config").arg(self.dir.join("hookwright.toml"));
        command
    }

    /// Starts it and waits until it answers; says how long that took.
    pub fn start(&mut self) -> Result<Duration> {
        self.start_with(&[])
    }

    /// The same with something in its environment that makes it fail.
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

    /// The process's id.
    pub fn pid(&self) -> Result<u32> {
        self.child.as_ref().map(Child::id).context("the server is not running")
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

    /// Waits until it has said `text` so many times, since it was made; false if not within `limit`.
    pub fn wait_said(&self, text: &str, times: usize, limit: Duration) -> Result<bool> {
        let until = Instant::now() + limit;
        while self.said(text)? < times {
            if Instant::now() > until {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(true)
    }

    /// How often it has said `text`.
    pub fn said(&self, text: &str) -> Result<usize> {
        Ok(fs::read_to_string(self.dir.join("log"))?.matches(text).count())
    }

    /// Runs `hookwright check` over the data, the server being down.
    pub fn check(&self) -> Result<()> {
        shell::output(&mut self.command("check")).map(drop)
    }

    /// Resident memory in MiB, now.
    pub fn rss_mib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }

    /// Open descriptors, now.
    pub fn descriptors(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.pid()?))?.count())
    }

    /// Bytes of all files in the data directory, in MiB.
    pub fn data_mib(&self) -> Result<f64> {
        Ok(bytes_in(&self.data_dir())? as f64 / f64::from(1 << 20))
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Kills it and takes its directory away. Not done when something failed, so that it can be
    /// looked at.
    pub fn discard(mut self) -> Result<()> {
        self.kill()?;
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

fn bytes_in(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => bytes += bytes_in(&entry.path())?,
            Ok(meta) => bytes += meta.len(),
            // Taken away meanwhile.
            Err(_) => {}
        }
    }
    Ok(bytes)
}

/// A loopback address that was free a moment ago.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
