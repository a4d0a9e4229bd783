//! The one place where tasks are spawned, by name: simulation and tracing need to know them.

use std::future::Future;

use tokio::task::JoinHandle;

/// Spawns a task. The name says what it is, for whoever reads the code and the traces.
#[expect(clippy::disallowed_methods, reason = "this is the named spawn")]
pub fn spawn<F>(_name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future)
}
