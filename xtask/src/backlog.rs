//! A huge backlog of overdue deliveries: what a restart costs, and what its neighbours notice.
mod shared;

use crate::{
    api::Api,
    goals::{
        Goal::{AtLeast, AtMost},
        Goals,
    },
    load::Store,
    loadgen,
    receiver::Receiver,
    server::{self, Server},
};
use anyhow::{Context, Result};
use serde_json::json;
use std::time::{Duration, Instant};

/// The healthy endpoint's first wait: long enough to kill and restart meanwhile.
const FIRST_WAIT: Duration = Duration::from_secs(15);

/// The command's flags.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Overdue deliveries.
    #[arg(long, default_value_t = 1_000_000)]
    pub deliveries: usize,
    /// Where everything is kept. With PostgreSQL it is looked at too what its tables cost then.
    #[arg(long, value_enum, default_value_t)]
    pub store: Store,
}

impl Default for Options {
    /// The short version in the test command.
    fn default() -> Self {
        Self { deliveries: 20_000, store: Store::Files }
    }
}

/// What the retries of the healthy neighbour, and of the dead, are to be.
const SETTINGS: &str = "retry_schedule = [\"15s\", \"1h\", \"5h\"]\nretry_jitter = 0.0\n\
                        disable_after = \"none\"";

/// Once with all of it on one dead endpoint, once spread over 1,000.
pub fn run(options: &Options) -> Result<()> {
    server::build()?;
    let full = options.deliveries >= 1_000_000;
    if options.store == Store::Postgres {
        return shared::run(options.deliveries, full);
    }
    let mut goals = Goals::new("backlog", full);
    for (name, shape) in shapes(options.deliveries) {
        let mut server = Server::new("backlog", SETTINGS)?;
        server.start()?;
        restart(&mut goals, name, &shape, server)?;
    }
    goals.finish()
}

/// Both make the same number of deliveries.
fn shapes(deliveries: usize) -> [(&'static str, String); 2] {
    let one = format!("--n {deliveries}");
    let thousand = format!("--n {} --apps 10 --endpoints 100", deliveries / 100);
    [("one dead endpoint", one), ("1,000 dead endpoints", thousand)]
}

fn restart(goals: &mut Goals, name: &str, shape: &str, mut server: Server) -> Result<()> {
    println!("backlog: {name}");
    let report = loadgen::run(
        &server,
        &format!("closed --c 64 {shape} --dead 1 --dead-mode refuse --keep --linger 0"),
    )?;
    let by_tenth = &report["accepted_per_s_by_tenth"];
    let tenth = |i: usize| by_tenth[i].as_f64().context("no rate by tenth");
    let slowdown = tenth(9)? / tenth(0)?;
    goals.figure(&format!("{name}: last tenth's ingest, of the first's"), slowdown, AtLeast(0.9));
    println!("  accepted/s by tenth: {by_tenth}");
    goals.keep(report);

    let receiver = Receiver::start()?;
    send_one(&server.api, &receiver.url)?;
    let tried = receiver.arrival(1, Duration::from_secs(10)).context("no first try")?;
    server.kill()?;
    let ready = server.start()?;
    receiver.up();
    let up = Instant::now();
    goals.figure(&format!("{name}: ready after, s"), ready.as_secs_f64(), AtMost(1.0));
    let retried = receiver.arrival(2, FIRST_WAIT * 2).context("no retry after the restart")?;
    // Due when its wait is over, or as soon as there is a server again.
    let due = up.max(tried + FIRST_WAIT);
    let late = retried.saturating_duration_since(due).as_secs_f64();
    goals.figure(&format!("{name}: a neighbour's retry late by, s"), late, AtMost(1.0));
    goals.figure(&format!("{name}: RSS, MiB"), server.rss_mib()?, AtMost(500.0));
    let check = Instant::now();
    server.kill()?;
    server.check()?;
    println!("  check clean in {:.1} s", check.elapsed().as_secs_f64());
    server.start()?;
    server.discard()
}

/// A healthy tenant with one message.
fn send_one(api: &Api, url: &str) -> Result<()> {
    let app = api.post("/api/v1/app", &json!({ "name": "neighbour" }))?;
    let app = app["id"].as_str().context("the application has no id")?;
    api.post(&format!("/api/v1/app/{app}/endpoint"), &json!({ "url": url }))?;
    let message = json!({ "eventType": "load.test", "payload": { "hello": "there" } });
    api.post(&format!("/api/v1/app/{app}/msg"), &message)?;
    Ok(())
}
