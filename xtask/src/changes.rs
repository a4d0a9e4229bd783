//! Whether a change that one node has made holds at once at all others, under load: endpoints, event
//! types and tokens.
mod rounds;

use crate::{
    api::Api,
    chance::Chance,
    database::Database,
    fleet::Fleet,
    goals::{Goal::AtMost, Goals},
    receiver::Receiver,
    server,
};
use anyhow::{Context, Result, anyhow, ensure};
use rounds::{Changer, Kind};
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

const NODES: usize = 3;

/// From this many rounds on it is the whole campaign.
const FULL_ROUNDS: u32 = 1_000;

/// Each changes things of an application of its own.
const CHANGERS: usize = 8;

/// Publishers at a time for each of them, so that what nodes keep in memory is always in use.
const PUBLISHERS: usize = 8;

/// The longest that a node may put a request off.
const PATIENCE: Duration = Duration::from_secs(10);

/// What publishers send, of which nothing changes.
const BACKGROUND: &str = "background";

/// The command's flags.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Rounds of each kind.
    #[arg(long, default_value_t = 20)]
    pub rounds: u32,
    /// Of the random choices [default: from the clock; printed].
    #[arg(long)]
    pub seed: Option<u64>,
}

impl Default for Options {
    /// The short version in the test command.
    fn default() -> Self {
        Self { rounds: 20, seed: None }
    }
}

/// What all threads share.
struct Shared {
    nodes: Vec<Api>,
    receiver: Receiver,
    /// How many rounds have begun, of all kinds.
    begun: AtomicU32,
    /// Messages of publishers that were accepted.
    published: AtomicU64,
    /// Answers of 503.
    put_off: AtomicU64,
    over: AtomicBool,
}

/// Runs the campaign.
pub fn run(options: &Options) -> Result<()> {
    server::build()?;
    let mut chance = Chance::begin("changes", options.seed)?;
    let database = Database::start_with(&[]);
    let fleet = Fleet::start("changes", &vec![database.url(); NODES], "sweep_interval = \"1s\"")?;
    let shared = Shared {
        nodes: fleet.nodes.iter().map(|node| node.api.clone()).collect(),
        receiver: Receiver::start()?,
        begun: AtomicU32::new(0),
        published: AtomicU64::new(0),
        put_off: AtomicU64::new(0),
        over: AtomicBool::new(false),
    };
    shared.receiver.up();
    let changers = (0..CHANGERS).map(|number| Changer::new(&shared, number, chance.fork()));
    let changers = changers.collect::<Result<Vec<_>>>()?;
    let rounds = options.rounds * Kind::ALL.len() as u32;
    let wrong = thread::scope(|scope| {
        let mut publishers = Vec::new();
        for changer in &changers {
            for _ in 0..PUBLISHERS {
                let (shared, app, mut chance) = (&shared, changer.app.clone(), chance.fork());
                publishers.push(scope.spawn(move || publish(shared, &app, &mut chance)));
            }
        }
        let changers = changers.into_iter().map(|changer| {
            let shared = &shared;
            scope.spawn(move || change(shared, changer, rounds))
        });
        let changers: Vec<_> = changers.collect();
        let wrong: Result<Vec<_>> = changers.into_iter().map(joined).collect();
        shared.over.store(true, Relaxed);
        publishers.into_iter().try_for_each(joined)?;
        wrong
    })?;
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    wrong.iter().take(20).for_each(|what| println!("  {what}"));
    judge(options, &wrong, &shared, fleet)
}

/// Its result, or that it panicked.
fn joined<T>(thread: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow!("a thread has panicked"))?
}

/// Goes through rounds until all have begun; says what was not obeyed.
fn change(shared: &Shared, mut changer: Changer<'_>, rounds: u32) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    loop {
        let round = shared.begun.fetch_add(1, Relaxed);
        if round >= rounds {
            return Ok(wrong);
        }
        wrong.extend(changer.round(Kind::ALL[round as usize % Kind::ALL.len()])?);
    }
}

fn judge(options: &Options, wrong: &[String], shared: &Shared, mut fleet: Fleet) -> Result<()> {
    let mut goals = Goals::new("changes", options.rounds >= FULL_ROUNDS);
    for kind in Kind::ALL {
        let of_kind = wrong.iter().filter(|what| what.starts_with(kind.name())).count();
        let name = format!("{} rounds of {}: not obeyed", options.rounds, kind.name());
        goals.promise(&name, of_kind as f64, AtMost(0.0));
    }
    goals.shown("messages of publishers meanwhile", shared.published.load(Relaxed) as f64);
    goals.shown("requests put off (503) meanwhile", shared.put_off.load(Relaxed) as f64);
    goals.keep(json!({ "not obeyed": wrong }));
    let clean = fleet.check();
    goals.promise("`hookwright check` not clean", f64::from(clean.is_err()), AtMost(0.0));
    goals.finish()?;
    clean?;
    fleet.discard()
}

/// Posts to one node after another until all is over. Whatever changes, nobody else may notice.
fn publish(shared: &Shared, app: &str, chance: &mut Chance) -> Result<()> {
    while !shared.over.load(Relaxed) {
        let node = &shared.nodes[chance.index(NODES)];
        let posted = shared.message(node, app, BACKGROUND, &json!({ "n": 1 }));
        posted.context("a publisher")?.id()?;
        shared.published.fetch_add(1, Relaxed);
        thread::sleep(chance.between(Duration::from_millis(50), Duration::from_millis(250)));
    }
    Ok(())
}

/// What came of a message that was posted.
struct Posted {
    status: u16,
    answer: Value,
}

impl Posted {
    /// The message's id; an error if it was not accepted.
    fn id(&self) -> Result<&str> {
        ensure!(self.status == 202, "a message was answered {} {}", self.status, self.answer);
        self.answer["id"].as_str().context("the message has no id")
    }
}

impl Shared {
    fn message(&self, node: &Api, app: &str, event_type: &str, payload: &Value) -> Result<Posted> {
        let body = json!({ "eventType": event_type, "payload": payload });
        let path = format!("/api/v1/app/{app}/msg");
        let (status, answer) = self.insist(|| node.call("POST", &path, Some(&body)))?;
        Ok(Posted { status, answer })
    }

    /// Asks again while a node says so: where things change all the time, it may not come to know
    /// them as they are.
    fn insist(&self, ask: impl Fn() -> Result<(u16, Value)>) -> Result<(u16, Value)> {
        let begun = Instant::now();
        loop {
            let (status, answer) = ask()?;
            if status != 503 || begun.elapsed() > PATIENCE {
                return Ok((status, answer));
            }
            self.put_off.fetch_add(1, Relaxed);
            thread::sleep(Duration::from_millis(10));
        }
    }
}
