//! What this node counted and has not written yet: attempts, by the shard of their endpoint and the epoch
//! that they were made under. Whoever writes a shard's counts owns it under that epoch; counts of another
//! one are its next owner's to find, in the attempts themselves.
//!
//! A shard that is new to this node, or of which something may be missing (a commit whose answer was lost,
//! more than there is room for), is recounted first: see [`takeover`](super::takeover). Until then what is
//! counted of it waits here.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

use domain::{
    analytics::{CountedAttempt, Rollup, Unit},
    clock::Timestamp,
    id::{ApplicationId, EndpointId, OrganizationId},
    name::EventTypeName,
    shard::Shard,
};
use parking_lot::Mutex;
use store::deliveries::{Epoch, NO_EPOCH, Settle};
use tokio::time::Instant;

/// Most rows that wait. What comes beyond is recounted.
const MOST_ROWS: usize = 100_000;
/// Minutes are taken for complete so long after their end: outcomes that are still on their way to the
/// committer are in them by then, mostly. One that comes later lowers the mark.
const SLACK: Duration = Duration::from_secs(5);

/// What is counted together. In the order of keys as they are stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) org: OrganizationId,
    pub(crate) app: ApplicationId,
    /// The beginning of the unit.
    pub(crate) at: Timestamp,
    /// `None`: of messages.
    pub(crate) endpoint: Option<EndpointId>,
    /// `None`: of what never became an event.
    pub(crate) event_type: Option<EventTypeName>,
}

pub(super) type Counts = HashMap<Key, Rollup>;

/// A shard, as one of its owners.
pub(super) type Owned = (Shard, Epoch);

/// How far a shard is counted.
pub(super) type Mark = (Owned, Timestamp);

/// An attempt that took its delivery, and its minute.
struct Fact<'a> {
    owned: Owned,
    minute: Timestamp,
    counted: CountedAttempt,
    settle: &'a Settle,
}

impl<'a> Fact<'a> {
    fn of(settle: &'a Settle) -> Option<Self> {
        let attempt = settle.attempt.as_ref()?;
        let counted = CountedAttempt::new(attempt, settle.wanted_at);
        let owned = (settle.delivery.shard(), settle.epoch);
        Some(Self { owned, minute: Unit::Minute.floor(counted.ended_at), counted, settle })
    }

    fn key(&self) -> Key {
        let delivery = &self.settle.delivery;
        Key {
            org: delivery.org,
            app: delivery.app,
            at: self.minute,
            endpoint: Some(delivery.endpoint),
            event_type: Some(self.settle.event_type.clone()),
        }
    }
}

/// What was counted of a shard.
#[derive(Default)]
struct OfShard {
    counts: Counts,
    /// The earliest minute of them.
    oldest: Option<Timestamp>,
    /// The mark that is stored, or a later one: once it has been recounted, or lowered.
    mark: Option<Timestamp>,
    /// To be recounted from then on; `None` if that is done.
    recount_at: Option<Instant>,
}

impl OfShard {
    fn clear(&mut self) -> usize {
        self.oldest = None;
        let rows = self.counts.len();
        self.counts = Counts::new();
        rows
    }

    fn add(&mut self, minute: Timestamp) {
        self.oldest = Some(self.oldest.map_or(minute, |oldest| oldest.min(minute)));
    }
}

#[derive(Default)]
struct Inner {
    shards: HashMap<Owned, OfShard>,
    rows: usize,
}

/// See [the module](self).
pub(crate) struct Gather {
    /// Held from before outcomes are written until they are counted: whoever else holds it finds all of
    /// this node's attempts that are committed counted here, or in doubt.
    pub(super) writing: tokio::sync::Mutex<()>,
    inner: Mutex<Inner>,
    /// After so long nothing is under way any more that was when it began.
    wait: Duration,
}

impl Gather {
    pub(super) fn new(wait: Duration) -> Self {
        Self { writing: tokio::sync::Mutex::new(()), inner: Mutex::default(), wait }
    }

    /// Shards whose marks these outcomes must lower, with the minute that they must be lowered to. Of a shard
    /// that has not been recounted it is not known: the one before may have counted up to a time that is still
    /// to come by this node's clock.
    pub(super) fn lowered<'a>(&self, settles: impl Iterator<Item = &'a Settle>) -> Vec<Mark> {
        let inner = self.inner.lock();
        let mut lowered: HashMap<Owned, Timestamp> = HashMap::new();
        for fact in settles.filter_map(Fact::of) {
            if fact.owned.1 == NO_EPOCH {
                continue;
            }
            let mark = inner.shards.get(&fact.owned).and_then(|of_shard| of_shard.mark);
            if mark.is_none_or(|mark| fact.minute < mark) {
                let to = lowered.entry(fact.owned).or_insert(fact.minute);
                *to = fact.minute.min(*to);
            }
        }
        lowered.into_iter().collect()
    }

    /// Counts outcomes that are committed and took their deliveries.
    pub(super) fn count<'a>(&self, settles: impl Iterator<Item = &'a Settle>) {
        let now = Instant::now();
        let inner = &mut *self.inner.lock();
        for fact in settles.filter_map(Fact::of) {
            let of_shard = inner.shards.entry(fact.owned).or_insert_with(|| OfShard {
                recount_at: (fact.owned.1 != NO_EPOCH).then_some(now + self.wait),
                ..OfShard::default()
            });
            let room = inner.rows < MOST_ROWS;
            match of_shard.counts.entry(fact.key()) {
                Entry::Occupied(known) => known.into_mut().add(&fact.counted),
                Entry::Vacant(new) if room => {
                    new.insert(Rollup::default()).add(&fact.counted);
                    inner.rows += 1;
                    of_shard.add(fact.minute);
                }
                Entry::Vacant(_) => {
                    of_shard.recount_at.get_or_insert(now);
                    inner.rows -= of_shard.clear();
                }
            }
        }
    }

    /// It is not known whether these are committed: their shards are recounted once it is.
    pub(super) fn doubt<'a>(&self, settles: impl Iterator<Item = &'a Settle>) {
        let facts = settles.filter_map(Fact::of);
        self.recount_later(facts.map(|fact| fact.owned));
    }

    /// These are recounted when whatever is under way has ended.
    pub(super) fn recount_later(&self, shards: impl Iterator<Item = Owned>) {
        let at = Instant::now() + self.wait;
        let mut inner = self.inner.lock();
        for owned in shards {
            inner.shards.entry(owned).or_default().recount_at = Some(at);
        }
    }

    /// This node owns these shards and no others.
    pub(super) fn own(&self, owned: &[Owned]) {
        let wanted: std::collections::HashSet<&Owned> = owned.iter().collect();
        let inner = &mut *self.inner.lock();
        inner.shards.retain(|key, of_shard| {
            let keep = key.1 == NO_EPOCH || wanted.contains(key);
            inner.rows -= if keep { 0 } else { of_shard.counts.len() };
            keep
        });
        let recount_at = Some(Instant::now() + self.wait);
        for key in owned.iter().filter(|(_, epoch)| *epoch != NO_EPOCH) {
            inner
                .shards
                .entry(*key)
                .or_insert_with(|| OfShard { recount_at, ..OfShard::default() });
        }
    }

    /// Shards that are to be recounted now, and when that was asked for.
    pub(super) fn to_recount(&self) -> Vec<(Owned, Instant)> {
        let now = Instant::now();
        let inner = self.inner.lock();
        let asked = inner.shards.iter().filter_map(|(key, of)| Some((*key, of.recount_at?)));
        asked.filter(|(_, at)| *at <= now).collect()
    }

    /// What was counted of these is found by the recount that has just begun. To be called while
    /// `writing` is held.
    pub(super) fn forget_counts(&self, shards: &[(Owned, Instant)]) {
        let inner = &mut *self.inner.lock();
        for (key, _) in shards {
            inner.rows -= inner.shards.get_mut(key).map_or(0, OfShard::clear);
        }
    }

    /// These have been recounted from their marks on, unless they are in doubt again.
    pub(super) fn recounted(&self, shards: &[(Owned, Instant)], marks: &HashMap<Shard, Timestamp>) {
        let mut inner = self.inner.lock();
        for (key, asked) in shards {
            let Some(of_shard) = inner.shards.get_mut(key) else { continue };
            if of_shard.recount_at == Some(*asked) {
                of_shard.recount_at = None;
            }
            let mark = (key.1 != NO_EPOCH).then(|| marks.get(&key.0).copied());
            of_shard.mark = mark.flatten();
        }
    }

    /// Takes what is to be written: of shards that need no recount.
    pub(super) fn take(&self) -> Vec<(Owned, Counts)> {
        let inner = &mut *self.inner.lock();
        let ready =
            |of_shard: &OfShard| of_shard.recount_at.is_none() && !of_shard.counts.is_empty();
        let mut taken = Vec::new();
        for (key, of_shard) in inner.shards.iter_mut().filter(|(_, of_shard)| ready(of_shard)) {
            inner.rows -= of_shard.counts.len();
            of_shard.oldest = None;
            taken.push((*key, std::mem::take(&mut of_shard.counts)));
        }
        taken
    }

    /// What was taken was not written.
    pub(super) fn put_back(&self, taken: Vec<(Owned, Counts)>) {
        let inner = &mut *self.inner.lock();
        for (key, counts) in taken {
            let of_shard = inner.shards.entry(key).or_default();
            for (key, rollup) in counts {
                of_shard.add(key.at);
                inner.rows += usize::from(!of_shard.counts.contains_key(&key));
                of_shard.counts.entry(key).or_default().merge(&rollup);
            }
        }
    }

    /// How far shards are counted, once what was taken is written: those of which that is further than
    /// what is stored. To be called while `writing` is held.
    pub(super) fn rising(&self, now: Timestamp) -> Vec<Mark> {
        let complete = Unit::Minute.floor(now.minus(SLACK));
        let inner = self.inner.lock();
        let rising = inner.shards.iter().filter_map(|(key, of_shard)| {
            let stored = of_shard.mark.filter(|_| of_shard.recount_at.is_none())?;
            let mark = of_shard.oldest.map_or(complete, |oldest| oldest.min(complete));
            (mark > stored).then_some((*key, mark))
        });
        rising.collect()
    }

    /// These marks are stored now.
    pub(super) fn marked(&self, marks: &[Mark]) {
        let mut inner = self.inner.lock();
        for (key, mark) in marks {
            if let Some(of_shard) = inner.shards.get_mut(key) {
                of_shard.mark = Some(*mark);
            }
        }
    }

    /// These are another node's.
    pub(super) fn drop_shards(&self, shards: &[Owned]) {
        let inner = &mut *self.inner.lock();
        for key in shards {
            let dropped = inner.shards.remove(key);
            inner.rows -= dropped.map_or(0, |of_shard| of_shard.counts.len());
        }
    }
}
