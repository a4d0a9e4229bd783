//! What came when after a mark, and how long endpoints heard nothing.
use crate::run::Kept;
use serde_json::{Value, json};

/// A moment that somebody outside has named.
pub struct Mark {
    /// As it was named.
    pub name: String,
    /// When, in µs since the run began.
    pub at_us: u64,
}

/// What a run of marks is told from. All times are in µs since the run began.
pub struct Record {
    /// When each message was acknowledged, if it was, by its number.
    pub accepted_at: Vec<Option<u64>>,
    /// All arrivals.
    pub arrivals: Vec<Kept>,
    /// Those that never take anything are not asked for silences.
    pub dead: Vec<bool>,
    /// When sending ended: after that, silence is no fault.
    pub end_us: u64,
}

/// Two arrivals at one endpoint with nothing between them, or one and the end.
struct Gap {
    endpoint: usize,
    /// When it ended.
    end_us: u64,
    length_us: u64,
}

/// For each mark, in order: how soon after it a message was acknowledged, something arrived, and
/// something arrived of what was acknowledged after it; and, up to the next mark, the longest
/// silence of an endpoint that ended.
pub fn report(marks: &[Mark], record: &Record) -> Vec<Value> {
    let mut accepted: Vec<u64> = record.accepted_at.iter().flatten().copied().collect();
    accepted.sort_unstable();
    let mut arrivals: Vec<&Kept> = record.arrivals.iter().collect();
    arrivals.sort_unstable_by_key(|kept| kept.at_us);
    let gaps = gaps(&arrivals, record);
    let one = |(number, mark): (usize, &Mark)| {
        let at = mark.at_us;
        let until = marks.get(number + 1).map_or(u64::MAX, |next| next.at_us);
        let ms = |us: u64| (us - at) as f64 / 1000.0;
        let acknowledged = accepted.get(accepted.partition_point(|us| *us < at));
        let later = &arrivals[arrivals.partition_point(|kept| kept.at_us < at)..];
        let of_later_message =
            |kept: &&&Kept| record.accepted_at[kept.message as usize].is_some_and(|us| us >= at);
        let within = gaps.iter().filter(|gap| (at..until).contains(&gap.end_us));
        let longest = within.max_by_key(|gap| gap.length_us);
        json!({
            "name": mark.name,
            "at_s": at as f64 / 1e6,
            "next_acknowledged_ms": acknowledged.map(|us| ms(*us)),
            "next_arrival_ms": later.first().map(|kept| ms(kept.at_us)),
            "next_delivered_ms": later.iter().find(of_later_message).map(|kept| ms(kept.at_us)),
            "longest_silence_ms": longest.map(|gap| gap.length_us as f64 / 1000.0),
            "silent_endpoint": longest.map(|gap| gap.endpoint),
        })
    };
    marks.iter().enumerate().map(one).collect()
}

/// All silences, up to the end of the sending. `arrivals` are in order.
fn gaps(arrivals: &[&Kept], record: &Record) -> Vec<Gap> {
    let mut last: Vec<Option<u64>> = vec![None; record.dead.len()];
    let mut gaps = Vec::with_capacity(arrivals.len());
    let ends = arrivals.iter().map(|kept| (kept.endpoint as usize, kept.at_us));
    let in_time = ends.take_while(|(_, at)| *at < record.end_us);
    for (endpoint, at) in in_time.filter(|(endpoint, _)| !record.dead[*endpoint]) {
        let before = last[endpoint].replace(at).unwrap_or(at);
        gaps.push(Gap { endpoint, end_us: at, length_us: at - before });
    }
    let end_us = record.end_us;
    let to_the_end = |(endpoint, at): (usize, &Option<u64>)| {
        at.map(|at| Gap { endpoint, end_us, length_us: end_us.saturating_sub(at) })
    };
    gaps.extend(last.iter().enumerate().filter_map(to_the_end));
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(at_ms: u64, message: u32, endpoint: u32) -> Kept {
        Kept { at_us: at_ms * 1000, message, endpoint }
    }

    #[test]
    fn a_mark_tells_what_came_after_it_and_the_silence_until_the_next() {
        let record = Record {
            accepted_at: vec![Some(1_000), Some(1_200_000), None],
            arrivals: vec![
                kept(5, 0, 0),
                kept(6, 0, 1),
                kept(1_250, 0, 1),
                kept(1_300, 1, 1),
                kept(4_000, 1, 0),
            ],
            dead: vec![false, false],
            end_us: 5_000_000,
        };
        let marks = [("down", 100), ("up", 1_100), ("late", 4_500)];
        let marks = marks.map(|(name, ms)| Mark { name: name.into(), at_us: ms * 1000 });
        let told = report(&marks, &record);
        assert_eq!(told[0]["longest_silence_ms"], Value::Null, "none ended before the next mark");
        assert_eq!(told[1]["next_acknowledged_ms"], 100.0);
        assert_eq!(told[1]["next_arrival_ms"], 150.0);
        assert_eq!(told[1]["next_delivered_ms"], 200.0);
        assert_eq!(told[1]["longest_silence_ms"], 3_995.0);
        assert_eq!(told[1]["silent_endpoint"], 0);
        assert_eq!(told[2]["next_arrival_ms"], Value::Null);
        assert_eq!(told[2]["longest_silence_ms"], 3_700.0, "endpoint 1, until the end");
    }
}
