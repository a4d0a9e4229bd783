//! Events that providers post: how many are stored, and delivered, and how soon they are acknowledged.
use super::Campaign;
use crate::{
    goals::Goal::{AtLeast, AtMost},
    loadgen::number,
};
use anyhow::Result;

/// Events stored per second: verified, told from duplicates, durable before the answer.
const STORED: f64 = 14_000.0;

/// Events stored and delivered to one endpoint each, per second.
const DELIVERED: f64 = 8_000.0;

/// From a request to its answer, at half of these, in ms.
const ACKNOWLEDGED_P99: f64 = 25.0;

impl Campaign {
    /// Both ways of receiving, as fast as it goes and at half of what is wanted.
    pub(super) fn received(&mut self) -> Result<()> {
        let n = self.pick(200_000, 15_000);
        let secs = self.pick(15, 3);
        for (what, flags, rate_of, wanted) in [
            ("received and stored", "--stored-only", "accepted_per_s", STORED),
            ("received and delivered", "", "delivered_per_s", DELIVERED),
        ] {
            let report =
                self.loadgen(&format!("closed --inbound {flags} --c 256 --n {n} --warmup 5000"))?;
            self.complete(what, &report)?;
            let rate = number(&report, rate_of)?;
            self.figure(&format!("{what}: events/s"), rate, AtLeast(wanted));
            let half = wanted / 2.0;
            let report = self.loadgen(&format!(
                "open --inbound {flags} --c 256 --rate {half} --secs {secs} --warmup 2000"
            ))?;
            self.complete(&format!("{what} at {half}/s"), &report)?;
            let ack = number(&report, "ack/p99_ms")?;
            let name = format!("{what} at {half}/s: acknowledged p99, ms");
            self.figure(&name, ack, AtMost(ACKNOWLEDGED_P99));
        }
        Ok(())
    }
}
