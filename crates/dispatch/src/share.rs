//! A rate that several nodes share. Each takes a part of it for itself from the store, a tenth of a second
//! at a time, and starts at the evenly spaced moments that make it up: together they keep to the rate.

use std::{collections::VecDeque, time::Duration};

use domain::clock::Timestamp;
use store::nodes::Slice;

/// A moment that was missed by more than this is gone: what is made up for later would be too much then.
const MISSED: Duration = Duration::from_millis(50);
/// Wait before a store that did not answer is asked again.
const RETRY: Duration = Duration::from_millis(100);
/// How long an answer may take before the tenant is looked at again.
const PATIENCE: Duration = Duration::from_secs(1);

/// This node's part of a rate.
#[derive(Debug)]
pub struct Share {
    rate: u16,
    interval: Duration,
    /// When the next attempt of each part may start, and how many are left of it.
    slices: VecDeque<(Timestamp, u32)>,
    asked: bool,
    ask_at: Timestamp,
}

impl Share {
    /// Of a rate in attempts per second, with nothing of it yet.
    pub fn new(rate: u16) -> Self {
        let interval = Duration::from_secs(1) / u32::from(rate.max(1));
        Self { rate, interval, slices: VecDeque::new(), asked: false, ask_at: Timestamp::EPOCH }
    }

    /// Whether an attempt may start now, or when to look again.
    pub fn ready_at(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        while let Some((from, left)) = self.slices.front_mut() {
            if from.plus(MISSED) >= now {
                break;
            }
            *from = from.plus(self.interval);
            *left -= 1;
            if *left == 0 {
                self.slices.pop_front();
            }
        }
        match self.slices.front() {
            Some((from, _)) if *from <= now => Ok(()),
            Some((from, _)) => Err(*from),
            None if self.asked => Err(now.plus(PATIENCE)),
            None => Err(self.ask_at.max(now)),
        }
    }

    /// An attempt starts. [`Share::ready_at`] has said that it may.
    pub fn take(&mut self) {
        let Some((from, left)) = self.slices.front_mut() else { return };
        *from = from.plus(self.interval);
        *left -= 1;
        if *left == 0 {
            self.slices.pop_front();
        }
    }

    /// How many attempts to ask the store for, if it is time: before what there is runs out.
    pub fn wants(&mut self, now: Timestamp) -> Option<u32> {
        let part = u32::from(self.rate).div_ceil(10).max(1);
        let left: u32 = self.slices.iter().map(|(_, left)| left).sum();
        if self.asked || now < self.ask_at || 2 * left > part {
            return None;
        }
        self.asked = true;
        Some(part)
    }

    /// What the store gave; `None` if it did not answer.
    pub fn got(&mut self, slice: Option<Slice>, now: Timestamp) {
        self.asked = false;
        match slice {
            Some(Slice { from, attempts: 0 }) => self.ask_at = from.max(now.plus(MISSED / 10)),
            Some(Slice { from, attempts }) => self.slices.push_back((from, attempts)),
            None => self.ask_at = now.plus(RETRY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_spaced_and_what_is_missed_is_gone() {
        let at = |millis: u64| Timestamp::from_secs(100).plus(Duration::from_millis(millis));
        let mut share = Share::new(100);
        assert_eq!(share.ready_at(at(0)), Err(at(0)), "it has to be asked for");
        assert_eq!(share.wants(at(0)), Some(10));
        assert_eq!(share.wants(at(0)), None, "it was asked for");
        share.got(Some(Slice { from: at(20), attempts: 10 }), at(5));
        assert_eq!(share.ready_at(at(5)), Err(at(20)));
        assert_eq!(share.ready_at(at(20)), Ok(()));
        share.take();
        assert_eq!(share.ready_at(at(20)), Err(at(30)));
        // Those of 30 to 70 were missed by more than is made up for.
        assert_eq!(share.ready_at(at(130)), Ok(()));
        let mut made_up = 0;
        while share.ready_at(at(130)).is_ok() {
            share.take();
            made_up += 1;
        }
        assert_eq!(made_up, 4, "of 80 to 110");
        assert_eq!(share.wants(at(130)), Some(10));
        share.got(Some(Slice { from: at(400), attempts: 0 }), at(131));
        assert_eq!(share.wants(at(399)), None);
        assert_eq!(share.wants(at(400)), Some(10));
        share.got(None, at(401));
        assert_eq!(share.ready_at(at(401)), Err(at(501)));
    }
}
