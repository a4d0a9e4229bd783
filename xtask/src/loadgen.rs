//! The load generator, as a process.
use crate::{server::Server, shell};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdout, Command, Stdio},
};

/// A run under way. Killed when it is dropped before its report was read.
pub struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
}

/// Starts it against `server`; `arguments` begin with the mode and are split at blanks.
pub fn start(server: &Server, arguments: &str) -> Result<Running> {
    start_over(&[server], &[("server".to_owned(), server.pid()?)], arguments)
}

/// Starts it against several servers that share a store, and accounts for these processes.
pub fn start_over(servers: &[&Server], pids: &[(String, u32)], arguments: &str) -> Result<Running> {
    let token = &servers.first().context("there must be a server")?.api.token;
    let mut command = Command::new(shell::built("loadgen"));
    command.args(arguments.split_whitespace()).args(["--token", token]);
    for server in servers {
        command.args(["--base", &server.api.base]);
    }
    for (name, pid) in pids {
        command.args(["--pid", &format!("{name}={pid}")]);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().context("loadgen could not be started")?;
    let out = BufReader::new(child.stdout.take().context("its output is piped")?);
    Ok(Running { child, out })
}

/// Runs it to its end and returns the report.
pub fn run(server: &Server, arguments: &str) -> Result<Value> {
    eprintln!("  loadgen {arguments}");
    start(server, arguments)?.report()
}

impl Running {
    /// Waits until it has set everything up (mode `survive`).
    pub fn wait_sending(&mut self) -> Result<()> {
        let mut line = String::new();
        self.out.read_line(&mut line)?;
        ensure!(line == "sending\n", "loadgen failed before it sent anything");
        Ok(())
    }

    /// Marks this moment (mode `survive`): the report says what came when after it.
    pub fn mark(&mut self, name: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().context("its input is piped")?;
        writeln!(input, "{name}").context("loadgen has ended")
    }

    /// Closes its input: it sends nothing more (mode `survive`).
    pub fn stop_sending(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Closes its input, waits for its end, and returns its report.
    pub fn report(mut self) -> Result<Value> {
        self.stop_sending();
        let mut text = String::new();
        self.out.read_to_string(&mut text)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "loadgen failed ({status})");
        Ok(serde_json::from_str(&text)?)
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail if it has ended already, and that is well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A number of a report, by its path (`e2e/p99_ms`).
pub fn number(report: &Value, path: &str) -> Result<f64> {
    let value = report.pointer(&format!("/{path}")).and_then(Value::as_f64);
    value.with_context(|| format!("the report has no {path}: {report}"))
}
