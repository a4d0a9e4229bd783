//! Partitions of history and of payloads: which there are, and making them ahead of their time. They are
//! dropped by `sweep`, when it is over.

mod change;

use std::time::Duration;

use domain::{clock::Timestamp, id::MessageId};
use tokio_postgres::Row;

pub(crate) use self::change::{Change, is_in_use};
use crate::{Shared, conn::Conn, error::Result, options::PostgresOptions, rows};

/// How many spans of time are made ahead of the current one.
const AHEAD: u32 = 2;
/// Most partitions that are made in one transaction: each one takes a few locks.
const MOST_AT_ONCE: usize = 16;

/// A table that is in partitions by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    /// By its id.
    Message,
    /// By its message's id: its partitions are those of `message`.
    Delivery,
    /// By its id.
    Attempt,
    /// By when it expires.
    Payload,
}

impl Table {
    const ALL: [Self; 4] = [Self::Message, Self::Delivery, Self::Attempt, Self::Payload];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Delivery => "delivery",
            Self::Attempt => "attempt",
            Self::Payload => "payload",
        }
    }

    /// The column that says which partition a row is in.
    fn key(self) -> &'static str {
        match self {
            Self::Message | Self::Attempt => "id",
            Self::Delivery => "message",
            Self::Payload => "expires_at",
        }
    }

    /// Storage settings. Deliveries are changed in place once or twice, bodies are compressed already.
    fn storage(self, name: &str) -> String {
        match self {
            Self::Message | Self::Attempt => String::new(),
            Self::Delivery => format!("ALTER TABLE {name} SET (fillfactor = 80);"),
            Self::Payload => format!("ALTER TABLE {name} ALTER COLUMN body SET STORAGE EXTERNAL;"),
        }
    }

    /// A moment as a bound of partitions, in SQL.
    fn bound(self, at: Timestamp) -> String {
        match self {
            Self::Payload => at.as_micros().to_string(),
            _ => {
                let hex = MessageId::floor(at).raw().map(|byte| format!("{byte:02x}")).concat();
                format!(r"'\x{hex}'")
            }
        }
    }

    /// The moment of a bound, as the catalogue shows it.
    fn moment(self, bound: &str) -> Option<Timestamp> {
        if self == Self::Payload {
            return bound.parse().ok().map(Timestamp::from_micros);
        }
        let hex = bound.strip_prefix(r"\x")?;
        let mut raw = [0; 20];
        for (at, byte) in raw.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(MessageId::from_raw(raw).timestamp())
    }
}

/// A partition that is not the default one.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) table: Table,
    /// As SQL names it.
    pub(crate) name: String,
    /// Its rows are of this moment or later.
    pub(crate) from: Timestamp,
    /// Its rows are earlier than this.
    pub(crate) to: Timestamp,
    /// How many rows it was thought to have, when it was last looked at.
    estimate: Option<u64>,
}

impl Partition {
    /// Whether both are the same one, perhaps looked at at different times.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.name == other.name && (self.from, self.to) == (other.from, other.to)
    }
}

const LIST: &str = "/* partitions */ SELECT p.relname::text, c.oid::regclass::text,
        pg_get_expr(c.relpartbound, c.oid), c.reltuples::bigint
    FROM unnest($1::text[]) AS t (name) JOIN pg_class p ON p.oid = to_regclass(t.name)
    JOIN pg_inherits i ON i.inhparent = p.oid JOIN pg_class c ON c.oid = i.inhrelid";

/// All partitions but the default ones, the earliest first.
pub(crate) async fn list(conn: &Conn) -> Result<Vec<Partition>> {
    listed(&conn.query(LIST, &[&Table::ALL.map(Table::name).as_slice()]).await?)
}

fn listed(rows: &[Row]) -> Result<Vec<Partition>> {
    let mut partitions = Vec::new();
    for row in rows {
        let name: &str = rows::get(row, 0)?;
        let Some(table) = Table::ALL.into_iter().find(|table| table.name() == name) else {
            continue;
        };
        // The default one has no bounds, and one that is just being dropped none any more.
        let Some(bounds) = rows::get::<Option<&str>>(row, 2)? else { continue };
        let mut bounds = bounds.split('\'').skip(1).step_by(2).map(|bound| table.moment(bound));
        let (Some(Some(from)), Some(Some(to))) = (bounds.next(), bounds.next()) else { continue };
        let estimate = rows::get::<i64>(row, 3)?.try_into().ok();
        partitions.push(Partition { table, name: rows::get(row, 1)?, from, to, estimate });
    }
    partitions.sort_by_key(|partition| partition.from);
    Ok(partitions)
}

/// The beginning of the span of partitions that a moment is in.
pub(crate) fn span_of(options: &PostgresOptions, at: Timestamp) -> Timestamp {
    let span = i64::try_from(options.partition.as_secs()).unwrap_or(i64::MAX).max(1);
    Timestamp::from_secs(at.as_secs().div_euclid(span).saturating_mul(span))
}

/// What is to be made: for which table, from when to when.
type Missing = (Table, Timestamp, Timestamp);

/// Spans, or parts of them, that are to have partitions and do not.
fn missing(options: &PostgresOptions, there: &[Partition], now: Timestamp) -> Vec<Missing> {
    let first = span_of(options, now);
    let span = options.partition.max(Duration::from_secs(1));
    let ahead = span * (1 + AHEAD);
    let mut missing = Vec::new();
    for (table, end) in [
        (Table::Message, first.plus(ahead)),
        (Table::Attempt, first.plus(ahead)),
        (Table::Payload, first.plus(options.payload_retention).plus(ahead)),
    ] {
        let there = || there.iter().filter(|partition| partition.table == table);
        let mut at = first;
        while at < end {
            // The span may have been another one when that was made.
            if let Some(made) = there().find(|made| made.from <= at && at < made.to) {
                at = made.to;
                continue;
            }
            let next = there().map(|made| made.from).find(|from| *from > at);
            let to = span_of(options, at).plus(span).min(next.unwrap_or(Timestamp::MAX));
            missing.push((table, at, to));
            at = to;
        }
    }
    missing
}

/// Makes what is missing of partitions: those of history from the current span to two spans ahead,
/// those of payloads from the current span as far ahead as payloads are usually kept, and two spans.
/// False if tables were in use all the time: rows go to the default partition meanwhile, and it is to be
/// tried again.
pub(crate) async fn ensure(shared: &Shared, now: Timestamp) -> Result<bool> {
    let options = &shared.options;
    if missing(options, &list(&shared.read().await?).await?, now).is_empty() {
        return Ok(true);
    }
    loop {
        match make_some(shared, now).await {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(error) if is_in_use(&error) => {
                tracing::warn!(%error, "partitions could not be made now");
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Makes some of what is missing; whether that was all.
async fn make_some(shared: &Shared, now: Timestamp) -> Result<bool> {
    let change = Change::begin(shared).await?;
    // Another node may have been first.
    let missing = missing(&shared.options, &change.partitions().await?, now);
    let some = &missing[..missing.len().min(MOST_AT_ONCE)];
    let (mut making, mut attaching, mut defaults) = (String::new(), String::new(), Vec::new());
    for (table, from, to) in some {
        // The deliveries of a message are where it is.
        let more = [Table::Delivery];
        let more = if *table == Table::Message { more.as_slice() } else { &[] };
        for table in std::iter::once(table).chain(more) {
            let (parent, key) = (table.name(), table.key());
            let (from_bound, to_bound) = (table.bound(*from), table.bound(*to));
            if from_bound == to_bound {
                // Before there were ids.
                continue;
            }
            let name = format!("{parent}_{}", from.as_secs());
            let default = format!("{parent}_default");
            let storage = table.storage(&name);
            making.push_str(&format!(
                "CREATE TABLE {name} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
                 {storage}"
            ));
            attaching.push_str(&format!(
                "WITH moved AS (DELETE FROM {default}
                     WHERE {key} >= {from_bound} AND {key} < {to_bound} RETURNING *)
                 INSERT INTO {name} SELECT * FROM moved;
                 ALTER TABLE {parent} ATTACH PARTITION {name}
                     FOR VALUES FROM ({from_bound}) TO ({to_bound});"
            ));
            if !defaults.contains(&default) {
                defaults.push(default);
            }
        }
    }
    if !making.is_empty() {
        let defaults: Vec<&str> = defaults.iter().map(String::as_str).collect();
        change.batch(&making).await?;
        change.keep_vacuum_away(&defaults).await?;
        change.alone(&defaults).await?;
        change.batch(&attaching).await?;
        change.commit().await?;
    }
    Ok(some.len() == missing.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_790_000_000 + secs)
    }

    fn options() -> PostgresOptions {
        PostgresOptions {
            partition: Duration::from_secs(100),
            payload_retention: Duration::from_secs(250),
            ..PostgresOptions::new("")
        }
    }

    fn made(table: Table, from: i64, to: i64) -> Partition {
        Partition { table, name: String::new(), from: at(from), to: at(to), estimate: None }
    }

    fn spans(there: &[Partition], table: Table) -> Vec<(i64, i64)> {
        let missing = missing(&options(), there, at(150)).into_iter();
        let secs = |moment: Timestamp| moment.as_secs() - at(0).as_secs();
        missing
            .filter(|(of, ..)| *of == table)
            .map(|(_, from, to)| (secs(from), secs(to)))
            .collect()
    }

    #[test]
    fn history_is_made_two_spans_ahead_and_payloads_for_as_long_as_they_are_kept() {
        assert_eq!(spans(&[], Table::Message), [(100, 200), (200, 300), (300, 400)]);
        assert_eq!(spans(&[], Table::Attempt), spans(&[], Table::Message));
        let payloads = spans(&[], Table::Payload);
        assert_eq!(payloads, [100, 200, 300, 400, 500, 600].map(|at| (at, at + 100)));
    }

    #[test]
    fn what_is_there_stays_and_only_gaps_are_made() {
        let there = [made(Table::Message, 100, 200), made(Table::Attempt, 200, 300)];
        assert_eq!(spans(&there, Table::Message), [(200, 300), (300, 400)]);
        assert_eq!(spans(&there, Table::Attempt), [(100, 200), (300, 400)]);
        // Made when spans were longer, and when they were shorter.
        let there = [made(Table::Message, 0, 250), made(Table::Message, 340, 350)];
        assert_eq!(spans(&there, Table::Message), [(250, 300), (300, 340), (350, 400)]);
    }

    #[test]
    fn bounds_are_read_back() {
        for table in Table::ALL {
            let shown = table.bound(at(100));
            assert_eq!(table.moment(shown.trim_matches('\'')), Some(at(100)), "{table:?}: {shown}");
        }
    }
}
