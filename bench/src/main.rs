//! Load generator for servers that speak the Svix message API.
//!
//! It starts its own receivers on loopback, creates the applications and endpoints over the API,
//! sends messages, waits for the deliveries, and prints one JSON object. It knows the server only
//! by its HTTP interface, so that any compatible server can be measured with it.
#![expect(
    clippy::disallowed_methods,
    reason = "a measuring instrument reads the clock and opens sockets itself; the core does not"
)]

mod args;
mod client;
mod cpu;
mod hist;
mod marks;
mod modes;
mod payload;
mod probe;
mod procs;
mod recv;
mod run;
mod send;
mod setup;
mod stage;

use anyhow::{Context, Result};
use args::{Args, Mode};
use clap::Parser;
use serde_json::{Value, json};
use setup::Bench;
use std::process::ExitCode;

fn main() -> ExitCode {
    match measure(Args::parse()) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("{e:#}");
            ExitCode::FAILURE
        }
    }
}

/// A runtime whose threads carry `name`, so that their CPU time can be told apart.
fn runtime(name: &'static str, threads: usize) -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .enable_all()
        .build()
        .context("starting a runtime")
}

fn measure(args: Args) -> Result<Value> {
    let recv_rt = runtime("lg-recv", args.recv_threads)?;
    let send_rt = runtime("lg-send", args.send_threads)?;
    let bench = recv_rt.block_on(Bench::start(args))?;
    // Everything that is measured runs on the sender runtime's own threads.
    let (tx, rx) = std::sync::mpsc::channel();
    send_rt.spawn(async move {
        let _ = tx.send(with_probe(&bench).await);
    });
    let out = rx.recv().context("the sender ended without a report")?;
    send_rt.shutdown_background();
    recv_rt.shutdown_background();
    out
}

/// Runs the mode, and the disk's sync latency before and after it if asked for.
async fn with_probe(bench: &Bench) -> Result<Value> {
    let Some(dir) = &bench.args.probe_dir else { return drive(bench).await };
    let before = probe::sync_latency(dir)?;
    let mut report = drive(bench).await?;
    report["sync_probe"] = json!({ "before": before, "after": probe::sync_latency(dir)? });
    Ok(report)
}

async fn drive(bench: &Bench) -> Result<Value> {
    match bench.args.kind {
        Mode::Nop | Mode::Closed | Mode::Open => modes::throughput::run(bench).await,
        Mode::Fanout => modes::fanout::run(bench).await,
        Mode::Backlog => modes::backlog::run(bench).await,
        Mode::Isolate => modes::isolate::run(bench).await,
        Mode::Limits => modes::limits::run(bench).await,
        Mode::Scheduled => modes::scheduled::run(bench).await,
        Mode::Survive => modes::survive::run(bench).await,
    }
}
