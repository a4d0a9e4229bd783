//! A store that several nodes share: what each of them sees of it. All that is stored is the store's own;
//! beside it there are leases of shards, settles that are fenced by them, and news of the others.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    clock::{Clock, Timestamp},
    id::{ApplicationId, OrganizationId},
    shard::ShardSet,
};
use parking_lot::Mutex;
use store::{
    Deliveries, Nodes, Result,
    deliveries::{LaneHead, NO_EPOCH},
    nodes::{News, NodeInfo, Ownership, Slice},
};
use tokio::sync::Notify;

use crate::{
    MemoryStore,
    leases::{LEASE, NodeId},
};

/// How far ahead attempts of a rate are given out at most.
const AHEAD: Duration = Duration::from_millis(200);
/// Lanes that wait to be told of. The owners of what is more find it by themselves.
const MOST_LANES: usize = 10_000;

/// What a node has not heard yet.
#[derive(Default)]
struct Inbox {
    news: Mutex<News>,
    told: Notify,
}

struct Known {
    id: NodeId,
    name: String,
    started_at: Timestamp,
    inbox: Weak<Inbox>,
}

/// Everybody who shares the store.
#[derive(Default)]
pub(crate) struct Members {
    /// Up to when the attempts of applications are given out.
    limits: Mutex<HashMap<(OrganizationId, ApplicationId), Timestamp>>,
    known: Mutex<Vec<Known>>,
    last: AtomicU64,
}

/// A node of a [`MemoryStore`].
pub struct MemoryNode {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) id: NodeId,
    clock: Arc<dyn Clock>,
    inbox: Arc<Inbox>,
}

impl MemoryStore {
    /// One more node that shares this store. `clock` is the store's own: the same for all.
    pub fn node(self: &Arc<Self>, name: &str, clock: Arc<dyn Clock>) -> Arc<MemoryNode> {
        let id = self.members.last.fetch_add(1, Ordering::Relaxed) + 1;
        let inbox = Arc::new(Inbox::default());
        let mut known = self.members.known.lock();
        known.retain(|known| known.inbox.strong_count() > 0);
        let (started_at, weak) = (clock.now(), Arc::downgrade(&inbox));
        known.push(Known { id, name: name.to_owned(), started_at, inbox: weak });
        Arc::new(MemoryNode { store: self.clone(), id, clock, inbox })
    }
}

impl MemoryNode {
    /// Tells the others. What they have not heard of is told in one.
    pub(crate) fn tell(&self, news: &News) {
        for known in self.store.members.known.lock().iter().filter(|known| known.id != self.id) {
            let Some(inbox) = known.inbox.upgrade() else { continue };
            let mut waiting = inbox.news.lock();
            let room = MOST_LANES.saturating_sub(waiting.lanes.len());
            waiting.lanes.extend(news.lanes.iter().take(room));
            waiting.applications.extend(&news.applications);
            waiting.organizations.extend(&news.organizations);
            waiting.expunged.extend(&news.expunged);
            waiting.revocations |= news.revocations;
            waiting.shards |= news.shards;
            waiting.lost |= news.lost;
            drop(waiting);
            inbox.told.notify_one();
        }
    }

    /// What this node was told may not be all there is: for tests.
    pub fn lose_news(&self) {
        *self.inbox.news.lock() = News { lost: true, ..News::default() };
        self.inbox.told.notify_one();
    }

    fn info(&self, known: &Known, heads: &[LaneHead]) -> Option<NodeInfo> {
        let inner = self.store.inner.lock();
        let (beat_at, leaving) = inner.leases.beat(known.id)?;
        let silent_for = self.clock.monotonic().saturating_sub(beat_at);
        let owned: Vec<_> = inner.leases.owned(known.id).collect();
        let shards: ShardSet = owned.iter().map(|(shard, _)| *shard).collect();
        let now = self.clock.now();
        let overdue = heads.iter().filter(|h| shards.contains(h.lane.shard) && h.next_due < now);
        let overdue: Vec<_> = overdue.map(|head| head.next_due).collect();
        (silent_for < LEASE).then(|| NodeInfo {
            id: known.id.to_string(),
            name: known.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            started_at: known.started_at,
            silent_for,
            leaving,
            shards: shards.len(),
            epoch: owned.iter().map(|(_, epoch)| *epoch).max().unwrap_or(NO_EPOCH),
            overdue: (overdue.len(), overdue.iter().min().copied()),
        })
    }
}

#[async_trait]
impl Nodes for MemoryNode {
    fn is_shared(&self) -> bool {
        true
    }

    async fn heartbeat(&self, leaving: bool) -> Result<Ownership> {
        let now: Duration = self.clock.monotonic();
        let mut inner = self.store.inner.lock();
        inner.faults.answers()?;
        let share = inner.leases.heartbeat(self.id, leaving, now);
        let shards = inner.leases.owned(self.id).collect();
        Ok(Ownership { shards, share, lease: Some(LEASE), time: Some(self.clock.now()) })
    }

    async fn release(&self, shards: &ShardSet) -> Result<()> {
        let any = {
            let mut inner = self.store.inner.lock();
            inner.faults.answers()?;
            inner.leases.release(self.id, shards)
        };
        if any {
            self.tell(&News { shards: true, ..News::default() });
        }
        Ok(())
    }

    async fn nodes(&self) -> Result<Vec<NodeInfo>> {
        let heads = self.store.lanes(&ShardSet::ALL, None, usize::MAX).await?;
        let known = self.store.members.known.lock();
        Ok(known.iter().filter_map(|known| self.info(known, &heads)).collect())
    }

    fn this_node(&self) -> Option<String> {
        Some(self.id.to_string())
    }

    fn wake(&self, lanes: Vec<LaneHead>) {
        self.tell(&News { lanes, ..News::default() });
    }

    async fn reserve(
        &self,
        org: OrganizationId,
        app: ApplicationId,
        rate: u16,
        attempts: u32,
    ) -> Result<Slice> {
        let interval = Duration::from_secs(1) / u32::from(rate.max(1));
        let now = self.clock.now();
        let mut limits = self.store.members.limits.lock();
        let next = limits.entry((org, app)).or_insert(now);
        let ahead = AHEAD.max(2 * interval);
        if *next > now.plus(ahead) {
            return Ok(Slice { from: next.minus(ahead), attempts: 0 });
        }
        let from = now.max(*next);
        *next = from.plus(interval * attempts);
        Ok(Slice { from, attempts })
    }

    async fn news(&self) -> News {
        loop {
            let told = self.inbox.told.notified();
            let news = std::mem::take(&mut *self.inbox.news.lock());
            if news != News::default() {
                return news;
            }
            told.await;
        }
    }
}
