//! How much a source may get: its own limit, on this node.

use std::num::NonZeroUsize;

use domain::{clock::Timestamp, id::ApplicationId, throttle::Throttle};
use lru::LruCache;
use parking_lot::Mutex;

/// Sources whose limits are remembered: those that were posted to last.
const SOURCES: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

/// The limits of the sources that have one.
pub(crate) struct Rates(Mutex<LruCache<ApplicationId, (u16, Throttle)>>);

impl Rates {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::new(SOURCES)))
    }

    /// Takes one request of so many per second, or says when there is one to take, in whole seconds.
    pub(crate) fn take(&self, app: ApplicationId, rate: u16, now: Timestamp) -> Result<(), u64> {
        let mut rates = self.0.lock();
        let known = rates.get_or_insert_mut(app, || (rate, Throttle::new(rate, now)));
        if known.0 != rate {
            *known = (rate, Throttle::new(rate, now));
        }
        known.1.take(now).map_err(|at| at.since(now).as_secs().saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use domain::{entropy::SeededEntropy, id::ApplicationId};

    use super::*;

    #[test]
    fn a_limit_holds_and_may_change() {
        let now = Timestamp::from_secs(1_790_000_000);
        let app = ApplicationId::generate(now, &SeededEntropy::new(1));
        let rates = Rates::new();
        let taken = (0..100).filter(|_| rates.take(app, 20, now).is_ok()).count();
        assert_eq!(taken, 1, "50 ms of 20 a second");
        assert_eq!(rates.take(app, 20, now), Err(1));
        assert!(rates.take(app, 40, now).is_ok(), "another limit begins anew");
    }
}
