//! How many attempts may be under way over all lanes, by number and by bytes, and who gets the last of
//! it: an engine that is full of attempts at dead endpoints must still have some for the others.

/// How much of what the engine can do at a time is in use, over all lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// Less than half.
    Low,
    /// Half or more.
    Crowded,
    /// Three quarters by lanes not known to be good: the rest is for those not known to be bad.
    Tight,
    /// Seven eighths by lanes not known to be good: the rest is for those that are.
    Jammed,
}

/// What an attempt takes of the budget until it is settled.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Of its body.
    pub bytes: usize,
    /// Its lane was not known to be good when it started.
    pub suspect: bool,
}

#[derive(Debug, Default)]
struct Taken {
    attempts: usize,
    bytes: usize,
}

/// What may be under way, and what is.
#[derive(Debug)]
pub struct Budget {
    max_attempts: usize,
    max_bytes: usize,
    all: Taken,
    /// That part of it that was started for lanes not known to be good.
    suspects: Taken,
}

impl Budget {
    /// Nothing is under way.
    pub fn new(max_attempts: usize, max_bytes: usize) -> Self {
        let (all, suspects) = Default::default();
        Self { max_attempts: max_attempts.max(1), max_bytes: max_bytes.max(1), all, suspects }
    }

    /// Attempts under way.
    pub fn attempts(&self) -> usize {
        self.all.attempts
    }

    /// Whether there is some left. The last attempt may be larger than what is left.
    pub fn has_room(&self) -> bool {
        self.all.attempts < self.max_attempts && self.all.bytes < self.max_bytes
    }

    /// How scarce it is: the scarcer, the less lanes get from which little comes back.
    pub fn pressure(&self) -> Pressure {
        match self.eighths(&self.suspects) {
            7.. => Pressure::Jammed,
            6 => Pressure::Tight,
            _ if self.eighths(&self.all) >= 4 => Pressure::Crowded,
            _ => Pressure::Low,
        }
    }

    /// An attempt starts.
    pub fn take(&mut self, held: Held) {
        for taken in self.of(held) {
            taken.attempts += 1;
            taken.bytes += held.bytes;
        }
    }

    /// An attempt is settled.
    pub fn release(&mut self, held: Held) {
        for taken in self.of(held) {
            taken.attempts -= 1;
            taken.bytes -= held.bytes;
        }
    }

    fn of(&mut self, held: Held) -> impl Iterator<Item = &mut Taken> {
        [Some(&mut self.all), held.suspect.then_some(&mut self.suspects)].into_iter().flatten()
    }

    /// The larger of the two shares.
    fn eighths(&self, taken: &Taken) -> usize {
        (8 * taken.attempts / self.max_attempts).max(8 * taken.bytes / self.max_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_for_the_good_presses_nobody_out() {
        let mut budget = Budget::new(16, 1_000_000);
        let held = |suspect| Held { bytes: 10, suspect };
        for _ in 0..16 {
            budget.take(held(false));
        }
        assert_eq!((budget.pressure(), budget.has_room()), (Pressure::Crowded, false));
        for _ in 0..16 {
            budget.release(held(false));
        }
        assert_eq!((budget.pressure(), budget.attempts()), (Pressure::Low, 0));
        let seen: Vec<_> = (0..16)
            .map(|_| {
                budget.take(held(true));
                budget.pressure()
            })
            .collect();
        assert_eq!(seen.iter().filter(|p| **p == Pressure::Low).count(), 7);
        assert_eq!(
            (seen[11], seen[12], seen[13]),
            (Pressure::Tight, Pressure::Tight, Pressure::Jammed)
        );
    }

    #[test]
    fn bytes_count_as_attempts_do() {
        let mut budget = Budget::new(1_000, 100);
        budget.take(Held { bytes: 80, suspect: true });
        assert_eq!((budget.pressure(), budget.has_room()), (Pressure::Tight, true));
        budget.take(Held { bytes: 80, suspect: false });
        assert!(!budget.has_room());
    }
}
