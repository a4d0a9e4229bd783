//! Load generator for servers that speak the Svix message API.
//!
//! It starts its own receivers on loopback, creates the applications and endpoints over the API,
//! sends messages, waits for the deliveries, and prints one JSON object.
mod client;
mod hist;
mod procs;
mod recv;
mod run;

use bytes::Bytes;
use client::{Conn, Target};
use hist::Hist;
use hyper::Method;
use recv::Receiver;
use run::Run;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const USAGE: &str = "\
loadgen MODE [--flag value]...

modes
  nop       client straight to the receiver, no server between: the machine's own limit
  closed    C connections, each sending as soon as its last answer came
  open      fixed rate; latency counts from the scheduled time
  fanout    one message at a time, waiting until every endpoint has it
  backlog   receivers answer 503 until every message was tried once, then 200

flags
  --base URL             http://127.0.0.1:8071
  --token TOKEN          bearer token
  --n N                  messages (closed, fanout, backlog, nop)            [10000]
  --c C                  connections                                       [64]
  --rate R --secs T      open loop                                         [200, 20]
  --bytes B              payload bytes                                     [1024]
  --apps A               applications                                      [1]
  --endpoints E          endpoints per application                         [1]
  --dead F               fraction of all endpoints that are dead           [0]
  --dead-mode M          hang | 500 | refuse | slow<ms>                    [hang]
  --mode M               behaviour of the healthy endpoints: ok | slow<ms> [ok]
  --warmup W             messages sent and drained before measuring        [0]
  --drain S              seconds to wait for the last delivery             [60]
  --linger S             seconds to stay after the last one, for late duplicates   [0.5]
  --query Q              appended to the message route (with_content=false)
  --send-threads K  --recv-threads K                                       [1, 1]
  --pid NAME=PID         a process tree to account CPU and memory of (repeatable)
  --label TEXT           copied into the report
  --keep                 do not delete the applications afterwards
";

struct Args {
    mode: String,
    values: HashMap<String, Vec<String>>,
}

impl Args {
    fn parse() -> Result<Self, String> {
        let mut it = std::env::args().skip(1);
        let mode = it.next().ok_or(USAGE)?;
        let mut values: HashMap<String, Vec<String>> = HashMap::new();
        while let Some(flag) = it.next() {
            let name = flag.strip_prefix("--").ok_or(format!("unexpected {flag}\n\n{USAGE}"))?;
            let value = match name {
                "keep" => "1".to_owned(),
                _ => it.next().ok_or(format!("--{name} needs a value"))?,
            };
            values.entry(name.to_owned()).or_default().push(value);
        }
        Ok(Self { mode, values })
    }

    fn text(&self, name: &str, default: &str) -> String {
        self.values.get(name).and_then(|v| v.last()).map_or(default, |v| v).to_owned()
    }

    fn num<T: std::str::FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        match self.values.get(name).and_then(|v| v.last()) {
            None => Ok(default),
            Some(v) => v.parse().map_err(|_| format!("--{name}: not a number: {v}")),
        }
    }
}

/// Random text that messages take their padding from, so that it neither compresses nor costs
/// CPU time while sending.
struct Payloads {
    pool: Vec<u8>,
    bytes: usize,
}

impl Payloads {
    fn new(bytes: usize) -> Self {
        let mut x = 0x9E37_79B9_7F4A_7C15u64;
        let alphabet = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
        let pool = (0..(1 << 20) + bytes)
            .map(|_| {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                alphabet[(x >> 40) as usize % 64]
            })
            .collect();
        Self { pool, bytes }
    }

    fn payload(&self, run: u64, i: usize) -> String {
        let head = format!("{{\"lg_r\":{run},\"lg_i\":{i},\"pad\":\"");
        let pad = self.bytes.saturating_sub(head.len() + 2);
        let at = i.wrapping_mul(2_654_435_761) % (1 << 20);
        let text = std::str::from_utf8(&self.pool[at..at + pad]).expect("ASCII");
        format!("{head}{text}\"}}")
    }

    fn message(&self, run: u64, i: usize) -> Bytes {
        format!("{{\"eventType\":\"load.test\",\"payload\":{}}}", self.payload(run, i)).into()
    }
}

struct Sent {
    ack: Hist,
    ok: AtomicU64,
    errors: Mutex<BTreeMap<String, u64>>,
}

impl Sent {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            ack: Hist::default(),
            ok: AtomicU64::new(0),
            errors: Mutex::new(BTreeMap::new()),
        })
    }

    fn error(&self, what: String) {
        *self.errors.lock().expect("lock").entry(what).or_insert(0) += 1;
    }
}

struct Plan {
    target: Target,
    /// Route per application.
    routes: Vec<String>,
    payloads: Payloads,
    /// Post bare payloads (no server between).
    bare: bool,
    conns: usize,
    /// Messages per second; `None` is the closed loop.
    rate: Option<f64>,
    expect: u16,
}

async fn send_all(plan: &Arc<Plan>, run: &Arc<Run>, sent: &Arc<Sent>) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..plan.conns {
        let (plan, run, sent, next) = (plan.clone(), run.clone(), sent.clone(), next.clone());
        workers.spawn(async move {
            let mut conn = Conn::new(&plan.target);
            loop {
                let i = next.fetch_add(1, Relaxed);
                if i >= run.len() {
                    break;
                }
                let start = match plan.rate {
                    None => run.now_us(),
                    Some(rate) => {
                        let due = (i as f64 * 1e6 / rate) as u64;
                        tokio::time::sleep_until((run.t0 + Duration::from_micros(due)).into())
                            .await;
                        due
                    }
                };
                send_one(&plan, &run, &sent, &mut conn, i, start).await;
            }
        });
    }
    while workers.join_next().await.is_some() {}
}

async fn send_one(plan: &Plan, run: &Run, sent: &Sent, conn: &mut Conn, i: usize, start: u64) {
    let body = if plan.bare {
        plan.payloads.payload(run.id, i).into()
    } else {
        plan.payloads.message(run.id, i)
    };
    run.sent(i, start);
    match conn.send(Method::POST, &plan.routes[i % plan.routes.len()], body).await {
        Ok((status, _)) if status == plan.expect => {
            sent.ack.record(run.now_us().saturating_sub(start));
            sent.ok.fetch_add(1, Relaxed);
            run.accepted(i);
        }
        Ok((status, body)) => {
            let text: String = String::from_utf8_lossy(&body).chars().take(160).collect();
            sent.error(format!("HTTP {status} {text}"));
        }
        Err(e) => sent.error(format!("{e}")),
    }
}

async fn drain(run: &Run, limit: Duration) -> bool {
    let expected = run.expected();
    let until = Instant::now() + limit;
    while run.healthy.load(Relaxed) < expected {
        if Instant::now() > until {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    true
}

/// Creates the applications and endpoints; returns the application ids.
async fn create(
    conn: &mut Conn,
    apps: usize,
    per_app: usize,
    url: impl Fn(usize) -> String,
) -> Result<Vec<String>, String> {
    let mut ids = Vec::new();
    for a in 0..apps {
        let body = json!({ "name": format!("loadgen {a}") }).to_string();
        let out = post(conn, "/api/v1/app/", body).await?;
        let id = out["id"].as_str().ok_or("the application has no id")?.to_owned();
        for e in 0..per_app {
            let body = json!({ "url": url(a * per_app + e), "version": 1 }).to_string();
            post(conn, &format!("/api/v1/app/{id}/endpoint/"), body).await?;
        }
        ids.push(id);
    }
    Ok(ids)
}

async fn post(conn: &mut Conn, path: &str, body: String) -> Result<Value, String> {
    match conn.send(Method::POST, path, body).await {
        Ok((200..=299, bytes)) => {
            serde_json::from_slice(&bytes).map_err(|e| format!("{path}: {e}"))
        }
        Ok((status, bytes)) => {
            Err(format!("{path}: HTTP {status} {}", String::from_utf8_lossy(&bytes)))
        }
        Err(e) => Err(format!("{path}: {e}")),
    }
}

struct Snapshot {
    at: Instant,
    trees: Vec<(String, procs::Usage)>,
    own: HashMap<String, f64>,
    machine: (f64, f64, f64),
}

/// `memory` comes last: reading it costs CPU time of its own.
fn snapshot(pids: &[(String, u32)], memory: bool) -> Snapshot {
    let mut out = Snapshot {
        own: procs::own_threads(),
        machine: procs::machine(),
        at: Instant::now(),
        trees: pids.iter().map(|(n, p)| (n.clone(), procs::tree(*p, false))).collect(),
    };
    if memory {
        for ((_, usage), (_, pid)) in out.trees.iter_mut().zip(pids) {
            let full = procs::tree(*pid, true);
            (usage.pss_mib, usage.peak_rss_mib) = (full.pss_mib, full.peak_rss_mib);
        }
    }
    out
}

fn cpu_json(a: &Snapshot, b: &Snapshot, messages: u64, deliveries: u64) -> Value {
    let per = |cpu: f64, n: u64| (cpu * 1e6 / n.max(1) as f64 * 10.0).round() / 10.0;
    let round = |x: f64| (x * 100.0).round() / 100.0;
    let mut trees = serde_json::Map::new();
    let mut total = 0.0;
    for ((name, before), (_, after)) in a.trees.iter().zip(&b.trees) {
        let cpu = after.cpu_s - before.cpu_s;
        total += cpu;
        trees.insert(
            name.clone(),
            json!({
                "cpu_s": round(cpu),
                "cpu_us_per_delivery": per(cpu, deliveries),
                "pss_mib": round(after.pss_mib),
                "peak_rss_mib": round(after.peak_rss_mib),
                "processes": after.processes,
            }),
        );
    }
    let own = |name: &str| b.own.get(name).unwrap_or(&0.0) - a.own.get(name).unwrap_or(&0.0);
    let wall = (b.at - a.at).as_secs_f64();
    let loadgen = own("lg-send") + own("lg-recv");
    let machine_total = (b.machine.2 - a.machine.2).max(0.001);
    json!({
        "servers": trees,
        "servers_cpu_s": round(total),
        "servers_cpu_us_per_message": per(total, messages),
        "servers_cpu_us_per_delivery": per(total, deliveries),
        "sender_cpu_us_per_message": per(own("lg-send"), messages),
        "receiver_cpu_us_per_delivery": per(own("lg-recv"), deliveries),
        "window_s": round(wall),
        "loadgen_cpu_s": round(loadgen),
        // CPU that neither the named servers nor we used: neighbours, kernel threads.
        "other_busy": round(((b.machine.0 - a.machine.0) - total - loadgen).max(0.0) / machine_total),
        "machine_busy": round((b.machine.0 - a.machine.0) / machine_total),
        "machine_steal": round((b.machine.1 - a.machine.1) / machine_total),
    })
}

fn runtime(name: &'static str, threads: usize) -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .enable_all()
        .build()
        .expect("runtime")
}

fn main() -> ExitCode {
    match real_main() {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn real_main() -> Result<Value, String> {
    let args = Args::parse()?;
    if !["nop", "closed", "open", "fanout", "backlog"].contains(&args.mode.as_str()) {
        return Err(USAGE.to_owned());
    }
    let recv_rt = runtime("lg-recv", args.num("recv-threads", 1)?);
    let send_rt = runtime("lg-send", args.num("send-threads", 1)?);
    let receiver = Receiver::new();
    let listener = recv_rt
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .map_err(|e| e.to_string())?;
    let port = listener.local_addr().map_err(|e| e.to_string())?.port();
    recv_rt.spawn(receiver.clone().serve(listener));
    // A port that refuses: bound once so that it is free, then released.
    let refuse = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .map_err(|e| e.to_string())?
        .port();
    // Everything that is measured runs on the sender runtime's own threads.
    let (tx, rx) = std::sync::mpsc::channel();
    send_rt.spawn(async move {
        let _ = tx.send(drive(args, receiver, port, refuse).await);
    });
    let out = rx.recv().map_err(|e| e.to_string())?;
    send_rt.shutdown_background();
    recv_rt.shutdown_background();
    out
}

async fn drive(
    args: Args,
    receiver: Arc<Receiver>,
    port: u16,
    refuse: u16,
) -> Result<Value, String> {
    let mode = args.mode.as_str();
    let nop = mode == "nop";
    let apps: usize = args.num("apps", 1)?;
    let per_app: usize = args.num("endpoints", 1)?;
    let conns: usize = if mode == "fanout" { 1 } else { args.num("c", 64)? };
    let rate = match mode {
        "open" => Some(args.num("rate", 200.0)?),
        _ => None,
    };
    let n: usize = match rate {
        Some(r) => (r * args.num("secs", 20.0)?) as usize,
        None => args.num("n", if mode == "fanout" { 50 } else { 10_000 })?,
    };
    let dead_fraction: f64 = args.num("dead", 0.0)?;
    let dead_mode = args.text("dead-mode", "hang");
    let ok_mode = args.text("mode", "ok");
    let limit = Duration::from_secs_f64(args.num("drain", 60.0)?);
    let bytes: usize = args.num("bytes", 1024)?;
    let total = apps * per_app;
    // Dead ones are spread evenly.
    let step = if dead_fraction > 0.0 { (1.0 / dead_fraction).round() as usize } else { 0 };
    let dead: Vec<bool> = (0..total).map(|g| step > 0 && g % step == 0).collect();
    let pids: Vec<(String, u32)> = args
        .values
        .get("pid")
        .into_iter()
        .flatten()
        .map(|s| {
            let (name, pid) = s.split_once('=').unwrap_or((s, s));
            Ok((name.to_owned(), pid.parse().map_err(|_| format!("--pid {s}"))?))
        })
        .collect::<Result<_, String>>()?;

    let url = |g: usize| match (dead[g], dead_mode.as_str()) {
        (true, "refuse") => format!("http://127.0.0.1:{refuse}/m/ok/{g}"),
        (true, m) => format!("http://127.0.0.1:{port}/m/{m}/{g}"),
        (false, _) => format!("http://127.0.0.1:{port}/m/{ok_mode}/{g}"),
    };
    let base = if nop {
        format!("http://127.0.0.1:{port}")
    } else {
        args.text("base", "http://127.0.0.1:8071")
    };
    let target = Target::parse(&base, &args.text("token", ""))?;
    let mut admin = Conn::new(&target);
    let ids = if nop { vec![] } else { create(&mut admin, apps, per_app, url).await? };
    let query = match args.text("query", "").as_str() {
        "" => String::new(),
        q => format!("?{q}"),
    };
    let routes = if nop {
        (0..apps).map(|a| format!("/m/{ok_mode}/{}", a * per_app)).collect()
    } else {
        ids.iter().map(|id| format!("/api/v1/app/{id}/msg/{query}")).collect()
    };
    let plan = Arc::new(Plan {
        target,
        routes,
        payloads: Payloads::new(bytes),
        bare: nop,
        conns,
        rate,
        expect: if nop { 200 } else { 202 },
    });
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
    let begin = |id: u64, n: usize| {
        let run = Arc::new(Run::new(id, n, apps, per_app, dead.clone()));
        *receiver.run.write().expect("lock") = Some(run.clone());
        run
    };

    let warmup: usize = args.num("warmup", 0)?;
    if warmup > 0 {
        let run = begin(seed, warmup);
        let warm = Arc::new(Plan {
            target: plan.target.clone(),
            routes: plan.routes.clone(),
            payloads: Payloads::new(bytes),
            bare: nop,
            conns,
            rate: None,
            expect: plan.expect,
        });
        send_all(&warm, &run, &Sent::new()).await;
        drain(&run, limit).await;
    }

    let sent = Sent::new();
    let before = snapshot(&pids, false);
    let run = begin(seed + 1, n);
    let mut extra = json!({});
    if mode == "backlog" {
        receiver.down.store(true, Relaxed);
    }
    if mode == "fanout" {
        let mut conn = Conn::new(&plan.target);
        let until = Instant::now() + limit;
        for i in 0..n {
            send_one(&plan, &run, &sent, &mut conn, i, run.now_us()).await;
            while !run.done(i) && Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    } else {
        send_all(&plan, &run, &sent).await;
    }
    let send_s = run.t0.elapsed().as_secs_f64();
    let at_send_end = run.healthy.load(Relaxed);
    let mut up_at = 0.0;
    if mode == "backlog" {
        let until = Instant::now() + limit;
        while run.attempts.load(Relaxed) < run.expected() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        up_at = run.t0.elapsed().as_secs_f64();
        extra["attempts_while_down"] = json!(run.attempts.load(Relaxed));
        extra["down_for_s"] = json!(up_at);
        receiver.down.store(false, Relaxed);
    }
    let complete = drain(&run, limit).await;
    let after = snapshot(&pids, true);
    // Duplicates and late strays show up in a short quiet time.
    tokio::time::sleep(Duration::from_secs_f64(args.num("linger", 0.5)?)).await;
    // What comes from here on counts as a stray, so that the figures below agree.
    *receiver.run.write().expect("lock") = None;

    let healthy = run.healthy.load(Relaxed);
    let last_s = run.last_us.load(Relaxed) as f64 / 1e6;
    let first_s = run.first_us.load(Relaxed).min(run.last_us.load(Relaxed)) as f64 / 1e6;
    let accepted = sent.ok.load(Relaxed);
    if mode == "backlog" {
        extra["up_to_last_s"] = json!(last_s - up_at);
        extra["drain_window_s"] = json!(last_s - first_s);
        extra["drain_per_s"] = json!((healthy as f64 / (last_s - first_s).max(1e-6)).round());
    }
    if !nop && !args.values.contains_key("keep") {
        for id in &ids {
            let _ = admin.send(Method::DELETE, &format!("/api/v1/app/{id}/"), Bytes::new()).await;
        }
    }
    let rate_of = |count: u64, secs: f64| (count as f64 / secs.max(1e-6) * 10.0).round() / 10.0;
    Ok(json!({
        "label": args.text("label", ""),
        "mode": mode,
        "n": n, "c": conns, "rate": rate, "bytes": bytes,
        "apps": apps, "endpoints": per_app,
        "dead": dead.iter().filter(|d| **d).count(), "dead_mode": dead_mode,
        "accepted": accepted,
        "errors": *sent.errors.lock().expect("lock"),
        "send_s": send_s,
        "accepted_per_s": rate_of(accepted, send_s),
        "ack": sent.ack.json(),
        "delivered": healthy,
        "delivered_at_send_end": at_send_end,
        "delivered_per_s": rate_of(healthy, last_s),
        "wall_s": last_s,
        "e2e": run.e2e.json(),
        "complete": run.complete.json(),
        "all_arrived": complete,
        "lost": run.lost(),
        "duplicates": run.duplicates.load(Relaxed),
        "attempts": run.attempts.load(Relaxed),
        "dead_attempts": run.dead_attempts.load(Relaxed),
        "strays": receiver.strays.load(Relaxed),
        "receiver_connections": receiver.connections.load(Relaxed),
        "cpu": cpu_json(&before, &after, accepted, healthy),
        "extra": extra,
    }))
}
