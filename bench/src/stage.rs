//! One measured phase, from the first endpoint created to the report.
use crate::{
    args::Mode,
    client::Conn,
    cpu::{self, Snapshot},
    payload::Payloads,
    run::Run,
    send::{Inbound, Plan, Sent},
    setup::Bench,
};
use anyhow::Result;
use serde_json::{Value, json};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

/// What a phase consists of.
#[derive(Clone, Copy)]
pub struct Setting {
    /// Messages.
    pub n: usize,
    /// Connections.
    pub conns: usize,
    /// Messages per second; `None` is the closed loop.
    pub rate: Option<f64>,
    /// Fraction of endpoints that are dead.
    pub dead: f64,
    /// Keep every arrival.
    pub keep_times: bool,
}

/// What a mode works with while it is measured.
pub struct Stage<'a> {
    /// The instrument.
    pub bench: &'a Bench,
    /// How to send.
    pub plan: Arc<Plan>,
    /// What is sent and what arrived.
    pub run: Arc<Run>,
    /// What came of the requests.
    pub sent: Arc<Sent>,
}

impl Stage<'_> {
    /// Sends all messages, as fast or as slowly as the setting says.
    pub async fn send_all(&self) {
        self.plan.send_all(&self.run, &self.sent).await;
    }

    /// Waits until every acknowledged message has reached its healthy endpoints; false if that
    /// took longer than `--drain`.
    pub async fn drain(&self) -> bool {
        drain(&self.run, self.limit()).await
    }

    /// The longest that the phase waits for deliveries.
    pub fn limit(&self) -> Duration {
        Duration::from_secs_f64(self.bench.args.drain)
    }

    /// Seconds since the phase began.
    pub fn elapsed_s(&self) -> f64 {
        self.run.t0.elapsed().as_secs_f64()
    }
}

async fn drain(run: &Run, limit: Duration) -> bool {
    let until = Instant::now() + limit;
    while run.missing() > 0 {
        if Instant::now() > until {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    true
}

/// Sets a field up, warms it, lets `act` send, waits for the deliveries, and reports. What `act`
/// returns is the report's `extra`.
pub async fn measure(
    bench: &Bench,
    setting: Setting,
    act: impl AsyncFnOnce(&Stage) -> Result<Value>,
) -> Result<Value> {
    let args = &bench.args;
    let mut admin = Conn::new(&bench.target, 0);
    let field = bench.create(&mut admin, setting.dead).await?;
    let plan = |rate| {
        Arc::new(Plan {
            target: bench.target.clone(),
            routes: field.routes.clone(),
            payloads: Payloads::new(args.bytes),
            bare: args.kind == Mode::Nop,
            conns: setting.conns,
            rate,
            keyed: args.idempotency,
            inbound: args.inbound.then(|| Inbound::new(args.twice)),
        })
    };
    let begin = |n, keep_times| {
        let run = Run::new(bench.run_id(), n, args.apps, field.dead.clone(), keep_times);
        let run = Arc::new(run);
        bench.receiver.watch(Some(run.clone()));
        run
    };
    let limit = Duration::from_secs_f64(args.drain);
    if args.warmup > 0 {
        let run = begin(args.warmup, false);
        plan(None).send_all(&run, &Arc::default()).await;
        drain(&run, limit).await;
    }

    let plan = plan(setting.rate);
    let before = Snapshot::take(&args.pids, false);
    let run = begin(setting.n, setting.keep_times);
    let stage = Stage { bench, plan, run, sent: Arc::default() };
    let extra = act(&stage).await?;
    let all_arrived = stage.drain().await;
    let after = Snapshot::take(&args.pids, true);
    // Duplicates and late strays show up in a short quiet time.
    tokio::time::sleep(Duration::from_secs_f64(args.linger)).await;
    // What comes from here on counts as a stray, so that the figures below agree.
    bench.receiver.watch(None);
    let report = report(&stage, &setting, &field.dead, all_arrived, (&before, &after), extra);
    bench.delete(&mut admin, &field).await?;
    Ok(report)
}

fn report(
    stage: &Stage,
    setting: &Setting,
    dead: &[bool],
    all_arrived: bool,
    (before, after): (&Snapshot, &Snapshot),
    extra: Value,
) -> Value {
    let (args, run, sent) = (&stage.bench.args, &stage.run, &stage.sent);
    let per_s = |count: u64, secs: f64| (count as f64 / secs.max(1e-6) * 10.0).round() / 10.0;
    let delivered = run.healthy.load(Relaxed);
    let accepted = sent.ok.load(Relaxed);
    let last_s = run.last_us.load(Relaxed) as f64 / 1e6;
    let send_s = sent.last_ack_us.load(Relaxed) as f64 / 1e6;
    json!({
        "label": args.label,
        "mode": format!("{:?}", args.kind).to_lowercase(),
        "n": setting.n, "c": setting.conns, "rate": setting.rate, "bytes": args.bytes,
        "apps": args.apps, "endpoints": args.endpoints, "idempotency": args.idempotency,
        "dead": dead.iter().filter(|d| **d).count(), "dead_mode": args.dead_mode,
        "accepted": accepted,
        "answers": sent.answers(),
        "errors": sent.errors(),
        "send_s": send_s,
        "accepted_per_s": per_s(accepted, send_s),
        "accepted_per_s_by_tenth": sent.per_s_by_tenth(setting.n),
        "ack": sent.ack.json(),
        "delivered": delivered,
        "delivered_per_s": per_s(delivered, last_s),
        "wall_s": last_s,
        "e2e": run.e2e.json(),
        "complete": run.complete.json(),
        "all_arrived": all_arrived,
        "missing": run.missing(),
        "duplicates": run.duplicates.load(Relaxed),
        "republished": run.republished.load(Relaxed),
        "attempts": run.attempts.load(Relaxed),
        "dead_attempts": run.dead_attempts.load(Relaxed),
        "strays": stage.bench.receiver.strays.load(Relaxed),
        "receiver_connections": stage.bench.receiver.connections.load(Relaxed),
        "cpu": cpu::report(before, after, accepted, delivered),
        "extra": extra,
    })
}
