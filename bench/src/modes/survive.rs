//! `survive`: what servers that are killed under load keep of their promises.
use crate::{
    marks::{self, Mark, Record},
    modes::limits,
    setup::Bench,
    stage::{Setting, Stage, measure},
};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::{
    io::BufRead,
    sync::{Arc, Mutex},
};
use tokio::sync::watch;

/// Sends at `--rate` until standard input closes, then waits for the deliveries. Prints `sending`
/// once all is set up: from then on servers may be killed.
pub async fn run(bench: &Bench) -> Result<Value> {
    let args = &bench.args;
    let setting = Setting {
        n: args.n.unwrap_or(1_000_000),
        conns: args.c,
        rate: Some(args.rate),
        dead: args.dead,
        keep_times: true,
    };
    measure(bench, setting, act).await
}

async fn act(stage: &Stage<'_>) -> Result<Value> {
    let (stop, stopped) = watch::channel(false);
    let marks = Arc::new(Mutex::new(Vec::new()));
    let (run, noted) = (stage.run.clone(), marks.clone());
    std::thread::spawn(move || {
        for name in std::io::stdin().lock().lines().map_while(Result::ok) {
            let mark = Mark { name, at_us: run.now_us() };
            noted.lock().expect("no holder of this lock panics").push(mark);
        }
        stop.send_replace(true);
    });
    println!("sending");
    stage.plan.send_until(&stage.run, &stage.sent, stopped).await;
    let end_us = stage.run.now_us();
    // What arrives later may still tell of a mark.
    stage.drain().await;
    let arrivals = stage.run.arrivals.as_ref().context("the run keeps no arrivals")?;
    let record = Record {
        accepted_at: (0..stage.run.len()).map(|i| stage.run.accepted_at_us(i)).collect(),
        arrivals: arrivals.lock().expect("no holder of this lock panics").clone(),
        dead: stage.run.dead().to_vec(),
        end_us,
    };
    let marks = marks.lock().expect("no holder of this lock panics");
    let mut extra =
        json!({ "sending_s": end_us as f64 / 1e6, "marks": marks::report(&marks, &record) });
    if limits::any(&stage.bench.args) {
        // As long as anything arrives.
        extra["limits"] = limits::windows(stage, stage.run.now_us())?;
    }
    Ok(extra)
}
