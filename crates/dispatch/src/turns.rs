//! Whose turn it is: deficit round robin over tenants, round robin over each tenant's lanes. A tenant
//! with a million deliveries gets as many turns as one with ten.

use std::collections::{HashMap, HashSet, VecDeque};

use domain::{
    clock::Timestamp,
    id::{ApplicationId, EndpointId, OrganizationId},
    throttle::Throttle,
};

use store::nodes::Slice;

use crate::share::Share;

/// What a tenant earns by a turn.
const QUANTUM: u32 = 4;
/// What a live delivery costs.
pub const LIVE_COST: u32 = 1;
/// What a replayed one costs: bulk gets a quarter of what live traffic gets.
pub const REPLAY_COST: u32 = 4;

#[derive(Debug, Default)]
struct Tenant {
    /// Lanes that have something to start.
    lanes: VecDeque<EndpointId>,
    deficit: u32,
    in_ring: bool,
    limit: Option<Limit>,
}

/// A tenant's rate limit.
#[derive(Debug)]
struct Limit {
    org: OrganizationId,
    rate: u16,
    kept: Kept,
}

/// Who counts it.
#[derive(Debug)]
enum Kept {
    /// This node alone.
    Alone(Throttle),
    /// All nodes, by the store.
    Together(Share),
}

impl Limit {
    fn ready_at(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        match &mut self.kept {
            Kept::Alone(throttle) => throttle.ready_at(now),
            Kept::Together(share) => share.ready_at(now),
        }
    }
}

/// A part of a tenant's rate to take from the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// Whose.
    pub org: OrganizationId,
    /// Which tenant.
    pub app: ApplicationId,
    /// Attempts per second.
    pub rate: u16,
    /// How many.
    pub attempts: u32,
}

/// Whose turn it is.
#[derive(Debug, Default)]
pub struct Turns {
    tenants: HashMap<ApplicationId, Tenant>,
    ring: VecDeque<ApplicationId>,
    enlisted: HashSet<EndpointId>,
    reserves: Vec<Reserve>,
}

/// What the next turn says.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// This lane of this tenant may start one delivery, if it can.
    Lane(ApplicationId, EndpointId),
    /// This tenant is at its rate limit until then.
    Throttled(ApplicationId, Timestamp),
    /// Nobody has anything to start.
    Nobody,
}

impl Turns {
    /// Sets a tenant's rate limit, which other nodes keep as well if it is `shared`. An unchanged one keeps
    /// what it has counted.
    pub fn limit(
        &mut self,
        (org, app): (OrganizationId, ApplicationId),
        rate: Option<u16>,
        shared: bool,
        now: Timestamp,
    ) {
        if rate.is_none() && !self.tenants.contains_key(&app) {
            return;
        }
        let tenant = self.tenants.entry(app).or_default();
        if tenant.limit.as_ref().map(|limit| limit.rate) != rate {
            tenant.limit = rate.map(|rate| {
                let kept = match shared {
                    true => Kept::Together(Share::new(rate)),
                    false => Kept::Alone(Throttle::new(rate, now)),
                };
                Limit { org, rate, kept }
            });
        }
    }

    /// Parts of tenants' rates that are to be taken from the store.
    pub fn take_reserves(&mut self) -> Vec<Reserve> {
        std::mem::take(&mut self.reserves)
    }

    /// A part of a tenant's rate is this node's; `None` if the store did not answer.
    pub fn reserved(&mut self, app: ApplicationId, slice: Option<Slice>, now: Timestamp) {
        let limit = self.tenants.get_mut(&app).and_then(|tenant| tenant.limit.as_mut());
        if let Some(Limit { kept: Kept::Together(share), .. }) = limit {
            share.got(slice, now);
        }
        self.wake(app);
    }

    /// A lane has something to start.
    pub fn enlist(&mut self, app: ApplicationId, lane: EndpointId) {
        if !self.enlisted.insert(lane) {
            return;
        }
        let tenant = self.tenants.entry(app).or_default();
        tenant.lanes.push_back(lane);
        self.wake(app);
    }

    /// A tenant may go on (its rate limit has room again).
    pub fn wake(&mut self, app: ApplicationId) {
        let Some(tenant) = self.tenants.get_mut(&app) else { return };
        if !tenant.in_ring && !tenant.lanes.is_empty() {
            tenant.in_ring = true;
            self.ring.push_back(app);
        }
    }

    /// Who is next. The same answer until it is told [`Turns::took`] or [`Turns::passed`].
    pub fn next(&mut self, now: Timestamp) -> Turn {
        while let Some(app) = self.ring.front().copied() {
            let tenant = self.tenants.get_mut(&app).expect("a tenant in the ring is known");
            let limit = match &mut tenant.limit {
                None => Ok(()),
                Some(limit) => {
                    if let Limit { org, rate, kept: Kept::Together(share) } = limit
                        && !tenant.lanes.is_empty()
                        && let Some(attempts) = share.wants(now)
                    {
                        self.reserves.push(Reserve { org: *org, app, rate: *rate, attempts });
                    }
                    limit.ready_at(now)
                }
            };
            if let (Some(lane), Ok(())) = (tenant.lanes.front(), limit) {
                return Turn::Lane(app, *lane);
            }
            tenant.in_ring = false;
            tenant.deficit = 0;
            self.ring.pop_front();
            if let Err(at) = limit {
                if !tenant.lanes.is_empty() {
                    return Turn::Throttled(app, at);
                }
            } else if tenant.limit.is_none() {
                // Nothing is remembered of a tenant without a limit.
                self.tenants.remove(&app);
            }
        }
        Turn::Nobody
    }

    /// Whether the tenant whose turn it is can pay `cost`. If not, it earns a turn's worth and the
    /// next tenant is asked.
    pub fn pay(&mut self, app: ApplicationId, cost: u32) -> bool {
        let tenant = self.tenants.get_mut(&app).expect("its turn was given out");
        if tenant.deficit >= cost {
            tenant.deficit -= cost;
            return true;
        }
        tenant.deficit += QUANTUM;
        self.ring.rotate_left(1);
        false
    }

    /// The lane started one: its tenant's next lane is next.
    pub fn took(&mut self, app: ApplicationId, now: Timestamp) {
        let tenant = self.tenants.get_mut(&app).expect("its turn was given out");
        match tenant.limit.as_mut().map(|limit| &mut limit.kept) {
            Some(Kept::Alone(throttle)) => {
                // Checked by `next` at this same moment.
                let _ = throttle.take(now);
            }
            Some(Kept::Together(share)) => share.take(),
            None => {}
        }
        if tenant.lanes.len() > 1 {
            tenant.lanes.rotate_left(1);
        }
    }

    /// The lane has nothing to start after all.
    pub fn passed(&mut self, app: ApplicationId) {
        let tenant = self.tenants.get_mut(&app).expect("its turn was given out");
        if let Some(lane) = tenant.lanes.pop_front() {
            self.enlisted.remove(&lane);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn app(n: u8) -> ApplicationId {
        ApplicationId::from_raw([n; 20])
    }

    fn lane(n: u8) -> EndpointId {
        EndpointId::from_raw([n; 20])
    }

    /// Takes `n` starts and counts them by lane.
    fn run(turns: &mut Turns, n: usize, cost: impl Fn(EndpointId) -> u32) -> BTreeMap<u8, usize> {
        let now = Timestamp::from_secs(1);
        let mut counts = BTreeMap::new();
        let mut started = 0;
        while started < n {
            let Turn::Lane(app, lane) = turns.next(now) else { panic!("lanes are enlisted") };
            if turns.pay(app, cost(lane)) {
                turns.took(app, now);
                *counts.entry(lane.raw()[0]).or_insert(0) += 1;
                started += 1;
            }
        }
        counts
    }

    #[test]
    fn tenants_share_equally_whatever_their_lanes() {
        let mut turns = Turns::default();
        for n in 1..=8 {
            turns.enlist(app(1), lane(n));
        }
        turns.enlist(app(2), lane(100));
        let counts = run(&mut turns, 800, |_| LIVE_COST);
        assert_eq!(counts[&100], 400);
        assert!((1..=8).all(|n| counts[&n] == 50), "{counts:?}");
    }

    #[test]
    fn replays_get_a_quarter() {
        let mut turns = Turns::default();
        turns.enlist(app(1), lane(1));
        turns.enlist(app(2), lane(2));
        let cost = |l: EndpointId| if l == lane(2) { REPLAY_COST } else { LIVE_COST };
        let counts = run(&mut turns, 1_000, cost);
        assert_eq!((counts[&1], counts[&2]), (800, 200));
    }

    #[test]
    fn a_throttled_tenant_leaves_the_ring_until_woken() {
        let mut turns = Turns::default();
        let now = Timestamp::from_secs(1);
        let org = OrganizationId::from_raw([9; 20]);
        turns.limit((org, app(1)), Some(1), false, Timestamp::from_secs(1));
        turns.enlist(app(1), lane(1));
        turns.enlist(app(2), lane(2));
        let mut started = BTreeMap::new();
        let throttled = loop {
            match turns.next(now) {
                Turn::Lane(app, lane) if turns.pay(app, LIVE_COST) => {
                    turns.took(app, now);
                    *started.entry(lane.raw()[0]).or_insert(0) += 1;
                }
                Turn::Lane(..) => {}
                Turn::Throttled(app, at) => break (app, at),
                Turn::Nobody => panic!("lanes are enlisted"),
            }
        };
        assert_eq!(started[&1], 1);
        assert_eq!(throttled, (app(1), Timestamp::from_secs(2)));
        let Turn::Lane(other, _) = turns.next(now) else { panic!("the other one goes on") };
        assert_eq!(other, app(2));
        turns.passed(other);
        assert_eq!(turns.next(now), Turn::Nobody);
        turns.wake(app(1));
        assert_eq!(turns.next(Timestamp::from_secs(2)), Turn::Lane(app(1), lane(1)));
    }
}
