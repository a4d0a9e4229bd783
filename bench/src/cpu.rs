//! CPU and memory accounts between two moments.
use crate::procs::{self, Usage};
use serde_json::{Value, json};
use std::{collections::HashMap, time::Instant};

/// The accounts at one moment.
pub struct Snapshot {
    at: Instant,
    trees: Vec<(String, Usage)>,
    own: HashMap<String, f64>,
    machine: (f64, f64, f64),
}

impl Snapshot {
    /// Takes the accounts of the named process trees, of our own threads and of the machine.
    /// `memory` comes last: reading it costs CPU time of its own.
    pub fn take(pids: &[(String, u32)], memory: bool) -> Self {
        let mut out = Self {
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
}

/// What was used from `a` to `b`, in all and per message and delivery.
pub fn report(a: &Snapshot, b: &Snapshot, messages: u64, deliveries: u64) -> Value {
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
    let loadgen = own("lg-send") + own("lg-recv");
    let (busy, steal) = (b.machine.0 - a.machine.0, b.machine.1 - a.machine.1);
    let machine = (b.machine.2 - a.machine.2).max(0.001);
    json!({
        "servers": trees,
        "servers_cpu_s": round(total),
        "servers_cpu_us_per_message": per(total, messages),
        "servers_cpu_us_per_delivery": per(total, deliveries),
        "sender_cpu_us_per_message": per(own("lg-send"), messages),
        "receiver_cpu_us_per_delivery": per(own("lg-recv"), deliveries),
        "window_s": round((b.at - a.at).as_secs_f64()),
        "loadgen_cpu_s": round(loadgen),
        // CPU that neither the named servers nor we used: neighbours, kernel threads.
        "other_busy": round((busy - total - loadgen).max(0.0) / machine),
        "machine_busy": round(busy / machine),
        "machine_steal": round(steal / machine),
    })
}
