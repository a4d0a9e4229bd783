//! The soak: whether file, memory and descriptors stop growing under steady load.
use crate::{
    goals::{
        Goal::{AtLeast, AtMost},
        Goals,
    },
    loadgen::{self, number},
    server::{self, Server},
};
use anyhow::{Result, ensure};
use serde_json::json;
use std::time::{Duration, Instant};

/// Share of the closed loop's throughput that the soak runs at.
const LOAD: f64 = 0.6;

/// From this length on the verdict counts: shorter ones never reach a steady state.
const JUDGED_FROM_MINUTES: f64 = 15.0;

/// The command's flags.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// How long.
    #[arg(long, default_value_t = 20.0)]
    pub minutes: f64,
}

impl Default for Options {
    /// The short version in the test command.
    fn default() -> Self {
        Self { minutes: 1.0 }
    }
}

/// One look at the server.
struct Sample {
    at_s: f64,
    file_mib: f64,
    rss_mib: f64,
    descriptors: f64,
}

/// Runs the soak against the release binary.
pub fn run(options: &Options) -> Result<()> {
    server::build()?;
    // Pending deliveries to dead endpoints end within two minutes, history within three.
    let mut server = Server::new(
        "soak",
        "retry_schedule = [\"1s\", \"5s\", \"10s\"]\nmax_age_slack = \"30s\"\n\
         request_timeout = \"5s\"\ndisable_after = \"none\"\n\
         payload_retention = \"3m\"\nhistory_retention = \"3m\"\nsweep_interval = \"1s\"\n\
         idempotency_ttl = \"3m\"",
    )?;
    server.start()?;
    let seconds = options.minutes * 60.0;
    let capacity = loadgen::run(&server, "closed --c 256 --n 60000 --warmup 5000")?;
    let rate = LOAD * number(&capacity, "delivered_per_s")?;
    println!("soak: {rate:.0} messages/s for {seconds:.0} s, 10 % of 20 endpoints hanging");
    let mut load = loadgen::start(
        &server,
        &format!("open --apps 20 --dead 0.1 --c 256 --rate {rate} --secs {seconds}"),
    )?;
    let begun = Instant::now();
    let every = Duration::from_secs_f64((seconds / 12.0).min(10.0));
    let mut samples = Vec::new();
    while begun.elapsed().as_secs_f64() < seconds && !load.ended()? {
        std::thread::sleep(every);
        ensure!(server.exited()?.is_none(), "the server ended");
        let sample = Sample {
            at_s: begun.elapsed().as_secs_f64(),
            file_mib: server.data_mib()?,
            rss_mib: server.rss_mib()?,
            descriptors: server.descriptors()? as f64,
        };
        eprintln!(
            "  {:5.0} s: {:.0} MiB on disk, {:.0} MiB in memory, {} descriptors",
            sample.at_s, sample.file_mib, sample.rss_mib, sample.descriptors
        );
        samples.push(sample);
    }
    let report = load.report()?;
    let mut goals = Goals::new("soak", options.minutes >= JUDGED_FROM_MINUTES);
    goals.promise("missing", number(&report, "missing")?, AtMost(0.0));
    goals.promise("delivered", number(&report, "delivered")?, AtLeast(1.0));
    goals.keep(report);
    for (name, of) in [
        ("file", (|s| s.file_mib) as fn(&Sample) -> f64),
        ("memory", |s| s.rss_mib),
        ("descriptors", |s| s.descriptors),
    ] {
        let growth = growth_percent(&samples, seconds, of);
        goals.figure(&format!("{name}: growth in the second half, %"), growth, AtMost(5.0));
    }
    let series: Vec<_> =
        samples.iter().map(|s| json!([s.at_s, s.file_mib, s.rss_mib, s.descriptors])).collect();
    goals.keep(json!({ "samples (s, file MiB, RSS MiB, descriptors)": series }));
    goals.finish()?;
    server.discard()
}

/// From the middle to the end, each the mean of a tenth of the time, so that one sweep more or
/// less does not decide.
fn growth_percent(samples: &[Sample], seconds: f64, of: fn(&Sample) -> f64) -> f64 {
    let mean = |from: f64, to: f64| {
        let within = |s: &&Sample| (from..=to).contains(&(s.at_s / seconds));
        let values: Vec<f64> = samples.iter().filter(within).map(of).collect();
        values.iter().sum::<f64>() / values.len().max(1) as f64
    };
    100.0 * (mean(0.9, 1.1) / mean(0.45, 0.55).max(1e-9) - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_from_the_middle_to_the_end() {
        let samples: Vec<_> = (1..=100)
            .map(|s| Sample {
                at_s: f64::from(s),
                file_mib: f64::from(s.min(50)),
                rss_mib: f64::from(s),
                descriptors: 7.0,
            })
            .collect();
        assert!(growth_percent(&samples, 100.0, |s| s.descriptors).abs() < 1e-9);
        assert!(growth_percent(&samples, 100.0, |s| s.file_mib) < 5.0);
        assert!(growth_percent(&samples, 100.0, |s| s.rss_mib) > 80.0);
    }
}
