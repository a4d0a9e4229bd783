//! Rows of rollups. The three tables have the same columns behind their keys; they are read and written
//! many rows at a time.

use std::collections::BTreeMap;

use domain::{
    analytics::{Rollup, Sketch, Unit},
    clock::Timestamp,
    id::{ApplicationId, EndpointId, OrganizationId},
    name::EventTypeName,
};
use store::rollup_codec;
use tokio_postgres::{Row, types::ToSql};

use super::gather::Key;
use crate::{
    conn::{Conn, Params},
    enqueue::COMMON_SLOT,
    error::{Error, Result},
    rows,
};

/// The columns behind the key: for [`rollup`].
pub(crate) const COLUMNS: &str = "r.messages, r.bytes, r.retries, r.detail";
/// Of what is rolled up there is one row, in this slot.
pub(super) const ROLLED_SLOT: i16 = 0;
/// Rows of one statement.
const BATCH: usize = 1_000;

/// Reads a rollup from its [`COLUMNS`], of which `first` is the first one's place.
pub(crate) fn rollup(row: &Row, first: usize) -> Result<Rollup> {
    let count = |column| Ok::<_, Error>(rows::get::<i64>(row, first + column)?.unsigned_abs());
    Ok(rollup_codec::decode(count(0)?, count(1)?, count(2)?, rows::bytes(row, first + 3)?)?)
}

/// A key that is stored as nothing where there is none.
pub(crate) fn event_type(text: &str) -> Result<Option<EventTypeName>> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(Error::corrupt) }
}

pub(crate) fn endpoint(bytes: &[u8]) -> Result<Option<EndpointId>> {
    if bytes.is_empty() { Ok(None) } else { rows::raw_id(bytes).map(Some) }
}

pub(super) fn type_text(event_type: &Option<EventTypeName>) -> &str {
    event_type.as_ref().map_or("", EventTypeName::as_str)
}

/// The statements of a table: those of [`load`] and [`put`].
struct Table {
    load: &'static str,
    put: &'static str,
}

/// Each row is found by the whole of its key, whatever is known of the table's size.
const DETAIL: Table = Table {
    load: "/* rollup */ SELECT u.place, r.messages, r.bytes, r.retries, r.detail
        FROM unnest($2::bytea[], $3::bigint[], $4::bytea[], $5::bytea[], $6::text[])
            WITH ORDINALITY AS u (org, at, app, endpoint, event_type, place)
        CROSS JOIN LATERAL (SELECT * FROM rollup r WHERE r.org = u.org AND r.app = u.app
            AND r.unit = $1 AND r.at = u.at AND r.endpoint = u.endpoint
            AND r.event_type = u.event_type OFFSET 0) r",
    put:
        "/* rollup */ INSERT INTO rollup (unit, org, at, app, endpoint, event_type, messages, bytes,
            attempts, successes, retries, detail)
        SELECT $1::smallint, * FROM unnest($2::bytea[], $3::bigint[], $4::bytea[], $5::bytea[],
            $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[],
            $12::bytea[])
        ON CONFLICT (org, app, unit, at, endpoint, event_type) DO UPDATE SET
            messages = excluded.messages, bytes = excluded.bytes, attempts = excluded.attempts,
            successes = excluded.successes, retries = excluded.retries, detail = excluded.detail",
};
const OF_APP: Table = Table {
    load: "/* rollup */ SELECT u.place, r.messages, r.bytes, r.retries, r.detail
        FROM unnest($3::bytea[], $4::bigint[], $5::bytea[])
            WITH ORDINALITY AS u (org, at, app, place)
        CROSS JOIN LATERAL (SELECT * FROM rollup_app r WHERE r.org = u.org AND r.unit = $1
            AND r.at = u.at AND r.app = u.app AND r.slot = $2 OFFSET 0) r",
    put: "/* rollup */ INSERT INTO rollup_app (unit, slot, org, at, app, messages, bytes, attempts,
            successes, retries, detail)
        SELECT $1::smallint, $2::smallint, * FROM unnest($3::bytea[], $4::bigint[], $5::bytea[],
            $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bytea[])
        ON CONFLICT (org, unit, at, app, slot) DO UPDATE SET
            messages = excluded.messages, bytes = excluded.bytes, attempts = excluded.attempts,
            successes = excluded.successes, retries = excluded.retries, detail = excluded.detail",
};
const OF_TYPE: Table = Table {
    load: "/* rollup */ SELECT u.place, r.messages, r.bytes, r.retries, r.detail
        FROM unnest($3::bytea[], $4::bigint[], $5::text[])
            WITH ORDINALITY AS u (org, at, event_type, place)
        CROSS JOIN LATERAL (SELECT * FROM rollup_type r WHERE r.org = u.org AND r.unit = $1
            AND r.at = u.at AND r.event_type = u.event_type AND r.slot = $2 OFFSET 0) r",
    put: "/* rollup */ INSERT INTO rollup_type (unit, slot, org, at, event_type, messages, bytes,
            attempts, successes, retries, detail)
        SELECT $1::smallint, $2::smallint, * FROM unnest($3::bytea[], $4::bigint[], $5::text[],
            $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bytea[])
        ON CONFLICT (org, unit, at, event_type, slot) DO UPDATE SET
            messages = excluded.messages, bytes = excluded.bytes, attempts = excluded.attempts,
            successes = excluded.successes, retries = excluded.retries, detail = excluded.detail",
};

/// What is stored under keys, in their order.
async fn load(
    conn: &Conn,
    table: &Table,
    key: Params<'_>,
    count: usize,
) -> Result<Vec<Option<Rollup>>> {
    let mut stored: Vec<Option<Rollup>> = (0..count).map(|_| None).collect();
    for row in conn.query(table.load, key).await? {
        let place = usize::try_from(rows::get::<i64>(&row, 0)? - 1).map_err(Error::corrupt)?;
        stored[place] = Some(rollup(&row, 1)?);
    }
    Ok(stored)
}

/// Writes rollups under keys, in the place of what is there.
async fn put(conn: &Conn, table: &Table, key: Params<'_>, rollups: &[Rollup]) -> Result<()> {
    let mut numbers: [Vec<i64>; 5] = Default::default();
    let mut detail = Vec::with_capacity(rollups.len());
    for rollup in rollups {
        let counts = rollup.counts();
        let all =
            [counts.messages, counts.bytes, counts.attempts, counts.successes, counts.retries];
        numbers.iter_mut().zip(all).for_each(|(column, count)| column.push(count.cast_signed()));
        detail.push(rollup_codec::encode(rollup));
    }
    let mut params = key.to_vec();
    params.extend(numbers.iter().map(|column| column as &(dyn ToSql + Sync)));
    params.push(&detail);
    conn.execute(table.put, &params).await?;
    Ok(())
}

/// Whether what is written joins what is there or takes its place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Add,
    Put,
}

impl Mode {
    /// What is to be stored, and what that adds to the sums.
    fn combine(self, old: Option<Rollup>, new: Rollup) -> (Rollup, Rollup) {
        let Some(mut old) = old else { return (new.clone(), new) };
        match self {
            Self::Add => {
                old.merge(&new);
                (old, new)
            }
            Self::Put => {
                let more = beyond(&new, &old);
                (new, more)
            }
        }
    }
}

/// What a rollup has more than another one, which can only have missed something.
fn beyond(whole: &Rollup, part: &Rollup) -> Rollup {
    let mut more = whole.clone();
    more.messages = whole.messages.saturating_sub(part.messages);
    more.bytes = whole.bytes.saturating_sub(part.bytes);
    more.retries = whole.retries.saturating_sub(part.retries);
    for (count, less) in more.attempts.iter_mut().zip(part.attempts) {
        *count = count.saturating_sub(less);
    }
    for (count, less) in more.unaccepted.iter_mut().zip(part.unaccepted) {
        *count = count.saturating_sub(less);
    }
    let sketch = |whole: &Sketch, part: &Sketch| {
        let left = whole.buckets().iter().map(|(bucket, count)| {
            let known = part.buckets().binary_search_by_key(bucket, |(bucket, _)| *bucket);
            (*bucket, count.saturating_sub(known.map_or(0, |at| part.buckets()[at].1)))
        });
        Sketch::from_buckets(left.filter(|(_, count)| *count > 0))
    };
    more.response = sketch(&whole.response, &part.response);
    more.delivery = sketch(&whole.delivery, &part.delivery);
    more
}

type OfApp = (OrganizationId, Timestamp, ApplicationId);
type OfType = (OrganizationId, Timestamp, Option<EventTypeName>);

/// Sums of rollups, by application and by event type.
#[derive(Default)]
pub(super) struct Sums {
    pub(super) apps: BTreeMap<OfApp, Rollup>,
    pub(super) types: BTreeMap<OfType, Rollup>,
}

impl Sums {
    pub(super) fn add(&mut self, key: &Key, rollup: &Rollup) {
        self.apps.entry((key.org, key.at, key.app)).or_default().merge(rollup);
        self.types.entry((key.org, key.at, key.event_type.clone())).or_default().merge(rollup);
    }

    /// Writes them into the rows of a slot. Nobody else writes those meanwhile: see [`lock_slot`].
    pub(super) async fn write(
        self,
        conn: &Conn,
        (unit, slot): (Unit, i16),
        mode: Mode,
    ) -> Result<()> {
        let unit = unit as i16;
        let apps: Vec<_> = self.apps.into_iter().collect();
        for some in apps.chunks(BATCH) {
            let orgs: Vec<&[u8]> = some.iter().map(|((org, ..), _)| &org.raw()[..]).collect();
            let at: Vec<i64> = some.iter().map(|((_, at, _), _)| at.as_micros()).collect();
            let apps: Vec<&[u8]> = some.iter().map(|((.., app), _)| &app.raw()[..]).collect();
            let new = some.iter().map(|(_, rollup)| rollup.clone());
            merge(conn, &OF_APP, &[&unit, &slot, &orgs, &at, &apps], new, mode).await?;
        }
        let types: Vec<_> = self.types.into_iter().collect();
        for some in types.chunks(BATCH) {
            let orgs: Vec<&[u8]> = some.iter().map(|((org, ..), _)| &org.raw()[..]).collect();
            let at: Vec<i64> = some.iter().map(|((_, at, _), _)| at.as_micros()).collect();
            let types: Vec<&str> = some.iter().map(|((.., of), _)| type_text(of)).collect();
            let new = some.iter().map(|(_, rollup)| rollup.clone());
            merge(conn, &OF_TYPE, &[&unit, &slot, &orgs, &at, &types], new, mode).await?;
        }
        Ok(())
    }
}

/// Writes rollups under keys; what each of them adds to what was there.
async fn merge(
    conn: &Conn,
    table: &Table,
    key: Params<'_>,
    new: impl Iterator<Item = Rollup>,
    mode: Mode,
) -> Result<Vec<Rollup>> {
    let new: Vec<Rollup> = new.collect();
    let stored = load(conn, table, key, new.len()).await?;
    let combined = stored.into_iter().zip(new).map(|(old, new)| mode.combine(old, new));
    let (rollups, more): (Vec<_>, Vec<_>) = combined.unzip();
    put(conn, table, key, &rollups).await?;
    Ok(more)
}

/// Writes rollups of endpoints and event types of a unit, in the order of their keys; what that adds to
/// the sums, which are not written.
pub(super) async fn write_details(
    conn: &Conn,
    unit: Unit,
    counts: &BTreeMap<Key, Rollup>,
    mode: Mode,
) -> Result<Sums> {
    let unit = unit as i16;
    let mut sums = Sums::default();
    let all: Vec<_> = counts.iter().collect();
    for some in all.chunks(BATCH) {
        let orgs: Vec<&[u8]> = some.iter().map(|(key, _)| &key.org.raw()[..]).collect();
        let at: Vec<i64> = some.iter().map(|(key, _)| key.at.as_micros()).collect();
        let apps: Vec<&[u8]> = some.iter().map(|(key, _)| &key.app.raw()[..]).collect();
        let endpoint = |key: &'_ Key| key.endpoint.map_or(Vec::new(), |id| id.raw().to_vec());
        let endpoints: Vec<Vec<u8>> = some.iter().map(|(key, _)| endpoint(key)).collect();
        let types: Vec<&str> = some.iter().map(|(key, _)| type_text(&key.event_type)).collect();
        let new = some.iter().map(|(_, rollup)| (*rollup).clone());
        let key: Params<'_> = &[&unit, &orgs, &at, &apps, &endpoints, &types];
        let more = merge(conn, &DETAIL, key, new, mode).await?;
        some.iter().zip(&more).for_each(|((key, _), more)| sums.add(key, more));
    }
    Ok(sums)
}

/// Keeps others whose slot is the same by chance from its rows, until the transaction ends. ("Hkrl")
pub(super) async fn lock_slot(conn: &Conn, slot: i16) -> Result<()> {
    const LOCK: i32 = 0x486b_726c;
    let sql = "/* rollup */ SELECT pg_advisory_xact_lock($1, $2)";
    conn.query(sql, &[&LOCK, &i32::from(slot)]).await?;
    Ok(())
}

/// Takes in rollups that are not there yet, with their sums.
pub(crate) async fn import(conn: &Conn, unit: Unit, counts: BTreeMap<Key, Rollup>) -> Result<()> {
    let (messages, others): (BTreeMap<_, _>, _) = match unit {
        Unit::Minute => counts.into_iter().partition(|(key, _)| key.endpoint.is_none()),
        Unit::Quarter | Unit::Day => (BTreeMap::new(), counts),
    };
    super::traffic::add(conn, &messages, COMMON_SLOT).await?;
    let slot = if unit == Unit::Minute { COMMON_SLOT } else { ROLLED_SLOT };
    let sums = write_details(conn, unit, &others, Mode::Put).await?;
    sums.write(conn, (unit, slot), Mode::Add).await
}
