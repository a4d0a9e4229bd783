//! `scheduled`: how late messages with a `deliverAt` arrive.
use crate::{
    client::Conn,
    setup::Bench,
    stage::{Setting, Stage, measure},
};
use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::{sync::atomic::Ordering::Relaxed, time::Duration};

/// The contract takes a `deliverAt` from one minute ahead on; the rest is for sending them.
const AHEAD: Duration = Duration::from_secs(65);

/// Schedules messages over `--secs` and measures their lateness (`e2e` counts from `deliverAt`).
pub async fn run(bench: &Bench) -> Result<Value> {
    let n = bench.args.n.unwrap_or(10_000);
    let setting = Setting { n, conns: 1, rate: None, dead: 0.0, keep_times: false };
    measure(bench, setting, act).await
}

async fn act(stage: &Stage<'_>) -> Result<Value> {
    let (run, args) = (&stage.run, &stage.bench.args);
    let epoch = Timestamp::now() - SignedDuration::try_from(run.t0.elapsed())?;
    let mut conn = Conn::new(&stage.plan.target, 0);
    for i in 0..run.len() {
        let part = args.secs * i as f64 / run.len() as f64;
        let due = AHEAD + Duration::from_secs_f64(part);
        // Whole microseconds: what the text of the time carries.
        let due_us = due.as_micros() as i64;
        let deliver_at = epoch + SignedDuration::from_micros(due_us);
        let due = (due_us as u64, deliver_at);
        stage.plan.send_scheduled(run, &stage.sent, &mut conn, i, due).await;
    }
    let sent_s = stage.elapsed_s();
    tokio::time::sleep_until((run.t0 + AHEAD + Duration::from_secs_f64(args.secs)).into()).await;
    stage.drain().await;
    Ok(json!({
        "sent_s": sent_s,
        "early": run.early.load(Relaxed),
        "lateness": run.e2e.json(),
    }))
}
