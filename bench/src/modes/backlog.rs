//! `backlog`: what happens when a receiver that was down comes back.
use crate::{
    setup::Bench,
    stage::{Setting, Stage, measure},
};
use anyhow::Result;
use serde_json::{Value, json};
use std::{sync::atomic::Ordering::Relaxed, time::Duration};

/// Sends to receivers that are down, lets them come back, and times the drain.
pub async fn run(bench: &Bench) -> Result<Value> {
    let args = &bench.args;
    let n = args.n.unwrap_or(10_000);
    let setting = Setting { n, conns: args.c, rate: None, dead: args.dead, keep_times: false };
    measure(bench, setting, act).await
}

async fn act(stage: &Stage<'_>) -> Result<Value> {
    let (args, run, down) = (&stage.bench.args, &stage.run, &stage.bench.receiver.down);
    down.store(true, Relaxed);
    stage.send_all().await;
    let sent_s = stage.elapsed_s();
    if args.until_tried {
        let all = run.missing();
        while run.attempts.load(Relaxed) < all && stage.elapsed_s() < sent_s + args.drain {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    } else {
        tokio::time::sleep(Duration::from_secs_f64(args.down_secs)).await;
    }
    let attempts_while_down = run.attempts.load(Relaxed);
    let up_s = stage.elapsed_s();
    down.store(false, Relaxed);
    stage.drain().await;
    let last_s = run.last_us.load(Relaxed) as f64 / 1e6;
    let first_s = run.first_us.load(Relaxed).min(run.last_us.load(Relaxed)) as f64 / 1e6;
    let window_s = last_s - first_s;
    Ok(json!({
        "attempts_while_down": attempts_while_down,
        "down_for_s": up_s,
        "up_to_first_s": first_s - up_s,
        "up_to_last_s": last_s - up_s,
        "drain_window_s": window_s,
        "drain_per_s": (run.healthy.load(Relaxed) as f64 / window_s.max(1e-6)).round(),
    }))
}
