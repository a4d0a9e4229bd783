//! CPU time and memory of other processes (with their descendants) and of our own threads.
use std::{collections::HashMap, fs};

const TICKS_PER_S: f64 = 100.0; // USER_HZ on Linux

struct Stat {
    ppid: u32,
    comm: String,
    own_ticks: u64,
    reaped_ticks: u64,
}

fn parse_stat(text: &str) -> Option<Stat> {
    let open = text.find('(')?;
    let close = text.rfind(')')?;
    let f: Vec<&str> = text[close + 2..].split(' ').collect();
    let n = |i: usize| f.get(i).and_then(|s| s.parse::<u64>().ok()).unwrap_or(0);
    Some(Stat {
        ppid: n(1) as u32,
        comm: text[open + 1..close].to_owned(),
        own_ticks: n(11) + n(12),
        reaped_ticks: n(13) + n(14),
    })
}

fn kib(file: &str, key: &str) -> u64 {
    fs::read_to_string(file)
        .unwrap_or_default()
        .lines()
        .find_map(|l| l.strip_prefix(key))
        .and_then(|l| l.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// One named process tree.
#[derive(Clone, Debug)]
pub struct Usage {
    /// User and system time so far.
    pub cpu_s: f64,
    /// Living members.
    pub processes: usize,
    /// Sum of proportional set sizes: shared pages are counted once.
    pub pss_mib: f64,
    /// Largest resident size that the root ever had.
    pub peak_rss_mib: f64,
}

/// CPU of the tree: living members, plus what the root has already reaped.
pub fn tree(root: u32, memory: bool) -> Usage {
    let mut stats: HashMap<u32, Stat> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|s| s.parse().ok()) else {
            continue;
        };
        if let Some(s) =
            fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(|t| parse_stat(&t))
        {
            stats.insert(pid, s);
        }
    }
    let is_member = |mut pid: u32| {
        for _ in 0..64 {
            if pid == root {
                return true;
            }
            match stats.get(&pid) {
                Some(s) if s.ppid > 1 => pid = s.ppid,
                _ => return false,
            }
        }
        false
    };
    let mut out = Usage { cpu_s: 0.0, processes: 0, pss_mib: 0.0, peak_rss_mib: 0.0 };
    for (&pid, s) in &stats {
        if !is_member(pid) {
            continue;
        }
        out.processes += 1;
        out.cpu_s += (s.own_ticks + s.reaped_ticks) as f64 / TICKS_PER_S;
        if memory {
            out.pss_mib += kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:") as f64 / 1024.0;
            if pid == root {
                out.peak_rss_mib = kib(&format!("/proc/{pid}/status"), "VmHWM:") as f64 / 1024.0;
            }
        }
    }
    out
}

/// CPU seconds of our own threads, summed by thread name.
pub fn own_threads() -> HashMap<String, f64> {
    let mut out = HashMap::new();
    for entry in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        if let Some(s) =
            fs::read_to_string(entry.path().join("stat")).ok().and_then(|t| parse_stat(&t))
        {
            *out.entry(s.comm).or_insert(0.0) += s.own_ticks as f64 / TICKS_PER_S;
        }
    }
    out
}

/// (busy, steal, total) CPU seconds of the whole machine since boot.
pub fn machine() -> (f64, f64, f64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let v: Vec<f64> = text
        .lines()
        .next()
        .unwrap_or("")
        .split_whitespace()
        .skip(1)
        .take(8)
        .map(|s| s.parse::<f64>().unwrap_or(0.0) / TICKS_PER_S)
        .collect();
    let get = |i: usize| v.get(i).copied().unwrap_or(0.0);
    let total: f64 = v.iter().sum();
    let idle = get(3) + get(4);
    (total - idle - get(7), get(7), total)
}
