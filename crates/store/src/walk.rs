//! A walk over all records that goes on for as long as a store is open, a page at a time: so that a fault
//! is seen on the server that has it, without looking at everything at one moment.

use parking_lot::Mutex;

/// What one page held. `P` is a place in the order of the walk; its default is the beginning.
pub struct Page<P> {
    /// Where it began.
    pub after: P,
    /// Where the next one begins; `None` at the end.
    pub next: Option<P>,
    /// Faults in it.
    pub found: u64,
}

/// How far the walk has come, and what it found.
#[derive(Default)]
pub struct Walk<P>(Mutex<Progress<P>>);

#[derive(Default)]
struct Progress<P> {
    after: P,
    /// In the round that goes on.
    found: u64,
    /// In the whole round before, or by the last check.
    before: u64,
}

impl<P: Clone + Default + PartialEq> Walk<P> {
    /// Where the next page begins.
    pub fn after(&self) -> P {
        self.0.lock().after.clone()
    }

    /// Takes a page into account, unless another one from there was first.
    pub fn add(&self, page: Page<P>) {
        let mut progress = self.0.lock();
        if progress.after != page.after {
            return;
        }
        progress.found += page.found;
        match page.next {
            Some(next) => progress.after = next,
            None => *progress = Progress { before: progress.found, ..Progress::default() },
        }
    }

    /// A check has counted them all.
    pub fn counted(&self, all: u64) {
        self.0.lock().before = all;
    }

    /// What is known: a fault shows as soon as it is found, and is gone after a round without it.
    pub fn found(&self) -> u64 {
        let progress = self.0.lock();
        progress.found.max(progress.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_shows_until_a_whole_round_was_without() {
        let walk = Walk::default();
        let step = |next, found| {
            walk.add(Page { after: walk.after(), next, found });
            walk.found()
        };
        assert_eq!((step(Some(1), 0), step(Some(2), 2), step(None, 0)), (0, 2, 2));
        assert_eq!((step(Some(1), 0), step(None, 0)), (2, 0));
        walk.counted(5);
        assert_eq!((step(Some(1), 0), step(None, 0)), (5, 0));
    }

    #[test]
    fn a_page_counts_once() {
        let walk = Walk::default();
        for _ in 0..2 {
            walk.add(Page { after: 0, next: Some(1), found: 4 });
        }
        assert_eq!(walk.found(), 4);
    }
}
