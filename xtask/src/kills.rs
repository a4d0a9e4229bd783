//! The kill campaign: what a server that dies under load keeps of its promises.
use crate::{
    chance::Chance,
    counts::Counts,
    disk_fault::{self, DiskFault},
    goals::{Goal::AtMost, Goals},
    loadgen::{self, number},
    server::{self, Server},
};
use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// Where the server can be made to abort: before and after each step that makes work durable or
/// visible. `hookwright` refuses a name that it does not know.
const FAIL_POINTS: [&str; 6] = [
    "publish.before_commit",
    "publish.after_commit",
    "attempt.before_send",
    "attempt.after_response",
    "settle.before_commit",
    "settle.after_commit",
];

/// Ways to die beside SIGKILL: at each fail point, by a sync that fails, and after a write that fails.
const WAYS: usize = FAIL_POINTS.len() + 2;

/// Attempts under way or waiting for their outcome to be stored: the bound on duplicates per death.
const MAX_IN_FLIGHT: u32 = 128;

/// A fail point, or a sync that fails, must be reached within this, under load.
const FAULT_LIMIT: Duration = Duration::from_secs(20);

/// The command's flags.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Rounds. Each second one is a SIGKILL; in the others a server takes over that is made to fail, so
    /// that two die.
    #[arg(long, default_value_t = 100)]
    pub kills: u32,
    /// Of the random choices [default: from the clock; printed].
    #[arg(long)]
    pub seed: Option<u64>,
    /// Messages per second.
    #[arg(long, default_value_t = 500)]
    pub rate: u32,
    /// Events that a provider posts instead of messages of the API, each of them twice.
    #[arg(long)]
    pub inbound: bool,
}

impl Default for Options {
    /// The short version in the test command: each way once, and as many random moments.
    fn default() -> Self {
        Self { kills: 2 * WAYS as u32, seed: None, rate: 500, inbound: false }
    }
}

/// Runs the campaign against the release binary.
pub fn run(options: &Options) -> Result<()> {
    server::build()?;
    let disk = DiskFault::build()?;
    let mut chance = Chance::begin("kills", options.seed)?;
    let name = if options.inbound { "kills-inbound" } else { "kills" };
    let mut server = Server::new(
        name,
        &format!(
            "max_in_flight = {MAX_IN_FLIGHT}\n\
             retry_schedule = [\"100ms\", \"200ms\", \"500ms\", \"1s\", \"2s\", \"5s\", \"5s\"]\n\
             breaker_failures = 1000000\noverload_wait = \"200ms\"\nrequest_timeout = \"5s\""
        ),
    )?;
    server.start()?;
    // Each first try fails, so that retries are always pending when the server dies. The breaker,
    // which would hold such endpoints back, is as good as off.
    let arguments = format!(
        "survive --mode flaky --rate {} {} --apps 4 --endpoints 2 --drain 120 --linger 3 \
         --n 5000000",
        options.rate,
        if options.inbound { "--c 64 --inbound --twice" } else { "--c 32" }
    );
    let mut load = loadgen::start(&server, &arguments)?;
    load.wait_sending()?;
    let (mut deaths, mut counts) = (0, Counts::default());
    for kill in 1..=options.kills {
        let (how, died) = die(&mut server, &disk, &mut chance, kill)?;
        deaths += died;
        check(&server, &mut counts).with_context(|| format!("after kill {kill} ({how})"))?;
        let ready = server.start()?;
        eprintln!("  kill {kill}: {how}; check clean; ready after {} ms", ready.as_millis());
        ensure!(!load.ended()?, "the load ended by itself");
    }
    std::thread::sleep(Duration::from_secs(1));
    let report = load.report()?;
    server.kill()?;
    check(&server, &mut counts)?;
    let mut goals = Goals::new(name, true);
    goals.promise("acknowledged and never arrived", number(&report, "missing")?, AtMost(0.0));
    goals.promise("published twice", number(&report, "republished")?, AtMost(0.0));
    let bound = f64::from(deaths * MAX_IN_FLIGHT);
    goals.promise("duplicates", number(&report, "duplicates")?, AtMost(bound));
    let accepted = number(&report, "accepted")?;
    // Each of them arrives at the second try at the earliest.
    counts.judge(&mut goals, 2.0 * accepted);
    goals.keep(report.clone());
    println!("{name}: {deaths} deaths, {accepted} messages acknowledged");
    ensure!(accepted > 0.0, "no message was acknowledged");
    goals.finish()?;
    server.discard()
}

/// That what is stored is whole. Counts that differ fail the campaign at its end.
fn check(server: &Server, counts: &mut Counts) -> Result<()> {
    let (said, clean) = server.checked()?;
    let differ = counts.add(&said)?;
    if differ {
        eprintln!("{said}");
    }
    ensure!(clean || differ, "`hookwright check` is not clean:\n{said}");
    Ok(())
}

/// Lets the server die: every other time in one of the [`WAYS`], else at a random moment. Says how, and
/// how many have died.
fn die(
    server: &mut Server,
    disk: &DiskFault,
    chance: &mut Chance,
    kill: u32,
) -> Result<(String, u32)> {
    if kill.is_multiple_of(2) {
        let moment = Duration::from_millis(200 + chance.below(1300));
        std::thread::sleep(moment);
        server.kill()?;
        return Ok((format!("SIGKILL {} ms after it was ready", moment.as_millis()), 1));
    }
    // One that is made to fail takes the place of the one that runs.
    server.kill()?;
    let way = (kill as usize / 2) % WAYS;
    let how = match FAIL_POINTS.get(way) {
        Some(name) => {
            let fail_point = format!("{name}:{}", 1 + chance.below(200));
            server.start_with(&[("HOOKWRIGHT_FAILPOINT", (&fail_point).into())])?;
            ensure!(server.wait_exit(FAULT_LIMIT)?, "{fail_point} was not reached under load");
            format!("abort at {fail_point}")
        }
        // After a failed sync nobody knows what is on the disk: it must end by itself.
        None if way == FAIL_POINTS.len() => {
            let call = format!("sync:{}", 1 + chance.below(200));
            server.start_with(&disk.environment(&call))?;
            ensure!(server.wait_exit(FAULT_LIMIT)?, "it went on after {call} had failed");
            format!("end after {call} had failed")
        }
        // A failed write is the end of its transaction alone.
        None => {
            let call = format!("write:{}", 200 + chance.below(1_000));
            let before = server.said(disk_fault::SAID)?;
            server.start_with(&disk.environment(&call))?;
            let failed = server.wait_said(disk_fault::SAID, before + 1, FAULT_LIMIT)?;
            ensure!(failed, "{call} was not reached under load");
            ensure!(server.api.is_up(), "it ended after {call} had failed");
            server.kill()?;
            format!("SIGKILL after {call} had failed")
        }
    };
    Ok((format!("SIGKILL, then {how}"), 2))
}
