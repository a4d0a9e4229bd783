//! Random choices that can be repeated.
use anyhow::Result;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// SplitMix64.
pub struct Chance(u64);

impl Chance {
    /// Begins with the seed, or with one from the clock, and says which.
    pub fn begin(campaign: &str, seed: Option<u64>) -> Result<Self> {
        let seed = match seed {
            Some(seed) => seed,
            None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64,
        };
        println!("{campaign}: seed {seed} (repeat with --seed {seed})");
        Ok(Self(seed))
    }

    /// Another source of choices, that does not depend on when others choose.
    pub fn fork(&mut self) -> Self {
        Self(self.below(u64::MAX))
    }

    /// From 0 to `bound`, without that.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (x ^ (x >> 31)) % bound
    }

    /// One of so many.
    pub fn index(&mut self, count: usize) -> usize {
        self.below(count as u64) as usize
    }

    /// Between two lengths of time, to the millisecond.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        least + Duration::from_millis(self.below((most - least).as_millis() as u64 + 1))
    }
}
