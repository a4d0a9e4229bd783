//! One thing that is read from the store, once for all who want it at the same time.

use std::sync::atomic::{AtomicU64, Ordering};

use store::StoreError;
use tokio::sync::Mutex;

/// One load at a time. Whoever asks while one is under way waits for the next, since that one may have
/// read already what has changed before the question; all who wait share the next one.
#[derive(Debug)]
pub struct Load<V> {
    /// How many have begun.
    begun: AtomicU64,
    /// The turn to load. The last load that ended, and what it brought.
    last: Mutex<Option<(u64, Result<V, StoreError>)>>,
}

impl<V> Default for Load<V> {
    fn default() -> Self {
        Self { begun: AtomicU64::new(0), last: Mutex::new(None) }
    }
}

impl<V: Clone> Load<V> {
    /// What a load brings (a failure too) that begins after this call: `load`, or that of another caller.
    /// What is `known` when the turn has come goes before both.
    pub async fn join(
        &self,
        known: impl FnOnce() -> Option<V>,
        load: impl Future<Output = Result<V, StoreError>>,
    ) -> Result<V, StoreError> {
        let begun_before = self.begun.load(Ordering::Acquire);
        let mut last = self.last.lock().await;
        if let Some(known) = known() {
            return Ok(known);
        }
        if let Some((number, brought)) = &*last
            && *number > begun_before
        {
            return brought.clone();
        }
        // Whoever is dropped while it loads leaves a number that nobody waits for.
        let number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let brought = load.await;
        *last = Some((number, brought.clone()));
        brought
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::{FutureExt, future::join_all};
    use tokio::sync::Semaphore;

    use super::*;

    /// Loads how many loads there have been, when it is let.
    struct Counted {
        load: Load<usize>,
        count: AtomicUsize,
        gate: Semaphore,
    }

    impl Counted {
        fn new() -> Self {
            Self { load: Load::default(), count: AtomicUsize::new(0), gate: Semaphore::new(0) }
        }

        async fn ask(&self) -> Result<usize, StoreError> {
            let load = async {
                let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
                self.gate.acquire().await.expect("open").forget();
                if count == 2 { Err(StoreError::Overloaded) } else { Ok(count) }
            };
            self.load.join(|| None, load).await
        }
    }

    #[tokio::test]
    async fn who_comes_during_a_load_shares_the_next_one() {
        let counted = Counted::new();
        let mut first = Box::pin(counted.ask());
        assert!(first.as_mut().now_or_never().is_none(), "it waits at the gate");
        let mut others = Box::pin(join_all((0..100).map(|_| counted.ask())));
        assert!(others.as_mut().now_or_never().is_none());
        counted.gate.add_permits(1);
        assert_eq!(first.await, Ok(1));
        counted.gate.add_permits(100);
        // A failure is shared as well: a store that does not answer is not waited for in turn.
        assert_eq!(others.await, vec![Err(StoreError::Overloaded); 100]);
        assert_eq!(counted.ask().await, Ok(3), "what others brought before is not new");
    }

    #[tokio::test]
    async fn who_leaves_a_load_leaves_it_to_the_next() {
        let counted = Counted::new();
        let mut first = Box::pin(counted.ask());
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = Box::pin(counted.ask());
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        counted.gate.add_permits(1);
        assert_eq!(second.await, Err(StoreError::Overloaded), "it loads itself");
        assert_eq!(counted.load.join(|| Some(7), counted.ask()).await, Ok(7));
        assert_eq!(counted.count.load(Ordering::Relaxed), 2, "what is known is not loaded");
    }
}
