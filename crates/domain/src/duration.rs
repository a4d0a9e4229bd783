//! Durations as people write them: `250ms`, `5s`, `30m`, `2h`, `5d`.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// A duration with a unit, as it stands in the configuration and in retry schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(pub Duration);

/// Not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a duration: `{0:.40}` (write it like 250ms, 5s, 30m, 2h or 5d; parts add up: 1h30m)")]
pub struct InvalidDuration(String);

/// Longest duration taken: 10 years.
const MAX_MILLIS: u64 = 10 * 365 * 24 * 3_600 * 1_000;

impl FromStr for HumanDuration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        let invalid = || InvalidDuration(text.to_owned());
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut millis: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: u64 = rest[..digits].parse().map_err(|_| invalid())?;
            rest = &rest[digits..];
            let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
            let unit: u64 = match &rest[..letters] {
                "ms" => 1,
                "s" => 1_000,
                "m" | "min" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(invalid()),
            };
            rest = rest[letters..].trim_start();
            let part = number.checked_mul(unit).ok_or_else(invalid)?;
            millis = millis.checked_add(part).filter(|m| *m <= MAX_MILLIS).ok_or_else(invalid)?;
        }
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = self.0.as_millis();
        if millis == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in
            [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)]
        {
            if millis >= size {
                write!(f, "{}{unit}", millis / size)?;
                millis %= size;
            }
        }
        Ok(())
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows() {
        for (text, millis, shown) in [
            ("250ms", 250, "250ms"),
            ("5s", 5_000, "5s"),
            ("30m", 1_800_000, "30m"),
            ("90m", 5_400_000, "1h30m"),
            ("1h 30m", 5_400_000, "1h30m"),
            ("5d", 432_000_000, "5d"),
            ("0s", 0, "0s"),
        ] {
            let d: HumanDuration = text.parse().expect(text);
            assert_eq!(d.0, Duration::from_millis(millis), "{text}");
            assert_eq!(d.to_string(), shown);
        }
        for bad in ["", "5", "s", "5 parsecs", "-5s", "1.5s", "99999999999d", "5sü"] {
            assert!(bad.parse::<HumanDuration>().is_err(), "{bad}");
        }
    }
}
