//! `limits`: whether a rate limit holds, and how near to it the server gets.
use crate::{
    args::Args,
    setup::Bench,
    stage::{Setting, Stage, measure},
};
use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Microseconds between the starts of two windows.
const STEP_US: u64 = 100_000;
const SECOND_US: u64 = 1_000_000;

/// Sends more than the limit lets through in `--secs`, and counts arrivals.
pub async fn run(bench: &Bench) -> Result<Value> {
    let args = &bench.args;
    let limit = limit_of(bench)?;
    // A limit of the application is shared by its endpoints; theirs are each their own.
    let per_message = if args.app_limit.is_some() { args.endpoints as f64 } else { 1.0 };
    // One second more than is looked at, so that the lane is never empty while counting.
    let n = (limit * (args.secs + 2.0) / per_message).ceil() as usize * args.apps;
    let setting = Setting { n, conns: args.c, rate: None, dead: 0.0, keep_times: true };
    measure(bench, setting, act).await
}

/// Whether anything has a limit.
pub const fn any(args: &Args) -> bool {
    args.app_limit.is_some() || args.endpoint_limit.is_some()
}

/// Arrivals per second that one application may see (with `--endpoint-limit`, per endpoint).
fn limit_of(bench: &Bench) -> Result<f64> {
    let limit = bench.args.app_limit.or(bench.args.endpoint_limit);
    limit.map(f64::from).context("mode limits needs --app-limit or --endpoint-limit")
}

async fn act(stage: &Stage<'_>) -> Result<Value> {
    stage.send_all().await;
    stage.drain().await;
    windows(stage, (stage.bench.args.secs * 1e6) as u64)
}

/// The worst windows of all limits, among what arrived up to a second and `saturated_us` after the
/// first.
pub fn windows(stage: &Stage<'_>, saturated_us: u64) -> Result<Value> {
    let args = &stage.bench.args;
    let limit = limit_of(stage.bench)?;
    let arrivals = stage.run.arrivals.as_ref().context("the run keeps no arrivals")?;
    let arrivals = arrivals.lock().expect("no holder of this lock panics").clone();
    // What has a limit of its own: an application, or an endpoint.
    let endpoints = if args.app_limit.is_some() { args.endpoints } else { 1 };
    let mut times = vec![Vec::new(); args.apps * args.endpoints / endpoints];
    for kept in arrivals {
        times[kept.endpoint as usize / endpoints].push(kept.at_us);
    }
    times.iter_mut().for_each(|times| times.sort_unstable());
    let of_all = |window_us| {
        let each = times.iter().map(|times| extremes(times, saturated_us, window_us, limit));
        let worst = each.reduce(|worst, one| {
            let ((least, most), (min, max)) = (worst?, one?);
            Some((min.min(least), max.max(most)))
        });
        worst.flatten().map(|(min, max)| json!({ "min_ratio": min, "max_ratio": max }))
    };
    Ok(json!({
        "limit_per_s": limit,
        "limited": times.len(),
        "saturated_s": saturated_us as f64 / 1e6,
        "windows_1s": of_all(SECOND_US),
        "windows_10s": of_all(10 * SECOND_US),
    }))
}

/// The worst windows of one limit. Too many is a fault from the first arrival on, too few only after
/// the first second.
fn extremes(times: &[u64], saturated_us: u64, window_us: u64, limit: f64) -> Option<(f64, f64)> {
    let first = times.first()?;
    let end = first + SECOND_US + saturated_us;
    let all = ratios(times, *first, end, window_us, limit)?;
    let later = ratios(times, first + SECOND_US, end, window_us, limit)?;
    Some((later.0, all.1))
}

/// Smallest and largest count of arrivals in any window between `from` and `to`, as parts of what
/// the limit allows in it; `None` if no window fits.
fn ratios(times: &[u64], from: u64, to: u64, window_us: u64, limit: f64) -> Option<(f64, f64)> {
    let allowed = limit * window_us as f64 / 1e6;
    let starts = (from..).step_by(STEP_US as usize).take_while(|start| start + window_us <= to);
    let counts = starts.map(|start| {
        let before = times.partition_point(|t| *t < start);
        (times.partition_point(|t| *t < start + window_us) - before) as f64 / allowed
    });
    counts.fold(None, |range, ratio| {
        let (min, max) = range.unwrap_or((ratio, ratio));
        Some((ratio.min(min), ratio.max(max)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_see_bursts_and_gaps() {
        // 100/s for 12 s, but nothing from 5.0 to 5.5 s and twice as much from 5.5 to 6.0 s.
        let mut times: Vec<u64> = (0..1200).map(|i| i * 10_000).collect();
        for t in &mut times {
            if (5_000_000..5_500_000).contains(t) {
                *t += 505_000;
            }
        }
        times.sort_unstable();
        let between = |from, to, window| ratios(&times, from, to, window, 100.0);
        assert_eq!(between(6_000_000, 12_000_000, SECOND_US), Some((1.0, 1.0)));
        assert_eq!(between(1_000_000, 12_000_000, SECOND_US), Some((0.5, 1.5)));
        assert_eq!(between(0, 5_000_000, 10 * SECOND_US), None);
    }
}
