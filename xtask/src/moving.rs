//! A store that is moved from one machine's files to PostgreSQL, and back, in the middle of the load:
//! nobody outside may notice more than a pause.
mod worst;

use crate::{
    chance::Chance,
    database::Database,
    failover::wrong_answers,
    fleet::{self, BALANCE_LIMIT, Fleet},
    goals::{Goal::AtMost, Goals},
    history::History,
    loadgen::{self, Running, number},
    server::{self, Server},
};
use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::json;
use std::{thread, time::Duration};
use worst::{Kind, Worst};

const NODES: usize = 3;

/// From this many rounds on it is the whole campaign.
const FULL_ROUNDS: u32 = 5;

/// Applications of each load.
const APPS: u32 = 4;

/// Of what is to be sent, limits let so much through: something always waits for them.
const LET_THROUGH: f64 = 0.8;

/// A limit over 10 s may be exceeded by so much: each owner may begin with a burst of 50 ms worth, the
/// owner changes at each stop and start of a node, of which there are not more than four in 10 s, and
/// the way to the receiver bunches arrivals by as much as 20 ms.
const MOST: f64 = 1.0 + (4.0 * 0.05 + 0.02) / 10.0;

/// Without a limit there would be so much of it, on any machine, and more after each pause.
const LOST: f64 = 1.0 / LET_THROUGH;

/// For so long, and a little longer, nodes are taken to be at work after they were heard of last.
const HEARD_OF: Duration = Duration::from_millis(10_500);

/// Marks of the moments at which everybody is down.
const STOPPED: [&str; 2] = ["files left", "PostgreSQL left"];

const ASKED_TWICE: &str = "another answer to the same idempotency key";

/// The command's flags.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Rounds: each moves a store to PostgreSQL, restarts the nodes over it, and moves it back.
    #[arg(long, default_value_t = 1)]
    pub rounds: u32,
    /// Of the random choices [default: from the clock; printed].
    #[arg(long)]
    pub seed: Option<u64>,
    /// Messages per second of each of two loads, one with limits of endpoints and one with limits of
    /// applications.
    #[arg(long, default_value_t = 60)]
    pub rate: u32,
}

impl Default for Options {
    /// The short version in the test command.
    fn default() -> Self {
        Self { rounds: 1, seed: None, rate: 60 }
    }
}

/// Runs the campaign.
pub fn run(options: &Options) -> Result<()> {
    server::build()?;
    let mut chance = Chance::begin("move", options.seed)?;
    let mut worst = Worst::default();
    let done = (1..=options.rounds).try_for_each(|round| {
        let round_done = Round::begin(options.rate)?.run(&mut chance, &mut worst);
        round_done.with_context(|| format!("round {round}"))
    });
    let mut goals = Goals::new("move", options.rounds >= FULL_ROUNDS);
    worst.judge(&mut goals);
    done?;
    goals.finish()
}

/// One store, in three places one after the other.
struct Round {
    /// Where it is at first.
    files: Server,
    /// Where it is moved to.
    _database: Database,
    fleet: Fleet,
    /// Where it is moved back to.
    back: Server,
    /// With limits of endpoints, and with limits of applications.
    loads: Vec<(&'static str, Running)>,
}

impl Round {
    fn begin(rate: u32) -> Result<Self> {
        let settings = fleet::impatient();
        let database = Database::start_with(&[]);
        let mut files = Server::new("move-files", &settings)?;
        let fleet = Fleet::make("move", &vec![database.url(); NODES], &settings)?;
        let back = Server::new("move-back", &settings)?;
        files.start()?;
        let servers: Vec<_> = [&files].into_iter().chain(&fleet.nodes).chain([&back]).collect();
        // Each message goes to two endpoints, and to each of them twice, for first tries fail.
        let attempts = f64::from(rate * 2) / f64::from(APPS);
        let load = |limit: &str, most: f64| {
            // What is made first is asked for at the end: it stays.
            let arguments = format!(
                "survive --mode flaky30 --rate {rate} --c 16 --apps {APPS} --endpoints 2 --bytes 512 \
                 --drain 120 --linger 3 --timeout 5 --keep --n {} --{limit}-limit {}",
                // As much as there is time for, and more.
                rate * 600,
                (most * LET_THROUGH).round()
            );
            eprintln!("  loadgen {arguments}");
            loadgen::start_over(&servers, &[], &arguments)
        };
        let loads = vec![
            ("endpoint", load("endpoint", attempts)?),
            ("application", load("app", 2.0 * attempts)?),
        ];
        Ok(Self { files, _database: database, fleet, back, loads })
    }

    fn run(mut self, chance: &mut Chance, worst: &mut Worst) -> Result<()> {
        self.loads.iter_mut().try_for_each(|(_, load)| load.wait_sending())?;
        let app = self.files.api.post("/api/v1/app", &json!({ "name": "asked twice" }))?;
        let app = app["id"].as_str().context("the application has no id")?;
        let message = json!({ "eventType": "move.asked", "payload": { "n": 1 } });
        let path = format!("/api/v1/app/{app}/msg");
        // Whoever does not know whether a message was taken asks again, wherever the store is by then.
        let ask = |server: &Server| server.api.post_keyed(&path, &message, Some("asked twice"));
        let answer = ask(&self.files)?;
        thread::sleep(chance.between(Duration::from_secs(4), Duration::from_secs(8)));

        self.files.terminate()?;
        let first = Timestamp::now();
        self.mark(STOPPED[0])?;
        migrate("to PostgreSQL", &self.files, &self.fleet.nodes[0], worst)?;
        self.fleet.nodes.iter_mut().try_for_each(|node| node.start().map(drop))?;
        self.restart_nodes()?;
        worst.none(ASKED_TWICE, f64::from(ask(&self.fleet.nodes[1])? != answer));

        self.fleet.nodes.iter_mut().try_for_each(|node| node.terminate().map(drop))?;
        let second = Timestamp::now();
        self.mark(STOPPED[1])?;
        thread::sleep(HEARD_OF);
        migrate("to files", &self.fleet.nodes[0], &self.back, worst)?;
        self.back.start()?;
        worst.none(ASKED_TWICE, f64::from(ask(&self.back)? != answer));
        thread::sleep(chance.between(Duration::from_secs(2), Duration::from_secs(4)));
        self.loads.iter_mut().for_each(|(_, load)| load.stop_sending());
        for (limit, load) in std::mem::take(&mut self.loads) {
            judge(limit, load, worst)?;
        }
        self.compare([first, second], worst)?;
        self.check(worst)
    }

    /// Whether what each place showed when it was left is what the last one shows. Nothing is sent any
    /// more: whoever is started now tells of the past only.
    fn compare(&mut self, left: [Timestamp; 2], worst: &mut Worst) -> Result<()> {
        let places = [("to PostgreSQL", &mut self.files), ("to files", &mut self.fleet.nodes[0])];
        for ((way, place), left) in places.into_iter().zip(left) {
            place.start_mute()?;
            let before = History::read(&place.api, left)?;
            place.terminate()?;
            let after = History::read(&self.back.api, left)?;
            worst.some(&format!("{way}: entries of history"), before.len() as f64);
            let different = before.differences(&after) as f64;
            worst.none(&format!("{way}: entries that are not the same"), different);
        }
        Ok(())
    }

    fn check(mut self, worst: &mut Worst) -> Result<()> {
        self.back.terminate()?;
        for server in [&self.files, &self.fleet.nodes[0], &self.back] {
            let clean = server.check();
            worst.none("`hookwright check` not clean", f64::from(clean.is_err()));
            clean?;
        }
        self.fleet.discard()?;
        self.files.discard()?;
        self.back.discard()
    }

    fn mark(&mut self, name: &str) -> Result<()> {
        self.loads.iter_mut().try_for_each(|(_, load)| load.mark(name))
    }

    /// Restarts all nodes, one after the other.
    fn restart_nodes(&mut self) -> Result<()> {
        self.fleet.wait_balanced(BALANCE_LIMIT)?;
        for node in 0..NODES {
            thread::sleep(Duration::from_secs(1));
            self.mark("restart")?;
            self.fleet.nodes[node].terminate()?;
            self.fleet.nodes[node].start()?;
            let took = self.fleet.wait_balanced(BALANCE_LIMIT)?.as_secs_f64();
            eprintln!("  {} restarted: equal parts after {took:.1} s", self.fleet.nodes[node].name);
        }
        for (limit, load) in &mut self.loads {
            ensure!(!load.ended()?, "the load with a limit of each {limit} ended by itself");
        }
        Ok(())
    }
}

/// Moves what one has into the store of the other, both being down.
fn migrate(way: &str, from: &Server, to: &Server, worst: &mut Worst) -> Result<()> {
    worst.some(&format!("{way}: pending deliveries that were moved"), from.pending()?);
    let took = to.migrate_from(from)?.as_secs_f64();
    worst.note(&format!("{way}: copying took, s"), took, Kind::Shown);
    Ok(())
}

fn judge(limit: &str, load: Running, worst: &mut Worst) -> Result<()> {
    let report = load.report()?;
    worst.none("acknowledged and never arrived", number(&report, "missing")?);
    worst.none("published twice", number(&report, "republished")?);
    worst.none("duplicates", number(&report, "duplicates")?);
    worst.some("acknowledged", number(&report, "accepted")?);
    // Whoever is down does not answer: that alone is no fault.
    let count = |answer: &str| report["answers"][answer].as_f64().unwrap_or(0.0);
    let wrong = wrong_answers(&report)? - count("none") + count("429");
    worst.none("answers that a caller must not get", wrong);
    println!("  limit of each {limit}: answers {}", report["answers"]);
    let most = number(&report, "extra/limits/windows_10s/max_ratio")?;
    let name = format!("limit of each {limit}: most in 10 s, of it");
    worst.note(&name, most, Kind::Figure(AtMost(MOST)));
    worst.none(&format!("limit of each {limit}: lost"), f64::from(most > LOST));
    let marks = report["extra"]["marks"].as_array().context("a report without marks")?;
    for (mark, way) in STOPPED.into_iter().zip(["to PostgreSQL", "to files"]) {
        let mark = marks.iter().find(|m| m["name"] == mark).context("a mark is not told of")?;
        let pause = mark["next_acknowledged_ms"].as_f64().context("nothing was acknowledged")?;
        worst.note(&format!("{way}: nothing was acknowledged for, s"), pause / 1000.0, Kind::Shown);
    }
    worst.reports.push(report);
    Ok(())
}
