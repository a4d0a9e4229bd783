//! The one place where real time and real chance come from.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::{
    clock::{Clock, Timestamp},
    entropy::Entropy,
};
use rand::RngCore;
use rustix::time::{ClockId, clock_gettime};

/// The clocks of the operating system.
pub struct SystemClock;

impl SystemClock {
    /// The clocks of the operating system.
    pub fn new() -> Self {
        Self
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the real clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp::EPOCH.plus(since)
    }

    /// Runs on while the machine sleeps: whoever held a lease before must know that it is over.
    fn monotonic(&self) -> Duration {
        let time = clock_gettime(ClockId::Boottime);
        let secs = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::new(secs, u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}

/// How this machine is called.
pub fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A cryptographic generator per thread, seeded by the operating system.
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the real source of chance")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}
