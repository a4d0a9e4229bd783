//! Running the house: listeners, engine, and the way down.

use std::future::Future;

use anyhow::Context;
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal as unix_signal},
};

use crate::{config::Config, http, telemetry::Telemetry, wiring::House};

/// Threads of the runtime: one per processor.
pub fn workers() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

/// A runtime of so many threads.
pub fn runtime(workers: usize) -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .context("the runtime could not be started")
}

/// Raises the limit of open files to what the system allows: connections to callers and receivers are
/// files too.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Not being allowed to is no reason not to start.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// Resolves at the first SIGTERM or SIGINT. A second one ends the process at once.
pub async fn signal() {
    let mut term = unix_signal(SignalKind::terminate()).expect("signals can be waited for");
    let mut int = unix_signal(SignalKind::interrupt()).expect("signals can be waited for");
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    tracing::info!("stopping: no new requests, no new attempts");
    dispatch::spawn::spawn("server.second_signal", async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        tracing::warn!("stopped at once; attempts under way will be made again");
        std::process::exit(130);
    });
}

/// Serves until `stop` resolves; then answers what was asked, lets attempts finish, and ends.
pub async fn run(
    house: House,
    config: &Config,
    telemetry: &Telemetry,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    raise_file_limit();
    let listener = http::listen(config.listen).await.context("`listen`")?;
    telemetry.serve_metrics().await?;
    house.start(config);
    tracing::info!(listen = %config.listen, data = %config.data_dir.display(), "ready");
    let stop = async {
        stop.await;
        house.end_listening();
    };
    http::serve(listener, house.front.clone(), config.api_connections, stop).await;
    let left = house.engine.stop().await;
    if left > 0 {
        tracing::warn!(left, "attempts were still under way; they will be made again");
    }
    tracing::info!("stopped");
    Ok(())
}
