//! `hookwright`: the house put together. Sends webhooks, keeps them, shows them.

mod alerting;
mod backend;
mod cli;
mod client;
mod commands;
mod config;
mod control;
mod env;
mod front;
mod http;
mod inbox;
mod keys;
mod listening;
mod node;
mod private_file;
mod serve;
mod telemetry;
#[cfg(feature = "otlp")]
mod traces;
mod weak_secret;
mod wiring;
mod write_timeout;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("hookwright: {error:#}");
            ExitCode::FAILURE
        }
    }
}
