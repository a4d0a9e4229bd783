//! Limits of endpoints and applications that three nodes own, and one of them dies.
use crate::{
    database::Database,
    fleet::{self, Fleet},
    goals::{
        Goal::{AtLeast, AtMost},
        Goals,
    },
    loadgen::number,
};
use anyhow::{Context, Result};
use std::{thread, time::Duration};

const NODES: usize = 3;

/// Most deliveries per second, of an endpoint or of an application.
const ENDPOINT: u32 = 50;
const APPLICATION: u32 = 120;

/// A window may begin with a burst of 50 ms worth, but at least one for each owner; the way to the
/// receiver bunches arrivals by as much as 20 ms.
const BURST_S: f64 = 0.05 + 0.02;

/// At most so much less than the limit over 10 s.
const LEAST: f64 = 0.98;

/// When the owner dies: all is sent by then, and there are whole windows before and after.
const DIES_AFTER: Duration = Duration::from_secs(12);

/// Runs both kinds of limit, with all nodes alive and with one that dies.
pub fn run(full: bool, goals: &mut Goals) -> Result<()> {
    let database = Database::start_with(&[]);
    let settings = "sweep_interval = \"500ms\"";
    let mut fleet = Fleet::start("roll-limits", &vec![database.url(); NODES], settings)?;
    let secs = if full { 40 } else { 14 };
    for (what, limit, shape) in [
        ("endpoint", ENDPOINT, format!("--endpoint-limit {ENDPOINT} --apps 6")),
        ("application", APPLICATION, format!("--app-limit {APPLICATION} --apps 2 --endpoints 6")),
    ] {
        for dies in if full { &[false, true][..] } else { &[false][..] } {
            // Kept: the one that is asked to delete them may have died.
            let load = fleet.load(&format!("limits {shape} --secs {secs} --drain 120 --keep"))?;
            if *dies {
                thread::sleep(DIES_AFTER);
                fleet.nodes[0].kill()?;
            }
            let report = load.report()?;
            let how = if *dies { "an owner dies" } else { "three owners" };
            let name = format!("{what} limit {limit}/s, {how}");
            goals.promise(&format!("{name}: missing"), number(&report, "missing")?, AtMost(0.0));
            let windows = "extra/windows_10s";
            let most = number(&report, &format!("{windows}/max_ratio"))?;
            let bursts = BURST_S.max(NODES as f64 / f64::from(limit));
            let bound = AtMost(1.0 + bursts / 10.0);
            goals.figure(&format!("{name}: most in 10 s, of it"), most, bound);
            let least = number(&report, &format!("{windows}/min_ratio"))?;
            let name = format!("{name}: least in 10 s, of it");
            match dies {
                // Nobody sends what the dead one owned until its lease is over.
                true => goals.shown(&name, least),
                false => goals.figure(&name, least, AtLeast(LEAST)),
            }
            goals.keep(report);
            if *dies {
                fleet.nodes[0].start().context("the one that died")?;
                fleet.wait_balanced(fleet::BALANCE_LIMIT)?;
            }
        }
    }
    fleet.discard()
}
