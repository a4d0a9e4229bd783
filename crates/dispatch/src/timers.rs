//! When to look at a lane or tenant again: at most one moment for each.

use std::collections::{BTreeSet, HashMap};

use domain::{
    clock::Timestamp,
    id::{ApplicationId, EndpointId},
};

/// What is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alarm {
    /// A lane.
    Lane(EndpointId),
    /// A tenant whose rate limit was reached.
    Tenant(ApplicationId),
}

/// The alarms that are set.
#[derive(Debug, Default)]
pub struct Timers {
    by_time: BTreeSet<(Timestamp, Alarm)>,
    at: HashMap<Alarm, Timestamp>,
}

impl Timers {
    /// Sets an alarm; the one it had before is gone.
    pub fn set(&mut self, alarm: Alarm, at: Timestamp) {
        if self.at.get(&alarm) == Some(&at) {
            return;
        }
        self.clear(alarm);
        if at < Timestamp::MAX {
            self.at.insert(alarm, at);
            self.by_time.insert((at, alarm));
        }
    }

    /// Takes an alarm back.
    pub fn clear(&mut self, alarm: Alarm) {
        if let Some(at) = self.at.remove(&alarm) {
            self.by_time.remove(&(at, alarm));
        }
    }

    /// Takes the next alarm that is due.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<Alarm> {
        let (at, alarm) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.clear(alarm);
        Some(alarm)
    }

    /// When the next alarm is due.
    pub fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }
}
