//! Everything that is done to the project rather than by it: `cargo xtask <command>`.
//!
//! It knows the server by its command line and its HTTP interface only.
#![expect(
    clippy::disallowed_methods,
    reason = "a tool that drives processes reads the clock and the environment itself"
)]

mod analytics;
mod api;
mod arrows;
mod backlog;
mod chance;
mod changes;
mod console;
mod counts;
mod database;
mod deploy;
mod disk_fault;
mod failover;
mod fleet;
mod goals;
mod history;
mod kills;
mod licences;
mod load;
mod loadgen;
mod moving;
mod nodes;
mod packages;
mod providers;
mod receiver;
mod replay;
mod roll;
mod sdk;
mod server;
mod shell;
mod soak;
mod test;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tests, checks and measures the project")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Every test of the project, or the parts named.
    Test(test::Options),
    /// Fails on any dependency between our crates that the design does not allow.
    Arrows,
    /// Fails on any dependency whose licence `deny.toml` does not allow.
    Licences,
    /// Linters of the Dockerfile and of `deploy/`, and whether those files agree.
    Deploy,
    /// The official clients' full life against the release binary.
    Sdk,
    /// Requests of providers, signed or judged by their official libraries, against the release binary.
    Providers,
    /// Console and portal in a real browser, over both stores.
    Console,
    /// Takes the pictures of the README from what the command `dev` shows.
    Screenshots,
    /// Throughput, latency, fan-out, isolation, limits: measured against the goals.
    Load(load::Options),
    /// Kills the server under load, again and again, and counts what was lost or doubled.
    Kills(kills::Options),
    /// Hours of work in minutes: whether file, memory and descriptors stop growing.
    Soak(soak::Options),
    /// Questions about millions of attempts, while traffic flows.
    Analytics(analytics::Options),
    /// Restarts over a huge backlog of overdue deliveries.
    Backlog(backlog::Options),
    /// A large replay beside live traffic: what that notices, and whether it can be paused and cancelled.
    Replay(replay::Options),
    /// Nodes over one PostgreSQL that are killed, or stopped for longer than their lease.
    Nodes(nodes::Options),
    /// A PostgreSQL that is killed, restarted, replaced or out of reach under load.
    Failover(failover::Options),
    /// Whether what was changed through one node holds at once at the others.
    Changes(changes::Options),
    /// Nodes that are restarted one after the other, that join and leave, and limits meanwhile.
    Roll(roll::Options),
    /// A store that is moved to PostgreSQL, and back, in the middle of the load.
    Move(moving::Options),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Test(options) => test::run(&options),
        Command::Arrows => arrows::run(),
        Command::Licences => licences::run(),
        Command::Deploy => deploy::run(),
        Command::Sdk => sdk::run(),
        Command::Providers => providers::run(),
        Command::Console => console::run(),
        Command::Screenshots => console::screenshots(),
        Command::Load(options) => load::run(&options),
        Command::Kills(options) => kills::run(&options),
        Command::Soak(options) => soak::run(&options),
        Command::Analytics(options) => analytics::run(&options),
        Command::Backlog(options) => backlog::run(&options),
        Command::Replay(options) => replay::run(&options),
        Command::Nodes(options) => nodes::run(&options),
        Command::Failover(options) => failover::run(&options),
        Command::Changes(options) => changes::run(&options),
        Command::Roll(options) => roll::run(&options),
        Command::Move(options) => moving::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xtask: {e:#}");
            ExitCode::FAILURE
        }
    }
}
