//! `nop`, `closed` and `open`: how many, how fast.
use crate::{
    args::Mode,
    setup::Bench,
    stage::{Setting, measure},
};
use anyhow::Result;
use serde_json::{Value, json};

/// Sends all messages and waits for them.
pub async fn run(bench: &Bench) -> Result<Value> {
    let args = &bench.args;
    let setting = match args.kind {
        Mode::Open => open(bench, args.dead),
        _ => Setting {
            n: args.n.unwrap_or(10_000),
            conns: args.c,
            rate: None,
            dead: args.dead,
            keep_times: false,
        },
    };
    measure(bench, setting, sending).await
}

/// The open loop at `--rate` for `--secs`, with a fraction of dead endpoints.
pub fn open(bench: &Bench, dead: f64) -> Setting {
    let args = &bench.args;
    let n = (args.rate * args.secs) as usize;
    Setting { n, conns: args.c, rate: Some(args.rate), dead, keep_times: false }
}

/// Sends everything; there is nothing extra to report.
pub async fn sending(stage: &crate::stage::Stage<'_>) -> Result<Value> {
    stage.send_all().await;
    Ok(
        json!({ "delivered_at_send_end": stage.run.healthy.load(std::sync::atomic::Ordering::Relaxed) }),
    )
}
