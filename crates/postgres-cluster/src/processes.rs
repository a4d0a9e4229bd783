//! Processes as `/proc` tells of them, and signals to them.
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    process::Child,
    thread,
    time::{Duration, Instant},
};

/// Asks again and again until the answer is yes; `false` if it never was within `limit`.
pub(crate) fn until(limit: Duration, mut yes: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !yes() {
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Sends a signal. A process that is gone already is no error: that is a race nobody can win.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process number");
    let _ = kill_process(pid, signal);
}

/// Waits until a child has ended and is reaped.
pub(crate) fn ended(child: &mut Child, limit: Duration) -> bool {
    until(limit, || matches!(child.try_wait(), Ok(Some(_)) | Err(_)))
}

/// Whether nothing of a process is left that holds a file, a port or memory. A zombie is gone: the
/// first process of a container may never reap it.
pub(crate) fn is_gone(pid: u32) -> bool {
    matches!(stat(pid), None | Some(('Z' | 'X', _)))
}

/// Whether a process has stopped, or is gone.
pub(crate) fn is_stopped(pid: u32) -> bool {
    matches!(stat(pid), None | Some(('T' | 't' | 'Z' | 'X', _)))
}

/// All that descend from a process, itself not among them.
pub(crate) fn descendants(of: u32) -> Vec<u32> {
    let all: Vec<(u32, u32)> = fs::read_dir("/proc")
        .expect("/proc is there")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?.1)))
        .collect();
    let mut family = vec![of];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        family.extend(all.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| pid));
        next += 1;
    }
    family.split_off(1)
}

/// The files of POSIX shared memory that a process of PostgreSQL has mapped, a line for each. Empty
/// if we may not look.
pub(crate) fn shared_memory(pid: u32) -> String {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let files = maps.lines().filter_map(|line| Some(&line[line.find("/dev/shm/PostgreSQL.")?..]));
    files.flat_map(|file| [file, "\n"]).collect()
}

/// State and parent. The name stands between them and the number, in parentheses, and may contain
/// anything.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
