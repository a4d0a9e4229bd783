//! The store's own tasks, by name.

use std::future::Future;

use tokio::task::JoinHandle;

/// Spawns a task. The name says what it is, for whoever reads the code.
#[expect(clippy::disallowed_methods, reason = "this is the named spawn of this crate")]
pub(crate) fn spawn<F>(_name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future)
}
