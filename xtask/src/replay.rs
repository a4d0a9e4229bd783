//! A large replay beside live traffic: what the live traffic notices, and whether the replay shows how far
//! it is, stands still when it is paused, and ends when it is cancelled.
use crate::{
    api::Api,
    goals::{
        Goal::{AtLeast, AtMost},
        Goals,
    },
    loadgen::{self, number},
    receiver::Receiver,
    server::{self, Server},
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// Live messages per second.
const RATE: usize = 500;
/// Messages posted at a time.
const BATCH: usize = 500;
/// From when on everything is replayed.
const SINCE: &str = "2026-01-01T00:00:00Z";
/// What a task does within a moment: a step that was under way ends.
const MOMENT: Duration = Duration::from_secs(1);
/// How long a task is watched standing still.
const STILL: Duration = Duration::from_secs(2);
/// How often a task is asked how far it is.
const LOOK: Duration = Duration::from_millis(100);
/// Longest that a replay may take.
const LIMIT: Duration = Duration::from_secs(900);

/// The command's flags.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Messages that are replayed.
    #[arg(long, default_value_t = 100_000)]
    pub messages: usize,
    /// Seconds of live traffic: to warm up, alone, and beside the replay.
    #[arg(long, default_value_t = 30.0)]
    pub secs: f64,
}

impl Default for Options {
    /// The short version in the test command.
    fn default() -> Self {
        Self { messages: 10_000, secs: 5.0 }
    }
}

/// Runs it against the release binary.
pub fn run(options: &Options) -> Result<()> {
    server::build()?;
    let mut server = Server::new("replay", "")?;
    server.start()?;
    let mut goals = Goals::new("replay", options.messages >= 100_000);
    let receiver = Receiver::start()?;
    receiver.up();
    let endpoint = stored(&server.api, &receiver.url, options.messages)?;
    let live = format!("open --apps 10 --c 64 --rate {RATE} --secs {}", options.secs);
    // While what was stored reaches the disk: not judged.
    loadgen::run(&server, &live)?;
    let alone = number(&goals.keep(loadgen::run(&server, &live)?), "e2e/p99_ms")?;
    goals.shown("live traffic alone: p99, ms", alone);

    let api = &server.api;
    let previewed = api.post(&format!("{endpoint}/replay-missing/preview"), &since())?;
    goals.promise("previewed, of 1", share(&previewed["messages"], options)?, AtLeast(1.0));
    let begun = Instant::now();
    let task = Task::begin(api, &format!("{endpoint}/replay-missing"))?;
    let beside = loadgen::start(&server, &live)?;
    task.until(|data| sent(data) > 0)?;
    pause(&mut goals, &task)?;
    let report = beside.report()?;
    let during = sent(&task.get()?["data"]);
    let p99 = number(&report, "e2e/p99_ms")?;
    goals.promise("live messages lost", number(&report, "missing")?, AtMost(0.0));
    goals.keep(report);
    goals.shown("replayed meanwhile", during as f64);
    goals.figure("live traffic beside a replay: p99, ms", p99, AtMost(2.0 * alone));
    let ended = task.until_state("finished")?;
    goals.shown("the replay took, s", begun.elapsed().as_secs_f64());
    goals.promise("replayed, of 1", share(&ended["data"]["messagesSent"], options)?, AtLeast(1.0));
    let arrived = receiver.arrival(options.messages, LIMIT).is_some();
    goals.promise("all of it arrived", f64::from(u8::from(arrived)), AtLeast(1.0));
    cancel(&mut goals, api, &endpoint, options)?;
    goals.finish()?;
    server.discard()
}

fn since() -> Value {
    json!({ "since": SINCE })
}

fn sent(data: &Value) -> u64 {
    data["messagesSent"].as_u64().unwrap_or(0)
}

/// A number of messages as a part of all.
fn share(messages: &Value, options: &Options) -> Result<f64> {
    let messages = messages.as_u64().context("not a number of messages")?;
    Ok(messages as f64 / options.messages as f64)
}

/// Messages that were stored before there was an endpoint; the path of the one that is made then.
fn stored(api: &Api, url: &str, messages: usize) -> Result<String> {
    let app = api.post("/api/v1/app", &json!({ "name": "replayed" }))?;
    let app = app["id"].as_str().context("the application has no id")?.to_owned();
    let filler = "x".repeat(1_000);
    for from in (0..messages).step_by(BATCH) {
        let batch: Vec<_> = (from..messages.min(from + BATCH))
            .map(|n| json!({ "eventType": "a.b", "payload": { "n": n, "filler": filler } }))
            .collect();
        api.post(&format!("/api/v1/app/{app}/msg/batch"), &json!({ "messages": batch }))?;
    }
    // Ids tell the time in steps; the endpoint comes behind all of them.
    sleep(MOMENT);
    let path = format!("/api/v1/app/{app}/endpoint");
    let endpoint = api.post(&path, &json!({ "url": url }))?;
    Ok(format!("{path}/{}", endpoint["id"].as_str().context("the endpoint has no id")?))
}

/// A background task.
struct Task<'a> {
    api: &'a Api,
    path: String,
}

impl<'a> Task<'a> {
    fn begin(api: &'a Api, path: &str) -> Result<Self> {
        let task = api.post(path, &since())?;
        let id = task["id"].as_str().context("the task has no id")?;
        Ok(Self { api, path: format!("/api/v1/background-task/{id}") })
    }

    fn get(&self) -> Result<Value> {
        let (status, task) = self.api.call("GET", &self.path, None)?;
        ensure!(status == 200, "{}: {status} {task}", self.path);
        Ok(task)
    }

    fn steer(&self, wish: &str) -> Result<Value> {
        self.api.post(&format!("{}/{wish}", self.path), &json!({}))
    }

    fn until(&self, enough: impl Fn(&Value) -> bool) -> Result<Value> {
        self.wait(|task| enough(&task["data"]))
    }

    fn until_state(&self, state: &str) -> Result<Value> {
        self.wait(|task| task["state"] == state)
    }

    fn wait(&self, there: impl Fn(&Value) -> bool) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let task = self.get()?;
            if there(&task) {
                return Ok(task);
            }
            ensure!(begun.elapsed() < LIMIT, "the task does not get there: {task}");
            sleep(LOOK);
        }
    }

    /// How many messages it sends while it should stand still.
    fn moves(&self) -> Result<u64> {
        sleep(MOMENT);
        let before = sent(&self.get()?["data"]);
        sleep(STILL);
        Ok(sent(&self.get()?["data"]) - before)
    }
}

/// Pauses a task and lets it go on.
fn pause(goals: &mut Goals, task: &Task<'_>) -> Result<()> {
    let paused = task.steer("pause")?;
    ensure!(paused["state"] == "paused", "not paused: {paused}");
    println!("replay: paused at {}", paused["data"]);
    goals.promise("sent while it is paused", task.moves()? as f64, AtMost(0.0));
    let before = sent(&task.steer("resume")?["data"]);
    task.until(|data| sent(data) > before)?;
    Ok(())
}

/// Cancels a replay of the same messages while it goes on.
fn cancel(goals: &mut Goals, api: &Api, endpoint: &str, options: &Options) -> Result<()> {
    let task = Task::begin(api, &format!("{endpoint}/bulk-replay"))?;
    task.until(|data| sent(data) > 0)?;
    let cancelled = task.steer("cancel")?;
    ensure!(cancelled["state"] == "cancelled", "not cancelled: {cancelled}");
    goals.promise("sent after it was cancelled", task.moves()? as f64, AtMost(0.0));
    let share = share(&task.get()?["data"]["messagesSent"], options)?;
    goals.promise("sent by the cancelled one, of 1", share, AtMost(0.99));
    Ok(())
}
