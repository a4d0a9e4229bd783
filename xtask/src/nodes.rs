//! Nodes that die, or fall silent for longer than their lease, under load: whether the others take
//! over in time, and what is lost or doubled.
use crate::{
    chance::Chance,
    counts::Counts,
    database::Database,
    fleet::{self, BALANCE_LIMIT, Fleet, MAX_IN_FLIGHT},
    goals::{
        Goal::{AtLeast, AtMost},
        Goals, median,
    },
    loadgen::{Running, number},
    server,
};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    thread,
    time::{Duration, Instant},
};

const NODES: usize = 3;

/// From this many rounds on it is the whole campaign.
const FULL_ROUNDS: u32 = 50;

/// A node that is stopped stays so for longer than its lease, which is 8 s.
const STOPPED: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(12));

/// The longest that nobody may own a shard, or an endpoint hear nothing.
const TAKEOVER: Duration = Duration::from_secs(15);

/// When a takeover has failed and the campaign ends.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(45);

/// Until all attempts are counted: the minute that goes on, and the recount of what was taken over.
const COUNTED_LIMIT: Duration = Duration::from_secs(150);

/// What a node that was stopped needs to learn that its outcomes are not its own any more.
const AWAKENING: Duration = Duration::from_secs(2);

/// The command's flags.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Rounds. Each second one stops a node for longer than its lease, every other time in the middle
    /// of a heartbeat; the others kill one.
    #[arg(long, default_value_t = 6)]
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
        Self { rounds: 6, seed: None, rate: 200 }
    }
}

/// Runs the campaign.
pub fn run(options: &Options) -> Result<()> {
    server::build()?;
    let mut chance = Chance::begin("nodes", options.seed)?;
    let database = Database::start_with(&[]);
    let fleet = Fleet::start("nodes", &vec![database.url(); NODES], &fleet::impatient())?;
    // Answers take a moment, so that something is always under way. Who gets none asks elsewhere soon.
    let mut load = fleet.load(&format!(
        "survive --mode flaky30 --rate {} --c 48 --apps 8 --endpoints 2 --bytes 512 --timeout 3 \
         --drain 120 --linger 3 --n {}",
        options.rate,
        // As much as there is time for, and more.
        options.rate * (60 + 40 * options.rounds)
    ))?;
    load.wait_sending()?;
    let mut campaign = Campaign { database, fleet, load, takeovers: Vec::new(), fenced: 0.0 };
    for round in 1..=options.rounds {
        campaign.round(round, &mut chance).with_context(|| format!("round {round}"))?;
    }
    thread::sleep(Duration::from_secs(2));
    campaign.judge(options.rounds)
}

struct Campaign {
    database: Database,
    fleet: Fleet,
    load: Running,
    /// Seconds.
    takeovers: Vec<f64>,
    /// Outcomes that were refused because the shard was somebody else's by then.
    fenced: f64,
}

impl Campaign {
    fn round(&mut self, round: u32, chance: &mut Chance) -> Result<()> {
        let (soon, late) = (Duration::from_millis(500), Duration::from_secs(2));
        thread::sleep(chance.between(soon, late));
        self.fleet.wait_balanced(BALANCE_LIMIT).context("before the round")?;
        let node = chance.index(NODES);
        let name = self.fleet.nodes[node].name.clone();
        let length = chance.between(STOPPED.0, STOPPED.1);
        let before = self.refused(node)?;
        let (how, takeover) = match round % 4 {
            0 => self.stop_in_heartbeat(node, length)?,
            2 => self.stop(node, length)?,
            // It comes back before others have noticed, or after they took over.
            _ => self.kill(node, chance.below(2) == 0)?,
        };
        if round.is_multiple_of(2) {
            thread::sleep(AWAKENING);
            self.fenced += self.refused(node)? - before;
        }
        self.takeovers.push(takeover.as_secs_f64());
        eprintln!(
            "  round {round}: {how} {name}; taken over after {:.1} s",
            takeover.as_secs_f64()
        );
        ensure!(!self.load.ended()?, "the load ended by itself");
        Ok(())
    }

    fn kill(&mut self, node: usize, again_at_once: bool) -> Result<(&'static str, Duration)> {
        self.load.mark("kill")?;
        self.fleet.nodes[node].kill()?;
        let begun = Instant::now();
        if again_at_once {
            self.fleet.nodes[node].start()?;
        }
        self.fleet.wait_owned(TAKEOVER_LIMIT)?;
        let takeover = begun.elapsed();
        if !again_at_once {
            self.fleet.nodes[node].start()?;
        }
        Ok(("SIGKILL of", takeover))
    }

    fn stop(&mut self, node: usize, length: Duration) -> Result<(&'static str, Duration)> {
        self.load.mark("stop")?;
        let begun = Instant::now();
        self.fleet.nodes[node].pause()?;
        Ok(("SIGSTOP of", self.stopped(node, begun, length)?))
    }

    /// The worst moment: it stops with a lock that all others need to go on.
    fn stop_in_heartbeat(
        &mut self,
        node: usize,
        length: Duration,
    ) -> Result<(&'static str, Duration)> {
        let Self { database, fleet, load, .. } = self;
        let node_name = fleet.nodes[node].name.clone();
        let mut begun = Instant::now();
        database.in_heartbeat(&node_name, || {
            load.mark("stop in heartbeat")?;
            begun = Instant::now();
            fleet.nodes[node].pause()
        })?;
        Ok(("SIGSTOP in a heartbeat of", self.stopped(node, begun, length)?))
    }

    /// Waits for the others to take over from a node that was stopped, and lets it go on after
    /// `length`.
    fn stopped(&mut self, node: usize, begun: Instant, length: Duration) -> Result<Duration> {
        self.fleet.wait_owned(TAKEOVER_LIMIT)?;
        let takeover = begun.elapsed();
        thread::sleep(length.saturating_sub(takeover));
        self.fleet.nodes[node].resume()?;
        Ok(takeover)
    }

    /// Outcomes of a node that were refused since it was started.
    fn refused(&self, node: usize) -> Result<f64> {
        self.fleet.nodes[node].metric("hookwright_fenced_settles_total")
    }

    fn judge(mut self, rounds: u32) -> Result<()> {
        let report = self.load.report()?;
        let mut goals = Goals::new("nodes", rounds >= FULL_ROUNDS);
        goals.promise("acknowledged and never arrived", number(&report, "missing")?, AtMost(0.0));
        goals.promise("published twice", number(&report, "republished")?, AtMost(0.0));
        let bound = f64::from(rounds * MAX_IN_FLIGHT);
        goals.promise("duplicates", number(&report, "duplicates")?, AtMost(bound));
        goals.promise("acknowledged", number(&report, "accepted")?, AtLeast(1.0));
        let longest = self.takeovers.iter().copied().fold(0.0, f64::max);
        let bound = AtMost(TAKEOVER.as_secs_f64());
        goals.promise("longest until all shards are owned again, s", longest, bound);
        goals.promise("longest silence of an endpoint, s", silence(&report)?, bound);
        goals.disturbed(
            "median until all shards are owned again, s",
            median(self.takeovers),
            bound,
        );
        if rounds > 1 {
            goals.promise("outcomes refused after a stop", self.fenced, AtLeast(1.0));
        }
        let accepted = number(&report, "accepted")?;
        goals.keep(report);
        wait_counted(&self.database)?;
        self.fleet.terminate()?;
        let (said, clean) = self.fleet.nodes[0].checked()?;
        let mut counts = Counts::default();
        counts.add(&said)?;
        // Each of them went to two endpoints.
        counts.judge(&mut goals, 2.0 * accepted);
        goals.promise("`hookwright check` not clean", f64::from(!clean), AtMost(0.0));
        if !clean {
            eprintln!("{said}");
        }
        goals.finish()?;
        self.fleet.discard()
    }
}

/// Waits until the counts of all shards are written, up to this moment.
fn wait_counted(database: &Database) -> Result<()> {
    let now = database.sql("SELECT extract(epoch FROM now()) * 1000000")?;
    let sql = format!("SELECT {} < min(up_to) FROM counted", now.trim());
    let begun = Instant::now();
    while database.sql(&sql)?.trim() != "t" {
        ensure!(begun.elapsed() < COUNTED_LIMIT, "not all shards are counted");
        thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

/// The longest that any endpoint heard nothing, in seconds.
pub fn silence(report: &Value) -> Result<f64> {
    let marks = report["extra"]["marks"].as_array().context("a report without marks")?;
    let silences = marks.iter().filter_map(|mark| mark["longest_silence_ms"].as_f64());
    Ok(silences.fold(0.0, f64::max) / 1000.0)
}
