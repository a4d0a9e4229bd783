//! Keys that a provider publishes: fetched when they are needed, kept for a while, and not asked for
//! again at once where there are none.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::clock::Timestamp;
use lru::LruCache;
use parking_lot::Mutex;
use providers::{KeyKind, KeyUrl, Keys, LONGEST_KEY};
use tokio::sync::Semaphore;

/// Gets what is at an `https` address, with a GET, through the guard of outbound addresses. Follows no
/// redirect.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// What it answers with a 200: at most so many bytes, within a few seconds. `None` otherwise.
    async fn fetch(&self, url: &str, most: usize) -> Option<Vec<u8>>;
}

/// How long a key set is used before it is fetched again.
const JWKS_AGE: Duration = Duration::from_secs(300);
/// How long a certificate or key is: its address names what is in it.
const CERTIFICATE_AGE: Duration = Duration::from_secs(86_400);
/// How long an address that gave nothing is left alone.
const NOTHING_AGE: Duration = Duration::from_secs(30);
/// Keys that are kept.
const KEPT: NonZeroUsize = NonZeroUsize::new(1_000).expect("not zero");
/// Fetches under way. Whoever comes then is told to come again.
const MOST_FETCHES: usize = 16;

struct Kept {
    content: Option<Arc<Vec<u8>>>,
    until: Timestamp,
}

/// The keys that are known.
pub struct KeyRing {
    fetch: Arc<dyn Fetch>,
    kept: Mutex<LruCache<String, Kept>>,
    places: Semaphore,
}

impl KeyRing {
    /// Without any.
    pub fn new(fetch: Arc<dyn Fetch>) -> Self {
        let places = Semaphore::new(MOST_FETCHES);
        Self { fetch, kept: Mutex::new(LruCache::new(KEPT)), places }
    }

    /// Adds the key at this address to `keys`. `false` if it cannot be had at the moment.
    pub async fn add(&self, keys: &mut Keys, wanted: &KeyUrl, now: Timestamp) -> bool {
        let known = {
            let mut kept = self.kept.lock();
            let known = kept.get(&wanted.url).filter(|kept| now < kept.until);
            known.map(|kept| kept.content.clone())
        };
        let content = match known {
            Some(known) => known,
            None => self.load(wanted, now).await,
        };
        let found = content.is_some();
        if let Some(content) = content {
            keys.insert(wanted.url.clone(), content.as_slice());
        }
        found
    }

    async fn load(&self, wanted: &KeyUrl, now: Timestamp) -> Option<Arc<Vec<u8>>> {
        let _place = self.places.try_acquire().ok()?;
        let content = self.fetch.fetch(&wanted.url, LONGEST_KEY).await.map(Arc::new);
        let age = match (&content, wanted.kind) {
            (None, _) => NOTHING_AGE,
            (Some(_), KeyKind::Jwks) => JWKS_AGE,
            (Some(_), KeyKind::Certificate | KeyKind::PublicKey) => CERTIFICATE_AGE,
        };
        let kept = Kept { content: content.clone(), until: now.plus(age) };
        self.kept.lock().put(wanted.url.clone(), kept);
        content
    }

    /// Calls an address that a provider asks to call, and that its rules have pinned.
    pub async fn call(&self, url: &str) -> bool {
        let Ok(_place) = self.places.try_acquire() else { return false };
        self.fetch.fetch(url, LONGEST_KEY).await.is_some()
    }
}
