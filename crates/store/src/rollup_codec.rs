//! Rollups as they are stored: numbers as varints, and of what is mostly nothing only what there is.

use domain::analytics::{Rollup, Sketch};

use crate::StoreError;

/// Of the only form so far.
const VERSION: u8 = 1;

/// What is stored beside the plain counts: see [`decode`].
pub fn encode(rollup: &Rollup) -> Vec<u8> {
    let sketches = rollup.response.buckets().len() + rollup.delivery.buckets().len();
    let mut out = Vec::with_capacity(16 + 3 * sketches);
    out.push(VERSION);
    counts(&mut out, &rollup.attempts);
    counts(&mut out, &rollup.unaccepted);
    sketch(&mut out, &rollup.response);
    sketch(&mut out, &rollup.delivery);
    out
}

/// Reads what [`encode`] wrote. The counts that it leaves out (`messages`, `bytes`, `retries`) stand in
/// columns of their own, so that a store can add them up.
pub fn decode(
    messages: u64,
    bytes: u64,
    retries: u64,
    detail: &[u8],
) -> Result<Rollup, StoreError> {
    let mut rollup = Rollup { messages, bytes, retries, ..Rollup::default() };
    let mut input = Input(detail);
    let read = input.byte() == Some(VERSION)
        && read_counts(&mut input, &mut rollup.attempts).is_some()
        && read_counts(&mut input, &mut rollup.unaccepted).is_some();
    let sketches = read.then(|| Some((read_sketch(&mut input)?, read_sketch(&mut input)?)));
    let Some(Some((response, delivery))) = sketches else {
        return Err(StoreError::Corrupt("a rollup cannot be read".into()));
    };
    (rollup.response, rollup.delivery) = (response, delivery);
    Ok(rollup)
}

/// How many are not 0; then each with its place.
fn counts(out: &mut Vec<u8>, counts: &[u64]) {
    let some = || counts.iter().enumerate().filter(|(_, count)| **count > 0);
    number(out, some().count() as u64);
    for (at, count) in some() {
        number(out, at as u64);
        number(out, *count);
    }
}

fn read_counts(input: &mut Input<'_>, counts: &mut [u64]) -> Option<()> {
    for _ in 0..input.number()? {
        let at = usize::try_from(input.number()?).ok()?;
        *counts.get_mut(at)? = input.number()?;
    }
    Some(())
}

/// How many buckets; then each by its distance from the one before, with its count.
fn sketch(out: &mut Vec<u8>, sketch: &Sketch) {
    number(out, sketch.buckets().len() as u64);
    let mut last = 0;
    for (bucket, count) in sketch.buckets() {
        number(out, u64::from(bucket - last));
        number(out, *count);
        last = *bucket;
    }
}

fn read_sketch(input: &mut Input<'_>) -> Option<Sketch> {
    let buckets = input.number()?;
    let mut last = 0_u16;
    // Each takes two bytes at least: no more are made room for than there can be.
    let room = usize::try_from(buckets).ok()?.min(input.0.len() / 2);
    let mut read = Vec::with_capacity(room);
    for _ in 0..buckets {
        last = last.checked_add(u16::try_from(input.number()?).ok()?)?;
        read.push((last, input.number()?));
    }
    Some(Sketch::from_buckets(read))
}

/// LEB128.
fn number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_rollup_comes_back_as_it_was() {
        let mut rollup = Rollup { messages: 3, bytes: 900, retries: 2, ..Rollup::default() };
        rollup.attempts[0] = 300;
        rollup.attempts[9] = 1;
        rollup.unaccepted[1] = u64::MAX;
        for micros in [0, 3, 70, 1_000, 1_000, 3_600_000_000, u64::MAX] {
            rollup.response.add(Duration::from_micros(micros));
        }
        rollup.delivery.add(Duration::from_millis(4));
        let stored = encode(&rollup);
        assert_eq!(decode(3, 900, 2, &stored), Ok(rollup));
        for end in 0..stored.len() {
            assert!(decode(0, 0, 0, &stored[..end]).is_err(), "cut at {end}");
        }
        assert_eq!(decode(0, 0, 0, &encode(&Rollup::default())), Ok(Rollup::default()));
    }
}
