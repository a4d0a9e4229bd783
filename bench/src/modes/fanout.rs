//! `fanout`: how fast one message reaches all endpoints of its application.
use crate::{
    client::Conn,
    setup::Bench,
    stage::{Setting, Stage, measure},
};
use anyhow::Result;
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Keeps `--in-flight` messages on the way, each until its last endpoint has it.
pub async fn run(bench: &Bench) -> Result<Value> {
    let args = &bench.args;
    let setting = Setting {
        n: args.n.unwrap_or(50),
        conns: args.in_flight,
        rate: None,
        dead: args.dead,
        keep_times: false,
    };
    measure(bench, setting, act).await
}

async fn act(stage: &Stage<'_>) -> Result<Value> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = tokio::task::JoinSet::new();
    for number in 0..stage.plan.conns {
        let (plan, run, sent) = (stage.plan.clone(), stage.run.clone(), stage.sent.clone());
        let (next, limit) = (next.clone(), stage.limit());
        workers.spawn(async move {
            let mut conn = Conn::new(&plan.target, number);
            loop {
                let i = next.fetch_add(1, Relaxed);
                if i >= run.len() {
                    return;
                }
                plan.send_one(&run, &sent, &mut conn, i, run.now_us()).await;
                // One that never completes is reported as missing.
                let _ = tokio::time::timeout(limit, run.wait_done(i)).await;
            }
        });
    }
    while workers.join_next().await.is_some() {}
    Ok(json!({ "in_flight": stage.plan.conns }))
}
