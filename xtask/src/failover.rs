//! A PostgreSQL that fails under load, in all the ways that it has: what is lost or doubled, how soon
//! work goes on, and what callers and operators hear of it meanwhile.
use crate::{
    chance::Chance,
    database::Database,
    fleet::{self, Fleet, MAX_IN_FLIGHT},
    goals::{
        Goal::{AtLeast, AtMost},
        Goals,
    },
    loadgen::{Running, number},
    server,
};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{thread, time::Duration};

const NODES: usize = 2;

/// From this many rounds on it is the whole campaign.
const FULL_ROUNDS: u32 = 20;

/// The longest until work goes on once the database is back.
const GOES_ON: f64 = 10.0;

/// Commits of each node whose replies are lost in a round.
const LOST_COMMITS: u32 = 3;

/// What goes wrong with a database.
const FAULTS: [&str; 5] = ["kill", "restart", "failover", "lost commits", "partition"];

/// The command's flags.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Rounds; in each of them everything goes wrong once.
    #[arg(long, default_value_t = 1)]
    pub rounds: u32,
    /// Of the random choices [default: from the clock; printed].
    #[arg(long)]
    pub seed: Option<u64>,
    /// Messages per second.
    #[arg(long, default_value_t = 100)]
    pub rate: u32,
}

impl Default for Options {
    /// The short version in the test command.
    fn default() -> Self {
        Self { rounds: 1, seed: None, rate: 100 }
    }
}

/// Runs the campaign.
pub fn run(options: &Options) -> Result<()> {
    server::build()?;
    let chance = Chance::begin("failover", options.seed)?;
    let database = Database::behind_proxies(NODES);
    let fleet = Fleet::start("failover", &database.urls(), &fleet::impatient())?;
    // Whoever asks waits for the answer, which must come, whatever the database does.
    let mut load = fleet.load(&format!(
        "survive --mode flaky --rate {} --c 48 --apps 8 --endpoints 2 --bytes 512 --timeout 30 \
         --drain 120 --linger 3 --n {}",
        options.rate,
        // As much as there is time for, and more.
        options.rate * (60 + 200 * options.rounds)
    ))?;
    load.wait_sending()?;
    let mut campaign = Campaign { database, fleet, load, chance };
    for round in 1..=options.rounds {
        for fault in FAULTS {
            thread::sleep(Duration::from_secs(3));
            eprintln!("  round {round}: {fault}");
            campaign.harm(fault).with_context(|| format!("round {round}: {fault}"))?;
            ensure!(!campaign.load.ended()?, "the load ended by itself");
        }
    }
    // The last one is measured too.
    thread::sleep(Duration::from_secs(12));
    campaign.judge(options.rounds)
}

struct Campaign {
    database: Database,
    fleet: Fleet,
    load: Running,
    chance: Chance,
}

impl Campaign {
    /// Lets something go wrong, and marks when it begins and when it is over.
    fn harm(&mut self, fault: &str) -> Result<()> {
        // For longer than a lease, or not.
        let down = self.chance.between(Duration::ZERO, Duration::from_secs(10));
        self.load.mark(&begins(fault))?;
        let database = &mut self.database;
        match fault {
            "kill" => database.kill(down),
            "restart" => database.restart(down),
            "failover" => {
                let standby = database.add_standby();
                database.fail_over(standby);
            }
            "lost commits" => database.lose_commits(LOST_COMMITS)?,
            // Likewise.
            _ => {
                let length = self.chance.between(Duration::from_secs(2), Duration::from_secs(14));
                database.part(self.chance.index(NODES), length)?;
            }
        }
        self.load.mark(fault)
    }

    fn judge(mut self, rounds: u32) -> Result<()> {
        let report = self.load.report()?;
        let mut goals = Goals::new("failover", rounds >= FULL_ROUNDS);
        goals.promise("acknowledged and never arrived", number(&report, "missing")?, AtMost(0.0));
        goals.promise("published twice", number(&report, "republished")?, AtMost(0.0));
        let faults = rounds * FAULTS.len() as u32;
        let bound = f64::from(faults * NODES as u32 * MAX_IN_FLIGHT);
        goals.promise("duplicates", number(&report, "duplicates")?, AtMost(bound));
        goals.promise("acknowledged", number(&report, "accepted")?, AtLeast(1.0));
        for fault in FAULTS {
            let mut promise = |what: &str, key: &str| {
                let longest = longest(&report, fault, key)?;
                goals.promise(&format!("{fault}: {what} after, s"), longest, AtMost(GOES_ON));
                anyhow::Ok(())
            };
            promise("next message acknowledged", "next_acknowledged_ms")?;
            promise("next arrival", "next_arrival_ms")?;
            // It comes behind all that waited, so that it is the machine's speed that counts.
            let later = longest(&report, fault, "next_delivered_ms")?;
            goals.shown(&format!("{fault}: a message acknowledged later arrived after, s"), later);
            let silence = longest(&report, &begins(fault), "longest_silence_ms")?.max(longest(
                &report,
                fault,
                "longest_silence_ms",
            )?);
            goals.shown(&format!("{fault}: longest silence of an endpoint, s"), silence);
        }
        goals.promise("answers that a caller must not get", wrong_answers(&report)?, AtMost(0.0));
        println!("  answers: {}", report["answers"]);
        let mut most = 0;
        for node in &self.fleet.nodes {
            let lines = node.lines_by_second()?;
            let Some((second, lines)) = lines.iter().max_by_key(|(_, lines)| **lines) else {
                continue;
            };
            println!("  {}: {lines} lines in its loudest second, {second}", node.name);
            most = most.max(*lines);
        }
        goals.promise("most lines that a node logs in a second", most as f64, AtMost(1.0));
        goals.keep(report);
        let clean = self.fleet.check();
        goals.promise("`hookwright check` not clean", f64::from(clean.is_err()), AtMost(0.0));
        goals.finish()?;
        clean?;
        self.fleet.discard()
    }
}

/// The mark at a fault's beginning; the one at its end has its name.
fn begins(fault: &str) -> String {
    format!("{fault} begins")
}

/// The longest that something took after the marks of that name, in seconds.
fn longest(report: &Value, name: &str, key: &str) -> Result<f64> {
    let marks = report["extra"]["marks"].as_array().context("a report without marks")?;
    let of_name = marks.iter().filter(|mark| mark["name"] == name);
    // What never came took for ever; a silence that did not end before the next mark is told of there.
    let never = if key == "longest_silence_ms" { 0.0 } else { f64::INFINITY };
    let took = of_name.map(|mark| mark[key].as_f64().unwrap_or(never) / 1000.0);
    Ok(took.fold(0.0, f64::max))
}

/// How many requests were answered neither with success nor with when to come again, or not at all.
pub fn wrong_answers(report: &Value) -> Result<f64> {
    let answers = report["answers"].as_object().context("a report without answers")?;
    let right = |what: &str| ["acknowledged", "503", "429"].contains(&what);
    let wrong = answers.iter().filter(|(what, _)| !right(what));
    Ok(wrong.filter_map(|(_, count)| count.as_u64()).sum::<u64>() as f64)
}
