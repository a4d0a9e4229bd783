//! `survive`: what a server that is killed under load keeps of its promises.
use crate::{
    setup::Bench,
    stage::{Setting, Stage, measure},
};
use anyhow::Result;
use serde_json::{Value, json};
use std::io::Read;
use tokio::sync::watch;

/// Sends at `--rate` until standard input closes, then waits for the deliveries. Prints `sending`
/// once all is set up: from then on the server may be killed.
pub async fn run(bench: &Bench) -> Result<Value> {
    let args = &bench.args;
    let setting = Setting {
        n: args.n.unwrap_or(1_000_000),
        conns: args.c,
        rate: Some(args.rate),
        dead: args.dead,
        keep_times: false,
    };
    measure(bench, setting, act).await
}

async fn act(stage: &Stage<'_>) -> Result<Value> {
    let (stop, stopped) = watch::channel(false);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        stop.send_replace(true);
    });
    println!("sending");
    stage.plan.send_until(&stage.run, &stage.sent, stopped).await;
    Ok(json!({ "sending_s": stage.elapsed_s() }))
}
