//! The load generator, as a process.
use crate::{server::Server, shell};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::process::{Child, Command, Stdio};

/// A run under way that ends when it is told to (mode `survive`), or by itself.
/// Killed when it is dropped before its report was read.
pub struct Running(Option<Child>);

/// Starts it against `server`; `arguments` begin with the mode and are split at blanks.
pub fn start(server: &Server, arguments: &str) -> Result<Running> {
    let mut command = Command::new(shell::target().join("release/loadgen"));
    command.args(arguments.split_whitespace());
    command.args(["--base", &server.api.base, "--token", &server.api.token]);
    command.args(["--pid", &format!("server={}", server.pid()?)]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    Ok(Running(Some(command.spawn().context("loadgen could not be started")?)))
}

/// Runs it to its end and returns the report.
pub fn run(server: &Server, arguments: &str) -> Result<Value> {
    eprintln!("  loadgen {arguments}");
    start(server, arguments)?.report()
}

impl Running {
    /// Closes its input, waits for its end, and returns its report.
    pub fn report(mut self) -> Result<Value> {
        let child = self.0.take().context("a report is read once")?;
        let out = child.wait_with_output()?;
        ensure!(out.status.success(), "loadgen failed ({})", out.status);
        Ok(serde_json::from_slice(&out.stdout)?)
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> Result<bool> {
        Ok(self.0.as_mut().context("its report was read")?.try_wait()?.is_some())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A number of a report, by its path (`e2e/p99_ms`).
pub fn number(report: &Value, path: &str) -> Result<f64> {
    let value = report.pointer(&format!("/{path}")).and_then(Value::as_f64);
    value.with_context(|| format!("the report has no {path}: {report}"))
}
