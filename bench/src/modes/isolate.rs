//! `isolate`: what healthy endpoints notice of dead ones.
use crate::{modes::throughput, setup::Bench, stage::measure};
use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The open loop without dead endpoints and with them, and the ratio of the healthy ones' p99.
pub async fn run(bench: &Bench) -> Result<Value> {
    let alone = measure(bench, throughput::open(bench, 0.0), throughput::sending).await?;
    let beside =
        measure(bench, throughput::open(bench, bench.args.dead), throughput::sending).await?;
    let p99 = |report: &Value| report["e2e"]["p99_ms"].as_f64().context("a report without p99");
    let ratio = p99(&beside)? / p99(&alone)?.max(0.001);
    Ok(json!({
        "label": bench.args.label,
        "mode": "isolate",
        "healthy_p99_ratio": (ratio * 1000.0).round() / 1000.0,
        "without_dead": alone,
        "with_dead": beside,
    }))
}
