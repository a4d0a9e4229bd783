//! Claims and saved answers.

use domain::{
    claim::ClaimKey,
    clock::Timestamp,
    id::{MessageId, OrganizationId},
};
use store::{
    publish::{Claim, SavedResponse},
    sealed::response_owner,
    transfer::{Batch, Limits, Record},
    vault::Vault,
};

use super::{Key, bytes, limit, page};
use crate::{
    conn::{Conn, Params, Tx},
    error::Result,
    options::Ports,
    publish, rows,
};

pub(super) async fn claims(conn: &Conn, after: &Key, limits: Limits) -> Result<Batch> {
    let sql = "/* export */ SELECT org, key, message, expires_at FROM claim
               WHERE (org, key) > ($1, $2) ORDER BY org, key LIMIT $3";
    let found = conn.query(sql, &[&after.part(0), &after.part(1), &limit(limits)]).await?;
    page(&found, |row| {
        let claim = Claim { key: publish::key(row, 1)?, expires_at: rows::time(row, 3)? };
        let org: OrganizationId = rows::id(row, 0)?;
        let place = Key::place(&[org.raw(), &claim.key.0]);
        Ok((place, Some(Record::Claim { org, claim, message: rows::id(row, 2)? })))
    })
}

pub(super) async fn responses(
    conn: &Conn,
    vault: &Vault,
    after: &Key,
    limits: Limits,
) -> Result<Batch> {
    let sql = "/* export */ SELECT * FROM (
             SELECT r.org, r.key, r.status, r.body, r.expires_at, coalesce(sum(octet_length(r.body))
                 OVER (ORDER BY r.org, r.key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
                 AS before
             FROM (SELECT * FROM response WHERE (org, key) > ($1, $2) ORDER BY org, key LIMIT $3) r
         ) read WHERE before < $4 ORDER BY org, key";
    let key = (after.part(0), after.part(1));
    let found = conn.query(sql, &[&key.0, &key.1, &limit(limits), &bytes(limits)]).await?;
    page(&found, |row| {
        let (org, key): (OrganizationId, _) = (rows::id(row, 0)?, publish::key(row, 1)?);
        let body = vault.open(&response_owner(key), rows::bytes(row, 3)?)?;
        let response = SavedResponse { status: rows::int(row, 2)?, body };
        let place = Key::place(&[org.raw(), &key.0]);
        let expires_at = rows::time(row, 4)?;
        Ok((place, Some(Record::Response { org, key, response, expires_at })))
    })
}

pub(super) async fn write_claim(
    tx: &Tx,
    org: OrganizationId,
    claim: &Claim,
    message: MessageId,
) -> Result<()> {
    let sql = "/* import */ INSERT INTO claim (org, key, message, made_at, expires_at)
               VALUES ($1, $2, $3, $4, $5)";
    // With its message, whose id tells when that was.
    let made_at = message.timestamp().as_micros();
    let (org, key) = (org.raw().as_slice(), claim.key.0.as_slice());
    let expires_at = claim.expires_at.as_micros();
    let params: Params<'_> = &[&org, &key, &message.raw().as_slice(), &made_at, &expires_at];
    tx.execute(sql, params).await?;
    Ok(())
}

pub(super) async fn write_response(
    tx: &Tx,
    ports: &Ports,
    org: OrganizationId,
    key: ClaimKey,
    response: &SavedResponse,
    expires_at: Timestamp,
) -> Result<()> {
    let body = ports.vault.seal(&response_owner(key), &response.body);
    let sql = "/* import */ INSERT INTO response (org, key, status, body, expires_at)
               VALUES ($1, $2, $3, $4, $5)";
    let (org, key) = (org.raw().as_slice(), key.0.as_slice());
    let (status, expires_at) = (i32::from(response.status), expires_at.as_micros());
    tx.execute(sql, &[&org, &key, &status, &body, &expires_at]).await?;
    Ok(())
}
