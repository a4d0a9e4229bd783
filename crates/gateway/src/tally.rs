//! Counts what sources made no event of. In memory for a few seconds: no promise rests on these counts,
//! and whoever floods a source with nonsense is not to make work for the store.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use domain::{
    analytics::{Unaccepted, Unit},
    clock::Timestamp,
};
use parking_lot::Mutex;
use store::{Store, analytics::UnacceptedCount, history::Tenant};
use tokio::time::sleep;

use crate::{answer::Refusal, source::Prepared};

/// How often counts are written.
const INTERVAL: Duration = Duration::from_secs(5);
/// Most sources, reasons and minutes that are counted meanwhile. The next ones are not.
const MOST: usize = 10_000;

type Counts = Mutex<HashMap<(Tenant, Timestamp, Unaccepted), u64>>;

/// See [the module](self).
#[derive(Default)]
pub(crate) struct Tally(Arc<Counts>);

impl Tally {
    /// Counts one.
    pub(crate) fn add(&self, source: &Prepared, why: Unaccepted, now: Timestamp) {
        let tenant = Tenant { org: source.org, app: source.app };
        let key = (tenant, Unit::Minute.floor(now), why);
        let mut counts = self.0.lock();
        if counts.len() < MOST || counts.contains_key(&key) {
            *counts.entry(key).or_default() += 1;
        }
    }

    /// Writes what was counted, every few seconds, for as long as this is there: to be spawned.
    pub(crate) fn written(&self, store: Arc<dyn Store>) -> impl Future<Output = ()> + use<> {
        write(Arc::downgrade(&self.0), store)
    }
}

async fn write(counts: Weak<Counts>, store: Arc<dyn Store>) {
    while let Some(counts) = counts.upgrade() {
        let taken = std::mem::take(&mut *counts.lock());
        drop(counts);
        let counted: Vec<_> = taken
            .into_iter()
            .map(|((tenant, at, why), count)| UnacceptedCount { tenant, at, why, count })
            .collect();
        if !counted.is_empty()
            && let Err(error) = store.count_unaccepted(counted).await
        {
            tracing::debug!(%error, "what sources did not accept could not be counted");
        }
        sleep(INTERVAL).await;
    }
}

/// What a refusal is counted as; `None` where there is no source to count it for.
pub(crate) fn why(refusal: &Refusal) -> Option<Unaccepted> {
    Some(match refusal {
        Refusal::Unknown => return None,
        Refusal::NotGenuine(_) => Unaccepted::Signature,
        Refusal::Method
        | Refusal::TooLarge
        | Refusal::Slow
        | Refusal::Broken
        | Refusal::ContentType => Unaccepted::Malformed,
        Refusal::Throttled(_) | Refusal::OverQuota => Unaccepted::Rate,
        Refusal::Unavailable => Unaccepted::Unavailable,
    })
}
