//! Questions about millions of attempts: how long they take while traffic flows.
use crate::{
    api::Api,
    database::Database,
    goals::{Goal::AtMost, Goals},
    load::Store,
    loadgen,
    server::{self, Server},
    shell,
};
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

/// What a question may take, in ms: of a hundred, all but five.
const P95_MS: f64 = 200.0;
/// Messages per second meanwhile.
const LIVE_RATE: u32 = 500;

/// The command's flags.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Attempts on record, of the last 30 days.
    #[arg(long, default_value_t = 10_000_000)]
    pub attempts: usize,
    /// Applications that made them.
    #[arg(long, default_value_t = 1_000)]
    pub applications: usize,
    /// How often each question is asked.
    #[arg(long, default_value_t = 100)]
    pub times: usize,
    /// Where they are kept.
    #[arg(long, value_enum, default_value_t)]
    pub store: Store,
}

/// Fills a store, and asks.
pub fn run(options: &Options) -> Result<()> {
    server::build()?;
    let full = options.attempts >= 10_000_000 && options.applications >= 1_000;
    let mut goals = Goals::new("analytics", full);
    match options.store {
        Store::Files => {
            let mut server = Server::new("analytics", "")?;
            // It makes its directory and key.
            server.start()?;
            server.terminate()?;
            let place = format!("dir={}", server.data_dir().display());
            fill("hookwright-store-embedded", options, &[place])?;
            server.start()?;
            ask(&mut goals, &server, options)?;
            server.discard()?;
        }
        Store::Postgres => {
            let settings = [("shared_buffers", "1GB"), ("max_wal_size", "4GB")];
            let database = Database::start_with(&settings);
            let url = database.url();
            let mut server = Server::over("analytics", &url, "one", "")?;
            server.start()?;
            server.terminate()?;
            let key = format!("key={}", server::MASTER_KEY);
            fill("hookwright-store-postgres", options, &[format!("url={url}"), key])?;
            server.start()?;
            ask(&mut goals, &server, options)?;
            server.discard()?;
        }
    }
    goals.finish()
}

fn fill(package: &str, options: &Options, place: &[String]) -> Result<()> {
    let begun = Instant::now();
    let profile = shell::profile();
    let mut fill = shell::cargo(&["run", "--profile", &profile, "--locked", "-q", "-p", package]);
    fill.args(["--example", "fill", "--"]).args(place);
    fill.arg(format!("attempts={}", options.attempts));
    fill.arg(format!("applications={}", options.applications));
    shell::run(&mut fill)?;
    println!("  filled in {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// What the console asks, and what callers may.
fn questions(app: &str) -> Vec<(&'static str, String)> {
    let query = |rest: &str| format!("/api/v1/analytics/query?measures={rest}");
    let traffic = "messages,attempts,successes,failures,retries,successRate,bytes,deliveryP50,\
                   deliveryP95,deliveryP99,responseP50,responseP95,responseP99";
    let since = |days: i64| {
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days);
        format!("&since={at:.0}")
    };
    vec![
        ("the last hour by minute", {
            let hour = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
            query(&format!("{traffic}&granularity=minute&since={hour:.0}"))
        }),
        ("the last day by hour", query(&format!("{traffic}&granularity=hour"))),
        ("the last 30 days by day", query(&format!("{traffic}&granularity=day{}", since(30)))),
        (
            "the last 30 days by day, of another zone",
            query(&format!("{traffic}&granularity=day&timeZone=Asia/Kolkata{}", since(30))),
        ),
        (
            "tenants by volume, a day",
            query("messages,attempts,successRate&dimensions=app&limit=10"),
        ),
        (
            "tenants by volume, 30 days",
            query(&format!("messages,attempts,successRate&dimensions=app&limit=10{}", since(30))),
        ),
        (
            "percentiles of the first 20 tenants, a week",
            query(&format!("attempts,deliveryP95&dimensions=app&limit=20{}", since(7))),
        ),
        ("event types, a week", query(&format!("{traffic}&dimensions=eventType{}", since(7)))),
        ("outcomes, a week", query(&format!("attempts&dimensions=outcome{}", since(7)))),
        (
            "a large tenant's endpoints by hour, a week",
            query(&format!(
                "attempts,successRate,responseP95&dimensions=endpoint&granularity=hour&appId={app}{}",
                since(7)
            )),
        ),
        (
            "a large tenant by day, 30 days",
            query(&format!("{traffic}&granularity=day&appId={app}{}", since(30))),
        ),
        ("usage of the month", {
            let month = jiff::Timestamp::now().to_string()[..7].to_owned();
            format!("/api/v1/analytics/usage?month={month}")
        }),
        ("failing endpoints", "/api/v1/analytics/failing-endpoints".into()),
        ("backlog", "/api/v1/analytics/backlog".into()),
    ]
}

fn ask(goals: &mut Goals, server: &Server, options: &Options) -> Result<()> {
    let app = largest(&server.api)?;
    let questions = questions(&app);
    // Long enough for all of them, and killed at their end.
    let live = format!("open --rate {LIVE_RATE} --secs 3600 --c 64 --apps 50 --endpoints 1");
    let live = loadgen::start(server, &live)?;
    std::thread::sleep(Duration::from_secs(5));
    for (what, path) in &questions {
        let mut took = Vec::with_capacity(options.times);
        for _ in 0..options.times {
            let begun = Instant::now();
            let (status, answer) = server.api.call("GET", path, None)?;
            took.push(begun.elapsed().as_secs_f64() * 1_000.0);
            ensure!(status == 200, "{path}: {status} {answer}");
        }
        took.sort_by(f64::total_cmp);
        let p95 = took[(took.len() * 95).div_ceil(100) - 1];
        goals.figure(&format!("{what}: p95, ms"), p95, AtMost(P95_MS));
        goals.shown(&format!("{what}: median, ms"), took[took.len() / 2]);
    }
    drop(live);
    Ok(())
}

/// The application with most attempts.
fn largest(api: &Api) -> Result<String> {
    let path = "/api/v1/analytics/query?measures=attempts&dimensions=app&limit=1";
    let (status, answer) = api.call("GET", path, None)?;
    ensure!(status == 200, "{path}: {status} {answer}");
    let app = answer.pointer("/rows/0/appId").and_then(serde_json::Value::as_str);
    Ok(app.context("no application has any attempts")?.to_owned())
}
