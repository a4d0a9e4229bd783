//! Nodes that are restarted one after the other, that join and leave, and limits whose owners change:
//! nobody outside may notice.
mod limits;

use crate::{
    chance::Chance,
    database::Database,
    failover::wrong_answers,
    fleet::{BALANCE_LIMIT, Fleet},
    goals::{
        Goal::{AtLeast, AtMost},
        Goals,
    },
    loadgen::{Running, number},
    nodes::silence,
    server,
};
use anyhow::{Context, Result, ensure};
use std::{thread, time::Duration};

/// Nodes that are restarted.
const NODES: usize = 3;

/// Nodes there are at most.
const MOST_NODES: usize = 5;

/// From this many rounds on it is the whole campaign.
const FULL_ROUNDS: u32 = 10;

/// The command's flags.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Rounds: each restarts three nodes, lets two join, and lets two leave.
    #[arg(long, default_value_t = 1)]
    pub rounds: u32,
    /// Of the random choices [default: from the clock; printed].
    #[arg(long)]
    pub seed: Option<u64>,
    /// Messages per second.
    #[arg(long, default_value_t = 200)]
    pub rate: u32,
}

impl Default for Options {
    /// The short version in the test command.
    fn default() -> Self {
        Self { rounds: 1, seed: None, rate: 200 }
    }
}

/// Runs the campaign.
pub fn run(options: &Options) -> Result<()> {
    server::build()?;
    let full = options.rounds >= FULL_ROUNDS;
    let mut goals = Goals::new("roll", full);
    restarts(options, &mut goals)?;
    limits::run(full, &mut goals)?;
    goals.finish()
}

fn restarts(options: &Options, goals: &mut Goals) -> Result<()> {
    let mut chance = Chance::begin("roll", options.seed)?;
    let database = Database::start_with(&[]);
    let settings = "sweep_interval = \"200ms\"";
    let mut fleet = Fleet::start("roll", &vec![database.url(); MOST_NODES], settings)?;
    // The two that come and go are not there at first.
    for node in &mut fleet.nodes[NODES..] {
        node.terminate()?;
    }
    fleet.wait_balanced(BALANCE_LIMIT)?;
    let mut load = fleet.load(&format!(
        "survive --rate {} --c 48 --apps 8 --endpoints 2 --bytes 512 --drain 60 --linger 3 --n {}",
        options.rate,
        // As much as there is time for, and more.
        options.rate * (60 + 300 * options.rounds)
    ))?;
    load.wait_sending()?;
    let mut balanced = 0.0_f64;
    for round in 1..=options.rounds {
        let longest = roll(&mut fleet, &mut load, &mut chance);
        balanced = balanced.max(longest.with_context(|| format!("round {round}"))?);
    }
    let report = load.report()?;
    goals.promise(
        "rolling: acknowledged and never arrived",
        number(&report, "missing")?,
        AtMost(0.0),
    );
    goals.promise("rolling: published twice", number(&report, "republished")?, AtMost(0.0));
    goals.promise("rolling: duplicates", number(&report, "duplicates")?, AtMost(0.0));
    goals.promise("rolling: acknowledged", number(&report, "accepted")?, AtLeast(1.0));
    println!("  answers: {}", report["answers"]);
    // A node that is down does not answer: that alone is no fault.
    let none = report["answers"]["none"].as_f64().unwrap_or(0.0);
    let wrong = wrong_answers(&report)? - none;
    goals.promise("rolling: answers that a caller must not get", wrong, AtMost(0.0));
    goals.shown("rolling: longest until parts are equal, s", balanced);
    goals.shown("rolling: longest silence of an endpoint, s", silence(&report)?);
    goals.keep(report);
    let clean = fleet.check();
    goals.promise("rolling: `hookwright check` not clean", f64::from(clean.is_err()), AtMost(0.0));
    clean?;
    fleet.discard()
}

/// Restarts three nodes, lets the others join and as many leave, in any order; after each step all
/// have equal parts. The longest that this took, in seconds.
fn roll(fleet: &mut Fleet, load: &mut Running, chance: &mut Chance) -> Result<f64> {
    let mut longest = 0.0_f64;
    let mut step = |fleet: &Fleet, load: &mut Running, what: &str| -> Result<()> {
        let took = fleet.wait_balanced(BALANCE_LIMIT).context(what.to_owned())?.as_secs_f64();
        eprintln!("  {what}: equal parts after {took:.1} s");
        longest = longest.max(took);
        ensure!(!load.ended()?, "the load ended by itself");
        thread::sleep(Duration::from_secs(1));
        Ok(())
    };
    for node in 0..NODES {
        load.mark("restart")?;
        let took = fleet.nodes[node].terminate()?;
        fleet.nodes[node].start()?;
        let name = &fleet.nodes[node].name;
        step(fleet, load, &format!("{name} restarted, stopping took {:.1} s", took.as_secs_f64()))?;
    }
    for node in NODES..MOST_NODES {
        load.mark("join")?;
        fleet.nodes[node].start()?;
        step(fleet, load, &format!("{} joined", fleet.nodes[node].name))?;
    }
    for _ in NODES..MOST_NODES {
        let there: Vec<usize> = (0..MOST_NODES).filter(|n| fleet.nodes[*n].is_running()).collect();
        let node = there[chance.index(there.len())];
        load.mark("leave")?;
        fleet.nodes[node].terminate()?;
        step(fleet, load, &format!("{} left", fleet.nodes[node].name))?;
    }
    // The next round begins with the first three.
    for node in 0..MOST_NODES {
        let (is, is_to_be) = (fleet.nodes[node].is_running(), node < NODES);
        if is && !is_to_be {
            fleet.nodes[node].terminate()?;
        } else if !is && is_to_be {
            fleet.nodes[node].start()?;
        }
    }
    step(fleet, load, "the first three again")?;
    Ok(longest)
}
