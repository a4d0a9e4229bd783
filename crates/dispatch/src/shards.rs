//! Which shards this node owns, under which epochs and until when, and which of them it is giving back.
//! What it owns and does not give back is active: only that is worked on.

use std::time::Duration;

use domain::{
    clock::Timestamp,
    shard::{SHARDS, Shard, ShardSet},
};
use store::{
    deliveries::{Epoch, NO_EPOCH},
    nodes::Ownership,
};

/// The epoch of a shard's first owner ever.
const FIRST_EPOCH: Epoch = NO_EPOCH + 1;

/// What is known of one shard.
#[derive(Clone, Copy, Debug, Default)]
struct Tenure {
    /// Under which it is owned, or was.
    epoch: Epoch,
    /// Since when, if somebody else had it before.
    taken_over_at: Option<Timestamp>,
    /// Until when it is given back at the latest.
    give_back_by: Option<Timestamp>,
    /// Whether the store was asked to take it back: it may have done so, whatever it answered.
    given_back: bool,
    /// Attempts of its deliveries that are under way or being settled, under whichever epoch.
    in_flight: usize,
}

/// What has become different.
#[derive(Debug)]
pub struct Change {
    /// Owned no more, or under another epoch.
    pub lost: ShardSet,
    /// Not active any more.
    pub stopped: ShardSet,
    /// Active, and was not, or was under another epoch.
    pub begun: ShardSet,
    /// Whether anything that begins was somebody else's before.
    pub taken_over: bool,
}

impl Change {
    fn sets(&self) -> [&ShardSet; 3] {
        [&self.lost, &self.stopped, &self.begun]
    }

    /// Whether nothing has.
    pub fn is_none(&self) -> bool {
        self.sets().into_iter().all(ShardSet::is_empty)
    }

    /// Whether it is about this shard.
    pub fn concerns(&self, shard: Shard) -> bool {
        self.sets().into_iter().any(|set| set.contains(shard))
    }
}

/// All shards.
#[derive(Debug)]
pub struct Shards {
    tenures: Vec<Tenure>,
    owned: ShardSet,
    active: ShardSet,
    /// By the monotonic clock: from then on nothing starts.
    until: Duration,
    /// Active, and nobody has looked for their work.
    unlooked: ShardSet,
    /// Whether one that is given back has come to rest.
    rested: bool,
}

impl Shards {
    /// None is owned.
    pub fn none() -> Self {
        Self {
            tenures: vec![Tenure::default(); usize::from(SHARDS)],
            owned: ShardSet::NONE,
            active: ShardSet::NONE,
            until: Duration::ZERO,
            unlooked: ShardSet::NONE,
            rested: false,
        }
    }

    /// Whether other nodes may own shards of the same store.
    pub fn are_leased(&self) -> bool {
        self.until < Duration::MAX
    }

    /// A heartbeat was answered: nothing starts from `until` on, by the monotonic clock. The highest of
    /// what is over the share is given back, `by` then at the latest.
    pub fn told(
        &mut self,
        ownership: &Ownership,
        until: Duration,
        (now, by): (Timestamp, Timestamp),
    ) -> Change {
        let (mut owned, mut renewed) = (ShardSet::NONE, ShardSet::NONE);
        let mut taken_over = false;
        for (shard, epoch) in &ownership.shards {
            owned.insert(*shard);
            let known = self.owned.contains(*shard);
            let tenure = &mut self.tenures[usize::from(shard.0)];
            if !known || tenure.epoch != *epoch {
                let had_owner = *epoch > FIRST_EPOCH;
                taken_over |= had_owner;
                *tenure = Tenure {
                    epoch: *epoch,
                    taken_over_at: had_owner.then_some(now),
                    in_flight: tenure.in_flight,
                    ..Tenure::default()
                };
                renewed.insert(*shard);
            }
        }
        // One that may be free already is not taken up again, even if the share has grown.
        let held = |shard: &Shard| !self.tenures[usize::from(shard.0)].given_back;
        let active = owned.iter().filter(held).take(ownership.share).collect();
        self.until = until;
        self.become_so(owned, active, renewed, by, taken_over)
    }

    /// All that is owned is given back, `by` then at the latest.
    pub fn give_all_back(&mut self, by: Timestamp) -> Change {
        self.become_so(self.owned, ShardSet::NONE, ShardSet::NONE, by, false)
    }

    /// These were given back.
    pub fn gone(&mut self, shards: &ShardSet, now: Timestamp) -> Change {
        let rest = |set: &ShardSet| set.iter().filter(|s| !shards.contains(*s)).collect();
        let (owned, active) = (rest(&self.owned), rest(&self.active));
        self.become_so(owned, active, ShardSet::NONE, now, false)
    }

    fn become_so(
        &mut self,
        owned: ShardSet,
        active: ShardSet,
        renewed: ShardSet,
        by: Timestamp,
        taken_over: bool,
    ) -> Change {
        let (mut lost, mut stopped, mut begun) = (ShardSet::NONE, ShardSet::NONE, ShardSet::NONE);
        for shard in (0..SHARDS).map(Shard) {
            let tenure = &mut self.tenures[usize::from(shard.0)];
            let is_new = renewed.contains(shard);
            if self.owned.contains(shard) && (!owned.contains(shard) || is_new) {
                lost.insert(shard);
            }
            if !active.contains(shard) {
                self.unlooked.remove(shard);
                if self.active.contains(shard) {
                    stopped.insert(shard);
                }
                if owned.contains(shard) {
                    tenure.give_back_by.get_or_insert(by);
                }
            } else if is_new || !self.active.contains(shard) {
                tenure.give_back_by = None;
                self.unlooked.insert(shard);
                begun.insert(shard);
            }
        }
        (self.owned, self.active) = (owned, active);
        Change { lost, stopped, begun, taken_over }
    }
    /// What is owned, given back or not.
    pub fn owned(&self) -> ShardSet {
        self.owned
    }

    /// What is worked on.
    pub fn active(&self) -> ShardSet {
        self.active
    }

    /// Whether a shard is worked on.
    pub fn is_active(&self, shard: Shard) -> bool {
        self.active.contains(shard)
    }

    /// Under which epoch a shard is owned.
    pub fn epoch(&self, shard: Shard) -> Option<Epoch> {
        self.owned.contains(shard).then(|| self.tenures[usize::from(shard.0)].epoch)
    }

    /// What is owned, given back or not, each under its epoch.
    pub fn epochs(&self) -> Vec<(Shard, Epoch)> {
        self.owned.iter().map(|shard| (shard, self.tenures[usize::from(shard.0)].epoch)).collect()
    }

    /// Whether a shard is owned under this epoch, and nobody else can own it before the lease is over.
    pub fn is_kept(&self, shard: Shard, epoch: Epoch) -> bool {
        self.epoch(shard) == Some(epoch) && !self.tenures[usize::from(shard.0)].given_back
    }

    /// Since when a shard is owned, if somebody else had it before.
    pub fn taken_over_at(&self, shard: Shard) -> Option<Timestamp> {
        self.tenures[usize::from(shard.0)].taken_over_at
    }

    /// How long attempts may still start; `None` is for ever.
    pub fn left(&self, monotonic: Duration) -> Option<Duration> {
        (self.until < Duration::MAX).then(|| self.until.saturating_sub(monotonic))
    }

    /// Whether attempts may start.
    pub fn may_start(&self, monotonic: Duration) -> bool {
        monotonic < self.until
    }

    /// What nobody has looked for work in since it became active.
    pub fn take_unlooked(&mut self) -> ShardSet {
        std::mem::replace(&mut self.unlooked, ShardSet::NONE)
    }

    /// An attempt starts.
    pub fn started(&mut self, shard: Shard) {
        self.tenures[usize::from(shard.0)].in_flight += 1;
    }

    /// An attempt is settled.
    pub fn settled(&mut self, shard: Shard) {
        let tenure = &mut self.tenures[usize::from(shard.0)];
        tenure.in_flight -= 1;
        self.rested |= tenure.in_flight == 0 && self.is_given_back(shard);
    }

    fn is_given_back(&self, shard: Shard) -> bool {
        self.owned.contains(shard) && !self.active.contains(shard)
    }

    /// Whether one that is given back has come to rest since this was asked last.
    pub fn take_rested(&mut self) -> bool {
        std::mem::take(&mut self.rested)
    }

    /// What can be given back now: it has come to rest, or has had its time. It is not active again
    /// before it was somebody else's.
    pub fn give_back(&mut self, now: Timestamp) -> ShardSet {
        let over = |tenure: &Tenure| {
            tenure.in_flight == 0 || tenure.give_back_by.is_some_and(|by| by <= now)
        };
        let shards: ShardSet = (0..SHARDS)
            .map(Shard)
            .filter(|s| self.is_given_back(*s) && over(&self.tenures[usize::from(s.0)]))
            .collect();
        for shard in shards.iter() {
            self.tenures[usize::from(shard.0)].given_back = true;
        }
        shards
    }

    /// When the next one that is given back has had its time.
    pub fn give_back_at(&self) -> Option<Timestamp> {
        let given_back = (0..SHARDS).map(Shard).filter(|shard| self.is_given_back(*shard));
        given_back.filter_map(|shard| self.tenures[usize::from(shard.0)].give_back_by).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOREVER: Duration = Duration::MAX;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn ownership(shards: impl IntoIterator<Item = (u16, Epoch)>, share: usize) -> Ownership {
        let shards = shards.into_iter().map(|(shard, epoch)| (Shard(shard), epoch)).collect();
        Ownership { shards, share, lease: None, time: None }
    }

    fn set(shards: impl IntoIterator<Item = u16>) -> ShardSet {
        shards.into_iter().map(Shard).collect()
    }

    #[test]
    fn the_highest_of_what_is_over_the_share_is_given_back_once_it_rests() {
        let mut shards = Shards::none();
        let all = || (0..8).map(|shard| (shard, 1));
        let change = shards.told(&ownership(all(), 8), FOREVER, (at(0), at(25)));
        assert_eq!((change.begun, change.taken_over), (set(0..8), false));
        assert_eq!(shards.take_unlooked(), set(0..8));
        shards.started(Shard(7));
        let change = shards.told(&ownership(all(), 5), FOREVER, (at(1), at(26)));
        assert_eq!((change.stopped, change.lost), (set(5..8), ShardSet::NONE));
        assert_eq!((shards.active(), shards.owned()), (set(0..5), set(0..8)));
        let change = shards.told(&ownership(all(), 6), FOREVER, (at(2), at(27)));
        assert_eq!(change.begun, set([5]), "the share has grown again");
        assert_eq!(shards.take_unlooked(), set([5]));
        assert_eq!(shards.give_back(at(2)), set([6]), "of the other one something is under way");
        assert!(!shards.take_rested());
        shards.settled(Shard(7));
        assert!(shards.take_rested() && !shards.take_rested());
        assert_eq!(shards.give_back(at(2)), set([6, 7]));
        let change = shards.told(&ownership(all(), 8), FOREVER, (at(3), at(28)));
        assert_eq!(change.begun, ShardSet::NONE, "they may be free already");
        assert_eq!(shards.gone(&set([6, 7]), at(3)).lost, set([6, 7]));
        assert_eq!((shards.owned(), shards.epoch(Shard(7))), (set(0..6), None));
    }

    #[test]
    fn what_does_not_rest_is_given_back_when_its_time_is_over() {
        let mut shards = Shards::none();
        shards.told(&ownership([(3, 1)], 1), FOREVER, (at(0), at(25)));
        shards.started(Shard(3));
        shards.give_all_back(at(10));
        shards.told(&ownership([(3, 1)], 0), FOREVER, (at(5), at(30)));
        assert_eq!(shards.give_back_at(), Some(at(10)));
        assert_eq!(shards.give_back(at(9)), ShardSet::NONE);
        assert!(shards.is_kept(Shard(3), 1) && !shards.is_kept(Shard(3), 2));
        assert_eq!(shards.give_back(at(10)), set([3]));
        assert!(!shards.is_kept(Shard(3), 1), "it may be somebody else's at once");
    }

    #[test]
    fn another_epoch_is_another_tenure() {
        let mut shards = Shards::none();
        shards.told(&ownership([(1, 1), (2, 1)], 2), FOREVER, (at(0), at(25)));
        shards.started(Shard(1));
        let change = shards.told(&ownership([(1, 3)], 2), FOREVER, (at(1), at(26)));
        assert_eq!((change.lost, change.begun), (set([1, 2]), set([1])));
        assert!(change.taken_over);
        assert_eq!(shards.taken_over_at(Shard(1)), Some(at(1)));
        assert_eq!(shards.epoch(Shard(1)), Some(3));
        shards.settled(Shard(1));
    }

    #[test]
    fn nothing_starts_after_its_time() {
        let mut shards = Shards::none();
        let secs = Duration::from_secs;
        assert!(!shards.may_start(secs(0)));
        shards.told(&ownership([(1, 1)], 1), secs(7), (at(0), at(25)));
        assert!(shards.may_start(secs(6)) && !shards.may_start(secs(7)));
        assert_eq!(shards.left(secs(5)), Some(secs(2)));
        shards.told(&ownership([(1, 1)], 1), FOREVER, (at(0), at(25)));
        assert_eq!(shards.left(secs(5)), None);
    }
}
