//! The measurement campaign: how fast, how soon, and how well tenants are kept apart.
mod received;
mod shared;

use crate::{
    goals::{
        Goal::{self, AtLeast, AtMost},
        Goals, median,
    },
    loadgen::{self, number},
    server::{self, Server},
};
use anyhow::Result;
use serde_json::Value;

/// The command's flags.
#[derive(Debug, Default, clap::Args)]
pub struct Options {
    /// The whole campaign (about 15 minutes), each figure judged; else about a minute, and only
    /// promises are judged.
    #[arg(long)]
    pub full: bool,
    /// Where everything is kept. With PostgreSQL, which runs beside the servers, there are goals of
    /// its own, and the figures of the others are shown only.
    #[arg(long, value_enum, default_value_t)]
    pub store: Store,
}

/// Where servers keep everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Store {
    /// Files in a data directory.
    #[default]
    Files,
    /// A PostgreSQL of this machine.
    Postgres,
}

/// Runs the campaign against the release binary.
pub fn run(options: &Options) -> Result<()> {
    server::build()?;
    let full = options.full;
    if options.store == Store::Postgres {
        return shared::run(full);
    }
    let mut server = Server::new("load", "")?;
    server.start()?;
    let pids = vec![("server".to_owned(), server.pid()?)];
    let goals = Goals::new("load", full);
    let mut campaign = Campaign { servers: vec![server], pids, goals, full, store: Store::Files };
    campaign.throughput()?;
    campaign.latency()?;
    campaign.others()?;
    let Campaign { servers, goals, .. } = campaign;
    goals.finish()?;
    servers.into_iter().try_for_each(Server::discard)
}

struct Campaign {
    /// Messages are posted to the first one, unless said otherwise.
    servers: Vec<Server>,
    /// Whose CPU and memory is accounted for.
    pids: Vec<(String, u32)>,
    goals: Goals,
    full: bool,
    store: Store,
}

impl Campaign {
    fn loadgen(&mut self, arguments: &str) -> Result<Value> {
        self.loadgen_over(1, arguments)
    }

    /// Load on so many of the servers.
    fn loadgen_over(&mut self, servers: usize, arguments: &str) -> Result<Value> {
        eprintln!("  loadgen {arguments}");
        let servers: Vec<&Server> = self.servers.iter().take(servers).collect();
        let report = loadgen::start_over(&servers, &self.pids, arguments)?.report()?;
        Ok(self.goals.keep(report))
    }

    /// A figure whose goal was set for files.
    fn figure(&mut self, name: &str, measured: f64, goal: Goal) {
        match self.store {
            Store::Files => self.goals.figure(name, measured, goal),
            Store::Postgres => self.goals.disturbed(name, measured, goal),
        }
    }

    /// Everything but throughput and latency.
    fn others(&mut self) -> Result<()> {
        self.fan_out()?;
        self.isolation()?;
        self.backlog()?;
        self.limits()?;
        self.received()?;
        if self.full { self.scheduled() } else { Ok(()) }
    }

    /// Every acknowledged message arrived, and none was published twice.
    fn complete(&mut self, what: &str, report: &Value) -> Result<()> {
        self.goals.promise(&format!("{what}: missing"), number(report, "missing")?, AtMost(0.0));
        let republished = number(report, "republished")?;
        self.goals.promise(&format!("{what}: published twice"), republished, AtMost(0.0));
        Ok(())
    }

    fn pick<T>(&self, full: T, short: T) -> T {
        if self.full { full } else { short }
    }

    /// Closed loop beside the generator's raw loop, in alternating pairs.
    fn throughput(&mut self) -> Result<()> {
        let (pairs, raw_n, n) = self.pick((5, 300_000, 100_000), (1, 50_000, 20_000));
        let (mut shares, mut cpu, mut rates, mut rss) = (vec![], vec![], vec![], 0.0f64);
        for _ in 0..pairs {
            let raw = self.loadgen(&format!("nop --c 256 --n {raw_n} --warmup 10000"))?;
            let closed = self.loadgen(&format!("closed --c 256 --n {n} --warmup 5000"))?;
            self.complete("closed loop", &closed)?;
            let rate = number(&closed, "delivered_per_s")?;
            rates.push(rate);
            shares.push(100.0 * rate / number(&raw, "delivered_per_s")?);
            cpu.push(number(&closed, "cpu/servers/server/cpu_us_per_delivery")?);
            rss = rss.max(number(&closed, "cpu/servers/server/peak_rss_mib")?);
        }
        let goals = &mut self.goals;
        goals.figure("closed loop: server CPU, µs per delivery", median(cpu), AtMost(90.0));
        goals.figure("closed loop: % of the raw loop", median(shares), AtLeast(15.0));
        goals.disturbed("closed loop: delivered/s", median(rates), AtLeast(15_000.0));
        goals.figure("closed loop: peak RSS, MiB", rss, AtMost(450.0));
        Ok(())
    }

    /// Request to arrival at a moderate rate; judged where the disk was quiet.
    fn latency(&mut self) -> Result<()> {
        let secs = self.pick(20, 5);
        let probe = self.servers[0].data_dir();
        let report = self.loadgen(&format!(
            "open --rate 500 --secs {secs} --warmup 500 --probe-dir {}",
            probe.display()
        ))?;
        self.complete("open loop", &report)?;
        let before = number(&report, "sync_probe/before/p99_ms")?;
        let after = number(&report, "sync_probe/after/p99_ms")?;
        self.goals.disturbed("sync probe p99, ms", before.max(after), AtMost(1.0));
        let quiet = before.max(after) < 1.0;
        for (name, path, bound) in [
            ("500/s: request to arrival p50, ms", "e2e/p50_ms", 3.0),
            ("500/s: request to arrival p99, ms", "e2e/p99_ms", 10.0),
        ] {
            let measured = number(&report, path)?;
            match quiet {
                true => self.goals.figure(name, measured, AtMost(bound)),
                false => self.goals.disturbed(name, measured, AtMost(bound)),
            }
        }
        Ok(())
    }

    fn fan_out(&mut self) -> Result<()> {
        let n = self.pick(2000, 200);
        // The first burst opens hundreds of connections at once, more than a listener may queue.
        let report =
            self.loadgen(&format!("fanout --endpoints 100 --in-flight 8 --n {n} --warmup 50"))?;
        self.complete("fan-out", &report)?;
        let rate = number(&report, "delivered_per_s")?;
        self.figure("1 → 100, 8 in flight: deliveries/s", rate, AtLeast(25_000.0));
        let n = self.pick(300, 30);
        let report = self.loadgen(&format!("fanout --endpoints 100 --n {n} --warmup 10"))?;
        let last = number(&report, "complete/p50_ms")?;
        self.figure("1 → 100, one at a time: last arrival p50, ms", last, AtMost(8.0));
        Ok(())
    }

    fn isolation(&mut self) -> Result<()> {
        let secs = self.pick(20, 4);
        for rate in self.pick(&[200, 2000][..], &[200]) {
            for dead in self.pick(&[0.1, 0.5][..], &[0.1]) {
                let report = self.loadgen(&format!(
                    "isolate --apps 50 --rate {rate} --dead {dead} --secs {secs} --warmup 500"
                ))?;
                let name = format!("{rate}/s, {:.0} % of 50 hang", dead * 100.0);
                self.complete(&name, &report["with_dead"])?;
                let ratio = number(&report, "healthy_p99_ratio")?;
                self.figure(&format!("{name}: p99 ratio"), ratio, AtMost(1.5));
            }
        }
        Ok(())
    }

    fn backlog(&mut self) -> Result<()> {
        let down = self.pick(20, 3);
        let report = self.loadgen(&format!("backlog --n 2000 --down-secs {down}"))?;
        self.complete("receiver down and up", &report)?;
        let rate = number(&report, "extra/drain_per_s")?;
        self.figure("receiver up again: drained/s", rate, AtLeast(5000.0));
        let first = number(&report, "extra/up_to_first_s")?;
        self.figure("receiver up again: first success, s", first, AtMost(30.0));
        Ok(())
    }

    fn limits(&mut self) -> Result<()> {
        let (rates, secs) = self.pick((&[50, 500, 5000][..], 20), (&[500][..], 11));
        for rate in rates {
            for (flag, shape) in
                self.pick(&[("endpoint", ""), ("app", "--endpoints 4")][..], &[("endpoint", "")])
            {
                let report =
                    self.loadgen(&format!("limits --{flag}-limit {rate} --secs {secs} {shape}"))?;
                let name = format!("{flag} limit {rate}/s");
                self.complete(&name, &report)?;
                // A window may begin with a burst of 50 ms worth, but at least one; the way to
                // the receiver bunches arrivals by as much as 20 ms.
                let bound = 1.0 + (0.05f64.max(1.0 / f64::from(*rate)) + 0.02) / 10.0;
                let most = number(&report, "extra/windows_10s/max_ratio")?;
                self.figure(&format!("{name}: most in 10 s, of it"), most, AtMost(bound));
                let least = number(&report, "extra/windows_10s/min_ratio")?;
                self.figure(&format!("{name}: least in 10 s, of it"), least, AtLeast(0.99));
            }
        }
        Ok(())
    }

    fn scheduled(&mut self) -> Result<()> {
        let report = self.loadgen("scheduled --n 2000 --secs 10")?;
        self.complete("scheduled", &report)?;
        self.goals.promise("scheduled: early", number(&report, "extra/early")?, AtMost(0.0));
        let late = number(&report, "extra/lateness/max_ms")?;
        self.figure("scheduled: latest, ms after its time", late, AtMost(1000.0));
        Ok(())
    }
}
