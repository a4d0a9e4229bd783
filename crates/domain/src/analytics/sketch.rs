//! How long things took, as counts in buckets: sketches of parts add up to the sketch of the whole, which
//! percentiles do not.

use std::time::Duration;

/// Buckets in each doubling of time: a percentile is off by at most 1/64 of itself.
const STEP_BITS: u32 = 5;
/// Below this many microseconds each has a bucket of its own.
const EXACT: u64 = 1 << (STEP_BITS + 1);

/// Durations, counted. Buckets grow with what is in them, as those of an HDR histogram do: from 1 µs to
/// centuries in less than 2,000 of them, of which only those that are used are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// Bucket and count, in the order of buckets.
    buckets: Vec<(u16, u64)>,
}

/// The bucket of so many microseconds.
fn bucket(micros: u64) -> u16 {
    if micros < EXACT {
        return micros as u16;
    }
    let exponent = 63 - micros.leading_zeros();
    let shift = exponent - STEP_BITS;
    // Less than 64 * 32 + 64 in any case.
    ((shift << STEP_BITS) + (micros >> shift) as u32) as u16
}

/// The middle of a bucket, in microseconds.
fn middle(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    if bucket < EXACT {
        return bucket;
    }
    let shift = (bucket >> STEP_BITS) - 1;
    let low = ((bucket & ((1 << STEP_BITS) - 1)) + (1 << STEP_BITS)) << shift;
    low + (1 << shift) / 2
}

impl Sketch {
    /// Counts one.
    pub fn add(&mut self, took: Duration) {
        self.add_to(bucket(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)), 1);
    }

    fn add_to(&mut self, bucket: u16, count: u64) {
        self.add_behind(0, bucket, count);
    }

    /// Counts in a bucket that is not among the first `at`; its place. Neighbours are added one after the
    /// other: the next one is looked at before others are searched.
    fn add_behind(&mut self, at: usize, bucket: u16, count: u64) -> usize {
        let rest = &self.buckets[at..];
        let is_next = rest.first().is_none_or(|(next, _)| *next >= bucket);
        let at = if is_next { at } else { at + rest.partition_point(|(b, _)| *b < bucket) };
        match self.buckets.get_mut(at) {
            Some((found, counted)) if *found == bucket => *counted += count,
            _ => self.buckets.insert(at, (bucket, count)),
        }
        at
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Self) {
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
            return;
        }
        let mut at = 0;
        for (bucket, count) in &other.buckets {
            at = self.add_behind(at, *bucket, *count) + 1;
        }
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// The duration that a share `quantile` (0 to 1) of all did not pass; `None` if there are none.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let count = self.count();
        // The smallest number of them that is not less than the share.
        let rank = ((quantile.clamp(0.0, 1.0) * count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.buckets.iter().find(|(_, count)| {
            seen += count;
            seen >= rank
        });
        found.map(|(bucket, _)| Duration::from_micros(middle(*bucket)))
    }

    /// Its buckets, in order, with their counts: what is stored of it.
    pub fn buckets(&self) -> &[(u16, u64)] {
        &self.buckets
    }

    /// From what was stored, in any order.
    pub fn from_buckets(buckets: impl IntoIterator<Item = (u16, u64)>) -> Self {
        let buckets = buckets.into_iter();
        let mut sketch = Self { buckets: Vec::with_capacity(buckets.size_hint().0) };
        for (bucket, count) in buckets {
            // Mostly they come in order.
            match sketch.buckets.last() {
                Some((last, _)) if *last >= bucket => sketch.add_to(bucket, count),
                _ => sketch.buckets.push((bucket, count)),
            }
        }
        sketch
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(micros: &[u64]) -> Sketch {
        let mut sketch = Sketch::default();
        for micros in micros {
            sketch.add(Duration::from_micros(*micros));
        }
        sketch
    }

    proptest! {
        #[test]
        fn a_percentile_is_near_the_true_one(
            mut micros in prop::collection::vec(0_u64..10_000_000_000, 1..200),
            quantile in 0.0..=1.0_f64,
        ) {
            let sketch = of(&micros);
            micros.sort_unstable();
            let rank = ((quantile * micros.len() as f64).ceil() as usize).max(1);
            let (true_one, told) =
                (micros[rank - 1], sketch.quantile(quantile).expect("some").as_micros() as u64);
            prop_assert!(told.abs_diff(true_one) <= true_one / 64, "{told} for {true_one}");
        }

        #[test]
        fn parts_add_up_to_the_whole(a in prop::collection::vec(any::<u64>(), 0..50),
                                     b in prop::collection::vec(any::<u64>(), 0..50)) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            let whole = of(&[a, b].concat());
            prop_assert_eq!(&merged, &whole);
            let read = Sketch::from_buckets(whole.buckets().iter().rev().copied());
            prop_assert_eq!(read, whole);
        }
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(Sketch::default().quantile(0.5), None);
        assert_eq!(of(&[7]).quantile(0.0), Some(Duration::from_micros(7)));
    }
}
