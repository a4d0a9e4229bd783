//! Claims and saved answers.

use std::{collections::BTreeMap, ops::Bound};

use domain::{
    claim::ClaimKey,
    clock::Timestamp,
    id::{MessageId, OrganizationId},
};
use rusqlite::{Connection, params};
use store::{
    publish::{Claim, SavedResponse},
    sealed::response_owner,
    transfer::{Batch, Limits, Place, Record},
    vault::Vault,
};

use super::{Key, page};
use crate::{
    claims,
    error::{Error, Result},
    rows,
    tx::Tx,
};

/// The first byte of the rest of a place among claims: young ones come first.
const YOUNG: u8 = 0;
const OLD: u8 = 1;

/// A young claim, with the id of its organization.
struct Young {
    org: OrganizationId,
    message: MessageId,
    expires_at: Timestamp,
}

/// All young claims: of each place the last one, which stands for those before it and for an old one.
fn young(conn: &Connection) -> Result<BTreeMap<claims::Place, Young>> {
    let sql = "/* export */ SELECT r.org_no, r.key, r.message_id, r.expires_at, o.id
               FROM claim_recent r CROSS JOIN organization o ON o.no = r.org_no ORDER BY r.no";
    let mut statement = conn.prepare_cached(sql)?;
    let mut found = statement.query([])?;
    let mut young = BTreeMap::new();
    while let Some(row) = found.next()? {
        let (message, expires_at) = (rows::id(row, 2)?, rows::time(row, 3)?);
        let claim = Young { org: rows::id(row, 4)?, message, expires_at };
        young.insert((row.get(0)?, row.get(1)?), claim);
    }
    Ok(young)
}

fn place(age: u8, (org_no, key): claims::Place) -> Place {
    Key::place(org_no, &[&[age], &key])
}

/// Young claims are looked through once for each page: there are some ten thousands at most.
pub(super) fn claims(conn: &Connection, after: &Key, limits: Limits) -> Result<Batch> {
    let young = young(conn)?;
    let (age, from) = match after.rest.split_first() {
        Some((age, key)) => (*age, (after.no, key.try_into().map_err(Error::corrupt)?)),
        None => (YOUNG, (after.no, [0; 16])),
    };
    if age == OLD {
        return old_claims(conn, &young, from, limits);
    }
    let mut batch = Batch::default();
    for (at, claim) in young.range((Bound::Excluded(from), Bound::Unbounded)) {
        let Young { org, message, expires_at } = *claim;
        let claim = Claim { key: ClaimKey(at.1), expires_at };
        batch.records.push(Record::Claim { org, claim, message });
        if batch.records.len() >= limits.records {
            batch.next = Some(place(YOUNG, *at));
            return Ok(batch);
        }
    }
    batch.next = Some(place(OLD, (-1, [0; 16])));
    Ok(batch)
}

fn old_claims(
    conn: &Connection,
    young: &BTreeMap<claims::Place, Young>,
    from: claims::Place,
    limits: Limits,
) -> Result<Batch> {
    let sql = "/* export */ SELECT c.org_no, c.key, c.message_id, c.expires_at, o.id FROM claim c
               CROSS JOIN organization o ON o.no = c.org_no WHERE (c.org_no, c.key) > (?1, ?2)
               ORDER BY c.org_no, c.key";
    page(conn, sql, params![from.0, from.1], limits, |row| {
        let at = (row.get(0)?, row.get(1)?);
        let claim = Claim { key: ClaimKey(at.1), expires_at: rows::time(row, 3)? };
        let record = Record::Claim { org: rows::id(row, 4)?, claim, message: rows::id(row, 2)? };
        Ok((place(OLD, at), (!young.contains_key(&at)).then_some(record)))
    })
}

pub(super) fn responses(
    conn: &Connection,
    vault: &Vault,
    after: &Key,
    limits: Limits,
) -> Result<Batch> {
    let sql = "/* export */ SELECT r.org_no, r.key, r.status, r.body, r.expires_at, o.id
               FROM response r CROSS JOIN organization o ON o.no = r.org_no
               WHERE (r.org_no, r.key) > (?1, ?2) ORDER BY r.org_no, r.key";
    page(conn, sql, params![after.no, after.rest], limits, |row| {
        let key = ClaimKey(row.get(1)?);
        let sealed = row.get_ref(3)?.as_blob().map_err(Error::corrupt)?;
        let body = vault.open(&response_owner(key), sealed)?;
        let record = Record::Response {
            org: rows::id(row, 5)?,
            key,
            response: SavedResponse { status: row.get(2)?, body },
            expires_at: rows::time(row, 4)?,
        };
        Ok((Key::place(row.get(0)?, &[&key.0]), Some(record)))
    })
}

/// As one that has been carried over.
pub(super) fn write_claim(
    tx: &mut Tx<'_>,
    org: OrganizationId,
    claim: &Claim,
    message: MessageId,
) -> Result<()> {
    let org_no = tx.org_no(org)?;
    let sql = "/* import */ INSERT INTO claim (org_no, key, message_id, expires_at)
               VALUES (?1, ?2, ?3, ?4)";
    let params = params![org_no, claim.key.0, message.raw(), claim.expires_at.as_micros()];
    tx.conn.prepare_cached(sql)?.execute(params)?;
    Ok(())
}

pub(super) fn write_response(
    tx: &mut Tx<'_>,
    org: OrganizationId,
    key: ClaimKey,
    response: &SavedResponse,
    expires_at: Timestamp,
) -> Result<()> {
    let org_no = tx.org_no(org)?;
    let body = tx.ports.vault.seal(&response_owner(key), &response.body);
    let sql = "/* import */ INSERT INTO response (org_no, key, status, body, expires_at)
               VALUES (?1, ?2, ?3, ?4, ?5)";
    let params = params![org_no, key.0, response.status, body, expires_at.as_micros()];
    tx.conn.prepare_cached(sql)?.execute(params)?;
    Ok(())
}
