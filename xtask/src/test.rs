//! Every test of the project, in the order in which they fail fastest.
use crate::{
    arrows, backlog, changes, console,
    database::Database,
    deploy, failover, kills, licences,
    load::{self, Store::Postgres},
    moving, nodes, providers, replay, roll, sdk, shell, soak,
};
use anyhow::{Context, Result};
use std::time::Instant;

/// The command's flags.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Run these parts only (repeatable).
    #[arg(long, value_enum)]
    pub only: Vec<Part>,
}

/// A part of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// `cargo fmt --check`.
    Format,
    /// Clippy over everything, without warnings.
    Lint,
    /// Which crate depends on which.
    Arrows,
    /// Whether every dependency may be shipped.
    Licences,
    /// Linters of the Dockerfile and of `deploy/`, and whether those files agree.
    Deploy,
    /// Unit, integration and documentation tests.
    Code,
    /// The API's tests over PostgreSQL.
    CodePostgres,
    /// The official clients against the release binary, over both stores.
    Sdk,
    /// Requests of providers, by their official libraries, against the release binary.
    Providers,
    /// Console and portal in a real browser, over both stores.
    Console,
    /// The measurement campaign, short.
    Load,
    /// The kill campaign, short.
    Kills,
    /// The backlog campaign, short.
    Backlog,
    /// The soak, short.
    Soak,
    /// A replay beside live traffic, short.
    Replay,
    /// The measurement campaign over PostgreSQL, short.
    LoadPostgres,
    /// The backlog campaign over PostgreSQL, short.
    BacklogPostgres,
    /// Nodes that die or fall silent, short.
    Nodes,
    /// A PostgreSQL that fails, short.
    Failover,
    /// Changes that hold at once at all nodes, short.
    Changes,
    /// Nodes that are restarted, join and leave, short.
    Roll,
    /// A store that is moved, short.
    Move,
}

const ALL: [Part; 22] = [
    Part::Format,
    Part::Arrows,
    Part::Licences,
    Part::Deploy,
    Part::Lint,
    Part::Code,
    Part::CodePostgres,
    Part::Sdk,
    Part::Providers,
    Part::Console,
    Part::Load,
    Part::Kills,
    Part::Backlog,
    Part::Soak,
    Part::Replay,
    Part::LoadPostgres,
    Part::BacklogPostgres,
    Part::Nodes,
    Part::Failover,
    Part::Changes,
    Part::Roll,
    Part::Move,
];

/// Runs the parts asked for, or all; stops at the first that fails.
pub fn run(options: &Options) -> Result<()> {
    let chosen = |part: &&Part| options.only.is_empty() || options.only.contains(part);
    let begun = Instant::now();
    let mut times = Vec::new();
    for part in ALL.iter().filter(chosen) {
        println!("\n== {part:?}");
        let begun = Instant::now();
        one(*part).with_context(|| format!("{part:?}"))?;
        times.push(format!("{part:?} {:.0} s", begun.elapsed().as_secs_f64()));
    }
    println!("\n{}; {:.0} s in all", times.join(", "), begun.elapsed().as_secs_f64());
    println!("{} passed, 0 failed", times.len());
    Ok(())
}

fn one(part: Part) -> Result<()> {
    match part {
        Part::Format => shell::run(&mut shell::cargo(&["fmt", "--all", "--check"])),
        Part::Lint => lint(),
        Part::Arrows => arrows::run(),
        Part::Licences => licences::run(),
        Part::Deploy => deploy::run(),
        Part::Code => code(),
        Part::CodePostgres => code_postgres(),
        Part::Sdk => sdk::run(),
        Part::Providers => providers::run(),
        Part::Console => console::run(),
        Part::Load => load::run(&load::Options::default()),
        Part::Kills => {
            kills::run(&kills::Options::default())?;
            kills::run(&kills::Options { inbound: true, ..Default::default() })
        }
        Part::Backlog => backlog::run(&backlog::Options::default()),
        Part::Soak => soak::run(&soak::Options::default()),
        Part::Replay => replay::run(&replay::Options::default()),
        Part::LoadPostgres => load::run(&load::Options { store: Postgres, ..Default::default() }),
        Part::BacklogPostgres => {
            backlog::run(&backlog::Options { store: Postgres, ..Default::default() })
        }
        Part::Nodes => nodes::run(&nodes::Options::default()),
        Part::Failover => failover::run(&failover::Options::default()),
        Part::Changes => changes::run(&changes::Options::default()),
        Part::Roll => roll::run(&roll::Options::default()),
        Part::Move => moving::run(&moving::Options::default()),
    }
}

/// The workspace, and what only the feature `otlp` compiles.
fn lint() -> Result<()> {
    let traces = ["-p", "hookwright", "--features", "otlp"];
    for what in [&["--workspace"][..], &traces] {
        let mut clippy = shell::cargo(&["clippy", "--all-targets", "--locked"]);
        shell::run(clippy.args(what).args(["--", "-D", "warnings"]))?;
    }
    Ok(())
}

/// What does not care which store there is, over a server of its own.
fn code_postgres() -> Result<()> {
    let database = Database::start_with(&[]);
    let api = ["-p", "hookwright-api", "--test", "routes", "--locked"];
    let mut tests = match shell::has("cargo-nextest", "--version") {
        true => shell::cargo(&["nextest", "run", "--no-fail-fast"]),
        false => shell::cargo(&["test"]),
    };
    shell::run(tests.args(api).env("HOOKWRIGHT_TEST_POSTGRES", database.url()))
}

/// nextest where it is installed: it isolates tests in processes and names the slow ones.
fn code() -> Result<()> {
    if shell::has("cargo-nextest", "--version") {
        let nextest = ["nextest", "run", "--workspace", "--locked", "--no-fail-fast"];
        shell::run(&mut shell::cargo(&nextest))?;
    } else {
        println!("cargo-nextest is not installed; running with cargo test");
        let tests = ["test", "--workspace", "--locked", "--lib", "--bins", "--tests"];
        shell::run(&mut shell::cargo(&tests))?;
    }
    shell::run(&mut shell::cargo(&["test", "--workspace", "--locked", "--doc"]))?;
    let traces = ["test", "-p", "hookwright", "--features", "otlp", "--locked", "--test", "traces"];
    shell::run(&mut shell::cargo(&traces))
}
