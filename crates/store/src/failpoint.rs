//! Named points where the process can be made to die, for crash tests on the real binary. Off unless
//! armed at start; then one relaxed load per pass.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

static ARMED: OnceLock<(String, AtomicU32)> = OnceLock::new();

/// The points there are.
pub const NAMES: [&str; 6] = [
    "publish.before_commit",
    "publish.after_commit",
    "attempt.before_send",
    "attempt.after_response",
    "settle.before_commit",
    "settle.after_commit",
];

/// Arms one point: `name` or `name:passes`, where the process dies at that pass (from 1). False if
/// there is no such point.
pub fn arm(spec: &str) -> bool {
    let (name, passes) = spec.split_once(':').unwrap_or((spec, "1"));
    let Ok(passes) = passes.parse::<u32>() else { return false };
    NAMES.contains(&name) && ARMED.set((name.to_owned(), AtomicU32::new(passes.max(1)))).is_ok()
}

/// Dies here if this point is armed and this is the pass.
pub fn pass(name: &'static str) {
    if let Some((armed, left)) = ARMED.get()
        && armed == name
        && left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        eprintln!("fail point {name}: aborting");
        std::process::abort();
    }
}
