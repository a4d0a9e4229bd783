//! Timestamps as senders write them.

use domain::clock::Timestamp;

use crate::row::TimeUnit;

/// Reads one. None for anything that is not wholly a timestamp of this unit.
pub(crate) fn read(unit: TimeUnit, text: &str) -> Option<Timestamp> {
    let number = || {
        let digits = (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<i64>().ok()).flatten()
    };
    match unit {
        TimeUnit::Seconds => Some(Timestamp::from_secs(number()?)),
        TimeUnit::Millis => Some(Timestamp::from_micros(number()?.checked_mul(1_000)?)),
        TimeUnit::Iso => {
            (text.len() <= 40).then(|| text.parse::<jiff::Timestamp>().ok()).flatten().map(instant)
        }
        TimeUnit::HttpDate => {
            let zoned = (text.len() <= 40).then(|| jiff::fmt::rfc2822::parse(text).ok()).flatten();
            zoned.map(|z| instant(z.timestamp()))
        }
    }
}

/// Writes one, for samples.
pub(crate) fn write(unit: TimeUnit, at: Timestamp) -> String {
    let instant = jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or_default();
    match unit {
        TimeUnit::Seconds => at.as_secs().to_string(),
        TimeUnit::Millis => at.as_millis().to_string(),
        TimeUnit::Iso => instant.to_string(),
        TimeUnit::HttpDate => instant.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(),
    }
}

fn instant(at: jiff::Timestamp) -> Timestamp {
    Timestamp::from_micros(at.as_microsecond())
}
